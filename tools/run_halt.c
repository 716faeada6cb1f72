/*
 * Halt
 */
#include "tools/run_halt.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define LIMIT_MAX 1000000000

struct beginning {
	const char *text;
	bool is_now;
	bool on_success;
};

static const struct beginning beginnings[] = {
	{ "soon,fail=", false, false },
	{ "now,fail=", true, false },
	{ "soon,success=", false, true },
	{ "now,success=", true, true },
};

static const struct beginning *find_beginning(const char *text)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (strncmp(text, beginnings[i].text, strlen(beginnings[i].text)) == 0)
			return &beginnings[i];
	return NULL;
}

static bool parse_limit(const char *text, struct carom_run_halt *halt)
{
	for (; isdigit((unsigned char)*text) && halt->limit <= LIMIT_MAX / 10; text++)
		halt->limit = halt->limit * 10 + (uint32_t)(*text - '0');
	halt->is_percentage = *text == '%';
	return halt->limit > 0 && !text[halt->is_percentage] &&
	       (!halt->is_percentage || halt->limit <= 100);
}

bool carom_run_halt_parse(const char *text, struct carom_run_halt *ret_halt)
{
	const struct beginning *begin = find_beginning(text);
	struct carom_run_halt halt = { 0 };

	if (!begin)
		return false;
	halt.is_now = begin->is_now;
	halt.on_success = begin->on_success;
	if (!parse_limit(text + strlen(begin->text), &halt))
		return false;
	*ret_halt = halt;
	return true;
}

bool carom_run_halt_is_due(const struct carom_run_halt *halt, uint64_t ended_count,
			   uint64_t failed_count)
{
	uint64_t count = halt->on_success ? ended_count - failed_count : failed_count;

	if (halt->limit == 0)
		return false;
	if (!halt->is_percentage)
		return count >= halt->limit;
	return count >= CAROM_RUN_HALT_MIN && count * 100 >= ended_count * halt->limit;
}

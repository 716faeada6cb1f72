/*
 * Retry
 *
 * A job that was killed because the whole run ends is never run again. Nor is
 * one whose input cannot be a word of a command, however often it is tried.
 */
#include "tools/run_retry.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct cause {
	const char *name;
	uint32_t kinds;
};

static const struct cause causes[] = {
	{ "failed", 1U << CAROM_RUN_EXITED },
	{ "timeout", 1U << CAROM_RUN_TIME_LIMIT | 1U << CAROM_RUN_SOFT_LIMIT },
	{ "memory", 1U << CAROM_RUN_MEMORY_LIMIT },
	{ "sandbox", 1U << CAROM_RUN_VIOLATED },
	{ "signal", 1U << CAROM_RUN_SIGNALLED | 1U << CAROM_RUN_LOST },
	{ "start", 1U << CAROM_RUN_NOT_STARTED | 1U << CAROM_RUN_NOT_FOUND },
};

#define CAUSE_COUNT (sizeof(causes) / sizeof(*causes))

static uint32_t kinds_of(const char *name, size_t length)
{
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		if (strlen(causes[i].name) == length && strncmp(causes[i].name, name, length) == 0)
			return causes[i].kinds;
	return 0;
}

bool carom_run_retry_parse_causes(const char *text, uint32_t *ret_causes, const char **ret_bad,
				  int *ret_length)
{
	uint32_t all = 0, kinds;
	size_t length;

	while (true) {
		length = strcspn(text, ",");
		kinds = kinds_of(text, length);
		if (!kinds) {
			*ret_bad = text;
			*ret_length = (int)length;
			return false;
		}
		all |= kinds;
		if (!text[length])
			break;
		text += length + 1;
	}
	*ret_causes = all;
	return true;
}

static uint32_t all_causes(void)
{
	uint32_t all = 0;

	for (size_t i = 0; i < CAUSE_COUNT; i++)
		all |= causes[i].kinds;
	return all;
}

static bool is_hopeless(struct carom_run_outcome outcome)
{
	return outcome.kind == CAROM_RUN_NOT_STARTED &&
	       (outcome.value == E2BIG || outcome.value == CAROM_RUN_ENUL);
}

bool carom_run_retry_is_due(const struct carom_run_retry *retry, struct carom_run_outcome outcome,
			    uint32_t done)
{
	uint32_t wanted = retry->causes ? retry->causes : all_causes();

	return done < retry->count && !carom_run_went_well(outcome) && !is_hopeless(outcome) &&
	       (wanted & 1U << outcome.kind);
}

/*
 * Size
 *
 * The fraction is kept in millionths, so that 1.5G is exact and nothing overflows unnoticed.
 */
#include "tools/size.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MILLION 1000000

static int find_unit(const char *name, uint64_t *ret_bytes)
{
	static const char letters[] = "kmgt";
	const char *letter;

	*ret_bytes = 1;
	if (!*name || strcasecmp(name, "b") == 0)
		return 0;
	letter = strchr(letters, tolower((unsigned char)*name));
	if (!letter || (strcasecmp(name + 1, "") != 0 && strcasecmp(name + 1, "b") != 0 &&
			strcasecmp(name + 1, "ib") != 0))
		return -EINVAL;
	*ret_bytes <<= 10 * (letter - letters + 1);
	return 0;
}

/* The digits of a fraction in millionths; what is below is dropped. */
static uint64_t read_fraction(const char **text)
{
	uint64_t value = 0, place = MILLION;

	for (; isdigit((unsigned char)**text); (*text)++) {
		place /= 10;
		value += place * (uint64_t)(**text - '0');
	}
	return value;
}

int carom_size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole = 0, fraction = 0, unit, bytes;
	int r;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*text - '0'), &whole))
			return -ERANGE;
	if (*text == '.' && isdigit((unsigned char)text[1])) {
		text++;
		fraction = read_fraction(&text);
	}
	r = find_unit(text, &unit);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, unit, &bytes) ||
	    __builtin_add_overflow(bytes, fraction * (unit / 1024) / MILLION * 1024, &bytes))
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

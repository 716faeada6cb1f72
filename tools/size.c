/*
 * Size
 *
 * The fraction is kept in millionths, so that 1.5G is exact and nothing overflows unnoticed.
 */
#include "tools/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/decimal.h"

#define PLACES  6
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

int carom_size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole, fraction, unit, bytes;
	int r = carom_decimal_read(&text, PLACES, &whole, &fraction);

	if (r < 0)
		return r;
	r = find_unit(text, &unit);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, unit, &bytes) ||
	    __builtin_add_overflow(bytes, fraction * (unit / 1024) / MILLION * 1024, &bytes))
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

char *carom_size_write(uint64_t bytes, char text[CAROM_SIZE_TEXT])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1000 && unit < sizeof(units) / sizeof(*units) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(text, CAROM_SIZE_TEXT, "%.4g %s", value, units[unit]);
	return text;
}

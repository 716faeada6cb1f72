/*
 * Duration
 *
 * In whole numbers all the way, so that 0.1 means what it says and no input
 * overflows unnoticed.
 */
#include "tools/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/time.h"

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "", CAROM_NS_PER_SEC },       { "ms", CAROM_MILLISECONDS(1) },  { "s", CAROM_NS_PER_SEC },
	{ "m", 60 * CAROM_NS_PER_SEC }, { "h", 3600 * CAROM_NS_PER_SEC },
};

static int find_unit(const char *name, uint64_t *ret_ns)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(name, units[i].name) == 0) {
			*ret_ns = units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_whole(const char **text, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (; isdigit((unsigned char)**text); (*text)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**text - '0'), &value))
			return -ERANGE;
	*ret_value = value;
	return 0;
}

/* The digits after the point, as a number of units of 10^-9; what is beyond the ninth is dropped. */
static uint64_t read_fraction(const char **text)
{
	uint64_t value = 0;
	int digits = 0;

	for (; isdigit((unsigned char)**text); (*text)++)
		if (digits < 9) {
			value = value * 10 + (uint64_t)(**text - '0');
			digits++;
		}
	for (; digits < 9; digits++)
		value *= 10;
	return value;
}

int carom_duration_parse(const char *text, uint64_t *ret_ns)
{
	uint64_t whole, fraction = 0, unit, ns;
	int r;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	r = read_whole(&text, &whole);
	if (r < 0)
		return r;
	if (*text == '.' && isdigit((unsigned char)text[1])) {
		text++;
		fraction = read_fraction(&text);
	}
	r = find_unit(text, &unit);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, unit, &ns))
		return -ERANGE;
	/* times unit, by 10^9: both divided by 10^6 first, because the product would not fit */
	fraction = fraction * (unit / CAROM_MILLISECONDS(1)) /
		   (CAROM_NS_PER_SEC / CAROM_MILLISECONDS(1));
	if (__builtin_add_overflow(ns, fraction, &ns))
		return -ERANGE;
	*ret_ns = ns;
	return 0;
}

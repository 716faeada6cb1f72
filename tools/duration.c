/*
 * Duration
 *
 * In whole numbers all the way, so that 0.1 means what it says and no input
 * overflows unnoticed.
 */
#include "tools/duration.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/time.h"
#include "tools/decimal.h"

#define PLACES 9 /* of a second: nanoseconds */

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

int carom_duration_parse(const char *text, uint64_t *ret_ns)
{
	uint64_t whole, fraction, unit, ns;
	int r = carom_decimal_read(&text, PLACES, &whole, &fraction);

	if (r < 0)
		return r;
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

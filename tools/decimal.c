/*
 * Decimal
 */
#include "tools/decimal.h"

#include <ctype.h>
#include <errno.h>

static int read_whole(const char **text, uint64_t *ret_value)
{
	const char *digit = *text;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*digit))
		return -EINVAL;
	for (; isdigit((unsigned char)*digit); digit++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value))
			return -ERANGE;
	*text = digit;
	*ret_value = value;
	return 0;
}

static uint64_t read_fraction(const char **text, int places)
{
	uint64_t value = 0;

	for (; isdigit((unsigned char)**text); (*text)++)
		if (places > 0) {
			value = value * 10 + (uint64_t)(**text - '0');
			places--;
		}
	for (; places > 0; places--)
		value *= 10;
	return value;
}

int carom_decimal_read(const char **text, int places, uint64_t *ret_whole, uint64_t *ret_fraction)
{
	int r = read_whole(text, ret_whole);

	if (r < 0)
		return r;
	*ret_fraction = 0;
	if (**text == '.' && isdigit((unsigned char)(*text)[1])) {
		(*text)++;
		*ret_fraction = read_fraction(text, places);
	}
	return 0;
}

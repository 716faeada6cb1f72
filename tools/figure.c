/*
 * Figure
 */
#include "tools/figure.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct carom_figure carom_figure_count(uint64_t count)
{
	struct carom_figure figure;
	char digits[CAROM_FIGURE_BYTES];
	char *to = figure.text;
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return figure;
}

/* three significant digits, none after the point from 100 on */
static struct carom_figure scaled(double value, const char *unit)
{
	struct carom_figure figure;
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	snprintf(figure.text, sizeof(figure.text), "%.*f %s", decimals, value, unit);
	return figure;
}

struct carom_figure carom_figure_bytes(uint64_t bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	struct carom_figure figure;
	double value = (double)bytes / 1000;
	size_t unit = 0;

	if (bytes < 1000) {
		snprintf(figure.text, sizeof(figure.text), "%u byte%s", (unsigned)bytes,
			 bytes == 1 ? "" : "s");
		return figure;
	}
	for (; value >= 999.5 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
		value /= 1000;
	return scaled(value, units[unit]);
}

struct carom_figure carom_figure_time(uint64_t ns)
{
	struct carom_figure figure;
	uint64_t seconds = ns / 1000000000;

	if (ns < 100000) {
		snprintf(figure.text, sizeof(figure.text), "%u us", (unsigned)(ns / 1000));
		return figure;
	}
	if (ns < 999500000)
		return scaled((double)ns / 1e6, "ms");
	if (seconds < 100)
		return scaled((double)ns / 1e9, "s");
	snprintf(figure.text, sizeof(figure.text), "%llu min %02u s",
		 (unsigned long long)(seconds / 60), (unsigned)(seconds % 60));
	return figure;
}

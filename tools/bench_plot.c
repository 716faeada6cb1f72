/*
 * Export: the picture
 *
 * A strip for each command: a dot for each run, in their order from top to bottom, so that a
 * drift is seen; behind them the middle half as a box, and the median as a line. One axis
 * for all, from zero, so that lengths compare; below it stands what is what.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "tools/bench_export.h"

#define WIDTH          900
#define LEFT           20
#define RIGHT          30
#define TOP            20
#define STRIP          84 /* with the name above it */
#define NAME           20
#define DOTS           50
#define AXIS           40
#define TICKS          6
#define NAME_MAX_SHOWN 110  /* characters of it, of usual width; all of it is in its tooltip */
#define DOTS_MAX       2000 /* of a strip: beyond that every so many'th run has one */
#define BLUE           "#1f77b4"

struct scale {
	double seconds; /* of a unit */
	const char *unit;
	double step; /* between ticks, in seconds */
	double end;
};

static double x_of(const struct scale *scale, double seconds)
{
	return LEFT + seconds / scale->end * (WIDTH - LEFT - RIGHT);
}

/* 1, 2 or 5 times a power of ten, TICKS times or so. */
static struct scale make_scale(double max)
{
	double rough = max / TICKS, power = pow(10, floor(log10(rough)));
	double step = rough > 5 * power ? 10 * power : rough > 2 * power ? 5 * power : 2 * power;
	struct scale scale = { 1e-6, "us", step, step * ceil(max / step) };

	if (max >= 1)
		scale.seconds = 1, scale.unit = "s";
	else if (max >= 1e-3)
		scale.seconds = 1e-3, scale.unit = "ms";
	return scale;
}

/* A command may be any bytes; a picture with others than UTF-8 is shown by nobody. */
static void write_escaped(const char *text, size_t max, FILE *file)
{
	bool is_utf8 = carom_utf8_is_valid(text, strlen(text));

	for (; *text; text++) {
		bool continues = is_utf8 && carom_utf8_continues(*text);

		if (!continues && max-- == 0) {
			fputs("...", file);
			return;
		}
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else if ((unsigned char)*text < ' ')
			fputc(' ', file);
		else if (!is_utf8 && (unsigned char)*text > '~')
			fputc('?', file);
		else
			fputc(*text, file);
	}
}

static void write_axis(const struct scale *scale, int bottom, FILE *file)
{
	for (double at = 0; at <= scale->end * 1.0001; at += scale->step) {
		double x = x_of(scale, at);

		fprintf(file,
			"<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#ddd'/>"
			"<text x='%.1f' y='%d' text-anchor='middle'>%.4g</text>\n",
			x, TOP, x, bottom, x, bottom + 16, at / scale->seconds);
	}
	fprintf(file,
		"<text x='%d' y='%d' fill='#777'>a dot: a run, the first on top; box: the middle "
		"half; line: the median</text>"
		"<text x='%d' y='%d' text-anchor='end'>%s</text>\n",
		LEFT, bottom + 34, WIDTH - 4, bottom + 34, scale->unit);
}

static void write_box(const struct scale *scale, double *sorted, size_t count, int y, FILE *file)
{
	double low = x_of(scale, sorted[count / 4]);
	double high = x_of(scale, sorted[count - 1 - count / 4]);
	double middle = x_of(scale, (sorted[(count - 1) / 2] + sorted[count / 2]) / 2);

	fprintf(file,
		"<rect x='%.1f' y='%d' width='%.1f' height='%d' fill='" BLUE
		"' fill-opacity='0.15'/>"
		"<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='" BLUE "' stroke-width='2'/>\n",
		low, y, fmax(high - low, 1), DOTS, middle, y, middle, y + DOTS);
}

static int write_strip(const struct scale *scale, const struct carom_bench_series *series, int y,
		       FILE *file)
{
	struct carom_bench_summary summary;
	double *times = carom_bench_series_times(series);
	size_t each = series->count / DOTS_MAX + 1;

	if (!times)
		return -ENOMEM;
	fprintf(file, "<text x='%d' y='%d'><title>", LEFT, y + NAME - 6);
	write_escaped(series->name, SIZE_MAX, file);
	fputs("</title>", file);
	write_escaped(series->name, NAME_MAX_SHOWN, file);
	fputs("</text>\n", file);
	for (size_t i = 0; i < series->count; i += each)
		fprintf(file,
			"<circle cx='%.1f' cy='%.1f' r='2' fill='" BLUE "' fill-opacity='0.5'/>\n",
			x_of(scale, times[i]),
			y + NAME + DOTS * ((double)i + 0.5) / (double)series->count);
	carom_bench_summarize(times, series->count, &summary);
	write_box(scale, times, series->count, y + NAME, file);
	free(times);
	return 0;
}

static double longest(const struct carom_bench_series *series, size_t count)
{
	uint64_t max = 1;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < series[i].count; k++)
			if (series[i].runs[k].wall_ns > max)
				max = series[i].runs[k].wall_ns;
	return (double)max * 1e-9;
}

int carom_bench_plot(const struct carom_bench_series *series, size_t count, FILE *file)
{
	struct scale scale = make_scale(longest(series, count));
	int bottom = TOP + (int)count * STRIP, r = 0;

	fprintf(file,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
		"font-family='sans-serif' font-size='13'>\n"
		"<rect width='100%%' height='100%%' fill='white'/>\n",
		WIDTH, bottom + AXIS);
	write_axis(&scale, bottom, file);
	for (size_t i = 0; i < count && r == 0; i++)
		r = write_strip(&scale, &series[i], TOP + (int)i * STRIP, file);
	fputs("</svg>\n", file);
	return r;
}

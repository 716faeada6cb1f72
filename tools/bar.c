/*
 * Bar
 *
 * The line is put together first and written at once, and is always shorter than
 * the terminal is wide: a line that wraps cannot be drawn over. What there is no
 * room for is left out, from the right; the width is asked for each time, so the
 * bar follows when the window changes.
 */
#include "tools/bar.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "tools/figure.h"
#include "tools/terminal.h"
#include "tools/writable.h"

#define LOG_INTERVAL_NS CAROM_SECONDS(10)
#define LINE_BYTES      512
#define CELLS_MIN       10
#define CELLS_MAX       40

#define ERASE  "\r\033[K"
#define GREEN  "\033[32m"
#define NORMAL "\033[m"

void carom_bar_init(struct carom_bar *bar, const char *things)
{
	*bar = (struct carom_bar){
		.things = things,
		.begun_ns = carom_now(),
		.is_terminal = carom_terminal_is(STDERR_FILENO),
		.has_colour = carom_terminal_has_colour(STDERR_FILENO),
	};
	bar->drawn_ns = bar->is_terminal ? 0 : bar->begun_ns;
}

/* Nobody waits for a reader of this: a line that is lost is no loss. */
static void write_line(const char *line)
{
	if (!carom_writable_now(STDERR_FILENO))
		return;
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nobody is left to be shown anything */
}

/* ---- words ---- */

static size_t add(char *text, size_t size, size_t length, const char *more)
{
	size_t more_length = strlen(more);

	if (length + more_length >= size)
		return length; /* no room: left out as a whole */
	memcpy(text + length, more, more_length + 1);
	return length + more_length;
}

/* the time left if the rest goes as what was done; nothing to say before 2 s, and at the end */
static void name_time_left(const struct carom_bar *bar, const struct carom_bar_progress *progress,
			   char *text, size_t size)
{
	uint64_t past_ns = carom_now() - bar->begun_ns;
	double left_ns;

	*text = '\0';
	if (past_ns < CAROM_SECONDS(2) || !progress->done_count ||
	    progress->done_count >= progress->total_count)
		return;
	left_ns = (double)past_ns * (double)(progress->total_count - progress->done_count) /
		  (double)progress->done_count;
	if (left_ns < 1e15)
		snprintf(text, size, ", %s left",
			 carom_figure_time(((uint64_t)left_ns / CAROM_NS_PER_SEC + 1) *
					   CAROM_NS_PER_SEC)
				 .text);
}

/* "6,012 of 13,359 files, 3 failed, 112 MB, 2 s left", as much of it as fits @size */
static void describe(const struct carom_bar *bar, const struct carom_bar_progress *progress,
		     char *text, size_t size)
{
	struct carom_figure done = carom_figure_count(progress->done_count);
	struct carom_figure total = carom_figure_count(progress->total_count);
	struct carom_figure failed = carom_figure_count(progress->failed_count);
	char part[LINE_BYTES];
	size_t length = 0;

	*text = '\0';
	if (progress->total_count)
		snprintf(part, sizeof(part), "%s of %s %s", done.text, total.text, bar->things);
	else
		snprintf(part, sizeof(part), "%s %s", done.text, bar->things);
	length = add(text, size, length, part);
	snprintf(part, sizeof(part), ", %s failed", failed.text);
	length = add(text, size, length, progress->failed_count ? part : "");
	snprintf(part, sizeof(part), ", %s", progress->note ? progress->note : "");
	length = add(text, size, length, progress->note ? part : "");
	name_time_left(bar, progress, part, sizeof(part));
	add(text, size, length, part);
}

/* ---- the bar ---- */

/* "[=======>       ]  45% "; returns how many columns it takes, none if there is no room */
static int draw_cells(const struct carom_bar *bar, const struct carom_bar_progress *progress,
		      int columns, char *line)
{
	int cells = columns / 3 < CELLS_MAX ? columns / 3 : CELLS_MAX;
	double share = (double)progress->done_count / (double)progress->total_count;
	char filled[CELLS_MAX + 1];
	int filled_count;

	*line = '\0';
	if (!progress->total_count || cells < CELLS_MIN)
		return 0;
	if (share > 1)
		share = 1;
	filled_count = (int)(share * cells);
	memset(filled, '=', sizeof(filled));
	if (filled_count > 0 && filled_count < cells)
		filled[filled_count - 1] = '>';
	sprintf(line, "[%s%.*s%s%*s] %3d%% ", bar->has_colour ? GREEN : "", filled_count, filled,
		bar->has_colour ? NORMAL : "", cells - filled_count, "", (int)(share * 100));
	return cells + (int)strlen("[] 100% ");
}

static void draw_on_terminal(struct carom_bar *bar, const struct carom_bar_progress *progress)
{
	int columns = carom_terminal_columns(STDERR_FILENO);
	char cells[LINE_BYTES], words[LINE_BYTES];
	char line[2 * LINE_BYTES + sizeof(ERASE)];
	int room = columns - draw_cells(bar, progress, columns, cells);

	describe(bar, progress, words, room < LINE_BYTES ? (size_t)room : LINE_BYTES);
	snprintf(line, sizeof(line), ERASE "%s%s", cells, words);
	write_line(line);
	bar->is_shown = true;
}

static void draw_in_log(const struct carom_bar *bar, const struct carom_bar_progress *progress)
{
	char words[LINE_BYTES], line[LINE_BYTES + 1];

	describe(bar, progress, words, sizeof(words));
	snprintf(line, sizeof(line), "%s\n", words);
	write_line(line);
}

void carom_bar_draw(struct carom_bar *bar, const struct carom_bar_progress *progress)
{
	uint64_t now_ns = carom_now();

	if (now_ns - bar->drawn_ns < (bar->is_terminal ? CAROM_BAR_INTERVAL_NS : LOG_INTERVAL_NS))
		return;
	bar->drawn_ns = now_ns;
	if (bar->is_terminal)
		draw_on_terminal(bar, progress);
	else
		draw_in_log(bar, progress);
}

void carom_bar_clear(struct carom_bar *bar)
{
	if (bar->is_shown)
		write_line(ERASE);
	bar->is_shown = false;
	bar->drawn_ns = bar->is_terminal ? 0 : bar->drawn_ns;
}

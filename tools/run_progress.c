/*
 * Progress of carom run
 *
 * A timer of the loop sees to it that there is a turn when the bar is due; it
 * does nothing else.
 *
 * Standard error may be a pipe that nobody reads, also the one that the output
 * goes to. The loop does not wait for a reader of it: lines are kept, a few of them,
 * and told in a later turn or at the end.
 */
#include "tools/run_progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "tools/say.h"
#include "tools/writable.h"

#define TICK_NS      CAROM_SECONDS(1)  /* a bar on a terminal moves at least so often, */
#define HEARTBEAT_NS CAROM_SECONDS(10) /* one in a log */

static void on_due(struct carom_loop_timer *timer)
{
	(void)timer; /* each turn shows the bar: that there is one is all */
}

void carom_run_progress_init(struct carom_run_progress *progress, bool is_wanted)
{
	*progress = (struct carom_run_progress){
		.is_wanted = is_wanted,
		.due = { .expired = on_due },
	};
	carom_bar_init(&progress->bar, "jobs");
}

void carom_run_progress_deinit(struct carom_run_progress *progress)
{
	carom_bar_clear(&progress->bar);
	if (progress->loop)
		carom_loop_timer_clear(progress->loop, &progress->due);
	while (progress->untold_count > 0)
		free(progress->untold[--progress->untold_count]);
}

/* --- lines ------------------------------------------------------------- */

static void tell_next(struct carom_run_progress *progress)
{
	carom_bar_clear(&progress->bar);
	carom_say("%s", progress->untold[0]);
	free(progress->untold[0]);
	progress->untold_count--;
	memmove(progress->untold, progress->untold + 1,
		progress->untold_count * sizeof(*progress->untold));
}

static void tell(struct carom_run_progress *progress)
{
	while (progress->untold_count > 0 && carom_writable_now(STDERR_FILENO))
		tell_next(progress);
}

void carom_run_progress_say(struct carom_run_progress *progress, const char *format, ...)
{
	va_list arguments;
	char *line;
	int n;

	if (progress->untold_count == CAROM_RUN_UNTOLD_MAX)
		return;
	va_start(arguments, format);
	n = vasprintf(&line, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	progress->untold[progress->untold_count++] = line;
	tell(progress);
}

void carom_run_progress_tell_rest(struct carom_run_progress *progress)
{
	while (progress->untold_count > 0)
		tell_next(progress);
}

/* --- the bar ----------------------------------------------------------- */

static void draw(struct carom_run_progress *progress, const struct carom_bar_progress *facts,
		 uint64_t running_count)
{
	uint64_t past_ns = carom_now() - progress->bar.begun_ns;
	double rate = (double)facts->done_count * (double)CAROM_NS_PER_SEC / (double)(past_ns + 1);
	struct carom_bar_progress noted = *facts;
	char note[64];

	snprintf(note, sizeof(note), "%llu running, %.*f/s", (unsigned long long)running_count,
		 rate < 10, rate);
	noted.note = note;
	carom_bar_draw(&progress->bar, &noted);
}

void carom_run_progress_show(struct carom_run_progress *progress,
			     const struct carom_bar_progress *facts, uint64_t running_count)
{
	struct carom_bar *bar = &progress->bar;
	uint64_t drawn_ns = bar->drawn_ns, gap_ns;

	tell(progress);
	if (!progress->is_wanted)
		return;
	draw(progress, facts, running_count);
	gap_ns = bar->is_terminal ? TICK_NS : HEARTBEAT_NS;
	if (bar->is_terminal && bar->drawn_ns == drawn_ns)
		gap_ns = CAROM_BAR_INTERVAL_NS;
	/* without memory for a timer the bar stands still until something happens */
	(void)carom_loop_timer_set(progress->loop, &progress->due, bar->drawn_ns + gap_ns);
}

/*
 * Bar
 *
 * How far a job has come, in one line on standard error that is drawn over and
 * over. Where standard error is no terminal the line is plain, and a new one
 * every ten seconds, so that a log tells as much.
 *
 *	struct carom_bar bar;
 *
 *	carom_bar_init(&bar, "files");
 *	while (...)
 *		carom_bar_draw(&bar, &(struct carom_bar_progress){ .done_count = ... });
 *	carom_bar_clear(&bar);
 *
 * Draw as often as you like: nothing is written more than 20 times a second, and
 * nothing where it would have to wait for a reader.
 * Before anything else is written to the terminal, clear; the next draw brings
 * the line back.
 */
#ifndef CAROM_TOOLS_BAR_H
#define CAROM_TOOLS_BAR_H

#include <stdbool.h>
#include <stdint.h>

/* How often there is something new to see: a caller that waits, waits this long. */
#define CAROM_BAR_INTERVAL_NS UINT64_C(50000000)

/**
 * struct carom_bar
 * @things:    what is counted, in the plural; not copied
 * @begun_ns:  when it was made
 * @drawn_ns:  when it was drawn last
 * @is_terminal, @has_colour: of standard error
 * @is_shown:  stands on the terminal at this moment
 */
struct carom_bar {
	const char *things;
	uint64_t begun_ns;
	uint64_t drawn_ns;
	bool is_terminal;
	bool has_colour;
	bool is_shown;
};

/**
 * struct carom_bar_progress - what the line says
 * @done_count:  things that have ended, in whatever way
 * @total_count: of how many; 0 means that is not known, and there is no bar to fill
 * @failed_count: how many of them went wrong
 * @note:        shown at the end if there is room; may be NULL
 */
struct carom_bar_progress {
	uint64_t done_count;
	uint64_t total_count;
	uint64_t failed_count;
	const char *note;
};

void carom_bar_init(struct carom_bar *bar, const char *things);

/** carom_bar_draw() - show how far it is, if it is time to */
void carom_bar_draw(struct carom_bar *bar, const struct carom_bar_progress *progress);

/** carom_bar_clear() - take the line away */
void carom_bar_clear(struct carom_bar *bar);

#endif

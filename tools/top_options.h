/*
 * Options of carom top: what the command line says.
 */
#ifndef CAROM_TOOLS_TOP_OPTIONS_H
#define CAROM_TOOLS_TOP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** enum carom_top_form - how it is told */
enum carom_top_form {
	CAROM_TOP_TEXT,
	CAROM_TOP_JSON,
	CAROM_TOP_OPENMETRICS,
};

/** enum carom_top_order - of a pool's workers: the largest first, or by their places */
enum carom_top_order {
	CAROM_TOP_BY_PLACE,
	CAROM_TOP_BY_AGE,
	CAROM_TOP_BY_CPU,
	CAROM_TOP_BY_MEMORY,
	CAROM_TOP_BY_TASKS,
	CAROM_TOP_ORDERS,
};

/** carom_top_order_names - as the command line spells them */
extern const char *const carom_top_order_names[CAROM_TOP_ORDERS];

/**
 * struct carom_top_options
 * @pids:      of programs; the caller's; @pid_count 0: all
 * @delay_ns:  between two looks
 * @look_count: how many; 0: until it is stopped
 */
struct carom_top_options {
	int64_t *pids;
	size_t pid_count;
	uint64_t delay_ns;
	uint64_t look_count;
	enum carom_top_form form;
	enum carom_top_order order;
};

/**
 * carom_top_options_parse() - read the command line
 * @ret_status: where nothing is to be looked at: the exit status, everything being said
 *
 * Return: whether there is something to look at; then free(ret_options->pids).
 */
bool carom_top_options_parse(int argc, char *argv[], struct carom_top_options *ret_options,
			     int *ret_status);

#endif

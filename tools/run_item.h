/*
 * Item: what one job is made of.
 */
#ifndef CAROM_TOOLS_RUN_ITEM_H
#define CAROM_TOOLS_RUN_ITEM_H

#include <stddef.h>

/**
 * struct carom_run_item - one input: a value of each source
 * @text:   the values, each with a NUL behind it; valid until the next call on
 *          the input
 * @length: of all of it, without the last NUL
 * @error:  0, or a positive errno: no command can be run on it (E2BIG too long,
 *          then @text is its beginning; CAROM_RUN_ENUL it holds a NUL byte, then
 *          @text ends there)
 */
struct carom_run_item {
	const char *text;
	size_t length;
	int error;
};

#endif

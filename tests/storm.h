/*
 * Storm
 *
 * For tests that do the same thing very often. A machine that is emulated (tests/vm) is so slow
 * that it asks for a part of that; the machine that it runs on does all.
 */
#ifndef CAROM_TESTS_STORM_H
#define CAROM_TESTS_STORM_H

#include <stdint.h>
#include <stdlib.h>

/* @count, or, if CAROM_STORM_PARTS is set, one of so many parts of it. */
static inline int64_t storm_count(int64_t count)
{
	const char *parts = getenv("CAROM_STORM_PARTS");

	return parts && atoi(parts) > 0 ? (count + atoi(parts) - 1) / atoi(parts) : count;
}

#endif

/* The same body for every way to make a child that there can be here, in a process each. */
#ifndef CAROM_TESTS_CORE_WAYS_H
#define CAROM_TESTS_CORE_WAYS_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/core/apart.h"
#include "tests/needs.h"

static const char *const ways[] = { "clone3", "clone", "fork" };

/* fork(2) gives no pidfd. (Without clone3 it is clone that is tried twice.) */
static inline bool can_be_made_by(const char *way)
{
	return strcmp(way, "fork") != 0 || !is_denied("pidfd_open", "by fork");
}

static inline void each_way(void (*body)(void))
{
	for (int i = 0; i < 3; i++)
		if (can_be_made_by(ways[i]))
			cr_expect(zero(int, apart_with("CAROM_CLONE", ways[i], body)), "by %s",
				  ways[i]);
}

#endif

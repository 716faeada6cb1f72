/*
 * Check: assertions of processes that a test has forked
 *
 *	CHECK(r == 0);			// only there: see apart.h
 *	ASSERT(r == 0, "%d", r);	// there and in the test itself
 *
 * The first that fails is told on standard error and ends its process. cr_assert() would wait
 * there for ever to be heard by Criterion, which knows nothing of such processes.
 */
#ifndef CAROM_TESTS_CORE_CHECK_H
#define CAROM_TESTS_CORE_CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* In the process of a body, and all that it forks. */
static bool is_apart;

#define CHECK(condition)                                                                     \
	do {                                                                                 \
		if (!(condition)) {                                                          \
			dprintf(STDERR_FILENO, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, \
				#condition, errno);                                          \
			_exit(EXIT_FAILURE);                                                 \
		}                                                                            \
	} while (0)

#define ASSERT(condition, ...)                               \
	do {                                                 \
		if (is_apart)                                \
			CHECK(condition);                    \
		else                                         \
			cr_assert(condition, ##__VA_ARGS__); \
	} while (0)

#endif

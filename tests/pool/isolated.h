/* What is not so, or cannot be shown, where every pool of a suite isolates its workers. */
#ifndef CAROM_TESTS_POOL_ISOLATED_H
#define CAROM_TESTS_POOL_ISOLATED_H

#include <criterion/criterion.h>
#include <stdlib.h>

#define SKIP_IF_ISOLATED(reason)                           \
	do {                                               \
		if (getenv("CAROM_ISOLATED"))              \
			cr_skip_test("isolated: " reason); \
	} while (0)

#endif

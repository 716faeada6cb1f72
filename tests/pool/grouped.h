/*
 * Grouped: pools whose workers are in control groups
 *
 * A test that makes one stands alone first (tests/core/groups.h), as only a program that does
 * can hand controllers on.
 */
#ifndef CAROM_TESTS_POOL_GROUPED_H
#define CAROM_TESTS_POOL_GROUPED_H

#include "tests/core/apart.h"
#include "tests/core/groups.h"
#include "tests/pool/methods.h"

/* where groups can be had at all */
static inline void stand_alone_where_possible(void)
{
	if (getenv(BASE_VARIABLE) && !getenv(REASON_VARIABLE))
		close(stand_alone());
}

/* with what needs groups; where there are none the test is skipped by name */
static inline struct carom_pool *grouped_pool(struct carom_pool_options options)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&options, &pool);

	if (r < 0)
		cr_skip_test("skipped: no control groups with these limits: %s", strerror(-r));
	return pool;
}

static inline struct carom_pool_limits limits_of(struct carom_pool *pool)
{
	struct carom_pool_limits limits;

	if (carom_pool_limits(pool, &limits) < 0)
		abort();
	return limits;
}

/* the program's children, the fork server among them */
static inline int count_children(void)
{
	int count = 0, child;
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;

	while ((entry = readdir(threads))) {
		char path[300];
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/children", entry->d_name);
		file = fopen(path, "re");
		while (file && fscanf(file, "%d", &child) == 1)
			count++;
		if (file)
			fclose(file);
	}
	closedir(threads);
	return count;
}

#endif

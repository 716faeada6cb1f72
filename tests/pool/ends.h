/* How workers end, as the library's log says it. */
#ifndef CAROM_TESTS_POOL_ENDS_H
#define CAROM_TESTS_POOL_ENDS_H

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tests/pool/work.h"

#define ENDS_MAX 8192

/**
 * struct end - one worker's
 * @how: "exitcode 7", "signal 9 (SIGKILL)"
 */
struct end {
	int pid;
	char how[40];
};

static struct end ends[ENDS_MAX];
static _Atomic int end_count;

static inline void note_end(const struct carom_log_record *record, void *userdata)
{
	int count = atomic_load(&end_count);
	struct end *end = &ends[count % ENDS_MAX];

	if (record->event != CAROM_LOG_EVENT_WORKER_ENDED)
		return;
	if (sscanf(record->text, "Process '%*[^']' pid:%d exited with '%39[^']'", &end->pid,
		   end->how) == 2)
		atomic_store(&end_count, count + 1);
}

/* before the pool is made */
static inline void watch_ends(void)
{
	carom_log_set_level(CAROM_LOG_DEBUG);
	carom_log_to(note_end, NULL);
}

static inline struct end *await_end(int number)
{
	while (atomic_load(&end_count) <= number)
		sched_yield();
	return &ends[number];
}

/* did it end so? If not, how it did is said */
static inline bool ended_by(const struct end *end, const char *how)
{
	if (strcmp(end->how, how) == 0)
		return true;
	fprintf(stderr, "pid %d ended by %s\n", end->pid, end->how);
	return false;
}

/* memory that workers made later share with the test */
static inline void *share(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static inline void await_count(_Atomic int *count, int at_least)
{
	while (atomic_load(count) < at_least)
		sched_yield();
}

static inline pid_t pid_of_worker(struct carom_pool *pool, uint64_t index)
{
	struct carom_worker_info infos[16];

	for (;;) {
		carom_pool_workers(pool, infos, 16);
		if (infos[index].pid)
			return (pid_t)infos[index].pid;
		sched_yield();
	}
}

#endif

/* Tasks that take so much CPU time and memory; also in tests/pool/child.c. */
#ifndef CAROM_TESTS_POOL_METERED_H
#define CAROM_TESTS_POOL_METERED_H

#include <sys/wait.h>
#include <time.h>

#include "tests/pool/methods.h"

/* touches so many KiB, and gives them back */
static inline int have_for_a_while(int64_t kib)
{
	volatile char *memory = get_memory((size_t)kib * 1024);

	if (!memory)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)kib * 1024; i += 4096)
		memory[i] = 1;
	munmap((void *)memory, (size_t)kib * 1024);
	return 0;
}

static inline int64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * (int64_t)CAROM_NS_PER_SEC + now.tv_nsec;
}

/* so much CPU time */
static inline int compute(int64_t ns)
{
	int64_t end_ns = thread_cpu_ns() + ns;

	while (thread_cpu_ns() < end_ns)
		;
	return 0;
}

static inline int64_t amount_of(struct carom_call *call)
{
	int64_t amount = 0;

	carom_call_read(call, &amount, sizeof(amount));
	return amount;
}

static inline int borrow(struct carom_call *call)
{
	return have_for_a_while(amount_of(call));
}
CAROM_REGISTER(borrow);

static inline int burn(struct carom_call *call)
{
	return compute(amount_of(call));
}
CAROM_REGISTER(burn);

static inline int burn_and_fail(struct carom_call *call)
{
	compute(amount_of(call));
	return carom_call_fail(call, -EIO, "burnt");
}
CAROM_REGISTER(burn_and_fail);

/* in a child, which has nothing of the call, and is waited for */
static inline int let_do(int (*function)(int64_t), int64_t amount)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(function(amount) < 0);
	return pid < 0 || waitpid(pid, &status, 0) < 0 ? -errno : status ? -EIO : 0;
}

static inline int let_burn(struct carom_call *call)
{
	return let_do(compute, amount_of(call));
}
CAROM_REGISTER(let_burn);

static inline int let_borrow(struct carom_call *call)
{
	return let_do(have_for_a_while, amount_of(call));
}
CAROM_REGISTER(let_borrow);

#endif

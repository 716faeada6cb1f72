/* What the tests of shared memory need: memory to share, children, chance that can be replayed. */
#ifndef CAROM_TESTS_SHM_HELP_H
#define CAROM_TESTS_SHM_HELP_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/time.h"
#include "tests/needs.h"

/* Zeroed, inherited by children, gone with the test. */
static inline void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, memory, MAP_FAILED));
	return memory;
}

/* for suites of what stands on lists of held locks, which gVisor has not */
static inline void need_robust_lists(void)
{
	NEEDS("get_robust_list");
}

/* fork() whose child does not outlive a test that fails */
static inline pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	cr_assert(ge(int, pid, 0));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* Return: exit status, or minus the signal that ended it. */
static inline int ended(pid_t pid)
{
	int status = 0;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	cr_assert(eq(int, r, pid));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int killed(pid_t pid)
{
	kill(pid, SIGKILL);
	return ended(pid);
}

/* Until a child is stopped, any if @pid is -1. Return: which. */
static inline pid_t stopped(pid_t pid)
{
	int status = 0;

	pid = waitpid(pid, &status, WUNTRACED);
	cr_assert(ge(int, pid, 0));
	cr_assert(ne(int, WIFSTOPPED(status), 0), "it was to be stopped, and has ended");
	return pid;
}

/* A test with the kernel's list of held locks, and one where the pthread library stands in for it. */
#define TEST_BOTH(suite, name)                              \
	static void name(void);                             \
	Test(suite, name, .timeout = 60)                    \
	{                                                   \
		name();                                     \
	}                                                   \
	Test(suite, name##_without_the_list, .timeout = 60) \
	{                                                   \
		setenv("CAROM_DENY", "robust_list", 1);     \
		name();                                     \
	}                                                   \
	static void name(void)

/* What a line for people should be; valid until the next one. */
__attribute__((format(printf, 1, 2))) static inline const char *line(const char *format, ...)
{
	static char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return text;
}

/* Until @condition; the test's own time limit ends a wait that is in vain. */
#define await(condition)               \
	do {                           \
		while (!(condition))   \
			sched_yield(); \
	} while (0)

/* By a child that has what it was to get: it keeps that until it is killed. */
static inline _Noreturn void hold_until_killed(_Atomic uint32_t *has_it)
{
	atomic_store(has_it, 1);
	for (;;)
		pause();
}

static inline void await_held(_Atomic uint32_t *has_it)
{
	await(atomic_load(has_it));
	atomic_store(has_it, 0);
}

/* Until a child says 1 no more: a signal before its wait counts for nothing. Its end. */
static inline int ended_by_signals(pid_t pid, _Atomic uint32_t *waits)
{
	await(atomic_load(waits) == 1);
	while (atomic_load(waits) == 1) {
		kill(pid, SIGUSR1);
		sched_yield();
	}
	atomic_store(waits, 0);
	return ended(pid);
}

/* For a child that does nothing but wait for one thing. */
static inline void await_asleep(pid_t pid)
{
	char path[64], state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		cr_assert(ne(ptr, file, NULL));
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(file);
		cr_assert(ne(chr, state, 'Z'), "it was to wait, and has ended");
		sched_yield();
	}
}

static inline int open_fd_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	cr_assert(ne(ptr, directory, NULL));
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* CAROM_SEED in the environment replays a run. */
static inline uint64_t new_seed(void)
{
	const char *given = getenv("CAROM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : carom_now();

	fprintf(stderr, "# CAROM_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint32_t chance(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

#endif

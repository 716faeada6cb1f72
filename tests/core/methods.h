/*
 * The same child under every start method.
 *
 * A suite's program has no main() of its own that could call carom_main_hook(), so what
 * "spawn" runs is a program beside it, `tests/core/child.c`, into which the same functions are
 * compiled: they stand in functions.h, and are registered by their names in both.
 */
#ifndef TESTS_CORE_METHODS_H
#define TESTS_CORE_METHODS_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clone.h"
#include "core/context.h"
#include "core/pidfd.h"
#include "core/process.h"
#include "core/time.h"
#include "tests/core/check.h"
#include "tests/core/functions.h"

static const char *const methods[] = { "fork", "spawn", "forkserver" };

/* Every method that there is: without the ways that a fork server needs, there are two. */
#define EACH_METHOD(context)                                                     \
	for (size_t each_ = 0; each_ < 3; each_++)                               \
		if (!(context = context_of(methods[each_])))                     \
			dprintf(STDERR_FILENO, "skipped: %s\n", methods[each_]); \
		else

/* NULL: no fork server can be */
static inline struct carom_context *context_of(const char *method)
{
	struct carom_context *context = NULL;
	int r;

	ASSERT(carom_set_executable(getenv("CAROM_CHILD")) == 0);
	r = carom_context_get(method, &context);
	if (carom_clone_way() == CAROM_CLONE_BY_FORK && strcmp(method, "forkserver") == 0)
		ASSERT(r == -EOPNOTSUPP, "%s: %d", method, r);
	else
		ASSERT(r == 0, "%s: %d", method, r);
	return context;
}

/* Started; the caller's to free. */
static inline struct carom_process *start_with(struct carom_process_options options)
{
	struct carom_process *process = NULL;
	int r = carom_process_new(&options, &process);

	ASSERT(r == 0, "new: %d", r);
	r = carom_process_start(process);
	ASSERT(r == 0, "start: %d", r);
	return process;
}

#define START(...) start_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

/* Its exit code, after it has ended. */
static inline int exitcode_of(struct carom_process *process)
{
	int code = 1000;

	ASSERT(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	ASSERT(carom_process_exitcode(process, &code) == 0);
	return code;
}

/* Started, joined, freed: the exit code. */
static inline int run_with(struct carom_process_options options)
{
	struct carom_process *process = start_with(options);
	int code = exitcode_of(process);

	carom_process_free(process);
	return code;
}

#define RUN(...) run_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

/*
 * A child that waits for a word, as wait_for_word() does, and has said that it is there.
 * @from_fd: what it says
 * @to_fd:   what it is told; a byte, since by "fork" it has a copy of this end too
 */
struct talk {
	struct carom_process *process;
	int from_fd;
	int to_fd;
};

static inline struct talk talk_with(struct carom_process_options options)
{
	int from[2], to[2], fds[2];
	struct talk talk;
	char byte = 0;

	ASSERT(pipe(from) == 0 && pipe(to) == 0);
	fds[0] = from[1];
	fds[1] = to[0];
	options.fds = fds;
	options.fd_count = 2;
	talk = (struct talk){ start_with(options), from[0], to[1] };
	close(from[1]);
	close(to[0]);
	ASSERT(read(talk.from_fd, &byte, 1) == 1 && byte == '!');
	return talk;
}

#define TALK(...) talk_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

static inline void tell(const struct talk *talk, char byte)
{
	ASSERT(write(talk->to_fd, &byte, 1) == 1);
}

static inline void end_talk(struct talk *talk)
{
	carom_process_free(talk->process);
	close(talk->from_fd);
	close(talk->to_fd);
}

/* Until a pidfd says that its process has ended; reaps nothing. */
static inline void wait_for_pidfd(int pidfd)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	ASSERT(poll(&poll_fd, 1, 60000) == 1 && poll_fd.revents & POLLIN);
}

/* Until nothing is left of it: a zombie still takes signals, though none has an effect. */
static inline bool is_reaped_soon(int pidfd)
{
	uint64_t deadline_ns = carom_deadline_after(30 * CAROM_NS_PER_SEC);
	struct pollfd poll_fd = { .fd = pidfd };

	int r;

	while ((r = carom_pidfd_signal(pidfd, 0)) == 0) {
		if (carom_now() > deadline_ns)
			return false;
		poll(&poll_fd, 1, 1); /* POLLHUP, where the kernel knows it */
	}
	return r == -ESRCH;
}

/* What a child writes to its first descriptor until it closes it. */
static inline size_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length + 1 < size && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return length;
}

#endif

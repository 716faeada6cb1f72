/*
 * Needs
 *
 * What a test needs of the kernel and a container may deny. Asked for by the call itself,
 * with arguments that do no harm, so that the library's own answers, which are made once
 * a process and may be forced, are left alone:
 *
 *	NEEDS("pidfd_open");			// else the test is skipped, by name
 *	if (!is_denied("io_uring", "one half"))	// or a part of it, which is said
 */
#ifndef CAROM_TESTS_NEEDS_H
#define CAROM_TESTS_NEEDS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The error with which the kernel, or what is around this process, denies it; 0: it does not. */
static inline int denial_of(const char *call)
{
	static const struct {
		const char *call;
		long number;
		long arguments[3];
	} calls[] = {
		{ "clone3", SYS_clone3, { 0, 0, 0 } },
		{ "pidfd_open", SYS_pidfd_open, { 0, 0, 0 } },
		{ "pidfd_send_signal", SYS_pidfd_send_signal, { -2, 0, 0 } },
		{ "close_range", SYS_close_range, { -1, -1, 0 } },
		{ "io_uring", SYS_io_uring_setup, { 0, 0, 0 } },
		{ "futex_waitv", 449, { 0, 0, 0 } },
		{ "membarrier", SYS_membarrier, { 0, 0, 0 } },
		{ "get_robust_list", SYS_get_robust_list, { 0, 0, 0 } },
		{ "unshare", SYS_unshare, { 0, 0, 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const long *a = calls[i].arguments;

		if (strcmp(calls[i].call, call) != 0)
			continue;
		if (syscall((int)calls[i].number, a[0], a[1], a[2], 0, 0, 0) >= 0)
			return 0;
		return errno == EPERM || errno == ENOSYS ? errno : 0;
	}
	abort(); /* no such line above */
}

static inline bool is_denied(const char *call, const char *part)
{
	int error = denial_of(call);

	if (error)
		dprintf(STDERR_FILENO, "skipped: %s: %s is denied here (%s)\n", part, call,
			strerrorname_np(error));
	return error;
}

#define NEEDS(call)                                                                            \
	do {                                                                                   \
		int error_ = denial_of(call);                                                  \
                                                                                               \
		if (error_)                                                                    \
			cr_skip_test("%s is denied here (%s)", call, strerrorname_np(error_)); \
	} while (0)

#endif

/*
 * Error
 *
 * The values the library gives a meaning of its own come with what to do next;
 * all others are the C library's words.
 */
#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	int error;
	const char *sentence;
} meanings[] = {
	{ EAGAIN, "would block (wait, or free a result first)" },
	{ ETIMEDOUT, "the deadline passed (the work goes on; wait again or give up)" },
	{ EREMOTEIO, "the task ended without a value (its outcome says how)" },
	{ ECANCELED, "cancelled" },
	{ ESHUTDOWN, "the pool takes no more work (it was closed or terminated)" },
	{ EPIPE, "the peer closed its end" },
	{ ECONNRESET, "the peer is gone, and what it was sending is torn" },
	{ EINPROGRESS, "sent in part (the rest is kept: flush it, or send on)" },
	{ EKEYREJECTED, "no authentication (the peer has another key, or none)" },
	{ ESRCH, "that process is gone" },
	{ EOWNERDEAD, "the holder died (repair the state, then declare it consistent)" },
	{ ENOTRECOVERABLE, "the state cannot be recovered (make a new object)" },
	{ EBADMSG, "a peer wrote nonsense" },
	{ EMSGSIZE, "does not fit (use a larger buffer)" },
	{ ECHILD, "a handle from before fork() (make a new one in this process)" },
	{ E2BIG, "an option this version of the library does not know" },
	{ EOPNOTSUPP,
	  "not supported by this kernel or this version of the library; see `carom doctor`" },
	{ ENOEXEC, "not a program to start (or this one has not called carom_main_hook())" },
	{ EMFILE, "too many open files (raise the limit: ulimit -n)" },
};

const char *carom_strerror(int error)
{
	int code = error < 0 ? -error : error;
	const char *text;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (meanings[i].error == code)
			return meanings[i].sentence;
	text = strerrordesc_np(code);
	return text ? text : "unknown error";
}

int carom_complain(const char *what, int error)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s: %s: %s\n", program_invocation_short_name, what,
			 carom_strerror(error));

	if (n >= (int)sizeof(line))
		n = (int)sizeof(line) - 1;
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return EXIT_FAILURE; /* nobody is left to be told */
	return EXIT_FAILURE;
}

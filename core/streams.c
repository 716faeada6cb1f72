/*
 * Streams
 *
 * SIGPIPE goes to the thread that writes. It is blocked for the while and taken away if
 * it came; one that was pending before, which is somebody else's, stays.
 */
#include "core/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <time.h>
#include <unistd.h>

static bool is_pending(int signal_number)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, signal_number) == 1;
}

static void take_signal(const sigset_t *set)
{
	const struct timespec now = { 0 };

	while (sigtimedwait(set, NULL, &now) < 0 && errno == EINTR)
		;
}

void carom_streams_flush(void)
{
	sigset_t broken_pipe, before;
	bool was_pending;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
	was_pending = is_pending(SIGPIPE);
	fflush(NULL);
	if (!was_pending && is_pending(SIGPIPE))
		take_signal(&broken_pipe);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void carom_streams_read_nothing(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd > STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	} else if (fd == STDIN_FILENO) {
		fcntl(fd, F_SETFD, 0);
	}
	__fpurge(stdin); /* what was read ahead is its parent's */
	clearerr(stdin);
}

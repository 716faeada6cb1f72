/* Descriptors through a connection. */
#include "ipc/passing.h"

#include "tests/ipc/ends.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>

/* RD-01 */
Test(passing, descriptor_arrives_and_works, .timeout = 20)
{
	PIPE(first, second, );
	int fds[2], got = -1;
	char byte;
	pid_t pid;

	cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
	pid = child();
	if (pid == 0) {
		int r = carom_connection_recv_fd(second, soon(), &got);

		_exit(r != 0 || write(got, "x", 1) != 1 || !(fcntl(got, F_GETFD) & FD_CLOEXEC));
	}
	cr_assert(zero(int, carom_connection_send_fd(first, fds[1], soon())));
	close(fds[1]);
	cr_expect(eq(int, (int)read(fds[0], &byte, 1), 1));
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, (int)read(fds[0], &byte, 1), 0), "nobody has it any more");
	close(fds[0]);
}

/* CN-17 */
Test(passing, connection_goes_to_another_process, .timeout = 20)
{
	PIPE(first, second, );
	PIPE(mine, theirs, );
	pid_t pid = child();

	if (pid == 0) {
		struct carom_connection *got = NULL;
		int fd = -1, r;

		carom_connection_close(mine);
		carom_connection_close(theirs);
		r = carom_connection_recv_fd(second, soon(), &fd);
		if (r == 0)
			r = carom_connection_new_take(fd, NULL, &got);
		_exit(r != 0 || give(got, "through it", 10) != 0);
	}
	cr_assert(zero(int, carom_connection_send_fd(first, carom_connection_fd(theirs), soon())));
	carom_connection_close(theirs);
	expect_message(mine, "through it");
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(long, take(mine, NULL, 0), -EPIPE), "nobody has it any more");
}

static void fill(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
}

/* RD-02 */
Test(passing, as_many_as_the_kernel_allows, .timeout = 20)
{
	PIPE(first, second, );
	int fds[CAROM_PASSED_FDS_MAX + 1], got[CAROM_PASSED_FDS_MAX], before;

	fill(fds, CAROM_PASSED_FDS_MAX + 1);
	/* a pipe through shared memory gets its sockets for descriptors when they are wanted */
	cr_assert(zero(int, carom_connection_send_fd(first, 2, soon())));
	cr_assert(zero(int, carom_connection_recv_fd(second, soon(), &got[0])));
	close(got[0]);
	before = open_fd_count();
	cr_expect(eq(int, carom_connection_send_fds(first, fds, 0, soon()), -EINVAL));
	cr_expect(eq(int, carom_connection_send_fds(first, fds, CAROM_PASSED_FDS_MAX + 1, soon()),
		     -EINVAL));
	cr_assert(zero(int, carom_connection_send_fds(first, fds, CAROM_PASSED_FDS_MAX, soon())));
	cr_assert(zero(int, give(first, "between", 7)));
	cr_assert(zero(int, carom_connection_send_fds(first, fds, 3, soon())));
	cr_assert(zero(int, carom_connection_recv_fds(second, CAROM_PASSED_FDS_MAX, soon(), got)));
	cr_expect(eq(int, open_fd_count(), before + CAROM_PASSED_FDS_MAX));
	for (int i = 0; i < CAROM_PASSED_FDS_MAX; i++)
		close(got[i]);
	expect_message(second, "between");
	/* others than asked for are closed */
	cr_expect(eq(int, carom_connection_recv_fds(second, 2, soon(), got), -EBADMSG));
	cr_expect(eq(int, open_fd_count(), before));
	cr_expect(eq(int, carom_connection_recv_fds(second, 2, CAROM_PASSED, got), -EAGAIN));
	carom_connection_close(first);
	cr_expect(eq(int, carom_connection_recv_fds(second, 1, soon(), got), -EPIPE));
}

Test(passing, what_is_no_descriptor_is_refused, .timeout = 20)
{
	SOCKETS(first, second, );
	SOCKETS(other, another, );
	int got = -7;

	cr_expect(eq(int, carom_connection_send_fd(first, -1, soon()), -EBADF));
	cr_expect(eq(int, carom_connection_recv_fds(second, 0, soon(), &got), -EINVAL));
	cr_assert(zero(int, give(first, "message", 7)));
	cr_expect(eq(int, carom_connection_recv_fd(second, soon(), &got), -EBADMSG));
	cr_expect(eq(long, take(second, NULL, 0), -EBADMSG), "and so is what comes then");

	/* a message that is at the head is not torn */
	cr_assert(zero(int, give(other, "message", 7)));
	cr_expect(eq(long, take(another, NULL, 0), -EMSGSIZE));
	cr_expect(eq(int, carom_connection_recv_fd(another, soon(), &got), -EBUSY));
	expect_message(another, "message");
	cr_expect(eq(int, got, -7));
	carom_connection_close(another);
	cr_expect(eq(int, carom_connection_recv_fd(another, soon(), &got), -EBADF));
}

Test(passing, descriptors_for_which_there_is_no_number_are_lost, .timeout = 20)
{
	PIPE(first, second, );
	struct rlimit before, limit;
	int fds[8], got[8], last;

	fill(fds, 8);
	cr_assert(zero(int, carom_connection_send_fds(first, fds, 8, soon())));
	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &before)));
	limit = before;
	while ((last = dup(0)) < 60) /* nothing is free below it */
		;
	limit.rlim_cur = (rlim_t)last + 3; /* two are left */
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(int, carom_connection_recv_fds(second, 8, soon(), got), -EMFILE));
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &before)));
	cr_expect(eq(int, dup(0), last + 1), "those that came are closed");
}

static int tcp_pair(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(zero(int, bind(listening, (struct sockaddr *)&address, size)));
	cr_assert(zero(int, listen(listening, 1)));
	cr_assert(zero(int, getsockname(listening, (struct sockaddr *)&address, &size)));
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(zero(int, connect(fds[0], (struct sockaddr *)&address, size)));
	fds[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(ge(int, fds[1], 0));
	return close(listening);
}

/* RD-08 */
Test(passing, descriptors_do_not_leave_the_machine, .timeout = 20)
{
	CONNECTION inet = NULL;
	CONNECTION end = NULL;
	int tcp[2], pipe_fds[2], got;

	cr_assert(zero(int, tcp_pair(tcp)));
	cr_assert(zero(int, carom_connection_new_take(tcp[0], NULL, &inet)));
	cr_expect(eq(int, carom_connection_send_fd(inet, 0, soon()), -EPERM));
	cr_expect(eq(int, carom_connection_recv_fd(inet, soon(), &got), -EPERM));
	close(tcp[1]);
	cr_assert(zero(int, pipe2(pipe_fds, O_CLOEXEC)));
	cr_assert(zero(int, carom_connection_new_take(pipe_fds[1], NULL, &end)));
	cr_expect(eq(int, carom_connection_send_fd(end, 0, soon()), -EPERM));
	close(pipe_fds[0]);
}

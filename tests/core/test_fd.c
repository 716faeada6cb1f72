/* Descriptors of processes that become others, or talk to each other. */
#include "core/fd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/private_fd.h"
#include "tests/core/apart.h"

/* ---- closing ---- */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Numbers 0 to 40 and a high one are open afterwards. */
static void open_many(void)
{
	for (int fd = 0; fd <= 40; fd++)
		if (!is_open(fd))
			CHECK(open("/dev/null", O_RDWR) >= 0);
	for (int fd = 0; fd <= 40; fd++)
		CHECK(is_open(fd));
	CHECK(dup2(0, 900) == 900);
}

static void keep_only(const int *keep, size_t count)
{
	int failures = 0;

	open_many();
	carom_fd_close_except(keep, count);
	for (int fd = 0; fd <= 900; fd++) {
		bool is_kept = false;

		for (size_t i = 0; i < count; i++)
			is_kept |= keep[i] == fd;
		failures += is_open(fd) != is_kept;
	}
	if (failures)
		_exit(failures); /* standard error may be closed */
}

static void keep_some(void)
{
	keep_only((int[]){ 33, 5, 900, 5, -1 }, 5);
}

static void keep_none(void)
{
	keep_only(NULL, 0);
}

static void keep_standard_and_7(void)
{
	keep_only((int[]){ 0, 1, 2, 7 }, 4);
}

/* UT-08 */
Test(fd, survives_only_if_it_is_listed)
{
	cr_expect(zero(int, apart(keep_some)));
	cr_expect(zero(int, apart(keep_none)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "close_range", keep_some)));
}

/* UT-09 */
Test(fd, standard_ones_survive_like_others_by_being_listed)
{
	cr_expect(zero(int, apart(keep_standard_and_7)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "close_range", keep_standard_and_7)));
}

/* ---- limit ---- */

/* UT-14 */
Test(fd, limit_is_the_soft_or_the_hard_one)
{
	struct rlimit limit;

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(u64, carom_fd_limit(false), limit.rlim_cur));
	cr_expect(eq(u64, carom_fd_limit(true), limit.rlim_max));
	limit = (struct rlimit){ 100, 200 };
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(u64, carom_fd_limit(false), 100));
	cr_expect(eq(u64, carom_fd_limit(true), 200));
}

/* ---- blocking ---- */

/* UT-15 */
Test(fd, blocking_is_switched_off_and_on)
{
	int fds[2];
	char byte;

	cr_assert(zero(int, pipe(fds)));
	cr_expect(eq(int, carom_fd_is_blocking(fds[0]), 1));
	cr_expect(zero(int, carom_fd_set_blocking(fds[0], false)));
	cr_expect(zero(int, carom_fd_is_blocking(fds[0])));
	cr_expect(eq(int, (int)read(fds[0], &byte, 1), -1));
	cr_expect(eq(int, errno, EAGAIN));
	cr_expect(zero(int, carom_fd_set_blocking(fds[0], true)));
	cr_expect(eq(int, carom_fd_is_blocking(fds[0]), 1));
	cr_expect(eq(int, carom_fd_is_blocking(-1), -EBADF));
	cr_expect(eq(int, carom_fd_set_blocking(-1, true), -EBADF));
}

/* ---- private ones ---- */

static bool is_open_in_a_child(int fd)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(is_open(fd));
	CHECK(waitpid(pid, &status, 0) == pid);
	return WEXITSTATUS(status);
}

/* What was private when it was forked is removed in a child that has a file by its number. */
static void remove_those_of_the_parent(void)
{
	static struct carom_private_fd first, second;
	int fd = open("/", O_RDONLY);
	pid_t pid;
	int status;

	carom_private_fd_add(&first, fd);
	carom_private_fd_add(&second, open("/", O_RDONLY));
	pid = fork();
	if (pid == 0) {
		CHECK(!is_open(fd));
		CHECK(open("/", O_RDONLY) == fd);
		carom_private_fd_remove(&second);
		CHECK(is_open_in_a_child(fd));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

Test(fd, of_the_parents_private_ones_none_is_private_in_a_child)
{
	cr_expect(zero(int, apart(remove_those_of_the_parent)));
}

/* ---- reading ---- */

#define SIZE (1 << 20)

static unsigned char pattern(size_t at)
{
	return (unsigned char)(at * 31 + (at >> 8));
}

/* In pieces of all sizes, then the end. */
static void *write_pieces(void *userdata)
{
	static unsigned char data[SIZE];
	int fd = *(int *)userdata;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = pattern(i);
	for (size_t at = 0, n = 1; at < SIZE; at += n, n = n * 5 % 7919)
		if (write(fd, data + at, n < SIZE - at ? n : SIZE - at) < 0)
			abort();
	close(fd);
	return NULL;
}

static void expect_data(int fds[2])
{
	static unsigned char data[SIZE];
	pthread_t thread;
	size_t wrong = 0;

	cr_assert(zero(int, pthread_create(&thread, NULL, write_pieces, &fds[1])));
	cr_expect(eq(sz, (size_t)carom_fd_read(fds[0], data, SIZE - 10), SIZE - 10));
	cr_expect(eq(sz, (size_t)carom_fd_read(fds[0], data + SIZE - 10, 100), 10));
	cr_expect(zero(sz, (size_t)carom_fd_read(fds[0], data, 100)));
	for (size_t i = 10; i < SIZE - 10; i++)
		wrong += data[i] != pattern(i);
	cr_expect(zero(sz, wrong));
	pthread_join(thread, NULL);
	close(fds[0]);
}

/* UT-27 */
Test(fd, is_read_to_the_size_asked_for_or_the_end, .timeout = 20)
{
	int fds[2];

	cr_assert(zero(int, pipe(fds)));
	expect_data(fds);
}

Test(fd, that_does_not_block_is_waited_for, .timeout = 20)
{
	int fds[2];

	cr_assert(zero(int, pipe(fds)));
	cr_assert(zero(int, carom_fd_set_blocking(fds[0], false)));
	expect_data(fds);
}

static _Atomic bool is_over;
static _Atomic long interruptions;

static void interrupt(int number)
{
	(void)number;
	interruptions++;
}

static void *send_signals(void *userdata)
{
	while (!is_over)
		pthread_kill(*(pthread_t *)userdata, SIGUSR1);
	return NULL;
}

/* UT-12 */
Test(fd, is_read_completely_in_a_storm_of_signals, .timeout = 60)
{
	struct sigaction action = { .sa_handler = interrupt };
	pthread_t self = pthread_self(), thread;
	int fds[2];

	sigaction(SIGUSR1, &action, NULL);
	cr_assert(zero(int, pthread_create(&thread, NULL, send_signals, &self)));
	for (int i = 0; i < 3 || interruptions == 0; i++) {
		cr_assert(zero(int, pipe(fds)));
		expect_data(fds);
	}
	is_over = true;
	pthread_join(thread, NULL);
}

Test(fd, that_cannot_be_read_says_why)
{
	char byte;

	cr_expect(eq(int, (int)carom_fd_read(-1, &byte, 1), -EBADF));
	cr_expect(eq(int, (int)carom_fd_read(open("/", O_RDONLY), &byte, 1), -EISDIR));
}

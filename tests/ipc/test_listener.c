/* Where other processes connect to, and how they do. */
#include "ipc/listener.h"

#include "tests/ipc/ends.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/fd.h"
#include "core/finalizer_private.h"
#include "core/process.h"

#define KEY "secret"

#define LISTENER(listener, ...)                                                     \
	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL; \
	cr_assert(zero(int, carom_listener_new(&CAROM_LISTENER_OPTIONS(__VA_ARGS__), &listener)))

static char place[] = "/tmp/carom-test-listener-XXXXXX";
static char path[64];

static void make_a_place(void)
{
	if (!mkdtemp(place) || setenv("TMPDIR", place, 1) < 0)
		abort();
	snprintf(path, sizeof(path), "%s/socket", place);
}

/* Fails if there is anything left in it. */
static void remove_the_place(void)
{
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(zero(int, rmdir(place)), "%s: %s", place, strerror(errno));
}

TestSuite(listener, .init = make_a_place, .fini = remove_the_place, .timeout = 60);

/* ---- clients ---- */

/** struct visit - a client in a thread of its own, which says @text and hears it back */
struct visit {
	struct carom_client_options options;
	const char *text;
	int result;
	pthread_t thread;
};

static int say(const struct visit *visit)
{
	CONNECTION connection = NULL;
	char text[64] = "";
	int r = carom_client_connect(&visit->options, soon(), &connection);
	long size;

	if (r == 0)
		r = give(connection, visit->text, strlen(visit->text));
	if (r < 0)
		return r;
	size = take(connection, text, sizeof(text));
	return size < 0 ? (int)size : strcmp(text, visit->text);
}

static void *visit_now(void *data)
{
	struct visit *visit = data;

	visit->result = say(visit);
	return NULL;
}

static void begin_visit(struct visit *visit, const char *text)
{
	visit->text = text;
	cr_assert(zero(int, pthread_create(&visit->thread, NULL, visit_now, visit)));
}

static int end_visit(struct visit *visit)
{
	pthread_join(visit->thread, NULL);
	return visit->result;
}

static void echo_once(struct carom_listener *listener)
{
	CONNECTION connection = NULL;
	char text[64];
	long size;

	cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
	size = take(connection, text, sizeof(text));
	cr_assert(ge(long, size, 0));
	cr_assert(zero(int, give(connection, text, (size_t)size)));
}

#define expect_visit(listener, ...)                                                     \
	do {                                                                            \
		struct visit visit_ = { .options = CAROM_CLIENT_OPTIONS(__VA_ARGS__) }; \
                                                                                        \
		begin_visit(&visit_, "hello");                                          \
		echo_once(listener);                                                    \
		cr_expect(zero(int, end_visit(&visit_)));                               \
	} while (0)

/* ---- where ---- */

/* LC-01 */
Test(listener, is_a_new_path_if_nothing_else_is_said)
{
	LISTENER(listener, );
	LISTENER(other, .family = AF_UNIX);
	LISTENER(inet, .family = AF_INET);
	const char *mine = carom_listener_path(listener);

	cr_expect(eq(int, carom_listener_family(listener), AF_UNIX));
	cr_expect(zero(int, strncmp(mine, place, strlen(place))));
	cr_expect(ne(ptr, strstr(mine, "/listener-"), NULL));
	cr_expect(ne(int, strcmp(mine, carom_listener_path(other)), 0));
	expect_visit(listener, .path = mine);
	cr_expect(eq(int, carom_listener_family(inet), AF_INET));
	expect_visit(inet, .port = carom_listener_port(inet));
}

/* LC-02 */
Test(listener, family_is_told_by_the_address)
{
	char name[64];
	LISTENER(by_path, .path = path);
	LISTENER(by_host, .host = "127.0.0.1");
	struct carom_listener *none = NULL;

	cr_expect(eq(int, carom_listener_family(by_path), AF_UNIX));
	cr_expect(zero(int, strcmp(carom_listener_path(by_path), path)));
	cr_expect(eq(int, carom_listener_family(by_host), AF_INET));
	snprintf(name, sizeof(name), "@carom-test-%d", (int)getpid());
	{
		LISTENER(abstract, .path = name);

		cr_expect(eq(int, carom_listener_family(abstract), AF_UNIX));
		expect_visit(abstract, .path = name);
		cr_expect(eq(int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = name), &none),
			     -EADDRINUSE));
	}
	{
		LISTENER(again, .path = name);
	}
	cr_expect(eq(int,
		     carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = "\\\\.\\pipe\\x"), &none),
		     -EINVAL));
}

/* LC-03 */
/* LC-04 */
Test(listener, port_is_the_real_one_and_free_again_at_once)
{
	uint16_t port;
	struct carom_listener *none = NULL;
	{
		LISTENER(listener, .family = AF_INET);

		port = carom_listener_port(listener);
		cr_expect(ne(u16, port, 0));
		cr_expect(zero(int, strcmp(carom_listener_host(listener), "127.0.0.1")));
		cr_expect(eq(ptr, (void *)carom_listener_path(listener), NULL));
		cr_expect(fcntl(carom_listener_fd(listener), F_GETFD) & FD_CLOEXEC);
		/* the side that closes first is in TIME_WAIT */
		expect_visit(listener, .host = "localhost", .port = port);
		cr_expect(eq(
			int,
			carom_listener_new(
				&CAROM_LISTENER_OPTIONS(.host = "127.0.0.1", .port = port), &none),
			-EADDRINUSE));
	}
	LISTENER(again, .host = "127.0.0.1", .port = port);
	cr_expect(eq(u16, carom_listener_port(again), port));
}

/* LC-16 */
Test(listener, is_reached_over_ipv6)
{
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	bool is_there =
		probe >= 0 && bind(probe, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(probe);
	if (!is_there)
		cr_skip_test("skipped: there is no ::1 here");
	LISTENER(listener, .host = "::1", .authkey = KEY, .authkey_size = 6);
	LISTENER(other, .family = AF_INET6);
	struct carom_peer peer;

	cr_expect(eq(int, carom_listener_family(listener), AF_INET6));
	expect_visit(listener, .host = "::1", .port = carom_listener_port(listener), .authkey = KEY,
		     .authkey_size = 6);
	cr_expect(zero(int, carom_listener_last_accepted(listener, &peer)));
	cr_expect(zero(int, strcmp(peer.host, "::1")));
	expect_visit(other, .family = AF_INET6, .port = carom_listener_port(other));
}

/* LC-09 */
Test(listener, path_may_be_longer_than_an_address)
{
	char directory[300], long_path[400], file_name[300];
	struct carom_listener *none = NULL;
	struct stat status;

	snprintf(directory, sizeof(directory), "%s/%0200d", place, 7);
	snprintf(long_path, sizeof(long_path), "%s/socket", directory);
	cr_assert(zero(int, mkdir(directory, 0700)));
	setenv("TMPDIR", directory, 1);
	{
		LISTENER(listener, .path = long_path);
		LISTENER(made, );

		expect_visit(listener, .path = long_path);
		cr_expect(zero(int, lstat(long_path, &status)));
		cr_expect(eq(int, (int)(status.st_mode & S_IFMT), S_IFSOCK));
		cr_expect(lt(sz, 200, strlen(carom_listener_path(made))));
		expect_visit(made, .path = carom_listener_path(made));
	}
	cr_expect(eq(int, lstat(long_path, &status), -1));
	snprintf(file_name, sizeof(file_name), "%s/%0100d", place, 7);
	cr_expect(eq(int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = file_name), &none),
		     -ENAMETOOLONG));
	snprintf(file_name, sizeof(file_name), "@%0108d", 7);
	cr_expect(eq(int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = file_name), &none),
		     -ENAMETOOLONG));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(zero(int, rmdir(directory)));
}

Test(listener, places_that_make_no_sense_are_refused)
{
	struct {
		struct carom_listener_options options;
		uint64_t newer;
	} newer = { { .size_bytes = sizeof(newer) }, 1 };
	const struct {
		struct carom_listener_options options;
		int error;
	} wrong[] = {
		{ CAROM_LISTENER_OPTIONS(.path = path, .host = "localhost"), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.path = path, .port = 1), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.path = path, .family = AF_INET), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.host = "localhost", .family = AF_UNIX), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.path = ""), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.path = "@"), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.path = "/tmp/"), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.family = AF_NETLINK), -EAFNOSUPPORT },
		{ CAROM_LISTENER_OPTIONS(.host = "999.1.1.1.invalid"), -EADDRNOTAVAIL },
		{ CAROM_LISTENER_OPTIONS(.host = "192.0.2.1"), -EADDRNOTAVAIL },
		{ CAROM_LISTENER_OPTIONS(.path = "/nowhere/at/all"), -ENOENT },
		{ CAROM_LISTENER_OPTIONS(.path = "/dev/null/x"), -ENOTDIR },
		{ CAROM_LISTENER_OPTIONS(.backlog = -1), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.framing = 3), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.reserved = 1), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.authkey = "", .authkey_size = 0), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.authkey = NULL, .authkey_size = 6), -EINVAL },
		{ CAROM_LISTENER_OPTIONS(.authkey = KEY, .authkey_size = 6, .digest = 99),
		  -EINVAL },
	};
	struct carom_listener *listener = NULL;
	int before = open_fd_count();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int r = carom_listener_new(&wrong[i].options, &listener);

		/* without a resolver */
		cr_expect(r == wrong[i].error || (i == 8 && r == -EHOSTUNREACH), "line %zu: %d", i,
			  r);
	}
	cr_expect(eq(int, carom_listener_new(&newer.options, &listener), -E2BIG));
	cr_expect(eq(ptr, listener, NULL));
	cr_expect(eq(int, open_fd_count(), before));
}

/* ---- the file ---- */

/* LC-07 */
/* LC-11 */
Test(listener, path_goes_once_and_only_its_own)
{
	struct stat status;
	{
		LISTENER(listener, .path = path);

		cr_expect(zero(int, lstat(path, &status)));
	}
	cr_expect(eq(int, lstat(path, &status), -1), "at the end of the scope");
	{
		LISTENER(listener, .path = path);

		carom_listener_close(listener);
		cr_expect(eq(int, lstat(path, &status), -1));
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		carom_listener_close(listener);
	}
	cr_expect(zero(int, lstat(path, &status)), "somebody else's");
	cr_assert(zero(int, unlink(path)));
	{
		LISTENER(listener, .path = path);

		cr_assert(zero(int, unlink(path)));
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	cr_expect(zero(int, lstat(path, &status)), "somebody else's by now");
	cr_assert(zero(int, unlink(path)));
}

Test(listener, path_goes_at_the_exit_and_not_by_a_child)
{
	struct stat status;
	pid_t pid;
	{
		LISTENER(listener, .path = path);

		pid = child();
		if (pid == 0) {
			carom_listener_free(listener);
			_exit(0);
		}
		cr_expect(zero(int, ended(pid)));
		cr_expect(zero(int, lstat(path, &status)));
	}
	pid = child();
	if (pid == 0) {
		struct carom_listener *listener = NULL;
		int r = carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener);

		carom_finalizers_run(CAROM_FINALIZERS_ALL);
		_exit(r != 0 || !listener || access(path, F_OK) == 0);
	}
	cr_expect(zero(int, ended(pid)));
}

/* LC-08 */
Test(listener, path_that_is_there_is_in_use)
{
	struct carom_listener *none = NULL;
	struct carom_listener_options options = CAROM_LISTENER_OPTIONS(.path = path);
	LISTENER(listener, .path = path);

	cr_expect(eq(int, carom_listener_new(&options, &none), -EADDRINUSE));
	options.replaces_stale = true;
	cr_expect(eq(int, carom_listener_new(&options, &none), -EADDRINUSE), "it is not stale");
	expect_visit(listener, .path = path);
	carom_listener_close(listener);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect(eq(int, carom_listener_new(&options, &none), -EADDRINUSE), "nor a socket");
	cr_assert(zero(int, unlink(path)));
}

static void leave_a_stale_socket(void)
{
	pid_t pid = child();

	if (pid == 0) {
		struct carom_listener *listener = NULL;

		if (carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	cr_assert(eq(int, ended(pid), -SIGKILL));
	cr_assert(zero(int, access(path, F_OK)));
}

Test(listener, stale_path_is_replaced_if_it_may_be)
{
	struct carom_listener *none = NULL;

	leave_a_stale_socket();
	cr_expect(eq(int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &none),
		     -EADDRINUSE));
	LISTENER(listener, .path = path, .replaces_stale = true);
	expect_visit(listener, .path = path);
}

/* Somebody else's lock on the directory is in the way only where there is a stale socket. */
Test(listener, path_that_is_free_needs_no_lock)
{
	CAROM_CLEANUP(carom_closep) int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct carom_listener *none = NULL;

	cr_assert(zero(int, flock(fd, LOCK_EX)));
	{
		LISTENER(listener, .path = path, .replaces_stale = true);
		expect_visit(listener, .path = path);
	}
	leave_a_stale_socket();
	cr_expect(eq(int,
		     carom_listener_new(
			     &CAROM_LISTENER_OPTIONS(.path = path, .replaces_stale = true), &none),
		     -EADDRINUSE));
	unlink(path);
}

struct race {
	_Atomic int arrived, tried, won;
};

/* A child that replaces the stale socket at the same time as others. */
static int replace_it(struct race *race)
{
	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
	struct carom_listener_options options =
		CAROM_LISTENER_OPTIONS(.path = path, .replaces_stale = true);
	int r;

	race->arrived++;
	await(race->arrived == 6);
	r = carom_listener_new(&options, &listener);
	race->won += r == 0;
	race->tried++;
	await(race->tried == 6);
	if (r == 0)
		echo_once(listener);
	return r != 0 && r != -EADDRINUSE;
}

Test(listener, stale_path_has_one_successor)
{
	struct race *race = share(sizeof(*race));

	for (int round = 0; round < 20; round++) {
		struct visit visit = { .options = CAROM_CLIENT_OPTIONS(.path = path),
				       .text = "who is it?" };
		pid_t pids[6];

		memset(race, 0, sizeof(*race));
		leave_a_stale_socket();
		for (int i = 0; i < 6; i++) {
			pids[i] = child();
			if (pids[i] == 0)
				_exit(replace_it(race));
		}
		await(race->tried == 6);
		cr_expect(eq(int, race->won, 1));
		cr_expect(zero(int, say(&visit)), "and it is reached");
		for (int i = 0; i < 6; i++)
			cr_expect(zero(int, ended(pids[i])));
	}
}

/* ---- accepting ---- */

/* LC-06 */
Test(listener, accept_ends_at_the_deadline_and_when_it_is_closed)
{
	for (int has_key = 0; has_key < 2; has_key++) {
		LISTENER(listener, .authkey = has_key ? KEY : NULL,
			 .authkey_size = has_key ? 6 : 0);
		CONNECTION connection = NULL;
		uint64_t begin = carom_now();

		cr_expect(eq(int, carom_listener_accept(listener, CAROM_PASSED, &connection),
			     -EAGAIN));
		cr_expect(eq(int,
			     carom_listener_accept(listener,
						   carom_deadline_after(CAROM_MILLISECONDS(100)),
						   &connection),
			     -ETIMEDOUT));
		cr_expect(ge(u64, carom_now() - begin, CAROM_MILLISECONDS(100)));
		carom_listener_close(listener);
		cr_expect(eq(int, carom_listener_accept(listener, soon(), &connection), -EBADF));
		cr_expect(eq(int, carom_listener_fd(listener), -EBADF));
		cr_expect(eq(ptr, connection, NULL));
	}
}

/* LC-05 */
Test(listener, knows_who_was_accepted)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	LISTENER(inet, .family = AF_INET);
	CONNECTION connection = NULL;
	struct carom_peer peer;
	int pidfd = -1, r;
	pid_t pid;

	cr_expect(eq(int, carom_listener_last_accepted(listener, &peer), -ENOENT));
	pid = child();
	if (pid == 0) {
		struct visit visit = {
			.options = CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
							.authkey = KEY, .authkey_size = 6),
			.text = "x"
		};

		_exit(say(&visit) != -EPIPE);
	}
	cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
	cr_assert(zero(int, carom_listener_last_accepted(listener, &peer)));
	cr_expect(eq(int, peer.family, AF_UNIX));
	cr_expect(eq(int, peer.pid, pid));
	cr_expect(eq(int, (int)peer.uid, (int)getuid()));
	cr_expect(eq(int, (int)peer.gid, (int)getgid()));
	r = carom_connection_peer_pidfd(connection, &pidfd);
	cr_expect(r == 0 || r == -EOPNOTSUPP);
	expect_message(connection, "x");
	carom_connection_close(connection);
	cr_expect(eq(int, carom_connection_peer(connection, &peer), -EBADF));
	if (r == 0) {
		struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

		cr_expect(eq(int, poll(&poll_fd, 1, 20000), 1), "it is that process's");
		cr_expect(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
		close(pidfd);
	}
	cr_expect(zero(int, ended(pid)));

	expect_visit(inet, .host = "127.0.0.1", .port = carom_listener_port(inet));
	cr_assert(zero(int, carom_listener_last_accepted(inet, &peer)));
	cr_expect(eq(int, peer.family, AF_INET));
	cr_expect(ne(u16, peer.port, 0));
	cr_expect(zero(int, strcmp(peer.host, "127.0.0.1")));
	cr_expect(zero(int, peer.pid));
}

Test(listener, shows_by_its_descriptor_that_there_is_something_to_do)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	struct pollfd poll_fd = { .fd = carom_listener_fd(listener), .events = POLLIN };
	struct visit visit = { .options =
				       CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
							    .authkey = KEY, .authkey_size = 6) };
	CONNECTION connection = NULL;
	int r = -EAGAIN;

	cr_expect(zero(int, poll(&poll_fd, 1, 0)));
	begin_visit(&visit, "x");
	while (r == -EAGAIN) {
		cr_assert(eq(int, poll(&poll_fd, 1, 20000), 1));
		r = carom_listener_accept(listener, CAROM_PASSED, &connection);
	}
	cr_assert(zero(int, r));
	expect_message(connection, "x");
	cr_assert(zero(int, give(connection, "x", 1)));
	cr_expect(zero(int, end_visit(&visit)));
	cr_expect(zero(int, poll(&poll_fd, 1, 0)));
}

Test(listener, is_shared_by_processes)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	pid_t pids[3];
	CONNECTION stranger = NULL;

	/* stands in the lobby of this process, and stays there */
	cr_assert(zero(int, carom_client_connect(
				    &CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener)),
				    soon(), &stranger)));
	cr_expect(
		eq(int,
		   carom_listener_accept(listener, CAROM_PASSED, &(struct carom_connection *){ 0 }),
		   -EAGAIN));
	for (int i = 0; i < 3; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			for (int k = 0; k < 4; k++)
				echo_once(listener);
			_exit(0);
		}
	}
	for (int k = 0; k < 12; k++) {
		struct visit visit = {
			.options = CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
							.authkey = KEY, .authkey_size = 6),
			.text = "x"
		};

		cr_expect(zero(int, say(&visit)));
	}
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(zero(u64, carom_listener_refused(listener)), "it is there still");
}

/* ---- connecting ---- */

/* LC-10 */
Test(listener, client_is_told_why_it_cannot_connect)
{
	struct carom_connection *none = NULL;
	LISTENER(inet, .family = AF_INET);
	uint16_t port = carom_listener_port(inet);

	carom_listener_close(inet);
	const struct {
		struct carom_client_options options;
		int error;
	} wrong[] = {
		{ CAROM_CLIENT_OPTIONS(.host = "127.0.0.1", .port = port), -ECONNREFUSED },
		{ CAROM_CLIENT_OPTIONS(.path = path), -ENOENT },
		{ CAROM_CLIENT_OPTIONS(.path = "/dev/null"), -ECONNREFUSED },
		{ CAROM_CLIENT_OPTIONS(.path = "@carom-test-nobody"), -ECONNREFUSED },
		{ CAROM_CLIENT_OPTIONS(), -EINVAL },
		{ CAROM_CLIENT_OPTIONS(.path = path, .port = 1), -EINVAL },
		{ CAROM_CLIENT_OPTIONS(.path = path, .authkey = "", .authkey_size = 0), -EINVAL },
		{ CAROM_CLIENT_OPTIONS(.path = path, .reserved = 1), -EINVAL },
	};
	int before = open_fd_count();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect(eq(int, carom_client_connect(&wrong[i].options, soon(), &none),
			     wrong[i].error),
			  "line %zu", i);
	cr_expect(eq(ptr, none, NULL));
	cr_expect(eq(int, open_fd_count(), before));
}

Test(listener, client_waits_for_a_full_backlog_until_its_deadline)
{
	LISTENER(listener, .backlog = 1);
	struct carom_client_options options =
		CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener));
	struct carom_connection *waiting[64], *last = NULL;
	int count = 0, r;

	while ((r = carom_client_connect(&options, CAROM_PASSED, &waiting[count])) == 0)
		cr_assert(lt(int, ++count, 64));
	cr_expect(eq(int, r, -EAGAIN));
	cr_expect(eq(
		int,
		carom_client_connect(&options, carom_deadline_after(CAROM_MILLISECONDS(20)), &last),
		-ETIMEDOUT));
	while (count > 0)
		carom_connection_free(waiting[--count]);
}

/* ---- with a key ---- */

Test(listener, lets_in_who_has_the_key)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	LISTENER(strict, .authkey = KEY, .authkey_size = 6, .is_md5_refused = true,
		 .digest = CAROM_DIGEST_SHA3_384);

	expect_visit(listener, .path = carom_listener_path(listener), .authkey = KEY,
		     .authkey_size = 6);
	expect_visit(listener, .path = carom_listener_path(listener), .authkey = KEY,
		     .authkey_size = 6, .digest = CAROM_DIGEST_MD5);
	expect_visit(strict, .path = carom_listener_path(strict), .authkey = KEY,
		     .authkey_size = 6);
	cr_expect(zero(u64, carom_listener_refused(listener)));
}

/* WA-13 */
Test(listener, drops_who_has_another_key_and_goes_on)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	struct visit wrong = {
		.options = CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
						.authkey = "other", .authkey_size = 5)
	};
	struct visit right = { .options =
				       CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
							    .authkey = KEY, .authkey_size = 6) };
	int before = open_fd_count();

	begin_visit(&wrong, "let me in");
	while (!carom_listener_refused(listener))
		cr_assert(eq(int,
			     carom_listener_accept(listener,
						   carom_deadline_after(CAROM_MILLISECONDS(10)),
						   &(struct carom_connection *){ 0 }),
			     -ETIMEDOUT));
	cr_expect(eq(int, end_visit(&wrong), -EKEYREJECTED));
	cr_expect(eq(u64, carom_listener_refused(listener), 1));
	cr_expect(eq(int, open_fd_count(), before));
	begin_visit(&right, "and me");
	echo_once(listener);
	cr_expect(zero(int, end_visit(&right)));
}

static int connect_raw(const char *to)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", to);
	cr_assert(zero(int, connect(fd, (struct sockaddr *)&address, sizeof(address))));
	return fd;
}

#define SILENT 20

static void connect_silent(struct carom_listener *listener, int *silent)
{
	for (int i = 0; i < SILENT; i++) {
		silent[i] = connect_raw(carom_listener_path(listener));
		if (i % 2) /* or nearly so */
			put(silent[i], "\0\0\0", (size_t)(i % 4));
	}
}

static void await_refusal(struct carom_listener *listener)
{
	while (carom_listener_refused(listener) < SILENT)
		cr_assert(eq(int,
			     carom_listener_accept(listener,
						   carom_deadline_after(CAROM_MILLISECONDS(10)),
						   &(struct carom_connection *){ 0 }),
			     -ETIMEDOUT));
}

/* WA-12 */
Test(listener, silent_clients_hold_up_nobody_and_are_dropped)
{
	LISTENER(patient, .authkey = KEY, .authkey_size = 6,
		 .handshake_timeout_ns = CAROM_SECONDS(30));
	LISTENER(listener, .authkey = KEY, .authkey_size = 6,
		 .handshake_timeout_ns = CAROM_MILLISECONDS(200));
	int before = open_fd_count(), silent[SILENT];
	char byte;

	connect_silent(patient, silent);
	expect_visit(patient, .path = carom_listener_path(patient), .authkey = KEY,
		     .authkey_size = 6);
	cr_expect(zero(u64, carom_listener_refused(patient)));
	for (int i = 0; i < SILENT; i++)
		close(silent[i]);
	await_refusal(patient);

	connect_silent(listener, silent);
	await_refusal(listener);
	for (int i = 0; i < SILENT; i++) {
		ssize_t n;

		/* the challenge, and then the end */
		while ((n = recv(silent[i], &byte, 1, 0)) > 0)
			;
		cr_expect(n == 0 || errno == ECONNRESET);
		close(silent[i]);
	}
	cr_expect(eq(int, open_fd_count(), before));
}

/* As in an event loop, which accepts only when the descriptor says so. */
Test(listener, silent_client_shows_by_the_descriptor_when_it_has_to_go)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6,
		 .handshake_timeout_ns = CAROM_MILLISECONDS(50));
	int silent = connect_raw(carom_listener_path(listener));

	while (carom_listener_refused(listener) < 1) {
		struct pollfd poll_fd = { .fd = carom_listener_fd(listener), .events = POLLIN };

		cr_assert(eq(int, poll(&poll_fd, 1, 20000), 1));
		cr_expect(eq(int,
			     carom_listener_accept(listener, CAROM_PASSED,
						   &(struct carom_connection *){ 0 }),
			     -EAGAIN));
	}
	cr_expect(zero(int,
		       poll(&(struct pollfd){ .fd = carom_listener_fd(listener), .events = POLLIN },
			    1, 0)),
		  "nothing is left to do");
	close(silent);
}

/* Half of the descriptors are the strangers' at most, and where the program has the rest, none. */
Test(listener, silent_clients_do_not_use_up_the_descriptors)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6,
		 .handshake_timeout_ns = CAROM_SECONDS(30));
	struct carom_connection *none = NULL;
	struct rlimit limit;
	int rest[100], count = 0;
	uint64_t refused;
	pid_t pid = child(), second;

	if (pid == 0) {
		for (int i = 0; i < 100; i++)
			connect_raw(carom_listener_path(listener));
		pause();
	}
	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
	limit.rlim_cur = 100;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	while (carom_listener_refused(listener) < 50)
		cr_assert(eq(int,
			     carom_listener_accept(listener, carom_deadline_after(1000000), &none),
			     -ETIMEDOUT));
	cr_expect(le(int, open_fd_count(), 75));
	while (count < 100 && (rest[count] = dup(0)) >= 0)
		count++;
	cr_assert(lt(int, count, 100));
	refused = carom_listener_refused(listener);
	second = child();
	if (second == 0) {
		while (count > 0)
			close(rest[--count]);
		connect_raw(carom_listener_path(listener));
		pause();
	}
	while (carom_listener_refused(listener) == refused)
		cr_assert(eq(int,
			     carom_listener_accept(listener, carom_deadline_after(1000000), &none),
			     -ETIMEDOUT));
	cr_expect(zero(int, kill(second, SIGKILL)));
	cr_expect(eq(int, ended(second), -SIGKILL));
	while (count > 0)
		close(rest[--count]);
	cr_expect(zero(int, kill(pid, SIGKILL)));
	cr_expect(eq(int, ended(pid), -SIGKILL));
}

Test(listener, hostile_clients_hold_up_nobody)
{
	static const struct {
		const char *bytes;
		size_t size;
	} attacks[] = {
		{ "", 0 },
		{ "\0\0\0\0", 4 },
		{ "\x80\0\0\0", 4 },
		{ "\x7f\xff\xff\xff", 4 },
		{ "\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff", 12 },
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12 },
		{ "\x16\x03\x01\x02\0\1\0\1\xfc\x03\x03", 11 },
		{ "GET / HTTP/1.0\r\n\r\n", 18 },
		{ "\0\0\0\x28{sha256}0123456789abcdef0123456789abcde", 43 },
		{ "\0\0\0\x09#WELCOME#\0\0\0\x09#WELCOME#", 26 },
		{ "\0\0\0\x1f#CHALLENGE#01234567890123456789", 35 },
		{ "\0\0\1\1", 4 },
	};
	LISTENER(listener, .authkey = KEY, .authkey_size = 6);
	int before = open_fd_count();

	for (int round = 0; round < 20; round++) {
		int fds[12];
		uint64_t refused = carom_listener_refused(listener);

		for (int i = 0; i < 12; i++) {
			fds[i] = connect_raw(carom_listener_path(listener));
			send(fds[i], attacks[i].bytes, attacks[i].size, MSG_NOSIGNAL);
			if (round % 2)
				carom_closep(&fds[i]);
		}
		expect_visit(listener, .path = carom_listener_path(listener), .authkey = KEY,
			     .authkey_size = 6);
		for (int i = 0; i < 12; i++)
			carom_closep(&fds[i]);
		while (carom_listener_refused(listener) < refused + 12)
			cr_assert(eq(int,
				     carom_listener_accept(listener, carom_deadline_after(1000000),
							   &(struct carom_connection *){ 0 }),
				     -ETIMEDOUT));
	}
	cr_expect(eq(int, open_fd_count(), before));
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(file);
	return kib;
}

/* As many connections as a hostile neighbour makes in a while, each of them kept open. */
static void flood(const char *to, int count)
{
	int *fds = malloc((size_t)count * sizeof(*fds));

	for (int i = 0; i < count; i++)
		fds[i] = connect_raw(to);
	pause();
}

Test(listener, flood_takes_little_and_lets_others_through)
{
	LISTENER(listener, .authkey = KEY, .authkey_size = 6,
		 .handshake_timeout_ns = CAROM_SECONDS(30));
	int before = open_fd_count();
	long resident = resident_kib();
	uint64_t wanted = 3000;
	pid_t pids[4];

	if (carom_fd_limit(false) < 1100)
		cr_skip_test("skipped: too few descriptors are allowed here");
	for (int i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			flood(carom_listener_path(listener), 1000);
	}
	while (carom_listener_refused(listener) < wanted - 24) {
		CONNECTION connection = NULL;

		cr_assert(eq(int,
			     carom_listener_accept(listener,
						   carom_deadline_after(CAROM_MILLISECONDS(1)),
						   &connection),
			     -ETIMEDOUT));
		cr_expect(le(int, open_fd_count(), before + 1024 + 1));
	}
	resident = resident_kib() - resident;
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
	cr_expect(lt(long, resident, 8 * 1024));
#endif
	expect_visit(listener, .path = carom_listener_path(listener), .authkey = KEY,
		     .authkey_size = 6);
	for (int i = 0; i < 4; i++)
		killed(pids[i]);
}

/* Connections that are reset at once, some after a byte or two. */
static void reset_many(uint16_t port, int count)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger at_once = { .l_onoff = 1 };

	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			send(fd, "\0\0\0", (size_t)i % 4, MSG_NOSIGNAL);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
	}
}

Test(listener, storm_of_resets_is_no_error_of_its_own)
{
	LISTENER(listener, .family = AF_INET, .authkey = KEY, .authkey_size = 6);
	uint16_t port = carom_listener_port(listener);
	int before = open_fd_count();
	pid_t pid = child();

	if (pid == 0) {
		reset_many(port, 2000);
		_exit(0);
	}
	for (int i = 0; i < 20; i++)
		expect_visit(listener, .port = port, .authkey = KEY, .authkey_size = 6);
	while (waitpid(pid, NULL, WNOHANG) == 0 || open_fd_count() != before)
		cr_assert(eq(int,
			     carom_listener_accept(listener, carom_deadline_after(1000000),
						   &(struct carom_connection *){ 0 }),
			     -ETIMEDOUT));
	expect_visit(listener, .port = port, .authkey = KEY, .authkey_size = 6);
}

/* WA-14 */
Test(listener, processes_of_one_program_have_a_key_in_common)
{
	unsigned char key[256];
	int size = carom_process_authkey(carom_current_process(), key);
	LISTENER(listener, .authkey = key, .authkey_size = (size_t)size);
	pid_t pid = child();

	if (pid == 0) {
		unsigned char mine[256];
		int mine_size = carom_process_authkey(carom_current_process(), mine);
		struct visit visit = {
			.options = CAROM_CLIENT_OPTIONS(.path = carom_listener_path(listener),
							.authkey = mine,
							.authkey_size = (size_t)mine_size),
			.text = "of the family"
		};

		_exit(say(&visit) != 0);
	}
	echo_once(listener);
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, size, 32));
}

/* WA-11 */
Test(listener, without_a_key_sends_nothing_of_its_own)
{
	LISTENER(listener, );
	CONNECTION connection = NULL;
	char byte;
	int fd = connect_raw(carom_listener_path(listener));

	cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
	cr_expect(eq(int, (int)recv(fd, &byte, 1, MSG_DONTWAIT), -1));
	cr_expect(eq(int, errno, EAGAIN));
	close(fd);
}

/* ---- between threads ---- */

/* A client that hands over a pointer, and hears that it was taken. */
static void *hand_over(void *listener)
{
	CONNECTION connection = NULL;
	char *text = strdup("of a thread"), answer;
	int r = carom_client_connect(&CAROM_CLIENT_OPTIONS(.listener = listener), soon(),
				     &connection);

	if (r < 0 || give(connection, &text, sizeof(text)) < 0 || take(connection, &answer, 1) != 1)
		return NULL;
	return text;
}

/* DT-09 */
Test(listener, of_threads_takes_pointers)
{
	LISTENER(listener, .family = CAROM_FAMILY_THREADS);
	struct pollfd poll_fd = { .fd = carom_listener_fd(listener), .events = POLLIN };
	CONNECTION connection = NULL;
	struct carom_peer peer;
	char *text = NULL;
	void *returned;
	pthread_t thread;

	cr_expect(eq(int, carom_listener_family(listener), CAROM_FAMILY_THREADS));
	cr_expect(eq(ptr, (void *)carom_listener_path(listener), NULL));
	cr_expect(eq(ptr, (void *)carom_listener_host(listener), NULL));
	cr_expect(eq(int, carom_listener_accept(listener, CAROM_PASSED, &connection), -EAGAIN));
	cr_expect(eq(int, carom_listener_accept(listener, carom_deadline_after(1000), &connection),
		     -ETIMEDOUT));
	cr_assert(zero(int, pthread_create(&thread, NULL, hand_over, listener)));
	cr_assert(eq(int, poll(&poll_fd, 1, 20000), 1));
	cr_assert(zero(int, carom_listener_accept(listener, CAROM_PASSED, &connection)));
	cr_assert(eq(long, take(connection, &text, sizeof(text)), (long)sizeof(text)));
	cr_expect(zero(int, give(connection, "", 1)));
	pthread_join(thread, &returned);
	cr_assert(eq(ptr, text, returned));
	cr_expect(zero(int, strcmp(text, "of a thread")));
	cr_expect(zero(int, carom_listener_last_accepted(listener, &peer)));
	cr_expect(eq(int, peer.pid, getpid()));
	free(text);
}

Test(listener, of_threads_is_shared_with_children)
{
	LISTENER(listener, .family = CAROM_FAMILY_THREADS);
	struct visit visit = { .options = CAROM_CLIENT_OPTIONS(.listener = listener), .text = "x" };
	pid_t pid = child();

	if (pid == 0)
		_exit(say(&visit) != 0);
	echo_once(listener);
	cr_expect(zero(int, ended(pid)));
	pid = child();
	if (pid == 0) {
		echo_once(listener);
		_exit(0);
	}
	cr_expect(zero(int, say(&visit)));
	cr_expect(zero(int, ended(pid)));
}

static void refuse_who_waits(void)
{
	LISTENER(listener, .family = CAROM_FAMILY_THREADS);
	struct carom_client_options options = CAROM_CLIENT_OPTIONS(.listener = listener);
	CONNECTION early = NULL;
	CONNECTION late = NULL;
	char byte;

	cr_assert(zero(int, carom_client_connect(&options, CAROM_PASSED, &early)));
	carom_listener_close(listener);
	cr_expect(eq(long, take(early, &byte, 1), (long)-EPIPE));
	cr_expect(eq(int, carom_client_connect(&options, soon(), &late), -ECONNREFUSED));
	cr_expect(eq(int, carom_listener_accept(listener, soon(), &late), -EBADF));
	cr_expect(eq(int, carom_listener_fd(listener), -EBADF));
}

Test(listener, of_threads_refuses_who_waits_when_it_is_closed)
{
	int before;

	refuse_who_waits(); /* what sees to the ends of pipes is there once */
	before = open_fd_count();
	refuse_who_waits();
	cr_expect(eq(int, open_fd_count(), before));
}

Test(listener, of_threads_makes_clients_wait_for_room)
{
	LISTENER(listener, .family = CAROM_FAMILY_THREADS);
	struct carom_client_options options = CAROM_CLIENT_OPTIONS(.listener = listener);
	static struct carom_connection *waiting[4096];
	struct carom_connection *last = NULL;
	struct rlimit limit;
	int count = 0, r;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while ((r = carom_client_connect(&options, CAROM_PASSED, &waiting[count])) == 0)
		cr_assert(lt(int, ++count, 4096));
	cr_expect(lt(int, 32, count));
	if (r == -ETOOMANYREFS || r == -EMFILE)
		cr_log_warn("no more descriptors are allowed here: %d", count);
	else
		cr_expect(eq(int, r, -EAGAIN));
	if (r == -EAGAIN)
		cr_expect(eq(int,
			     carom_client_connect(
				     &options, carom_deadline_after(CAROM_MILLISECONDS(20)), &last),
			     -ETIMEDOUT));
	for (int i = 0; i < count; i++) {
		CONNECTION taken = NULL;

		cr_assert(zero(int, carom_listener_accept(listener, CAROM_PASSED, &taken)));
		carom_connection_free(waiting[i]);
	}
}

Test(listener, of_threads_has_neither_a_place_nor_a_key)
{
	LISTENER(listener, .family = CAROM_FAMILY_THREADS);
	LISTENER(other, );
	struct carom_listener *none = NULL;
	struct carom_connection *nobody = NULL;
	const struct carom_listener_options places[] = {
		CAROM_LISTENER_OPTIONS(.family = CAROM_FAMILY_THREADS, .path = path),
		CAROM_LISTENER_OPTIONS(.family = CAROM_FAMILY_THREADS, .host = "::1"),
		CAROM_LISTENER_OPTIONS(.family = CAROM_FAMILY_THREADS, .port = 1),
		CAROM_LISTENER_OPTIONS(.family = CAROM_FAMILY_THREADS, .authkey = KEY,
				       .authkey_size = 6),
	};
	const struct carom_client_options ways[] = {
		CAROM_CLIENT_OPTIONS(.family = CAROM_FAMILY_THREADS),
		CAROM_CLIENT_OPTIONS(.listener = other),
		CAROM_CLIENT_OPTIONS(.listener = listener, .family = AF_UNIX),
		CAROM_CLIENT_OPTIONS(.listener = listener, .path = path),
		CAROM_CLIENT_OPTIONS(.listener = listener, .port = 1),
		CAROM_CLIENT_OPTIONS(.listener = listener, .authkey = KEY, .authkey_size = 6),
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		cr_expect(eq(int, carom_listener_new(&places[i], &none), -EINVAL), "%zu", i);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		cr_expect(eq(int, carom_client_connect(&ways[i], soon(), &nobody), -EINVAL), "%zu",
			  i);
}

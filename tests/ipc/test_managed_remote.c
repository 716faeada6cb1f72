/* A manager's server in another network, and the link between the two cut and restored. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HERE  "10.77.0.1"
#define THERE "10.77.0.2"
#define KEY   "between networks"

TestSuite(managed_remote, .timeout = 120);

/* ---- a network of the test's own ---- */

static int write_line(const char *path, const char *line)
{
	CAROM_CLEANUP(carom_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, line, strlen(line)) < 0 ? -errno : 0;
}

/* Who may not make networks here is root somewhere else; before there is a thread. */
__attribute__((constructor)) static void become_root_somewhere(void)
{
	char user[32], group[32];

	snprintf(user, sizeof(user), "0 %u 1", geteuid());
	snprintf(group, sizeof(group), "0 %u 1", getegid());
	if (geteuid() == 0 || unshare(CLONE_NEWUSER) < 0)
		return;
	if (write_line("/proc/self/setgroups", "deny") < 0 ||
	    write_line("/proc/self/uid_map", user) < 0 ||
	    write_line("/proc/self/gid_map", group) < 0)
		fprintf(stderr, "managed_remote: there is a user namespace, and nobody in it\n");
}

/* In this process's network, or with @pid in that one's. */
static int run(pid_t pid, const char *command)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		char path[64];
		CAROM_CLEANUP(carom_closep) int fd = -1;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return status;
}

#define IP "PATH=$PATH:/usr/sbin:/sbin; exec 2>/dev/null; "

static bool have_link(pid_t server)
{
	char command[256];

	snprintf(command, sizeof(command), IP "ip link add here type veth peer name there netns %d",
		 server);
	return run(getpid(), command) == 0;
}

/* What can be made can be used. */
static void use_link(pid_t server)
{
	cr_assert(zero(int, run(getpid(), IP "ip addr add " HERE "/24 dev here && "
					     "ip link set here up")));
	cr_assert(zero(int, run(server, IP "ip addr add " THERE "/24 dev there && "
					   "ip link set there up")));
}

static void cut(pid_t server)
{
	cr_assert(zero(int, run(server, IP "ip link set there down")));
}

static void restore(pid_t server)
{
	cr_assert(zero(int, run(server, IP "ip link set there up")));
}

/* ---- a server in it ---- */

static struct counter the_counter;
static struct carom_request *the_waiting;

static int stop_waiting(struct carom_request *request, void *userdata, int reason)
{
	(void)request;
	(void)userdata;
	the_waiting = NULL;
	return reason;
}

static int wait_for_ever(void *object, struct carom_request *request)
{
	(void)object;
	the_waiting = request;
	return carom_request_defer(request, CAROM_NO_DEADLINE, stop_waiting, NULL);
}

static int has_waiting(void *object, struct carom_request *request)
{
	(void)object;
	return carom_request_reply(request, "p", the_waiting != NULL);
}

static const struct carom_method patience_methods[] = {
	{ .name = "wait", .function = wait_for_ever },
	{ .name = "has_waiting", .function = has_waiting },
};

static const struct carom_type patience_type = {
	.name = "Patience",
	.methods = patience_methods,
	.method_count = 2,
};

static int have_types(struct carom_server *server)
{
	static int any;
	int r = carom_server_register(
		server, &counter_type,
		&CAROM_REGISTER_OPTIONS(.name = "the_counter", .object = &the_counter));

	return r < 0 ? r
		     : carom_server_register(server, &patience_type,
					     &CAROM_REGISTER_OPTIONS(.object = &any));
}

/* Says "r" when its network is there, hears of the link, and says its port. */
static int serve(int fd, uint64_t silence_ns)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	uint16_t port;
	char go;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || write(fd, "r", 1) != 1 || read(fd, &go, 1) != 1)
		return 1;
	r = carom_server_new(&CAROM_SERVER_OPTIONS(.host = THERE, .authkey = KEY,
						   .authkey_size = sizeof(KEY),
						   .silence_ns = silence_ns),
			     &server);
	if (r == 0)
		r = have_types(server);
	port = r == 0 ? carom_server_port(server) : 0;
	if (write(fd, &port, sizeof(port)) != sizeof(port) || r < 0)
		return 1;
	return carom_server_serve(server, CAROM_NO_DEADLINE) == 0 ? 0 : 1;
}

/* Return: its pid. Skips the test where there cannot be one. */
static pid_t start_there(uint64_t silence_ns, uint16_t *ret_port)
{
	int ends[2];
	pid_t pid;
	char ready = 0;

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("skipped: no network namespace can be made here");
	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)));
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(serve(ends[1], silence_ns));
	}
	close(ends[1]);
	if (read(ends[0], &ready, 1) != 1 || !have_link(pid)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		cr_skip_test("skipped: no link between network namespaces can be made here");
	}
	use_link(pid);
	cr_assert(eq(int, (int)write(ends[0], "g", 1), 1));
	cr_assert(eq(int, (int)read(ends[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port)));
	cr_assert(ne(int, *ret_port, 0));
	close(ends[0]);
	return pid;
}

static void end_there(pid_t server, struct carom_manager *manager)
{
	int status = -1;

	cr_expect(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, waitpid(server, &status, 0), server));
	cr_expect(zero(int, status));
}

#define THE_MANAGER(manager, port_, ...)                                                           \
	MANAGER manager = NULL;                                                                    \
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.host = THERE, .port = port_, \
								     .authkey = KEY,               \
								     .authkey_size = sizeof(KEY),  \
								     __VA_ARGS__),                 \
					      &manager)));                                         \
	cr_assert(zero(int, carom_manager_connect(manager, in_time())))

#define CREATED(proxy, manager, type) \
	PROXY proxy = NULL;           \
	cr_assert(zero(int, carom_manager_create(manager, type, in_time(), &proxy, "")))

/* Return: the counter's value, or what the call says */
static int64_t add(struct carom_proxy *counter, uint64_t deadline_ns)
{
	DOCUMENT document = NULL;
	int64_t value = INT64_MIN;
	int r = carom_proxy_call(counter, "add", deadline_ns, &document, "i", 1);

	if (r < 0)
		return r;
	carom_object_int(carom_document_root(document), &value);
	return value;
}

static void expect_within(uint64_t since_ns, uint64_t duration_ns)
{
	cr_expect(lt(u64, carom_now() - since_ns, duration_ns));
}

/* ---- what holds ---- */

/* MG-42 */
Test(managed_remote, calls_over_a_link_that_is_cut_fail_in_time_and_go_on_when_it_is_back)
{
	uint16_t port = 0;
	pid_t server = start_there(0, &port);
	THE_MANAGER(manager, port, .silence_ns = 0);
	CREATED(counter, manager, "the_counter");
	uint64_t before;

	cr_expect(eq(i64, add(counter, in_time()), 1));
	cut(server);
	before = carom_now();
	cr_expect(eq(i64, add(counter, carom_deadline_after(CAROM_MILLISECONDS(200))), -ETIMEDOUT));
	expect_within(before, CAROM_SECONDS(5));
	restore(server);
	/* what was sent meanwhile has its effect once it arrives */
	cr_expect(eq(i64, add(counter, in_time()), 3));
	end_there(server, manager);
}

/* MG-42 */
Test(managed_remote, a_client_connects_anew_when_the_link_is_back)
{
	uint16_t port = 0;
	pid_t server = start_there(0, &port);
	THE_MANAGER(manager, port, .silence_ns = 0);
	CREATED(first, manager, "the_counter");
	uint64_t before;
	int r;

	cr_expect(eq(i64, add(first, in_time()), 1));
	cut(server);
	before = carom_now();
	r = carom_manager_connect(manager, carom_deadline_after(CAROM_MILLISECONDS(200)));
	cr_expect(r == -ETIMEDOUT || r == -EHOSTUNREACH, "%d", r);
	expect_within(before, CAROM_SECONDS(5));
	restore(server);
	cr_assert(zero(int, carom_manager_connect(manager, in_time())));
	CREATED(second, manager, "the_counter");
	cr_expect(eq(i64, add(second, in_time()), 2));
	end_there(server, manager);
}

struct waiting {
	struct carom_proxy *patience;
	int result;
};

static void *wait_without_end(void *argument)
{
	struct waiting *waiting = argument;

	waiting->result = carom_proxy_call(waiting->patience, "wait", CAROM_NO_DEADLINE, NULL, "");
	return NULL;
}

static void await_waiting(struct carom_proxy *patience, bool expected)
{
	uint64_t deadline_ns = in_time();
	bool is = !expected;

	while (is != expected && carom_now() < deadline_ns) {
		DOCUMENT document = NULL;

		cr_assert(zero(
			int, carom_proxy_call(patience, "has_waiting", in_time(), &document, "")));
		carom_object_bool(carom_document_root(document), &is);
		usleep(1000);
	}
	cr_expect(eq(int, is, expected));
}

/* MG-42 */
Test(managed_remote, who_is_not_heard_of_any_more_is_gone_for_both_sides)
{
	uint64_t silence_ns = CAROM_SECONDS(2), before;
	uint16_t port = 0;
	pid_t server = start_there(silence_ns, &port);
	THE_MANAGER(manager, port, .silence_ns = silence_ns);
	CREATED(patience, manager, "Patience");
	CREATED(list, manager, "list");
	struct waiting waiting = { .patience = patience };
	pthread_t thread;
	size_t count = 0;

	cr_assert(zero(int, pthread_create(&thread, NULL, wait_without_end, &waiting)));
	await_waiting(patience, true);
	cut(server);
	before = carom_now();
	pthread_join(thread, NULL); /* nothing was to be sent: this is the kernel's question */
	cr_expect(eq(int, waiting.result, -EPIPE));
	expect_within(before, CAROM_SECONDS(20));
	before = carom_now();
	cr_expect(
		eq(int, carom_proxy_call(list, "append", CAROM_NO_DEADLINE, NULL, "i", 1), -EPIPE));
	expect_within(before, silence_ns); /* it is known, and not asked for again */
	restore(server);
	cr_assert(zero(int, carom_manager_connect(manager, in_time())));
	CREATED(again, manager, "Patience");
	await_waiting(again, false);
	cr_assert(zero(int, carom_manager_count(manager, in_time(), &count)));
	cr_expect(eq(sz, count, 1), "the list of the lost connection was given back");
	end_there(server, manager);
}

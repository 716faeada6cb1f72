/* Objects in a server process, and proxies of them. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/context.h"
#include "core/finalizer_private.h"
#include "core/process.h"
#include "ipc/client.h"

static char place[] = "/tmp/carom-test-manager-XXXXXX";
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

TestSuite(manager, .init = make_a_place, .fini = remove_the_place, .timeout = 60);

/* ---- what is done again and again ---- */

#define STARTED(manager, ...)                                                                   \
	MANAGER manager = NULL;                                                                 \
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(__VA_ARGS__), &manager))); \
	cr_assert(zero(int, carom_manager_start(manager)))

/* Another program's: connected to the same server. */
#define CONNECTED(other, manager)                                                                \
	MANAGER other = NULL;                                                                    \
	cr_assert(zero(int, carom_manager_new(                                                   \
				    &CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager)), \
				    &other)));                                                   \
	cr_assert(zero(int, carom_manager_connect(other, in_time())))

#define CREATED(proxy, manager, type, ...) \
	PROXY proxy = NULL;                \
	cr_assert(zero(int, carom_manager_create(manager, type, in_time(), &proxy, __VA_ARGS__)))

static int set_text(struct carom_proxy *dict, const char *key, int64_t value)
{
	return carom_proxy_call(dict, "__setitem__", in_time(), NULL, "sL", key, value);
}

static int get_number(struct carom_proxy *dict, const char *key, int64_t *ret_value)
{
	DOCUMENT document = NULL;
	int r = carom_proxy_call(dict, "__getitem__", in_time(), &document, "s", key);

	return r < 0 ? r : carom_object_int(carom_document_root(document), ret_value);
}

static size_t count_of(struct carom_manager *manager)
{
	size_t count = 999;

	cr_assert(zero(int, carom_manager_count(manager, in_time(), &count)));
	return count;
}

/* Until so many are left: what is given back is given back without an answer. */
static void expect_count(struct carom_manager *manager, size_t count)
{
	uint64_t deadline_ns = in_time();

	while (count_of(manager) != count && carom_now() < deadline_ns)
		usleep(1000);
	cr_expect(eq(sz, count_of(manager), count));
}

static void expect_number(struct carom_proxy *proxy, const char *method, int64_t expected)
{
	DOCUMENT document = NULL;
	int64_t value = -1;

	cr_expect(zero(int, carom_proxy_call(proxy, method, in_time(), &document, "")));
	if (document)
		carom_object_int(carom_document_root(document), &value);
	cr_expect(eq(i64, value, expected));
}

/* ---- a value ---- */

/* MG-48 */
Test(manager, one_call_gives_a_working_dict)
{
	MANAGER manager = NULL;
	PROXY dict = NULL;
	int64_t value = 0;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	cr_assert(zero(int, carom_manager_create(manager, "dict", in_time(), &dict, "")));
	cr_expect(zero(int, set_text(dict, "answer", 42)));
	cr_expect(zero(int, get_number(dict, "answer", &value)));
	cr_expect(eq(i64, value, 42));
	cr_expect(eq(int, get_number(dict, "question", &value), -ENOENT));
}

/* ---- beginning and end ---- */

/* MG-09 */
Test(manager, goes_from_initial_to_started_to_shut_down)
{
	MANAGER manager = NULL;

	cr_assert(zero(int, carom_manager_new(NULL, &manager)));
	cr_expect(eq(int, carom_manager_state(manager), CAROM_MANAGER_INITIAL));
	cr_expect(eq(int, carom_manager_shutdown(manager), -EINVAL));
	cr_expect(eq(int, carom_manager_join(manager, CAROM_PASSED), -EINVAL));
	cr_assert(zero(int, carom_manager_start(manager)));
	cr_expect(eq(int, carom_manager_state(manager), CAROM_MANAGER_STARTED));
	cr_expect(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, carom_manager_state(manager), CAROM_MANAGER_SHUTDOWN));
	cr_expect(eq(int, carom_manager_start(manager), -ESHUTDOWN));
	cr_expect(eq(int, carom_manager_connect(manager, in_time()), -ESHUTDOWN));
}

static int count_starts(struct carom_server *server, const void *argument, size_t size)
{
	int r = have_counters(server, NULL, 0);

	if (r == 0 && size > 0)
		r = mkdir(argument, 0700) < 0 ? -errno : 0;
	return r;
}

/* MG-02 */
Test(manager, is_started_once_and_its_initializer_runs_in_the_server)
{
	char made[80];

	snprintf(made, sizeof(made), "%s/made", place);
	{
		STARTED(manager, .initializer = count_starts, .argument = made,
			.argument_size = strlen(made) + 1);
		CREATED(counter, manager, "Counter", "i", 3);

		cr_expect(eq(int, carom_manager_start(manager), -EALREADY));
		cr_expect(eq(int, carom_manager_connect(manager, in_time()), -EALREADY));
		cr_expect(ne(int, carom_manager_pid(manager), getpid()));
	}
	cr_expect(zero(int, rmdir(made)));
}

static int refuse(struct carom_server *server, const void *argument, size_t size)
{
	(void)server;
	(void)argument;
	(void)size;
	return -EDOM;
}

static int die(struct carom_server *server, const void *argument, size_t size)
{
	(void)server;
	(void)argument;
	(void)size;
	_exit(7);
}

Test(manager, says_why_a_server_does_not_start)
{
	MANAGER refused = NULL;
	MANAGER dead = NULL;
	MANAGER nowhere = NULL;

	cr_assert(zero(int,
		       carom_manager_new(&CAROM_MANAGER_OPTIONS(.initializer = refuse), &refused)));
	cr_expect(eq(int, carom_manager_start(refused), -EDOM));
	cr_expect(eq(int, carom_manager_state(refused), CAROM_MANAGER_INITIAL));
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.initializer = die), &dead)));
	cr_expect(eq(int, carom_manager_start(dead), -EPIPE));
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = "/nowhere/socket"),
					      &nowhere)));
	cr_expect(eq(int, carom_manager_start(nowhere), -ENOENT));
}

static int ignore_term(struct carom_server *server, const void *argument, size_t size)
{
	(void)server;
	(void)argument;
	(void)size;
	signal(SIGTERM, SIG_IGN);
	return 0;
}

/* MG-05 */
Test(manager, is_shut_down_though_its_server_does_not_hear)
{
	STARTED(manager, .initializer = ignore_term,
		.shutdown_timeout_ns = CAROM_MILLISECONDS(100));

	kill(carom_manager_pid(manager), SIGSTOP);
	cr_expect(zero(int, carom_manager_shutdown(manager)));
	cr_expect(zero(int, carom_manager_join(manager, CAROM_PASSED)));
	cr_expect(zero(int, carom_manager_shutdown(manager)));
}

/* MG-06 */
Test(manager, is_joined_when_its_server_ends)
{
	STARTED(manager, );
	CONNECTED(other, manager);

	cr_expect(eq(int, carom_manager_join(manager, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	cr_expect(zero(int, carom_manager_shutdown(other)));
	cr_expect(zero(int, carom_manager_join(manager, in_time())));
}

static pid_t start_and_leave(struct carom_manager **ret_manager)
{
	STARTED(manager, );

	*ret_manager = manager;
	return carom_manager_pid(manager);
}

/* MG-08 */
Test(manager, ends_its_server_with_its_scope)
{
	struct carom_manager *gone;
	pid_t pid = start_and_leave(&gone);

	cr_expect(eq(int, kill(pid, 0), -1));
}

/* MG-47 */
Test(manager, has_an_address_that_goes_with_it)
{
	char default_path[128];
	struct stat status;
	MANAGER inet = NULL;

	{
		STARTED(manager, );
		STARTED(named, .path = path);

		snprintf(default_path, sizeof(default_path), "%s", carom_manager_path(manager));
		cr_expect(zero(int, strncmp(default_path, place, strlen(place))));
		cr_expect(zero(int, lstat(default_path, &status)));
		cr_expect(eq(str, (char *)carom_manager_path(named), path));
		cr_expect(zero(int, lstat(path, &status)));
	}
	cr_expect(eq(int, lstat(default_path, &status), -1));
	cr_expect(eq(int, lstat(path, &status), -1));
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.host = "127.0.0.1"), &inet)));
	cr_assert(zero(int, carom_manager_start(inet)));
	cr_expect(ne(int, carom_manager_port(inet), 0));
	cr_expect(eq(str, (char *)carom_manager_host(inet), (char *)"127.0.0.1"));
	cr_expect(eq(ptr, (void *)carom_manager_path(inet), NULL));
	CREATED(list, inet, "list", "");
}

/* MG-01 */
Test(manager, has_the_key_of_its_program_or_its_own)
{
	STARTED(manager, );
	CONNECTED(same, manager);
	MANAGER stranger = NULL;

	cr_assert(zero(int, carom_manager_new(
				    &CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager),
							   .authkey = "another", .authkey_size = 7),
				    &stranger)));
	cr_expect(eq(int, carom_manager_connect(stranger, in_time()), -EKEYREJECTED));
	cr_expect(eq(int, carom_manager_state(stranger), CAROM_MANAGER_INITIAL));
	CREATED(list, same, "list", "");
}

/* MG-03 */
Test(manager, connects_to_a_server_that_runs)
{
	STARTED(manager, .host = "127.0.0.1", .authkey = "key", .authkey_size = 3);
	MANAGER other = NULL;

	cr_assert(zero(
		int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.host = "127.0.0.1",
							      .port = carom_manager_port(manager),
							      .authkey = "key", .authkey_size = 3),
				       &other)));
	cr_assert(zero(int, carom_manager_connect(other, in_time())));
	cr_expect(eq(int, carom_manager_state(other), CAROM_MANAGER_STARTED));
	CREATED(list, other, "list", "");
	cr_expect(eq(sz, count_of(manager), 1));
}

Test(manager, is_not_at_a_place_where_another_is)
{
	STARTED(manager, .path = path);
	MANAGER second = NULL;

	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &second)));
	cr_expect(eq(int, carom_manager_start(second), -EADDRINUSE));
	CREATED(list, manager, "list", "");
}

static void start_by(const char *method)
{
	struct carom_context *context;

	cr_assert(zero(int, carom_context_get(method, &context)));
	STARTED(manager, .context = context, .initializer = have_counters);
	CREATED(counter, manager, "Counter", "i", 1);
	cr_expect(zero(int, carom_proxy_call(counter, "add", in_time(), NULL, "i", 1)), "%s",
		  method);
}

Test(manager, has_a_server_by_every_start_method)
{
	struct carom_context *context;
	MANAGER thread = NULL;

	start_by("fork");
	start_by("forkserver");
	if (getenv("CAROM_CHILD")) {
		cr_assert(zero(int, carom_set_executable(getenv("CAROM_CHILD"))));
		start_by("spawn");
	}
	cr_assert(zero(int, carom_context_get("thread", &context)));
	cr_assert(
		zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.context = context), &thread)));
	cr_expect(eq(int, carom_manager_start(thread), -EOPNOTSUPP));
}

/* MG-10 */
Test(manager, has_a_server_that_does_not_hear_sigint)
{
	STARTED(manager, );

	kill(carom_manager_pid(manager), SIGINT);
	CREATED(list, manager, "list", "");
}

static pid_t start_in_a_child(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		MANAGER manager = NULL;

		if (carom_manager_sync(&manager) == 0) {
			pid = carom_manager_pid(manager);
			if (write(fd, &pid, sizeof(pid)) == sizeof(pid))
				pause();
		}
		_exit(1);
	}
	return pid;
}

Test(manager, has_a_server_that_ends_with_its_program)
{
	int ends[2], fd;
	pid_t child, server;

	cr_assert(zero(int, pipe(ends)));
	child = start_in_a_child(ends[1]);
	cr_assert(eq(sz, (size_t)read(ends[0], &server, sizeof(server)), sizeof(server)));
	fd = (int)syscall(434, server, 0); /* pidfd_open */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (fd >= 0)
		cr_expect(
			eq(int, poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 20000), 1));
	close(fd);
	close(ends[0]);
	close(ends[1]);
	cr_expect(zero(int, system("rm -rf \"$TMPDIR\"/carom-*")));
}

/* MG-44 */
Test(manager, whose_server_is_gone_says_so_at_once_and_each_time)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	uint64_t begun_ns;

	kill(carom_manager_pid(manager), SIGKILL);
	carom_manager_join(manager, in_time());
	begun_ns = carom_now();
	for (int i = 0; i < 100; i++)
		cr_expect(
			eq(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 1), -EPIPE));
	cr_expect(lt(u64, carom_now() - begun_ns, CAROM_SECONDS(5)));
	cr_expect(eq(int, carom_manager_count(manager, in_time(), &(size_t){ 0 }), -EPIPE));
}

Test(manager, that_was_shut_down_says_so)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	PROXY other = NULL;

	cr_assert(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 1), -EPIPE));
	cr_expect(
		eq(int, carom_manager_create(manager, "list", in_time(), &other, ""), -ESHUTDOWN));
}

Test(manager, whose_server_hangs_says_so_by_the_deadline)
{
	STARTED(manager, .shutdown_timeout_ns = CAROM_MILLISECONDS(50));
	CREATED(list, manager, "list", "");

	kill(carom_manager_pid(manager), SIGSTOP);
	cr_expect(eq(int,
		     carom_proxy_call(list, "append", carom_deadline_after(CAROM_MILLISECONDS(20)),
				      NULL, "i", 1),
		     -ETIMEDOUT));
	kill(carom_manager_pid(manager), SIGCONT);
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 2)));
}

/* ---- the program's own server ---- */

static void *serve(void *server)
{
	return (void *)(intptr_t)carom_server_serve(server, CAROM_NO_DEADLINE);
}

/* MG-04 */
Test(manager, may_be_served_by_the_program_itself)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	pthread_t thread;
	void *result;

	cr_assert(zero(int, carom_server_new(&CAROM_SERVER_OPTIONS(.path = path), &server)));
	cr_assert(zero(int, pthread_create(&thread, NULL, serve, server)));
	{
		MANAGER manager = NULL;

		cr_assert(zero(int,
			       carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &manager)));
		cr_assert(zero(int, carom_manager_connect(manager, in_time())));
		CREATED(list, manager, "list", "");
		cr_expect(zero(int, carom_manager_shutdown(manager)));
	}
	cr_assert(zero(int, pthread_join(thread, &result)));
	cr_expect(eq(ptr, result, NULL));
	cr_expect(zero(int, carom_server_serve(server, CAROM_PASSED)));
	cr_expect(eq(str, (char *)carom_server_path(server), path));
}

Test(manager, may_be_served_for_a_while)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;

	cr_assert(zero(int, carom_server_new(&CAROM_SERVER_OPTIONS(.path = path), &server)));
	cr_expect(eq(int, carom_server_serve(server, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_server_serve(server, carom_now() + 1000), -ETIMEDOUT));
	carom_server_stop(server);
	cr_expect(zero(int, carom_server_serve(server, CAROM_NO_DEADLINE)));
}

/* MG-07 */
Test(manager, registers_types_server_by_server)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	static const struct carom_method nameless[] = { { .function = add_to_counter } };
	static const struct carom_type broken = { .name = "Broken",
						  .methods = nameless,
						  .method_count = 1 };
	static const char *const exposed[] = { "add", NULL }, *const missing[] = { "sub", NULL };

	cr_assert(zero(int, carom_server_new(NULL, &server)));
	cr_expect(zero(int, carom_server_register(server, &counter_type, NULL)));
	cr_expect(eq(int, carom_server_register(server, &counter_type, NULL), -EEXIST));
	cr_expect(zero(int, carom_server_register(
				    server, &counter_type,
				    &CAROM_REGISTER_OPTIONS(.name = "Adder", .exposed = exposed))));
	cr_expect(
		eq(int,
		   carom_server_register(server, &counter_type,
					 &CAROM_REGISTER_OPTIONS(.name = "X", .exposed = missing)),
		   -EINVAL));
	cr_expect(eq(int, carom_server_register(server, &broken, NULL), -EINVAL));
	STARTED(manager, );
	PROXY counter = NULL;

	cr_expect(
		eq(int, carom_manager_create(manager, "Counter", in_time(), &counter, ""), -ENXIO));
}

/* ---- objects and references ---- */

/* MG-15 */
Test(manager, ends_an_object_that_nobody_has)
{
	STARTED(manager, );

	{
		CREATED(list, manager, "list", "");
		CREATED(dict, manager, "dict", "");
		cr_expect(eq(sz, count_of(manager), 2));
	}
	expect_count(manager, 0);
}

/* MG-17 */
Test(manager, counts_who_has_an_object)
{
	STARTED(manager, );
	CONNECTED(other, manager);
	CREATED(holder, manager, "list", "");
	struct carom_proxy *list = NULL;
	PROXY same = NULL;
	DOCUMENT document = NULL;

	cr_assert(zero(int, carom_manager_create(manager, "list", in_time(), &list, "")));
	cr_assert(zero(int, carom_proxy_call(holder, "append", in_time(), NULL, "P", list)));
	cr_assert(zero(int, carom_proxy_call(holder, "pop", in_time(), &document, "")));
	cr_assert(
		zero(int, carom_proxy_of(holder, carom_document_root(document), in_time(), &same)));
	cr_expect(carom_proxy_same(list, same));
	list = carom_proxy_free(list);
	cr_expect(zero(int, carom_proxy_call(same, "append", in_time(), NULL, "i", 1)));
	same = carom_proxy_free(same);
	expect_count(manager, 1);
}

static pid_t make_and_wait(const char *where, int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		MANAGER other = NULL;
		struct carom_proxy *list = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = where), &other) == 0 &&
		    carom_manager_connect(other, in_time()) == 0 &&
		    carom_manager_create(other, "list", in_time(), &list, "") == 0 &&
		    carom_manager_create(other, "list", in_time(), &list, "") == 0 &&
		    write(fd, "", 1) == 1)
			pause();
		_exit(1);
	}
	return pid;
}

/* MG-19 */
Test(manager, ends_what_a_client_had_that_was_killed)
{
	STARTED(manager, );
	int ends[2];
	pid_t pid;
	char byte;

	cr_assert(zero(int, pipe(ends)));
	pid = make_and_wait(carom_manager_path(manager), ends[1]);
	cr_assert(eq(sz, (size_t)read(ends[0], &byte, 1), 1));
	cr_expect(eq(sz, count_of(manager), 2));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_count(manager, 0);
	close(ends[0]);
	close(ends[1]);
}

/* MG-18 */
Test(manager, keeps_what_stands_in_its_containers)
{
	STARTED(manager, );
	CREATED(outer, manager, "list", "");
	DOCUMENT first = NULL;
	DOCUMENT inner_copy = NULL;
	PROXY again = NULL;

	{
		CREATED(inner, manager, "list", "[i]", 7);
		cr_assert(zero(int,
			       carom_proxy_call(outer, "append", in_time(), NULL, "[P]", inner)));
	}
	expect_count(manager, 2);
	cr_assert(zero(int, carom_proxy_call(outer, "__getitem__", in_time(), &first, "i", 0)));
	cr_assert(zero(int, carom_proxy_of(outer, carom_object_item(carom_document_root(first), 0),
					   in_time(), &again)));
	cr_assert(
		zero(int, carom_proxy_call(again, "__getitem__", in_time(), &inner_copy, "i", 0)));
	again = carom_proxy_free(again);
	cr_expect(zero(int, carom_proxy_call(outer, "clear", in_time(), NULL, "")));
	outer = carom_proxy_free(outer);
	expect_count(manager, 0);
}

/* A chain of containers as long as this takes no stack when it ends. */
Test(manager, ends_a_long_chain_of_containers)
{
	STARTED(manager, );
	struct carom_proxy *last = NULL, *next = NULL;

	cr_assert(zero(int, carom_manager_create(manager, "list", in_time(), &last, "")));
	for (int i = 0; i < 2000; i++) {
		cr_assert(zero(
			int, carom_manager_create(manager, "list", in_time(), &next, "[P]", last)));
		carom_proxy_free(last);
		last = next;
	}
	cr_expect(eq(sz, count_of(manager), 2001));
	carom_proxy_free(last);
	expect_count(manager, 0);
}

/* MG-45 */
Test(manager, says_how_many_objects_there_are_and_which)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	CREATED(dict, manager, "dict", "");
	DOCUMENT document = NULL;
	const char *text;

	cr_expect(eq(sz, count_of(manager), 2));
	cr_assert(zero(int, carom_manager_debug(manager, in_time(), &document)));
	cr_assert(zero(int, carom_object_text(carom_document_root(document), &text, NULL)));
	cr_expect(ne(ptr, (void *)strstr(text, "<list object>"), NULL));
	cr_expect(ne(ptr, (void *)strstr(text, "refcount=1"), NULL));
}

static int use_in_a_child(struct carom_proxy *list, struct carom_manager *manager)
{
	PROXY mine = NULL;
	int r = carom_proxy_call(list, "append", in_time(), NULL, "i", 1);

	if (r == 0)
		r = carom_manager_create(manager, "list", in_time(), &mine, "");
	if (r == 0)
		r = carom_proxy_call(mine, "append", in_time(), NULL, "P", list);
	return r;
}

/* MG-20 */
Test(manager, serves_a_forked_child_as_another_client)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	DOCUMENT length = NULL;
	int64_t count = 0;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(use_in_a_child(list, manager) == 0 ? 0 : 1);
	waitpid(pid, &status, 0);
	cr_expect(zero(int, status));
	cr_expect(zero(int, carom_proxy_call(list, "__len__", in_time(), &length, "")));
	carom_object_int(carom_document_root(length), &count);
	cr_expect(eq(i64, count, 1));
	expect_count(manager, 1);
}

static int open_and_append(const struct carom_object *token)
{
	PROXY list = NULL;
	int r = carom_proxy_open(token, NULL, in_time(), &list);

	return r < 0 ? r : carom_proxy_call(list, "append", in_time(), NULL, "i", 1);
}

static bool holds(const void *data, size_t size, const void *what, size_t what_size)
{
	return memmem(data, size, what, what_size) != NULL;
}

/* MG-16 */
/* MG-27 */
Test(manager, gives_tokens_without_a_key_that_others_open)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	DOCUMENT token = NULL;
	PROXY none = NULL;
	unsigned char key[256];
	char text[512];
	int key_size = carom_process_authkey(carom_current_process(), key), status;
	pid_t pid;

	cr_assert(zero(int, carom_proxy_token(list, &token)));
	carom_object_describe(carom_document_root(token), text, sizeof(text));
	cr_expect(not(holds(text, strlen(text), key, (size_t)key_size)));
	pid = fork();
	if (pid == 0)
		_exit(open_and_append(carom_document_root(token)) == 0 ? 0 : 1);
	waitpid(pid, &status, 0);
	cr_expect(zero(int, status));
	expect_number(list, "__len__", 1);
	cr_expect(eq(int,
		     carom_proxy_open(carom_object_item(carom_document_root(token), 0), NULL,
				      in_time(), &none),
		     -EBADMSG));
	cr_expect(eq(int,
		     carom_proxy_open(carom_document_root(token),
				      &CAROM_PROXY_OPTIONS(.authkey = "x", .authkey_size = 1),
				      in_time(), &none),
		     -EKEYREJECTED));
	list = carom_proxy_free(list);
	expect_count(manager, 0);
	cr_expect(eq(int, carom_proxy_open(carom_document_root(token), NULL, in_time(), &none),
		     -ESTALE));
}

/* ---- calls ---- */

static const char *const only_add[] = { "add", NULL };

static int have_adders(struct carom_server *server, const void *argument, size_t size)
{
	static struct counter shared = { 100 };
	static const char *const results[] = { "add", "list", NULL };
	static const char *const makes[] = { "add", "Counter", NULL };
	int r = have_counters(server, argument, size);

	if (r == 0)
		r = carom_server_register(
			server, &counter_type,
			&CAROM_REGISTER_OPTIONS(.name = "Adder", .exposed = only_add));
	if (r == 0)
		r = carom_server_register(
			server, &counter_type,
			&CAROM_REGISTER_OPTIONS(.name = "Shared", .object = &shared));
	if (r == 0)
		r = carom_server_register(
			server, &counter_type,
			&CAROM_REGISTER_OPTIONS(.name = "Wrong", .result_types = results));
	if (r == 0)
		r = carom_server_register(
			server, &counter_type,
			&CAROM_REGISTER_OPTIONS(.name = "Maker", .result_types = makes));
	return r;
}

/* MG-07 */
Test(manager, makes_objects_of_what_a_method_gives)
{
	STARTED(manager, .initializer = have_adders);
	CREATED(maker, manager, "Maker", "i", 4);
	CREATED(wrong, manager, "Wrong", "i", 4);
	PROXY made = NULL;
	DOCUMENT sum = NULL;
	int64_t number = 0;

	cr_assert(zero(int, carom_proxy_call_proxy(maker, "add", in_time(), &made, "i", 3)));
	cr_expect(eq(str, (char *)carom_proxy_type(made), (char *)"Counter"));
	expect_count(manager, 3);
	cr_assert(zero(int, carom_proxy_call(made, "add", in_time(), &sum, "i", 1)));
	carom_object_int(carom_document_root(sum), &number);
	cr_expect(eq(i64, number, 8)); /* made of the 7 that it gave */
	cr_expect(eq(int, carom_proxy_call(maker, "add", in_time(), NULL, "i", 1), -EISNAM));
	expect_count(manager, 3);
	cr_expect(eq(int, carom_proxy_call(wrong, "add", in_time(), NULL, "i", 1), -EINVAL));
}

/* MG-21 */
Test(manager, calls_what_is_exposed_and_nothing_else)
{
	STARTED(manager, .initializer = have_adders);
	CREATED(adder, manager, "Adder", "i", 1);
	CREATED(counter, manager, "Counter", "i", 1);

	cr_expect(zero(int, carom_proxy_call(adder, "add", in_time(), NULL, "i", 1)));
	cr_expect(eq(int, carom_proxy_call(adder, "fail", in_time(), NULL, ""), -EACCES));
	cr_expect(eq(int, carom_proxy_call(counter, "fail", in_time(), NULL, ""), -EDOM));
	cr_expect(eq(int, carom_proxy_call(adder, "sub", in_time(), NULL, ""), -ENOSYS));
	cr_expect(eq(int, carom_proxy_call(adder, "add", in_time(), NULL, ""), -EINVAL));
	cr_expect(eq(int, carom_proxy_call(adder, "add", in_time(), NULL, "ii", 1, 2), -EINVAL));
	cr_expect(eq(int, carom_proxy_call(adder, "add", in_time(), NULL, "s", "x"), -EINVAL));
	cr_expect(eq(int, carom_proxy_call(adder, "add", in_time(), NULL, "?"), -EINVAL));
}

/* MG-28 */
Test(manager, calls_by_name_what_it_was_never_told_of)
{
	STARTED(manager, .initializer = have_adders);
	CREATED(adder, manager, "Adder", "i", 1);
	DOCUMENT methods = NULL;
	DOCUMENT sum = NULL;
	char text[64];
	const char *name;
	int64_t value = 0;

	cr_assert(zero(int, carom_proxy_methods(adder, in_time(), &methods)));
	carom_object_describe(carom_document_root(methods), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"['add']"));
	carom_object_text(carom_object_item(carom_document_root(methods), 0), &name, NULL);
	cr_assert(zero(int, carom_proxy_call(adder, name, in_time(), &sum, "i", 41)));
	carom_object_int(carom_document_root(sum), &value);
	cr_expect(eq(i64, value, 42));
}

Test(manager, gives_the_same_object_to_whoever_asks_for_one_that_is_shared)
{
	STARTED(manager, .initializer = have_adders);
	CREATED(first, manager, "Shared", "");
	CREATED(second, manager, "Shared", "");
	DOCUMENT sum = NULL;
	int64_t value = 0;

	cr_expect(carom_proxy_same(first, second));
	cr_assert(zero(int, carom_proxy_call(first, "add", in_time(), NULL, "i", 1)));
	cr_assert(zero(int, carom_proxy_call(second, "add", in_time(), &sum, "i", 1)));
	carom_object_int(carom_document_root(sum), &value);
	cr_expect(eq(i64, value, 102));
}

/* ER-15 */
Test(manager, tells_what_was_said_there_between_dashes)
{
	STARTED(manager, .initializer = have_counters);
	CREATED(counter, manager, "Counter", "");
	char text[8192], dashes[77] = "";
	char *first, *second;

	memset(dashes, '-', 75);
	dashes[75] = '\n';
	cr_expect(eq(int, carom_proxy_call(counter, "fail", in_time(), NULL, ""), -EDOM));
	cr_assert(lt(sz, carom_proxy_error(text, sizeof(text)), sizeof(text)));
	cr_expect(zero(int, strncmp(text, "Counter.fail: ", 14)));
	first = strstr(text, dashes);
	cr_assert(ne(ptr, first, NULL));
	second = strstr(first + 76, dashes);
	cr_assert(ne(ptr, second, NULL));
	cr_expect(zero(int, strncmp(first + 76, "it counts no 7\n", 15)));
	cr_expect(lt(int, 15, (int)(second - (first + 76))), "the way to there");
	cr_expect(eq(int, carom_proxy_call(counter, "sub", in_time(), NULL, ""), -ENOSYS));
	carom_proxy_error(text, sizeof(text));
	cr_expect(eq(ptr, strstr(text, dashes), NULL));
	cr_expect(zero(int, carom_proxy_call(counter, "add", in_time(), NULL, "i", 1)));
	cr_expect(zero(sz, carom_proxy_error(text, sizeof(text))));
}

/* MG-22 */
Test(manager, gives_copies)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "[iii]", 1, 2, 3);
	DOCUMENT before = NULL;
	char text[64];

	cr_assert(zero(int, carom_proxy_snapshot(list, in_time(), &before)));
	cr_assert(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 4)));
	carom_object_describe(carom_document_root(before), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"[1, 2, 3]"));
}

/* MG-23 */
Test(manager, says_what_an_object_is_here_and_there)
{
	STARTED(manager, .initializer = have_counters);
	CREATED(list, manager, "list", "[is]", 1, "a");
	CREATED(counter, manager, "Counter", "");
	char text[128], expected[128];

	carom_proxy_text(list, in_time(), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"[1, 'a']"));
	snprintf(expected, sizeof(expected), "<ListProxy object, typeid 'list' at 0x%llx>",
		 (unsigned long long)carom_proxy_id(list));
	cr_expect(eq(sz, carom_proxy_describe(list, text, sizeof(text)), strlen(expected)));
	cr_expect(eq(str, text, expected));
	carom_proxy_text(counter, in_time(), text, sizeof(text));
	cr_expect(zero(int, strncmp(text, "<Counter object at 0x", 21)));
	carom_manager_shutdown(manager);
	carom_proxy_text(list, in_time(), text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "; '__str__()' failed>"), NULL));
}

/* MG-24 */
Test(manager, has_proxies_that_are_the_same_if_their_objects_are)
{
	STARTED(manager, );
	CREATED(one, manager, "list", "[i]", 1);
	CREATED(other, manager, "list", "[i]", 1);

	cr_expect(carom_proxy_same(one, one));
	cr_expect(not(carom_proxy_same(one, other)));
}

/* MG-26 */
Test(manager, changes_nothing_by_what_is_changed_here)
{
	STARTED(manager, );
	CREATED(dict, manager, "dict", "{s: [i]}", "k", 1);
	DOCUMENT copy = NULL;
	DOCUMENT changed = NULL;
	char text[64];

	cr_assert(zero(int, carom_proxy_call(dict, "__getitem__", in_time(), &copy, "s", "k")));
	cr_assert(zero(int,
		       carom_document_build(&changed, "[O i]",
					    carom_object_item(carom_document_root(copy), 0), 2)));
	carom_proxy_text(dict, in_time(), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"{'k': [1]}"));
	cr_assert(zero(int, carom_proxy_call(dict, "__setitem__", in_time(), NULL, "sO", "k",
					     carom_document_root(changed))));
	carom_proxy_text(dict, in_time(), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"{'k': [1, 2]}"));
}

/* ---- bad input ---- */

Test(manager, refuses_what_is_too_long_or_too_deep)
{
	STARTED(manager, .message_max = 4096, .depth_max = 4);
	CREATED(list, manager, "list", "");
	static char text[8192];

	memset(text, 'x', sizeof(text) - 1);
	cr_expect(eq(int, carom_proxy_call(list, "append", in_time(), NULL, "s", text), -EMSGSIZE));
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "[[[i]]]", 1)));
	cr_expect(eq(int, carom_proxy_call(list, "append", in_time(), NULL, "[[[[[i]]]]]", 1),
		     -EMSGSIZE));
	text[3000] = '\0';
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "s", text)));
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "s", text)));
	cr_expect(eq(int, carom_proxy_snapshot(list, in_time(), &(struct carom_document *){ NULL }),
		     -EMSGSIZE));
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 1)));
}

Test(manager, refuses_what_there_is_not)
{
	STARTED(manager, );
	CREATED(list, manager, "list", "");
	PROXY none = NULL;
	DOCUMENT document = NULL;

	cr_expect(eq(int, carom_manager_create(manager, "no such", in_time(), &none, ""), -ENXIO));
	cr_expect(eq(int, carom_manager_create(manager, "Iterator", in_time(), &none, ""), -EPERM));
	cr_expect(
		eq(int, carom_manager_create(manager, "list", in_time(), &none, "i", 1), -EINVAL));
	cr_assert(zero(int, carom_document_build(&document, "P", list)));
	cr_assert(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "O",
					     carom_document_root(document))));
	cr_expect(
		eq(int, carom_proxy_call_proxy(list, "__len__", in_time(), &none, ""), -ENOTUNIQ));
}

/* What no client of this library sends. */
static int send_to(struct carom_manager *manager, const void *data, size_t size, bool waits)
{
	CONNECTION connection = NULL;
	char key[256], answer[512];
	int key_size = carom_process_authkey(carom_current_process(), key), r;
	size_t got;

	cr_assert(zero(
		int, carom_client_connect(&CAROM_CLIENT_OPTIONS(.path = carom_manager_path(manager),
								.authkey = key,
								.authkey_size = (size_t)key_size),
					  in_time(), &connection)));
	r = carom_connection_send_bytes(connection, data, size, in_time());
	if (r == 0 && waits)
		r = carom_connection_recv_bytes_into(connection, answer, sizeof(answer), in_time(),
						     &got);
	return r;
}

Test(manager, ends_who_talks_nonsense_and_serves_the_others)
{
	static const char *const nonsense[] = { "", "\xff", "\x80", "\x86\x01\x02\x03\x04\x05\x06",
						"GET / HTTP/1.0\r\n\r\n" };
	STARTED(manager, );
	CREATED(list, manager, "list", "");

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++)
		cr_expect(ne(int, send_to(manager, nonsense[i], strlen(nonsense[i]), true), 0));
	cr_expect(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "i", 1)));
	/* [1, 99, "append", (), None, 0] */
	cr_expect(zero(int, send_to(manager,
				    "\x86\x01\x18\x63\x66"
				    "append\xd9\xca\x70\x80\xf6\x00",
				    17, true)));
}

/* ---- many ---- */

/* MG-11 */
Test(manager, serves_many_idle_clients_in_one_thread)
{
	enum { CLIENTS = 200 };
	STARTED(manager, );
	struct carom_manager *clients[CLIENTS];
	struct carom_proxy *proxies[CLIENTS];

	for (int i = 0; i < CLIENTS; i++) {
		cr_assert(zero(int,
			       carom_manager_new(
				       &CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager)),
				       &clients[i])));
		cr_assert(zero(int, carom_manager_connect(clients[i], in_time())));
		cr_assert(zero(
			int, carom_manager_create(clients[i], "list", in_time(), &proxies[i], "")));
	}
	cr_expect(eq(sz, count_of(manager), CLIENTS));
	for (int i = 0; i < CLIENTS; i++)
		cr_expect(
			zero(int, carom_proxy_call(proxies[i], "append", in_time(), NULL, "i", i)));
	for (int i = 0; i < CLIENTS; i++) {
		carom_proxy_free(proxies[i]);
		carom_manager_free(clients[i]);
	}
	expect_count(manager, 0);
}

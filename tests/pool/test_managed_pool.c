/* Pools of a manager's server. */
#include "tests/interop/python.h"

#include "core/process.h"
#include "tests/ipc/managed_calls.h"
#include "tests/needs.h"
#include "tests/pool/managed.h"

/* What is registered, and offered to nobody. */
static int not_offered(struct carom_call *call)
{
	return carom_reply(call, NULL, 0);
}
CAROM_REGISTER(not_offered);

static void start(void)
{
	gate = gate_new();
	if (getenv("CAROM_CHILD"))
		carom_set_executable(getenv("CAROM_CHILD"));
	start_manager();
}

TestSuite(managed_pool, .init = start, .fini = end_manager, .timeout = 60);

/* What a call gives, as Python writes it. */
static char *text_of(struct carom_document *document, char *text, size_t size)
{
	carom_object_describe(carom_document_root(document), text, size);
	return text;
}

#define expect_text(expected, proxy, method, ...)                                                 \
	do {                                                                                      \
		DOCUMENT document_ = NULL;                                                        \
		char text_[256];                                                                  \
		cr_assert(zero(int, carom_proxy_call(proxy, method, in_time(), &document_,        \
						     __VA_ARGS__)));                              \
		cr_expect(eq(str, text_of(document_, text_, sizeof(text_)), (char *)(expected))); \
	} while (0)

#define RESULT(result, pool, method, ...) \
	PROXY result = NULL;              \
	cr_assert(zero(int, carom_proxy_call_proxy(pool, method, in_time(), &result, __VA_ARGS__)))

/* That a call fails, with this in what is said of it. */
static void expect_failure(int error, const char *words, struct carom_proxy *proxy,
			   const char *method, const char *format, ...)
{
	char text[8192] = "";
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = carom_proxy_vcall(proxy, method, in_time(), NULL, format, arguments);
	va_end(arguments);
	carom_proxy_error(text, sizeof(text));
	cr_expect(eq(int, r, error));
	cr_expect(ne(ptr, strstr(text, words), NULL), "'%s' is not in: %s", words, text);
}

/* MG-40 */
Test(managed_pool, does_what_is_offered_by_its_name)
{
	CREATED(pool, "Pool", "i", 2);

	expect_text("42", pool, "apply", "s(i)", "double_it", 21);
	expect_text("[2, 4, 6]", pool, "map", "s[iii]", "double_it", 1, 2, 3);
	expect_text("[2, 4]", pool, "map", "s(ii)i", "double_it", 1, 2, 1);
	expect_text("[]", pool, "map", "s[]", "double_it");
	expect_text("[(1, 'a'), 2, ()]", pool, "starmap", "s[(is)(i)()]", "give_back", 1, "a", 2);
	expect_text("['a', 'b']", pool, "map", "s{sisi}", "give_back", "a", 1, "b", 2);
	expect_text("[(1, 2)]", pool, "map", "s[(ii)]", "give_back", 1, 2);
	expect_text("{'a': [1.5, None, b'x']}", pool, "apply", "s({s[dny]})", "give_back", "a", 1.5,
		    "x", (size_t)1);
	expect_text("None", pool, "apply", "s", "give_nothing");
	expect_text("[None, None]", pool, "starmap", "s[()()]", "give_nothing");
	expect_text("()", pool, "apply", "sn{}", "give_back");
}

/* MG-40 */
/* MG-41 */
Test(managed_pool, gives_results_that_are_to_come)
{
	CREATED(pool, "Pool", "i", 1);
	RESULT(first, pool, "apply_async", "s(i)", "pass_gate", 0);
	RESULT(second, pool, "map_async", "s[ii]", "double_it", 4, 5);
	RESULT(third, pool, "starmap_async", "s[(ii)]", "give_back", 6, 7);
	RESULT(none, pool, "map_async", "s[]", "double_it");

	cr_expect(eq(str, (char *)carom_proxy_type(first), (char *)"AsyncResult"));
	expect_text("False", first, "ready", "");
	expect_call(-EINPROGRESS, first, "successful", "");
	expect_call(-ETIMEDOUT, first, "get", "d", 0.01);
	expect_call(-ETIMEDOUT, first, "get", "i", 0);
	expect_text("None", first, "wait", "d", 0.01);
	expect_call(-ETIMEDOUT, second, "get", "i", 0);
	expect_text("[]", none, "get", "i", 0);
	gate_open(gate, 1);
	expect_text("0", first, "get", "");
	expect_text("0", first, "get", "n"); /* and again */
	expect_text("None", third, "wait", "");
	expect_text("[8, 10]", second, "get", "i", 0);
	expect_text("[(6, 7)]", third, "get", "i", 0);
	expect_text("True", third, "ready", "");
	expect_text("True", third, "successful", "");
}

/* MG-40 */
/* MG-41 */
Test(managed_pool, goes_over_values_in_their_order)
{
	CREATED(pool, "Pool", "i", 3);
	RESULT(iterator, pool, "imap", "s[iii]", "pass_gate", 2, 1, 0);

	cr_expect(eq(str, (char *)carom_proxy_type(iterator), (char *)"Iterator"));
	gate_open(gate, 2); /* the first one waits */
	expect_call(-ETIMEDOUT, iterator, "__next__", "i", 0);
	expect_call(-ETIMEDOUT, iterator, "__next__", "d", 0.01);
	gate_open(gate, 3);
	expect_call(2, iterator, "__next__", "");
	expect_call(1, iterator, "__next__", "n");
	expect_call(0, iterator, "__next__", "i", 20);
	expect_call(-ENODATA, iterator, "__next__", "");
	expect_call(-ENODATA, iterator, "__next__", "");
	expect_call(-ENOSYS, iterator, "send", "n");
}

/* MG-40 */
/* MG-41 */
Test(managed_pool, goes_over_values_as_they_come)
{
	CREATED(pool, "Pool", "i", 3);
	RESULT(iterator, pool, "imap_unordered", "s[iii]i", "pass_gate", 2, 1, 0, 1);

	for (uint32_t i = 0; i < 3; i++) {
		gate_open(gate, i + 1);
		expect_call(i, iterator, "__next__", "");
	}
	expect_call(-ENODATA, iterator, "__next__", "");
}

static void *next_in_thread(void *iterator)
{
	return (void *)(intptr_t)call(iterator, "__next__", "");
}

static void *get_in_thread(void *result)
{
	return (void *)(intptr_t)call(result, "get", "");
}

Test(managed_pool, ends_an_iterator_that_is_closed)
{
	CREATED(pool, "Pool", "i", 1);
	RESULT(iterator, pool, "imap", "s[ii]", "pass_gate", 0, 1);
	pthread_t thread;

	gate_open(gate, 1);
	expect_call(0, iterator, "__next__", "");
	cr_assert(zero(int, pthread_create(&thread, NULL, next_in_thread, iterator)));
	expect_call(0, iterator, "close", "");
	cr_expect(eq(i64, joined(thread), -ENODATA));
	expect_call(-ENODATA, iterator, "__next__", "");
	gate_open(gate, 2);
	expect_text("2", pool, "apply", "s(i)", "double_it", 1);
}

Test(managed_pool, holds_up_nobody)
{
	CREATED(pool, "Pool", "i", 1);
	CREATED(dict, "dict", "");
	RESULT(result, pool, "apply_async", "s(i)", "pass_gate", 0);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, get_in_thread, result)));
	gate_await(&gate->begun, 1);
	for (int i = 0; i < 200; i++) {
		expect_call(0, dict, "__setitem__", "ii", i, 2 * i);
		expect_call(2 * i, dict, "__getitem__", "i", i);
	}
	gate_open(gate, 1);
	for (int i = 0; i < 4; i++)
		cr_expect(zero(i64, joined(threads[i])));
}

/* MG-40 */
Test(managed_pool, tells_how_a_task_has_failed)
{
	CREATED(pool, "Pool", "innnn{sd}", 1, "hard_limit", 0.2);
	RESULT(result, pool, "map_async", "s[is]", "double_it", 1, "b");

	expect_failure(-EREMOTEIO, "failed: it is no number", pool, "apply", "s(s)", "double_it",
		       "a");
	expect_failure(-EREMOTEIO, "was killed by signal 9 (SIGKILL)", pool, "apply", "s", "die");
	expect_failure(-EREMOTEIO, "hard limit: exceeded 0.200 s", pool, "apply", "s",
		       "take_too_long");
	expect_failure(-EREMOTEIO, "its value cannot be read", pool, "apply", "s", "give_nonsense");
	expect_failure(-EREMOTEIO, "failed: it is no number", result, "get", "");
	expect_text("False", result, "successful", "");
	expect_text("2", pool, "apply", "s(i)", "double_it", 1);
}

Test(managed_pool, hands_out_failures_between_values)
{
	CREATED(pool, "Pool", "i", 1);
	RESULT(iterator, pool, "imap", "s[isi]", "double_it", 1, "b", 3);

	expect_call(2, iterator, "__next__", "");
	expect_failure(-EREMOTEIO, "failed: it is no number", iterator, "__next__", "");
	expect_call(6, iterator, "__next__", "");
	expect_call(-ENODATA, iterator, "__next__", "");
}

/* MG-40 */
Test(managed_pool, does_nothing_that_is_not_offered)
{
	CREATED(pool, "Pool", "i", 1);

	expect_failure(-ENOENT, "no task nothing is offered", pool, "apply", "s", "nothing");
	expect_failure(-ENOENT, "no task not_offered is offered", pool, "apply", "s",
		       "not_offered");
	expect_failure(-ENOENT, "no task carom.manager is offered", pool, "map", "s[i]",
		       "carom.manager", 1);
	expect_failure(-ENOENT, "no task prepare is offered", pool, "apply", "s", "prepare");
}

Test(managed_pool, refuses_what_makes_no_sense)
{
	CREATED(pool, "Pool", "i", 1);
	CREATED(list, "list", "");
	PROXY other = NULL;

	expect_call(-EINVAL, pool, "apply", "");
	expect_call(-EINVAL, pool, "apply", "i", 1);
	expect_call(-EINVAL, pool, "apply", "si", "double_it", 1);
	expect_call(-EINVAL, pool, "apply", "s(i){si}", "double_it", 1, "a", 2);
	expect_call(-EINVAL, pool, "apply_async", "s(i){}s", "double_it", 1, "callback");
	expect_call(-EINVAL, pool, "map", "si", "double_it", 1);
	expect_call(-EINVAL, pool, "map", "s[i]i", "double_it", 1, 0);
	expect_call(-EINVAL, pool, "starmap", "s[i]", "give_back", 1);
	expect_failure(-EREMOTEIO, "Invalid argument", pool, "apply", "s(P)", "give_back", list);
	expect_call(-ENOSYS, pool, "submit", "");
	cr_expect(
		eq(int, carom_manager_create(manager, "Pool", in_time(), &other, "i", 0), -EINVAL));
	cr_expect(eq(int, carom_manager_create(manager, "Pool", in_time(), &other, "is", 1, "no"),
		     -ENOENT));
	cr_expect(eq(int,
		     carom_manager_create(manager, "Pool", in_time(), &other, "innns", 1, "thread"),
		     -EOPNOTSUPP));
	cr_expect(eq(int,
		     carom_manager_create(manager, "Pool", in_time(), &other, "innnn{si}", 1,
					  "soft_limits", 1),
		     -EINVAL));
	cr_expect(eq(int, carom_manager_create(manager, "AsyncResult", in_time(), &other, ""),
		     -EPERM));
}

/* MG-40 */
Test(managed_pool, does_what_it_has_accepted_when_it_is_closed)
{
	CREATED(pool, "Pool", "i", 2);
	RESULT(result, pool, "map_async", "s[iii]", "pass_gate", 0, 0, 0);

	expect_call(-EINVAL, pool, "join", "");
	expect_call(0, pool, "close", "");
	expect_call(0, pool, "close", "");
	expect_call(-ESHUTDOWN, pool, "apply", "s(i)", "double_it", 1);
	expect_call(-ESHUTDOWN, pool, "imap", "s[i]", "double_it", 1);
	cr_expect(eq(int,
		     carom_proxy_call(pool, "join", carom_deadline_after(CAROM_MILLISECONDS(10)),
				      NULL, ""),
		     -ETIMEDOUT));
	gate_open(gate, 1);
	expect_call(0, pool, "join", "");
	expect_call(0, pool, "join", "");
	expect_call(0, pool, "terminate", "");
	expect_text("[0, 0, 0]", result, "get", "");
	expect_call(-ESHUTDOWN, pool, "apply", "s(i)", "double_it", 1);
}

/* MG-40 */
Test(managed_pool, is_terminated_and_everybody_is_answered)
{
	CREATED(pool, "Pool", "i", 1);
	RESULT(running, pool, "apply_async", "s(i)", "pass_gate", 0);
	RESULT(waiting, pool, "apply_async", "s(i)", "double_it", 1);
	RESULT(iterator, pool, "imap", "s[i]", "double_it", 1);
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, get_in_thread, waiting)));
	gate_await(&gate->begun, 1);
	expect_call(0, pool, "terminate", "");
	cr_expect(eq(i64, joined(thread), -EREMOTEIO));
	expect_failure(-EREMOTEIO, "terminated", running, "get", "i", 0);
	expect_failure(-EREMOTEIO, "pool closed", waiting, "get", "i", 0);
	expect_failure(-EREMOTEIO, "pool closed", iterator, "__next__", "i", 0);
	expect_call(-ENODATA, iterator, "__next__", "");
	expect_call(-ESHUTDOWN, pool, "apply", "s", "tell_pid");
	expect_call(0, pool, "join", "");
	expect_call(0, pool, "close", "");
}

/* MG-40 */
Test(managed_pool, has_more_work_than_it_takes_at_once)
{
	enum { COUNT = 5000 };
	CREATED(pool, "Pool", "i", 2);
	DOCUMENT items = NULL;
	DOCUMENT values = NULL;
	struct carom_object *list;
	int64_t number = 0;

	cr_assert(zero(int, carom_document_new(NULL, &items)));
	list = carom_document_list(items);
	for (int i = 0; i < COUNT; i++)
		carom_document_append(items, list, carom_document_int(items, i));
	cr_assert(zero(int, carom_document_finish(items, list)));
	cr_assert(zero(int, carom_proxy_call(pool, "map", in_time(), &values, "sO", "double_it",
					     carom_document_root(items))));
	cr_assert(eq(sz, carom_object_count(carom_document_root(values)), COUNT));
	for (int i = 0; i < COUNT; i++) {
		carom_object_int(carom_object_item(carom_document_root(values), i), &number);
		cr_assert(eq(i64, number, 2 * i));
	}
}

Test(managed_pool, does_what_waits_in_its_line_before_it_is_closed)
{
	enum { COUNT = 600 }; /* more than are submitted at once */
	CREATED(pool, "Pool", "i", 1);
	DOCUMENT items = NULL;
	PROXY result = NULL;
	struct carom_object *list;

	cr_assert(zero(int, carom_document_new(NULL, &items)));
	list = carom_document_list(items);
	for (int i = 0; i < COUNT; i++)
		carom_document_append(items, list, carom_document_int(items, 0));
	cr_assert(zero(int, carom_document_finish(items, list)));
	cr_assert(zero(int, carom_proxy_call_proxy(pool, "map_async", in_time(), &result, "sO",
						   "pass_gate", carom_document_root(items))));
	expect_call(0, pool, "close", "");
	gate_open(gate, 1);
	expect_call(0, pool, "join", "");
	expect_text("True", result, "successful", "");
}

Test(managed_pool, takes_long_arguments_and_values)
{
	static char bytes[200000];
	CREATED(pool, "Pool", "i", 2);
	DOCUMENT values = NULL;
	const void *data;
	size_t size;

	cr_assert(zero(int, carom_proxy_call(pool, "map", in_time(), &values, "s[yy]", "give_back",
					     bytes, sizeof(bytes), bytes, sizeof(bytes))));
	cr_assert(zero(int, carom_object_bytes(carom_object_item(carom_document_root(values), 1),
					       &data, &size)));
	cr_expect(eq(sz, size, sizeof(bytes)));
}

/* MG-40 */
Test(managed_pool, prepares_its_workers_and_replaces_them)
{
	CREATED(pool, "Pool", "is(i)i", 1, "prepare", 7, 1);
	int64_t pid = call(pool, "apply", "s", "tell_pid");

	expect_call(7, pool, "apply", "s", "tell_prepared");
	cr_expect(ne(i64, call(pool, "apply", "s", "tell_pid"), pid));
}

Test(managed_pool, says_that_it_is_broken)
{
	CREATED(pool, "Pool", "is", 1, "refuse");

	expect_failure(-EREMOTEIO, "pool broken", pool, "apply", "s", "tell_pid");
	expect_call(-ENOTRECOVERABLE, pool, "apply", "s", "tell_pid");
	expect_call(0, pool, "terminate", "");
}

/* MG-40 */
Test(managed_pool, has_workers_by_every_method)
{
	const char *const methods[] = { "fork", "forkserver", "spawn" };
	const char *child = getenv("CAROM_CHILD");

	for (int i = 0; i < (child ? 3 : 2); i++) {
		CREATED(pool, "Pool", "innns", 2, methods[i]);

		expect_text("[2, 4, 6]", pool, "map", "s[iii]", "double_it", 1, 2, 3);
		expect_call(0, pool, "close", "");
		expect_call(0, pool, "join", "");
	}
}

/* ---- ends ---- */

static int pidfd_of_worker(struct carom_proxy *pool)
{
	int64_t pid;
	int fd;

	NEEDS("pidfd_open");
	pid = call(pool, "apply", "s", "tell_pid");
	cr_assert(lt(i64, 0, pid));
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	cr_assert(le(int, 0, fd));
	return fd;
}

static void expect_end(int pidfd)
{
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };

	cr_expect(eq(int, poll(&pollfd, 1, 20000), 1), "the worker lives");
}

static void await_count(size_t count)
{
	size_t seen;

	do
		cr_assert(zero(int, carom_manager_count(manager, in_time(), &seen)));
	while (seen != count && sched_yield() == 0);
}

Test(managed_pool, ends_with_its_last_proxy)
{
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	PROXY pool = NULL;

	cr_assert(zero(int, carom_manager_create(manager, "Pool", in_time(), &pool, "i", 1)));
	pidfd = pidfd_of_worker(pool);
	pool = carom_proxy_free(pool);
	expect_end(pidfd);
	await_count(0);
}

Test(managed_pool, lives_as_long_as_a_result_of_it_is_to_come)
{
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	PROXY pool = NULL;
	PROXY result = NULL;

	cr_assert(zero(int, carom_manager_create(manager, "Pool", in_time(), &pool, "i", 1)));
	pidfd = pidfd_of_worker(pool);
	cr_assert(zero(int, carom_proxy_call_proxy(pool, "apply_async", in_time(), &result, "s(i)",
						   "pass_gate", 0)));
	pool = carom_proxy_free(pool);
	await_count(1);
	gate_open(gate, 1);
	expect_text("0", result, "get", "");
	expect_end(pidfd);
}

Test(managed_pool, does_what_nobody_wants_to_know)
{
	CREATED(pool, "Pool", "i", 1);
	PROXY result = NULL;

	cr_assert(zero(int, carom_proxy_call_proxy(pool, "apply_async", in_time(), &result, "s(i)",
						   "pass_gate", 0)));
	result = carom_proxy_free(result);
	await_count(1);
	gate_await(&gate->begun, 1);
	gate_open(gate, 1);
	expect_text("2", pool, "apply", "s(i)", "double_it", 1);
}

/* MG-41 */
Test(managed_pool, gets_back_what_a_client_had_that_was_killed)
{
	CREATED(pool, "Pool", "i", 1);
	PROXY own = NULL;
	PROXY result = NULL;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		carom_manager_create(manager, "Pool", in_time(), &own, "i", 1);
		carom_proxy_call_proxy(pool, "apply_async", in_time(), &result, "s(i)", "pass_gate",
				       0);
		call(own, "apply", "s(i)", "pass_gate", 0); /* and waits */
		_exit(1);
	}
	gate_await(&gate->begun, 2);
	await_count(3);
	kill(pid, SIGKILL);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	await_count(1);
	gate_open(gate, 1);
	expect_text("2", pool, "apply", "s(i)", "double_it", 1);
}

/* MG-40 */
Test(managed_pool, ends_with_its_server)
{
	CREATED(pool, "Pool", "i", 1);
	CREATED(idle, "Pool", "i", 1);
	CAROM_CLEANUP(carom_closep) int pidfd = pidfd_of_worker(pool);
	CAROM_CLEANUP(carom_closep) int idle_pidfd = pidfd_of_worker(idle);
	RESULT(result, pool, "apply_async", "s(i)", "pass_gate", 0);

	gate_await(&gate->begun, 1);
	cr_expect(zero(int, carom_manager_shutdown(manager)));
	expect_end(pidfd);
	expect_end(idle_pidfd);
	expect_call(-EPIPE, result, "get", "");
}

Test(managed_pool, ends_with_its_server_that_is_killed)
{
	CREATED(pool, "Pool", "i", 1);
	CAROM_CLEANUP(carom_closep) int pidfd = pidfd_of_worker(pool);
	RESULT(result, pool, "apply_async", "s(i)", "pass_gate", 0);
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, get_in_thread, result)));
	gate_await(&gate->begun, 1);
	kill(carom_manager_pid(manager), SIGKILL);
	cr_expect(eq(i64, joined(thread), -EPIPE));
	expect_end(pidfd);
}

/* MG-40 */
Test(managed_pool, is_of_a_server_that_was_executed_anew)
{
	struct carom_context *spawn;

	if (!getenv("CAROM_CHILD"))
		cr_skip_test("skipped: no CAROM_CHILD");
	end_manager();
	cr_assert(zero(int, carom_context_get("spawn", &spawn)));
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.context = spawn), &manager)));
	cr_assert(zero(int, carom_manager_start(manager)));
	CREATED(pool, "Pool", "i", 2);
	expect_text("[2, 4, 6]", pool, "map", "s[iii]", "double_it", 1, 2, 3);
}

Test(managed_pool, is_of_a_server_whose_daemons_have_no_children)
{
	struct carom_context *context;

	end_manager();
	cr_assert(zero(int, carom_context_get("forkserver", &context)));
	cr_assert(zero(int, carom_context_configure(
				    context, &CAROM_CONTEXT_OPTIONS(.no_daemon_children = true))));
	cr_assert(
		zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.context = context), &manager)));
	cr_assert(zero(int, carom_manager_start(manager)));
	CREATED(pool, "Pool", "i", 1);
	expect_text("2", pool, "apply", "s(i)", "double_it", 1);
}

static void *serve(void *server)
{
	return (void *)(intptr_t)carom_server_serve(server, CAROM_NO_DEADLINE);
}

/* What is under way when it ends is not left to anybody. */
Test(managed_pool, is_of_a_server_of_the_programs_own)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	pthread_t thread;

	end_manager();
	cr_assert(zero(int, carom_server_new(NULL, &server)));
	cr_assert(zero(int, pthread_create(&thread, NULL, serve, server)));
	cr_assert(zero(int,
		       carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = carom_server_path(server)),
					 &manager)));
	cr_assert(zero(int, carom_manager_connect(manager, in_time())));
	{
		CREATED(pool, "Pool", "i", 2);
		CREATED(given_up, "Pool", "i", 1);
		RESULT(iterator, pool, "imap_unordered", "s[sii]", "double_it", "x", 2, 3);
		expect_text("[2, 4, 6]", pool, "map", "s[iii]", "double_it", 1, 2, 3);
		RESULT(running, pool, "starmap_async", "s[(i)(i)]", "pass_gate", 1, 1);
		RESULT(forgotten, given_up, "apply_async", "s(i)", "pass_gate", 1);

		gate_await(&gate->begun, 3);
		forgotten = carom_proxy_free(forgotten);
		given_up = carom_proxy_free(given_up);
		cr_expect(zero(int, carom_manager_shutdown(manager)));
		cr_expect(zero(i64, joined(thread)));
		server = carom_server_free(server);
		expect_call(-EPIPE, running, "get", "");
	}
}

/* ---- Python ---- */

#define SCRIPT                                                                            \
	PRELUDE "from multiprocessing.managers import SyncManager\n"                      \
		"def said(f, *args):\n"                                                   \
		"    try: return f(*args)\n"                                              \
		"    except Exception as e: return type(e).__name__\n"                    \
		"m = SyncManager(address=place, authkey=key)\n"                           \
		"m.connect()\n"                                                           \
		"with m.Pool(2) as p:\n"                                                  \
		"    a = p.apply_async('double_it', (4,))\n"                              \
		"    b = p.map_async('take_too_long', [1])\n"                             \
		"    print(p.apply('double_it', (21,)), p.map('double_it', [1, 2]),\n"    \
		"          p.starmap('give_back', [(1, 'a')]),\n"                         \
		"          list(p.imap('double_it', (3, 4))),\n"                          \
		"          sorted(p.imap_unordered('double_it', (3, 4))),\n"              \
		"          a.get(), a.ready(), a.successful(), said(b.get, 0.01),\n"      \
		"          said(b.successful), said(p.join), said(p.apply, 'nothing'),\n" \
		"          said(p.apply, 'double_it', ('x',)))\n"                         \
		"print(said(p.apply, 'double_it', (1,)))\n"

Test(managed_pool, works_for_python_too)
{
	struct python python;
	char line[512];

	skip_without_python();
	end_manager();
	cr_assert(zero(int, carom_manager_new(
				    &CAROM_MANAGER_OPTIONS(.authkey = "a key", .authkey_size = 5),
				    &manager)));
	cr_assert(zero(int, carom_manager_start(manager)));
	python = start_python(PYTHON, SCRIPT, carom_manager_path(manager), "a key");
	read_line(&python, line, sizeof(line));
	cr_expect(eq(str, line,
		     (char *)"42 [2, 4] [(1, 'a')] [6, 8] [6, 8] 8 True True TimeoutError "
			     "ValueError ValueError RemoteError RemoteError"));
	read_line(&python, line, sizeof(line));
	cr_expect(eq(str, line, (char *)"ValueError"));
	cr_expect(zero(int, end_python(&python)));
}

/* Managers whose clients are on the same machine: the short way, and the long one beside it. */
#include "ipc/manager.h"

#include "tests/ipc/chutes.h"
#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/points.h"

static void have_chutes(void)
{
	setenv("CAROM_MANAGER", "chute", 1);
}

TestSuite(managed_chute, .init = have_chutes, .timeout = 60);

#define CREATED(proxy, manager, type, ...) \
	PROXY proxy = NULL;                \
	cr_assert(zero(int, carom_manager_create(manager, type, in_time(), &proxy, __VA_ARGS__)))

static size_t count_of(struct carom_manager *manager)
{
	size_t count = 999;

	cr_assert(zero(int, carom_manager_count(manager, in_time(), &count)));
	return count;
}

static int append(struct carom_proxy *list, int value)
{
	return carom_proxy_call(list, "append", in_time(), NULL, "i", value);
}

static void expect_length(struct carom_proxy *list, int64_t expected)
{
	DOCUMENT document = NULL;
	int64_t length = -1;

	cr_expect(zero(int, carom_proxy_call(list, "__len__", in_time(), &document, "")));
	if (document)
		carom_object_int(carom_document_root(document), &length);
	cr_expect(eq(i64, length, expected));
}

/* ---- who has one ---- */

Test(managed_chute, is_had_by_who_calls_often)
{
	MANAGER manager = NULL;

	unsetenv("CAROM_MANAGER");
	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	cr_expect(zero(int, append(list, 0)));
	cr_expect(zero(int, count_chutes(getpid())));
	for (int i = 1; i < 100; i++)
		cr_expect(zero(int, append(list, i)));
	cr_expect(eq(int, count_chutes(getpid()), 1));
	cr_expect(eq(int, count_chutes(carom_manager_pid(manager)), 1));
	expect_length(list, 100);
}

Test(managed_chute, is_not_had_by_who_does_not_want_it)
{
	MANAGER manager = NULL;

	setenv("CAROM_MANAGER", "socket", 1);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 100; i++)
		cr_expect(zero(int, append(list, i)));
	cr_expect(zero(int, count_chutes(getpid())));
	expect_length(list, 100);
}

/* Its server says no, and it is served all the same. */
Test(managed_chute, is_not_had_where_the_server_has_none)
{
	MANAGER manager = NULL;

	setenv("CAROM_MANAGER", "socket", 1);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	setenv("CAROM_MANAGER", "chute", 1);
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 100; i++)
		cr_expect(zero(int, append(list, i)));
	cr_expect(zero(int, count_chutes(getpid())));
	expect_length(list, 100);
}

Test(managed_chute, is_given_back_with_its_client)
{
	MANAGER manager = NULL;
	MANAGER other = NULL;
	uint64_t deadline_ns = in_time();
	int before;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	before = count_chutes(carom_manager_pid(manager));
	cr_assert(zero(
		int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager)),
				       &other)));
	cr_assert(zero(int, carom_manager_connect(other, in_time())));
	{
		CREATED(list, other, "list", "");
		cr_expect(zero(int, append(list, 1)));
		cr_expect(eq(int, count_chutes(carom_manager_pid(manager)), before + 1));
	}
	other = carom_manager_free(other);
	while (count_chutes(carom_manager_pid(manager)) > before && carom_now() < deadline_ns)
		usleep(1000);
	cr_expect(eq(int, count_chutes(carom_manager_pid(manager)), before));
}

static int become_somebody_else(void)
{
	/* and see what one has, all the same */
	return setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
			       prctl(PR_SET_DUMPABLE, 1) < 0
		       ? -1
		       : 0;
}

/* With the key of its parent. Return: what went wrong first; 0: nothing */
static int work_as_somebody_else(const char *path)
{
	MANAGER manager = NULL;
	PROXY list = NULL;

	if (become_somebody_else() < 0)
		return 1;
	if (carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &manager) < 0 ||
	    carom_manager_connect(manager, in_time()) < 0)
		return 2;
	if (carom_manager_create(manager, "list", in_time(), &list, "") < 0)
		return 3;
	for (int i = 0; i < 100; i++)
		if (append(list, i) < 0)
			return 4;
	return count_chutes(getpid()) == 0 ? 0 : 5;
}

/* The socket is a file, which says who may connect. Return: as above */
static int be_refused_as_somebody_else(const char *path)
{
	MANAGER manager = NULL;

	if (become_somebody_else() < 0)
		return 1;
	if (carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &manager) < 0)
		return 2;
	return carom_manager_connect(manager, in_time()) == -EACCES ? 0 : 3;
}

static int in_a_child(int (*function)(const char *path), const char *path)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(function(path));
	return ended(pid);
}

/* Another user with the key is served, where the file of the socket lets it, and shares no memory. */
Test(managed_chute, is_not_had_by_another_user)
{
	char place[] = "/tmp/carom-test-chute-XXXXXX", path[64];
	MANAGER manager = NULL;

	if (geteuid() != 0)
		cr_skip_test("skipped: only root can become somebody else");
	cr_assert(ne(ptr, mkdtemp(place), NULL));
	cr_assert(zero(int, chmod(place, 0755)));
	snprintf(path, sizeof(path), "%s/socket", place);
	cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &manager)));
	cr_assert(zero(int, carom_manager_start(manager)));
	cr_expect(zero(int, in_a_child(be_refused_as_somebody_else, path)));
	cr_assert(zero(int, chmod(path, 0666)));
	cr_expect(zero(int, in_a_child(work_as_somebody_else, path)));
	manager = carom_manager_free(manager);
	cr_expect(zero(int, rmdir(place)));
}

/* ---- what goes which way ---- */

Test(managed_chute, carries_short_messages_among_long_ones)
{
	static char text[CAROM_KIB(100) + 1];
	MANAGER manager = NULL;

	memset(text, 'x', sizeof(text) - 1);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(dict, manager, "dict", "");
	for (int i = 0; i < 300; i++) {
		DOCUMENT document = NULL;
		size_t length = (size_t)(i * 997) % (sizeof(text) - 1), got = 0;
		const char *value;

		cr_assert(zero(int, carom_proxy_call(dict, "__setitem__", in_time(), NULL, "is", i,
						     text + sizeof(text) - 1 - length)));
		cr_assert(zero(
			int, carom_proxy_call(dict, "__getitem__", in_time(), &document, "i", i)));
		cr_assert(
			zero(int, carom_object_text(carom_document_root(document), &value, &got)));
		cr_expect(eq(sz, got, length));
	}
}

/* What is given back is given back before the next call of its thread is done. */
Test(managed_chute, keeps_the_order_in_which_a_thread_sends)
{
	static char text[CAROM_KIB(10) + 1];
	MANAGER manager = NULL;

	memset(text, 'x', sizeof(text) - 1);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 500; i++) {
		CREATED(other, manager, "list", "");
		if (i % 7 == 0)
			usleep(200); /* both ends sleep then */
		if (i % 3 == 0)
			cr_expect(zero(
				int, carom_proxy_call(list, "count", in_time(), NULL, "s", text)));
		other = carom_proxy_free(other);
		cr_assert(eq(sz, count_of(manager), 1));
	}
}

/* ---- threads, and waiting ---- */

struct worker {
	struct carom_proxy *list;
	int count;
	int result;
};

static void *work(void *userdata)
{
	static char text[CAROM_KIB(6) + 1];
	struct worker *worker = userdata;

	for (int i = 0; i < worker->count && worker->result == 0; i++) {
		worker->result = append(worker->list, i);
		if (i % 50 == 0) /* some go the other way */
			carom_proxy_call(worker->list, "count", in_time(), NULL, "y", text,
					 sizeof(text));
		if (i % 100 == 0)
			usleep(100);
	}
	return NULL;
}

Test(managed_chute, is_shared_by_threads)
{
	enum { THREADS = 6, CALLS = 500 };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	MANAGER manager = NULL;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ list, CALLS, 0 };
		cr_assert(zero(int, pthread_create(&threads[i], NULL, work, &workers[i])));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect(zero(int, workers[i].result));
	}
	expect_length(list, THREADS * CALLS);
}

static void *get(void *queue)
{
	DOCUMENT document = NULL;

	return (void *)(intptr_t)carom_proxy_call(queue, "get", in_time(), &document, "");
}

Test(managed_chute, holds_nobody_up_behind_who_waits)
{
	MANAGER manager = NULL;
	pthread_t thread;
	void *result;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(queue, manager, "Queue", "");
	CREATED(list, manager, "list", "");
	cr_assert(zero(int, append(list, 0)));
	cr_assert(zero(int, pthread_create(&thread, NULL, get, queue)));
	for (int i = 1; i < 2000; i++)
		cr_assert(zero(int, append(list, i)));
	cr_expect(zero(int, carom_proxy_call(queue, "put", in_time(), NULL, "i", 1)));
	pthread_join(thread, &result);
	cr_expect(eq(ptr, result, NULL));
	expect_length(list, 2000);
}

Test(managed_chute, ends_a_wait_at_its_deadline)
{
	MANAGER manager = NULL;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(queue, manager, "Queue", "");
	for (int i = 0; i < 20; i++)
		cr_expect(eq(int,
			     carom_proxy_call(queue, "get",
					      carom_deadline_after(CAROM_MILLISECONDS(i % 3)), NULL,
					      ""),
			     -ETIMEDOUT));
	cr_expect(zero(int, carom_proxy_call(queue, "put", in_time(), NULL, "i", 1)));
	cr_expect(zero(int, carom_proxy_call(queue, "get", in_time(), NULL, "")));
}

/* ---- ends ---- */

Test(managed_chute, tells_of_a_server_that_was_killed)
{
	MANAGER manager = NULL;
	uint64_t begun_ns;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 50; i++)
		cr_assert(zero(int, append(list, i)));
	kill(carom_manager_pid(manager), SIGKILL);
	begun_ns = carom_now();
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, carom_proxy_call(list, "append", CAROM_NO_DEADLINE, NULL, "i", i),
			     -EPIPE));
	cr_expect(lt(u64, carom_now() - begun_ns, CAROM_SECONDS(5)));
}

Test(managed_chute, waits_no_longer_for_a_server_that_hangs)
{
	MANAGER manager = NULL;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 50; i++)
		cr_assert(zero(int, append(list, i)));
	kill(carom_manager_pid(manager), SIGSTOP);
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int,
			     carom_proxy_call(list, "append",
					      carom_deadline_after(CAROM_MILLISECONDS(20)), NULL,
					      "i", 1),
			     -ETIMEDOUT));
	kill(carom_manager_pid(manager), SIGCONT);
	for (int i = 0; i < 50; i++)
		cr_expect(zero(int, append(list, i)));
}

/* What is too long for the short way is not overtaken, though nobody waits for it any more. */
Test(managed_chute, keeps_the_order_of_calls_that_were_given_up)
{
	MANAGER manager = NULL;
	DOCUMENT last = NULL;
	char text[8000] = { 0 };
	int64_t number = 0;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (int i = 0; i < 50; i++)
		cr_assert(zero(int, append(list, i)));
	kill(carom_manager_pid(manager), SIGSTOP);
	memset(text, 'a', sizeof(text) - 1);
	cr_expect(eq(int,
		     carom_proxy_call(list, "append", carom_deadline_after(0), NULL, "s", text),
		     -ETIMEDOUT));
	cr_expect(eq(int, carom_proxy_call(list, "append", carom_deadline_after(0), NULL, "i", -1),
		     -ETIMEDOUT));
	kill(carom_manager_pid(manager), SIGCONT);
	expect_length(list, 52);
	cr_assert(zero(int, carom_proxy_call(list, "pop", in_time(), &last, "")));
	cr_expect(zero(int, carom_object_int(carom_document_root(last), &number)));
	cr_expect(eq(i64, number, -1));
}

/* ---- clients that are not to be trusted ---- */

/* @failed: the exit status, if it cannot */
static struct carom_manager *connected(const char *path, int failed)
{
	struct carom_manager *manager = NULL;

	if (carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path), &manager) < 0 ||
	    carom_manager_connect(manager, in_time()) < 0)
		_exit(failed);
	return manager;
}

/* Calls, and writes nonsense into what it shares with the server, until it is thrown out. */
static void be_hostile(const char *path, unsigned seed)
{
	struct carom_manager *manager = connected(path, 1);
	struct carom_proxy *list = NULL;
	struct area area = { 0 };

	if (carom_manager_create(manager, "list", in_time(), &list, "") < 0 ||
	    append(list, 1) < 0 || append(list, 2) < 0 || find_chutes(getpid(), &area) < 1)
		_exit(2);
	for (int i = 0; i < 1500; i++) {
		seed = seed * 1103515245 + 12345;
		((uint32_t *)(void *)area.data)[seed / 64 % (area.size / 4)] = seed % 8192;
		if (i % 30 == 0 &&
		    carom_proxy_call(list, "append", carom_deadline_after(CAROM_MILLISECONDS(2)),
				     NULL, "i", i) == -EPIPE)
			_exit(0);
	}
	_exit(0);
}

Test(managed_chute, keeps_nonsense_of_one_client_from_the_others)
{
	MANAGER manager = NULL;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	CREATED(list, manager, "list", "");
	for (unsigned i = 0; i < 6; i++) {
		pid_t pid = child();

		if (pid == 0)
			be_hostile(carom_manager_path(manager), i);
		for (int k = 0; k < 100; k++)
			cr_assert(zero(int, append(list, k)));
		cr_expect(zero(int, ended(pid)));
	}
	expect_length(list, 600);
}

/* ---- deaths ---- */

enum { WENT_WELL = 0, SERVER_DIED = 7 };

/* Calls until the server dies, which has to be said of each call from then on; or long enough. */
static void call_until_it_dies(const char *path)
{
	struct carom_manager *manager = connected(path, SERVER_DIED);
	struct carom_proxy *list = NULL;
	int r = carom_manager_create(manager, "list", in_time(), &list, "");

	for (int i = 0; i < 400 && r == 0; i++) {
		if (i % 20 == 0)
			usleep(100); /* so that both sleep now and then */
		r = carom_proxy_call(list, "append", CAROM_NO_DEADLINE, NULL, "i", i);
	}
	if (r == 0)
		_exit(WENT_WELL);
	if (r == -EPIPE && list)
		r = carom_proxy_call(list, "append", CAROM_NO_DEADLINE, NULL, "i", 1);
	_exit(r == -EPIPE ? SERVER_DIED : 1);
}

/* What the dead client had is given back, and who lives is served. */
static void expect_served(struct carom_manager *manager, const char *name)
{
	uint64_t deadline_ns = in_time();
	CREATED(list, manager, "list", "");

	for (int i = 0; i < 20; i++)
		cr_expect(zero(int, append(list, i)), "%s", name);
	while (count_of(manager) > 1 && carom_now() < deadline_ns)
		usleep(1000);
	cr_expect(eq(sz, count_of(manager), 1), "%s", name);
}

static void die_at(const char *name, uint32_t nth)
{
	MANAGER manager = NULL;
	size_t count;
	int status;
	pid_t pid;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	cr_assert(zero(int, carom_point_arm_once(name, nth, SIGKILL)));
	pid = child();
	if (pid == 0)
		call_until_it_dies(carom_manager_path(manager));
	status = ended(pid);
	carom_point_disarm_all();
	cr_expect(status == WENT_WELL || status == SERVER_DIED || status == -SIGKILL, "%s: %d",
		  name, status);
	if (status != SERVER_DIED)
		expect_served(manager, name);
	else
		cr_expect(eq(int, carom_manager_count(manager, in_time(), &count), -EPIPE), "%s",
			  name);
}

/* One of the two dies at each step of either, on several occasions. */
Test(managed_chute, loses_nobody_but_who_is_killed, .timeout = 120)
{
	static const uint32_t occasions[] = { 1, 2, 3, 10, 11, 50, 51 };
	const char *name;
	int points = 0;

	if (carom_point_arm("chute.told", 1) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
	carom_point_disarm_all();
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		if (strncmp(name, "chute.", 6) != 0)
			continue;
		points++;
		for (size_t k = 0; k < sizeof(occasions) / sizeof(*occasions); k++)
			die_at(name, occasions[k]);
	}
	cr_expect(lt(int, 5, points));
}

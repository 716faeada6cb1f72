/* Queues of a server. */

#include "tests/ipc/managed_calls.h"

TestSuite(managed_queue, .init = start_manager, .fini = end_manager, .timeout = 60);

static void *get_in_thread(void *queue)
{
	return (void *)(intptr_t)call(queue, "get", "");
}

static void *put_in_thread(void *queue)
{
	return (void *)(intptr_t)call(queue, "put", "i", 3);
}

static void *join_in_thread(void *queue)
{
	return (void *)(intptr_t)call(queue, "join", "");
}

/* MG-29 */
Test(managed_queue, has_items_in_their_order)
{
	CREATED(queue, "Queue", "i", 2);
	DOCUMENT document = NULL;
	char text[64];

	expect_call(0, queue, "put", "i", 1);
	expect_call(0, queue, "put_nowait", "[is]", 2, "b");
	expect_call(-EAGAIN, queue, "put_nowait", "i", 3);
	expect_call(-EAGAIN, queue, "put", "ip", 3, 0);
	expect_call(-ETIMEDOUT, queue, "put", "ipd", 3, 1, 0.01);
	expect_call(2, queue, "qsize", "");
	expect_call(1, queue, "full", "");
	expect_call(1, queue, "get", "");
	cr_assert(zero(int, carom_proxy_call(queue, "get_nowait", in_time(), &document, "")));
	carom_object_describe(carom_document_root(document), text, sizeof(text));
	cr_expect(eq(str, text, (char *)"[2, 'b']"));
	expect_call(1, queue, "empty", "");
	expect_call(-EAGAIN, queue, "get_nowait", "");
	expect_call(-ETIMEDOUT, queue, "get", "pd", 1, 0.01);
	expect_call(-EINVAL, queue, "get", "s", "now");
}

/* MG-29 */
Test(managed_queue, get_that_waits_holds_up_nobody)
{
	CREATED(queue, "Queue", "");
	CREATED(other, "Queue", "");
	pthread_t threads[4];
	int64_t sum = 0;

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, get_in_thread, queue)));
	for (int i = 0; i < 200; i++) {
		expect_call(0, other, "put", "i", i);
		expect_call(i, other, "get", "");
	}
	for (int i = 0; i < 4; i++)
		expect_call(0, queue, "put", "i", 1 << i);
	for (int i = 0; i < 4; i++)
		sum += joined(threads[i]);
	cr_expect(eq(i64, sum, 15));
}

/* MG-29 */
Test(managed_queue, put_waits_for_room)
{
	CREATED(queue, "Queue", "i", 1);
	pthread_t thread;

	expect_call(0, queue, "put", "i", 1);
	cr_assert(zero(int, pthread_create(&thread, NULL, put_in_thread, queue)));
	expect_call(1, queue, "get", "");
	expect_call(3, queue, "get", "");
	cr_expect(zero(i64, joined(thread)));
}

/* MG-29 */
Test(managed_queue, is_joined_when_all_is_done)
{
	CREATED(queue, "JoinableQueue", "");
	pthread_t thread;

	expect_call(0, queue, "join", "");
	expect_call(0, queue, "put", "i", 1);
	expect_call(0, queue, "put", "i", 2);
	cr_assert(zero(int, pthread_create(&thread, NULL, join_in_thread, queue)));
	expect_call(1, queue, "get", "");
	expect_call(0, queue, "task_done", "");
	cr_expect(eq(int,
		     carom_proxy_call(queue, "join", carom_deadline_after(CAROM_MILLISECONDS(10)),
				      NULL, ""),
		     -ETIMEDOUT));
	expect_call(0, queue, "task_done", "");
	cr_expect(zero(i64, joined(thread)));
	expect_call(-EINVAL, queue, "task_done", "");
}

/* MG-29 */
Test(managed_queue, is_shut_down_for_all)
{
	CREATED(empty, "Queue", "");
	CREATED(full, "Queue", "i", 1);
	pthread_t getter, putter;

	expect_call(0, full, "put", "i", 1);
	cr_assert(zero(int, pthread_create(&getter, NULL, get_in_thread, empty)));
	cr_assert(zero(int, pthread_create(&putter, NULL, put_in_thread, full)));
	expect_call(0, empty, "shutdown", "");
	expect_call(0, full, "shutdown", "");
	cr_expect(eq(i64, joined(getter), -ESHUTDOWN));
	cr_expect(eq(i64, joined(putter), -ESHUTDOWN));
	expect_call(1, full, "get", "");
	expect_call(-ESHUTDOWN, full, "get", "");
	expect_call(-ESHUTDOWN, full, "put", "i", 1);
}

Test(managed_queue, is_shut_down_at_once_with_all_that_is_in_it)
{
	CREATED(queue, "JoinableQueue", "");
	pthread_t thread;

	expect_call(0, queue, "put", "i", 1);
	expect_call(0, queue, "put", "i", 2);
	cr_assert(zero(int, pthread_create(&thread, NULL, join_in_thread, queue)));
	expect_call(0, queue, "shutdown", "p", 1);
	cr_expect(zero(i64, joined(thread)));
	expect_call(-ESHUTDOWN, queue, "get", "");
}

Test(managed_queue, keeps_what_was_put_for_one_who_was_killed_while_he_waited)
{
	CREATED(queue, "Queue", "");
	CREATED(barrier, "Barrier", "i", 2);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		call(barrier, "wait", "");
		call(queue, "get", "");
		_exit(1);
	}
	call(barrier, "wait", "");
	kill(pid, SIGKILL);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	/* what the server hears next is that the child has gone: both came over the same loop */
	while (call(barrier, "n_waiting", "") != 0)
		sched_yield();
	for (int i = 0; i < 3; i++)
		expect_call(0, queue, "put", "i", i);
	cr_expect(lt(i64, 1, call(queue, "qsize", "")));
}

static void *get_some(void *queue)
{
	int64_t sum = 0, got;

	while ((got = call(queue, "get", "")) > 0)
		sum += got;
	return (void *)(intptr_t)(got == -ESHUTDOWN ? sum : -1);
}

Test(managed_queue, loses_and_doubles_nothing_between_many)
{
	CREATED(queue, "Queue", "i", 3);
	pthread_t threads[3];
	int64_t sum = 0;

	for (int i = 0; i < 3; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, get_some, queue)));
	for (int i = 1; i <= 500; i++)
		expect_call(0, queue, "put", "i", i);
	while (call(queue, "qsize", "") > 0)
		sched_yield();
	expect_call(0, queue, "shutdown", "");
	for (int i = 0; i < 3; i++)
		sum += joined(threads[i]);
	cr_expect(eq(i64, sum, 500 * 501 / 2));
}

/* A pool without threads, driven by an event loop of the host's own. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "core/points.h"
#include "tests/pool/isolated.h"
#include "tests/pool/asleep.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define SOON carom_deadline_after(CAROM_SECONDS(30))

/* ---- the host ---- */

static struct carom_pool *new_polled(uint64_t workers)
{
	struct carom_pool *pool;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers, .polled = 1), &pool);

	cr_assert(zero(int, r));
	return pool;
}

static int count_entries(const char *folder)
{
	DIR *directory = opendir(folder);
	int count = -2; /* "." and ".." */

	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static bool is_readable(struct carom_pool *pool, int timeout_ms)
{
	struct pollfd pollfd = { .fd = carom_pool_fd(pool), .events = POLLIN };

	return poll(&pollfd, 1, timeout_ms) == 1;
}

/* what a host's loop does once: it comes only if the descriptor says so */
static int turn(struct carom_pool *pool)
{
	cr_assert(is_readable(pool, 30000), "nothing to do, and it is not the end");
	return carom_pool_poll(pool, CAROM_PASSED);
}

static void turn_until_ready(struct carom_pool *pool, struct carom_result *result)
{
	while (!carom_result_ready(result))
		cr_assert(ge(int, turn(pool), 0));
}

/* Return: what was said at the end */
static int turn_until_over(struct carom_pool *pool)
{
	int r;

	while ((r = turn(pool)) >= 0)
		;
	return r;
}

static struct carom_result *submit(struct carom_pool *pool, carom_task_fn *function, int64_t x)
{
	struct carom_result *result;

	cr_assert(zero(int, carom_pool_apply_async(pool, function, &x, sizeof(x), NULL, &result)));
	return result;
}

static struct carom_outcome outcome_of(struct carom_result *result)
{
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_result_outcome(result, &outcome)));
	return outcome;
}

static int64_t value_of(struct carom_result *result)
{
	int64_t value = -1;

	cr_assert(zero(int, carom_result_get(result, CAROM_PASSED, &value, sizeof(value), NULL)));
	return value;
}

static int64_t worker_pid(struct carom_pool *pool, int index)
{
	struct carom_worker_info infos[8];

	cr_assert(lt(int, index, carom_pool_workers(pool, infos, 8)));
	return infos[index].pid;
}

static void await_stop(int64_t pid)
{
	siginfo_t info;

	cr_assert(zero(int, waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT)));
}

static int64_t stop_worker(struct carom_pool *pool, int index)
{
	int64_t pid = worker_pid(pool, index);

	cr_assert(zero(int, kill((pid_t)pid, SIGSTOP)));
	await_stop(pid);
	return pid;
}

static int nap(struct carom_call *call)
{
	int64_t ms = 0;

	carom_call_read(call, &ms, sizeof(ms));
	usleep((useconds_t)ms * 1000);
	return 0;
}

/* ---- working ---- */

/* PC-15 */
Test(poll, completes_1000_tasks_without_a_thread, .timeout = 60)
{
	int threads = count_entries("/proc/self/task");
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	static struct carom_result *results[1000];

	for (int i = 0; i < 1000; i++)
		results[i] = submit(pool, square, i);
	for (int i = 0; i < 1000; i++) {
		turn_until_ready(pool, results[i]);
		cr_expect(eq(i64, value_of(results[i]), (int64_t)i * i));
		carom_result_free(results[i]);
	}
	cr_expect(eq(int, count_entries("/proc/self/task"), threads));
}

/* PH-02 */
Test(poll, descriptor_is_readable_when_a_result_is_there_and_quiet_before, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *result;

	result = submit(pool, own_pid, 0);
	turn_until_ready(pool, result);
	cr_expect(eq(i64, value_of(result), worker_pid(pool, 0)));
	await_workers_asleep(pool, 1);
	while (is_readable(pool, 0)) /* the result may have been seen before it was announced */
		carom_pool_poll(pool, CAROM_PASSED);
	cr_expect(eq(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	cr_expect(not(is_readable(pool, 0)));
	carom_result_free(result);
}

/* PH-21 */
Test(poll, with_a_passed_deadline_only_looks, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *result = submit(pool, hang, 0);
	uint64_t begun = carom_now();

	for (int i = 0; i < 1000; i++)
		cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
	carom_pool_terminate(pool);
	carom_result_free(result);
}

Test(poll, with_a_deadline_needs_no_loop, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *result = submit(pool, square, 7);
	uint64_t begun;

	while (!carom_result_ready(result))
		cr_assert(ge(int, carom_pool_poll(pool, CAROM_NO_DEADLINE), 0));
	cr_expect(eq(i64, value_of(result), 49));
	await_workers_asleep(pool, 1);
	while (carom_pool_poll(pool, CAROM_PASSED) > 0)
		;
	begun = carom_now();
	cr_expect(eq(int, carom_pool_poll(pool, carom_deadline_after(CAROM_MILLISECONDS(20))), 0));
	cr_expect(ge(u64, carom_now() - begun, CAROM_MILLISECONDS(20)));
	carom_result_free(result);
}

static void ignore_signal(int number)
{
}

struct disturber {
	pthread_t whom;
	_Atomic bool stop;
};

static void *disturb(void *userdata)
{
	struct disturber *self = userdata;

	while (!self->stop) {
		pthread_kill(self->whom, SIGUSR1);
		usleep(5000);
	}
	return NULL;
}

Test(poll, signal_of_the_host_ends_the_wait, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct disturber disturber = { .whom = pthread_self() };
	struct carom_result *result = submit(pool, nap, 200);
	pthread_t thread;
	int r;

	signal(SIGUSR1, ignore_signal);
	cr_assert(zero(int, pthread_create(&thread, NULL, disturb, &disturber)));
	while ((r = carom_pool_poll(pool, CAROM_NO_DEADLINE)) > 0)
		;
	cr_expect(zero(int, r));
	/* a wait for something goes on */
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	disturber.stop = true;
	pthread_join(thread, NULL);
	carom_result_free(result);
}

/* ---- waiting: each wait sees a death ---- */

Test(poll, waiting_for_a_result_sees_its_worker_die, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *lost = submit(pool, kill_self, 0);
	struct carom_result *next = submit(pool, square, 3);

	cr_expect(zero(int, carom_result_wait(lost, SOON)));
	cr_expect(eq(int, outcome_of(lost).kind, CAROM_OUTCOME_LOST));
	cr_expect(zero(int, carom_result_wait(next, SOON)));
	cr_expect(eq(i64, value_of(next), 9));
	carom_result_free(lost);
	carom_result_free(next);
}

Test(poll, waiting_ends_by_its_deadline, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *result = submit(pool, hang, 0);

	cr_expect(eq(int, carom_result_wait(result, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(eq(int, carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	while (carom_result_accepted(result) != 1) /* or it is closed, not terminated */
		carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(1)));
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_join(pool, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	carom_pool_terminate(pool);
	cr_expect(eq(int, outcome_of(result).kind, CAROM_OUTCOME_TERMINATED));
	carom_result_free(result);
}

static int square_or_die(struct carom_call *call)
{
	int64_t x;

	if (carom_call_read(call, &x, sizeof(x)) == 0 && x % 100 == 50)
		raise(SIGKILL);
	return square(call);
}

Test(poll, map_sees_its_workers_die, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	static int64_t in[1000], out[1000];
	static struct carom_outcome outcomes[1000];

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	cr_expect(eq(int,
		     carom_pool_map(pool, square_or_die, in, 1000, sizeof(*in), out, sizeof(*out),
				    &CAROM_MAP_OPTIONS(.outcomes = outcomes)),
		     -EREMOTEIO));
	for (int i = 0; i < 1000; i++) {
		cr_expect(eq(int, outcomes[i].kind,
			     i % 100 == 50 ? CAROM_OUTCOME_LOST : CAROM_OUTCOME_OK));
		cr_expect(eq(i64, out[i], i % 100 == 50 ? 0 : (int64_t)i * i));
	}
}

struct numbers {
	int64_t next;
	int64_t end;
};

static int next_number(void *userdata, const void **ret_data, size_t *ret_size)
{
	struct numbers *numbers = userdata;

	if (numbers->next == numbers->end)
		return 0;
	numbers->next++;
	*ret_data = &numbers->next;
	*ret_size = sizeof(numbers->next);
	return 1;
}

Test(poll, imap_sees_its_workers_die, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct numbers numbers = { .end = 300 };
	int answered = 0, lost = 0;
	struct carom_item item;

	cr_assert(zero(int, carom_pool_imap_unordered(pool, square_or_die, next_number, &numbers,
						      NULL, &iterator)));
	while (carom_iterator_next(iterator, SOON, &item) == 1) {
		answered++;
		lost += item.outcome.kind == CAROM_OUTCOME_LOST;
	}
	cr_expect(eq(int, answered, 300));
	cr_expect(eq(int, lost, 3));
}

/* EL-05 */
Test(poll, submitting_with_all_slots_in_use_waits_for_one, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .polled = 1,
							       .slot_count = 8),
					   &pool)));
	for (int64_t i = 1; i <= 5000; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, i % 500 ? nothing : kill_self, &i,
							   sizeof(i), NULL, NULL)));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, SOON)));
}

/* ---- in a host's loop ---- */

/**
 * struct host - an epoll loop with a heartbeat of its own
 * @latest_ns: the longest that a heartbeat came late
 */
struct host {
	struct carom_pool *pool;
	int epoll_fd;
	int heart_fd;
	uint64_t beat_count;
};

#define BEAT_NS CAROM_MILLISECONDS(5)

static void add(struct host *host, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	cr_assert(zero(int, epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, fd, &event)));
}

static void host_init(struct host *host, struct carom_pool *pool)
{
	struct itimerspec every = { .it_interval.tv_nsec = BEAT_NS, .it_value.tv_nsec = BEAT_NS };

	*host = (struct host){
		.pool = pool,
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.heart_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
	};
	cr_assert(zero(int, timerfd_settime(host->heart_fd, 0, &every, NULL)));
	add(host, host->heart_fd);
	add(host, carom_pool_fd(pool));
}

static void host_deinit(struct host *host)
{
	close(host->epoll_fd);
	close(host->heart_fd);
}

/* one round of the loop; what the pool said, or 0 */
static int host_turn(struct host *host)
{
	struct epoll_event events[2];
	int n = epoll_wait(host->epoll_fd, events, 2, -1);
	uint64_t ticks;
	int r = 0;

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd != host->heart_fd)
			r = carom_pool_poll(host->pool, CAROM_PASSED);
		else if (read(host->heart_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			host->beat_count++;
	}
	return r;
}

/* EL-01 */
Test(poll, loop_of_the_host_drives_everything, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct carom_result *value, *lost, *limited;
	struct host host;

	host_init(&host, pool);
	value = submit(pool, square, 5);
	lost = submit(pool, kill_self, 0);
	cr_assert(zero(int, carom_pool_apply_async(
				    pool, hang, NULL, 0,
				    &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(50)),
				    &limited)));
	while (!carom_result_ready(value) || !carom_result_ready(lost) ||
	       !carom_result_ready(limited))
		cr_assert(ge(int, host_turn(&host), 0));
	cr_expect(eq(i64, value_of(value), 25));
	cr_expect(eq(int, outcome_of(lost).kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome_of(limited).kind, CAROM_OUTCOME_HARD_LIMIT));
	carom_pool_close(pool);
	while (host_turn(&host) != -ESHUTDOWN)
		;
	cr_expect(lt(u64, 0, host.beat_count));
	host_deinit(&host);
	carom_result_free(value);
	carom_result_free(lost);
	carom_result_free(limited);
}

static int pass_gate(struct carom_call *call)
{
	struct gate *gate;

	carom_call_read(call, &gate, sizeof(gate));
	gate_pass(gate, 0);
	return 0;
}

/* EL-14 */
Test(poll, heart_of_the_host_beats_on_while_the_pool_drains, .timeout = 60)
{
	struct gate *gate = gate_new();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct host host;

	cr_assert(zero(int,
		       carom_pool_apply_async(pool, pass_gate, &gate, sizeof(gate), NULL, NULL)));
	carom_pool_close(pool);
	host_init(&host, pool);
	while (host.beat_count < 20) /* a host that is held up has none */
		cr_assert(ge(int, host_turn(&host), 0));
	gate_open(gate, 1);
	while (host_turn(&host) != -ESHUTDOWN)
		;
	host_deinit(&host);
}

/* EL-06 */
Test(poll, short_tasks_do_not_wait_behind_a_long_one, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct carom_result *big = submit(pool, hang, 0), *small[10];

	for (int i = 0; i < 10; i++)
		small[i] = submit(pool, nap, 1);
	for (int i = 0; i < 10; i++) {
		turn_until_ready(pool, small[i]);
		carom_result_free(small[i]);
	}
	cr_expect(not(carom_result_ready(big)));
	carom_pool_terminate(pool);
	carom_result_free(big);
}

/* ---- callbacks ---- */

static int count_call(struct carom_result *result, void *userdata)
{
	++*(int *)userdata;
	return 0;
}

static void submit_with_callback(struct carom_pool *pool, carom_task_fn *function, int64_t x,
				 carom_callback_fn *callback, void *userdata)
{
	cr_assert(zero(int, carom_pool_apply_async(pool, function, &x, sizeof(x),
						   &CAROM_TASK_OPTIONS(.callback = callback,
								       .error_callback = callback,
								       .userdata = userdata),
						   NULL)));
}

Test(poll, tells_all_before_it_says_that_it_is_over, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	int count = 0;

	for (int i = 0; i < 1000; i++)
		submit_with_callback(pool, i % 300 ? square : kill_self, i, count_call, &count);
	carom_pool_close(pool);
	cr_expect(eq(int, turn_until_over(pool), -ESHUTDOWN));
	cr_expect(eq(int, count, 1000));
}

/* RP-12 */
Test(poll, joining_tells_all, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	int count = 0;

	for (int i = 0; i < 1000; i++)
		submit_with_callback(pool, i % 300 ? square : kill_self, i, count_call, &count);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, SOON)));
	cr_expect(eq(int, count, 1000));
	cr_expect(eq(int, turn_until_over(pool), -ESHUTDOWN));
}

Test(poll, terminating_tells_all, .timeout = 60)
{
	struct carom_pool *pool = new_polled(1);
	int count = 0;

	for (int i = 0; i < 10; i++)
		submit_with_callback(pool, hang, i, count_call, &count);
	carom_pool_terminate(pool);
	carom_pool_free(pool);
	cr_expect(eq(int, count, 10));
}

struct inner {
	struct carom_pool *pool;
	int64_t value;
	int polled;
	int count;
};

static int use_pool(struct carom_result *result, void *userdata)
{
	struct inner *inner = userdata;
	int64_t x = 11;

	inner->polled = carom_pool_poll(inner->pool, CAROM_PASSED);
	/* it waits, and its worker dies meanwhile; another callback becomes due */
	submit_with_callback(inner->pool, kill_self, 0, count_call, &inner->count);
	cr_expect(zero(int, carom_pool_apply(inner->pool, square, &x, sizeof(x), &inner->value,
					     sizeof(inner->value), NULL, NULL)));
	cr_expect(zero(int, inner->count), "one callback inside another");
	return 0;
}

Test(poll, callback_may_submit_and_wait_but_not_poll, .timeout = 60)
{
	struct inner inner = { .pool = new_polled(1) };

	submit_with_callback(inner.pool, nothing, 0, use_pool, &inner);
	while (!inner.count)
		cr_assert(ge(int, turn(inner.pool), 0));
	cr_expect(eq(int, inner.polled, -EDEADLK));
	cr_expect(eq(i64, inner.value, 121));
	carom_pool_free(inner.pool);
}

static int free_pool(struct carom_result *result, void *userdata)
{
	struct inner *inner = userdata;

	inner->count++;
	inner->pool = carom_pool_free(inner->pool);
	return 0;
}

Test(poll, callback_may_free_the_pool_that_is_polled, .timeout = 60)
{
	struct inner inner = { .pool = new_polled(2) };
	struct carom_pool *pool = inner.pool;
	int r = 0;

	submit_with_callback(pool, nothing, 0, free_pool, &inner);
	submit_with_callback(pool, hang, 0, count_call, &inner.count);
	while (inner.pool)
		r = turn(pool);
	cr_expect(eq(int, r, -ESHUTDOWN));
	cr_expect(eq(int, inner.count, 2));
	cr_expect(lt(int, waitpid(-1, NULL, WNOHANG), 0)); /* nobody is left */
}

static int free_pool_and_fail(struct carom_result *result, void *userdata)
{
	free_pool(result, userdata);
	return -EIO;
}

Test(poll, callback_that_has_freed_the_pool_may_fail, .timeout = 60)
{
	struct inner inner = { 0 };
	struct carom_pool *pool;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1,
							       .callbacks_propagate = 1),
					   &inner.pool)));
	pool = inner.pool;
	submit_with_callback(pool, nothing, 0, free_pool_and_fail, &inner);
	while (inner.pool)
		turn(pool);
	cr_expect(eq(int, inner.count, 1));
}

static int submit_again(struct carom_result *result, void *userdata)
{
	struct inner *inner = userdata;

	if (!inner->polled)
		submit_with_callback(inner->pool, nothing, 0, submit_again, inner);
	return 0;
}

Test(poll, callbacks_without_end_leave_the_host_its_turn, .timeout = 60)
{
	struct inner inner = { .pool = new_polled(2) };
	struct host host;

	for (int i = 0; i < 200; i++)
		submit_with_callback(inner.pool, nothing, 0, submit_again, &inner);
	host_init(&host, inner.pool);
	while (host.beat_count < 10)
		cr_assert(ge(int, host_turn(&host), 0));
	inner.polled = 1;
	carom_pool_close(inner.pool);
	while (host_turn(&host) != -ESHUTDOWN)
		;
	host_deinit(&host);
	carom_pool_free(inner.pool);
}

/* Its worker asks for leave to begin, and only who polls, or waits, can give it. */
Test(poll, waiting_gives_leave_to_begin, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t x = 5, y = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1,
							       .synack = 1),
					   &pool)));
	for (int i = 0; i < 100; i++)
		cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 25));
}

Test(poll, waiting_for_a_place_makes_places_free, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int count = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .polled = 1,
							       .put_locks = 1),
					   &pool)));
	for (int i = 0; i < 500; i++)
		submit_with_callback(pool, i % 100 ? nothing : kill_self, i, count_call, &count);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, SOON)));
	cr_expect(eq(int, count, 500));
}

/* ---- what is not to run ---- */

/* EL-07 */
Test(poll, says_when_no_more_fits_rather_than_wait, .timeout = 30)
{
	struct carom_task_options options =
		CAROM_TASK_OPTIONS(.wait_for_slot = CAROM_SLOT_WAIT_NEVER);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1,
							       .slot_count = 100),
					   &pool)));
	for (int i = 0; i < 100; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, &options, NULL)));
	cr_expect(eq(int, carom_pool_apply_async(pool, hang, NULL, 0, &options, NULL), -EAGAIN));
	carom_pool_terminate(pool);
}

static int count_begin(struct carom_result *result, int64_t pid, uint64_t begun_ns, void *userdata)
{
	++*(int *)userdata;
	return 0;
}

/* EL-15 */
Test(poll, task_that_is_cancelled_before_it_begins_never_does, .timeout = 30)
{
	struct gate *gate = gate_new();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *first, *result;
	int begun = 0;

	cr_assert(zero(int,
		       carom_pool_apply_async(pool, pass_gate, &gate, sizeof(gate), NULL, &first)));
	cr_assert(
		zero(int, carom_pool_apply_async(pool, nothing, NULL, 0,
						 &CAROM_TASK_OPTIONS(.accept_callback = count_begin,
								     .userdata = &begun),
						 &result)));
	cr_expect(zero(int, carom_result_cancel(result)));
	gate_open(gate, 1);
	turn_until_ready(pool, first);
	cr_expect(eq(int, outcome_of(result).kind, CAROM_OUTCOME_CANCELLED));
	carom_pool_close(pool);
	turn_until_over(pool);
	cr_expect(zero(int, begun));
	carom_result_free(first);
	carom_result_free(result);
}

static _Atomic int *begun_count;

static int count_and_hang(struct carom_call *call)
{
	atomic_fetch_add(begun_count, 1);
	return hang(call);
}

/* EL-10 */
Test(poll, task_that_is_put_back_and_cancelled_does_not_begin_again, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result;

	SKIP_IF_ISOLATED("who polls deals: nothing is begun before");
	begun_count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pool = new_polled(1);
	cr_assert(zero(int,
		       carom_pool_apply_async(pool, count_and_hang, NULL, 0,
					      &CAROM_TASK_OPTIONS(.retry_on_loss = 5), &result)));
	while (!atomic_load(begun_count))
		sched_yield();
	kill((pid_t)worker_pid(pool, 0), SIGKILL);
	while (carom_result_accepted(result) == 1)
		cr_assert(ge(int, turn(pool), 0));
	cr_expect(zero(int, carom_result_cancel(result)));
	cr_expect(eq(int, outcome_of(result).kind, CAROM_OUTCOME_CANCELLED));
	carom_pool_close(pool);
	turn_until_over(pool);
	cr_expect(eq(int, atomic_load(begun_count), 1));
	carom_result_free(result);
}

/* ---- workers that stand still ---- */

/* EL-02 */
Test(poll, does_not_block_on_workers_that_are_stopped, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[64];
	uint64_t begun;
	int64_t pid;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1,
							       .slot_count = 64),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	pid = stop_worker(pool, 0);
	begun = carom_now();
	for (int i = 0; i < 64; i++) {
		results[i] = submit(pool, square, i);
		cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	}
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
	cr_expect(not(carom_result_ready(results[0])));
	kill((pid_t)pid, SIGCONT);
	for (int i = 0; i < 64; i++) {
		turn_until_ready(pool, results[i]);
		carom_result_free(results[i]);
	}
}

Test(poll, isolated_task_is_done_by_another_worker_than_one_that_is_stopped, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[4];
	int64_t pid;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .polled = 1,
							       .isolated = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_wait_ready(pool, SOON)));
	pid = stop_worker(pool, 0);
	for (int i = 0; i < 4; i++)
		results[i] = submit(pool, square, i);
	for (int i = 0; i < 4; i++) {
		turn_until_ready(pool, results[i]);
		cr_expect(ne(i64, outcome_of(results[i]).worker_pid, pid));
		cr_expect(eq(i64, value_of(results[i]), i * i));
		carom_result_free(results[i]);
	}
}

Test(poll, task_that_runs_leaves_its_host_asleep, .timeout = 60)
{
	struct gate *gate = gate_new();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *result;
	int count = 0;

	cr_assert(zero(
		int, carom_pool_apply_async(pool, pass_gate, &gate, sizeof(gate), NULL, &result)));
	while (!atomic_load(&gate->begun)) /* it may be dealt by who polls */
		if (is_readable(pool, 1))
			cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	while (is_readable(pool, 100) && count++ < 20)
		cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	cr_expect(lt(int, count, 20));
	gate_open(gate, 1);
	turn_until_ready(pool, result);
	carom_result_free(result);
}

/* EL-04 */
Test(poll, large_argument_for_a_stopped_worker_does_not_block, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	size_t size = CAROM_MIB(10);
	unsigned char *data = calloc(1, size);
	struct carom_result *result;
	const void *value;
	size_t value_size;
	uint64_t begun;
	int64_t pid;

	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	pid = stop_worker(pool, 0);
	data[size - 1] = 7;
	begun = carom_now();
	cr_assert(zero(int, carom_pool_apply_async(pool, echo, data, size, NULL, &result)));
	cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
	kill((pid_t)pid, SIGCONT);
	turn_until_ready(pool, result);
	cr_assert(zero(int, carom_result_data(result, &value, &value_size)));
	cr_expect(eq(sz, value_size, size));
	cr_expect(zero(int, memcmp(value, data, size)));
	carom_result_free(result);
	free(data);
}

/* whichever it is: once it stands still, which may be after its value was seen */
static void continue_one(void)
{
	siginfo_t info;

	cr_assert(zero(int, waitid(P_ALL, 0, &info, WSTOPPED)));
	cr_assert(zero(int, kill(info.si_pid, SIGCONT)));
}

Test(poll, worker_that_is_stopped_while_it_rings_holds_nobody_up, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct carom_result *results[20];

	if (carom_point_arm_once("lane.notice.set", 1, SIGSTOP) == -EOPNOTSUPP)
		cr_skip_test("built without points");
	for (const char *const *name =
		     (const char *const[]){ "lane.notice.set", "bell.rung", NULL };
	     *name; name++) {
		carom_point_disarm_all();
		cr_assert(zero(int, carom_point_arm_once(*name, 1, SIGSTOP)));
		/* the one who goes on rings too: then all may be done before the next ring is needed */
		while (!carom_point_hits(*name)) {
			for (int i = 0; i < 20; i++)
				results[i] = submit(pool, square, i);
			for (int i = 0; i < 20; i++) {
				turn_until_ready(pool, results[i]);
				carom_result_free(results[i]);
			}
		}
		continue_one();
	}
	carom_point_disarm_all();
}

/* ---- deaths ---- */

/* PH-03 */
/* PH-19 */
Test(poll, sentinels_tell_of_a_workers_end, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct pollfd pollfds[2] = { 0 };
	int fds[2] = { -1, -1 };

	cr_assert(eq(int, carom_pool_dup_sentinels(pool, fds, 2), 2));
	for (int i = 0; i < 2; i++)
		pollfds[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	cr_expect(eq(int, poll(pollfds, 2, 0), 0));
	kill((pid_t)worker_pid(pool, 1), SIGKILL);
	cr_expect(eq(int, poll(pollfds, 2, 30000), 1));
	cr_expect(pollfds[1].revents & POLLIN);
	while (worker_pid(pool, 1) == 0 || is_readable(pool, 100))
		cr_assert(ge(int, turn(pool), 0));
	/* the copy is still that of the one that died */
	cr_expect(eq(int, poll(pollfds, 2, 0), 1));
	close(fds[0]);
	close(fds[1]);
}

/* until the last dead worker is gone for good, and the last new one is there */
static void turn_until_full(struct carom_pool *pool)
{
	while (pool->process_count != pool->worker_count || pool->request_count)
		cr_assert(ge(int, turn(pool), 0));
}

/* EL-03 */
Test(poll, does_not_spin_after_many_deaths, .timeout = 120)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	int before = count_entries("/proc/self/fd");

	for (int i = 0; i < 1000; i++) {
		struct carom_result *result = submit(pool, kill_self, 0);

		turn_until_ready(pool, result);
		cr_assert(eq(int, outcome_of(result).kind, CAROM_OUTCOME_LOST));
		carom_result_free(result);
	}
	turn_until_full(pool);
	await_workers_asleep(pool, 2);
	while (is_readable(pool, 0)) /* the last that was said before they went to sleep */
		cr_assert(ge(int, carom_pool_poll(pool, CAROM_PASSED), 0));
	cr_expect(not(is_readable(pool, 500)));
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
}

/* EL-08 */
Test(poll, no_event_goes_astray_while_descriptors_come_and_go, .timeout = 120)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);

	for (int i = 0; i < 100; i++) {
		struct carom_result *lost = submit(pool, kill_self, 0);
		struct carom_result *value = submit(pool, square, i);
		int fds[100];

		for (int k = 0; k < 100; k++)
			fds[k] = dup(0);
		carom_pool_poll(pool, CAROM_PASSED);
		for (int k = 0; k < 100; k++)
			close(fds[k]);
		turn_until_ready(pool, lost);
		turn_until_ready(pool, value);
		cr_expect(eq(int, outcome_of(lost).kind, CAROM_OUTCOME_LOST));
		cr_expect(eq(i64, value_of(value), (int64_t)i * i));
		carom_result_free(lost);
		carom_result_free(value);
	}
}

static pid_t own_child_but(struct carom_pool *pool)
{
	char path[64];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "r");
	while (file && fscanf(file, "%d", &pid) == 1 && pid == worker_pid(pool, 0))
		;
	if (file)
		fclose(file);
	return pid;
}

Test(poll, goes_on_with_a_new_fork_server, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	struct carom_result *lost, *value;

	kill(own_child_but(pool), SIGKILL);
	lost = submit(pool, kill_self, 0);
	value = submit(pool, square, 4);
	turn_until_ready(pool, lost);
	turn_until_ready(pool, value);
	cr_expect(eq(i64, value_of(value), 16));
	carom_result_free(lost);
	carom_result_free(value);
}

/* RP-06 */
Test(poll, says_once_that_the_pool_is_broken, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct carom_result *running = submit(pool, hang, 0);
	struct carom_result *waiting = submit(pool, hang, 0);
	int told = 0, r;

	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points");
	for (int i = 0; i < 2; i++)
		kill((pid_t)worker_pid(pool, i), SIGKILL);
	while ((r = turn(pool)) != -ESHUTDOWN)
		told += r == -ENOTRECOVERABLE;
	cr_expect(eq(int, told, 1));
	cr_expect(carom_result_ready(running) && carom_result_ready(waiting));
	cr_expect(eq(int, carom_pool_poll(pool, CAROM_PASSED), -ESHUTDOWN));
	carom_result_free(running);
	carom_result_free(waiting);
	carom_point_disarm_all();
}

/* ---- ending ---- */

/* EL-12 */
Test(poll, closed_is_polled_until_nothing_is_left, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	struct carom_result *results[100];

	for (int i = 0; i < 100; i++)
		results[i] = submit(pool, square, i);
	carom_pool_close(pool);
	cr_expect(eq(int, turn_until_over(pool), -ESHUTDOWN));
	for (int i = 0; i < 100; i++) {
		cr_expect(eq(i64, value_of(results[i]), (int64_t)i * i));
		carom_result_free(results[i]);
	}
	for (int i = 0; i < 2; i++)
		cr_expect(eq(i64, worker_pid(pool, i), 0));
	cr_expect(not(is_readable(pool, 100)));
	cr_expect(eq(int, carom_pool_poll(pool, CAROM_NO_DEADLINE), -ESHUTDOWN));
	cr_expect(
		eq(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL), -ESHUTDOWN));
}

/* PH-06 */
/* TO-13 */
Test(poll, time_limits_are_kept_while_a_closed_pool_is_joined, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1,
							  .hard_limit_ns = CAROM_MILLISECONDS(50)),
				      &pool)));
	result = submit(pool, hang, 0);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, SOON)));
	cr_expect(eq(int, outcome_of(result).kind, CAROM_OUTCOME_HARD_LIMIT));
	carom_result_free(result);
}

Test(poll, host_is_told_of_an_end_that_came_while_it_waited, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);

	carom_pool_close(pool);
	cr_assert(zero(int, carom_pool_join(pool, SOON)));
	cr_expect(eq(int, turn_until_over(pool), -ESHUTDOWN));
}

/* RP-13 */
Test(poll, ends_at_once_if_it_was_never_polled, .timeout = 30)
{
	struct carom_pool *pool = new_polled(2);
	uint64_t begun = carom_now();

	pool = carom_pool_free(pool);
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
	cr_expect(lt(int, waitpid(-1, NULL, WNOHANG), 0)); /* no child, no zombie */
}

Test(poll, results_outlive_the_pool, .timeout = 30)
{
	struct carom_pool *pool = new_polled(1);
	struct carom_result *value = submit(pool, square, 6), *hung;

	turn_until_ready(pool, value);
	hung = submit(pool, hang, 0);
	carom_pool_free(pool);
	cr_expect(eq(i64, value_of(value), 36));
	cr_expect(zero(int, carom_result_wait(hung, CAROM_NO_DEADLINE)));
	cr_expect(ne(int, outcome_of(hung).kind, CAROM_OUTCOME_OK));
	carom_result_free(value);
	carom_result_free(hung);
}

Test(poll, leaves_nothing, .timeout = 60)
{
	int before = 0;

	for (int i = 0; i < 20; i++) {
		struct carom_pool *pool = new_polled(2);

		cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
		pool = carom_pool_free(pool);
		if (i == 0)
			before = count_entries("/proc/self/fd");
	}
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
	cr_expect(lt(int, waitpid(-1, NULL, WNOHANG), 0));
}

/* ---- beside others, and misused ---- */

static void *use_pool_there(void *userdata)
{
	struct carom_pool *pool = userdata;

	for (int64_t i = 0; i < 100; i++) {
		struct carom_result *result = submit(pool, i % 10 ? square : kill_self, i);

		turn_until_ready(pool, result);
		cr_expect(eq(int, outcome_of(result).kind,
			     i % 10 ? CAROM_OUTCOME_OK : CAROM_OUTCOME_LOST));
		carom_result_free(result);
	}
	return NULL;
}

Test(poll, passes_from_thread_to_thread, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(2);
	pthread_t thread;

	for (int i = 0; i < 3; i++) {
		use_pool_there(pool);
		cr_assert(zero(int, pthread_create(&thread, NULL, use_pool_there, pool)));
		cr_assert(zero(int, pthread_join(thread, NULL)));
	}
}

Test(poll, stands_beside_a_pool_with_threads, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *polled = new_polled(1);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *threaded = new_pool(1);
	struct carom_result *mine = submit(polled, square, 8),
			    *theirs = submit(threaded, square, 9);

	cr_expect(zero(int, carom_result_wait(theirs, SOON)));
	turn_until_ready(polled, mine);
	cr_expect(eq(i64, value_of(mine), 64));
	cr_expect(eq(i64, value_of(theirs), 81));
	cr_expect(eq(int, carom_pool_fd(threaded), -EINVAL));
	cr_expect(eq(int, carom_pool_poll(threaded, CAROM_PASSED), -EINVAL));
	carom_result_free(mine);
	carom_result_free(theirs);
}

Test(poll, in_a_forked_child_says_so, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_polled(1);
	int64_t x = 3, y = 0;
	int status, fd;
	pid_t pid = fork();

	if (pid == 0)
		_exit(!(carom_pool_fd(pool) == -ECHILD &&
			carom_pool_poll(pool, CAROM_PASSED) == -ECHILD &&
			carom_pool_dup_sentinels(pool, &fd, 1) == -ECHILD &&
			carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL) == -ECHILD &&
			carom_pool_close(pool) == -ECHILD && carom_pool_free(pool) == NULL));
	waitpid(pid, &status, 0);
	cr_expect(eq(int, status, 0));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 9));
}

Test(poll, cannot_be_made_without_descriptors, .timeout = 30)
{
	struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
	struct carom_pool *pool = NULL;
	int before = count_entries("/proc/self/fd");

	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	for (rlim_t most = 3; most < 40; most++) {
		limit.rlim_cur = most;
		cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
		if (carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1), &pool) == 0)
			break;
		limit.rlim_cur = 64;
		cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
		cr_assert(eq(int, count_entries("/proc/self/fd"), before));
	}
	cr_expect(ne(ptr, pool, NULL));
	carom_pool_free(pool);
}

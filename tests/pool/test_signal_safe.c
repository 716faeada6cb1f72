/*
 * Signal safe: the calls that a signal handler may make ("AS-Safe" in their headers), made by
 * one, again and again, wherever the program is in the meantime: inside of malloc(3), of the
 * log, of the same calls, and with the library's locks held.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "tests/needs.h"
#include "tests/pool/ends.h"

/* ---- what the handler uses: all of it is made before ---- */

static struct {
	struct carom_event event;
	struct carom_mutex mutex;
	struct carom_segment *segment;
	struct carom_lock *lock;
	struct carom_barrier *barrier;
	struct carom_condition *condition;
	struct carom_semaphore *semaphore;
	struct carom_queue *queue;
	struct carom_heap *heap;
	struct carom_value *value;
	struct carom_array *array;
	struct carom_pointer pointer;
	struct carom_histogram histogram;
	struct carom_connection *mine, *theirs;
} kit;

static void make_locks(void)
{
	cr_assert(zero(int, carom_mutex_init(&kit.mutex)));
	cr_assert(zero(int, carom_lock_new(NULL, &kit.lock)));
	cr_assert(zero(int, carom_barrier_new(2, NULL, &kit.barrier)));
	cr_assert(zero(int, carom_condition_new(NULL, &kit.condition)));
	cr_assert(zero(int, carom_semaphore_new(1, NULL, &kit.semaphore)));
}

static void make_memory(void)
{
	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 5000), &kit.segment)));
	cr_assert(zero(int, carom_queue_new(NULL, &kit.queue)));
	cr_assert(zero(int, carom_heap_new(NULL, &kit.heap)));
	cr_assert(zero(int, carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int)), &kit.value)));
	cr_assert(zero(int, carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(int), .count = 3),
					    &kit.array)));
	cr_assert(zero(int, carom_pipe_new(NULL, &kit.mine, &kit.theirs)));
}

/* ---- the calls, one function for those of a header ---- */

/* Return: all was as it should be. */
typedef bool safe_fn(void);

static bool call_time(void)
{
	uint64_t now = carom_now();

	return now > 0 && carom_deadline_after(1) > now;
}

static bool call_names(void)
{
	return strcmp(carom_signal_name(SIGTERM), "SIGTERM") == 0 &&
	       carom_signal_number("SIGKILL") == SIGKILL && carom_strerror(-EPIPE) &&
	       strcmp(carom_log_level_name(CAROM_LOG_INFO), "INFO") == 0 && carom_version() &&
	       carom_version_number() > 0;
}

static bool call_fd(void)
{
	return carom_fd_limit(false) > 0 && carom_fd_is_blocking(STDIN_FILENO) >= 0;
}

static bool call_process(void)
{
	return !carom_is_exiting() && carom_shutdown_signal() == 0 && carom_death_signal() >= 0;
}

static bool call_event(void)
{
	carom_event_set(&kit.event);
	if (!carom_event_is_set(&kit.event) || carom_event_wait(&kit.event, CAROM_NO_DEADLINE) != 0)
		return false;
	carom_event_clear(&kit.event);
	return carom_event_wait(&kit.event, CAROM_PASSED) == -ETIMEDOUT;
}

static bool call_locks(void)
{
	return carom_mutex_owner(&kit.mutex) >= 0 && carom_lock_is_locked(kit.lock) >= 0 &&
	       carom_lock_fd(kit.lock) >= 0 && carom_barrier_parties(kit.barrier) == 2 &&
	       carom_barrier_waiting(kit.barrier) == 0 &&
	       carom_barrier_is_broken(kit.barrier) == 0 && carom_barrier_fd(kit.barrier) >= 0 &&
	       carom_condition_fd(kit.condition) >= 0 && carom_condition_rlock(kit.condition) &&
	       carom_semaphore_fd(kit.semaphore) >= 0;
}

static bool call_memory(void)
{
	return carom_segment_data(kit.segment) && carom_segment_size(kit.segment) >= 5000 &&
	       carom_segment_fd(kit.segment) >= 0 && carom_heap_fd(kit.heap) >= 0 &&
	       carom_value_data(kit.value) && carom_value_fd(kit.value) >= 0 &&
	       carom_array_data(kit.array) && carom_array_len(kit.array) == 3 &&
	       carom_queue_fd(kit.queue) >= 0;
}

static bool call_pointer(void)
{
	carom_pointer_set(&kit.pointer, &kit.event);
	return carom_pointer_get(&kit.pointer) == &kit.event;
}

static bool call_connection(void)
{
	return !carom_connection_is_closed(kit.mine) && carom_connection_is_readable(kit.mine) &&
	       carom_connection_is_writable(kit.theirs);
}

static bool call_histogram(void)
{
	carom_histogram_add(&kit.histogram, 1000);
	return carom_histogram_count(&kit.histogram) > 0 && carom_histogram_mean(&kit.histogram);
}

static safe_fn *const calls[] = {
	call_time,  call_names,  call_fd,      call_process,    call_event,
	call_locks, call_memory, call_pointer, call_connection, call_histogram,
};
#define CALLS (sizeof(calls) / sizeof(*calls))

#define SIGNALS 500

/* ---- the handler, and what it interrupts ---- */

static volatile sig_atomic_t handled, wrong_call = -1, wrong_errno = -1;

static void handle(int number)
{
	int before = errno;

	for (int at = 0; at < (int)CALLS; at++) {
		errno = EXDEV;
		if (!calls[at]())
			wrong_call = at;
		if (calls[at] == call_event && errno != EXDEV) /* which says that it keeps it */
			wrong_errno = at;
	}
	errno = before;
	handled = handled + 1;
}

static void quiet(const struct carom_log_record *record, void *userdata)
{
}

/* What a handler must not do itself, and may come into the middle of. */
static void work(void)
{
	void *block = NULL, *memory = malloc(100);

	carom_log_warning("said while signals come");
	carom_heap_alloc(kit.heap, 64, &block);
	carom_heap_dealloc(kit.heap, block);
	if (carom_lock_acquire(kit.lock, CAROM_NO_DEADLINE) == 0)
		carom_lock_release(kit.lock);
	carom_mutex_acquire(&kit.mutex, CAROM_NO_DEADLINE);
	carom_mutex_release(&kit.mutex);
	carom_value_add(kit.value, 1, NULL);
	free(memory);
}

static void *send_signals(void *userdata)
{
	pthread_t target = *(pthread_t *)userdata;

	while (handled < SIGNALS) {
		int before = handled;

		pthread_kill(target, SIGUSR1);
		for (int looks = 0; handled == before && looks < 1000; looks++)
			sched_yield();
	}
	return NULL;
}

/* SN-13 */
Test(signal_safe, calls_work_in_a_handler_whatever_it_interrupts, .timeout = 120)
{
	pthread_t self = pthread_self(), sender;

	NEEDS("get_robust_list");
	make_memory();
	make_locks();
	carom_log_set_level(CAROM_LOG_WARNING);
	carom_log_to(quiet, NULL);
	work();
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = handle, .sa_flags = SA_RESTART },
		  NULL);
	cr_assert(zero(int, pthread_create(&sender, NULL, send_signals, &self)));
	while (handled < SIGNALS)
		work();
	pthread_join(sender, NULL);
	cr_expect(eq(int, wrong_call, -1));
	cr_expect(eq(int, wrong_errno, -1));
	cr_expect(eq(u64, carom_histogram_count(&kit.histogram), (uint64_t)handled));
	carom_log_to(NULL, NULL);
}

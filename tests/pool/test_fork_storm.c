/*
 * Fork storm: a program forks while its threads are inside of the library, wherever. Each child
 * makes all of these calls too: no lock is inherited held, and nothing half done.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/needs.h"
#include "tests/pool/ends.h"

#define FORK_COUNT 100

#define THREADS 3

static struct carom_lock *lock;
static struct carom_semaphore *semaphore;
static struct carom_condition *condition;
static struct carom_heap *heap;
static struct carom_queue *queue;
static _Atomic bool is_over;

/* ---- calls ---- */

static int quiet_finalizer(void *userdata)
{
	return 0;
}

static int use_finalizers(void)
{
	uint64_t finalizer = 0;
	int r = carom_finalizer_add(CAROM_FINALIZER_DEFAULT, quiet_finalizer, NULL, &finalizer);

	return r < 0 ? r : carom_finalizer_cancel(finalizer);
}

static int use_log(void)
{
	carom_log_warning("said while others fork");
	return 0;
}

static int use_names(void)
{
	char name[256];

	carom_process_name(carom_current_process(), name, sizeof(name));
	return carom_registered("nobody") ? -EEXIST : 0;
}

static int use_lock(void)
{
	int r = carom_lock_acquire(lock, carom_deadline_after(CAROM_SECONDS(20)));

	if (r == 0 || r == -EOWNERDEAD)
		r = carom_lock_release(lock);
	return r;
}

static int use_semaphore(void)
{
	int r = carom_semaphore_acquire(semaphore, carom_deadline_after(CAROM_SECONDS(20)));

	return r < 0 ? r : carom_semaphore_release(semaphore, 1);
}

static int use_condition(void)
{
	int r = carom_condition_acquire(condition, carom_deadline_after(CAROM_SECONDS(20)));

	if (r == -EOWNERDEAD)
		r = carom_rlock_consistent(carom_condition_rlock(condition));
	if (r < 0)
		return r;
	carom_condition_notify(condition, 1);
	return carom_condition_release(condition);
}

static int use_heap(void)
{
	void *block = NULL;
	int r = carom_heap_alloc(heap, 100, &block);

	return r < 0 ? r : carom_heap_dealloc(heap, block);
}

static int use_queue(void)
{
	char byte = 1;
	size_t size;
	int r = carom_queue_put(queue, &byte, 1, carom_deadline_after(CAROM_SECONDS(20)));

	if (r == 0)
		r = carom_queue_get(queue, &byte, 1, CAROM_PASSED, &size);
	return r == -EAGAIN ? 0 : r; /* another one was faster */
}

static int use_new_lock(void)
{
	struct carom_lock *fresh = NULL;
	int r = carom_lock_new(NULL, &fresh);

	if (r == 0)
		r = carom_lock_acquire(fresh, CAROM_PASSED);
	carom_lock_free(fresh);
	return r;
}

static int use_handle(void)
{
	struct carom_process *process = NULL;
	int r = carom_process_new(NULL, &process);

	carom_process_free(process);
	return r;
}

static int (*const calls[])(void) = {
	use_finalizers, use_log,  use_names, use_lock,     use_semaphore,
	use_condition,  use_heap, use_queue, use_new_lock, use_handle,
};
#define CALLS (sizeof(calls) / sizeof(*calls))

/* Return: 0, or 1 + which of them did not work. */
static int use_all(void)
{
	for (size_t i = 0; i < CALLS; i++) {
		int r = calls[i]();

		if (r < 0) {
			dprintf(STDERR_FILENO, "# call %zu: %d\n", i, r);
			return (int)i + 1;
		}
	}
	return 0;
}

/* ---- the storm ---- */

static void quiet(const struct carom_log_record *record, void *userdata)
{
}

static void *use_on(void *userdata)
{
	intptr_t r = 0;

	while (r == 0 && !atomic_load(&is_over))
		r = use_all();
	return (void *)r;
}

static int fork_once(void)
{
	pid_t parent = getpid(), pid = fork();
	int status = -1;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(getppid() == parent ? use_all() : 99);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* SN-16 */
Test(fork_storm, leaves_children_that_can_make_every_call, .timeout = 240)
{
	pthread_t threads[THREADS];

#ifdef __SANITIZE_ADDRESS__
	/*
	 * Children stand in its SizeClassAllocator64::GetFromAllocator() then: its allocator has a
	 * lock for each size of blocks, which no fork renews, as that of the C library does.
	 */
	cr_skip_test("AddressSanitizer's own locks are inherited as they are");
#endif
	NEEDS("get_robust_list");
	cr_assert(zero(int, carom_lock_new(NULL, &lock)));
	cr_assert(zero(int, carom_semaphore_new(1, NULL, &semaphore)));
	cr_assert(zero(int, carom_condition_new(NULL, &condition)));
	cr_assert(zero(int, carom_heap_new(NULL, &heap)));
	cr_assert(zero(int, carom_queue_new(NULL, &queue)));
	carom_log_set_level(CAROM_LOG_WARNING);
	carom_log_to(quiet, NULL);
	cr_assert(zero(int, use_all()));
	for (int i = 0; i < THREADS; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, use_on, NULL)));
	for (int i = 0; i < FORK_COUNT; i++)
		cr_assert(zero(int, fork_once()), "fork %d", i);
	atomic_store(&is_over, true);
	for (int i = 0; i < THREADS; i++) {
		void *said = NULL;

		pthread_join(threads[i], &said);
		cr_expect(zero(int, (int)(intptr_t)said));
	}
	carom_log_to(NULL, NULL);
}

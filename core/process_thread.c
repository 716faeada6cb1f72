/*
 * Process: one that is a thread
 *
 * A handle of the context "thread" has a thread of this program behind the calls that
 * other handles have a child behind. Nothing is copied for it, nothing is sent.
 *
 *   V1  It has no pid, no pidfd and nobody who watches it: it says itself that it has
 *       ended, by its last act under the lock of core/process.c. A descriptor in the
 *       place of the pidfd would be one to write to, and the program may have closed it
 *       and have another under its number.
 *   V2  That act has to find the handle STARTED. So its first act is to wait until its
 *       creator has left carom_process_start().
 *   V3  It uses the handle all the while: the reference of P3 in core/process.c is its
 *       own until its last act.
 *   V4  The end of the program waits for one that is not daemonic because it is a thread
 *       of core/thread.h, and for no other reason: of several that wait for each other
 *       at the end, because one of them has called exit(3), only that knows which.
 */
#include <errno.h>
#include <pthread.h>

#include "core/bootstrap.h"
#include "core/origin.h"
#include "core/process_private.h"
#include "core/thread.h"

static _Thread_local struct carom_process *here;

/* --- the calling thread ------------------------------------------------ */

uint64_t carom_thread_number(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t number;

	if (!number)
		number = atomic_fetch_add(&last, 1) + 1;
	return number;
}

/* In a child that the thread has forked, the handle is another process's. */
struct carom_process *carom_thread_process(void)
{
	return here && carom_origin_is(here->origin) ? here : NULL;
}

/* set before the start: nobody changes it */
bool carom_thread_is_daemon(void)
{
	const struct carom_process *process = carom_thread_process();

	return process && process->self.is_daemon;
}

/* --- its life ---------------------------------------------------------- */

static void end(void *process)
{
	here = NULL;
	carom_thread_ended(process);
}

/* its name may be changed by others meanwhile */
static int give_parcel(struct carom_process *process, void *parcel)
{
	carom_process_parcel(process, parcel);
	return 0;
}

static void run(void *process)
{
	struct carom_parcel parcel;

	here = process;
	carom_thread_begun(process); /* V2 */
	pthread_cleanup_push(end, process);
	carom_process_access(process, give_parcel, &parcel);
	carom_bootstrap_thread(&parcel);
	pthread_cleanup_pop(true);
}

static void *run_daemon(void *process)
{
	run(process);
	return NULL;
}

static int start_daemon(struct carom_process *process)
{
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, run_daemon, process);

	if (r == 0)
		pthread_detach(thread);
	return r;
}

int carom_thread_birth(struct carom_process *process)
{
	if (process->self.is_daemon)
		return start_daemon(process);
	return carom_thread_start(run, process); /* V4 */
}

/* --- cancelling -------------------------------------------------------- */

static int take_cancel(struct carom_process *process, void *unused)
{
	if (process->is_closed)
		return -EBADF;
	if (!carom_process_is_thread(process))
		return -EOPNOTSUPP;
	if (process->state < PROCESS_STARTED)
		return -EINVAL;
	/* relaxed: a wish, and nothing that was written before goes with it */
	atomic_store_explicit(&process->is_cancelled, true, memory_order_relaxed);
	return 0;
}

int carom_process_cancel(struct carom_process *process)
{
	return carom_process_access(process, take_cancel, NULL);
}

int carom_process_is_cancelled(struct carom_process *process)
{
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	return atomic_load_explicit(&process->is_cancelled, memory_order_relaxed);
}

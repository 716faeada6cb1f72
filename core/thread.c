/*
 * Thread
 *
 *   T1  A thread that ends joins the one that ended before it. So at most one has ended
 *       and was not joined, however many there are, and who waits for the last one has
 *       waited for all.
 *   T2  `running` and `own` count threads of the process `origin`. Another process that
 *       finds them is a child, in which there are none.
 *   T3  A thread that waits for the others, because it ends the process, no longer
 *       counts: two of them do not wait for each other.
 */
#include "core/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/cond_wait.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/thread_private.h"

struct start {
	carom_thread_fn *function;
	void *userdata;
};

static CAROM_FORK_LOCK(lock);
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t origin;
static unsigned int running;
static unsigned int own; /* the library's, which are joined by who made them */
static bool has_ended;   /* T1: and was not joined */
static pthread_t last_ended;
static _Thread_local uint64_t counted_in; /* the process in which this thread counts; 0 none */

/* T2 */
static void acquire(void)
{
	carom_fork_lock_acquire(&lock);
	if (origin == carom_origin())
		return;
	pthread_cond_init(&changed, NULL);
	running = 0;
	own = 0;
	has_ended = false;
	origin = carom_origin();
}

static void release(void)
{
	carom_fork_lock_release(&lock);
}

/* with the lock; false if this thread does not count any more */
static bool leave(void)
{
	if (counted_in != origin)
		return false;
	counted_in = 0;
	if (--running == 0)
		pthread_cond_broadcast(&changed);
	return true;
}

static void end(void *unused)
{
	bool joins = false;
	pthread_t before;

	acquire();
	if (leave()) {
		joins = has_ended;
		before = last_ended;
		has_ended = true;
		last_ended = pthread_self();
	}
	release();
	if (joins)
		pthread_join(before, NULL);
}

static void *run(void *userdata)
{
	struct start start = *(struct start *)userdata;

	free(userdata);
	counted_in = carom_origin();
	pthread_cleanup_push(end, NULL);
	start.function(start.userdata);
	pthread_cleanup_pop(true);
	return NULL;
}

int carom_thread_start(carom_thread_fn *function, void *userdata)
{
	struct start *start;
	pthread_t thread;
	int r;

	if (!function)
		return -EINVAL;
	start = malloc(sizeof(*start));
	if (!start)
		return -ENOMEM;
	*start = (struct start){ function, userdata };
	acquire();
	r = -pthread_create(&thread, NULL, run, start);
	if (r == 0)
		running++;
	release();
	if (r < 0)
		free(start);
	return r;
}

void carom_threads_join(uint64_t deadline_ns)
{
	unsigned int left;
	bool joins;
	pthread_t last;
	int r = 0;

	acquire();
	leave(); /* T3 */
	while (running > 0 && r == 0)
		r = carom_cond_wait(&changed, &lock.mutex, deadline_ns);
	left = running;
	joins = has_ended;
	last = last_ended;
	has_ended = false;
	release();
	if (left)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_PROCESS_LEFT,
				"%u threads have not ended in time, and are not waited for", left);
	if (joins)
		pthread_join(last, NULL);
}

int carom_thread_create(pthread_t *ret_thread, void *(*function)(void *), void *userdata)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(ret_thread, NULL, function, userdata);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

void carom_threads_count(int change)
{
	acquire();
	own += (unsigned int)change;
	release();
}

unsigned int carom_threads_own(void)
{
	unsigned int count;

	acquire();
	count = own;
	release();
	return count;
}

/*
 * Porter
 *
 *   I1  Everything is guarded by the lock, and belongs to the process in which `origin` was
 *       taken. A child by fork() has the variables and not the thread: it begins with none,
 *       and what its parent watches is not watched there.
 *   I2  The epoll set knows a watch by its number, which is never used again: an event that
 *       was on its way when its watch went finds none.
 *   I3  A socket is watched once (EPOLLONESHOT): a copy of it, in another process, keeps it in
 *       the set beyond its watch, and would wake the thread for ever.
 */
#include "ipc/porter.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fork_lock.h"
#include "core/private_fd.h"
#include "core/thread_private.h"

static CAROM_FORK_LOCK(lock);
static uint64_t origin;
static int epoll_fd = -1;
static struct carom_private_fd private_fd;
static struct carom_porter_watch *watches;
static uint64_t last_number;
static bool has_thread;

/* ---- the thread ---- */

static void call(uint64_t number)
{
	struct carom_porter_watch *watch;

	carom_fork_lock_acquire(&lock);
	for (watch = watches; watch && watch->number != number; watch = watch->next)
		;
	if (watch)
		watch->gone(watch);
	carom_fork_lock_release(&lock);
}

static void *attend(void *argument)
{
	int fd = (int)(intptr_t)argument;

	pthread_setname_np(pthread_self(), "carom-porter");
	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(fd, &event, 1, -1);

		if (n > 0)
			call(event.data.u64);
		else if (n < 0 && errno != EINTR)
			return NULL; /* the program has closed it */
	}
}

static int start_thread(void)
{
	pthread_t thread;
	int r;

	if (has_thread)
		return 0;
	carom_threads_count(1);
	r = carom_thread_create(&thread, attend, (void *)(intptr_t)epoll_fd);
	if (r < 0) {
		carom_threads_count(-1);
		return r;
	}
	pthread_detach(thread); /* it ends with the process */
	has_thread = true;
	return 0;
}

/* ---- watches ---- */

/* I1. The parent's descriptor was closed when this process was made. */
static void begin_anew(void)
{
	if (origin == carom_origin())
		return;
	origin = carom_origin();
	epoll_fd = -1;
	watches = NULL;
	has_thread = false;
}

static int begin(void)
{
	begin_anew();
	if (epoll_fd >= 0)
		return start_thread();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	private_fd = (struct carom_private_fd){ 0 };
	carom_private_fd_add(&private_fd, epoll_fd);
	return start_thread();
}

/* The number before the set: its event may come at once, and waits for the lock. */
static int add(struct carom_porter_watch *watch)
{
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT };

	watch->number = ++last_number;
	event.data.u64 = watch->number;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	watch->next = watches;
	watches = watch;
	__atomic_store_n(&watch->origin, origin, __ATOMIC_RELEASE);
	return 0;
}

int carom_porter_watch(struct carom_porter_watch *watch)
{
	int r;

	carom_fork_lock_acquire(&lock);
	r = begin();
	if (r == 0 && !carom_porter_is_watching(watch))
		r = add(watch);
	carom_fork_lock_release(&lock);
	return r;
}

void carom_porter_unwatch(struct carom_porter_watch *watch)
{
	struct carom_porter_watch **link = &watches;

	if (!carom_porter_is_watching(watch))
		return;
	carom_fork_lock_acquire(&lock);
	while (*link && *link != watch)
		link = &(*link)->next;
	if (*link) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		*link = watch->next;
	}
	watch->origin = 0;
	carom_fork_lock_release(&lock);
}

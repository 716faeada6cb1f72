/**
 * DOC: poll
 *
 * A pool without threads, for a program that has an event loop of its own. The library
 * then runs in nobody's thread but the caller's: a descriptor tells when there is
 * something to do, and carom_pool_poll() does it:
 *
 *	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4, .polled = 1), &pool);
 *	...
 *	event = (struct epoll_event){ .events = EPOLLIN, .data.ptr = pool };
 *	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, carom_pool_fd(pool), &event);
 *	...						// and whenever it is readable:
 *	r = carom_pool_poll(pool, CAROM_PASSED);
 *	if (r == -ESHUTDOWN)
 *		...					// closed, and all is done
 *
 * Results, deaths of workers, time limits, replacements, callbacks and hooks all come by
 * that one descriptor. Who polls with a deadline in the future needs no loop at all.
 *
 * All functions of the pool, of its results and iterators belong to one thread at a time:
 * where several use them, the program has a lock around each call. Those that wait (for a
 * result, for a free slot, for the workers' end) do meanwhile what carom_pool_poll() does,
 * callbacks and all; only inside a callback they call no other. A callback may free the
 * pool if it was carom_pool_poll() that called it.
 *
 * A pool without threads has a fork server of its own, and its workers live no longer than
 * the thread that called carom_pool_new(): the kernel's parent death signal is bound to it.
 */
#ifndef CAROM_POOL_POLL_H
#define CAROM_POOL_POLL_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_pool;

/**
 * carom_pool_fd() - readable (level) while there is something for carom_pool_poll() to do
 *
 * For epoll(7), poll(2), select(2), io_uring's IORING_OP_POLL_ADD, and what is built upon
 * them; to be asked about reading alone, and never read. It is the pool's: take it out of
 * the loop before carom_pool_free(). It stays the same as long as the pool lives. Seldom it
 * is readable for nothing: then carom_pool_poll() says 0.
 *
 * Context: the pool's thread. Never blocks.
 * Return: the descriptor; -EINVAL: the pool has threads; -EBADF: the program has closed it,
 * and all others of the library; -ECHILD.
 */
CAROM_API int carom_pool_fd(struct carom_pool *pool);

/**
 * carom_pool_poll() - do what is due
 * @deadline_ns: wait so long for something to be due; CAROM_PASSED only looks
 *
 * Takes what has ended, buries and replaces workers, keeps time limits, and calls
 * callbacks and hooks: some of them at a time, so that what the host has to do beside
 * them has its turn. Apart from these, and from @deadline_ns, it never waits for a
 * worker, whatever state that is in. It blocks for some milliseconds when the fork server
 * was killed, and a new one is made.
 *
 * Context: the pool's thread, but not inside a callback of the pool. A signal handler of
 * the program ends the wait.
 * Return: how many things were done; 0 for none; or
 *	-ENOTRECOVERABLE the pool became broken: every task has its outcome. Said once
 *	-ESHUTDOWN  it was closed or terminated, or is broken, no worker is left, and all
 *	            callbacks were called: there will be nothing to do any more. Said by the
 *	            call that did the last thing, and by all later ones
 *	-EINVAL     the pool has threads
 *	-EDEADLK    called from inside a callback or hook
 *	-ECHILD     the pool is from before fork()
 */
CAROM_API int carom_pool_poll(struct carom_pool *pool, uint64_t deadline_ns);

/**
 * carom_pool_dup_sentinels() - descriptors that become readable when a worker ends
 * @fds:   room for @count; a pidfd for each worker, the caller's to close; -1 for a place
 *         that is being filled
 *
 * They are copies, so each stays the process's that it was, also after the pool has
 * replaced it. For any pool, with threads or without.
 *
 * Context: MT-Safe in a pool with threads, else the pool's thread. Never blocks for long.
 * Return: how many workers the pool has (perhaps more than @count); or, with none left
 * open, -EMFILE, -ECHILD.
 */
CAROM_API int carom_pool_dup_sentinels(struct carom_pool *pool, int *fds, size_t count);

CAROM_END_DECLS

#endif

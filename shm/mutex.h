/**
 * DOC: mutex
 *
 * A lock for memory that processes share, which survives the death of its
 * holder: the kernel hands it on, and whoever gets it next is told that the
 * holder died in the middle of something.
 *
 *	struct account { struct carom_mutex lock; int64_t from, to; };
 *
 *	r = carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE);
 *	if (r == -EOWNERDEAD) {
 *		repair(account);
 *		carom_mutex_consistent(&account->lock);
 *	} else if (r < 0) {
 *		return r;
 *	}
 *	...
 *	carom_mutex_release(&account->lock);
 *
 * CAROM_CLEANUP(carom_mutex_releasep) releases it at the end of a block, whichever way
 * that is left.
 *
 * The mutex stands in storage of the caller's, in memory mapped with MAP_SHARED by
 * all who use it (at any address), and between threads of one process just as
 * well. It takes nothing else, so nothing ends it: memory in which a mutex is
 * neither held nor waited for may be used for something else.
 *
 * Rules:
 * - The thread that acquired a mutex releases it. A child made by fork() holds none
 *   of its parent's locks.
 * - No thread unmaps the memory of a mutex while another one of the process is
 *   inside a call for it, and none unmaps a mutex it holds: the kernel could not
 *   find it.
 * - A holder that calls execve(2), and a thread that ends while it holds a mutex,
 *   count as dead. One that was stopped does not: give waits a deadline.
 * - A thread may hold any number. The kernel hands on at most 2048 for each thread, robust
 *   mutexes of the pthread library included, so of who holds more than some hundreds, further
 *   ones are kept by threads of the library's own. Acquiring and releasing one of these takes
 *   some microseconds.
 * - All users live in one PID namespace, and trust each other.
 *
 * Where the C library's list of held locks has a layout that is not known here,
 * a robust mutex of the pthread library does the same work in the same storage, for
 * at most 2048 that one thread holds.
 */
#ifndef CAROM_SHM_MUTEX_H
#define CAROM_SHM_MUTEX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/** struct carom_mutex - storage of one mutex; its content is private */
struct carom_mutex {
	uint64_t opaque[8];
};

/**
 * carom_mutex_init() - make @mutex a mutex that nobody holds
 * @mutex: memory that nobody uses as a mutex at this moment
 *
 * Context: before any other process or thread uses it.
 * Return: 0, or -ENOMEM (only from the pthread library's mutex).
 */
CAROM_API int carom_mutex_init(struct carom_mutex *mutex);

/**
 * carom_mutex_acquire() - get the mutex, waiting until @deadline_ns
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever
 *
 * Who gets the mutex sees all that earlier holders wrote. A free mutex is taken
 * even if the deadline has passed. A signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that maps @mutex, forked children
 * included. Blocks.
 * Return: 0, or -EOWNERDEAD: the caller has the mutex, its last holder died, and
 * what it protects is the caller's to repair; or, without the mutex,
 *	-ENOTRECOVERABLE  a holder that was told -EOWNERDEAD released it without
 *	                  carom_mutex_consistent(); only carom_mutex_init() helps
 *	-ETIMEDOUT  @deadline_ns passed
 *	-EDEADLK    the calling thread holds it
 *	-EAGAIN, -ENOMEM  the calling thread holds very many, and there is no thread or no
 *	                  memory to be had for one more
 *	-EOPNOTSUPP another process made this mutex, and this one's C library has
 *	            no list to put it on
 */
CAROM_API int carom_mutex_acquire(struct carom_mutex *mutex, uint64_t deadline_ns);

/**
 * carom_mutex_acquire_interruptible() - the same, and a signal ends the wait
 *
 * Any signal whose handler runs in this thread, SA_RESTART or not. One that is handled right
 * before the thread falls asleep comes too early: who must not miss any sets a deadline.
 *
 * Context: as carom_mutex_acquire().
 * Return: as carom_mutex_acquire(), or -EINTR: a handler ran, and the caller has not got it.
 */
CAROM_API int carom_mutex_acquire_interruptible(struct carom_mutex *mutex, uint64_t deadline_ns);

/**
 * carom_mutex_try() - get the mutex if nobody holds it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: as carom_mutex_acquire(), with -EBUSY (somebody else holds it) for
 * -ETIMEDOUT.
 */
CAROM_API int carom_mutex_try(struct carom_mutex *mutex);

/**
 * carom_mutex_release() - let the next one have it
 *
 * After -EOWNERDEAD without carom_mutex_consistent(), this gives the mutex up for
 * good: all who wait and all who come get -ENOTRECOVERABLE.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, or -EPERM: the calling thread does not hold it.
 */
CAROM_API int carom_mutex_release(struct carom_mutex *mutex);

/**
 * carom_mutex_releasep() - for CAROM_CLEANUP(): release the mutex in *@mutex, if there is one
 * @mutex: NULL afterwards
 *
 *	CAROM_CLEANUP(carom_mutex_releasep) struct carom_mutex *held = NULL;
 *
 *	r = carom_mutex_acquire(&account->lock, deadline);
 *	if (r < 0 && r != -EOWNERDEAD)
 *		return r;
 *	held = &account->lock;
 *	if (r == -EOWNERDEAD && !repair(account))
 *		return -ENOTRECOVERABLE;	// and so says everybody from now on
 *	if (r == -EOWNERDEAD)
 *		carom_mutex_consistent(held);
 *
 * carom_take_ptr() keeps it from being released.
 *
 * Context: as carom_mutex_release().
 */
CAROM_API void carom_mutex_releasep(struct carom_mutex **mutex);

/**
 * carom_mutex_consistent() - declare repaired what the mutex protects
 *
 * Once after -EOWNERDEAD, when the repair is complete: a repairer that dies
 * before is answered with -EOWNERDEAD again.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, -EPERM (the calling thread does not hold it), or -EINVAL (there was
 * nothing to repair).
 */
CAROM_API int carom_mutex_consistent(struct carom_mutex *mutex);

/**
 * carom_mutex_owner() - who holds it, for people
 *
 * Out of date as soon as it is read. The pthread library's mutex goes on naming a
 * holder that died until the next one has the mutex.
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 * Return: the holder's thread id (the pid, for a main thread); 0 if nobody is.
 */
CAROM_API pid_t carom_mutex_owner(const struct carom_mutex *mutex);

/**
 * carom_mutex_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL; 400 hold every line
 *
 *	<Mutex owner=nobody>
 *	<Mutex owner='Process-2' pid=4711>
 *	<Mutex owner='Process-2' pid=4711 thread=4713 stopped>
 *	<Mutex owner='cat' pid=4711 repairs>	the last one died; this one was told so
 *	<Mutex owner died, to be repaired>	and nobody has acquired it since
 *	<Mutex broken>				-ENOTRECOVERABLE
 *
 * This process, its parent and its children have their names, all others what stands in
 * /proc/PID/comm. "stopped" is an owner that a signal or a debugger holds up; "gone" one
 * that has ended and that the kernel did not hand on.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: @text.
 */
CAROM_API char *carom_mutex_describe(const struct carom_mutex *mutex, char *text, size_t size);

CAROM_END_DECLS

#endif

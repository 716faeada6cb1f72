/**
 * DOC: barrier
 *
 * Processes, or threads, that wait for each other: nobody goes on before as many have come
 * as are wanted. Then it begins anew.
 *
 *	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
 *
 *	r = carom_barrier_new(4, NULL, &barrier);
 *	...				// in each of four processes
 *	r = carom_barrier_wait(barrier, carom_deadline_after(CAROM_SECONDS(10)));
 *	if (r < 0)
 *		return r;		// broken: nobody waits for somebody who does not come
 *
 * A barrier breaks, for all, when one of them waited too long, when the action fails, when
 * somebody says carom_barrier_abort(), and when a party dies: a process that has waited at
 * it at least once, and did not free its handle. One that dies before it ever came is not
 * known: give waits a deadline. carom_barrier_reset() makes a broken one whole.
 *
 * A process that is stopped inside a call holds up all others, past their deadlines, until
 * it goes on. All users live in one PID namespace and trust each other.
 */
#ifndef CAROM_SHM_BARRIER_H
#define CAROM_SHM_BARRIER_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_barrier;

/* Parties at most. */
#define CAROM_BARRIER_PARTIES_MAX 1024

/**
 * typedef carom_barrier_fn - what is done once all have come, before any goes on
 *
 * By the one that came last, which may not use the barrier meanwhile. It runs in that
 * process: each process gives its own function, to carom_barrier_set_action().
 *
 * Return: 0; or below 0, which breaks the barrier.
 */
typedef int carom_barrier_fn(void *userdata);

/**
 * struct carom_barrier_options - what carom_barrier_new() makes
 * @size_bytes:  size of this struct; CAROM_BARRIER_OPTIONS() fills it in
 * @name:        shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "barrier"
 * @action:      of this handle and those of children by fork(); NULL: none
 * @userdata:    handed to @action; stays the caller's
 * @process_max: processes that can use it at one time; 0 means 1024; at most 16383
 */
struct carom_barrier_options {
	size_t size_bytes;
	const char *name;
	carom_barrier_fn *action;
	void *userdata;
	uint32_t process_max;
	uint32_t reserved;
};
#define CAROM_BARRIER_OPTIONS(...) CAROM_OPTIONS(carom_barrier_options, __VA_ARGS__)

/**
 * carom_barrier_new() - make a barrier
 * @parties:     how many have to come; 1 to CAROM_BARRIER_PARTIES_MAX
 * @options:     read during the call only; NULL for all defaults
 * @ret_barrier: the caller owns it and ends it with carom_barrier_free(); in a forked child,
 *               the child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_barrier untouched,
 *	-EINVAL  @parties or process_max is out of range, reserved is not 0, or @options was
 *	         not made by CAROM_BARRIER_OPTIONS()
 *	-E2BIG   @options sets a field newer than this library
 *	-EOPNOTSUPP  the C library's list of held locks has an unknown layout
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2) and mmap(2)
 */
CAROM_API int carom_barrier_new(uint32_t parties, const struct carom_barrier_options *options,
				struct carom_barrier **ret_barrier);

/**
 * carom_barrier_attach_dup() - use a barrier that another process made
 * @fd:          what carom_barrier_fd() gave there; stays the caller's, a duplicate is kept
 * @ret_barrier: the caller owns it; it has no action
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_barrier untouched, -EBADF, -EBADMSG (no barrier), -EOPNOTSUPP,
 * -ENOMEM, -EMFILE.
 */
CAROM_API int carom_barrier_attach_dup(int fd, struct carom_barrier **ret_barrier);

/**
 * carom_barrier_free() - unmap and close; other processes keep theirs
 * @barrier: NULL is allowed. No thread of this process is inside a call for it. This process
 *           is no party any more, which breaks nothing
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_barrier *carom_barrier_free(struct carom_barrier *barrier);
CAROM_API void carom_barrier_freep(struct carom_barrier **barrier);

/** carom_barrier_fd() - its descriptor, CLOEXEC; stays the barrier's. MT-Safe, AS-Safe. */
CAROM_API int carom_barrier_fd(const struct carom_barrier *barrier);

/**
 * carom_barrier_set_action() - what this handle does if it comes last; NULL: nothing
 *
 * Context: MT-Unsafe: no other thread is inside a call for @barrier.
 */
CAROM_API void carom_barrier_set_action(struct carom_barrier *barrier, carom_barrier_fn *action,
					void *userdata);

/**
 * carom_barrier_wait() - come, and wait for the others until @deadline_ns
 *
 * Who comes while the action runs is of the next round.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that has it, forked children included.
 * Blocks. A process's first call starts a thread if the process has none for this yet.
 * Return: 0 to parties - 1, another one for each of a round, the last being the one that
 * came last and ran the action; or
 *	-ETIMEDOUT  @deadline_ns passed; the barrier is broken
 *	-ECANCELED  it is broken, or was reset meanwhile
 *	-EUSERS     as many processes as its maker allowed use it already, or too many wait
 *	-EAGAIN, -ENOMEM  no thread could be started
 *	what the action returned, if it was the caller's and below 0
 */
CAROM_API int carom_barrier_wait(struct carom_barrier *barrier, uint64_t deadline_ns);

/**
 * carom_barrier_reset() - make it as new; who waits is told -ECANCELED
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 * Return: 0, or -EUSERS, -EAGAIN, -ENOMEM as above.
 */
CAROM_API int carom_barrier_reset(struct carom_barrier *barrier);

/**
 * carom_barrier_abort() - break it: who waits, and who comes, is told -ECANCELED until a reset
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 * Return: 0, or -EUSERS, -EAGAIN, -ENOMEM as above.
 */
CAROM_API int carom_barrier_abort(struct carom_barrier *barrier);

/** carom_barrier_parties() - how many have to come. MT-Safe, AS-Safe. */
CAROM_API uint32_t carom_barrier_parties(const struct carom_barrier *barrier);

/** carom_barrier_waiting() - how many wait; out of date as soon as it is read. MT-Safe, AS-Safe. */
CAROM_API uint32_t carom_barrier_waiting(const struct carom_barrier *barrier);

/** carom_barrier_is_broken() - 1 or 0; out of date as soon as it is read. MT-Safe, AS-Safe. */
CAROM_API int carom_barrier_is_broken(const struct carom_barrier *barrier);

CAROM_END_DECLS

#endif

/*
 * Birth: how a worker comes to be
 *
 * The supervisor decides when a place is to be filled, and what becomes of who fills it.
 * Here stands what a worker is told, and who makes it.
 */
#ifndef CAROM_POOL_BIRTH_H
#define CAROM_POOL_BIRTH_H

#include <sys/types.h>

struct carom_pool;
struct carom_thread_worker;
struct incarnation;
struct worker;

/**
 * struct carom_newborn - what came of a birth
 * @pid:    its process; 0 for a thread, and if @error
 * @pidfd:  the callee's; -1 likewise
 * @thread: the callee's; NULL for a process
 * @error:  0 or negative errno; -EPIPE: the fork server died each time it was asked
 */
struct carom_newborn {
	pid_t pid;
	int pidfd;
	struct carom_thread_worker *thread;
	int error;
};

/** typedef carom_born_fn - in the loop's thread */
typedef void carom_born_fn(struct worker *worker, const struct carom_newborn *newborn);

/**
 * carom_birth_begin() - have @worker made; in the loop's thread, without the pool's lock
 * @worker: its range of the value arena is chosen, and its entry in the lane prepared
 * @born:   called exactly once, perhaps before this returns
 */
void carom_birth_begin(struct worker *worker, carom_born_fn *born);

/** carom_birth_give_up() - if nobody was asked to make @worker yet: it is told -ECANCELED */
void carom_birth_give_up(struct worker *worker);

/** carom_incarnation_tid() - what a worker's main thread is called where it lives */
pid_t carom_incarnation_tid(const struct incarnation *child);

/**
 * carom_birth_choose() - by which method this pool's workers are to be made
 *
 * Return: 0, -EOPNOTSUPP (no fork server is possible; or what @pool's options ask for
 * cannot be had with that method), -EPERM (a daemonic process, whose context forbids it
 * children).
 */
int carom_birth_choose(struct carom_pool *pool);

#endif

/*
 * Group: the control groups of a pool's workers
 *
 *	home of the program / group of the pool, where it has limits / group of a worker
 *
 * Each process that is a worker has a group of its own, made before it and removed after
 * it: so what the kernel has counted there is about nobody else.
 */
#ifndef CAROM_POOL_GROUP_H
#define CAROM_POOL_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cgroup_limits.h"

struct carom_cgroup;
struct carom_pool;
struct carom_worker_usage;
struct incarnation;

/**
 * struct carom_groups - of a pool; all 0: its workers are in none
 * @whole:    all of its workers' groups stand in it; NULL: it has no limits
 * @limits:   of each worker's
 * @is_on:    workers are in groups
 * @moves:    they cannot be born there, and are moved
 * @oom_count: how often @whole had come to its limit when it was last asked
 * @spare_count: for how many ends that may still stand; @spare_ns: since when. N3 in group.c
 */
struct carom_groups {
	struct carom_cgroup *whole;
	struct carom_cgroup_limits limits;
	bool is_on;
	bool moves;
	uint64_t oom_count;
	uint64_t spare_count;
	uint64_t spare_ns;
};

/** enum carom_group_verdict - has the kernel killed a worker for want of memory? */
enum carom_group_verdict {
	CAROM_GROUP_INNOCENT,   /* no */
	CAROM_GROUP_OWN_LIMIT,  /* at the worker's own limit */
	CAROM_GROUP_POOL_LIMIT, /* at the limit of all workers together */
	CAROM_GROUP_OUTSIDE,    /* at a limit further up, or because the machine had no more */
};

/**
 * carom_groups_begin() - of a new pool
 * @whole: NULL: no group of its own
 * @reason: as for carom_cgroup_new(), as is what is returned
 *
 * Both are as the kernel has them afterwards: see @groups->limits.
 */
int carom_groups_begin(struct carom_pool *pool, const struct carom_cgroup_limits *worker,
		       const struct carom_cgroup_limits *whole, char *reason);
void carom_groups_end(struct carom_pool *pool);

/** carom_groups_are_full() - has the group of all of them come to its limit of memory? */
bool carom_groups_are_full(const struct carom_pool *pool);

/** carom_group_make() - for a worker that is to be made; nothing where the pool has none. As carom_cgroup_new(). */
int carom_group_make(struct incarnation *next, struct carom_pool *pool);

/** carom_group_birthplace() - as struct carom_child_request has it; 0: none, or it is moved later */
int carom_group_birthplace(const struct incarnation *next, const struct carom_pool *pool);

/** carom_group_cannot_bear() - nobody can be born there, for that error: move from now on. False: that is not why. */
bool carom_group_cannot_bear(struct carom_pool *pool, int error);

/** carom_group_admit() - it was made, and has run nothing: see to it that it is in its group. 0, errno. */
int carom_group_admit(struct incarnation *child);

/** carom_group_judge() - why a worker that was killed by SIGKILL was; @ret_peak_bytes: 0: not known */
enum carom_group_verdict carom_group_judge(const struct incarnation *dead,
					   uint64_t *ret_peak_bytes);

/** carom_group_kill() - whoever is in it. False: there is none, or it could not be done. */
bool carom_group_kill(const struct incarnation *child);

/** carom_group_look() - fills in what is known */
void carom_group_look(const struct incarnation *child, struct carom_worker_usage *usage);

/** carom_group_take() - it is the caller's from now on, to be killed and freed; NULL: there is none */
struct carom_cgroup *carom_group_take(struct incarnation *dead);

/** carom_group_gone() - it has ended, and had a life: the kernel has its memory back */
void carom_group_gone(struct incarnation *dead);

/** carom_group_forget() - whoever is in it is killed, and it is removed as soon as nobody is */
void carom_group_forget(struct incarnation *dead);

/** carom_group_lose() - all descriptors were taken away: touch it no more; and of the pool's as such */
void carom_group_lose(struct incarnation *child);
void carom_groups_lose(struct carom_pool *pool);

#endif

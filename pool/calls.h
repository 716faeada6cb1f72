/*
 * Calls
 *
 * What a task has beside its function and its argument: callbacks, a correlation id,
 * the hooks of its pool. It hangs on the task's result, which lives at least until all
 * is told. A task without any of it has none.
 */
#ifndef CAROM_POOL_CALLS_H
#define CAROM_POOL_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/notice.h"
#include "pool/task.h"

struct carom_result;

/* what is due to be told, in this order */
enum calls_due {
	CALLS_BEGIN = 1,
	CALLS_SOFT = 2,
	CALLS_HARD = 4,
	CALLS_END = 8,
};

/**
 * struct calls - of one result
 * @correlation_id: the result's own copy, or NULL
 * @due:          some of enum calls_due
 * @generation:   of the slot whose worker asks for leave
 * @pid, @begun_ns: of its latest beginning
 * @soft_ns, @hard_ns: its limits; 0 for one that it does not have
 * @is_limit_told: on_timeout_set was called
 * @is_told:      all callbacks have returned
 */
struct calls {
	struct carom_notice notice;
	struct carom_result *result;
	carom_callback_fn *callback;
	carom_callback_fn *error_callback;
	carom_accept_callback_fn *accept_callback;
	carom_timeout_callback_fn *timeout_callback;
	void *userdata;
	char *correlation_id;
	uint32_t due;
	uint32_t slot;
	uint32_t generation;
	int64_t pid;
	uint64_t begun_ns;
	uint64_t soft_ns;
	uint64_t hard_ns;
	bool propagate;
	bool asks_leave;
	bool is_limit_told;
	bool is_told;
};

/**
 * carom_calls_new() - what @options and the pool's hooks ask for
 * @ret_calls: NULL if that is nothing
 *
 * With the lock. Return: 0, -ENOMEM.
 */
int carom_calls_new(struct carom_pool *pool, const struct carom_task_options *options,
		    struct calls **ret_calls);
struct calls *carom_calls_free(struct calls *calls);

/** carom_calls_are_none() - does a task without options of its own have none in this pool? */
bool carom_calls_are_none(const struct carom_pool *pool);

/** carom_calls_flags() - what the slot of a task with these calls, or NULL, must say. With the lock. */
uint32_t carom_calls_flags(const struct carom_pool *pool, const struct calls *calls);

/** carom_calls_look() - there was a notice: has the task begun, or ended? With the lock. */
void carom_calls_look(struct carom_pool *pool, uint32_t slot);

/** carom_calls_end() - the task has ended, or its slot is given back; tells it once. With the lock. */
void carom_calls_end(struct carom_pool *pool, uint32_t slot);

/** carom_calls_end_map() - a map has ended; to be called once. With the lock. */
void carom_calls_end_map(struct carom_pool *pool, struct calls *calls);

/** carom_calls_limit() - the task has hit a limit. With the lock. */
void carom_calls_limit(struct carom_pool *pool, uint32_t slot, bool is_soft);

/** carom_calls_drop() - nobody wants to be called any more. With the lock. */
void carom_calls_drop(struct calls *calls);

#endif

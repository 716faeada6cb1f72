/*
 * Manager's pool: the types Pool and AsyncResult of a manager's server
 *
 *	manager_pool.c    the pool in the server's loop: its beginning and its end
 *	manager_job.c     what was asked for by one call: its items, and who waits for them
 *	manager_result.c  what is left of it with the client: an AsyncResult, or an Iterator
 *	manager_calls.c   the methods of Pool: what they are called with
 *
 * All of it in the server's thread.
 */
#ifndef CAROM_POOL_MANAGER_POOL_H
#define CAROM_POOL_MANAGER_POOL_H

#include "ipc/server_private.h"
#include "ipc/types.h"
#include "ipc/waiting.h"
#include "pool/pool.h"

extern const struct carom_type carom_type_pool;
extern const struct carom_type carom_type_async_result;

/* ---- offer.c ---- */

/** carom_offered_task() - NULL: none of that name */
carom_task_fn *carom_offered_task(const char *name);
carom_initializer_fn *carom_offered_initializer(const char *name);

/* ---- manager_pool.c ---- */

struct manager_job;

/**
 * struct manager_pool - one of a server's
 * @pool:         NULL: its workers have ended
 * @guest:        as long as they have not
 * @keeper_count: who wants it: those that have its proxy, as one, and the results that are still
 *                to come and that somebody has
 * @flight_count: tasks that were submitted and have not ended; at most @flight_max
 * @first_job, @last_job: those with items that are not submitted yet
 * @error:        what who asks for work gets: 0 as long as there is some to be had
 * @is_told:      the pool knows that nothing more comes
 * @joiners:      who waits for the end of the workers
 */
struct manager_pool {
	struct carom_server *server;
	struct carom_guest guest;
	struct carom_pool *pool;
	struct carom_loop_fd watch;
	size_t keeper_count;
	size_t flight_count;
	size_t flight_max;
	struct manager_job *first_job;
	struct manager_job *last_job;
	int error;
	bool is_told;
	struct carom_waiting joiners;
};

/** carom_manager_pool_new() - @options with what is said here. As carom_pool_new(); -ENOMEM */
int carom_manager_pool_new(struct carom_server *server, const struct carom_pool_options *options,
			   struct manager_pool **ret_pool);

/** carom_manager_pool_enqueue() - a job, which holds what it needs; it is begun as far as it goes */
void carom_manager_pool_enqueue(struct manager_pool *pool, struct manager_job *job);

void carom_manager_pool_close(struct manager_pool *pool);
void carom_manager_pool_terminate(struct manager_pool *pool);

/** carom_manager_pool_join() - as a method's result, once the workers have ended */
int carom_manager_pool_join(struct manager_pool *pool, struct carom_request *request);

/** carom_manager_pool_keep() - somebody more wants it */
void carom_manager_pool_keep(struct manager_pool *pool);

/** carom_manager_pool_unkeep() - somebody less: without any it ends by force, and is gone then */
void carom_manager_pool_unkeep(struct manager_pool *pool);

/* ---- manager_job.c ---- */

/**
 * enum manager_shape - what a job's items are
 * @MANAGER_ONE:  one call, of the arguments as they are
 * @MANAGER_MAP:  calls of one argument each
 * @MANAGER_STAR: calls of a row of arguments each
 */
enum manager_shape {
	MANAGER_ONE,
	MANAGER_MAP,
	MANAGER_STAR,
};

/** enum manager_wish - what a request waits for */
enum manager_wish {
	MANAGER_WISH_VALUE,
	MANAGER_WISH_END,
	MANAGER_WISH_NEXT,
};

/**
 * struct manager_item - a task
 * @value:   NULL also of None
 * @failure: of one that @has_failed, a line that says why; NULL: no memory was left for it
 * @next:    of those that have ended and were not handed out, in that order
 */
struct manager_item {
	struct manager_job *job;
	struct carom_document *value;
	char *failure;
	struct manager_item *next;
	bool has_ended;
	bool has_failed;
};

/**
 * struct manager_job - the tasks of a call
 * @pool:            there as long as not all of it has ended
 * @reference_count: one as long as not all of it has ended, one for the handle
 * @keeps_pool:      it is one of the pool's keepers
 * @arguments:       NULL once all is submitted
 * @is_ordered:      handed out one by one, in order
 * @handed_count:    so many were
 * @first_ended, @last_ended: to be handed out, where there is no order
 * @next:            of the pool's that have something to submit
 */
struct manager_job {
	struct manager_pool *pool;
	carom_task_fn *function;
	enum manager_shape shape;
	bool keeps_pool;
	bool is_ordered;
	size_t reference_count;
	struct carom_document *arguments;
	struct carom_waiting waiting;
	size_t handed_count;
	struct manager_item *first_ended;
	struct manager_item *last_ended;
	struct manager_job *next;
	size_t submitted_count;
	size_t ended_count;
	size_t count;
	struct manager_item items[];
};

/**
 * carom_manager_job_new() - of what a request has asked for; with one reference
 * @arguments: of one call, or a sequence of items; copied
 *
 * Return: 0, -EINVAL: no such sequence; -EMSGSIZE, -ENOMEM.
 */
int carom_manager_job_new(struct manager_pool *pool, struct carom_request *request,
			  enum manager_shape shape, carom_task_fn *function,
			  const struct carom_object *arguments, struct manager_job **ret_job);

void carom_manager_job_ref(struct manager_job *job);
struct manager_job *carom_manager_job_unref(struct manager_job *job);

/** carom_manager_item_submit() - 0, -EAGAIN, -ENOMEM: not now, perhaps; or what came of it */
int carom_manager_item_submit(struct manager_item *item);

/** carom_manager_item_skip() - it is not done, because of this. May be the end of its job. */
void carom_manager_item_skip(struct manager_item *item, const char *reason);

/** carom_manager_job_ask() - what a request wishes, now or later. As a method's result */
int carom_manager_job_ask(struct manager_job *job, struct carom_request *request,
			  enum manager_wish wish, uint64_t deadline_ns);

/** carom_manager_job_let_go() - it keeps the pool no longer, if it did */
void carom_manager_job_let_go(struct manager_job *job);

/** carom_manager_job_has_ended() - all of it */
bool carom_manager_job_has_ended(const struct manager_job *job);

/* ---- manager_result.c ---- */

/** carom_manager_reply_result() - the result is a proxy of an AsyncResult; @job is its own then */
int carom_manager_reply_result(struct carom_request *request, struct manager_job *job);

/** carom_manager_reply_iterator() - or of an Iterator */
int carom_manager_reply_iterator(struct carom_request *request, struct manager_job *job);

#endif

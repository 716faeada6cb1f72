/*
 * The inside of a queue: what stands in the shared file, and what its parts do for each other.
 * What it is all about, and which death leaves what, is told in ipc/queue.c.
 */
#ifndef CAROM_IPC_QUEUE_PRIVATE_H
#define CAROM_IPC_QUEUE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/exchange.h"
#include "ipc/hatch.h"
#include "ipc/waitable.h"
#include "shm/mutex_private.h"
#include "shm/primitive.h"

/* Bytes go into chunks; positions within them are multiples of a unit. */
#define QUEUE_CHUNK_SIZE  4096u
#define QUEUE_UNIT        16u
#define QUEUE_CHUNK_BEGIN QUEUE_UNIT /* of what is in it */
#define QUEUE_CHUNK_ROOM  (QUEUE_CHUNK_SIZE - QUEUE_CHUNK_BEGIN)
#define QUEUE_NO_CHUNK    UINT32_MAX

/* Of a record: a name of shm/roll.h, which is who has it, or one of these. */
#define QUEUE_RECORD_QUEUED   0u
#define QUEUE_RECORD_RETURNED (UINT32_C(1) << 30)
#define QUEUE_RECORD_DONE     (UINT32_C(1) << 31)

/**
 * struct queue_record - what stands before a message
 * @state: of a task; changed under the getters' lock only
 */
struct queue_record {
	_Atomic uint32_t state;
	uint32_t reserved;
	uint64_t size;
};
_Static_assert(sizeof(struct queue_record) == QUEUE_UNIT, "never torn between two chunks");

/**
 * struct queue_chunk
 * @next:  where its last message goes on, or the next one begins
 * @first: where the first message that begins in it does; 0: none
 * @held:  tasks got and not done of which there is something in it
 * @used:  only while the unused ones are looked for
 */
struct queue_chunk {
	uint32_t next;
	_Atomic uint32_t first;
	uint32_t held;
	uint32_t used;
	unsigned char data[QUEUE_CHUNK_ROOM];
};
_Static_assert(sizeof(struct queue_chunk) == QUEUE_CHUNK_SIZE, "a page");

enum queue_life {
	QUEUE_OPEN,
	QUEUE_SHUT,
	QUEUE_SHUT_NOW,
	QUEUE_ABORTED,
};

/* In the role of a process's row. */
enum queue_role {
	QUEUE_PRODUCER,
	QUEUE_CONSUMER,
	QUEUE_ROLE_COUNT,
};

/* In a bell: see ipc/queue_wait.c. */
#define QUEUE_BELL_WAITED  1u
#define QUEUE_BELL_ALL     2u
#define QUEUE_BELL_WATCHED 4u
#define QUEUE_BELL_STEP    8u

/**
 * struct queue_end - where a queue begins or ends; 64 bits, changed by one store
 * @at:    in units, from the first chunk's beginning
 * @count: of messages that were ever here
 */
struct queue_end {
	uint32_t at;
	uint32_t count;
};

/**
 * struct queue_state - in shared memory
 *
 * Written once: @size_max, @chunk_max, @producer_count, @tasks, @needs_consumers.
 * @life: enum queue_life; only grows
 * @leaks: somebody died who may have had a chunk in hand
 * @came:  of each role, how many processes ever took it
 * @fds_number: of the last message with descriptors; under the hatch's lock
 *
 * Under the putters' lock:
 * @tail:       where the next message goes; a struct queue_end, as @head is
 * @seen_head:  what @head was when a putter last looked
 * @spare_head: spare chunks that were ever taken
 * @fresh:      chunks that were ever used
 * @reserved:   chunks that there is memory for
 *
 * Under the getters' lock:
 * @head:       the first message
 * @seen_tail:  what @tail was when a getter last looked
 * @spare_tail: spare chunks that were ever given back
 * @oldest:     the first chunk that is used
 * @behind:     tasks got and not done, those returned by the dead among them
 * @returned:   of these, those that are to be got again
 */
struct queue_state {
	uint32_t size_max;
	uint32_t chunk_max;
	uint32_t producer_count;
	uint32_t tasks;
	uint32_t needs_consumers;
	_Atomic uint32_t life;
	_Atomic uint32_t leaks;
	_Atomic uint32_t came[QUEUE_ROLE_COUNT];
	uint64_t fds_number;

	_Alignas(64) _Atomic uint32_t get_bell;
	_Atomic uint32_t watch_bell;
	_Alignas(64) _Atomic uint32_t put_bell;
	_Atomic uint32_t join_bell;

	_Alignas(64) struct carom_mutex put_lock;
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t seen_head;
	_Atomic uint64_t spare_head;
	_Atomic uint32_t fresh;
	_Atomic uint32_t reserved;

	_Alignas(64) struct carom_mutex get_lock;
	_Alignas(64) _Atomic uint64_t head;
	uint64_t seen_tail;
	_Atomic uint64_t spare_tail;
	uint32_t oldest;
	_Atomic uint32_t behind;
	_Atomic uint32_t returned;
};

/**
 * struct queue_minder - a thread that sees to the dead while others watch
 * @origin: the process that has one; 0: none
 * @word:   how many watch, and whether it is to end
 */
struct queue_minder {
	pthread_t thread;
	uint64_t origin;
	_Atomic uint32_t word;
};

/**
 * struct carom_queue - a handle
 * @state:  in the file, as are the next two
 * @spares: a ring of chunk_max chunks that are not used
 * @roles:  the process that has taken each role by this handle; 0: none
 * @closed: and that does so no more
 * @context, @encode_error, @userdata: of documents: see ipc/exchange.c
 * @hatch: where their descriptors go; NULL: they may have none
 */
struct carom_queue {
	struct carom_primitive base;
	struct queue_state *state;
	_Atomic uint32_t *spares;
	struct queue_chunk *chunks;
	_Atomic uint64_t roles[QUEUE_ROLE_COUNT];
	_Atomic bool closed[QUEUE_ROLE_COUNT];
	struct carom_waitable waitable;
	struct queue_minder minder;
	struct carom_context *context;
	carom_encode_error_fn *encode_error;
	void *userdata;
	struct carom_hatch *hatch;
};

static inline struct queue_end queue_end_of(uint64_t word)
{
	return (struct queue_end){ .at = (uint32_t)word, .count = (uint32_t)(word >> 32) };
}

static inline uint64_t queue_end_word(struct queue_end end)
{
	return (uint64_t)end.count << 32 | end.at;
}

/* ---- the store: ipc/queue_store.c ---- */

/**
 * struct queue_cursor - a place in a chunk
 * @at: in bytes; QUEUE_CHUNK_SIZE is its end, which is where the next one begins
 */
struct queue_cursor {
	uint32_t chunk;
	uint32_t at;
};

/** carom_queue_record_size() - what a message of @size bytes takes */
static inline uint64_t carom_queue_record_size(uint64_t size)
{
	return (size + sizeof(struct queue_record) + QUEUE_UNIT - 1) & ~(uint64_t)(QUEUE_UNIT - 1);
}

/** carom_queue_extra_size() - bytes of the file for @chunk_max chunks */
uint64_t carom_queue_extra_size(uint32_t chunk_max);

/** carom_queue_chunks_of() - chunks that give room for @bytes_max, wherever it begins */
uint32_t carom_queue_chunks_of(uint64_t bytes_max);

void carom_queue_find_store(struct carom_queue *queue);

/** carom_queue_init_store() - 0, -ENOMEM */
int carom_queue_init_store(struct carom_queue *queue);

/**
 * carom_queue_make_room() - see that there are chunks for @record_size bytes; with the putters' lock
 *
 * Return: 0; -EAGAIN: there will be when something is got; -ENOMEM.
 */
int carom_queue_make_room(struct carom_queue *queue, uint64_t record_size);

/** carom_queue_append() - put a message for which there is room; with the putters' lock */
void carom_queue_append(struct carom_queue *queue, const void *data, size_t size);

/** carom_queue_read() - a record at @cursor, which goes to its end; no more than @capacity. 0, -EMSGSIZE */
int carom_queue_read(const struct carom_queue *queue, struct queue_cursor *cursor, void *buffer,
		     size_t capacity, size_t *ret_size);

/** carom_queue_record() - the record at @cursor, which goes on to the next chunk at an end */
struct queue_record *carom_queue_record(const struct carom_queue *queue,
					struct queue_cursor *cursor);

struct queue_cursor carom_queue_cursor(uint32_t at);
uint32_t carom_queue_place(struct queue_cursor cursor);

/** carom_queue_spare() - nobody uses @chunk any more; with the getters' lock */
void carom_queue_spare(struct carom_queue *queue, uint32_t chunk);

/** carom_queue_spare_until() - nor from @first up to @end; likewise */
void carom_queue_spare_until(struct carom_queue *queue, uint32_t first, uint32_t end);

/* ---- tasks: ipc/queue_tasks.c; all with the getters' lock ---- */

/** carom_queue_hold() - the record at @cursor is behind the head now, and somebody has it */
void carom_queue_hold(struct carom_queue *queue, struct queue_cursor cursor);

/** carom_queue_spare_behind() - chunks behind the head of which nothing is held */
void carom_queue_spare_behind(struct carom_queue *queue);

/** carom_queue_take_returned() - get what one of the dead had. 0, -EMSGSIZE */
int carom_queue_take_returned(struct carom_queue *queue, uint32_t name, void *buffer,
			      size_t capacity, size_t *ret_size);

/** carom_queue_finish() - what @name has had longest is done; or of anybody. Return: was there any? */
bool carom_queue_finish(struct carom_queue *queue, uint32_t name);

/** carom_queue_has_tasks() - does @name have any? */
bool carom_queue_has_tasks(const struct carom_queue *queue, uint32_t name);

/** carom_queue_bury_tasks() - @name is dead */
void carom_queue_bury_tasks(struct carom_queue *queue, uint32_t name);

/** carom_queue_recount() - somebody died with the lock */
void carom_queue_recount(struct carom_queue *queue);

/** carom_queue_discard() - all that is there is got and done; nobody puts any more */
void carom_queue_discard(struct carom_queue *queue);

/** carom_queue_unfinished_now() - put and not done */
uint32_t carom_queue_unfinished_now(const struct carom_queue *queue);

/* ---- waiting: ipc/queue_wait.c ---- */

/**
 * struct queue_wait - one call of one thread
 * @bell:    where it waits
 * @watched: what changes when the waiting may be over, and @expected: what it was
 * @armed:   what it has set in the bell
 * @seen:    what it was then
 * @looks:   before it sleeps
 */
struct queue_wait {
	struct carom_queue *queue;
	_Atomic uint32_t *bell;
	const _Atomic uint64_t *watched;
	uint64_t deadline_ns;
	uint64_t expected;
	uint32_t armed;
	uint32_t seen;
	int looks;
	bool has_slept;
	bool is_last;
};

/** carom_queue_arm() - before a last look: ring for this one too. @flags: QUEUE_BELL_WAITED, _ALL */
void carom_queue_arm(struct queue_wait *wait, uint32_t flags);

/** carom_queue_sleep() - until there may be something. 0: look again; -EAGAIN, -ETIMEDOUT */
int carom_queue_sleep(struct queue_wait *wait);

/** carom_queue_wait_end() - hand on what this one was woken for; @is_ready: others could go on */
void carom_queue_wait_end(struct queue_wait *wait, bool is_ready);

/** carom_queue_ring_waited() - the slow half of the next one */
void carom_queue_ring_waited(_Atomic uint32_t *bell);

/**
 * carom_queue_ring() - wake one who waits, if anybody does; or all, if they asked for that
 *
 * After a seq_cst store of what they wait for.
 */
static inline void carom_queue_ring(_Atomic uint32_t *bell)
{
	/* seq_cst: B2 of ipc/queue_wait.c */
	if (__builtin_expect(atomic_load(bell) & (QUEUE_BELL_WAITED | QUEUE_BELL_WATCHED), 0))
		carom_queue_ring_waited(bell);
}

/** carom_queue_ring_all() - at all bells: everybody looks again. AS-Safe. */
void carom_queue_ring_all(struct carom_queue *queue);

/**
 * carom_queue_lock_put() - get the putters' lock; before the other one, if both
 *
 * Whatever a dead one left is seen to; with the getters' lock of a queue that is shut down at
 * once, it is empty. Return: 0, or -ETIMEDOUT: somebody has held it until
 * @deadline_ns, or for so long that he must have been stopped, whichever is later.
 */
int carom_queue_lock_put(struct carom_queue *queue, uint64_t deadline_ns);
int carom_queue_lock_get(struct carom_queue *queue, uint64_t deadline_ns);

/** carom_queue_bury() - see to all that the dead have left; with neither lock */
void carom_queue_bury(struct carom_queue *queue);

/** carom_queue_is_alive() - may this process still change anything? With either lock */
bool carom_queue_is_alive(const struct carom_queue *queue);

/* ---- for who waits for several things at once: ipc/queue_watch.c ---- */

extern const struct carom_waitable_kind carom_queue_waitable_kind;

/** carom_queue_end_minder() - of this process, if it has one */
void carom_queue_end_minder(struct carom_queue *queue);

/** carom_queue_is_gettable() - would carom_queue_get() not wait? Without locks */
bool carom_queue_is_gettable(struct carom_queue *queue);

#endif

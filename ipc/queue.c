/*
 * Queue
 *
 * Two locks (shm/mutex.h), one for all putters and one for all getters, so that the two sides
 * do not wait for each other; between them the messages, one behind the other in chunks
 * (ipc/queue_store.c). A queue of one lock would be a little shorter, and hand that lock to and
 * fro between the sides for each message.
 *
 *   Q1  A message is put by one store of `tail`, and got by one store of `head`, each under its
 *       side's lock. Both have the number of messages in them, so how many there are is always
 *       exact, and the order of the puts is the order of the gets.
 *   Q2  Who waits does so as told in ipc/queue_wait.c, and holds nothing.
 *   Q3  If both locks are needed, the putters' is first.
 *   Q4  What counts per process (roles, tasks) is changed under the getters' lock, and not by one
 *       whose row is marked as dead already: a thread of it may still run for a moment.
 *   Q5  `life` grows to QUEUE_SHUT and QUEUE_SHUT_NOW under the putters' lock: whoever reads it
 *       finds all that was put before.
 *   Q6  Who looks for the end looks first whether there are producers, and then whether the
 *       queue is empty: what one put before it was gone is found.
 *   Q7  It is not the end as long as a task is at work that would come back if its consumer
 *       died. But who has such a task himself does not wait for it, so no two of them wait for
 *       each other.
 *   Q8  Whose row is marked as dead neither puts nor gets nor shuts it down: it is asked under the
 *       lock. Who buries has both locks, and rings all bells. So what one of the dead has put, or
 *       got, before it could ring, is rung for by who buries it. Without that: it is killed; its row is marked, and
 *       buried; a thread of it that still runs puts, and ends; all sleep.
 *
 * The deaths:
 *
 *	putting, before the store of `tail`   not put. Chunks in hand are lost for now (C1)
 *	between that and ringing              put; the death is the ringing
 *	getting, before the store of `head`   not got; a task's record is put back (T2)
 *	behind it                             got, and lost with the dead; a task is returned.
 *	                                      Chunks in hand are lost for now (C1)
 *	between that and ringing              the death is the ringing
 *	taking a role                         one has come, and is gone
 *	as the last producer                  the one who is woken finds no more
 *	shutting it down, before the bells    the death is the ringing
 *	discarding                            QUEUE_SHUT_NOW stands; the next one discards
 *	burying                               the row is dead until all is told; so is this one's
 *	asleep, or on the way to or from it   ipc/queue_wait.c
 *
 * What it costs. A put, where nobody waits: no system call; the lock (two locked instructions),
 * the store of `tail` (one), and of foreign cache lines those of the chunk, which a getter had
 * last, and `head` once in size_max messages. A get likewise with `tail`, once in as many
 * messages as were there. `bell` is read each time, and changes only when somebody sleeps. If
 * the getters sleep, one of many puts wakes one of them: the next ones find that one called.
 *
 * Why a message has to fit as a whole, and does not go through in pieces: a death between the
 * pieces would leave half a message with those who live, and whoever waits for the rest would
 * hold up all others. Why there is no reserving in place: it would hold the lock, or a gap in
 * the order, while the program writes; a message of a page costs 0.1 us to copy.
 *
 * Who has the descriptor is trusted: the file is believed, as that of a lock.
 */
#include "ipc/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/time.h"
#include "ipc/queue_private.h"
#include "shm/spin.h"

#define DEFAULT_BYTES CAROM_MIB(64)
#define FIRST_GUESS   ((size_t)512) /* of how long a message is */

/* ---- making and ending ---- */

static void bury(struct carom_primitive *base)
{
	carom_queue_bury((struct carom_queue *)base);
}

static const struct carom_primitive_kind queue_kind = {
	.magic = UINT64_C(0x3130306375657571), /* "queuc001" in memory */
	.name = "queue",
	.state_size = sizeof(struct queue_state),
	.bury = bury,
};

static int check(struct carom_queue_options *o)
{
	if (o->size_max == 0)
		o->size_max = CAROM_QUEUE_SIZE_MAX;
	if (o->bytes_max == 0)
		o->bytes_max = DEFAULT_BYTES;
	if (o->producer_count == 0)
		o->producer_count = 1;
	for (size_t i = 0; i < sizeof(o->reserved); i++)
		if (o->reserved[i])
			return -EINVAL;
	if (o->size_max > CAROM_QUEUE_SIZE_MAX || o->bytes_max > CAROM_QUEUE_BYTES_MAX)
		return -EINVAL;
	if (o->carries_fds && o->tasks == CAROM_QUEUE_TASKS_REQUEUE)
		return -EINVAL; /* what is got again would come without them */
	return (unsigned int)o->tasks > CAROM_QUEUE_TASKS_KEEP ? -EINVAL : 0;
}

static struct queue_state *state_of(const struct carom_primitive *base)
{
	return (struct queue_state *)base->file->state;
}

static int init_state(struct carom_queue *queue, const struct carom_queue_options *o)
{
	struct queue_state *state = state_of(&queue->base);
	int r;

	queue->state = state;
	state->size_max = o->size_max;
	state->chunk_max = carom_queue_chunks_of(o->bytes_max);
	state->producer_count = o->producer_count;
	state->tasks = o->tasks;
	state->needs_consumers = o->needs_consumers;
	r = carom_mutex_init(&state->put_lock);
	if (r == 0)
		r = carom_mutex_init(&state->get_lock);
	if (r < 0)
		return r;
	carom_queue_find_store(queue);
	return carom_queue_init_store(queue);
}

static struct carom_queue *new_handle(void)
{
	struct carom_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->base.fd = -1;
	queue->waitable.kind = &carom_queue_waitable_kind;
	return queue;
}

int carom_queue_new(const struct carom_queue_options *options, struct carom_queue **ret_queue)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	struct carom_queue_options o;
	uint64_t extra;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(&o);
	if (r < 0)
		return r;
	queue = new_handle();
	if (!queue)
		return -ENOMEM;
	extra = carom_queue_extra_size(carom_queue_chunks_of(o.bytes_max));
	r = carom_primitive_init_with(&queue->base, &queue_kind, o.name, o.process_max, extra);
	if (r == 0)
		r = init_state(queue, &o);
	if (r == 0 && o.carries_fds)
		r = carom_hatch_new(queue->base.fd, o.process_max, &queue->hatch);
	if (r < 0)
		return r;
	*ret_queue = carom_take_ptr(queue);
	return 0;
}

int carom_queue_attach_dup(int fd, struct carom_queue **ret_queue)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = new_handle();
	CAROM_CLEANUP(carom_closep) int inner = -1;
	int r;

	if (!queue)
		return -ENOMEM;
	r = carom_hatch_attach(fd, &inner, &queue->hatch);
	if (r == 0 || r == -ENOENT)
		r = carom_primitive_attach(&queue->base, &queue_kind, r == 0 ? inner : fd);
	if (r < 0)
		return r;
	queue->state = state_of(&queue->base);
	carom_queue_find_store(queue);
	*ret_queue = carom_take_ptr(queue);
	return 0;
}

static bool has_tasks(struct carom_queue *queue)
{
	bool has;

	if (!queue->state || !carom_primitive_has_entered(&queue->base))
		return false;
	if (carom_queue_lock_get(queue, CAROM_PASSED) < 0)
		return true; /* it does no harm */
	has = carom_queue_has_tasks(queue, queue->base.name);
	carom_mutex_release(&queue->state->get_lock);
	return has;
}

struct carom_queue *carom_queue_free(struct carom_queue *queue)
{
	if (!queue)
		return NULL;
	if (queue->state) {
		carom_queue_close(queue);
		carom_queue_close_consumer(queue);
	}
	carom_queue_end_minder(queue);
	carom_primitive_deinit(&queue->base, has_tasks(queue));
	carom_hatch_free(queue->hatch);
	free(queue);
	return NULL;
}

void carom_queue_freep(struct carom_queue **queue)
{
	*queue = carom_queue_free(*queue);
}

int carom_queue_fd(const struct carom_queue *queue)
{
	return queue->hatch ? carom_hatch_fd(queue->hatch) : queue->base.fd;
}

/* ---- roles ---- */

static bool has_role(struct carom_queue *queue, enum queue_role role)
{
	/* acquire: pairs with the release in take_role() */
	uint64_t origin = atomic_load_explicit(&queue->roles[role], memory_order_acquire);

	return origin && carom_origin_is(origin);
}

/* Q4 */
static int take_role(struct carom_queue *queue, enum queue_role role, uint64_t deadline_ns)
{
	struct queue_state *state = queue->state;
	uint32_t row;
	int r = carom_primitive_row(&queue->base, &row);

	if (r < 0)
		return r == -EUSERS ? r : -ENOMEM;
	r = carom_queue_lock_get(queue, deadline_ns);
	if (r < 0)
		return r;
	if (!has_role(queue, role) && carom_queue_is_alive(queue)) {
		atomic_fetch_add(&state->came[role], 1);
		CAROM_POINT("queue.came");
		atomic_fetch_or(&queue->base.roll->rows[row].role, UINT32_C(1) << role);
	}
	atomic_store_explicit(&queue->roles[role], atomic_load(&queue->base.origin),
			      memory_order_release);
	carom_mutex_release(&state->get_lock);
	return 0;
}

static int need_role(struct carom_queue *queue, enum queue_role role, uint64_t deadline_ns)
{
	/* relaxed: who closes while others put is answered by some of them in either way */
	if (atomic_load_explicit(&queue->closed[role], memory_order_relaxed))
		return -ESHUTDOWN;
	return has_role(queue, role) ? 0 : take_role(queue, role, deadline_ns);
}

static void close_side(struct carom_queue *queue, enum queue_role role)
{
	struct carom_primitive *base = &queue->base;
	int r;

	if (atomic_exchange(&queue->closed[role], true) || !has_role(queue, role))
		return;
	/* who cannot have the lock, since somebody was stopped with it, does without */
	r = carom_queue_lock_get(queue, CAROM_PASSED);
	if (carom_queue_is_alive(queue))
		atomic_fetch_and(&base->roll->rows[base->row].role, ~(UINT32_C(1) << role));
	if (r == 0)
		carom_mutex_release(&queue->state->get_lock);
	CAROM_POINT("queue.closed");
	carom_queue_ring_all(queue);
}

void carom_queue_close(struct carom_queue *queue)
{
	close_side(queue, QUEUE_PRODUCER);
}

void carom_queue_close_consumer(struct carom_queue *queue)
{
	close_side(queue, QUEUE_CONSUMER);
}

int carom_queue_add_producer(struct carom_queue *queue)
{
	uint32_t life = atomic_load(&queue->state->life);

	if (life != QUEUE_OPEN)
		return life == QUEUE_ABORTED ? -ECANCELED : -ESHUTDOWN;
	return need_role(queue, QUEUE_PRODUCER, CAROM_NO_DEADLINE);
}

static uint32_t count_of(const struct carom_queue *queue, enum queue_role role)
{
	const struct carom_roll *roll = queue->base.roll;
	uint32_t rows = atomic_load(&roll->row_count), count = 0;

	for (uint32_t row = 0; row < rows; row++)
		if ((atomic_load(&roll->rows[row].role) & UINT32_C(1) << role) &&
		    !carom_roll_is_dead(roll, row))
			count++;
	return count;
}

/* Have enough come, and is none of them left? */
static bool are_gone(const struct carom_queue *queue, enum queue_role role, uint32_t enough)
{
	return atomic_load(&queue->state->came[role]) >= enough && count_of(queue, role) == 0;
}

/* ---- putting ---- */

/**
 * struct message - what is to be put
 * @size:   in bytes
 * @record: what it takes
 */
struct message {
	const void *data;
	size_t size;
	uint64_t record;
};

static uint32_t distance(uint64_t head, uint64_t tail)
{
	return queue_end_of(tail).count - queue_end_of(head).count;
}

/* @seen_head may be behind; then there is no less room than it says. */
static bool has_place(struct queue_state *state)
{
	uint64_t tail = atomic_load_explicit(&state->tail, memory_order_relaxed);
	uint32_t returned = state->tasks ? atomic_load(&state->returned) : 0;

	if (distance(state->seen_head, tail) + (uint64_t)returned < state->size_max)
		return true;
	state->seen_head = atomic_load(&state->head);
	return distance(state->seen_head, tail) + (uint64_t)returned < state->size_max;
}

/* With the lock. Return: 0; -EAGAIN, with what it would wait for; or why never. */
static int put_now(struct carom_queue *queue, const struct message *message, uint32_t *ret_flags)
{
	struct queue_state *state = queue->state;
	uint32_t life = atomic_load_explicit(&state->life, memory_order_acquire);
	int r;

	if (__builtin_expect(life != QUEUE_OPEN, 0))
		return life == QUEUE_ABORTED ? -ECANCELED : -ESHUTDOWN;
	if (!carom_queue_is_alive(queue))
		return -ECANCELED; /* Q8: this process is about to end */
	if (state->needs_consumers && are_gone(queue, QUEUE_CONSUMER, 1))
		return -EPIPE;
	*ret_flags = QUEUE_BELL_WAITED;
	if (!has_place(state))
		return -EAGAIN;
	*ret_flags = QUEUE_BELL_WAITED | QUEUE_BELL_ALL;
	r = carom_queue_make_room(queue, message->record);
	if (r == 0)
		carom_queue_append(queue, message->data, message->size);
	return r;
}

static int put_once(const struct message *message, struct queue_wait *wait)
{
	struct carom_queue *queue = wait->queue;
	uint32_t flags;
	int r = carom_queue_lock_put(queue, wait->deadline_ns);

	if (r < 0)
		return r;
	r = put_now(queue, message, &flags);
	/* what is asked for by the last arming is what it sleeps for (B2) */
	while (r == -EAGAIN && wait->deadline_ns != CAROM_PASSED) {
		uint32_t wanted = flags;

		carom_queue_arm(wait, wanted);
		wait->expected = atomic_load(wait->watched);
		r = put_now(queue, message, &flags);
		if ((flags & ~wanted) == 0)
			break;
	}
	carom_mutex_release(&queue->state->put_lock);
	return r;
}

/* A lock that was not to be had in time. */
static int in_time(int r, uint64_t deadline_ns)
{
	return r == -ETIMEDOUT && deadline_ns == CAROM_PASSED ? -EAGAIN : r;
}

static int put(struct carom_queue *queue, const struct message *message, uint64_t deadline_ns)
{
	struct queue_state *state = queue->state;
	struct queue_wait wait = { .queue = queue,
				   .bell = &state->put_bell,
				   .watched = &state->head,
				   .deadline_ns = deadline_ns,
				   .looks = carom_spin_count() };
	int r;

	do
		r = put_once(message, &wait);
	while (r == -EAGAIN && (r = carom_queue_sleep(&wait)) == 0);
	if (wait.has_slept)
		carom_queue_wait_end(&wait, !carom_queue_is_full(queue));
	if (r == 0)
		carom_queue_ring(&state->get_bell);
	return r;
}

int carom_queue_put(struct carom_queue *queue, const void *data, size_t size, uint64_t deadline_ns)
{
	uint64_t room = (uint64_t)(queue->state->chunk_max - 1) * QUEUE_CHUNK_ROOM;
	struct message message = { .data = data, .size = size };
	int r;

	if (!data && size > 0)
		return -EINVAL;
	if (size > room || carom_queue_record_size(size) > room)
		return -EMSGSIZE;
	message.record = carom_queue_record_size(size);
	r = need_role(queue, QUEUE_PRODUCER, deadline_ns);
	if (r == 0)
		r = put(queue, &message, deadline_ns);
	return in_time(r, deadline_ns);
}

/* ---- getting ---- */

/**
 * struct place - where a message goes
 * @size: how long the last one was that was looked at
 */
struct place {
	void *buffer;
	size_t capacity;
	size_t size;
};

/* With the lock, and there is one. T2, Q1. */
static int take_first(struct carom_queue *queue, struct place *place)
{
	struct queue_state *state = queue->state;
	struct queue_end head =
		queue_end_of(atomic_load_explicit(&state->head, memory_order_relaxed));
	struct queue_cursor cursor = carom_queue_cursor(head.at), end;
	uint32_t oldest = cursor.chunk;
	struct queue_record *record = carom_queue_record(queue, &cursor);
	int r;

	end = cursor;
	r = carom_queue_read(queue, &end, place->buffer, place->capacity, &place->size);
	if (r < 0)
		return r;
	CAROM_POINT("queue.copied");
	if (state->tasks)
		atomic_store_explicit(&record->state, queue->base.name, memory_order_relaxed);
	CAROM_POINT("queue.named");
	head = (struct queue_end){ .at = carom_queue_place(end), .count = head.count + 1 };
	/* seq_cst: B1 of ipc/queue_wait.c */
	atomic_store(&state->head, queue_end_word(head));
	CAROM_POINT("queue.taken");
	if (state->tasks)
		carom_queue_hold(queue, cursor);
	if (end.chunk == oldest)
		return 0;
	if (state->tasks) {
		carom_queue_spare_behind(queue);
	} else {
		state->oldest = end.chunk;
		carom_queue_spare_until(queue, oldest, end.chunk);
	}
	return 0;
}

static bool has_first(struct queue_state *state)
{
	uint64_t head = atomic_load_explicit(&state->head, memory_order_relaxed);

	if (distance(head, state->seen_tail) == 0)
		state->seen_tail = atomic_load(&state->tail);
	return distance(head, state->seen_tail) > 0;
}

/* Q7 */
static bool may_be_returned(const struct carom_queue *queue)
{
	const struct queue_state *state = queue->state;

	return state->tasks == CAROM_QUEUE_TASKS_REQUEUE && atomic_load(&state->behind) > 0 &&
	       !carom_queue_has_tasks(queue, queue->base.name);
}

/* Does nobody put anything more? Return: 0, or why not. */
static int find_end(const struct carom_queue *queue, uint32_t life)
{
	if (life == QUEUE_SHUT)
		return -ESHUTDOWN;
	return are_gone(queue, QUEUE_PRODUCER, queue->state->producer_count) ? -EPIPE : 0;
}

/* With the lock. Return: 0; -EMSGSIZE; -EAGAIN; or why never. */
static int get_now(struct carom_queue *queue, struct place *place)
{
	struct queue_state *state = queue->state;
	uint32_t life = atomic_load_explicit(&state->life, memory_order_acquire);
	int r;

	if (__builtin_expect(life >= QUEUE_SHUT_NOW, 0))
		return life == QUEUE_ABORTED ? -ECANCELED : -ESHUTDOWN;
	if (!carom_queue_is_alive(queue))
		return -ECANCELED; /* Q4, Q8: this process is about to end */
	if (state->tasks && atomic_load(&state->returned) > 0)
		return carom_queue_take_returned(queue, queue->base.name, place->buffer,
						 place->capacity, &place->size);
	if (has_first(state))
		return take_first(queue, place);
	r = find_end(queue, life);
	if (has_first(state))
		return take_first(queue, place);
	return r == 0 || may_be_returned(queue) ? -EAGAIN : r;
}

static int get_once(struct place *place, struct queue_wait *wait)
{
	struct carom_queue *queue = wait->queue;
	int r = carom_queue_lock_get(queue, wait->deadline_ns);

	if (r < 0)
		return r;
	r = get_now(queue, place);
	if (r == -EAGAIN && wait->deadline_ns != CAROM_PASSED) {
		wait->expected = atomic_load(wait->watched);
		carom_queue_arm(wait, QUEUE_BELL_WAITED);
		r = get_now(queue, place);
	}
	carom_mutex_release(&queue->state->get_lock);
	return r;
}

static int get(struct carom_queue *queue, struct place *place, uint64_t deadline_ns)
{
	struct queue_state *state = queue->state;
	struct queue_wait wait = { .queue = queue,
				   .bell = &state->get_bell,
				   .watched = &state->tail,
				   .deadline_ns = deadline_ns,
				   .looks = carom_spin_count() };
	int r;

	do
		r = get_once(place, &wait);
	while (r == -EAGAIN && (r = carom_queue_sleep(&wait)) == 0);
	if (wait.has_slept)
		carom_queue_wait_end(&wait, !carom_queue_is_empty(queue));
	if (r == 0)
		carom_queue_ring(&state->put_bell);
	return r;
}

int carom_queue_get(struct carom_queue *queue, void *buffer, size_t capacity, uint64_t deadline_ns,
		    size_t *ret_size)
{
	struct place place = { .buffer = buffer, .capacity = capacity };
	int r = need_role(queue, QUEUE_CONSUMER, deadline_ns);

	if (r == 0)
		r = get(queue, &place, deadline_ns);
	if (ret_size && (r == 0 || r == -EMSGSIZE))
		*ret_size = place.size;
	return in_time(r, deadline_ns);
}

/* Room for one of that size and a NUL. */
static int make_room(struct place *place, size_t size)
{
	void *buffer = realloc(place->buffer, size + 1);

	if (!buffer)
		return -ENOMEM;
	place->buffer = buffer;
	place->capacity = size;
	return 0;
}

/* While it waits for memory somebody else may get it, and another one be the first. */
static int get_fitting(struct carom_queue *queue, struct place *place, size_t size_max,
		       uint64_t deadline_ns)
{
	int r = make_room(place, size_max < FIRST_GUESS ? size_max : FIRST_GUESS);

	while (r == 0 && (r = get(queue, place, deadline_ns)) == -EMSGSIZE &&
	       place->size <= size_max)
		r = make_room(place, place->size);
	return r;
}

int carom_queue_get_bytes(struct carom_queue *queue, size_t size_max, uint64_t deadline_ns,
			  void **ret_data, size_t *ret_size)
{
	struct place place = { .buffer = NULL };
	int r = need_role(queue, QUEUE_CONSUMER, deadline_ns);

	if (r == 0)
		r = get_fitting(queue, &place, size_max ? size_max : SIZE_MAX - 1, deadline_ns);
	if (ret_size && (r == 0 || r == -EMSGSIZE))
		*ret_size = place.size;
	if (r < 0) {
		free(place.buffer);
		return in_time(r, deadline_ns);
	}
	((char *)place.buffer)[place.size] = '\0';
	*ret_data = place.buffer;
	return 0;
}

/* ---- waiting for several things ---- */

/* Q7, by who may not have used the queue yet; where somebody was stopped with the lock: yes */
static bool may_be_returned_to(struct carom_queue *queue)
{
	bool may;

	if (queue->state->tasks != CAROM_QUEUE_TASKS_REQUEUE ||
	    atomic_load(&queue->state->behind) == 0)
		return false;
	if (!carom_primitive_has_entered(&queue->base) ||
	    carom_queue_lock_get(queue, CAROM_PASSED) < 0)
		return true;
	may = may_be_returned(queue);
	carom_mutex_release(&queue->state->get_lock);
	return may;
}

bool carom_queue_is_gettable(struct carom_queue *queue)
{
	uint32_t life = atomic_load(&queue->state->life);
	int end;

	if (life >= QUEUE_SHUT_NOW || atomic_load(&queue->closed[QUEUE_CONSUMER]))
		return true;
	end = find_end(queue, life); /* Q6 */
	return !carom_queue_is_empty(queue) || (end < 0 && !may_be_returned_to(queue));
}

struct carom_waitable *carom_queue_waitable(struct carom_queue *queue)
{
	return &queue->waitable;
}

/* ---- how many ---- */

/* Between two looks at the same head the tail was as it was seen. */
uint32_t carom_queue_qsize(const struct carom_queue *queue)
{
	const struct queue_state *state = queue->state;
	uint64_t head = atomic_load(&state->head), again, tail;

	for (;;) {
		tail = atomic_load(&state->tail);
		again = atomic_load(&state->head);
		if (again == head)
			return distance(head, tail) + atomic_load(&state->returned);
		head = again;
	}
}

bool carom_queue_is_empty(const struct carom_queue *queue)
{
	return carom_queue_qsize(queue) == 0;
}

bool carom_queue_is_full(const struct carom_queue *queue)
{
	return carom_queue_qsize(queue) >= queue->state->size_max;
}

/* ---- the end ---- */

/* It only grows. */
static void raise_life(struct queue_state *state, uint32_t to)
{
	uint32_t seen = atomic_load(&state->life);

	while (seen < to && !atomic_compare_exchange_weak(&state->life, &seen, to))
		;
}

/* With the putters' lock. Q3, Q5 */
static void shut(struct carom_queue *queue, bool is_immediate)
{
	raise_life(queue->state, is_immediate ? QUEUE_SHUT_NOW : QUEUE_SHUT);
	CAROM_POINT("queue.shut");
	if (is_immediate) {
		carom_queue_lock_get(queue, CAROM_NO_DEADLINE); /* which empties it */
		carom_mutex_release(&queue->state->get_lock);
	}
}

/* Q8. Where all rows are somebody's nobody hears of its death, and it goes on without. */
void carom_queue_shutdown(struct carom_queue *queue, bool is_immediate)
{
	uint32_t row;
	bool has_row = carom_primitive_row(&queue->base, &row) == 0;

	carom_queue_lock_put(queue, CAROM_NO_DEADLINE);
	if (!has_row || carom_queue_is_alive(queue))
		shut(queue, is_immediate);
	carom_mutex_release(&queue->state->put_lock);
	CAROM_POINT("queue.shut_down");
	carom_queue_ring_all(queue);
}

void carom_queue_abort(struct carom_queue *queue)
{
	raise_life(queue->state, QUEUE_ABORTED);
	carom_queue_ring_all(queue);
}

/* ---- tasks ---- */

/* Enter the roll, so that deaths are told, and be let in. */
static int begin_task(struct carom_queue *queue)
{
	uint32_t row;
	int r;

	if (!queue->state->tasks)
		return -EINVAL;
	r = carom_primitive_row(&queue->base, &row);
	if (r < 0)
		return r == -EUSERS ? r : -ENOMEM;
	return 0;
}

/* Those who join; and if nothing more comes, those who wait for what might be returned (Q7). */
static void tell_of_last(struct carom_queue *queue)
{
	if (find_end(queue, atomic_load(&queue->state->life)) < 0)
		carom_queue_ring_all(queue);
	else
		carom_queue_ring(&queue->state->join_bell);
}

int carom_queue_task_done(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	bool is_last = false;
	int r = begin_task(queue);

	if (r < 0)
		return r;
	carom_queue_lock_get(queue, CAROM_NO_DEADLINE);
	if (atomic_load(&state->life) == QUEUE_ABORTED || !carom_queue_is_alive(queue))
		r = -ECANCELED;
	else
		r = carom_queue_finish(queue, queue->base.name) ? 0 : -EINVAL;
	is_last = r == 0 && carom_queue_unfinished_now(queue) == 0;
	carom_mutex_release(&state->get_lock);
	if (is_last)
		tell_of_last(queue);
	if (r == 0)
		carom_queue_ring(&state->put_bell); /* it may have given room back */
	return r;
}

static int join_now(const struct carom_queue *queue)
{
	if (atomic_load(&queue->state->life) == QUEUE_ABORTED)
		return -ECANCELED;
	return carom_queue_unfinished_now(queue) == 0 ? 0 : -EAGAIN;
}

static int join_once(struct queue_wait *wait)
{
	struct carom_queue *queue = wait->queue;
	int r = carom_queue_lock_get(queue, wait->deadline_ns);

	if (r < 0)
		return r;
	r = join_now(queue);
	if (r == -EAGAIN && wait->deadline_ns != CAROM_PASSED) {
		carom_queue_arm(wait, QUEUE_BELL_WAITED | QUEUE_BELL_ALL);
		r = join_now(queue);
	}
	carom_mutex_release(&queue->state->get_lock);
	return r;
}

int carom_queue_join(struct carom_queue *queue, uint64_t deadline_ns)
{
	struct queue_wait wait = { .queue = queue,
				   .bell = &queue->state->join_bell,
				   .deadline_ns = deadline_ns };
	int r = begin_task(queue);

	if (r < 0)
		return r;
	do
		r = join_once(&wait);
	while (r == -EAGAIN && (r = carom_queue_sleep(&wait)) == 0);
	if (wait.has_slept)
		carom_queue_wait_end(&wait, true);
	return in_time(r, deadline_ns);
}

uint32_t carom_queue_unfinished(struct carom_queue *queue)
{
	uint32_t count = 0;

	if (!queue->state->tasks)
		return 0;
	carom_queue_lock_get(queue, CAROM_NO_DEADLINE);
	count = carom_queue_unfinished_now(queue);
	carom_mutex_release(&queue->state->get_lock);
	return count;
}

/* ---- for people ---- */

char *carom_queue_describe(const struct carom_queue *queue, char *text, size_t size)
{
	static const char *const lives[] = { "", " shut down", " shut down", " aborted" };
	const struct queue_state *state = queue->state;

	snprintf(text, size, "<Queue size=%u max=%u producers=%u consumers=%u%s>",
		 carom_queue_qsize(queue), state->size_max, count_of(queue, QUEUE_PRODUCER),
		 count_of(queue, QUEUE_CONSUMER), lives[atomic_load(&state->life)]);
	return text;
}

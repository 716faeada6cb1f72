/*
 * Queue: its tasks
 *
 * In a queue with tasks what was got stays where it is until it is done, and its record says
 * who has it:
 *
 *	QUEUED -> the name of who got it -> DONE
 *	               |       ^
 *	               v       |
 *	            RETURNED --+	its holder died
 *
 *   T1  The states of the records between `oldest` and `head` are the truth, and each change is one
 *       store. `held`, `behind` and `returned` are sums: who gets the lock from a dead one
 *       counts anew (carom_queue_recount).
 *   T2  Of who gets the first message, the record says so before `head` goes on. A record at the
 *       head that says so was not got: its state is put back by who gets the lock next.
 *   T3  Chunks of which nothing is held leave the chain wherever they are in it, by one store of
 *       `next` or `oldest`. One that a held message goes through is held, so the way from its
 *       first chunk to its last is never cut.
 *
 * To find a task all records behind the head are looked at, in chunks of which something is
 * held: as many as one chunk has, usually.
 */
#include <errno.h>

#include "core/points.h"
#include "ipc/queue_private.h"

/* relaxed: under the getters' lock; atomics because some are read without it */
#define get(word)        atomic_load_explicit(word, memory_order_relaxed)
#define set(word, value) atomic_store_explicit(word, value, memory_order_relaxed)

/* ---- all records behind the head ---- */

/**
 * struct scan
 * @cursor: the record that was found
 * @next:   where to go on: the chunk, and 0 or where in it
 */
struct scan {
	const struct carom_queue *queue;
	struct queue_cursor head;
	struct queue_cursor cursor;
	struct queue_cursor next;
};

static struct queue_cursor head_of(const struct carom_queue *queue)
{
	return carom_queue_cursor(queue_end_of(get(&queue->state->head)).at);
}

static struct queue_cursor first_of(const struct carom_queue *queue, uint32_t chunk)
{
	return (struct queue_cursor){ .chunk = chunk, .at = get(&queue->chunks[chunk].first) };
}

static struct scan begin_scan(const struct carom_queue *queue)
{
	return (struct scan){ .queue = queue,
			      .head = head_of(queue),
			      .next = first_of(queue, queue->state->oldest) };
}

static struct queue_record *record_at(const struct scan *scan)
{
	struct queue_cursor cursor = scan->cursor;

	return carom_queue_record(scan->queue, &cursor);
}

/* Return: the next record; NULL: none. */
static struct queue_record *find_next(struct scan *scan)
{
	const struct carom_queue *queue = scan->queue;
	struct queue_record *record;
	uint64_t end;

	while (scan->next.at == 0 || scan->next.at >= QUEUE_CHUNK_SIZE) {
		if (scan->next.chunk == scan->head.chunk)
			return NULL;
		scan->next = first_of(queue, queue->chunks[scan->next.chunk].next);
	}
	if (scan->next.chunk == scan->head.chunk && scan->next.at >= scan->head.at)
		return NULL;
	scan->cursor = scan->next;
	record = record_at(scan);
	end = scan->next.at + carom_queue_record_size(record->size);
	scan->next.at = end < QUEUE_CHUNK_SIZE ? (uint32_t)end : QUEUE_CHUNK_SIZE;
	return record;
}

/* Return: the first one of that state; NULL: none. */
static struct queue_record *find(struct scan *scan, uint32_t state)
{
	struct queue_record *record;

	do
		record = find_next(scan);
	while (record && get(&record->state) != state);
	return record;
}

static bool is_held(uint32_t state)
{
	return state != QUEUE_RECORD_QUEUED && state != QUEUE_RECORD_DONE;
}

static struct queue_record *find_held(struct scan *scan)
{
	struct queue_record *record;

	do
		record = find_next(scan);
	while (record &&
	       (!is_held(get(&record->state)) || get(&record->state) == QUEUE_RECORD_RETURNED));
	return record;
}

/* ---- sums ---- */

/* One more, or one less, is held of the record at @cursor, in each chunk that it goes through. */
static void count(struct carom_queue *queue, struct queue_cursor cursor, int change)
{
	struct queue_state *state = queue->state;
	uint64_t left = carom_queue_record_size(carom_queue_record(queue, &cursor)->size);
	uint32_t room = QUEUE_CHUNK_SIZE - cursor.at, chunk = cursor.chunk;

	set(&state->behind, get(&state->behind) + (uint32_t)change);
	for (;;) {
		queue->chunks[chunk].held += (uint32_t)change;
		if (left <= room)
			return;
		left -= room;
		room = QUEUE_CHUNK_ROOM;
		chunk = queue->chunks[chunk].next;
	}
}

void carom_queue_hold(struct carom_queue *queue, struct queue_cursor cursor)
{
	count(queue, cursor, 1);
}

/* T3 */
void carom_queue_spare_behind(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint32_t head = head_of(queue).chunk, chunk = state->oldest, before = QUEUE_NO_CHUNK;

	while (chunk != head) {
		uint32_t next = queue->chunks[chunk].next;

		if (queue->chunks[chunk].held) {
			before = chunk;
		} else {
			if (before == QUEUE_NO_CHUNK)
				state->oldest = next;
			else
				queue->chunks[before].next = next;
			CAROM_POINT("queue.unlinked");
			carom_queue_spare(queue, chunk);
		}
		chunk = next;
	}
}

static void recount_chunks(struct carom_queue *queue)
{
	uint32_t head = head_of(queue).chunk, chunk = queue->state->oldest;

	for (; chunk != head; chunk = queue->chunks[chunk].next)
		queue->chunks[chunk].held = 0;
	queue->chunks[head].held = 0;
}

/* T2 */
static void mend_first(struct carom_queue *queue)
{
	struct queue_end head = queue_end_of(get(&queue->state->head));
	struct queue_cursor cursor = carom_queue_cursor(head.at);

	/* acquire: with what was written before it; pairs with carom_queue_append() */
	if (head.count !=
	    queue_end_of(atomic_load_explicit(&queue->state->tail, memory_order_acquire)).count)
		set(&carom_queue_record(queue, &cursor)->state, QUEUE_RECORD_QUEUED);
}

static void recount_tasks(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	struct queue_record *record;
	struct scan scan = begin_scan(queue);

	mend_first(queue);
	recount_chunks(queue);
	set(&state->behind, 0);
	set(&state->returned, 0);
	while ((record = find_next(&scan)))
		if (is_held(get(&record->state))) {
			count(queue, scan.cursor, 1);
			if (get(&record->state) == QUEUE_RECORD_RETURNED)
				set(&state->returned, get(&state->returned) + 1);
		}
}

void carom_queue_recount(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;

	if (state->tasks)
		recount_tasks(queue);
	else
		state->oldest = head_of(queue).chunk;
}

/* ---- changes ---- */

static void set_done(struct carom_queue *queue, const struct scan *scan)
{
	set(&record_at(scan)->state, QUEUE_RECORD_DONE);
	CAROM_POINT("queue.done");
	count(queue, scan->cursor, -1);
}

int carom_queue_take_returned(struct carom_queue *queue, uint32_t name, void *buffer,
			      size_t capacity, size_t *ret_size)
{
	struct queue_state *state = queue->state;
	struct scan scan = begin_scan(queue);
	struct queue_record *record = find(&scan, QUEUE_RECORD_RETURNED);
	struct queue_cursor cursor = scan.cursor;
	int r = carom_queue_read(queue, &cursor, buffer, capacity, ret_size);

	if (r < 0)
		return r;
	set(&record->state, name);
	CAROM_POINT("queue.taken_again");
	/* seq_cst: B1 of ipc/queue_wait.c */
	atomic_store(&state->returned, get(&state->returned) - 1);
	return 0;
}

bool carom_queue_finish(struct carom_queue *queue, uint32_t name)
{
	struct scan scan = begin_scan(queue);

	if (get(&queue->state->behind) == 0)
		return false;
	if (!find(&scan, name)) {
		scan = begin_scan(queue);
		if (!find_held(&scan))
			return false;
	}
	set_done(queue, &scan);
	carom_queue_spare_behind(queue);
	return true;
}

bool carom_queue_has_tasks(const struct carom_queue *queue, uint32_t name)
{
	struct scan scan = begin_scan(queue);

	return queue->state->tasks && find(&scan, name);
}

static void give_back(struct carom_queue *queue, struct queue_record *record)
{
	struct queue_state *state = queue->state;

	set(&record->state, QUEUE_RECORD_RETURNED);
	CAROM_POINT("queue.returned");
	atomic_store(&state->returned, get(&state->returned) + 1);
}

void carom_queue_bury_tasks(struct carom_queue *queue, uint32_t name)
{
	struct queue_state *state = queue->state;
	struct scan scan = begin_scan(queue);
	struct queue_record *record;

	if (!state->tasks || state->tasks == CAROM_QUEUE_TASKS_KEEP)
		return;
	while ((record = find(&scan, name)))
		if (state->tasks == CAROM_QUEUE_TASKS_DONE ||
		    atomic_load(&state->life) == QUEUE_SHUT_NOW)
			set_done(queue, &scan);
		else
			give_back(queue, record);
	carom_queue_spare_behind(queue);
}

static void discard_returned(struct carom_queue *queue)
{
	struct scan scan = begin_scan(queue);

	while (find(&scan, QUEUE_RECORD_RETURNED))
		set_done(queue, &scan);
	atomic_store(&queue->state->returned, 0);
}

void carom_queue_discard(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint32_t oldest = state->oldest;

	if (state->tasks)
		discard_returned(queue);
	atomic_store(&state->head, atomic_load(&state->tail));
	CAROM_POINT("queue.discarded");
	state->seen_tail = get(&state->head);
	if (state->tasks) {
		carom_queue_spare_behind(queue);
	} else {
		state->oldest = head_of(queue).chunk;
		carom_queue_spare_until(queue, oldest, state->oldest);
	}
}

uint32_t carom_queue_unfinished_now(const struct carom_queue *queue)
{
	const struct queue_state *state = queue->state;
	struct queue_end head = queue_end_of(get(&state->head));
	/* seq_cst: B2 of ipc/queue_wait.c */
	struct queue_end tail = queue_end_of(atomic_load(&state->tail));

	return tail.count - head.count + get(&state->behind);
}

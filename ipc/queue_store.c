/*
 * Queue: where its bytes are
 *
 *	spares            chunk_max numbers, a ring: those that were used, and are not
 *	chunks            chunk_max of them; memory for the first `reserved`
 *
 *	chunk   chunk   chunk             oldest    first of the chain
 *	+----+  +----+  +----+            head      first message that was not got
 *	|....|->|hh..|->|..t |            tail      behind the last one
 *	+----+  +----+  +----+
 *
 * Messages stand one behind the other, each behind its record, and go on in the next chunk
 * where one ends. So nothing is wasted, and what is put or got is copied in one or two pieces.
 *
 *   C1  A chunk is in the chain from `oldest` to the tail's, or spare, or fresh (from `fresh`
 *       on), or in the hand of who has one of the locks. Who dies leaves it there: `leaks` is
 *       set by who gets the lock next, and a putter who finds no chunk looks for those.
 *   C2  `tail` and `head` are 64 bits each, where and how many, changed by one store, at the
 *       end: before it, nothing has happened.
 *   C3  `next` of the tail's chunk means nothing before the tail has left it. Who puts writes it
 *       anew, whatever one has left who died before his store (C2).
 *   C4  Spare chunks are given back at one end by getters, and taken at the other one by
 *       putters, and each end is one counter. A chunk is in the ring before it is counted.
 *
 * Memory is taken when the first message needs it, some MiB at a time, and reported where
 * there is none: nobody is killed by a touch. It is not given back to the kernel before the
 * queue ends; the chunks that were used last are used next but for those that were never.
 */
#include <errno.h>
#include <string.h>

#include "core/points.h"
#include "ipc/queue_private.h"
#include "shm/memfd.h"

#define RESERVE_LEAST UINT32_C(16)
#define RESERVE_MOST  UINT32_C(1024)

/* relaxed: who has the lock is the only one who changes it */
#define own(word)            atomic_load_explicit(word, memory_order_relaxed)
#define set_own(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define publish(word, value) atomic_store_explicit(word, value, memory_order_release)
#define others(word)         atomic_load_explicit(word, memory_order_acquire)

/* ---- places ---- */

/* A chunk's end has the same number as the next one's beginning, where no record stands. */
struct queue_cursor carom_queue_cursor(uint32_t at)
{
	uint32_t units = QUEUE_CHUNK_SIZE / QUEUE_UNIT;

	return (struct queue_cursor){ .chunk = (at - 1) / units,
				      .at = ((at - 1) % units + 1) * QUEUE_UNIT };
}

uint32_t carom_queue_place(struct queue_cursor cursor)
{
	return cursor.chunk * (QUEUE_CHUNK_SIZE / QUEUE_UNIT) + cursor.at / QUEUE_UNIT;
}

static void go_on(const struct carom_queue *queue, struct queue_cursor *cursor)
{
	if (cursor->at == QUEUE_CHUNK_SIZE)
		*cursor = (struct queue_cursor){ .chunk = queue->chunks[cursor->chunk].next,
						 .at = QUEUE_CHUNK_BEGIN };
}

static void *place(const struct carom_queue *queue, struct queue_cursor cursor)
{
	return (char *)&queue->chunks[cursor.chunk] + cursor.at;
}

struct queue_record *carom_queue_record(const struct carom_queue *queue,
					struct queue_cursor *cursor)
{
	go_on(queue, cursor);
	return place(queue, *cursor);
}

static size_t piece(struct queue_cursor cursor, size_t size)
{
	size_t room = QUEUE_CHUNK_SIZE - cursor.at;

	return size < room ? size : room;
}

static void round_up(struct queue_cursor *cursor)
{
	cursor->at = (cursor->at + QUEUE_UNIT - 1) & ~(QUEUE_UNIT - 1);
}

static void copy_in(const struct carom_queue *queue, struct queue_cursor *cursor, const void *data,
		    size_t size)
{
	const char *from = data;

	while (size > 0) {
		size_t count;

		go_on(queue, cursor);
		count = piece(*cursor, size);
		memcpy(place(queue, *cursor), from, count);
		cursor->at += (uint32_t)count;
		from += count;
		size -= count;
	}
	round_up(cursor);
}

static void copy_out(const struct carom_queue *queue, struct queue_cursor *cursor, void *buffer,
		     size_t size)
{
	char *to = buffer;

	while (size > 0) {
		size_t count;

		go_on(queue, cursor);
		count = piece(*cursor, size);
		memcpy(to, place(queue, *cursor), count);
		cursor->at += (uint32_t)count;
		to += count;
		size -= count;
	}
	round_up(cursor);
}

/* ---- making ---- */

static uint64_t spares_size(uint32_t chunk_max)
{
	return carom_page_ceil(chunk_max * sizeof(uint32_t));
}

uint64_t carom_queue_extra_size(uint32_t chunk_max)
{
	return spares_size(chunk_max) + (uint64_t)chunk_max * QUEUE_CHUNK_SIZE;
}

/* One begins and one ends somewhere in the middle. */
uint32_t carom_queue_chunks_of(uint64_t bytes_max)
{
	return (uint32_t)((bytes_max + QUEUE_CHUNK_ROOM - 1) / QUEUE_CHUNK_ROOM) + 2;
}

void carom_queue_find_store(struct carom_queue *queue)
{
	char *extra = queue->base.extra;

	queue->spares = (_Atomic uint32_t *)extra;
	queue->chunks = (struct queue_chunk *)(extra + spares_size(queue->state->chunk_max));
}

/* Have memory for @count chunks. */
static int reserve(struct carom_queue *queue, uint32_t count)
{
	struct queue_state *state = queue->state;
	uint32_t reserved = own(&state->reserved);
	uint64_t begin = spares_size(state->chunk_max) + (uint64_t)reserved * QUEUE_CHUNK_SIZE;
	int r;

	if (count <= reserved)
		return 0;
	r = carom_primitive_reserve(&queue->base, begin,
				    (uint64_t)(count - reserved) * QUEUE_CHUNK_SIZE);
	if (r == 0)
		set_own(&state->reserved, count);
	return r;
}

int carom_queue_init_store(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint32_t at = QUEUE_CHUNK_BEGIN / QUEUE_UNIT;
	int r = carom_primitive_reserve(&queue->base, 0, spares_size(state->chunk_max));

	if (r == 0)
		r = reserve(queue,
			    state->chunk_max < RESERVE_LEAST ? state->chunk_max : RESERVE_LEAST);
	if (r < 0)
		return r;
	set_own(&state->fresh, 1);
	set_own(&state->head, queue_end_word((struct queue_end){ .at = at }));
	set_own(&state->tail, own(&state->head));
	state->seen_head = state->seen_tail = own(&state->head);
	return 0;
}

/* ---- chunks ---- */

void carom_queue_spare(struct carom_queue *queue, uint32_t chunk)
{
	struct queue_state *state = queue->state;
	uint64_t tail = own(&state->spare_tail);

	set_own(&queue->spares[tail % state->chunk_max], chunk);
	CAROM_POINT("queue.sparing");
	/* seq_cst: B1 of ipc/queue_wait.c. Also after the chunk's last reader; pairs with others() */
	atomic_store(&state->spare_tail, tail + 1);
}

void carom_queue_spare_until(struct carom_queue *queue, uint32_t first, uint32_t end)
{
	while (first != end) {
		uint32_t next = queue->chunks[first].next; /* it may be used again at once */

		carom_queue_spare(queue, first);
		first = next;
	}
}

/* C4 */
static uint32_t take_chunk(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint64_t head = own(&state->spare_head);
	uint32_t chunk, fresh = own(&state->fresh);

	if (head != others(&state->spare_tail)) {
		chunk = own(&queue->spares[head % state->chunk_max]);
		set_own(&state->spare_head, head + 1);
	} else {
		chunk = fresh;
		set_own(&state->fresh, fresh + 1);
	}
	CAROM_POINT("queue.chunk_taken");
	return chunk;
}

static uint64_t spare_count(const struct queue_state *state)
{
	return others(&state->spare_tail) - own(&state->spare_head);
}

/* Chunks beside the tail's for @record_size bytes. */
static uint64_t chunks_needed(const struct queue_state *state, uint64_t record_size)
{
	struct queue_cursor tail = carom_queue_cursor(queue_end_of(own(&state->tail)).at);
	uint64_t room = QUEUE_CHUNK_SIZE - tail.at;

	if (record_size <= room)
		return 0;
	return (record_size - room + QUEUE_CHUNK_ROOM - 1) / QUEUE_CHUNK_ROOM;
}

static void mark_used(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint32_t last = carom_queue_cursor(queue_end_of(own(&state->tail)).at).chunk;
	uint32_t fresh = own(&state->fresh), chunk = state->oldest;

	for (uint32_t i = 0; i < fresh; i++)
		queue->chunks[i].used = 0;
	for (; chunk != last; chunk = queue->chunks[chunk].next)
		queue->chunks[chunk].used = 1;
	queue->chunks[last].used = 1;
}

/* C1. With both locks: whatever is not in the chain is spare. */
static void find_lost_chunks(struct carom_queue *queue)
{
	struct queue_state *state = queue->state;
	uint32_t fresh = own(&state->fresh);

	mark_used(queue);
	publish(&state->spare_tail, own(&state->spare_head));
	CAROM_POINT("queue.finding");
	for (uint32_t i = 0; i < fresh; i++)
		if (!queue->chunks[i].used)
			carom_queue_spare(queue, i);
	CAROM_POINT("queue.found");
	set_own(&state->leaks, 0);
}

/* Nothing but more memory helps. Return: 0, -EAGAIN (there is no more to be had), -ENOMEM. */
static int grow(struct carom_queue *queue, uint64_t needed)
{
	struct queue_state *state = queue->state;
	uint64_t wanted = own(&state->fresh) + needed - spare_count(state);
	uint64_t reserved = own(&state->reserved), step = reserved;

	if (wanted > state->chunk_max)
		return -EAGAIN;
	if (step > RESERVE_MOST)
		step = RESERVE_MOST;
	if (step + reserved < wanted)
		step = wanted - reserved;
	if (step + reserved > state->chunk_max)
		step = state->chunk_max - reserved;
	return reserve(queue, (uint32_t)(reserved + step)) == 0 ? 0
								: reserve(queue, (uint32_t)wanted);
}

static bool has_chunks(const struct queue_state *state, uint64_t needed)
{
	return needed <= spare_count(state) + own(&state->reserved) - own(&state->fresh);
}

int carom_queue_make_room(struct carom_queue *queue, uint64_t record_size)
{
	struct queue_state *state = queue->state;
	uint64_t needed = chunks_needed(state, record_size);

	if (needed == 0 || has_chunks(state, needed))
		return 0;
	/* relaxed: who left one died before this process got one of the locks, or later */
	if (own(&state->leaks) && carom_queue_lock_get(queue, CAROM_PASSED) == 0) {
		find_lost_chunks(queue);
		carom_mutex_release(&state->get_lock);
		if (has_chunks(state, needed))
			return 0;
	}
	return grow(queue, needed);
}

/* ---- messages ---- */

static void add_chunks(struct carom_queue *queue, uint32_t last, uint64_t count)
{
	for (; count > 0; count--) {
		uint32_t chunk = take_chunk(queue);

		set_own(&queue->chunks[chunk].first, 0);
		queue->chunks[chunk].held = 0;
		queue->chunks[last].next = chunk; /* C3 */
		last = chunk;
	}
}

static void write_record(struct carom_queue *queue, struct queue_cursor *cursor, size_t size)
{
	struct queue_record *record = carom_queue_record(queue, cursor);
	_Atomic uint32_t *first = &queue->chunks[cursor->chunk].first;

	if (own(first) == 0)
		set_own(first, cursor->at);
	set_own(&record->state, QUEUE_RECORD_QUEUED);
	record->size = size;
	cursor->at += sizeof(*record);
}

void carom_queue_append(struct carom_queue *queue, const void *data, size_t size)
{
	struct queue_state *state = queue->state;
	struct queue_end tail = queue_end_of(own(&state->tail));
	struct queue_cursor cursor = carom_queue_cursor(tail.at);

	add_chunks(queue, cursor.chunk, chunks_needed(state, carom_queue_record_size(size)));
	write_record(queue, &cursor, size);
	copy_in(queue, &cursor, data, size);
	CAROM_POINT("queue.written");
	tail = (struct queue_end){ .at = carom_queue_place(cursor), .count = tail.count + 1 };
	/* C2. seq_cst: B1 of ipc/queue_wait.c */
	atomic_store(&state->tail, queue_end_word(tail));
	CAROM_POINT("queue.put");
}

int carom_queue_read(const struct carom_queue *queue, struct queue_cursor *cursor, void *buffer,
		     size_t capacity, size_t *ret_size)
{
	const struct queue_record *record = carom_queue_record(queue, cursor);
	size_t size = record->size;

	*ret_size = size;
	if (size > capacity)
		return -EMSGSIZE;
	cursor->at += sizeof(*record);
	copy_out(queue, cursor, buffer, size);
	return 0;
}

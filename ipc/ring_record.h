/*
 * Ring: records
 *
 * How a record stands in a ring's memory, how it is written and read, and the usual case of
 * both: there is room, or there is a record, as far as this end has looked, and nobody sleeps.
 * In a header, since a message takes not much longer than a few calls do. All else, and what
 * the numbers stand for, is in ipc/ring.c.
 */
#ifndef CAROM_IPC_RING_RECORD_H
#define CAROM_IPC_RING_RECORD_H

#include <errno.h>

#include "core/points.h"
#include "ipc/ring_private.h"
#include "shm/robust.h"

#define RING_WORD_SIZE sizeof(uint64_t)

/** carom_ring_publish_marked() - to an end that sleeps or polls: it is woken, or rung for */
void carom_ring_publish_marked(struct carom_ring *ring, enum carom_ring_end end);

static inline bool carom_ring_reached(uint64_t index, uint64_t wanted)
{
	return (int64_t)(index - wanted) >= 0;
}

/** carom_ring_footprint() - bytes that a record of @size takes: its word, itself, its padding */
static inline uint64_t carom_ring_footprint(uint64_t size)
{
	return RING_WORD_SIZE + ((size + RING_WORD_SIZE - 1) & ~(uint64_t)(RING_WORD_SIZE - 1));
}

static inline uint64_t carom_ring_size_max(const struct carom_ring *ring)
{
	return ring->capacity / 2 - RING_WORD_SIZE;
}

static inline uint64_t carom_ring_offset(const struct carom_ring *ring, uint64_t index)
{
	return index & (ring->capacity - 1);
}

static inline _Atomic uint64_t *carom_ring_word_at(const struct carom_ring *ring, uint64_t index)
{
	return (_Atomic uint64_t *)(void *)(ring->data + carom_ring_offset(ring, index));
}

/** carom_ring_skip() - what lies between @index and the end of the memory, if @bytes do not fit there; else 0 */
static inline uint64_t carom_ring_skip(const struct carom_ring *ring, uint64_t index,
				       uint64_t bytes)
{
	uint64_t left = ring->capacity - carom_ring_offset(ring, index);

	return bytes <= left ? 0 : left;
}

static inline bool carom_ring_seems_closed(const struct carom_ring *ring, enum carom_ring_end end)
{
	/* relaxed: no data is read on the strength of it; what is lost is lost either way */
	return atomic_load_explicit(&ring->shared->sides[end].closed, memory_order_relaxed);
}

/* ---- lines that come from another processor ---- */

/*
 * A locked instruction waits until what was stored before it has its lines, and lets nothing
 * behind it begin. So each message would wait for its own lines, one after the other, as long
 * as it takes to get one from another processor: several times as long as all the rest. They
 * are asked for some messages ahead.
 */
#define RING_AHEAD UINT64_C(512) /* more is more than is there, or known to be free */
#define RING_FETCH UINT64_C(64)

static inline void carom_ring_fetch_to_write(const unsigned char *line)
{
#if defined(__x86_64__)
	/* older processors take it for a no-op; the builtin would only ask for a copy */
	__asm__ volatile("prefetchw %0" : : "m"(*line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* Behind @index; or where the next record begins, if this one, of @bytes, is long. */
static inline uint64_t carom_ring_ahead(uint64_t index, uint64_t bytes)
{
	return index + (bytes < RING_AHEAD ? RING_AHEAD : bytes);
}

/** carom_ring_fetch_room() - what will be written soon, as far as it is known to be free */
static inline void carom_ring_fetch_room(const struct carom_ring *ring,
					 const struct carom_ring_view *view, uint64_t bytes)
{
	uint64_t index = carom_ring_ahead(view->mine, bytes);

	if (!carom_ring_reached(view->theirs + ring->capacity, index + 2 * RING_FETCH))
		return;
	carom_ring_fetch_to_write(ring->data + carom_ring_offset(ring, index));
	carom_ring_fetch_to_write(ring->data + carom_ring_offset(ring, index + RING_FETCH));
}

/** carom_ring_fetch_records() - what will be read soon, as far as it is known to be there */
static inline void carom_ring_fetch_records(const struct carom_ring *ring,
					    const struct carom_ring_view *view, uint64_t bytes)
{
	uint64_t index = carom_ring_ahead(view->mine, bytes);

	if (!carom_ring_reached(view->theirs, index + 2 * RING_FETCH))
		return;
	__builtin_prefetch(ring->data + carom_ring_offset(ring, index));
	__builtin_prefetch(ring->data + carom_ring_offset(ring, index + RING_FETCH));
}

/* ---- telling ---- */

/**
 * carom_ring_publish() - the other end is told of @end's index, and hears of it if it waits for it
 *
 * P1: publishes the record, or the room; pairs with S2 in look(). Compared, because who sleeps or
 * polls has left its mark there. Not looked at first: the line would come twice, to be read and
 * to be written.
 */
static inline __attribute__((always_inline)) void carom_ring_publish(struct carom_ring *ring,
								     enum carom_ring_end end)
{
	_Atomic uint64_t *word = &ring->shared->sides[end].index;
	struct carom_ring_view *view = &ring->views[end];
	uint64_t told = view->told, index = view->mine;

	CAROM_POINT("ring.telling");
	view->told = index;
	if (__builtin_expect(!atomic_compare_exchange_strong(word, &told, index), 0))
		carom_ring_publish_marked(ring, end);
	else
		CAROM_POINT("ring.published");
}

/** carom_ring_tell() - the other end sees what @end has done so far */
static inline __attribute__((always_inline)) void carom_ring_tell(struct carom_ring *ring,
								  enum carom_ring_end end)
{
	if (ring->views[end].told != ring->views[end].mine)
		carom_ring_publish(ring, end);
}

/** carom_ring_move() - @end's own index; I5 */
static inline void carom_ring_move(struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	/* release: who finds it, once this process is dead, finds what was written before */
	__atomic_store_n(&ring->views[end].mine, index, __ATOMIC_RELEASE);
	CAROM_POINT("ring.moved");
}

/* ---- the producer ---- */

/** carom_ring_hold() - room that was waited for: @skip bytes are left out. Return: where it is */
static inline void *carom_ring_hold(struct carom_ring *ring, uint64_t skip, size_t size)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_PRODUCER];

	view->skip = skip;
	view->room = size;
	view->held = true;
	CAROM_POINT("ring.reserved");
	return ring->data + carom_ring_offset(ring, view->mine + skip) + RING_WORD_SIZE;
}

/** carom_ring_reserve_known() - room that is known to be there. NULL: ask carom_ring_reserve() */
static inline __attribute__((always_inline)) void *carom_ring_reserve_known(struct carom_ring *ring,
									    size_t size)
{
	const struct carom_ring_view *view = &ring->views[CAROM_RING_PRODUCER];
	uint64_t bytes = carom_ring_footprint(size);

	if (size > carom_ring_size_max(ring) || view->broken ||
	    !carom_ring_reached(view->theirs, view->mine + bytes - ring->capacity) ||
	    carom_ring_skip(ring, view->mine, bytes) != 0 ||
	    carom_ring_seems_closed(ring, CAROM_RING_PRODUCER) ||
	    carom_ring_seems_closed(ring, CAROM_RING_CONSUMER))
		return NULL;
	return carom_ring_hold(ring, 0, size);
}

/* I3: the words before the record and in place of what it skips; behind head, so unseen yet. */
static inline void carom_ring_write_words(struct carom_ring *ring,
					  const struct carom_ring_view *view, size_t size,
					  uint32_t kind)
{
	/* relaxed: P1 in carom_ring_publish() orders them */
	if (view->skip != 0)
		atomic_store_explicit(carom_ring_word_at(ring, view->mine),
				      carom_ring_word(CAROM_RING_WRAP, 0), memory_order_relaxed);
	atomic_store_explicit(carom_ring_word_at(ring, view->mine + view->skip),
			      carom_ring_word(kind, (uint32_t)size), memory_order_relaxed);
}

/** carom_ring_commit_quietly() - as carom_ring_commit(); seen after carom_ring_tell(). 0, -EINVAL */
static inline int carom_ring_commit_quietly(struct carom_ring *ring, size_t size, uint32_t kind)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_PRODUCER];
	uint64_t bytes = carom_ring_footprint(size);

	if (!view->held || size > view->room)
		return -EINVAL;
	carom_ring_write_words(ring, view, size, kind);
	view->held = false;
	carom_ring_fetch_room(ring, view, bytes);
	CAROM_POINT("ring.written");
	carom_ring_move(ring, CAROM_RING_PRODUCER, view->mine + view->skip + bytes);
	return 0;
}

/* ---- the consumer ---- */

static inline bool carom_ring_is_kind(const struct carom_ring *ring, uint32_t kind)
{
	return kind == CAROM_RING_RECORD ||
	       (ring->is_pipe && (kind == CAROM_RING_FIRST || kind == CAROM_RING_NEXT ||
				  kind == CAROM_RING_LAST || kind == CAROM_RING_TORN));
}

/** carom_ring_load_word() - the word at @index, which is to be loaded once */
static inline uint64_t carom_ring_load_word(const struct carom_ring *ring, uint64_t index)
{
	/* relaxed: S2 in look() has ordered all that stands below `theirs` */
	return atomic_load_explicit(carom_ring_word_at(ring, index), memory_order_relaxed);
}

/**
 * carom_ring_take() - a record, into the view
 * @word: what stands @skip bytes behind `mine`; checked against the view alone
 *
 * Return: false, with nothing changed: that is no record of which all is there.
 */
static inline bool carom_ring_take(const struct carom_ring *ring, struct carom_ring_view *view,
				   uint64_t skip, uint64_t word)
{
	uint32_t size = (uint32_t)word, kind = (uint32_t)(word >> 32);
	uint64_t bytes = carom_ring_footprint(size), index = view->mine;

	if (!carom_ring_is_kind(ring, kind) || size > carom_ring_size_max(ring) ||
	    bytes > view->theirs - index - skip || carom_ring_skip(ring, index + skip, bytes) != 0)
		return false;
	view->skip = skip;
	view->room = size;
	view->kind = kind;
	view->held = true;
	return true;
}

/** carom_ring_at_hand() - the record that was taken */
static inline const void *carom_ring_at_hand(const struct carom_ring *ring, size_t *ret_size)
{
	const struct carom_ring_view *view = &ring->views[CAROM_RING_CONSUMER];

	CAROM_POINT("ring.received");
	*ret_size = view->room;
	return ring->data + carom_ring_offset(ring, view->mine + view->skip) + RING_WORD_SIZE;
}

/** carom_ring_receive_known() - a record that is known to be there. NULL: ask carom_ring_receive() */
static inline __attribute__((always_inline)) const void *carom_ring_receive_known(
	struct carom_ring *ring, size_t *ret_size)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_CONSUMER];

	if (view->broken || carom_ring_seems_closed(ring, CAROM_RING_CONSUMER))
		return NULL;
	if (!view->held &&
	    (!carom_ring_reached(view->theirs, view->mine + RING_WORD_SIZE) ||
	     !carom_ring_take(ring, view, 0, carom_ring_load_word(ring, view->mine))))
		return NULL;
	return carom_ring_at_hand(ring, ret_size);
}

/* I5: a consumer that has more at hand, and is not far ahead, tells of several at once. */
static inline bool carom_ring_may_tell_late(const struct carom_ring *ring,
					    const struct carom_ring_view *view)
{
	return ring->is_pipe && view->mine != view->theirs &&
	       view->mine - view->told < ring->capacity / 4;
}

/** carom_ring_let_go() - carom_ring_release() */
static inline __attribute__((always_inline)) int carom_ring_let_go(struct carom_ring *ring)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_CONSUMER];
	uint64_t bytes = carom_ring_footprint(view->room);

	if (!view->held)
		return -EINVAL;
	view->held = false;
	carom_ring_fetch_records(ring, view, bytes);
	carom_ring_move(ring, CAROM_RING_CONSUMER, view->mine + view->skip + bytes);
	if (!carom_ring_may_tell_late(ring, view))
		carom_ring_publish(ring, CAROM_RING_CONSUMER);
	return 0;
}

#endif

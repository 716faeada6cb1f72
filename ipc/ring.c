/*
 * Ring
 *
 * Two indices that only grow, in bytes: what the producer has committed (head) and
 * what the consumer has released (tail). The bytes between them are records. Each
 * begins with one 64-bit word (kind and length) and is as a whole contiguous and
 * aligned to 8: where it would not fit before the end of the memory, a word of
 * kind WRAP says "continue at the start". No record is longer than half the ring,
 * so that it fits an empty one wherever that stands.
 *
 *   I1  A side decides by its private `view`: its own index, which it never reads
 *       back, and the other's, checked when it was loaded. The other side's words
 *       are loaded once, into a local; only the local is checked and used.
 *   I2  0 <= head - tail <= capacity, in every view. The other's index moves within
 *       that, in its one direction and by multiples of 8, or the view is broken for
 *       good.
 *   I3  A record is whole before head passes it. Nothing at or above head is read,
 *       nothing between tail and head is written: a producer that dies before its
 *       commit has done nothing.
 *   I4  `asleep` is a hint to save a system call, never the truth. Whoever takes over
 *       or closes an end wakes both sides, whatever it says, since a process may
 *       have died between clearing it and the wake.
 *
 * Sleeping without a lost wake-up. One side publishes its index and then looks
 * whether the other sleeps; the other says that it sleeps and then looks at the
 * index. All four accesses are sequentially consistent, so in the one order of
 * all of them either the sleeper's look comes after the store, or the publisher's
 * look comes after "I sleep":
 *
 *	P1 index = new                  S1 wanted = w; asleep = 1
 *	P2 asleep?                      S2 index >= w?
 *
 *	S1 S2 P1 P2    P2 sees 1: wakes. The sleeper is in FUTEX_WAIT, or gets there
 *	               and finds `asleep` 0: P2's exchange came before.
 *	P1 S1 S2 P2    S2 sees the index: does not sleep. P2 may wake for nothing.
 *	P1 P2 S1 S2    P2 sees 0: no call. S2 sees the index.
 *	S1 P1 S2 P2    both see each other.
 *
 * `wanted` keeps the producer asleep until its record fits, instead of waking it at
 * each release. It is written before S1 and read after P2 has seen it, so P2 reads
 * the one that belongs to that S1 or a later one. Later: then that later S1 has been
 * or will be followed by its own S2, which comes after P1 if P2 did not see it.
 * closed is published like an index.
 */
#include "ipc/ring.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/points.h"
#include "ipc/ring_layout.h"
#include "shm/futex.h"
#include "shm/segment.h"

#define WORD_SIZE    sizeof(uint64_t)
#define SIZE_DEFAULT CAROM_KIB(64)

/**
 * struct view - what one end knows; private memory, a line of its own
 * @mine:   this end's index
 * @theirs: the other's, as it was when last looked at
 * @skip:   bytes up to the memory's end that the record at hand leaves out, or 0
 * @room:   producer: bytes reserved; consumer: length of the record received
 * @held:   something is reserved or received
 * @broken: the other end wrote nonsense
 */
struct view {
	alignas(CAROM_RING_LINE) uint64_t mine;
	uint64_t theirs;
	uint64_t skip;
	uint64_t room;
	bool held;
	bool broken;
};

/**
 * struct carom_ring - a handle
 * @shared:   checked by nobody but attach(); see I1
 * @data:     @capacity bytes
 * @capacity: a power of two; the private copy, which alone is used
 * @views:    by enum carom_ring_end
 */
struct carom_ring {
	struct carom_segment *segment;
	struct carom_ring_shared *shared;
	unsigned char *data;
	uint64_t capacity;
	struct view views[2];
};

static enum carom_ring_end other(enum carom_ring_end end)
{
	return end == CAROM_RING_PRODUCER ? CAROM_RING_CONSUMER : CAROM_RING_PRODUCER;
}

static bool reached(uint64_t index, uint64_t wanted)
{
	return (int64_t)(index - wanted) >= 0;
}

/* Bytes that a record of @size takes: its word, itself, its padding. */
static uint64_t footprint(uint64_t size)
{
	return WORD_SIZE + ((size + WORD_SIZE - 1) & ~(uint64_t)(WORD_SIZE - 1));
}

static uint64_t record_max(uint64_t capacity)
{
	return capacity / 2 - WORD_SIZE;
}

static uint64_t offset_of(const struct carom_ring *ring, uint64_t index)
{
	return index & (ring->capacity - 1);
}

static _Atomic uint64_t *word_at(const struct carom_ring *ring, uint64_t index)
{
	return (_Atomic uint64_t *)(void *)(ring->data + offset_of(ring, index));
}

/* --- sleeping and waking --- */

/* I4: also when `asleep` says that there is nobody. */
static void wake_always(struct carom_ring_side *side)
{
	atomic_store(&side->asleep, 0);
	CAROM_POINT("ring.waking");
	carom_futex_wake(&side->asleep, INT_MAX);
}

/* @end's index becomes @index, and the other end hears of it if it waits for that much. */
static void publish(struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	struct carom_ring_side *sleeper = &ring->shared->sides[other(end)];

	ring->views[end].mine = index;
	/* P1: publishes the record, or the room; pairs with S2 in look() */
	atomic_store(&ring->shared->sides[end].index, index);
	CAROM_POINT("ring.published");
	/* P2: pairs with S1 in announce_sleep() */
	if (atomic_load(&sleeper->asleep) == 0)
		return;
	/* relaxed: P2 has seen S1, which stands behind the store */
	if (reached(index, atomic_load_explicit(&sleeper->wanted, memory_order_relaxed)))
		wake_always(sleeper);
}

static void announce_sleep(struct carom_ring_side *side, uint64_t wanted)
{
	/* relaxed: S1 orders it */
	atomic_store_explicit(&side->wanted, wanted, memory_order_relaxed);
	/* S1: pairs with P2 in publish() and, for `closed`, in carom_ring_close() */
	atomic_store(&side->asleep, 1);
	CAROM_POINT("ring.asleep");
}

/* I2: may the other end's index, @theirs so far, have become @index? */
static bool is_sane(const struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	const struct view *view = &ring->views[end];

	if (index % WORD_SIZE != 0)
		return false;
	if (end == CAROM_RING_PRODUCER)
		return view->mine - index <= view->mine - view->theirs;
	return index - view->mine <= ring->capacity &&
	       index - view->mine >= view->theirs - view->mine;
}

/* Has the other end's index reached @wanted? 0, -EAGAIN, -EPIPE or -EBADMSG. */
static int look(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted)
{
	struct carom_ring_side *sides = ring->shared->sides;
	struct view *view = &ring->views[end];
	/* before the index: what was committed before the close is then seen as well */
	bool is_closed = atomic_load(&sides[other(end)].closed) || atomic_load(&sides[end].closed);
	uint64_t index;

	CAROM_POINT("ring.looking");
	/* S2: pairs with P1 in publish() */
	index = atomic_load(&sides[other(end)].index);
	CAROM_POINT("ring.looked");
	if (!is_sane(ring, end, index)) {
		view->broken = true;
		return -EBADMSG;
	}
	view->theirs = index;
	if (reached(index, wanted))
		return 0;
	return is_closed ? -EPIPE : -EAGAIN;
}

/* As look(), but sleeps instead of -EAGAIN. */
static int sleep_until(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted,
		       uint64_t deadline_ns)
{
	struct carom_ring_side *side = &ring->shared->sides[end];
	int r;

	do {
		announce_sleep(side, wanted);
		r = look(ring, end, wanted);
		if (r != -EAGAIN)
			break;
		r = carom_futex_wait(&side->asleep, 1, deadline_ns);
	} while (r != -ETIMEDOUT);
	/* relaxed: one wake-up for nothing, at worst */
	atomic_store_explicit(&side->asleep, 0, memory_order_relaxed);
	return r;
}

/* Until the other end's index has reached @wanted: 0, or why not. */
static int wait_for(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted,
		    uint64_t deadline_ns)
{
	int r;

	if (reached(ring->views[end].theirs, wanted))
		return 0;
	r = look(ring, end, wanted);
	if (r == -EAGAIN && deadline_ns != CAROM_PASSED)
		r = sleep_until(ring, end, wanted, deadline_ns);
	return r;
}

/* What both ends ask before anything else. */
static int check_usable(const struct carom_ring *ring, enum carom_ring_end end)
{
	if (ring->views[end].broken)
		return -EBADMSG;
	/* relaxed: no data is read on the strength of it */
	if (atomic_load_explicit(&ring->shared->sides[end].closed, memory_order_relaxed))
		return -EPIPE;
	return 0;
}

/* --- making and attaching --- */

static struct carom_ring *new_handle(void)
{
	struct carom_ring *ring = aligned_alloc(alignof(struct carom_ring), sizeof(*ring));

	if (ring)
		memset(ring, 0, sizeof(*ring));
	return ring;
}

/*
 * Each end of this handle begins where the end's former holder stopped, and as if
 * it had not yet looked at the other: full for the producer, empty for the consumer.
 */
static int begin_views(struct carom_ring *ring)
{
	uint64_t head = atomic_load(&ring->shared->sides[CAROM_RING_PRODUCER].index);
	uint64_t tail = atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].index);

	if (head % WORD_SIZE != 0 || tail % WORD_SIZE != 0)
		return -EBADMSG;
	ring->views[CAROM_RING_PRODUCER].mine = head;
	ring->views[CAROM_RING_PRODUCER].theirs = head - ring->capacity;
	ring->views[CAROM_RING_CONSUMER].mine = tail;
	ring->views[CAROM_RING_CONSUMER].theirs = tail;
	return 0;
}

static bool is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static int attach(struct carom_ring *ring)
{
	uint64_t size = carom_segment_size(ring->segment);
	uint64_t capacity;

	if (size < CAROM_RING_DATA_OFFSET)
		return -EBADMSG;
	ring->shared = carom_segment_data(ring->segment);
	ring->data = (unsigned char *)ring->shared + CAROM_RING_DATA_OFFSET;
	capacity = atomic_load(&ring->shared->capacity);
	if (atomic_load(&ring->shared->magic) != CAROM_RING_MAGIC || !is_power_of_two(capacity) ||
	    capacity < CAROM_RING_SIZE_MIN || capacity > CAROM_RING_SIZE_MAX ||
	    capacity > size - CAROM_RING_DATA_OFFSET)
		return -EBADMSG;
	ring->capacity = capacity;
	return begin_views(ring);
}

/* The capacity for a wish of @size; 0 if there is none. */
static uint64_t capacity_for(uint64_t size)
{
	uint64_t capacity = CAROM_RING_SIZE_MIN;

	if (size == 0)
		return SIZE_DEFAULT;
	if (size < CAROM_RING_SIZE_MIN || size > CAROM_RING_SIZE_MAX)
		return 0;
	while (capacity < size)
		capacity *= 2;
	return capacity;
}

static int make_segment(const struct carom_ring_options *options, uint64_t capacity,
			struct carom_segment **ret_segment)
{
	struct carom_ring_shared *shared;
	int r = carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.name = options->name ? options->name : "carom-ring",
				       .size = CAROM_RING_DATA_OFFSET + capacity,
				       .populate_size = options->populate_size),
		ret_segment);

	if (r < 0)
		return r;
	shared = carom_segment_data(*ret_segment);
	atomic_store(&shared->capacity, capacity);
	atomic_store(&shared->magic, CAROM_RING_MAGIC);
	return 0;
}

int carom_ring_new(const struct carom_ring_options *options, struct carom_ring **ret_ring)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
	struct carom_ring_options o;
	uint64_t capacity;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	capacity = capacity_for(o.size);
	if (capacity == 0)
		return -EINVAL;
	ring = new_handle();
	if (!ring)
		return -ENOMEM;
	r = make_segment(&o, capacity, &ring->segment);
	if (r < 0)
		return r;
	r = attach(ring);
	if (r < 0)
		return r;
	*ret_ring = carom_take_ptr(ring);
	return 0;
}

int carom_ring_attach_dup(int fd, struct carom_ring **ret_ring)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_handle();
	int r;

	if (!ring)
		return -ENOMEM;
	r = carom_segment_attach_dup(fd, 0, &ring->segment);
	if (r < 0)
		return r;
	r = attach(ring);
	if (r < 0)
		return r;
	wake_always(&ring->shared->sides[CAROM_RING_PRODUCER]);
	wake_always(&ring->shared->sides[CAROM_RING_CONSUMER]);
	*ret_ring = carom_take_ptr(ring);
	return 0;
}

struct carom_ring *carom_ring_free(struct carom_ring *ring)
{
	if (!ring)
		return NULL;
	carom_segment_free(ring->segment);
	free(ring);
	return NULL;
}

void carom_ring_freep(struct carom_ring **ring)
{
	*ring = carom_ring_free(*ring);
}

int carom_ring_fd(const struct carom_ring *ring)
{
	return carom_segment_fd(ring->segment);
}

size_t carom_ring_record_max(const struct carom_ring *ring)
{
	return record_max(ring->capacity);
}

void carom_ring_close(struct carom_ring *ring, enum carom_ring_end end)
{
	assert(end == CAROM_RING_PRODUCER || end == CAROM_RING_CONSUMER);
	/* P1, P2 for `closed`: pairs with S1 in announce_sleep(), and with look() behind it */
	atomic_store(&ring->shared->sides[end].closed, 1);
	CAROM_POINT("ring.closed");
	wake_always(&ring->shared->sides[CAROM_RING_PRODUCER]);
	wake_always(&ring->shared->sides[CAROM_RING_CONSUMER]);
}

/* --- the producer --- */

/* What lies between @index and the end of the memory, if @bytes do not fit there; else 0. */
static uint64_t skip_before(const struct carom_ring *ring, uint64_t index, uint64_t bytes)
{
	uint64_t left = ring->capacity - offset_of(ring, index);

	return bytes <= left ? 0 : left;
}

int carom_ring_reserve(struct carom_ring *ring, size_t size, uint64_t deadline_ns, void **ret_data)
{
	struct view *view = &ring->views[CAROM_RING_PRODUCER];
	uint64_t skip;
	int r;

	view->held = false;
	if (size > record_max(ring->capacity))
		return -EMSGSIZE;
	r = check_usable(ring, CAROM_RING_PRODUCER);
	if (r < 0)
		return r;
	/* relaxed: a record committed to a consumer that has just closed is lost either way */
	if (atomic_load_explicit(&ring->shared->sides[CAROM_RING_CONSUMER].closed,
				 memory_order_relaxed))
		return -EPIPE;

	skip = skip_before(ring, view->mine, footprint(size));
	r = wait_for(ring, CAROM_RING_PRODUCER,
		     view->mine + skip + footprint(size) - ring->capacity, deadline_ns);
	if (r < 0)
		return r;
	view->skip = skip;
	view->room = size;
	view->held = true;
	CAROM_POINT("ring.reserved");
	*ret_data = ring->data + offset_of(ring, view->mine + skip) + WORD_SIZE;
	return 0;
}

/* I3: the words before the record and in place of what it skips; behind head, so unseen yet. */
static void write_words(struct carom_ring *ring, const struct view *view, size_t size)
{
	/* relaxed: P1 in publish() orders them */
	if (view->skip != 0)
		atomic_store_explicit(word_at(ring, view->mine),
				      carom_ring_word(CAROM_RING_WRAP, 0), memory_order_relaxed);
	atomic_store_explicit(word_at(ring, view->mine + view->skip),
			      carom_ring_word(CAROM_RING_RECORD, (uint32_t)size),
			      memory_order_relaxed);
}

int carom_ring_commit(struct carom_ring *ring, size_t size)
{
	struct view *view = &ring->views[CAROM_RING_PRODUCER];

	if (!view->held || size > view->room)
		return -EINVAL;
	write_words(ring, view, size);
	view->held = false;
	CAROM_POINT("ring.written");
	publish(ring, CAROM_RING_PRODUCER, view->mine + view->skip + footprint(size));
	return 0;
}

int carom_ring_push(struct carom_ring *ring, const void *data, size_t size, uint64_t deadline_ns)
{
	void *room;
	int r = carom_ring_reserve(ring, size, deadline_ns, &room);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(room, data, size);
	return carom_ring_commit(ring, size);
}

/* --- the consumer --- */

static uint64_t load_word(const struct carom_ring *ring, uint64_t index)
{
	/* relaxed: S2 in look() has ordered all that stands below `theirs` */
	return atomic_load_explicit(word_at(ring, index), memory_order_relaxed);
}

/*
 * Takes the record at `mine`, of which there are at least 8 bytes, into the view.
 * Each word is loaded once and checked against the view alone.
 */
static int take_record(const struct carom_ring *ring, struct view *view)
{
	uint64_t available = view->theirs - view->mine;
	uint64_t word = load_word(ring, view->mine);
	uint64_t skip = 0, size;

	if (word == carom_ring_word(CAROM_RING_WRAP, 0)) {
		skip = ring->capacity - offset_of(ring, view->mine);
		if (skip >= available)
			return -EBADMSG;
		word = load_word(ring, view->mine + skip);
	}
	size = (uint32_t)word;
	if (word >> 32 != CAROM_RING_RECORD || size > record_max(ring->capacity) ||
	    footprint(size) > available - skip ||
	    skip_before(ring, view->mine + skip, footprint(size)) != 0)
		return -EBADMSG;
	view->skip = skip;
	view->room = size;
	view->held = true;
	return 0;
}

static int receive(struct carom_ring *ring, uint64_t deadline_ns)
{
	struct view *view = &ring->views[CAROM_RING_CONSUMER];
	int r = check_usable(ring, CAROM_RING_CONSUMER);

	if (r < 0 || view->held)
		return r;
	r = wait_for(ring, CAROM_RING_CONSUMER, view->mine + WORD_SIZE, deadline_ns);
	if (r < 0)
		return r;
	r = take_record(ring, view);
	if (r < 0)
		view->broken = true;
	return r;
}

int carom_ring_receive(struct carom_ring *ring, uint64_t deadline_ns, const void **ret_data,
		       size_t *ret_size)
{
	const struct view *view = &ring->views[CAROM_RING_CONSUMER];
	int r = receive(ring, deadline_ns);

	if (r < 0)
		return r;
	CAROM_POINT("ring.received");
	*ret_data = ring->data + offset_of(ring, view->mine + view->skip) + WORD_SIZE;
	*ret_size = view->room;
	return 0;
}

int carom_ring_release(struct carom_ring *ring)
{
	struct view *view = &ring->views[CAROM_RING_CONSUMER];

	if (!view->held)
		return -EINVAL;
	view->held = false;
	publish(ring, CAROM_RING_CONSUMER, view->mine + view->skip + footprint(view->room));
	return 0;
}

int carom_ring_pop(struct carom_ring *ring, void *buffer, size_t capacity, uint64_t deadline_ns,
		   size_t *ret_size)
{
	const void *data;
	size_t size;
	int r = carom_ring_receive(ring, deadline_ns, &data, &size);

	if (r < 0)
		return r;
	*ret_size = size;
	if (size > capacity)
		return -EMSGSIZE;
	if (size > 0)
		memcpy(buffer, data, size);
	return carom_ring_release(ring);
}

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
 *       back but for the marks, and the other's, checked when it was loaded. The other side's words
 *       are loaded once, into a local; only the local is checked and used.
 *   I2  0 <= head - tail <= capacity, in every view. The other's index moves within
 *       that, in its one direction and by multiples of 8, or the view is broken for
 *       good.
 *   I3  A record is whole before head passes it. Nothing at or above head is read,
 *       nothing between tail and head is written: a producer that dies before its
 *       commit has done nothing.
 *   I4  Whoever takes over or closes an end wakes both sides, whatever it looks like, since a
 *       process may have died before it did. Of a pipe's ring there may be nobody who takes
 *       over, see D1.
 *
 * Sleeping without a lost wake-up. A side that is to sleep says so in its `word`, and leaves a
 * mark in the other one's index; that one publishes by a comparison with the index as it has told
 * it before, which fails where the mark is. So who publishes to one that is awake looks at
 * nothing else, and who does to one that may sleep knows it before:
 *
 *	P1 index = new, if it has no mark	S0 wanted = w; word |= SLEEPS
 *	   it has:				S1 index |= AWAITED
 *	P2 word |= own id			S2 index >= w?
 *	P3 index = new, without the mark	S3 sleeps if the word is what it was in S0
 *	P4 word = 0; was SLEEPS in it?
 *	P5 then a wake-up
 *
 * All of these are sequentially consistent.
 *
 *	P1 S1          S2 sees the index: does not sleep. The mark is left, and costs one P2 to P4.
 *	S1 P1 ... S3   P1 has failed. P2, or P4, has changed the word, or will: S3 does not sleep,
 *	               or it did before P2, and then P4 finds SLEEPS.
 *	S0 P3 P4 S1    P4 finds SLEEPS, and wakes for nothing. S2 sees the index.
 *	P2 S0 S1 P3 P4 P2' S3
 *	               the word has the id as in S0, of the next time that it tells; but not
 *	               SLEEPS, which went with P4.
 *
 *   I6  Whoever sleeps has left its mark, and SLEEPS, and both are there, or a wake-up is on its
 *       way: they go with P3 and P4 alone, of which P4 is by the same thread and wakes.
 *
 * `wanted` keeps the producer asleep until its record fits, instead of waking it at each release.
 * It is written before S0 and read after P3 has seen the mark, so P3 reads the one that belongs
 * to that S1 or to a later one. Later: then that S1 has its own S2, which sees P3. Where it is not
 * reached the mark is put back, and the word is as in S0. closed is published like an index.
 *
 * A pipe's ring (ring_private.h) has its views in memory that all processes of an end
 * share, under locks of the pipe's. So it can be told late:
 *
 *   I5  `told` is the index that the other end was told, `mine` may be ahead of it. Whoever
 *       looks for more, sleeping or not, tells first. A producer's `mine` passes a record
 *       only once that is whole, so whoever takes over from the dead tells all of `mine`.
 *
 * A producer whose consumer polls a descriptor has the same word, and rings before P3: see
 * ipc/duct_bell.c. Who polls leaves its mark, too, and for good (CAROM_RING_POLLED). So either P1
 * came before that, and who polls finds it, or it fails.
 *
 * Deaths. Who tells at one end of a pipe may die between P1 and the wake-up, while other processes
 * have its end open, and do nothing with it, for ever: then there is no end of file, and nobody
 * takes over. It is the kernel that wakes then:
 *
 *   D1  From before P2 to behind P5 the word is what the thread has pending on its list of locks
 *       (shm/robust.h). If it dies then, the kernel wakes one who sleeps there; and there is one
 *       at most: all others wait for the lock of their end. Where the word has the thread's id,
 *       the kernel changes it, too, to OWNER_DIED, SLEEPS as it was.
 *   D2  So a death between P2 and P4 finds the sleeper in S3, or has changed the word before. And
 *       SLEEPS is the bit that the kernel takes for somebody to wake.
 *
 *   D3  Who takes over wakes first, and tells then, by its own P1 to P5. The kernel gives away
 *       the lock of the dead before it looks at what was pending; and if by then the word names
 *       somebody else it does nothing. So that one must have woken already: it may die as well.
 *       And it leaves SLEEPS in the word until P4: for that the kernel wakes, if it marks the word
 *       of the one who died before only after this one has died, too.
 *
 *	S1 S3 P2 P3 X		X marks and wakes
 *	S1 P2 P3 X S3		X marks: S3 does not sleep
 *	S1 P2 S0' S1' P3 X S3'	likewise: with P2's id in the word, which was so in S0'
 *	S1 P2 P3 P4 X		the word is 0, and the kernel wakes for that, too. Before S3: P4 has
 *				changed it
 *	P2 X S0 S1 P2' P3' X' S3
 *				S0 has taken the mark out, or S3 does not sleep while it is there: X'
 *				has put it there again
 *	P1 X			nobody was asleep
 *
 * A sleeper that dies has left the queue before its end's lock is somebody else's. Nothing of
 * the word is trusted: the kernel looks at no more than that, and whoever writes nonsense there is
 * not missed, or wakes who looks again. Where the kernel knows no lists of locks a sleeper looks
 * again every 100 ms. A bare ring has no locks: there a death is told from outside, as the header
 * says, and nobody's id is in the word.
 *
 * So one who is told while it is awake costs one locked instruction, and no line but the index's.
 * tests/model/bell.pml has the pipe's protocol, with these deaths.
 */
#include "ipc/ring.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/options.h"
#include "core/points.h"
#include "ipc/ring_record.h"
#include "shm/futex.h"
#include "shm/segment.h"

#define SIZE_DEFAULT CAROM_KIB(64)

static enum carom_ring_end other(enum carom_ring_end end)
{
	return end == CAROM_RING_PRODUCER ? CAROM_RING_CONSUMER : CAROM_RING_PRODUCER;
}

/* --- sleeping and waking --- */

static void wake(struct carom_ring_side *side)
{
	carom_futex_wake(&side->teller.word, INT_MAX);
	CAROM_POINT("ring.woken");
}

/* I4: whatever it looks like. */
static void wake_always(struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_side *side = &ring->shared->sides[end];

	atomic_fetch_and(&side->teller.word, ~CAROM_RING_SLEEPS);
	CAROM_POINT("ring.waking");
	wake(side);
}

static void wake_both(struct carom_ring *ring)
{
	wake_always(ring, CAROM_RING_PRODUCER);
	wake_always(ring, CAROM_RING_CONSUMER);
}

/* What the kernel marks if this thread dies (D1), or what its process is known by. */
static uint32_t own_id(const struct carom_ring *ring)
{
	if (!ring->is_pipe)
		return 0;
	return ring->is_missed ? carom_robust_tid(carom_robust_self()) : (uint32_t)getpid();
}

/*
 * P2, T1. What somebody dead has left there goes in the same step: without either's id the word
 * would stand as a sleeper may still expect it (D2), and who dies then would be missed. An honest
 * end changes it twice meanwhile, as it goes to sleep and wakes; the kernel once more.
 */
static void sign(struct carom_ring_side *theirs, uint32_t id)
{
	uint32_t seen = atomic_load(&theirs->teller.word);
	bool is_signed = false;

	for (int i = 0; !is_signed && i < 8; i++)
		is_signed = atomic_compare_exchange_strong(&theirs->teller.word, &seen,
							   (seen & CAROM_RING_SLEEPS) | id);
	CAROM_POINT("duct.telling");
}

/* T2 */
static void ring_if_armed(struct carom_ring *ring, struct carom_ring_side *theirs)
{
	uint32_t seen = CAROM_RING_ARMED;

	if (!ring->bell || atomic_load(&theirs->armed) != CAROM_RING_ARMED)
		return;
	ring->bell(ring->userdata);
	CAROM_POINT("duct.rung");
	atomic_compare_exchange_strong(&theirs->armed, &seen, 0);
}

/* T5: there is a byte already, so it disarms first. */
static void ring_again(struct carom_ring *ring, struct carom_ring_side *theirs)
{
	uint32_t seen = CAROM_RING_AGAIN;

	if (!ring->bell || atomic_load(&theirs->armed) != CAROM_RING_AGAIN)
		return;
	if (atomic_compare_exchange_strong(&theirs->armed, &seen, 0))
		ring->bell(ring->userdata);
	CAROM_POINT("duct.rung.again");
}

/*
 * P3, T3. An honest end leaves each mark once meanwhile, so one of the attempts succeeds; one that
 * is not may miss what it was to be told.
 *
 * Return: with what marks it stood there
 */
static uint64_t tell_marked(struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_side *sides = ring->shared->sides;
	uint64_t seen = atomic_load(&sides[end].index), mine = ring->views[end].mine;
	bool is_told = false;

	for (int i = 0; !is_told && i < 4; i++) {
		ring_if_armed(ring, &sides[other(end)]);
		is_told = atomic_compare_exchange_strong(&sides[end].index, &seen,
							 mine | (seen & CAROM_RING_POLLED));
	}
	CAROM_POINT("duct.told");
	CAROM_POINT("ring.published");
	return seen & CAROM_RING_MARKS;
}

/* Is it asleep, and for more than this? Relaxed: the mark that was seen there stands behind it. */
static bool wants_more(const struct carom_ring_side *theirs, uint64_t marks, uint64_t index)
{
	return marks & CAROM_RING_AWAITED &&
	       !carom_ring_reached(index,
				   atomic_load_explicit(&theirs->wanted, memory_order_relaxed));
}

/* P4, P5, T4 */
static void let_go(struct carom_ring_side *theirs)
{
	uint32_t seen = atomic_exchange(&theirs->teller.word, 0);

	CAROM_POINT("ring.waking");
	if (seen & CAROM_RING_SLEEPS)
		wake(theirs);
}

static void publish_marked(struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_side *theirs = &ring->shared->sides[other(end)];
	uint32_t id = own_id(ring);
	uint64_t marks;

	sign(theirs, id);
	marks = tell_marked(ring, end);
	ring_again(ring, theirs);
	if (wants_more(theirs, marks, ring->views[end].mine)) {
		atomic_fetch_or(&ring->shared->sides[end].index, CAROM_RING_AWAITED);
		atomic_fetch_and(&theirs->teller.word, CAROM_RING_SLEEPS);
	} else {
		let_go(theirs);
	}
}

/* D1. Whoever is missed holds a lock, so its list is known. */
__attribute__((noinline)) void carom_ring_publish_marked(struct carom_ring *ring,
							 enum carom_ring_end end)
{
	const struct carom_robust *self = ring->is_missed ? carom_robust_self() : NULL;

	if (self)
		carom_robust_begin(self, &ring->shared->sides[other(end)].teller.link);
	publish_marked(ring, end);
	if (self)
		carom_robust_end(self);
}

/*
 * S0, S1. The mark of one who died goes first: else the next one who dies would leave the word as it
 * is in S0.
 *
 * Return: what the futex word is to be in S3
 */
static uint32_t announce_sleep(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted)
{
	struct carom_ring_side *side = &ring->shared->sides[end];
	uint32_t seen;

	/* relaxed: S1 orders it */
	atomic_store_explicit(&side->wanted, wanted, memory_order_relaxed);
	if (atomic_load(&side->teller.word) & FUTEX_OWNER_DIED)
		atomic_fetch_and(&side->teller.word, ~(uint32_t)FUTEX_OWNER_DIED);
	/* pairs, for `closed`, with carom_ring_close() */
	seen = atomic_fetch_or(&side->teller.word, CAROM_RING_SLEEPS);
	CAROM_POINT("ring.asleep");
	/* S1: pairs with P1 in carom_ring_publish() */
	atomic_fetch_or(&ring->shared->sides[other(end)].index, CAROM_RING_AWAITED);
	CAROM_POINT("ring.marked");
	return (seen & ~(uint32_t)FUTEX_OWNER_DIED) | CAROM_RING_SLEEPS;
}

/* The other end's index without what this end has left there. */
static uint64_t without_marks(const struct carom_ring *ring, enum carom_ring_end end,
			      uint64_t index)
{
	uint64_t polled =
		ring->is_pipe && end == CAROM_RING_CONSUMER ? CAROM_RING_POLLED : UINT64_C(0);

	return index & ~(CAROM_RING_AWAITED | polled);
}

/* I2: may the other end's index, @theirs so far, have become @index? */
static bool is_sane(const struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	const struct carom_ring_view *view = &ring->views[end];

	if (index % RING_WORD_SIZE != 0)
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
	struct carom_ring_view *view = &ring->views[end];
	/* before the index: what was committed before the close is then seen as well */
	bool is_closed = atomic_load(&sides[other(end)].closed) || atomic_load(&sides[end].closed);
	uint64_t index;

	CAROM_POINT("ring.looking");
	/* S2: pairs with P1 in carom_ring_publish() */
	index = without_marks(ring, end, atomic_load(&sides[other(end)].index));
	CAROM_POINT("ring.looked");
	if (!is_sane(ring, end, index)) {
		view->broken = true;
		return -EBADMSG;
	}
	view->theirs = index;
	if (carom_ring_reached(index, wanted))
		return 0;
	return is_closed ? -EPIPE : -EAGAIN;
}

/* S3. Where nobody is missed it looks again now and then. */
static int sleep_on(const struct carom_ring *ring, enum carom_ring_end end, uint32_t word,
		    uint64_t deadline_ns)
{
	const _Atomic uint32_t *futex = &ring->shared->sides[end].teller.word;

	CAROM_POINT("ring.sleeping");
	return ring->is_pipe && !ring->is_missed
		       ? carom_futex_wait_briefly(futex, word, deadline_ns)
		       : carom_futex_wait(futex, word, deadline_ns);
}

/*
 * As look(), but sleeps instead of -EAGAIN. It looks at the clock itself: the kernel compares the
 * word before the time, and one who changes it all the while could keep this here.
 */
static int sleep_until(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted,
		       uint64_t deadline_ns)
{
	_Atomic uint32_t *futex = &ring->shared->sides[end].teller.word;
	bool is_late = false;
	int r;

	do {
		uint32_t word = announce_sleep(ring, end, wanted);

		r = look(ring, end, wanted);
		if (r == -EAGAIN) {
			sleep_on(ring, end, word, deadline_ns);
			/* before it leaves its mark again; and what was told in time is not missed */
			r = look(ring, end, wanted);
			is_late = r == -EAGAIN && carom_now() >= deadline_ns;
		}
	} while (r == -EAGAIN && !is_late);
	if (r == -EAGAIN)
		r = -ETIMEDOUT;
	/* relaxed: one wake-up for nothing, at worst */
	if (atomic_load_explicit(futex, memory_order_relaxed) & CAROM_RING_SLEEPS)
		atomic_fetch_and_explicit(futex, ~CAROM_RING_SLEEPS, memory_order_relaxed);
	return r;
}

/* Until the other end's index has reached @wanted: 0, or why not. */
static int wait_for(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted,
		    uint64_t deadline_ns)
{
	int r;

	if (carom_ring_reached(ring->views[end].theirs, wanted))
		return 0;
	carom_ring_tell(ring, end);
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
	return carom_ring_seems_closed(ring, end) ? -EPIPE : 0;
}

/* --- making and attaching --- */

static struct carom_ring *new_handle(void)
{
	struct carom_ring *ring = aligned_alloc(alignof(struct carom_ring), sizeof(*ring));

	if (!ring)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	ring->views = ring->own_views;
	return ring;
}

static void begin_view(struct carom_ring_view *view, uint64_t mine, uint64_t theirs)
{
	view->mine = mine;
	view->told = mine;
	view->theirs = theirs;
}

/*
 * Each end of this handle begins where the end's former holder stopped, and as if
 * it had not yet looked at the other: full for the producer, empty for the consumer.
 */
static int begin_views(struct carom_ring *ring)
{
	uint64_t head =
		atomic_load(&ring->shared->sides[CAROM_RING_PRODUCER].index) & ~CAROM_RING_AWAITED;
	uint64_t tail =
		atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].index) & ~CAROM_RING_AWAITED;

	if (head % RING_WORD_SIZE != 0 || tail % RING_WORD_SIZE != 0)
		return -EBADMSG;
	begin_view(&ring->views[CAROM_RING_PRODUCER], head, head - ring->capacity);
	begin_view(&ring->views[CAROM_RING_CONSUMER], tail, tail);
	return 0;
}

static bool is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Uses the ring that stands in @size bytes of @memory. */
static int use(struct carom_ring *ring, void *memory, uint64_t size)
{
	uint64_t capacity;

	if (size < CAROM_RING_DATA_OFFSET)
		return -EBADMSG;
	ring->shared = memory;
	ring->data = (unsigned char *)ring->shared + CAROM_RING_DATA_OFFSET;
	capacity = atomic_load(&ring->shared->capacity);
	if (atomic_load(&ring->shared->magic) != CAROM_RING_MAGIC || !is_power_of_two(capacity) ||
	    capacity < CAROM_RING_SIZE_MIN || capacity > CAROM_RING_SIZE_MAX ||
	    capacity > size - CAROM_RING_DATA_OFFSET)
		return -EBADMSG;
	ring->capacity = capacity;
	return 0;
}

static int attach(struct carom_ring *ring)
{
	int r = use(ring, carom_segment_data(ring->segment), carom_segment_size(ring->segment));

	return r < 0 ? r : begin_views(ring);
}

uint64_t carom_ring_capacity(uint64_t size)
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

static void lay(struct carom_ring_shared *shared, uint64_t capacity)
{
	atomic_store(&shared->capacity, capacity);
	atomic_store(&shared->magic, CAROM_RING_MAGIC);
}

static int make_segment(const struct carom_ring_options *options, uint64_t capacity,
			struct carom_segment **ret_segment)
{
	int r = carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.name = options->name ? options->name : "carom-ring",
				       .size = CAROM_RING_DATA_OFFSET + capacity,
				       .populate_size = options->populate_size),
		ret_segment);

	if (r < 0)
		return r;
	lay(carom_segment_data(*ret_segment), capacity);
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
	capacity = carom_ring_capacity(o.size);
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
	wake_both(ring);
	*ret_ring = carom_take_ptr(ring);
	return 0;
}

void carom_ring_lay(void *memory, uint64_t capacity, struct carom_ring_view *producer,
		    struct carom_ring_view *consumer)
{
	lay(memory, capacity);
	begin_view(producer, 0, -capacity);
	begin_view(consumer, 0, 0);
}

int carom_ring_open(struct carom_ring *ring, void *memory, uint64_t size,
		    struct carom_ring_view *views)
{
	memset(ring, 0, sizeof(*ring));
	ring->views = views;
	ring->is_pipe = true;
	return use(ring, memory, size);
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
	return carom_ring_size_max(ring);
}

void carom_ring_close(struct carom_ring *ring, enum carom_ring_end end)
{
	assert(end == CAROM_RING_PRODUCER || end == CAROM_RING_CONSUMER);
	/* P1, P2 for `closed`: pairs with S1 in announce_sleep(), and with look() behind it */
	atomic_store(&ring->shared->sides[end].closed, 1);
	CAROM_POINT("ring.closed");
	wake_both(ring);
}

/* --- the producer --- */

int carom_ring_reserve(struct carom_ring *ring, size_t size, uint64_t deadline_ns, void **ret_data)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_PRODUCER];
	void *room = carom_ring_reserve_known(ring, size);
	uint64_t skip;
	int r;

	if (room) {
		*ret_data = room;
		return 0;
	}
	view->held = false;
	if (size > carom_ring_size_max(ring))
		return -EMSGSIZE;
	r = check_usable(ring, CAROM_RING_PRODUCER);
	if (r < 0)
		return r;
	if (carom_ring_seems_closed(ring, CAROM_RING_CONSUMER))
		return -EPIPE;

	skip = carom_ring_skip(ring, view->mine, carom_ring_footprint(size));
	r = wait_for(ring, CAROM_RING_PRODUCER,
		     view->mine + skip + carom_ring_footprint(size) - ring->capacity, deadline_ns);
	if (r < 0)
		return r;
	*ret_data = carom_ring_hold(ring, skip, size);
	return 0;
}

int carom_ring_commit(struct carom_ring *ring, size_t size)
{
	int r = carom_ring_commit_quietly(ring, size, CAROM_RING_RECORD);

	if (r == 0)
		carom_ring_publish(ring, CAROM_RING_PRODUCER);
	return r;
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

/* The record at `mine`, of which there are at least 8 bytes, or behind a WRAP there. */
static int take(const struct carom_ring *ring, struct carom_ring_view *view)
{
	uint64_t word = carom_ring_load_word(ring, view->mine);
	uint64_t skip = 0;

	if (word == carom_ring_word(CAROM_RING_WRAP, 0)) {
		skip = ring->capacity - carom_ring_offset(ring, view->mine);
		if (skip >= view->theirs - view->mine)
			return -EBADMSG;
		word = carom_ring_load_word(ring, view->mine + skip);
	}
	return carom_ring_take(ring, view, skip, word) ? 0 : -EBADMSG;
}

/* Waits for a record, and takes it. */
static int receive(struct carom_ring *ring, uint64_t deadline_ns)
{
	struct carom_ring_view *view = &ring->views[CAROM_RING_CONSUMER];
	int r = check_usable(ring, CAROM_RING_CONSUMER);

	if (r < 0)
		return r;
	r = wait_for(ring, CAROM_RING_CONSUMER, view->mine + RING_WORD_SIZE, deadline_ns);
	if (r < 0)
		return r;
	r = take(ring, view);
	if (r < 0)
		view->broken = true;
	return r;
}

int carom_ring_receive(struct carom_ring *ring, uint64_t deadline_ns, const void **ret_data,
		       size_t *ret_size)
{
	size_t size;
	const void *data = carom_ring_receive_known(ring, &size);
	int r = data ? 0 : receive(ring, deadline_ns);

	if (r < 0)
		return r;
	*ret_data = data ? data : carom_ring_at_hand(ring, &size);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int carom_ring_release(struct carom_ring *ring)
{
	return carom_ring_let_go(ring);
}

int carom_ring_pop(struct carom_ring *ring, void *buffer, size_t capacity, uint64_t deadline_ns,
		   size_t *ret_size)
{
	const void *data;
	size_t size;
	int r = carom_ring_receive(ring, deadline_ns, &data, &size);

	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = size;
	if (size > capacity)
		return -EMSGSIZE;
	if (size > 0)
		memcpy(buffer, data, size);
	return carom_ring_release(ring);
}

/* --- for pipes --- */

void carom_ring_renew(struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_view *view = &ring->views[end];

	wake(&ring->shared->sides[other(end)]); /* D3 */
	view->held = false;
	view->told = atomic_load(&ring->shared->sides[end].index) & ~CAROM_RING_MARKS;
	carom_ring_publish(ring, end);
}

uint64_t carom_ring_more(const struct carom_ring *ring)
{
	const struct carom_ring_view *view = &ring->views[CAROM_RING_CONSUMER];

	return view->theirs - view->mine - view->skip - carom_ring_footprint(view->room);
}

bool carom_ring_is_empty(const struct carom_ring *ring)
{
	uint64_t head = atomic_load(&ring->shared->sides[CAROM_RING_PRODUCER].index);

	/* relaxed: another thread may be moving it, and an old one only says "not yet" */
	return without_marks(ring, CAROM_RING_CONSUMER, head) ==
	       __atomic_load_n(&ring->views[CAROM_RING_CONSUMER].mine, __ATOMIC_RELAXED);
}

bool carom_ring_is_closed(const struct carom_ring *ring, enum carom_ring_end end)
{
	return atomic_load(&ring->shared->sides[end].closed);
}

void carom_ring_poll(struct carom_ring *ring)
{
	atomic_fetch_or(&ring->shared->sides[CAROM_RING_PRODUCER].index, CAROM_RING_POLLED);
}

void carom_ring_arm(struct carom_ring *ring, uint32_t armed)
{
	atomic_store(&ring->shared->sides[CAROM_RING_CONSUMER].armed, armed);
}

bool carom_ring_is_armed(const struct carom_ring *ring)
{
	return atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].armed);
}

uint32_t carom_ring_teller(const struct carom_ring *ring)
{
	uint32_t word = atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].teller.word);

	return word & FUTEX_OWNER_DIED ? 0 : word & FUTEX_TID_MASK;
}

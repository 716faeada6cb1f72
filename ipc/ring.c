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
 *       have died between clearing it and the wake. Of a pipe's ring there may be nobody
 *       who takes over, see D1.
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
 *
 * A pipe's ring (ring_private.h) has its views in memory that all processes of an end
 * share, under locks of the pipe's. So it can be told late:
 *
 *   I5  `told` is the index that the other end was told, `mine` may be ahead of it. Whoever
 *       looks for more, sleeping or not, tells first. A producer's `mine` passes a record
 *       only once that is whole, so whoever takes over from the dead tells all of `mine`.
 *
 * A producer whose consumer polls a descriptor tells in more steps: see ipc/duct_bell.c. It finds
 * out in P1 itself, which is a comparison with what it has told before: who polls for the first
 * time has left a mark in the index (CAROM_RING_POLLED). So either P1 came before that, and who
 * polls finds it, or it fails.
 *
 * Deaths. Who tells at one end of a pipe may die between P1 and the wake-up, while other processes
 * have its end open, and do nothing with it, for ever: then there is no end of file, and nobody
 * takes over. It is the kernel that wakes then:
 *
 *	P0 pending := `teller`, at the sleeper's side	S1 as above
 *	P1 index = new					S2 index >= w? If not:
 *	P2 asleep? Then not any more, and a wake-up	S3 queued at `teller`; then
 *	P3 pending := nothing				   index as seen in S2? Then sleep
 *
 *   D1  While a thread tells, the word `teller` is what it has pending on its list of locks
 *       (shm/robust.h). If it dies then, the kernel wakes one who sleeps there; and there is one
 *       at most: all others wait for the lock of their end. The word is 0, or names the thread:
 *       the kernel wakes in either case, and marks it in the latter.
 *   D2  A sleeper is queued at `teller`, and only then the index is compared with what it has seen
 *       (futex_waitv(2) goes from word to word in their order). So a death after P1 finds it
 *       queued, or came before, and then the index has changed before it was compared.
 *
 *   D3  Who takes over wakes first, and tells then, by its own P0 to P3. The kernel gives away
 *       the lock of the dead before it looks at what was pending; and if by then `teller` names
 *       somebody else it does nothing. So that one must have woken already: it may die as well.
 *
 *	S1 S2 S3 P0 P1 X	X wakes it. Killed between P2 and the wake-up: likewise
 *	S1 S2 P0 P1 X S3	the comparison fails: it looks again
 *	S1 S2 S3' P1 X S3''	queued at `teller`, the index not yet compared: both
 *	S1 S2 P0 P1 P2 X S3	likewise; `asleep` is compared, too
 *	P0 X, or P2 P3 X	nothing was told, or somebody was woken; no harm is done
 *
 * A sleeper that dies has left the queue before its end's lock is somebody else's. Nothing of
 * `teller` is trusted: the kernel looks at no more than its word, and whoever writes nonsense
 * there is not missed, or wakes who looks again. Where the kernel knows no lists of locks, or no
 * futex_waitv(2) (before Linux 5.16), a sleeper looks again every 100 ms. A bare ring has no locks:
 * there a death is told from outside, as the header says.
 *
 * It costs two stores to the thread's own memory, and no line of anybody else's; P1 is a locked
 * instruction either way. tests/model/bell.pml has the pipe's protocol, with these deaths.
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

/* @end hears of it if it sleeps, or (@always, I4) even if it seems that it does not. */
static void wake(struct carom_ring *ring, enum carom_ring_end end, bool always)
{
	struct carom_ring_side *side = &ring->shared->sides[end];
	uint32_t seen = atomic_fetch_and(&side->asleep, ~CAROM_RING_SLEEPS);

	CAROM_POINT("ring.waking");
	if (always || (seen & CAROM_RING_SLEEPS))
		carom_futex_wake(&side->asleep, INT_MAX);
	CAROM_POINT("ring.woken");
}

static void wake_both(struct carom_ring *ring)
{
	wake(ring, CAROM_RING_PRODUCER, true);
	wake(ring, CAROM_RING_CONSUMER, true);
}

void carom_ring_wake_sleeper(struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	const struct carom_ring_side *sleeper = &ring->shared->sides[other(end)];

	/* relaxed: P2 has seen S1, which stands behind the store */
	if (atomic_load(&sleeper->asleep) & CAROM_RING_SLEEPS &&
	    carom_ring_reached(index, atomic_load_explicit(&sleeper->wanted, memory_order_relaxed)))
		wake(ring, other(end), false);
}

/* What the kernel marks if this thread dies (D1), or what its process is known by. */
static uint32_t teller_of(const struct carom_ring *ring)
{
	uint32_t id = ring->is_missed ? carom_robust_tid(carom_robust_self()) : (uint32_t)getpid();

	return carom_life_word((pid_t)id);
}

/* T1 to T4 of ipc/duct_bell.c; where @end's index is not what it was told for any other reason, too */
void carom_ring_publish_polled(struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_side *theirs = &ring->shared->sides[other(end)];
	uint64_t index = ring->views[end].mine;
	uint64_t mark = ring->is_pipe && end == CAROM_RING_PRODUCER ? CAROM_RING_POLLED : 0;

	atomic_store(&theirs->teller.word, teller_of(ring)); /* T1 */
	CAROM_POINT("duct.telling");
	if (ring->bell && atomic_load(&theirs->asleep) & CAROM_RING_BELL) { /* T2 */
		ring->bell(ring->userdata);
		CAROM_POINT("duct.rung");
		atomic_fetch_and(&theirs->asleep, ~CAROM_RING_BELL);
	}
	atomic_store(&ring->shared->sides[end].index, index | mark); /* T3, P1 */
	CAROM_POINT("duct.told");
	atomic_store(&theirs->teller.word, 0);     /* T4 */
	carom_ring_wake_sleeper(ring, end, index); /* P2 */
}

void carom_ring_publish_unmissed(struct carom_ring *ring, enum carom_ring_end end)
{
	carom_ring_publish_once(ring, end);
}

/* Return: what the futex word was then */
static uint32_t announce_sleep(struct carom_ring_side *side, uint64_t wanted, uint32_t bit)
{
	uint32_t seen;

	/* relaxed: S1 orders it */
	atomic_store_explicit(&side->wanted, wanted, memory_order_relaxed);
	/* S1: pairs with P2 in carom_ring_publish() and, for `closed`, in carom_ring_close() */
	seen = atomic_fetch_or(&side->asleep, bit);
	CAROM_POINT("ring.asleep");
	return seen | bit;
}

/* The other end's index without the mark that this end may have left there. */
static uint64_t without_mark(const struct carom_ring *ring, enum carom_ring_end end, uint64_t index)
{
	return ring->is_pipe && end == CAROM_RING_CONSUMER ? index & ~CAROM_RING_POLLED : index;
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
	index = without_mark(ring, end, atomic_load(&sides[other(end)].index));
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

/* The half of it that changes first. */
static const _Atomic uint32_t *low_half(const _Atomic uint64_t *word)
{
	return (const _Atomic uint32_t *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static struct futex_waitv entry(const _Atomic uint32_t *word, uint32_t expected)
{
	return (struct futex_waitv){ .val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32 };
}

/*
 * S3: until the other end's index is not what this end has just seen, or somebody wakes it, or
 * dies in the middle of telling (D2).
 */
static int sleep_on(const struct carom_ring *ring, enum carom_ring_end end, uint32_t asleep,
		    uint64_t deadline_ns)
{
	const struct carom_ring_side *side = &ring->shared->sides[end];
	const _Atomic uint64_t *theirs = &ring->shared->sides[other(end)].index;
	uint64_t index = atomic_load(theirs);
	struct futex_waitv words[] = {
		entry(&side->teller.word, atomic_load(&side->teller.word)),
		entry(low_half(theirs), (uint32_t)index),
		entry(&side->asleep, asleep),
	};

	if (!ring->is_pipe)
		return carom_futex_wait(&side->asleep, asleep, deadline_ns);
	if (without_mark(ring, end, index) != ring->views[end].theirs)
		return -EAGAIN;
	return carom_futex_wait_any(words, 3, 2, ring->is_missed, deadline_ns);
}

/* As look(), but sleeps instead of -EAGAIN. */
static int sleep_until(struct carom_ring *ring, enum carom_ring_end end, uint64_t wanted,
		       uint64_t deadline_ns)
{
	struct carom_ring_side *side = &ring->shared->sides[end];
	int r;

	do {
		uint32_t word = announce_sleep(side, wanted, CAROM_RING_SLEEPS);

		r = look(ring, end, wanted);
		if (r != -EAGAIN)
			break;
		CAROM_POINT("ring.sleeping");
		r = sleep_on(ring, end, word, deadline_ns);
	} while (r != -ETIMEDOUT);
	/* relaxed: one wake-up for nothing, at worst */
	atomic_fetch_and_explicit(&side->asleep, ~CAROM_RING_SLEEPS, memory_order_relaxed);
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
	uint64_t head = atomic_load(&ring->shared->sides[CAROM_RING_PRODUCER].index);
	uint64_t tail = atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].index);

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

	wake(ring, other(end), true); /* D3 */
	view->held = false;
	view->told = atomic_load(&ring->shared->sides[end].index) & ~CAROM_RING_POLLED;
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
	return without_mark(ring, CAROM_RING_CONSUMER, head) ==
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

void carom_ring_arm(struct carom_ring *ring)
{
	struct carom_ring_side *side = &ring->shared->sides[CAROM_RING_CONSUMER];
	uint64_t mine = __atomic_load_n(&ring->views[CAROM_RING_CONSUMER].mine, __ATOMIC_RELAXED);

	announce_sleep(side, mine + RING_WORD_SIZE, CAROM_RING_BELL);
}

void carom_ring_disarm(struct carom_ring *ring)
{
	atomic_fetch_and(&ring->shared->sides[CAROM_RING_CONSUMER].asleep, ~CAROM_RING_BELL);
}

bool carom_ring_is_armed(const struct carom_ring *ring)
{
	return atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].asleep) & CAROM_RING_BELL;
}

uint32_t carom_ring_teller(const struct carom_ring *ring)
{
	uint32_t word = atomic_load(&ring->shared->sides[CAROM_RING_CONSUMER].teller.word);

	return word & FUTEX_OWNER_DIED ? 0 : word & FUTEX_TID_MASK;
}

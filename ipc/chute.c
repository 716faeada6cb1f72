/*
 * Chute
 *
 * A page in which each end says whether it is asleep, and counts what it sends through the
 * socket; then a ring for each direction. The rings are those of ipc/ring.c, which trust nobody:
 * what is received is a private copy before anybody looks at it. `asleep` and `noted` of the
 * other end are hints: nonsense in there costs its own end a message, or this one a look.
 *
 *   I1  Who sleeps, sleeps on the socket, and has said so before it looked at the ring for the
 *       last time.
 *   I2  Nothing is put into the ring of one who has said that it sleeps.
 *   I3  What goes through the socket is counted: by the server after it went, as its client counts
 *       what it has taken, and reads without a look where that is less; by the client before it
 *       goes, as the server does not rely on it, and counts what it takes for at most as many.
 *
 * No message is forgotten in a ring whose reader sleeps. All four accesses are sequentially
 * consistent:
 *
 *	sender					receiver
 *	P0 asleep? then the socket		S1 asleep = 1
 *	P1 index = new				S2 is the ring empty? if not, asleep = 0
 *	P2 asleep? then a nudge			S3 sleeps on the socket
 *
 *	S1 before P0	the message goes through the socket, which S3 finds readable
 *	P1 before S2	it is seen, and nobody sleeps; P2 may nudge for nothing
 *	S2 before P1	then S1 is before P2, which sees it: the nudge ends S3
 *
 * What goes through the socket is found by who sleeps there, and by who is awake by the counter:
 * if that has moved, there is a message, or will be as soon as its sender goes on.
 *
 * The order of messages is kept where somebody could tell: who waits for an answer has it before
 * it goes on. A client sends one thing for which it does not wait, that a reference is given
 * back. If that went through the socket, all that follows does until an answer shows that the
 * server has come so far (ipc/line.c); if it went through the ring, it is there before what comes
 * through the socket, and the server looks there first (ipc/server_chute.c).
 *
 * Deaths. There is no lock, and who sleeps is woken by the socket, so it makes no difference
 * where one dies:
 *
 *	a sender before P1	nothing was sent
 *	between P1 and P2	the message is there, and its reader may sleep: the socket is hung
 *				up, which is seen after what was left in the ring
 *	a receiver anywhere	what it had not received is lost with it, as in its socket
 *
 * ---- What a call costs
 *
 * An item of a dict that is set, or got, by a client that does nothing else (x86-64, counted over
 * 250,000 calls):
 *
 *				both awake	through the socket
 *	system calls, client	0		3: sendmsg(2), recv(2) twice
 *	system calls, server	0		4: the loop's wait, recv(2) twice, sendmsg(2)
 *	copies of a call	4		4: encoded, put in, taken out, decoded
 *	copies of an answer	4		4
 *
 * Awake, the two of them make one system call in about fifty calls, for the loop has its turn.
 * Work is 1.3 us of it, of both together; the rest is the way of the cache lines.
 */
#include "ipc/chute.h"

#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/fd.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/time.h"
#include "ipc/ring_record.h"
#include "shm/memfd.h"

/* Small, since each client that calls has two. A record is no longer than half of it. */
#define CAPACITY     (2 * (uint64_t)CAROM_CHUTE_MESSAGE_MAX)
#define RING_SIZE    (CAROM_RING_DATA_OFFSET + CAPACITY)
#define HEAD_SIZE    CAROM_KIB(4)
#define SIZE         (HEAD_SIZE + 2 * RING_SIZE)
#define MAGIC        UINT64_C(0x3174756863706163)
#define CALLS_BEFORE 16 /* who makes no more is served well enough, and takes no more memory */
#define SPIN_NS      CAROM_MICROSECONDS(50)

/** struct chute_end - what one end writes */
struct chute_end {
	alignas(CAROM_RING_LINE) _Atomic uint32_t asleep;
	_Atomic uint32_t noted;
	_Atomic int32_t cpu;
};

/** struct chute_head - the first page. Of @ends, 0 is who has made it */
struct chute_head {
	uint64_t magic;
	struct chute_end ends[2];
};

_Static_assert(sizeof(struct chute_head) <= HEAD_SIZE, "a page");

/**
 * struct carom_chute - one end
 * @origin:    the process that has it: a child by fork() has not
 * @is_asleep: what it has said
 * @views:     its own: nobody else writes there
 */
struct carom_chute {
	struct chute_head *head;
	uint64_t origin;
	bool is_asleep;
	struct chute_end *mine;
	struct chute_end *theirs;
	struct carom_ring out;
	struct carom_ring in;
	struct carom_ring_view views[2];
};

uint64_t carom_chute_calls_before(void)
{
	const char *way = getenv("CAROM_MANAGER");

	if (way && strcmp(way, "socket") == 0)
		return CAROM_CHUTE_NEVER;
	return way && strcmp(way, "chute") == 0 ? 0 : CALLS_BEFORE;
}

/* ---- making ---- */

static void *ring_at(struct chute_head *head, int index)
{
	return (unsigned char *)head + HEAD_SIZE + (size_t)index * RING_SIZE;
}

/* Ring @end goes from that end to the other one. */
static int open_end(struct carom_chute *chute, struct chute_head *head, int end)
{
	int r = carom_ring_open(&chute->out, ring_at(head, end), RING_SIZE, chute->views);

	if (r == 0)
		r = carom_ring_open(&chute->in, ring_at(head, 1 - end), RING_SIZE, chute->views);
	chute->head = head;
	chute->mine = &head->ends[end];
	chute->theirs = &head->ends[1 - end];
	return r;
}

static struct carom_chute *new_handle(void)
{
	struct carom_chute *chute = aligned_alloc(alignof(struct carom_chute), sizeof(*chute));

	return chute ? memset(chute, 0, sizeof(*chute)) : NULL;
}

/* Of rings that are empty. */
static void begin(struct carom_chute *chute)
{
	chute->views[CAROM_RING_PRODUCER].theirs = -CAPACITY;
	chute->is_asleep = true;
	chute->origin = carom_origin();
}

static int map_end(int fd, int end, struct carom_chute **ret_chute)
{
	struct carom_chute *chute = new_handle();
	void *memory;
	int r = chute ? carom_memfd_map(fd, NULL, SIZE, &memory) : -ENOMEM;

	if (r == 0) {
		madvise(memory, SIZE, MADV_DONTFORK); /* a child is no part of this */
		begin(chute);
		r = open_end(chute, memory, end);
	}
	if (r == 0)
		*ret_chute = chute;
	else
		carom_chute_free(chute);
	return r;
}

static int lay(int fd)
{
	struct carom_ring_view views[2];
	void *memory;
	struct chute_head *head;
	int r = carom_memfd_map(fd, NULL, SIZE, &memory);

	if (r < 0)
		return r;
	head = memory;
	head->magic = MAGIC;
	for (int i = 0; i < 2; i++) {
		atomic_init(&head->ends[i].asleep, 1);
		atomic_init(&head->ends[i].cpu, -1);
		carom_ring_lay(ring_at(head, i), CAPACITY, &views[0], &views[1]);
	}
	munmap(memory, SIZE);
	return 0;
}

int carom_chute_new(struct carom_chute **ret_chute, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r = carom_memfd_new("carom-chute", SIZE, &fd);

	if (r == 0)
		r = lay(fd);
	if (r == 0)
		r = map_end(fd, 0, ret_chute);
	if (r == 0)
		*ret_fd = carom_take_fd(fd);
	return r;
}

int carom_chute_attach(int fd, struct carom_chute **ret_chute)
{
	struct carom_chute *chute;
	uint64_t size;
	int r = carom_memfd_check(fd, &size);

	if (r == 0)
		r = size == SIZE ? map_end(fd, 1, &chute) : -EBADMSG;
	if (r < 0)
		return r;
	if (chute->head->magic != MAGIC || chute->in.capacity != CAPACITY ||
	    chute->out.capacity != CAPACITY) {
		carom_chute_free(chute);
		return -EBADMSG;
	}
	*ret_chute = chute;
	return 0;
}

struct carom_chute *carom_chute_free(struct carom_chute *chute)
{
	if (chute && chute->head && carom_origin_is(chute->origin))
		munmap(chute->head, SIZE);
	free(chute);
	return NULL;
}

/* How many processors there are makes no difference: see carom_chute_shares_cpu(). */
void carom_chute_patience(struct carom_patience *patience)
{
	carom_patience_init(patience, SPIN_NS);
}

/* ---- sending ---- */

static bool seems_asleep(const struct chute_end *end)
{
	return atomic_load(&end->asleep) != 0;
}

int carom_chute_send(struct carom_chute *chute, const void *data, size_t size)
{
	void *room;
	int r = seems_asleep(chute->theirs) ? -EAGAIN : 0; /* P0 */

	if (r == 0)
		r = carom_ring_reserve(&chute->out, size, CAROM_PASSED, &room);
	if (r < 0)
		return r == -EMSGSIZE || r == -EPIPE ? -EAGAIN : r;
	memcpy(room, data, size);
	carom_ring_commit_quietly(&chute->out, size, CAROM_RING_RECORD);
	CAROM_POINT("chute.written");
	carom_ring_tell(&chute->out, CAROM_RING_PRODUCER); /* P1 */
	CAROM_POINT("chute.told");
	return seems_asleep(chute->theirs) ? CAROM_CHUTE_NUDGE : 0; /* P2 */
}

void carom_chute_note(struct carom_chute *chute, int count)
{
	/* release: nothing but the count; only this end's sender writes it */
	atomic_fetch_add_explicit(&chute->mine->noted, (uint32_t)count, memory_order_release);
	CAROM_POINT("chute.noted");
}

/* ---- receiving ---- */

int carom_chute_receive(struct carom_chute *chute, void *buffer, size_t room, size_t *ret_size)
{
	const void *data;
	size_t size;
	int r = carom_ring_receive(&chute->in, CAROM_PASSED, &data, &size);

	if (r < 0)
		return r == -EPIPE ? -EBADMSG : r;
	if (chute->views[CAROM_RING_CONSUMER].kind != CAROM_RING_RECORD || size > room)
		return -EBADMSG;
	memcpy(buffer, data, size);
	CAROM_POINT("chute.copied");
	carom_ring_let_go(&chute->in);
	CAROM_POINT("chute.received");
	*ret_size = size;
	return 0;
}

bool carom_chute_is_empty(const struct carom_chute *chute)
{
	return carom_ring_is_empty(&chute->in);
}

uint32_t carom_chute_noted(const struct carom_chute *chute)
{
	/* acquire: looked at again and again; the socket orders what came through it */
	return atomic_load_explicit(&chute->theirs->noted, memory_order_acquire);
}

void carom_chute_wake(struct carom_chute *chute)
{
	chute->is_asleep = false;
	atomic_store(&chute->mine->asleep, 0);
}

/* A guess: both may be moved at any time. Written only where it changes: others look at the line. */
bool carom_chute_shares_cpu(struct carom_chute *chute)
{
	int32_t cpu = sched_getcpu();

	if (atomic_load_explicit(&chute->mine->cpu, memory_order_relaxed) != cpu)
		atomic_store_explicit(&chute->mine->cpu, cpu, memory_order_relaxed);
	return atomic_load_explicit(&chute->theirs->cpu, memory_order_relaxed) == cpu;
}

bool carom_chute_sleep(struct carom_chute *chute)
{
	chute->is_asleep = true;
	atomic_store(&chute->mine->asleep, 1); /* S1 */
	CAROM_POINT("chute.asleep");
	if (carom_ring_is_empty(&chute->in)) /* S2 */
		return true;
	carom_chute_wake(chute);
	return false;
}

bool carom_chute_is_asleep(const struct carom_chute *chute)
{
	return chute->is_asleep;
}

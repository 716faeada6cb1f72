/*
 * Duct
 *
 * Two memfds. The `rings`, one for each direction, both ends have; nothing in them is
 * trusted. An `end` only the processes of that end have, which trust each other as threads
 * do: its locks, whose nodes the C library's list of held locks runs through, and its views
 * of the rings. And two socket pairs: one carries descriptors, one rings bells. All that is
 * in the letter of the end's socket, which is the handle; of that socket, a process that has
 * attached uses nothing but its end.
 *
 * A message that fits into half a ring is a record. A longer one is FIRST, NEXT, ..., LAST,
 * and no record of another message stands between these.
 *
 *   I1  Who sends holds the end's send lock, who receives the receive lock; also while
 *       asleep. So at either end of a ring there is one at a time, as it wants.
 *   I2  `sender` is the process whose message has begun and not ended, and until it goes on,
 *       or is dead, nobody else sends. It is set before FIRST can be seen, and cleared after
 *       LAST can. `receiver` likewise, before FIRST is released and after LAST is.
 *   I3  Whoever finds that a sender died writes TORN. A receiver that has no message at hand
 *       takes TORN for nothing.
 *   I4  Whoever finds that a receiver died passes over NEXT until LAST or TORN: `is_orphan`.
 *       Where it finds a beginning, that was not released, or is the next one's.
 *   I8  Who has part of a message, and finds no more for a while, asks the kernel whether its
 *       writer lives. If not, it looks once more: then the message ends there, and what a next
 *       sender tells of it yet is passed over as in I4.
 *
 * Deaths of who sends, by where (the lock says -EOWNERDEAD to the next one, who renews the
 * ring: all that had been committed is told, what was reserved is forgotten):
 *
 *	before the record is whole       nothing was sent
 *	committed, not told              it is sent, and told by the renewal; it was not, as long
 *	                                 as nobody comes
 *	told, nobody woken               the kernel wakes, whether a next one comes or not: D1 of
 *	                                 ipc/ring.c
 *	between FIRST and LAST           I3, I8: nothing of the message is received
 *	LAST is told, `sender` is set    I3: TORN, for nothing
 *
 * and of who receives:
 *
 *	before the release               the next one receives it again
 *	released, not told               it is received; told by the renewal
 *	told, nobody woken               the kernel wakes
 *	between FIRST and LAST           I4: the message is lost with its receiver
 *
 * Where no next one comes, the end is over, and its peer hears of that by the socket: a
 * message that was not ended by then is torn. A process that has slept on a ring, or sent, is
 * told by its porter, and asks the socket before it says that there is nothing. So who sends
 * does not ask each time, and what it sends in the moment in which the porter is on its way
 * is sent to nobody.
 *
 * ---- What a message costs
 *
 * One of 64 bytes by copy, through a connection, where there is room for it or it is there
 * (x86-64, gcc -O2; the times are of one thread at both ends, whose lines move nowhere):
 *
 *					sent		received
 *	system calls, wake-ups		0		0; 1 each where the other end sleeps
 *	copies				1		1
 *	locked: the lock, twice		2		2
 *	locked: the index (P1)		1		1 for as many as were there, a quarter
 *							of the ring at most
 *	lines of the other processor	the record's 1 or 2; the index, if it was looked at
 *	instructions			under 300	under 300
 *	time				24 ns		21 ns
 *	  of it, what is locked		17 ns		12 ns
 *
 * In place, 32 told of at once: 231 and 311 instructions, 10 and 13 ns, nothing locked but
 * at each 32nd. Whether anybody sleeps is not looked at: it stands in the index (P1 of ipc/ring.c),
 * and the death of who tells is provided for only where somebody does.
 *
 * Where a line takes 100 ns from one processor to the other, a message took 115 ns, and one of
 * a batch 37: each waited for its own lines, and for the index. They are asked for ahead now
 * (ipc/ring_record.h), and the index is looked at for many (ipc/duct_receive.c): 34 and 19 ns.
 *
 * There and back each message waits for its lines: 200 to 240 ns for 8 bytes where Boost's bare
 * queue took 190 to 210, and 280 where that took 185, at times when the processors do less in the
 * same time, though lines come as fast. What is more than lines are four locked instructions each
 * way: between a message that is seen and the answer that is told of stand the release, one lock
 * given back, the other one got, and the index.
 *
 * One of 64 KiB by copy is 1,024 lines that the sender takes back from who has read them, and the
 * receiver gets from who has written them: 1.24 us, 1.2 ns a line, where memcpy(3) in the cache of one
 * processor takes 0.56. What was tried: buffers of 128 KiB 1.55 us, 512 KiB 1.22, 1 MiB 1.19, 2 MiB
 * 1.2 to 1.8; records of whole lines, 4 % more. A bare ring of two indices took 1.6 us at best, the
 * same by "rep movsb" as by memcpy(3), no less by AVX2 and AVX-512, and more by stores past the cache.
 * (AMD EPYC, two processors of a virtual machine, where a line goes there and back in 110 ns.)
 */
#include "ipc/duct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/fd.h"
#include "ipc/duct_private.h"
#include "shm/memfd.h"
#include "shm/spin.h"

/* ---- attaching ---- */

/* The whole file, which is sealed against shrinking. */
static int map_all(int fd, uint64_t *ret_size, void **ret_data)
{
	int r = carom_memfd_check(fd, ret_size);

	return r < 0 ? r : carom_memfd_map(fd, NULL, *ret_size, ret_data);
}

static int open_rings(struct carom_duct *duct)
{
	const struct carom_duct_end *end = duct->end;
	uint64_t size = end->ring_size;
	unsigned char *rings = duct->rings;
	int r;

	if (duct->end_size < sizeof(*end) || end->magic != DUCT_MAGIC || end->out_index > 1 ||
	    size > duct->rings_size / 2)
		return -EBADMSG;
	r = carom_ring_open(&duct->out, rings + end->out_index * size, size, duct->end->views);
	if (r < 0)
		return r;
	return carom_ring_open(&duct->in, rings + (1 - end->out_index) * size, size,
			       duct->end->views);
}

static int map_letter(struct carom_duct *duct, const int fds[CAROM_LETTER_FD_COUNT])
{
	int r = map_all(fds[CAROM_LETTER_RINGS], &duct->rings_size, &duct->rings);

	if (r == 0)
		r = map_all(fds[CAROM_LETTER_END], &duct->end_size, (void **)&duct->end);
	return r < 0 ? r : open_rings(duct);
}

static struct carom_duct *new_duct(int socket)
{
	struct carom_duct *duct = aligned_alloc(alignof(struct carom_duct), sizeof(*duct));

	if (!duct)
		return NULL;
	memset(duct, 0, sizeof(*duct));
	duct->socket = socket;
	duct->watch.fd = socket;
	duct->watch.gone = carom_duct_peer_has_gone;
	atomic_init(&duct->passing_fd, -1);
	atomic_init(&duct->bell_fd, -1);
	return duct;
}

int carom_duct_attach(int socket, struct carom_duct **ret_duct)
{
	int fds[CAROM_LETTER_FD_COUNT];
	struct carom_duct *duct;
	uint64_t spin_ns;
	int r = carom_letter_peek(socket, &carom_pipe_letter, fds);

	if (r < 0)
		return r;
	duct = new_duct(socket);
	r = duct ? map_letter(duct, fds) : -ENOMEM;
	for (int i = 0; i < CAROM_LETTER_FD_COUNT; i++)
		carom_closep(&fds[i]);
	if (r < 0) {
		carom_duct_free(duct);
		return r;
	}
	duct->out.bell = carom_duct_ring_bell;
	duct->out.userdata = duct;
	duct->out.is_missed = duct->in.is_missed = duct->end->is_missed;
	spin_ns = carom_spin_count() > 0 ? duct->end->spin_ns : 0;
	carom_patience_init(&duct->out_patience, spin_ns);
	carom_patience_init(&duct->in_patience, spin_ns);
	*ret_duct = duct;
	return 0;
}

/* ---- ending ---- */

/* What it has begun and not ended it will not end any more. */
static void leave(struct carom_duct *duct)
{
	if (carom_duct_is_me(duct, &duct->end->sender)) {
		carom_duct_disown(duct); /* first: afterwards the next sender may own it */
		duct->end->sender.pid = 0;
	}
	if (carom_duct_is_me(duct, &duct->end->receiver))
		duct->end->receiver.pid = 0;
	if (carom_duct_has_begun_send(duct))
		carom_duct_end_send(duct);
	if (carom_duct_has_begun_receive(duct))
		carom_duct_end_receive(duct);
}

static void close_fetched(_Atomic int *fd)
{
	int number = atomic_exchange(fd, -1);

	carom_closep(&number);
}

struct carom_duct *carom_duct_free(struct carom_duct *duct)
{
	if (!duct)
		return NULL;
	carom_porter_unwatch(&duct->watch);
	if (duct->in.data)
		leave(duct);
	if (duct->end)
		munmap(duct->end, duct->end_size);
	if (duct->rings)
		munmap(duct->rings, duct->rings_size);
	close_fetched(&duct->passing_fd);
	close_fetched(&duct->bell_fd);
	free(duct);
	return NULL;
}

bool carom_duct_may_send(const struct carom_duct *duct)
{
	return duct->end->may_send;
}

bool carom_duct_may_receive(const struct carom_duct *duct)
{
	return duct->end->may_receive;
}

/* ---- its descriptors ---- */

/* Several threads may fetch it at once: one of them keeps it. */
int carom_duct_fetch(struct carom_duct *duct, _Atomic int *fd, enum carom_letter_fd which)
{
	int seen = atomic_load(fd), none = -1;

	if (seen >= 0)
		return seen;
	seen = carom_letter_peek_one(duct->socket, which);
	if (seen < 0 || atomic_compare_exchange_strong(fd, &none, seen))
		return seen;
	carom_closep(&seen);
	return none;
}

int carom_duct_passing_fd(struct carom_duct *duct)
{
	return carom_duct_fetch(duct, &duct->passing_fd, CAROM_LETTER_PASSING);
}

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
 *
 * Deaths of who sends, by where (the lock says -EOWNERDEAD to the next one, who renews the
 * ring: all that had been committed is told, what was reserved is forgotten):
 *
 *	before the record is whole       nothing was sent
 *	committed, not told              it is sent, and told by the renewal
 *	told, nobody woken               the renewal wakes
 *	between FIRST and LAST           I3: nothing of the message is received
 *	LAST is told, `sender` is set    I3: TORN, for nothing
 *
 * and of who receives:
 *
 *	before the release               the next one receives it again
 *	released, not told               it is received; told by the renewal
 *	between FIRST and LAST           I4: the message is lost with its receiver
 *
 * Where no next one comes, the end is over, and its peer hears of that by the socket: a
 * message that was not ended by then is torn. Who sleeps on a ring is told by the porter;
 * who does not sleep asks the socket before it says that there is nothing. Who finds room,
 * or a message, does not ask.
 *
 * ---- The bell
 *
 * Who waits for other things, too, waits for a byte in a socket. The level to hold is: while
 * something can be received, there is a byte. Three states, by CAROM_RING_BELL of the ring
 * (armed or not) and the bytes in the socket:
 *
 *	armed, none      the next record that is told rings: clears the bit, sends a byte
 *	rung, one        from the beginning, and after each ringing
 *	rung, none       the byte is on its way, for an instant; or its sender died on it
 *
 *   I5  Bytes are taken out by carom_duct_settle() alone, under the bell lock, one for one
 *       that is known to be too many. So none is taken that somebody needs.
 *
 * To settle with one byte there, and rung: arm, then look at the ring.
 *
 *	empty                            the byte is taken. If the bell was rung since, there
 *	                                 were two, and one is left: rung, one.
 *	something, and disarmed by us    rung, one, as before
 *	something, and it was rung       two bytes, or one and another to come: one is taken
 *
 * A byte while it is armed (a renewal rings whatever the bit says) is one too many as well:
 * it is seen first, and the bit after it, so it is not from a ringing that cleared that.
 */
#include "ipc/duct.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/origin.h"
#include "core/pidfd.h"
#include "core/points.h"
#include "ipc/letter.h"
#include "shm/memfd.h"
#include "shm/mutex.h"
#include "shm/mutex_private.h"
#include "shm/spin.h"

#define MAGIC            UINT64_C(0x3170697065706163)
#define CAPACITY_DEFAULT CAROM_KIB(256)
#define HEAD_SIZE        sizeof(uint64_t)

/* Looks at a ring, before the clock is looked at. */
#define LOOKS 16

/* Some microseconds. */
#define PAUSE_MAX 127

/** struct sharer - a handle in a process of this end; @origin is 0: nobody; @pid is 0: gone */
struct sharer {
	uint64_t origin;
	uint64_t handle;
	int64_t pid;
	uint64_t born;
};

/**
 * struct carom_duct_end - what the processes of an end share
 * @ring_size:  of each, in bytes
 * @out_index:  which one this end writes to
 * @views:      producer: of the ring out; consumer: of the ring in
 * @sender, @receiver: I2
 * @is_sending, @is_receiving: and it is in a call: if that dies, the message is torn
 * @is_orphan:  I4
 * @is_polled:  somebody has asked for the bell
 */
struct carom_duct_end {
	uint64_t magic;
	uint64_t ring_size;
	uint64_t spin_ns;
	uint32_t out_index;
	bool may_send;
	bool may_receive;
	_Atomic bool is_polled;
	bool is_orphan;
	bool is_sending;
	bool is_receiving;
	struct sharer sender;
	struct sharer receiver;
	alignas(CAROM_RING_LINE) struct carom_mutex send_lock;
	alignas(CAROM_RING_LINE) struct carom_mutex receive_lock;
	struct carom_mutex bell_lock;
	struct carom_ring_view views[2];
};

/* ---- making and attaching ---- */

/* What is being made. -1: not yet */
struct plan {
	uint64_t capacity;
	uint64_t spin_ns;
	bool is_simplex;
	int sockets[2];
	int passing[2];
	int bells[2];
	int rings;
	int ends[2];
};

static void close_pair(int fds[2])
{
	carom_closep(&fds[0]);
	carom_closep(&fds[1]);
}

static void plan_deinit(struct plan *plan)
{
	close_pair(plan->sockets);
	close_pair(plan->passing);
	close_pair(plan->bells);
	close_pair(plan->ends);
	carom_closep(&plan->rings);
}

static int make_sockets(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

static uint64_t ring_size(const struct plan *plan)
{
	return carom_page_ceil(CAROM_RING_DATA_OFFSET + plan->capacity);
}

static int map(const char *name, uint64_t size, int *ret_fd, void **ret_data)
{
	int r = carom_memfd_new(name, size, ret_fd);

	return r < 0 ? r : carom_memfd_map(*ret_fd, NULL, size, ret_data);
}

static int lay_end(const struct plan *plan, uint32_t index, struct carom_duct_end *end)
{
	int r = carom_mutex_init(&end->send_lock);

	if (r == 0)
		r = carom_mutex_init(&end->receive_lock);
	if (r == 0)
		r = carom_mutex_init(&end->bell_lock);
	end->magic = MAGIC;
	end->ring_size = ring_size(plan);
	end->spin_ns = plan->spin_ns;
	end->out_index = index;
	end->may_send = !plan->is_simplex || index == 1;
	end->may_receive = !plan->is_simplex || index == 0;
	return r;
}

/* Ring @i goes from end @i to the other one. */
static void lay_rings(const struct plan *plan, unsigned char *rings, struct carom_duct_end *ends[2])
{
	for (int i = 0; i < 2; i++)
		carom_ring_lay(rings + (uint64_t)i * ring_size(plan), plan->capacity,
			       &ends[i]->views[CAROM_RING_PRODUCER],
			       &ends[1 - i]->views[CAROM_RING_CONSUMER]);
}

static int make_memory(struct plan *plan)
{
	uint64_t end_size = carom_page_ceil(sizeof(struct carom_duct_end));
	struct carom_duct_end *ends[2] = { NULL, NULL };
	void *rings = NULL;
	int r = map("carom-pipe", 2 * ring_size(plan), &plan->rings, &rings);

	for (uint32_t i = 0; r == 0 && i < 2; i++) {
		r = map("carom-pipe-end", end_size, &plan->ends[i], (void **)&ends[i]);
		if (r == 0)
			r = lay_end(plan, i, ends[i]);
	}
	if (r == 0)
		lay_rings(plan, rings, ends);
	for (int i = 0; i < 2; i++)
		if (ends[i])
			munmap(ends[i], end_size);
	if (rings)
		munmap(rings, 2 * ring_size(plan));
	return r;
}

/* What end @i needs, into the queue of its socket; and its bell is rung from the beginning. */
static int post(const struct plan *plan, int i)
{
	const int fds[CAROM_LETTER_FD_COUNT] = {
		[CAROM_LETTER_RINGS] = plan->rings,
		[CAROM_LETTER_END] = plan->ends[i],
		[CAROM_LETTER_PASSING] = plan->passing[i],
		[CAROM_LETTER_BELL] = plan->bells[i],
	};

	if (send(plan->bells[1 - i], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return carom_letter_post(plan->sockets[1 - i], fds);
}

static int fill(struct plan *plan)
{
	int r = plan->capacity ? make_sockets(plan->sockets) : -EINVAL;

	if (r == 0)
		r = make_sockets(plan->passing);
	if (r == 0)
		r = make_sockets(plan->bells);
	if (r == 0)
		r = make_memory(plan);
	for (int i = 0; r == 0 && i < 2; i++)
		r = post(plan, i);
	return r;
}

int carom_duct_new_pair(uint64_t capacity, uint64_t spin_ns, bool is_simplex, int ret_fds[2])
{
	struct plan plan = {
		.capacity = carom_ring_capacity(capacity ? capacity : CAPACITY_DEFAULT),
		.spin_ns = spin_ns,
		.is_simplex = is_simplex,
		.sockets = { -1, -1 },
		.passing = { -1, -1 },
		.bells = { -1, -1 },
		.rings = -1,
		.ends = { -1, -1 },
	};
	int r = fill(&plan);

	if (r == 0) {
		ret_fds[0] = carom_take_fd(plan.sockets[0]);
		ret_fds[1] = carom_take_fd(plan.sockets[1]);
	}
	plan_deinit(&plan);
	return r;
}

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

	if (duct->end_size < sizeof(*end) || end->magic != MAGIC || end->out_index > 1 ||
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

static void ring_bell(void *userdata);
static void peer_has_gone(struct carom_porter_watch *watch);

static struct carom_duct *new_duct(int socket)
{
	struct carom_duct *duct = aligned_alloc(alignof(struct carom_duct), sizeof(*duct));

	if (!duct)
		return NULL;
	memset(duct, 0, sizeof(*duct));
	duct->socket = socket;
	duct->watch.fd = socket;
	duct->watch.gone = peer_has_gone;
	atomic_init(&duct->passing_fd, -1);
	atomic_init(&duct->bell_fd, -1);
	return duct;
}

int carom_duct_attach(int socket, struct carom_duct **ret_duct)
{
	int fds[CAROM_LETTER_FD_COUNT];
	struct carom_duct *duct;
	uint64_t spin_ns;
	int r = carom_letter_peek(socket, fds);

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
	duct->out.bell = ring_bell;
	duct->out.userdata = duct;
	spin_ns = carom_spin_count() > 0 ? duct->end->spin_ns : 0;
	carom_patience_init(&duct->out_patience, spin_ns);
	carom_patience_init(&duct->in_patience, spin_ns);
	*ret_duct = duct;
	return 0;
}

static void close_fetched(_Atomic int *fd)
{
	int number = atomic_exchange(fd, -1);

	carom_closep(&number);
}

static void leave(struct carom_duct *duct);

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

/* Several threads may fetch it at once: one of them keeps it. */
static int fetch(struct carom_duct *duct, _Atomic int *fd, enum carom_letter_fd which)
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
	return fetch(duct, &duct->passing_fd, CAROM_LETTER_PASSING);
}

/* ---- who shares an end ---- */

static bool is_nobody(const struct sharer *sharer)
{
	return sharer->origin == 0;
}

static bool is_me(const struct carom_duct *duct, const struct sharer *sharer)
{
	return !is_nobody(sharer) && carom_origin_is(sharer->origin) &&
	       sharer->handle == (uintptr_t)duct && sharer->pid != 0;
}

static bool has_gone(const struct sharer *sharer)
{
	return sharer->pid == 0 || !carom_pid_lives((pid_t)sharer->pid, sharer->born);
}

/* Once in each process: /proc is slow. */
static uint64_t born(void)
{
	static _Atomic uint64_t of, ticks;
	uint64_t mine = 0;

	if (atomic_load(&of) == carom_origin())
		return atomic_load(&ticks);
	if (carom_pid_born(getpid(), &mine) < 0)
		mine = 0;
	atomic_store(&ticks, mine);
	atomic_store(&of, carom_origin());
	return mine;
}

static void be(const struct carom_duct *duct, struct sharer *sharer)
{
	sharer->handle = (uintptr_t)duct;
	sharer->pid = getpid();
	sharer->born = born();
	/* release: whoever sees that it is somebody sees who */
	__atomic_store_n(&sharer->origin, carom_origin(), __ATOMIC_RELEASE);
}

static void clear(struct sharer *sharer)
{
	__atomic_store_n(&sharer->origin, 0, __ATOMIC_RELEASE);
}

/* Return: 0, -EOWNERDEAD (the lock is held), -EDEADLK (it was), or why it is not. */
static int lock(struct carom_mutex *mutex, _Atomic bool *begun, uint64_t deadline_ns)
{
	int r;

	/* relaxed: true if it was this thread that set it; else the lock itself tells */
	if (atomic_load_explicit(begun, memory_order_relaxed) && carom_mutex_is_mine(mutex))
		return -EDEADLK;
	r = deadline_ns == CAROM_PASSED ? carom_mutex_try(mutex)
					: carom_mutex_acquire(mutex, deadline_ns);

	if (r == 0 || r == -EOWNERDEAD)
		atomic_store_explicit(begun, true, memory_order_relaxed);
	return r == -EBUSY ? -EAGAIN : r;
}

static void unlock(struct carom_mutex *mutex, _Atomic bool *begun)
{
	atomic_store_explicit(begun, false, memory_order_relaxed);
	carom_mutex_release(mutex);
}

/* ---- the other end ---- */

/* In this order: who has been told by receiving is told by sending, too. */
static void close_rings(struct carom_duct *duct)
{
	carom_ring_close(&duct->out, CAROM_RING_CONSUMER);
	carom_ring_close(&duct->in, CAROM_RING_PRODUCER);
}

static void peer_has_gone(struct carom_porter_watch *watch)
{
	close_rings((struct carom_duct *)((char *)watch - offsetof(struct carom_duct, watch)));
}

/* Asks the kernel. The other end's processes are gone: this one's then know it by the rings. */
static bool is_over(struct carom_duct *duct)
{
	struct pollfd poll_fd = { .fd = duct->socket, .events = POLLRDHUP };

	if (carom_ring_is_closed(&duct->in, CAROM_RING_PRODUCER))
		return true;
	if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		return false;
	close_rings(duct);
	return true;
}

/* ---- the bell ---- */

/* Where its socket is full there is a byte, and another one tells nothing. */
static void ring_bell(void *userdata)
{
	struct carom_duct *duct = userdata;
	int fd = fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);

	CAROM_POINT("duct.ringing");
	if (fd >= 0)
		(void)!send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int carom_duct_poll_fd(struct carom_duct *duct)
{
	int fd = fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);

	if (fd >= 0)
		atomic_store(&duct->end->is_polled, true);
	return fd;
}

static bool has_byte(int fd, int flags)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | flags) == 1;
}

/* Rung, and the byte has come: see above. */
static void arm(struct carom_duct *duct, int fd)
{
	bool is_empty = carom_ring_arm(&duct->in);

	CAROM_POINT("duct.armed");
	if (is_empty || !carom_ring_disarm(&duct->in))
		has_byte(fd, 0);
}

static void settle(struct carom_duct *duct)
{
	int fd = fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);
	int r = carom_mutex_try(&duct->end->bell_lock);

	if (r == -EOWNERDEAD)
		carom_mutex_consistent(&duct->end->bell_lock);
	else if (r < 0)
		return; /* somebody else is at it */
	if (has_byte(fd, MSG_PEEK)) {
		if (carom_ring_is_armed(&duct->in))
			has_byte(fd, 0);
		else
			arm(duct, fd);
	}
	carom_mutex_release(&duct->end->bell_lock);
}

bool carom_duct_settle(struct carom_duct *duct)
{
	if (!carom_ring_is_empty(&duct->in) || is_over(duct))
		return true;
	settle(duct);
	return !carom_ring_is_empty(&duct->in);
}

/* ---- waiting ---- */

/** typedef try_fn - one look at a ring. Return: -EAGAIN: look again */
typedef int try_fn(struct carom_duct *duct, void *attempt, uint64_t deadline_ns);

static int look_often(struct carom_duct *duct, try_fn *try, void *attempt)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < LOOKS; i++) {
		carom_spin_relax();
		r = try(duct, attempt, CAROM_PASSED);
	}
	return r;
}

static int spin(struct carom_duct *duct, struct carom_patience *patience, try_fn *try,
		void *attempt, uint64_t deadline_ns)
{
	uint64_t until = carom_deadline_after(patience->limit_ns);
	int r;

	if (until > deadline_ns)
		until = deadline_ns;
	while ((r = look_often(duct, try, attempt)) == -EAGAIN && carom_now() < until)
		;
	carom_patience_learn(patience, r != -EAGAIN);
	return r;
}

/* After a look in vain: what comes of it by the deadline. */
static int wait_for(struct carom_duct *duct, struct carom_patience *patience, try_fn *try,
		    void *attempt, uint64_t deadline_ns)
{
	int r = -EAGAIN;

	if (deadline_ns == CAROM_PASSED) /* what was sent before the end is received */
		return is_over(duct) ? try(duct, attempt, CAROM_PASSED) : -EAGAIN;
	if (carom_patience_may_spin(patience))
		r = spin(duct, patience, try, attempt, deadline_ns);
	if (r != -EAGAIN)
		return r;
	r = carom_porter_watch(&duct->watch);
	CAROM_POINT("duct.waiting");
	return r < 0 ? r : try(duct, attempt, deadline_ns);
}

/* ---- sending ---- */

struct room {
	size_t size;
	void *data;
};

static int try_room(struct carom_duct *duct, void *attempt, uint64_t deadline_ns)
{
	struct room *room = attempt;

	return carom_ring_reserve(&duct->out, room->size, deadline_ns, &room->data);
}

int carom_duct_reserve(struct carom_duct *duct, size_t size, uint64_t deadline_ns, void **ret_data)
{
	struct room room = { .size = size };
	int r = try_room(duct, &room, CAROM_PASSED);

	if (r == -EAGAIN)
		r = wait_for(duct, &duct->out_patience, try_room, &room, deadline_ns);
	if (r == 0)
		*ret_data = room.data;
	return r;
}

int carom_duct_commit(struct carom_duct *duct, size_t size)
{
	return carom_ring_commit_quietly(&duct->out, size, CAROM_RING_RECORD);
}

/* I3 */
static int send_torn(struct carom_duct *duct, uint64_t deadline_ns)
{
	void *room;
	int r = carom_duct_reserve(duct, 0, deadline_ns, &room);

	if (r < 0)
		return r;
	carom_ring_commit_quietly(&duct->out, 0, CAROM_RING_TORN);
	carom_ring_tell(&duct->out, CAROM_RING_PRODUCER);
	CAROM_POINT("duct.torn");
	duct->end->is_sending = false;
	clear(&duct->end->sender);
	return 0;
}

/* Of the lock, which is held, the last holder died. */
static void succeed_sender(struct carom_duct *duct)
{
	carom_ring_renew(&duct->out, CAROM_RING_PRODUCER);
	ring_bell(duct);
	if (duct->end->is_sending) /* whoever it was, a thread of a process that lives perhaps */
		duct->end->sender.pid = 0;
	duct->end->is_sending = false;
	CAROM_POINT("duct.succeeded");
	carom_mutex_consistent(&duct->end->send_lock);
}

/* Another's message has begun, and not ended. */
static int see_to_sender(struct carom_duct *duct, uint64_t deadline_ns)
{
	const struct sharer *sender = &duct->end->sender;

	if (is_me(duct, sender))
		return 0;
	return has_gone(sender) ? send_torn(duct, deadline_ns) : -EBUSY;
}

int carom_duct_begin_send(struct carom_duct *duct, uint64_t deadline_ns)
{
	struct carom_duct_end *end = duct->end;
	int r = lock(&end->send_lock, &duct->sends, deadline_ns);

	if (r == -EDEADLK)
		return 0;
	if (r == -EOWNERDEAD)
		succeed_sender(duct);
	else if (r < 0)
		return r;
	r = is_nobody(&end->sender) ? 0 : see_to_sender(duct, deadline_ns);
	if (r < 0)
		carom_duct_end_send(duct);
	return r;
}

void carom_duct_end_send(struct carom_duct *duct)
{
	carom_ring_tell(&duct->out, CAROM_RING_PRODUCER);
	unlock(&duct->end->send_lock, &duct->sends);
}

bool carom_duct_has_begun_send(const struct carom_duct *duct)
{
	return carom_mutex_is_mine(&duct->end->send_lock);
}

/* A quarter: while one is read, another is written. */
static size_t part_max(const struct carom_duct *duct)
{
	return duct->out.capacity / 4 - HEAD_SIZE;
}

/* Room for the next part, of @size bytes; the first one begins with how long all is. */
static int begin_part(struct carom_duct *duct, size_t size, const uint64_t *total,
		      uint64_t deadline_ns, unsigned char **ret_room)
{
	size_t head = total ? HEAD_SIZE : 0;
	void *room;
	int r = carom_duct_reserve(duct, head + size, deadline_ns, &room);

	if (r < 0)
		return r;
	if (total)
		memcpy(room, total, HEAD_SIZE);
	*ret_room = (unsigned char *)room + head;
	return 0;
}

/* I2 */
static void end_part(struct carom_duct *duct, size_t size, bool is_first, bool is_last)
{
	uint32_t kind = is_first ? CAROM_RING_FIRST : is_last ? CAROM_RING_LAST : CAROM_RING_NEXT;

	if (is_first) {
		duct->end->is_sending = true;
		be(duct, &duct->end->sender);
	}
	CAROM_POINT("duct.part");
	carom_ring_commit_quietly(&duct->out, size + (is_first ? HEAD_SIZE : 0), kind);
	carom_ring_tell(&duct->out, CAROM_RING_PRODUCER);
	CAROM_POINT("duct.part_told");
	if (is_last)
		clear(&duct->end->sender);
}

/* @is_rest: others went before. Return: how many bytes did, less than @size for *@ret_error */
static size_t send_parts(struct carom_duct *duct, const unsigned char *data, uint64_t size,
			 bool is_rest, uint64_t deadline_ns, int *ret_error)
{
	size_t sent = 0;

	duct->end->is_sending = is_rest;
	while (sent < size) {
		bool is_first = sent == 0 && !is_rest;
		size_t left = size - sent;
		size_t part = left < part_max(duct) ? left : part_max(duct);
		unsigned char *room;
		int r = begin_part(duct, part, is_first ? &size : NULL, deadline_ns, &room);

		if (r < 0) {
			*ret_error = r;
			break;
		}
		memcpy(room, data + sent, part);
		end_part(duct, part, is_first, part == left);
		sent += part;
	}
	duct->end->is_sending = false;
	return sent;
}

static int send_record(struct carom_duct *duct, const void *data, size_t size, uint64_t deadline_ns)
{
	void *room;
	int r = carom_duct_reserve(duct, size, deadline_ns, &room);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(room, data, size);
	return carom_duct_commit(duct, size);
}

int carom_duct_send(struct carom_duct *duct, const void *data, size_t size, uint64_t deadline_ns,
		    size_t *ret_sent)
{
	int r = 0;

	if (size <= duct->out.capacity / 2 - HEAD_SIZE)
		return send_record(duct, data, size, deadline_ns);
	*ret_sent = send_parts(duct, data, size, false, deadline_ns, &r);
	return r;
}

int carom_duct_send_rest(struct carom_duct *duct, const void *data, size_t size,
			 uint64_t deadline_ns, size_t *ret_sent)
{
	int r = 0;

	*ret_sent = send_parts(duct, data, size, true, deadline_ns, &r);
	return r;
}

/* ---- receiving ---- */

struct record {
	const void *data;
	size_t size;
};

static int try_record(struct carom_duct *duct, void *attempt, uint64_t deadline_ns)
{
	struct record *record = attempt;

	return carom_ring_receive(&duct->in, deadline_ns, &record->data, &record->size);
}

/*
 * Each look at an empty ring takes the line with the index away from the sender, who then
 * waits for it with its next message. Where several messages were there after a wait, more
 * are on their way: to leave them the time to gather costs less than to get them one by one.
 * Where it was one, each time, somebody waits for the answer to it.
 */
static int gather_record(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	int r;

	for (uint32_t i = 0; i < duct->pause; i++)
		carom_spin_relax();
	r = wait_for(duct, &duct->in_patience, try_record, record, deadline_ns);
	if (r == 0 && carom_ring_has_more(&duct->in))
		duct->pause = duct->pause < PAUSE_MAX ? duct->pause * 2 + 1 : PAUSE_MAX;
	else
		duct->pause /= 2;
	return r;
}

/* A record, however long it takes: 0, or why there is none. */
static int receive_record(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	int r = try_record(duct, record, CAROM_PASSED);

	if (r != -EAGAIN)
		return r;
	/* relaxed: who asked for the bell looks after that */
	if (atomic_load_explicit(&duct->end->is_polled, memory_order_relaxed))
		settle(duct);
	if (deadline_ns == CAROM_PASSED || duct->in_patience.limit_ns == 0)
		return wait_for(duct, &duct->in_patience, try_record, record, deadline_ns);
	return gather_record(duct, deadline_ns, record);
}

static uint32_t kind(const struct carom_duct *duct)
{
	return duct->end->views[CAROM_RING_CONSUMER].kind;
}

static int nonsense(struct carom_duct *duct)
{
	duct->end->views[CAROM_RING_CONSUMER].broken = true;
	return -EBADMSG;
}

/* The first part of a message: its length. */
static int take_total(struct carom_duct *duct, const void *data, size_t size, uint64_t *ret_total)
{
	uint64_t total;

	if (size < HEAD_SIZE)
		return nonsense(duct);
	memcpy(&total, data, HEAD_SIZE);
	if (total > INT64_MAX || total < size - HEAD_SIZE)
		return nonsense(duct);
	*ret_total = total;
	return 0;
}

static bool is_beginning(const struct carom_duct *duct)
{
	return kind(duct) == CAROM_RING_FIRST || kind(duct) == CAROM_RING_RECORD;
}

/* What stands at the head is no beginning. */
static int pass_over(struct carom_duct *duct)
{
	bool is_torn = kind(duct) == CAROM_RING_TORN;

	if (!is_torn && !duct->end->is_orphan)
		return nonsense(duct);
	if (is_torn || kind(duct) == CAROM_RING_LAST)
		duct->end->is_orphan = false;
	return carom_ring_release(&duct->in);
}

int carom_duct_look(struct carom_duct *duct, uint64_t deadline_ns, uint64_t *ret_size,
		    const void **ret_data)
{
	struct record record;
	uint64_t total = 0;
	int r;

	do
		r = receive_record(duct, deadline_ns, &record);
	while (r == 0 && !is_beginning(duct) && (r = pass_over(duct)) == 0);
	if (r == 0 && kind(duct) == CAROM_RING_FIRST)
		r = take_total(duct, record.data, record.size, &total);
	if (r < 0)
		return r;
	duct->end->is_orphan = false;
	*ret_data = kind(duct) == CAROM_RING_RECORD ? record.data : NULL;
	*ret_size = *ret_data ? record.size : total;
	duct->left = *ret_size;
	duct->offset = *ret_data ? 0 : HEAD_SIZE;
	return 0;
}

/* I2: this process has part of a message from now on. */
static void begin_parts(struct carom_duct *duct)
{
	duct->is_within = true;
	duct->end->is_receiving = true;
	if (is_nobody(&duct->end->receiver))
		be(duct, &duct->end->receiver);
}

static void end_parts(struct carom_duct *duct)
{
	duct->is_within = false;
	duct->end->is_receiving = false;
	clear(&duct->end->receiver);
}

/* All of the record at hand was read. */
static int end_record(struct carom_duct *duct)
{
	bool is_last = kind(duct) == CAROM_RING_LAST || kind(duct) == CAROM_RING_RECORD;

	if (is_last != (duct->left == 0))
		return nonsense(duct);
	duct->offset = 0;
	CAROM_POINT("duct.read");
	carom_ring_release(&duct->in);
	if (is_last && duct->is_within)
		end_parts(duct);
	return 0;
}

/* The parts of a message come in their order, and nothing between them. */
static int check_part(struct carom_duct *duct, size_t size)
{
	uint32_t what = kind(duct);
	bool begins = what == CAROM_RING_FIRST || what == CAROM_RING_RECORD;

	if (what == CAROM_RING_TORN && duct->is_within) {
		carom_ring_release(&duct->in);
		end_parts(duct);
		return -ECONNABORTED;
	}
	if (what == CAROM_RING_TORN || (duct->offset == 0 && begins && duct->is_within) ||
	    size - duct->offset > duct->left)
		return nonsense(duct);
	return 0;
}

ssize_t carom_duct_read(struct carom_duct *duct, void *buffer, size_t size, uint64_t deadline_ns)
{
	struct record record;
	size_t n;
	int r = receive_record(duct, deadline_ns, &record);

	if (r < 0)
		return r == -EPIPE ? 0 : r;
	r = check_part(duct, record.size);
	if (r < 0)
		return r;
	n = record.size - duct->offset < size ? record.size - duct->offset : size;
	if (!duct->is_within && n < duct->left)
		begin_parts(duct);
	if (n > 0)
		memcpy(buffer, (const unsigned char *)record.data + duct->offset, n);
	duct->offset += n;
	duct->left -= n;
	r = duct->offset == record.size ? end_record(duct) : 0;
	return r < 0 ? r : (ssize_t)n;
}

int carom_duct_release(struct carom_duct *duct)
{
	return kind(duct) == CAROM_RING_RECORD ? carom_ring_release(&duct->in) : -EINVAL;
}

bool carom_duct_is_within(const struct carom_duct *duct)
{
	return duct->is_within;
}

/* Of the lock, which is held, the last holder died. */
static void succeed_receiver(struct carom_duct *duct)
{
	carom_ring_renew(&duct->in, CAROM_RING_CONSUMER);
	if (duct->end->is_receiving)
		duct->end->receiver.pid = 0;
	duct->end->is_receiving = false;
	carom_mutex_consistent(&duct->end->receive_lock);
}

/* I4 */
static int see_to_receiver(struct carom_duct *duct)
{
	struct carom_duct_end *end = duct->end;

	if (is_me(duct, &end->receiver)) {
		end->is_receiving = true;
		return 0;
	}
	if (!has_gone(&end->receiver))
		return -EBUSY;
	end->is_orphan = true;
	end->is_receiving = false;
	clear(&end->receiver);
	return 0;
}

int carom_duct_begin_receive(struct carom_duct *duct, uint64_t deadline_ns)
{
	struct carom_duct_end *end = duct->end;
	int r = lock(&end->receive_lock, &duct->receives, deadline_ns);

	if (r == -EDEADLK)
		return 0;
	if (r == -EOWNERDEAD)
		succeed_receiver(duct);
	else if (r < 0)
		return r;
	r = is_nobody(&end->receiver) ? 0 : see_to_receiver(duct);
	if (r < 0)
		carom_duct_end_receive(duct);
	return r;
}

void carom_duct_end_receive(struct carom_duct *duct)
{
	duct->end->is_receiving = false;
	unlock(&duct->end->receive_lock, &duct->receives);
}

bool carom_duct_has_begun_receive(const struct carom_duct *duct)
{
	return carom_mutex_is_mine(&duct->end->receive_lock);
}

/* What it has begun and not ended it will not end any more. */
static void leave(struct carom_duct *duct)
{
	if (is_me(duct, &duct->end->sender))
		duct->end->sender.pid = 0;
	if (is_me(duct, &duct->end->receiver))
		duct->end->receiver.pid = 0;
	if (carom_duct_has_begun_send(duct))
		carom_duct_end_send(duct);
	if (carom_duct_has_begun_receive(duct))
		carom_duct_end_receive(duct);
}

/*
 * Loop back end: io_uring
 *
 * A one-shot POLL_ADD per descriptor, asked again after each report (which makes
 * it level triggered: a descriptor that still is ready reports at once), and a
 * FUTEX_WAIT per word where the kernel has it (Linux 6.7). Requests, repeats and
 * cancellations of one round go out in the system call that waits for the next.
 *
 * What the kernel holds and what it should hold differ while the loop runs its
 * callbacks. Slots where they do are in one of two lists:
 *
 *   I1  is_armed: the kernel holds a request with the slot's present token. Slots
 *       in the list of cancels are armed and should not be; slots in the list of
 *       arms are not armed, and should be unless they were unwatched since.
 *   I2  Cancels are submitted before arms. A word that was unwatched and is
 *       watched again has its old request cancelled before the new one looks at
 *       the word: a dying process wakes only one waiter, and it must not be the
 *       old one.
 *   I3  A slot is released only when it is in no list, and its cancellation, if
 *       it needed one, is in the submission queue.
 *
 * Cancels go out as soon as the loop's callbacks are done, since a request keeps
 * its file open after the caller has closed it. Arms wait for the next wait: a
 * descriptor asked about earlier might have been read when the report is taken.
 *
 * The ring belongs to one thread (SINGLE_ISSUER) and completions are run only
 * when that thread asks for them (DEFER_TASKRUN): a forked child cannot use the
 * ring, and the thread is never interrupted in some other system call. It starts
 * disabled, and the first run binds it; until then arms only gather.
 *
 * Such a ring cannot be polled from outside: poll(2) on its descriptor sleeps
 * through a pending completion, and an eventfd registered with it is signalled
 * some 13 ms late where the event came from another eventfd. So once
 * carom_loop_pollable_fd() was called, descriptors are watched by an epoll set,
 * which is the pollable descriptor, and the ring, which then holds nothing but
 * words, rings the loop's bell, which is in that set:
 *
 * A host may hand its loops from thread to thread. A ring cannot follow; but as it holds
 * nothing but words then, the thread that comes makes another one and has them watched
 * again. (What the old ring still held sleeps on for a moment, and may be the one waiter
 * that a dying process wakes. Whoever has to know of a death has its pidfd watched too.
 * When it goes at last, it rings the bell once more.)
 *
 *   I4  The bell is readable if the completion queue is not empty or deferred work is
 *       pending. The ring rings for what the loop itself has submitted, too, so the bell is
 *       emptied once that was seen to: by on_bell() in loop.c, which looks for who else has
 *       rung afterwards, or by settle(), which rings again for them.
 */
#include "core/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop_backend.h"
#include "core/probe.h"

/* Room for the changes of one system call, and for reports; neither limits the watches. */
#define SUBMISSIONS 128
#define COMPLETIONS 1024

/* Of Linux 6.7; liburing 2.3 does not know it. */
#define OP_FUTEX_WAIT   51
#define FUTEX2_SIZE_U32 2
#define FUTEX_ANY_WAKER 0xffffffffu /* no wider than the word, or the kernel says EINVAL */

#define NO_SLOT UINT32_MAX

/* First in, first out; linked by carom_loop_slot.next. */
struct slot_list {
	uint32_t first; /* NO_SLOT: empty */
	uint32_t last;
};

struct uring {
	struct io_uring ring;
	bool is_bound;
	pthread_t owner; /* if it is bound */
	uint8_t cancel_flags;
	struct slot_list cancels;
	struct slot_list arms;
	int epoll_fd;  /* the pollable descriptor; -1: nobody asked for it */
	bool has_bell; /* the loop's: it rings that */
};

/* --- what is to be submitted ------------------------------------------- */

static void list_slot(struct carom_loop *loop, struct slot_list *list, uint32_t index)
{
	struct carom_loop_slot *slot = &loop->slots[index];

	slot->is_listed = true;
	slot->next = NO_SLOT;
	if (list->first == NO_SLOT)
		list->first = index;
	else
		loop->slots[list->last].next = index;
	list->last = index;
}

static void unlist_first(struct carom_loop *loop, struct slot_list *list)
{
	uint32_t index = list->first;
	struct carom_loop_slot *slot = &loop->slots[index];

	list->first = slot->next;
	slot->is_listed = false;
	if (!slot->watch)
		carom_loop_release(loop, index); /* I3 */
}

static bool should_be_armed(const struct uring *uring, const struct carom_loop_slot *slot)
{
	return slot->watch && (slot->is_word || uring->epoll_fd < 0);
}

static void prepare_word(struct io_uring_sqe *sqe, const struct carom_loop_word *watch)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OP_FUTEX_WAIT;
	sqe->fd = FUTEX2_SIZE_U32; /* its flags; shared, since PRIVATE is not among them */
	sqe->addr = (uintptr_t)watch->word;
	sqe->addr2 = watch->expected;
	sqe->addr3 = FUTEX_ANY_WAKER;
}

static void prepare_arming(struct io_uring_sqe *sqe, const struct carom_loop_slot *slot,
			   uint64_t token)
{
	if (slot->is_word)
		prepare_word(sqe, slot->watch);
	else
		io_uring_prep_poll_add(sqe, ((struct carom_loop_fd *)slot->watch)->fd, POLLIN);
	sqe->user_data = token;
}

static void prepare_cancel(struct io_uring_sqe *sqe, uint64_t token, uint8_t flags)
{
	io_uring_prep_cancel64(sqe, token, 0);
	sqe->flags |= flags;
	sqe->user_data = CAROM_LOOP_NO_TOKEN;
}

static int next_sqe(struct uring *uring, struct io_uring_sqe **ret_sqe)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	int r;

	if (!sqe) {
		r = io_uring_submit(&uring->ring);
		if (r < 0)
			return r;
		sqe = io_uring_get_sqe(&uring->ring);
	}
	if (!sqe)
		return -EBUSY;
	*ret_sqe = sqe;
	return 0;
}

/* Both put requests into the submission queue, and submit it as far as it is too small. */
static int submit_cancels(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_sqe *sqe;

	while (uring->cancels.first != NO_SLOT) {
		uint32_t index = uring->cancels.first;
		int r = next_sqe(uring, &sqe);

		if (r < 0)
			return r;
		prepare_cancel(sqe, carom_loop_token(loop, index), uring->cancel_flags);
		loop->slots[index].is_armed = false;
		unlist_first(loop, &uring->cancels);
	}
	return 0;
}

static int submit_arms(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_sqe *sqe;

	while (uring->arms.first != NO_SLOT) {
		uint32_t index = uring->arms.first;
		struct carom_loop_slot *slot = &loop->slots[index];

		if (should_be_armed(uring, slot)) {
			int r = next_sqe(uring, &sqe);

			if (r < 0)
				return r;
			prepare_arming(sqe, slot, carom_loop_token(loop, index));
			slot->is_armed = true;
		}
		unlist_first(loop, &uring->arms);
	}
	return 0;
}

static int submit_changes(struct carom_loop *loop)
{
	int r = submit_cancels(loop); /* I2 */

	return r < 0 ? r : submit_arms(loop);
}

/* --- completions ------------------------------------------------------- */

/* The wake-up of a futex says nothing by itself: only the word does. */
static void complete_word(struct carom_loop *loop, uint32_t index, uint64_t token, int result)
{
	struct uring *uring = loop->state;
	const struct carom_loop_word *watch = loop->slots[index].watch;

	if (result < 0 && result != -EAGAIN && result != -ECANCELED && result != -EINTR)
		loop->error = result;
	/* acquire: whoever is told of the change also sees what was written before it */
	else if (atomic_load_explicit(watch->word, memory_order_acquire) == watch->expected)
		list_slot(loop, &uring->arms, index);
	else
		carom_loop_deliver(loop, token);
}

/* Of a watch that is gone, of a descriptor that the epoll set reports now, or of a cancellation. */
static bool is_stale(struct carom_loop *loop, uint64_t token)
{
	const struct carom_loop_slot *slot = carom_loop_slot_of(loop, token);

	return !slot || !should_be_armed(loop->state, slot);
}

static void complete(struct carom_loop *loop, uint64_t token, int result)
{
	struct uring *uring = loop->state;
	uint32_t index;

	if (is_stale(loop, token))
		return;
	index = (uint32_t)(carom_loop_slot_of(loop, token) - loop->slots);
	loop->slots[index].is_armed = false; /* I1 */
	if (loop->slots[index].is_word) {
		complete_word(loop, index, token, result);
		return;
	}
	/* before the call: if that ends the watch, the list drops the slot */
	list_slot(loop, &uring->arms, index);
	if (result != -ECANCELED)
		carom_loop_deliver(loop, token);
}

/* Only what is there now: what callbacks cause comes in the next round. */
static int reap(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	unsigned int limit = io_uring_cq_ready(&uring->ring);
	struct io_uring_cqe *cqe;
	unsigned int n;

	for (n = 0; n < limit && io_uring_peek_cqe(&uring->ring, &cqe) == 0; n++) {
		uint64_t token = cqe->user_data;
		int result = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		complete(loop, token, result);
	}
	return (int)n;
}

static bool is_passing(int error)
{
	return error == -EINTR || error == -EBUSY || error == -EAGAIN;
}

/* Submit, wait if @block, and have deferred work done. */
static int enter(struct carom_loop *loop, bool block)
{
	struct uring *uring = loop->state;
	int r = submit_changes(loop);

	if (r < 0)
		block = false; /* the queue was full: reaping makes room */
	if (r == 0 || is_passing(r))
		r = block ? io_uring_submit_and_wait(&uring->ring, 1)
			  : io_uring_submit_and_get_events(&uring->ring);
	return r;
}

static bool is_elsewhere(const struct uring *uring)
{
	return uring->is_bound && !pthread_equal(uring->owner, pthread_self());
}

static int bind_ring(struct uring *uring)
{
	int r;

	if (uring->is_bound)
		return 0;
	uring->owner = pthread_self();
	/* what io_uring_enable_rings() does, which the library of liburing 2.3 does not export */
	r = io_uring_register((unsigned int)uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
			      0);
	uring->is_bound = r >= 0;
	return r;
}

/* --- pollable from outside --------------------------------------------- */

static bool has_completions(struct uring *uring)
{
	/* relaxed: read after a system call that was made by the same thread */
	return io_uring_cq_ready(&uring->ring) > 0 ||
	       (__atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

/* I4. Emptied first, looked at after: a completion between the two rings again by itself. */
static void quiet_bell(struct carom_loop *loop)
{
	eventfd_t count;

	(void)eventfd_read(loop->bell.fd, &count);
	if (has_completions(loop->state))
		(void)eventfd_write(loop->bell.fd, 1);
}

static void uring_rung(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	int r;

	/* elsewhere: move_here() has failed, and is tried again */
	if (!uring->has_bell || is_elsewhere(uring))
		return;
	r = enter(loop, false);
	if (r < 0 && !is_passing(r))
		loop->error = r;
	reap(loop);
	quiet_bell(loop);
}

/* The leavings of cancelled requests are nothing to run the loop for. */
static void drop_stale(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&uring->ring, &cqe) == 0 && is_stale(loop, cqe->user_data))
		io_uring_cqe_seen(&uring->ring, cqe);
}

static int take_bell(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	int r = io_uring_register_eventfd(&uring->ring, loop->bell.fd);

	if (r < 0)
		return r;
	uring->has_bell = true;
	if (!uring->is_bound) /* the first run comes at once, and submits what has gathered */
		(void)eventfd_write(loop->bell.fd, 1);
	return 0;
}

static int move_to_epoll(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	int r = 0;

	for (uint32_t i = 0; i < loop->slot_count && r == 0; i++)
		if (loop->slots[i].watch && !loop->slots[i].is_word)
			r = carom_loop_epoll_add(loop, uring->epoll_fd, i);
	if (r < 0)
		return r;
	if (loop->has_native_words)
		r = take_bell(loop);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < loop->slot_count; i++)
		if (loop->slots[i].is_armed && !should_be_armed(uring, &loop->slots[i]) &&
		    !loop->slots[i].is_listed)
			list_slot(loop, &uring->cancels, i);
	return 0;
}

static int uring_pollable_fd(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	int r;

	if (uring->epoll_fd >= 0)
		return uring->epoll_fd;
	uring->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (uring->epoll_fd < 0)
		return -errno;
	r = move_to_epoll(loop);
	if (r < 0) {
		carom_closep(&uring->epoll_fd);
		return r;
	}
	if (!loop->is_running)
		loop->ops->settle(loop);
	return uring->epoll_fd;
}

/* --- the back end ------------------------------------------------------ */

/* The best a kernel has: DEFER_TASKRUN is of Linux 6.1, COOP_TASKRUN of 5.19. */
static int init_ring(struct io_uring *ring, struct io_uring_params *params)
{
	static const unsigned int ladder[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int r = -EINVAL;

	for (size_t i = 0; r == -EINVAL && i < sizeof(ladder) / sizeof(*ladder); i++) {
		*params = (struct io_uring_params){
			.flags = ladder[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
			.cq_entries = COMPLETIONS,
		};
		r = io_uring_queue_init_params(SUBMISSIONS, ring, params);
	}
	return r;
}

static int open_ring(struct uring *uring, bool *ret_takes_words)
{
	struct io_uring_params params;
	int r = init_ring(&uring->ring, &params);

	if (r < 0)
		return r;
	/* without NODROP (Linux 5.5) a full completion queue would lose reports */
	r = params.features & IORING_FEAT_NODROP ? io_uring_ring_dontfork(&uring->ring)
						 : -EOPNOTSUPP;
	if (r < 0) {
		io_uring_queue_exit(&uring->ring);
		return r;
	}
	if (params.features & IORING_FEAT_CQE_SKIP)
		uring->cancel_flags = IOSQE_CQE_SKIP_SUCCESS;
	/* any other ring interrupts its thread in epoll_wait(2) when a word changes */
	*ret_takes_words = (params.flags & IORING_SETUP_DEFER_TASKRUN) &&
			   carom_probe(CAROM_FEATURE_IO_URING_FUTEX);
	return 0;
}

/* Nothing is submitted, and every word is to be. */
static void begin_anew(struct carom_loop *loop)
{
	struct uring *uring = loop->state;

	while (uring->cancels.first != NO_SLOT)
		unlist_first(loop, &uring->cancels);
	for (uint32_t i = 0; i < loop->slot_count; i++) {
		struct carom_loop_slot *slot = &loop->slots[i];

		slot->is_armed = false;
		if (slot->in_use && slot->watch && slot->is_word && !slot->is_listed)
			list_slot(loop, &uring->arms, i);
	}
}

/* Another thread has taken over a loop whose descriptors are watched by epoll. */
static int move_here(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	struct io_uring old = uring->ring;
	bool takes_words;
	int r = open_ring(uring, &takes_words);

	if (r < 0) {
		uring->ring = old;
		return r;
	}
	io_uring_queue_exit(&old);
	uring->is_bound = false;
	r = uring->has_bell ? take_bell(loop) : 0;
	begin_anew(loop);
	return r < 0 ? r : bind_ring(uring);
}

static int uring_open(struct carom_loop *loop)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int r;

	if (!uring)
		return -ENOMEM;
	r = open_ring(uring, &loop->has_native_words);
	if (r < 0) {
		free(uring);
		return r;
	}
	uring->cancels.first = NO_SLOT;
	uring->arms.first = NO_SLOT;
	uring->epoll_fd = -1;
	loop->state = uring;
	return 0;
}

/* io_uring_queue_exit(), but for the descriptor: its number is not ours any more */
static void unmap_ring(struct io_uring *ring)
{
	munmap(ring->sq.sqes, *ring->sq.kring_entries * sizeof(struct io_uring_sqe));
	if (ring->cq.ring_ptr && ring->cq.ring_ptr != ring->sq.ring_ptr)
		munmap(ring->cq.ring_ptr, ring->cq.ring_sz);
	munmap(ring->sq.ring_ptr, ring->sq.ring_sz);
}

static void uring_lose(struct carom_loop *loop)
{
	struct uring *uring = loop->state;

	uring->ring.ring_fd = -1;
	uring->epoll_fd = -1;
}

static void uring_close(struct carom_loop *loop, bool is_copy)
{
	struct uring *uring = loop->state;

	if (is_copy) /* the ring's memory is not mapped here: something else may be there */
		carom_closep(&uring->ring.ring_fd);
	else if (loop->is_lost)
		unmap_ring(&uring->ring);
	else
		io_uring_queue_exit(&uring->ring);
	carom_closep(&uring->epoll_fd);
	free(uring);
}

static int uring_watch(struct carom_loop *loop, uint32_t index)
{
	struct uring *uring = loop->state;

	if (!loop->slots[index].is_word) {
		const struct carom_loop_fd *watch = loop->slots[index].watch;

		if (uring->epoll_fd >= 0)
			return carom_loop_epoll_add(loop, uring->epoll_fd, index);
		if (fcntl(watch->fd, F_GETFD) < 0) /* the ring would say so much later */
			return -errno;
	}
	list_slot(loop, &uring->arms, index);
	return 0;
}

static void uring_unwatch(struct carom_loop *loop, uint32_t index)
{
	struct uring *uring = loop->state;
	struct carom_loop_slot *slot = &loop->slots[index];

	if (uring->epoll_fd >= 0 && !slot->is_word)
		carom_loop_epoll_remove(uring->epoll_fd, slot->watch);
	slot->watch = NULL;
	if (slot->is_listed)
		return; /* unlist_first() releases it */
	if (slot->is_armed)
		list_slot(loop, &uring->cancels, index);
	else
		carom_loop_release(loop, index);
}

static int wait_by_epoll(struct carom_loop *loop, bool block)
{
	struct uring *uring = loop->state;
	int r;

	/* without a ring no word is reported until there is memory for one; all else is */
	if (is_elsewhere(uring) && move_here(loop) < 0)
		return carom_loop_epoll_wait(loop, uring->epoll_fd, block);
	r = submit_changes(loop);
	if (r == 0)
		r = io_uring_submit(&uring->ring);
	if (r < 0 && !is_passing(r))
		return r;
	return carom_loop_epoll_wait(loop, uring->epoll_fd, block && r >= 0);
}

static int uring_wait(struct carom_loop *loop, bool block)
{
	struct uring *uring = loop->state;
	int r = bind_ring(uring);
	int n;

	if (r < 0)
		return r;
	if (uring->epoll_fd >= 0)
		return wait_by_epoll(loop, block);
	r = enter(loop, block);
	if (r < 0 && !is_passing(r))
		return r;
	if (block && !carom_loop_is_intact(loop))
		return -EBADF; /* what is reported is of files that nobody has any more */
	n = reap(loop);
	return n == 0 && r == -EAGAIN ? -ENOMEM : n;
}

static void uring_settle(struct carom_loop *loop)
{
	struct uring *uring = loop->state;
	int r;

	if (!uring->is_bound || is_elsewhere(uring))
		return;
	/* what cannot be submitted now stays, and is tried again by the next run */
	r = uring->epoll_fd < 0 ? submit_cancels(loop) : submit_changes(loop);
	if (r < 0 || io_uring_sq_ready(&uring->ring) == 0)
		return;
	/* a cancelled request lets go of its file in the deferred work that is done here */
	(void)io_uring_submit_and_get_events(&uring->ring);
	if (!uring->has_bell)
		return;
	drop_stale(loop);
	quiet_bell(loop);
	carom_loop_ring_again(loop);
}

const struct carom_loop_ops carom_loop_uring_ops = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.watch = uring_watch,
	.unwatch = uring_unwatch,
	.wait = uring_wait,
	.settle = uring_settle,
	.rung = uring_rung,
	.lose = uring_lose,
	.pollable_fd = uring_pollable_fd,
};

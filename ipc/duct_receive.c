/*
 * Duct: receiving
 *
 * What the numbers stand for, and which death leaves what, is told in ipc/duct.c.
 */
#include <errno.h>
#include <string.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/duct_private.h"
#include "ipc/ring_record.h"
#include "shm/spin.h"

/* About what it takes a line to come from another processor; and some messages' time. */
#define PAUSE_MIN_NS 100
#define PAUSE_MAX_NS 4000

/* What is no beginning, before the clock is asked whether there is time for more of it. */
#define PASSES 64

/* Within a message, and nothing comes: does its sender live? */
#define ASK_NS CAROM_MILLISECONDS(100)

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
 * waits for it with its next message. To leave messages the time to gather costs less than to
 * get them one by one, if they come in numbers. They do if more than one was there after a
 * pause. And nobody is kept waiting for an answer, if nothing was sent since the last time,
 * and no processor from the sender, if it has been seen to send meanwhile.
 */
static bool may_gather(struct carom_duct *duct)
{
	/* relaxed: another thread may be sending; a guess */
	uint64_t sent =
		__atomic_load_n(&duct->end->views[CAROM_RING_PRODUCER].mine, __ATOMIC_RELAXED);
	bool may = sent == duct->sent && carom_patience_pays(&duct->in_patience);

	duct->sent = sent;
	return may;
}

static void pause_for(uint64_t ns)
{
	uint64_t until = carom_now() + ns;

	while (carom_now() < until)
		carom_spin_relax();
}

/* So long that they come in numbers, and not so long that their sender runs out of room. */
static uint32_t next_pause(const struct carom_duct *duct, uint32_t pause_ns)
{
	uint64_t more = carom_ring_more(&duct->in);

	if (more == 0 || more > duct->in.capacity / 4)
		return pause_ns / 2;
	return pause_ns < PAUSE_MAX_NS ? pause_ns * 2 : pause_ns;
}

static int gather_record(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	uint32_t pause_ns = duct->pause_ns > PAUSE_MIN_NS ? duct->pause_ns : PAUSE_MIN_NS;
	bool may = may_gather(duct);
	int r;

	if (may)
		pause_for(pause_ns);
	r = carom_duct_wait_for(duct, &duct->in_patience, try_record, record, deadline_ns);
	duct->pause_ns = may && r == 0 ? next_pause(duct, pause_ns) : 0;
	return r;
}

/* A record, however long it takes: 0, or why there is none. */
static int receive_record(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	int r = try_record(duct, record, CAROM_PASSED);

	if (r != -EAGAIN)
		return r;
	/* relaxed: who asked for the bell looks after that */
	if (atomic_load_explicit(&duct->end->is_polled, memory_order_relaxed)) {
		carom_duct_settle_bell(duct);
		r = try_record(duct, record, CAROM_PASSED); /* S5 of ipc/duct_bell.c */
	}
	if (r != -EAGAIN)
		return r;
	if (deadline_ns == CAROM_PASSED)
		return carom_duct_wait_for(duct, &duct->in_patience, try_record, record,
					   deadline_ns);
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

	if (size < DUCT_HEAD_SIZE)
		return nonsense(duct);
	memcpy(&total, data, DUCT_HEAD_SIZE);
	if (total > INT64_MAX || total < size - DUCT_HEAD_SIZE)
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
	return carom_ring_let_go(&duct->in);
}

/*
 * Waits, and passes over what is no beginning; who sends nothing else holds up nobody for ever.
 * There may be more in the ring then, of which an edge-triggered epoll(7) does not tell again: so
 * it is not said that there is nothing.
 */
static int receive_beginning(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	for (unsigned int i = 1;; i++) {
		int r = receive_record(duct, deadline_ns, record);

		if (r < 0 || is_beginning(duct))
			return r;
		r = pass_over(duct);
		if (r < 0)
			return r;
		if (i % PASSES == 0 && carom_now() >= deadline_ns)
			return deadline_ns == CAROM_PASSED ? -ECONNABORTED : -ETIMEDOUT;
	}
}

static int look_for(struct carom_duct *duct, uint64_t deadline_ns, uint64_t *ret_size,
		    const void **ret_data)
{
	struct record record;
	uint64_t total = 0;
	int r = receive_beginning(duct, deadline_ns, &record);

	if (r == 0 && kind(duct) == CAROM_RING_FIRST)
		r = take_total(duct, record.data, record.size, &total);
	if (r < 0)
		return r;
	duct->end->is_orphan = false;
	*ret_data = kind(duct) == CAROM_RING_RECORD ? record.data : NULL;
	*ret_size = *ret_data ? record.size : total;
	duct->left = *ret_size;
	duct->offset = *ret_data ? 0 : DUCT_HEAD_SIZE;
	return 0;
}

/* A whole message that is known to be there; NULL: look for it */
static inline const void *known_message(struct carom_duct *duct, size_t *ret_size)
{
	const void *data = carom_ring_receive_known(&duct->in, ret_size);

	if (!data || kind(duct) != CAROM_RING_RECORD)
		return NULL;
	duct->end->is_orphan = false;
	return data;
}

int carom_duct_look(struct carom_duct *duct, uint64_t deadline_ns, uint64_t *ret_size,
		    const void **ret_data)
{
	size_t size;
	const void *data = known_message(duct, &size);

	if (!data)
		return look_for(duct, deadline_ns, ret_size, ret_data);
	duct->left = *ret_size = size;
	duct->offset = 0;
	*ret_data = data;
	return 0;
}

/* I2: this process has part of a message from now on. */
static void begin_parts(struct carom_duct *duct)
{
	duct->is_within = true;
	duct->ask_ns = 0;
	duct->end->is_receiving = true;
	if (carom_duct_is_nobody(&duct->end->receiver))
		carom_duct_be(duct, &duct->end->receiver);
}

static void end_parts(struct carom_duct *duct)
{
	duct->is_within = false;
	duct->end->is_receiving = false;
	carom_duct_be_nobody(&duct->end->receiver);
}

/* All of the record at hand was read. */
static int end_record(struct carom_duct *duct)
{
	bool is_last = kind(duct) == CAROM_RING_LAST || kind(duct) == CAROM_RING_RECORD;

	if (is_last != (duct->left == 0))
		return nonsense(duct);
	duct->offset = 0;
	CAROM_POINT("duct.read");
	carom_ring_let_go(&duct->in);
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
		carom_ring_let_go(&duct->in);
		end_parts(duct);
		return -ECONNABORTED;
	}
	if (what == CAROM_RING_TORN || (duct->offset == 0 && begins && duct->is_within) ||
	    size - duct->offset > duct->left)
		return nonsense(duct);
	return 0;
}

/* I8: what it had told of before it ended is there by now; so is the end, if it was the last one. */
static int outlive_writer(struct carom_duct *duct, struct record *record)
{
	int r;

	carom_duct_is_over(duct);
	r = try_record(duct, record, CAROM_PASSED);
	if (r != -EAGAIN)
		return r;
	duct->end->is_orphan = true;
	end_parts(duct);
	return -ECONNABORTED;
}

/* The next part, which may never come. */
static int wait_for_part(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	bool is_last;
	int r;

	do {
		if (duct->ask_ns == 0)
			duct->ask_ns = carom_deadline_after(ASK_NS);
		is_last = deadline_ns <= duct->ask_ns;
		r = receive_record(duct, is_last ? deadline_ns : duct->ask_ns, record);
		if ((r != -EAGAIN && r != -ETIMEDOUT) || carom_now() < duct->ask_ns)
			break;
		duct->ask_ns = 0;
		if (carom_duct_has_lost_writer(duct))
			return outlive_writer(duct, record);
	} while (!is_last);
	return r;
}

static int receive_part(struct carom_duct *duct, uint64_t deadline_ns, struct record *record)
{
	int r = try_record(duct, record, CAROM_PASSED);

	if (r == -EAGAIN)
		r = wait_for_part(duct, deadline_ns, record);
	if (r == 0)
		duct->ask_ns = 0;
	return r;
}

ssize_t carom_duct_read(struct carom_duct *duct, void *buffer, size_t size, uint64_t deadline_ns)
{
	struct record record;
	size_t n;
	int r = duct->is_within ? receive_part(duct, deadline_ns, &record)
				: receive_record(duct, deadline_ns, &record);

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

bool carom_duct_take(struct carom_duct *duct, void *buffer, size_t size, size_t *ret_size)
{
	size_t is;
	const void *data = duct->is_within ? NULL : known_message(duct, &is);

	if (!data || is > size)
		return false;
	memcpy(buffer, data, is);
	CAROM_POINT("duct.read");
	carom_ring_let_go(&duct->in);
	if (ret_size)
		*ret_size = is;
	return true;
}

int carom_duct_release(struct carom_duct *duct)
{
	return kind(duct) == CAROM_RING_RECORD ? carom_ring_let_go(&duct->in) : -EINVAL;
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

	if (carom_duct_is_me(duct, &end->receiver)) {
		end->is_receiving = true;
		return 0;
	}
	if (!carom_duct_has_gone(&end->receiver))
		return -EBUSY;
	end->is_orphan = true;
	end->is_receiving = false;
	carom_duct_be_nobody(&end->receiver);
	return 0;
}

int carom_duct_begin_receive(struct carom_duct *duct, uint64_t deadline_ns)
{
	struct carom_duct_end *end = duct->end;
	int r = carom_duct_lock(&end->receive_lock, &duct->receives, deadline_ns);

	if (r == -EDEADLK)
		return 0;
	if (r == -EOWNERDEAD)
		succeed_receiver(duct);
	else if (r < 0)
		return r;
	r = carom_duct_is_nobody(&end->receiver) ? 0 : see_to_receiver(duct);
	if (r < 0)
		carom_duct_end_receive(duct);
	return r;
}

void carom_duct_end_receive(struct carom_duct *duct)
{
	duct->end->is_receiving = false;
	carom_duct_unlock(&duct->end->receive_lock, &duct->receives);
}

bool carom_duct_has_begun_receive(const struct carom_duct *duct)
{
	return carom_mutex_is_mine(&duct->end->receive_lock);
}

/*
 * Duct: sending
 *
 * What the numbers stand for, and which death leaves what, is told in ipc/duct.c.
 */
#include <string.h>

#include "core/points.h"
#include "ipc/duct_private.h"
#include "ipc/ring_record.h"

struct room {
	size_t size;
	void *data;
};

static int try_room(struct carom_duct *duct, void *attempt, uint64_t deadline_ns)
{
	struct room *room = attempt;

	return carom_ring_reserve(&duct->out, room->size, deadline_ns, &room->data);
}

/* Room that is not known to be there. */
__attribute__((noinline)) static int wait_for_room(struct carom_duct *duct, size_t size,
						   uint64_t deadline_ns, void **ret_data)
{
	struct room room = { .size = size };
	int r = try_room(duct, &room, CAROM_PASSED);

	if (r == -EAGAIN)
		r = carom_duct_wait_for(duct, &duct->out_patience, try_room, &room, deadline_ns);
	if (r == 0)
		*ret_data = room.data;
	return r;
}

static inline int reserve(struct carom_duct *duct, size_t size, uint64_t deadline_ns,
			  void **ret_data)
{
	void *room = carom_ring_reserve_known(&duct->out, size);

	if (!room)
		return wait_for_room(duct, size, deadline_ns, ret_data);
	*ret_data = room;
	return 0;
}

int carom_duct_reserve(struct carom_duct *duct, size_t size, uint64_t deadline_ns, void **ret_data)
{
	return reserve(duct, size, deadline_ns, ret_data);
}

int carom_duct_commit(struct carom_duct *duct, size_t size)
{
	return carom_ring_commit_quietly(&duct->out, size, CAROM_RING_RECORD);
}

/* I3. Told of with what follows it, so that nobody finds it alone without need. */
static int send_torn(struct carom_duct *duct, uint64_t deadline_ns)
{
	void *room;
	int r = carom_duct_reserve(duct, 0, deadline_ns, &room);

	if (r < 0)
		return r;
	carom_ring_commit_quietly(&duct->out, 0, CAROM_RING_TORN);
	CAROM_POINT("duct.torn");
	duct->end->is_sending = false;
	carom_duct_be_nobody(&duct->end->sender);
	return 0;
}

/* Of the lock, which is held, the last holder died. */
static void succeed_sender(struct carom_duct *duct)
{
	carom_ring_renew(&duct->out, CAROM_RING_PRODUCER);
	carom_duct_ring_bell(duct);
	if (duct->end->is_sending) /* whoever it was, a thread of a process that lives perhaps */
		duct->end->sender.pid = 0;
	duct->end->is_sending = false;
	CAROM_POINT("duct.succeeded");
	carom_mutex_consistent(&duct->end->send_lock);
}

/* Another's message has begun, and not ended. */
static int see_to_sender(struct carom_duct *duct, uint64_t deadline_ns)
{
	const struct duct_sharer *sender = &duct->end->sender;

	if (carom_duct_is_me(duct, sender))
		return 0;
	return carom_duct_has_gone(sender) ? send_torn(duct, deadline_ns) : -EBUSY;
}

int carom_duct_begin_send(struct carom_duct *duct, uint64_t deadline_ns)
{
	struct carom_duct_end *end = duct->end;
	int r = carom_duct_lock(&end->send_lock, &duct->sends, deadline_ns);

	if (r == -EDEADLK)
		return 0;
	if (r == -EOWNERDEAD)
		succeed_sender(duct);
	else if (r < 0)
		return r;
	if (__builtin_expect(!carom_porter_is_watching(&duct->watch), 0))
		carom_duct_attend(duct);
	r = carom_duct_is_nobody(&end->sender) ? 0 : see_to_sender(duct, deadline_ns);
	if (r < 0)
		carom_duct_end_send(duct);
	return r;
}

void carom_duct_end_send(struct carom_duct *duct)
{
	carom_ring_tell(&duct->out, CAROM_RING_PRODUCER);
	carom_duct_unlock(&duct->end->send_lock, &duct->sends);
}

bool carom_duct_has_begun_send(const struct carom_duct *duct)
{
	return carom_mutex_is_mine(&duct->end->send_lock);
}

/* A quarter: while one is read, another is written. */
static size_t part_max(const struct carom_duct *duct)
{
	return duct->out.capacity / 4 - DUCT_HEAD_SIZE;
}

/* Room for the next part, of @size bytes; the first one begins with how long all is. */
static int begin_part(struct carom_duct *duct, size_t size, const uint64_t *total,
		      uint64_t deadline_ns, unsigned char **ret_room)
{
	size_t head = total ? DUCT_HEAD_SIZE : 0;
	void *room;
	int r = carom_duct_reserve(duct, head + size, deadline_ns, &room);

	if (r < 0)
		return r;
	if (total)
		memcpy(room, total, DUCT_HEAD_SIZE);
	*ret_room = (unsigned char *)room + head;
	return 0;
}

/* I2 */
static void end_part(struct carom_duct *duct, size_t size, bool is_first, bool is_last)
{
	uint32_t kind = is_first ? CAROM_RING_FIRST : is_last ? CAROM_RING_LAST : CAROM_RING_NEXT;

	if (is_first) {
		duct->end->is_sending = true;
		carom_duct_be(duct, &duct->end->sender);
		carom_duct_sign(duct);
	}
	CAROM_POINT("duct.part");
	carom_ring_commit_quietly(&duct->out, size + (is_first ? DUCT_HEAD_SIZE : 0), kind);
	carom_ring_tell(&duct->out, CAROM_RING_PRODUCER);
	CAROM_POINT("duct.part_told");
	if (is_last)
		carom_duct_be_nobody(&duct->end->sender);
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
	int r = reserve(duct, size, deadline_ns, &room);

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

	if (size <= duct->out.capacity / 2 - DUCT_HEAD_SIZE)
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

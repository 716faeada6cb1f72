/*
 * Line: which way its messages go
 *
 * Through the connection; and once the process has called some times, through a chute (ipc/chute.h)
 * as well, if the server is on this machine and gives one. It is asked for one by a call of its own
 * that nobody waits for, and answers with a descriptor behind its answer. Whoever reads then takes
 * it from there.
 *
 *   I1  Who reads sleeps on the connection alone. A thread that is about to call wakes this end of
 *       the chute, but not while another one reads, and perhaps sleeps.
 *   I2  A number that is given back goes before all that its thread sends later: see ipc/chute.c.
 *       So does a call that was given up: perhaps not even all of it has been sent. What follows
 *       goes the same way, until an answer tells that all before it has been taken. Numbers of
 *       calls are given in the order of sending.
 *   I3  The connection may be at its end while answers are in the chute: these are taken first.
 */
#include <errno.h>
#include <string.h>

#include "core/fd.h"
#include "ipc/connection_private.h"
#include "ipc/line_private.h"
#include "ipc/passing.h"
#include "shm/spin.h"

#define HELLO_CALL 1
#define LOOKS      16         /* before the clock is looked at */
#define UNKNOWN    UINT64_MAX /* a detour whose end is the next call */

static struct carom_chute *chute_of(const struct carom_line *line)
{
	/* acquire: all of it; pairs with A1 in attach() */
	return atomic_load_explicit(&line->way.chute, memory_order_acquire);
}

void carom_way_begin_anew(struct carom_way *way)
{
	carom_chute_free(atomic_load(&way->chute));
	memset(way, 0, sizeof(*way));
}

/* What the kernel says of a connection that is no more. */
static int as_one_error(int r)
{
	return r == -EAGAIN || r == -ETIMEDOUT || r == -ENOMEM || r == -EMSGSIZE || r == -EINVAL ||
			       r == -EBADMSG
		       ? r
		       : -EPIPE;
}

/* ---- sending ---- */

bool carom_way_may_ask(struct carom_line *line, uint64_t call)
{
	struct carom_way *way = &line->way;

	uint64_t before;

	if (way->is_asked || !line->path)
		return false;
	before = carom_chute_calls_before();
	way->is_asked = before == CAROM_CHUTE_NEVER || call > HELLO_CALL + before;
	return way->is_asked && before != CAROM_CHUTE_NEVER;
}

/* I2; relaxed: who reads changes nothing but a call's number, to 0 */
static void keep_order(struct carom_way *way, uint64_t call)
{
	if (call == 0)
		atomic_store_explicit(&way->detour, UNKNOWN, memory_order_relaxed);
	else if (atomic_load_explicit(&way->detour, memory_order_relaxed) == UNKNOWN)
		atomic_store_explicit(&way->detour, call, memory_order_relaxed);
}

void carom_way_unanswered(struct carom_line *line)
{
	if (chute_of(line))
		atomic_store_explicit(&line->way.detour, UNKNOWN, memory_order_relaxed);
}

void carom_way_answered(struct carom_line *line, uint64_t call)
{
	uint64_t detour = atomic_load_explicit(&line->way.detour, memory_order_relaxed);

	if (detour != 0 && call >= detour)
		atomic_compare_exchange_strong(&line->way.detour, &detour, 0);
}

/* All of it, or what is left is kept and goes with the next one. */
static int send_by_connection(struct carom_line *line, const void *data, size_t size,
			      uint64_t until_ns)
{
	struct carom_chute *chute = chute_of(line);
	int r;

	if (chute)
		carom_chute_note(chute, 1);
	r = carom_connection_send_bytes(line->connection, data, size, until_ns);
	if (r < 0 && r != -EINPROGRESS && chute)
		carom_chute_note(chute, -1);
	return r == -EINPROGRESS ? 0 : r < 0 ? as_one_error(r) : 0;
}

static int send_by_chute(struct carom_line *line)
{
	struct carom_chute *chute = chute_of(line);

	if (!chute || atomic_load_explicit(&line->way.detour, memory_order_relaxed) != 0)
		return -EAGAIN;
	return carom_chute_send(chute, line->cbor.data, line->cbor.size);
}

/* Where there is no room for it, the server has something else that it is woken by. */
static int nudge(struct carom_line *line, uint64_t until_ns)
{
	int r = send_by_connection(line, "", 0, until_ns);

	return r == -EPIPE ? r : 0;
}

int carom_way_send(struct carom_line *line, uint64_t call, uint64_t until_ns)
{
	int r = send_by_chute(line);

	if (r == CAROM_CHUTE_NUDGE)
		return nudge(line, until_ns);
	if (r != -EAGAIN)
		return r;
	r = send_by_connection(line, line->cbor.data, line->cbor.size, until_ns);
	if (r == 0 && call != CAROM_LINE_CHUTE_CALL)
		keep_order(&line->way, call);
	return r;
}

/* ---- receiving ---- */

void carom_way_look_out(struct carom_line *line)
{
	struct carom_chute *chute = chute_of(line);

	if (!chute)
		return;
	if (carom_chute_shares_cpu(chute)) /* which the server needs */
		carom_chute_sleep(chute);
	else if (carom_chute_is_asleep(chute) && carom_patience_may_spin(&line->way.patience))
		carom_chute_wake(chute);
}

static int attach(struct carom_line *line, int fd)
{
	struct carom_chute *chute;
	int r = carom_chute_attach(fd, &chute);

	if (r < 0)
		return r;
	carom_chute_patience(&line->way.patience);
	line->way.taken = 0;
	atomic_store_explicit(&line->way.chute, chute, memory_order_release); /* A1 */
	return 0;
}

/* Without it the line goes on: the server takes this end to be asleep. */
static int take_chute(struct carom_line *line, uint64_t until_ns)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r = carom_connection_recv_fd(line->connection, until_ns, &fd);

	if (r == -EAGAIN || r == -ETIMEDOUT)
		return r;
	line->way.is_due = false;
	if (r == 0)
		attach(line, fd);
	return r < 0 && r != -EMFILE ? as_one_error(r) : 0;
}

/* Has something come through the connection that was not taken? */
static bool is_noted(const struct carom_line *line, const struct carom_chute *chute)
{
	return (int32_t)(carom_chute_noted(chute) - line->way.taken) > 0;
}

/* Return: is there something, one way or the other? */
static bool look_often(const struct carom_line *line, const struct carom_chute *chute)
{
	for (int i = 0; i < LOOKS; i++) {
		if (!carom_chute_is_empty(chute) || is_noted(line, chute))
			return true;
		carom_spin_relax();
	}
	return false;
}

static void spin(struct carom_line *line, const struct carom_chute *chute, uint64_t until_ns)
{
	uint64_t end_ns;

	if (look_often(line, chute))
		return;
	end_ns = carom_deadline_after(line->way.patience.limit_ns);
	if (end_ns > until_ns)
		end_ns = until_ns;
	while (!look_often(line, chute) && carom_now() < end_ns)
		;
}

/* Return: -EAGAIN: it comes through the connection, and this end sleeps, or there is something */
static int receive_by_chute(struct carom_line *line, struct carom_chute *chute, uint64_t until_ns,
			    size_t *ret_size)
{
	bool was_awake = !carom_chute_is_asleep(chute);
	int r;

	if (was_awake)
		spin(line, chute, until_ns);
	if (is_noted(line, chute))
		return -EAGAIN;
	do
		r = carom_chute_receive(chute, line->buffer, CAROM_LINE_BUFFER_SIZE, ret_size);
	while (r == -EAGAIN && !carom_chute_is_asleep(chute) && !carom_chute_sleep(chute));
	if (was_awake && (r == 0 || r == -EAGAIN))
		carom_patience_learn(&line->way.patience, r == 0);
	return r;
}

static int receive_by_connection(struct carom_line *line, uint64_t until_ns, void **ret_memory,
				 const void **ret_data, size_t *ret_size)
{
	int r = carom_connection_recv_bytes_into(line->connection, line->buffer,
						 CAROM_LINE_BUFFER_SIZE, until_ns, ret_size);

	*ret_data = line->buffer;
	if (r == -EMSGSIZE) {
		r = carom_connection_recv_bytes(line->connection, 0, until_ns, ret_memory,
						ret_size);
		*ret_data = *ret_memory;
	}
	return r == -EMSGSIZE ? -EBADMSG : r < 0 ? as_one_error(r) : 0;
}

/* I3 */
static int receive_last(struct carom_line *line, struct carom_chute *chute, const void **ret_data,
			size_t *ret_size)
{
	*ret_data = line->buffer;
	return carom_chute_receive(chute, line->buffer, CAROM_LINE_BUFFER_SIZE, ret_size) == 0
		       ? 0
		       : -EPIPE;
}

/* -EAGAIN: it was a nudge */
static int receive_once(struct carom_line *line, struct carom_chute *chute, uint64_t until_ns,
			void **ret_memory, const void **ret_data, size_t *ret_size)
{
	int r = receive_by_chute(line, chute, until_ns, ret_size);

	*ret_data = line->buffer;
	if (r != -EAGAIN)
		return r;
	r = receive_by_connection(line, until_ns, ret_memory, ret_data, ret_size);
	if (r == -EPIPE)
		return receive_last(line, chute, ret_data, ret_size);
	if (r == 0)
		line->way.taken++;
	if (r == 0 && *ret_size == 0)
		return -EAGAIN;
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int carom_way_receive(struct carom_line *line, uint64_t until_ns, void **ret_memory,
		      const void **ret_data, size_t *ret_size)
{
	int r = line->way.is_due ? take_chute(line, until_ns) : 0;
	struct carom_chute *chute = chute_of(line);

	if (r < 0)
		return r;
	if (!chute)
		return receive_by_connection(line, until_ns, ret_memory, ret_data, ret_size);
	do
		r = receive_once(line, chute, until_ns, ret_memory, ret_data, ret_size);
	while (r == -EAGAIN);
	return r;
}

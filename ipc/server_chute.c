/*
 * Server: its clients' chutes (ipc/chute.h)
 *
 * A chute is warm while its client has called a moment ago: then the server looks at it, and the
 * client puts its calls there. The server sleeps when none is warm any more. So each call of a
 * busy client takes a look, and no system call; how many clients are busy makes no difference, as
 * all their calls are taken on one round. A client that calls now and then is not worth the wait
 * for its next call: its patience (ipc/patience.h) says so, and it uses its socket. So does one
 * that runs on the server's processor: who waits there for the other one has to let it run.
 *
 * ---- Eight clients on two processors
 *
 * Nine processes want to run, and the kernel puts four or five on each processor. Who shares the
 * server's goes through its socket, a call a turn of the loop, and is woken and waited for: about
 * 8 us of that processor each. The others call through their chutes meanwhile, one at a time, for
 * a time slice each. All together take 2 to 4 us a call (one client: 1 to 1.3; eight through
 * sockets alone: 10). Measured, and not done, since eight gain nothing by it beyond the noise:
 *
 *	who shares the processor calls sched_yield(2) instead of sleeping, and so does the server:
 *	one client on one processor takes 4.4 us a call instead of 12; eight on two 2 to 5. A
 *	change of processes is 1.2 to 1.5 us on that machine, as much as the call. Where somebody
 *	computes it is a time slice, and has to be left off in time.
 *	all clients yield, not only those: 3.5 to 5.6
 *	chutes stay warm for 20 ms while any is in use: 2.1 to 3.1, beside 2.2 to 3.6
 *	who shares the processor is seen through its chute, and answered by the socket: 2.5 to 4
 *	LOOP_NS is 30 us instead of 100: 2.9 to 5.2
 *
 *   I1  A chute that is not warm was said to sleep, so nothing comes through it unseen.
 *   I2  What is in a chute is done before what comes through its client's socket, and before the
 *       session is over.
 *   I3  While some are warm the loop has its turn every LOOP_NS, and at once where a client has
 *       sent something through its socket.
 *   I4  Of a session that is stalled nothing is taken, as of its socket. Its chute cools down with
 *       what is in there, and is warm again when the session goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fd.h"
#include "ipc/chute.h"
#include "ipc/connection_private.h"
#include "ipc/object_private.h"
#include "ipc/peer.h"
#include "ipc/server_private.h"
#include "shm/spin.h"

#define CHUTES_MAX 1024                   /* each takes 28 KiB */
#define WARM_NS    CAROM_MICROSECONDS(50) /* without a call, and it cools down */
#define LOOP_NS    CAROM_MICROSECONDS(100)
#define LOOKS      16 /* or messages, before the clock is looked at */
#define BATCH      16 /* messages of one client, while others wait */

/**
 * struct carom_served_chute - of a session
 * @taken:    how many messages have come through its socket
 * @until_ns: warm, unless something comes
 * @is_used: something has come since the clock was looked at
 * @was_useful: something has come since it is warm
 * @previous, @next: of those that are warm
 */
struct carom_served_chute {
	struct carom_chute *chute;
	struct carom_session *session;
	struct carom_patience patience;
	uint32_t taken;
	bool is_warm;
	bool is_used;
	bool was_useful;
	uint64_t until_ns;
	struct carom_served_chute *previous;
	struct carom_served_chute *next;
};

/* ---- warm and cold ---- */

/* I3 */
static bool has_more(const struct carom_served_chute *served)
{
	return (int32_t)(carom_chute_noted(served->chute) - served->taken) > 0;
}

static void link_it(struct carom_served_chute *served)
{
	struct carom_server *server = served->session->server;

	served->previous = NULL;
	served->next = server->warm;
	if (served->next)
		served->next->previous = served;
	server->warm = served;
	served->is_warm = true;
}

static void unlink_it(struct carom_served_chute *served)
{
	if (served->previous)
		served->previous->next = served->next;
	else
		served->session->server->warm = served->next;
	if (served->next)
		served->next->previous = served->previous;
	served->is_warm = false;
}

static void warm(struct carom_served_chute *served)
{
	served->until_ns = carom_deadline_after(WARM_NS);
	served->is_used = served->was_useful = false;
	link_it(served);
	carom_chute_wake(served->chute);
}

void carom_chute_came(struct carom_session *session)
{
	struct carom_served_chute *served = session->chute;

	if (!served)
		return;
	served->taken++;
	if (!has_more(served)) /* some went before there was a chute, and are not counted there */
		served->taken = carom_chute_noted(served->chute);
	if (!served->is_warm && !carom_chute_shares_cpu(served->chute) &&
	    carom_patience_may_spin(&served->patience))
		warm(served);
}

/* I1, I4: what it did not look at it looks at now. */
void carom_chute_resume(struct carom_session *session)
{
	if (session->chute && !session->chute->is_warm)
		warm(session->chute);
}

static bool leave_alone(struct carom_served_chute *served)
{
	if (!carom_chute_sleep(served->chute) && !served->session->is_stalled)
		return false;
	unlink_it(served);
	return true;
}

static void cool(struct carom_served_chute *served)
{
	if (leave_alone(served))
		carom_patience_learn(&served->patience, served->was_useful);
}

/* ---- beginning and end ---- */

/* Who is let in may be another user, if it has the key; it does not share memory with this one. */
static int check_client(const struct carom_session *session)
{
	struct carom_peer peer;

	if (session->is_python || session->chute || session->is_stalled ||
	    carom_chute_calls_before() == CAROM_CHUTE_NEVER ||
	    session->server->chute_count >= CHUTES_MAX)
		return -EOPNOTSUPP;
	if (carom_connection_peer(session->connection, &peer) < 0)
		return -EOPNOTSUPP;
	return peer.family == AF_UNIX && peer.uid == geteuid() ? 0 : -EOPNOTSUPP;
}

static int new_chute(struct carom_session *session, int *ret_fd,
		     struct carom_served_chute **ret_served)
{
	struct carom_served_chute *served = calloc(1, sizeof(*served));
	int r = served ? carom_chute_new(&served->chute, ret_fd) : -ENOMEM;

	if (r < 0) {
		free(served);
		return r;
	}
	served->session = session;
	carom_chute_patience(&served->patience);
	*ret_served = served;
	return 0;
}

/* The answer, and the memory right behind it: what follows may go through that. */
static int hand_over(struct carom_request *request, int fd)
{
	int r = carom_request_reply(request, "p", true);

	if (r == 0)
		r = carom_connection_send_with_fds(request->session->connection,
						   request->reply.data, request->reply.size, &fd, 1,
						   CAROM_PASSED);
	if (r == 0 || r == -EINPROGRESS)
		request->call = 0; /* which is answered */
	if (r == -EINPROGRESS)
		carom_session_stall(request->session);
	return r == -EINPROGRESS ? 0 : r;
}

int carom_chute_offer(struct carom_request *request)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	struct carom_session *session = request->session;
	int r = check_client(session);

	if (r == 0)
		r = new_chute(session, &fd, &session->chute);
	if (r < 0)
		return r;
	session->server->chute_count++;
	r = hand_over(request, fd);
	if (r < 0)
		carom_chute_end(session);
	return r;
}

void carom_chute_end(struct carom_session *session)
{
	struct carom_served_chute *served = session->chute;

	if (!served)
		return;
	if (served->is_warm)
		unlink_it(served);
	carom_chute_free(served->chute);
	free(served);
	session->chute = NULL;
	session->server->chute_count--;
}

/* ---- answers ---- */

bool carom_chute_answer(struct carom_session *session, const void *data, size_t size)
{
	int r = session->chute ? carom_chute_send(session->chute->chute, data, size) : -EAGAIN;

	if (r == CAROM_CHUTE_NUDGE)
		carom_session_nudge(session);
	else if (r == -EBADMSG)
		session->is_ended = true;
	return r != -EAGAIN;
}

void carom_chute_went(struct carom_session *session)
{
	if (session->chute)
		carom_chute_note(session->chute->chute, 1);
}

/* ---- calls ---- */

static int serve_one(struct carom_session *session)
{
	unsigned char message[CAROM_CHUTE_MESSAGE_MAX];
	size_t size;
	int r = carom_chute_receive(session->chute->chute, message, sizeof(message), &size);

	if (r < 0)
		return r;
	session->chute->is_used = true;
	r = carom_dispatch(session, message, size);
	carom_referents_bury(session->server); /* before the next one asks for them */
	return session->is_ended ? -EPIPE : r;
}

/* Return: how many were there; or why it is over */
static int serve_batch(struct carom_session *session)
{
	int count = 0, r = 0;

	while (r == 0 && count < BATCH && !session->is_stalled) {
		r = serve_one(session);
		count += r == 0;
	}
	return r < 0 && r != -EAGAIN ? r : count;
}

/* As much as there can have been. Should an answer stall the session, the others are kept (I2). */
int carom_chute_empty(struct carom_session *session)
{
	int r = session->chute ? 0 : -EAGAIN;

	for (int i = 0; r == 0 && i < CAROM_CHUTE_MESSAGES_MAX; i++)
		r = serve_one(session);
	return r == -EAGAIN ? 0 : r;
}

/* One look at each. Return: how many messages there were; *@ret_more: the loop has something, too */
static int go_round(struct carom_server *server, bool *ret_more)
{
	struct carom_served_chute *served, *next;
	int count = 0;

	for (served = server->warm; served; served = next) {
		int r = 0;

		next = served->next;
		if (!carom_chute_is_empty(served->chute))
			r = serve_batch(served->session);
		*ret_more |= has_more(served);
		if (r < 0)
			carom_session_end(served->session);
		else
			count += r;
	}
	carom_referents_bury(server); /* of the sessions that have ended */
	return count;
}

static void look_at_clock(struct carom_server *server, uint64_t now)
{
	struct carom_served_chute *served, *next;

	for (served = server->warm; served; served = next) {
		next = served->next;
		if (served->is_used) {
			served->until_ns = now + WARM_NS;
			served->was_useful = true;
			served->is_used = false;
		} else if (now >= served->until_ns) {
			cool(served);
			continue;
		}
		if (carom_chute_shares_cpu(served->chute))
			leave_alone(served);
	}
}

static void look_often(struct carom_server *server, bool *ret_more)
{
	int count;

	for (int i = 0; i < LOOKS && server->warm && !*ret_more; i += 1 + count) {
		count = go_round(server, ret_more);
		if (count == 0)
			carom_spin_relax();
	}
}

bool carom_chutes_serve(struct carom_server *server)
{
	uint64_t now = server->warm ? carom_now() : 0, end_ns = now + LOOP_NS;
	bool more = false;

	while (server->warm && now < end_ns && !more && !carom_server_is_stopped(server)) {
		look_often(server, &more);
		now = carom_now();
		look_at_clock(server, now);
	}
	return server->warm;
}

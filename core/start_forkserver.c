/*
 * Start by the fork server
 *
 * The parcel goes inside the request where it fits, else in a memfd; descriptors beside
 * it as many as one packet carries, the rest in further packets through a socket of
 * the child's own, which stand there before the child is asked for.
 *
 * The service's thread asks and is answered; who starts the child waits for that on a
 * futex. It always comes: a fork server that dies answers what it was asked (see
 * core/forkserver.c), and one that cannot be made is an answer too.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bootstrap.h"
#include "core/cleanup.h"
#include "core/forkserver_private.h"
#include "core/points.h"
#include "core/service.h"
#include "core/start.h"

/* room in one request for what is not the child's: the parcel, the channel, the sandbox */
#define DIRECT_FDS_MAX (CAROM_FORKSERVER_FDS_MAX - 3)

/**
 * struct order - a child that is asked for
 * @fds:     the request's descriptors; the last ones are ours to close
 * @own_fds: parcel and channel, -1 where there is none; only the sandbox's page, which
 *           follows them, is the caller's
 */
struct order {
	struct carom_service *service;
	struct carom_birth birth;
	struct carom_poke poke;
	struct carom_child_reply reply;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool is_answered;
	int fds[CAROM_FORKSERVER_FDS_MAX];
	int own_fds[2];
};

/* --- what is sent ------------------------------------------------------ */

static int send_more(int channel_fd, const int *fds, size_t count)
{
	while (count) {
		size_t n = count < CAROM_PACKET_FDS_MAX ? count : CAROM_PACKET_FDS_MAX;
		int r = carom_packet_send(channel_fd, "", 1, fds, n, MSG_DONTWAIT);

		if (r < 0)
			return r == -EAGAIN ? -ETOOMANYREFS : r;
		fds += n;
		count -= n;
	}
	return 0;
}

static int fill_channel(const int *fds, size_t count, int *ret_channel_fd)
{
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r = send_more(pair[0], fds, count);
	close(pair[0]); /* what was sent stays in the other end */
	if (r < 0)
		close(pair[1]);
	else
		*ret_channel_fd = pair[1];
	return r;
}

static int add_fds(struct order *order, const struct carom_parcel *parcel,
		   struct carom_delivery *delivery)
{
	size_t direct = parcel->fd_count < DIRECT_FDS_MAX ? parcel->fd_count : DIRECT_FDS_MAX;
	size_t more = parcel->fd_count - direct;
	size_t count = direct;
	int r = 0;

	delivery->fd_count = (uint32_t)direct;
	delivery->more_count = (uint32_t)more;
	if (direct)
		memcpy(order->fds, parcel->fds, direct * sizeof(int));
	if (more)
		r = fill_channel(parcel->fds + direct, more, &order->own_fds[1]);
	delivery->has_file = order->own_fds[0] >= 0;
	delivery->has_channel = order->own_fds[1] >= 0;
	delivery->has_sandbox = parcel->sandbox_fd >= 0;
	for (int i = 0; i < 2; i++)
		if (order->own_fds[i] >= 0)
			order->fds[count++] = order->own_fds[i];
	if (parcel->sandbox_fd >= 0)
		order->fds[count++] = parcel->sandbox_fd;
	order->birth.request.fd_count = count;
	return r;
}

/* @ret_request: malloc'd */
static int pack(struct order *order, const struct carom_parcel *parcel,
		struct carom_delivery **ret_request)
{
	struct carom_parcel plain = *parcel;
	struct carom_delivery *delivery;
	size_t head_size, size;
	void *head;
	int r;

	plain.fds = NULL; /* they get new numbers */
	r = carom_parcel_pack(&plain, &head, &head_size);
	if (r < 0)
		return r;
	size = sizeof(*delivery) + head_size + parcel->argument_size;
	if (size > CAROM_FORKSERVER_ARGUMENT_MAX) {
		r = carom_parcel_file(head, head_size, parcel->argument, parcel->argument_size,
				      &order->own_fds[0]);
		size = sizeof(*delivery);
	}
	delivery = r == 0 ? aligned_alloc(64, (size + 63) / 64 * 64) : NULL;
	if (delivery && size > sizeof(*delivery)) {
		memcpy(delivery->parcel, head, head_size);
		if (parcel->argument_size)
			memcpy(delivery->parcel + head_size, parcel->argument,
			       parcel->argument_size);
	}
	free(head);
	if (!delivery)
		return r < 0 ? r : -ENOMEM;
	order->birth.request.argument = delivery;
	order->birth.request.size = size;
	*ret_request = delivery;
	return 0;
}

/* --- asking ------------------------------------------------------------ */

static void born(struct carom_birth *birth, const struct carom_child_reply *reply)
{
	struct order *order = birth->userdata;

	CAROM_POINT("start.born");
	pthread_mutex_lock(&order->lock);
	order->reply = *reply;
	order->is_answered = true;
	pthread_cond_signal(&order->answered);
	pthread_mutex_unlock(&order->lock);
}

static void ask(struct carom_poke *poke)
{
	struct order *order = poke->userdata;

	carom_service_bear(order->service, &order->birth);
}

static void wait_for_answer(struct order *order)
{
	pthread_mutex_lock(&order->lock);
	while (!order->is_answered)
		pthread_cond_wait(&order->answered, &order->lock);
	pthread_mutex_unlock(&order->lock);
}

static pid_t place(struct order *order, const struct carom_parcel *parcel, int *ret_pidfd)
{
	struct carom_delivery *delivery;
	int r = pack(order, parcel, &delivery);

	if (r < 0)
		return r;
	r = add_fds(order, parcel, delivery);
	if (r == 0) {
		order->birth.request.function = carom_bootstrap_delivery;
		order->birth.request.fds = order->fds;
		order->birth.request.cgroup_fd = parcel->cgroup_fd;
		order->birth.request.namespaces = parcel->namespaces;
		CAROM_POINT("start.packed");
		carom_service_poke(order->service, &order->poke);
		wait_for_answer(order);
		r = order->reply.error;
	}
	free(delivery);
	if (r < 0)
		return r;
	*ret_pidfd = order->reply.pidfd;
	return order->reply.pid;
}

pid_t carom_start_forkserver(struct carom_parcel *parcel, int *ret_pidfd)
{
	struct order order = { .own_fds = { -1, -1 } };
	char directory[PATH_MAX];
	pid_t pid;
	int r = carom_service_get(&order.service);

	if (r < 0)
		return r;
	parcel->directory = getcwd(directory, sizeof(directory));
	order.birth.born = born;
	order.birth.userdata = &order;
	order.poke.function = ask;
	order.poke.userdata = &order;
	pthread_mutex_init(&order.lock, NULL);
	pthread_cond_init(&order.answered, NULL);
	pid = place(&order, parcel, ret_pidfd);
	pthread_cond_destroy(&order.answered);
	pthread_mutex_destroy(&order.lock);
	carom_closep(&order.own_fds[0]);
	carom_closep(&order.own_fds[1]);
	return pid;
}

/*
 * Duct: making
 *
 * Both ends at once: all that either needs is put into a letter, and whoever has its socket
 * attaches by that.
 */
#include "ipc/duct.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "core/fd.h"
#include "core/probe.h"
#include "ipc/duct_private.h"
#include "shm/memfd.h"

#define CAPACITY_DEFAULT CAROM_KIB(256)

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
	end->magic = DUCT_MAGIC;
	end->ring_size = ring_size(plan);
	end->spin_ns = plan->spin_ns;
	end->out_index = index;
	end->may_send = !plan->is_simplex || index == 1;
	end->is_missed = carom_probe(CAROM_FEATURE_ROBUST_LIST);
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
	return carom_letter_post(plan->sockets[1 - i], &carom_pipe_letter, fds);
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

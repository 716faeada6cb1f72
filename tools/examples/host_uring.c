/*
 * Host: a pool without threads in an io_uring of the program's own
 *
 * The loop has a heartbeat of its own, which goes on while the workers work. Where the
 * kernel allows no io_uring there is nothing to show, which is status 77.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>

#include "collatz.h"

#define STATUS_SKIPPED 77

enum event { POOL_READY, HEARTBEAT };

/* One answer for each request: a repeated one (multishot) tells of changes only. */
static void ask_for_pool(struct io_uring *ring, struct carom_pool *pool)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_poll_add(sqe, carom_pool_fd(pool), POLLIN);
	io_uring_sqe_set_data64(sqe, POOL_READY);
}

static void ask_for_heartbeat(struct io_uring *ring)
{
	static struct __kernel_timespec pause = { .tv_nsec = COLLATZ_HEARTBEAT_MS * 1000000 };
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_timeout(sqe, &pause, 0, 0);
	io_uring_sqe_set_data64(sqe, HEARTBEAT);
}

static int take(struct collatz *search, struct io_uring *ring, enum event event)
{
	int r = 0;

	if (event == HEARTBEAT) {
		search->beat_count++;
		ask_for_heartbeat(ring);
	} else {
		r = carom_pool_poll(search->pool, CAROM_PASSED);
		if (r >= 0)
			ask_for_pool(ring, search->pool);
	}
	return r;
}

static int run(struct collatz *search, struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int r = 0;

	ask_for_pool(ring, search->pool);
	ask_for_heartbeat(ring);
	while (r >= 0) {
		r = io_uring_submit_and_wait(ring, 1);
		if (r < 0 && r != -EINTR)
			return r;
		r = 0;
		while (r >= 0 && io_uring_peek_cqe(ring, &cqe) == 0) {
			enum event event = io_uring_cqe_get_data64(cqe);

			io_uring_cqe_seen(ring, cqe);
			r = take(search, ring, event);
		}
	}
	return r;
}

int main(void)
{
	struct collatz search = { 0 };
	struct io_uring ring;
	int r = io_uring_queue_init(8, &ring, 0);

	if (r < 0) {
		fprintf(stderr, "no io_uring here\n");
		return STATUS_SKIPPED;
	}
	r = collatz_begin(&search);
	if (r == 0)
		r = run(&search, &ring);
	io_uring_queue_exit(&ring);
	return collatz_end(&search, r);
}

/*
 * Lane: a hand
 *
 * The lane that is one worker's, and the descriptors that it is given. See lane_dealer.c.
 *
 *   K8  The argument of a task, as its worker sees it, is mapped there for reading only, by a
 *       descriptor that can do no more, in a file that has nothing else in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "ipc/lane_dealer.h"
#include "shm/segment_private.h"

static void close_fd(struct lane_hand *hand, enum hand_fd which)
{
	carom_private_fd_remove(&hand->private_fds[which]);
	if (which == HAND_LANE && hand->lane)
		carom_segment_close_fd(hand->lane->segment);
	else if (which == HAND_READERS && hand->lane)
		carom_segment_close_fd(hand->lane->arguments_segment);
	else
		carom_closep(&hand->fds[which]);
	hand->fds[which] = -1;
}

void carom_hand_close(struct lane_hand *hand)
{
	for (int i = 0; i < HAND_FDS; i++)
		close_fd(hand, (enum hand_fd)i);
}

void carom_hand_lose_fds(struct lane_hand *hand)
{
	for (int i = 0; i < HAND_FDS; i++) {
		carom_private_fd_remove(&hand->private_fds[i]);
		hand->fds[i] = -1;
	}
	if (!hand->lane)
		return;
	carom_segment_lose_fd(hand->lane->segment);
	carom_segment_lose_fd(hand->lane->arguments_segment);
}

static int open_for_reading(int fd)
{
	char path[64];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, O_RDONLY | O_CLOEXEC);
	if (opened >= 0)
		return opened;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;
}

static int open_fds(struct lane_hand *hand)
{
	int bell[2];

	hand->fds[HAND_LANE] = carom_segment_fd(hand->lane->segment);
	hand->fds[HAND_READERS] = carom_segment_fd(hand->lane->arguments_segment);
	hand->fds[HAND_ARGUMENTS] = open_for_reading(hand->fds[HAND_READERS]);
	if (hand->fds[HAND_ARGUMENTS] < 0)
		return hand->fds[HAND_ARGUMENTS];
	if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	hand->fds[HAND_BELL_READ] = bell[0];
	hand->fds[HAND_BELL] = bell[1];
	for (int i = 0; i < HAND_FDS; i++)
		carom_private_fd_add(&hand->private_fds[i], hand->fds[i]);
	return 0;
}

static void begin_anew(struct carom_lane *lane, struct lane_hand *hand)
{
	hand->pid = 0;
	hand->is_open = false;
	hand->is_leaving = false;
	atomic_store(&hand->is_foul, false);
	hand->is_stalled = false;
	atomic_store(&hand->ready_ns, 0);
	hand->is_armed = false;
	hand->arm_count = 0;
	hand->ring_count = 0;
	hand->done_count = 0;
	hand->used = 0;
	hand->depth = 1;
	carom_hand_note(lane, hand);
	carom_hand_set_slow(lane, hand, false);
}

/* what every worker is to find at the same place */
static void put_kept(const struct carom_lane *lane, struct lane_hand *hand)
{
	const struct lane_dealer *dealer = lane->dealer;
	struct carom_lane *own = hand->lane;
	uint64_t begin =
		dealer->kept_size ? dealer->kept_offset + carom_arena_room(dealer->kept_size) : 0;

	if (dealer->kept_size)
		memcpy(own->view.arguments + dealer->kept_offset,
		       lane->view.arguments + dealer->kept_offset, dealer->kept_size);
	carom_arena_init(&hand->arguments, own->view.arguments, begin, own->view.payload_size,
			 NULL);
}

int carom_dealer_prepare(struct carom_lane *lane, uint32_t worker)
{
	struct carom_lane_options options = {
		.worker_count = 1,
		.slot_count = HAND_SLOTS,
		.payload_size = lane->view.payload_size,
		.spin_ns = lane->dealer->spin_ns,
		.kind = CAROM_LANE_DEALT,
	};
	struct lane_hand *hand = hand_of(lane, worker);
	int r;

	carom_hand_close(hand);
	hand->lane = carom_lane_free(hand->lane);
	begin_anew(lane, hand);
	r = carom_lane_new(&options, &hand->lane);
	if (r < 0)
		return r;
	r = open_fds(hand);
	if (r < 0) {
		carom_hand_close(hand);
		hand->lane = carom_lane_free(hand->lane);
		return r;
	}
	put_kept(lane, hand);
	if (lane->dealer->stop == CAROM_LANE_HALT)
		carom_lane_stop(hand->lane, CAROM_LANE_HALT);
	return 0;
}

void carom_lane_hand_fds(const struct carom_lane *lane, uint32_t worker,
			 int ret_fds[CAROM_LANE_HAND_FDS])
{
	const struct lane_hand *hand = hand_of(lane, worker);

	ret_fds[0] = hand->fds[HAND_LANE];
	ret_fds[1] = hand->fds[HAND_ARGUMENTS];
	ret_fds[2] = hand->fds[HAND_BELL];
}

void carom_lane_handed_over(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);

	close_fd(hand, HAND_LANE);
	close_fd(hand, HAND_READERS);
	close_fd(hand, HAND_ARGUMENTS);
	close_fd(hand, HAND_BELL);
}

int carom_lane_hand_bell(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->fds[HAND_BELL_READ];
}

const void *carom_lane_hand_values(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->lane->view.values;
}

struct carom_lane *carom_dealer_lane(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->lane;
}

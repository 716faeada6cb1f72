/*
 * Worker
 *
 * The life of a worker's process: it becomes itself, then claims, calls, finishes, and
 * so on until the pool ends.
 */
#include "pool/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ipc/lane.h"
#include "pool/call_private.h"
#include "pool/outcome.h"

#define BELL_FD_MIN 900 /* below the usual limit of 1024 */

static void run_task(struct carom_lane *lane, uint32_t worker, int32_t pid, uint32_t index)
{
	struct carom_slot *slot = carom_lane_slot(lane, index);
	char message[CAROM_OUTCOME_MESSAGE_MAX];
	struct carom_call call = {
		.lane = lane,
		.slot = slot,
		.worker = worker,
		.message = message,
	};

	slot->pid = pid;
	if (slot->flags & CAROM_TASK_BATCH)
		carom_call_run_batch(&call, index);
	else
		carom_call_run(&call);
}

/* so that whoever closes low descriptors, and opens others in their place, does not meet it */
static int out_of_the_way(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, BELL_FD_MIN);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

int carom_worker_main(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_worker_start start;
	struct carom_lane *lane;
	int32_t pid = getpid();
	uint32_t slot;

	if (size != sizeof(start) || fd_count < 1 || fd_count > 2)
		return 70;
	memcpy(&start, argument, sizeof(start));
	carom_self_become(&start.self);
	carom_log_import(&start.log);
	if (carom_lane_attach(fds[0], (uint32_t)start.index, start.begin, start.end, &lane) < 0)
		return 71;
	close(fds[0]);
	if (fd_count > 1)
		carom_lane_set_bell(lane, out_of_the_way(fds[1]));
	signal(SIGINT, SIG_IGN); /* ^C is for the program: it decides what becomes of its workers */
	carom_lane_await_admission(lane);
	carom_lane_ready(lane); /* without the life word the pidfd alone announces the death */
	while (carom_lane_claim(lane, &slot) == 0) {
		run_task(lane, (uint32_t)start.index, pid, slot);
		carom_lane_finish(lane, slot);
	}
	return 0;
}

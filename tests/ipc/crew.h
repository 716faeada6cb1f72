/*
 * A lane with workers, as tests want it: processes that run what a slot's `function`
 * points to, and hold nothing of the lane but what a worker attaches.
 */
#ifndef CAROM_TESTS_IPC_CREW_H
#define CAROM_TESTS_IPC_CREW_H

#include "tests/shm/help.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"

#define CREW_MAX 8

/** typedef job_fn - what a worker does with a task; leaves the value in the slot */
typedef void job_fn(struct carom_lane *lane, struct carom_slot *slot);

/** struct gate - where tasks wait; shared */
struct gate {
	_Atomic uint32_t arrived;
	_Atomic uint32_t open;
};

struct crew {
	struct carom_lane *lane;
	uint32_t worker_count;
	pid_t pids[CREW_MAX];
	struct gate *gates;
};

/* of the lanes that are made from now on */
static uint32_t crew_backlog_max;

/* ---- workers ---- */

static inline int work(struct carom_lane *lane)
{
	uint32_t index;

	while (carom_lane_claim(lane, &index) == 0) {
		struct carom_slot *slot = carom_lane_slot(lane, index);

		slot->pid = getpid();
		((job_fn *)(uintptr_t)slot->function)(lane, slot);
		carom_lane_finish(lane, index);
	}
	return 0;
}

/* a child of the parent's; what it inherits of the parent's view it drops first */
static inline pid_t new_worker(struct carom_lane *lane, uint32_t index)
{
	pid_t pid;

	carom_lane_prepare(lane, index);
	pid = child();
	if (pid == 0) {
		int fd = dup(carom_lane_fd(lane));

		carom_lane_free(lane);
		if (carom_lane_attach(fd, -1, index, 0, UINT64_MAX, &lane) < 0 ||
		    carom_lane_ready(lane) < 0)
			_exit(99);
		close(fd);
		_exit(work(lane));
	}
	return pid;
}

static inline struct carom_lane *new_lane(uint32_t worker_count, uint32_t slot_count,
					  uint64_t spin_ns)
{
	struct carom_lane_options options = {
		.worker_count = worker_count,
		.slot_count = slot_count,
		.backlog_max = crew_backlog_max,
		.payload_size = CAROM_MIB(16),
		.spin_ns = spin_ns,
	};
	struct carom_lane *lane = NULL;

	cr_assert(zero(int, carom_lane_new(&options, &lane)));
	return lane;
}

static inline struct crew new_crew(uint32_t worker_count, uint32_t slot_count, uint64_t spin_ns)
{
	struct crew crew = { .lane = new_lane(worker_count, slot_count, spin_ns),
			     .worker_count = worker_count,
			     .gates = share(2 * sizeof(struct gate)) };

	for (uint32_t i = 0; i < worker_count; i++)
		crew.pids[i] = new_worker(crew.lane, i);
	return crew;
}

/* kills what is left, and frees the lane */
static inline void crew_deinit(struct crew *crew)
{
	for (uint32_t i = 0; i < crew->worker_count; i++)
		if (crew->pids[i] > 0)
			killed(crew->pids[i]);
	crew->lane = carom_lane_free(crew->lane);
}

/* Return: as ended(). */
static inline int join(struct crew *crew, uint32_t worker)
{
	return ended(carom_take_fd(crew->pids[worker]));
}

/* ---- tasks ---- */

static inline void fill(struct carom_lane *lane, uint32_t slot, job_fn *job, uint64_t argument)
{
	struct carom_slot *lines = carom_lane_slot(lane, slot);

	lines->function = (uint64_t)(uintptr_t)job;
	lines->argument_size = sizeof(argument);
	memcpy(lines->argument.bytes, &argument, sizeof(argument));
}

static inline uint64_t argument_of(const struct carom_slot *slot)
{
	uint64_t argument;

	memcpy(&argument, slot->argument.bytes, sizeof(argument));
	return argument;
}

static inline void reply(struct carom_slot *slot, uint64_t value)
{
	slot->value_size = sizeof(value);
	memcpy(slot->value.bytes, &value, sizeof(value));
}

static inline uint64_t value_of(const struct carom_lane *lane, uint32_t slot)
{
	uint64_t value;

	memcpy(&value, carom_lane_slot(lane, slot)->value.bytes, sizeof(value));
	return value;
}

static inline uint32_t submit(struct carom_lane *lane, job_fn *job, uint64_t argument)
{
	uint32_t slot = carom_lane_take(lane);
	bool woke;

	cr_assert(ne(u32, slot, CAROM_LANE_NO_SLOT));
	fill(lane, slot, job, argument);
	cr_assert(zero(int, carom_lane_submit(lane, &slot, 1, &woke)));
	return slot;
}

static inline uint64_t word_of(const struct carom_lane *lane, uint32_t slot)
{
	return atomic_load(&carom_lane_slot(lane, slot)->word);
}

static inline enum carom_slot_state state_of(const struct carom_lane *lane, uint32_t slot)
{
	return carom_slot_state(word_of(lane, slot));
}

static inline int wait_for(struct carom_lane *lane, uint32_t slot, uint64_t deadline_ns)
{
	return carom_lane_await(lane, slot, carom_lane_generation(lane, slot), deadline_ns, true);
}

/* has this process, or thread, been asleep for good when it was looked at? */
static inline bool is_asleep(pid_t tid)
{
	char path[64], line[512], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "r");
	if (file && fgets(line, sizeof(line), file) && strrchr(line, ')'))
		state = strrchr(line, ')')[2];
	if (file)
		fclose(file);
	return state == 'S';
}

/* ---- jobs ---- */

static inline void job_triple(struct carom_lane *lane, struct carom_slot *slot)
{
	reply(slot, argument_of(slot) * 3);
}

/* the argument points to a gate: says that it is there, waits until it opens */
static inline void job_hold(struct carom_lane *lane, struct carom_slot *slot)
{
	struct gate *gate = (void *)(uintptr_t)argument_of(slot);

	atomic_fetch_add(&gate->arrived, 1);
	await(atomic_load(&gate->open));
	reply(slot, 1);
}

/* a worker that is busy until the gate opens */
static inline uint32_t hold(struct carom_lane *lane, struct gate *gate)
{
	uint32_t before = atomic_load(&gate->arrived);
	uint32_t slot = submit(lane, job_hold, (uint64_t)(uintptr_t)gate);

	await(atomic_load(&gate->arrived) > before);
	return slot;
}

#endif

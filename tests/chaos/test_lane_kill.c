/*
 * Processes of a lane are killed, at each named point and at random instants, while
 * tasks flow. Each task must end exactly once, nobody may hang, and in the end each
 * worker must still be within reach.
 *
 * The test's main thread supervises: it waits for deaths on pidfds, sweeps, replaces.
 * A second thread submits in bursts, so that workers are woken by each other, and
 * sleeps on what it submitted.
 */
#include "tests/ipc/crew.h"

#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>

#include "core/points.h"

#define PARKED    CAROM_LANE_SPIN_NEVER
#define SPINNING  CAROM_MICROSECONDS(10)
#define SLOTS     32
#define BACKLOG   3
#define BURST_MAX 12

/* of each kind; a process with a sanitizer's shadow is born slowly */
#ifdef __SANITIZE_ADDRESS__
#define DEATHS 10
#else
#define DEATHS 100
#endif

/**
 * struct rig - a crew under attack
 * @lock:        as a pool's: around everything but waiting
 * @pidfds:      of the workers
 * @begun:       per burst member, how often a worker began it; shared
 * @target:      the point that is armed, or NULL
 * @aim:         deaths that are enough
 * @doom:        the point at which those who sweep are killed, or NULL
 * @doomed:      how many of them were
 * @kill_chance: after a burst is submitted, one in so many times a worker is killed
 * @kills:       so many were
 * @problem:     what went wrong first
 */
struct rig {
	struct crew crew;
	pthread_mutex_t lock;
	int pidfds[CREW_MAX];
	int done_fd;
	_Atomic uint32_t *begun;
	uint64_t seed;
	const char *target;
	uint32_t aim;
	const char *doom;
	uint32_t doomed;
	uint32_t kill_chance;
	uint32_t kills;
	uint64_t task_count;
	uint64_t lost_count;
	char problem[128];
};

static void __attribute__((format(printf, 2, 3))) fail(struct rig *rig, const char *format, ...)
{
	va_list arguments;

	if (rig->problem[0])
		return;
	va_start(arguments, format);
	vsnprintf(rig->problem, sizeof(rig->problem), format, arguments);
	va_end(arguments);
}

/* ---- tasks ---- */

/* an argument is {which begun count:32 | number:32}; an odd number may not run again */
static _Atomic uint32_t *begun_counts;

static void job_mark(struct carom_lane *lane, struct carom_slot *slot)
{
	atomic_fetch_add(&begun_counts[argument_of(slot) >> 32], 1);
	reply(slot, argument_of(slot) * 3 + 1);
}

static void job_mark_slowly(struct carom_lane *lane, struct carom_slot *slot)
{
	uint64_t until = carom_deadline_after(CAROM_MICROSECONDS(50));

	while (carom_now() < until)
		cpu_relax();
	job_mark(lane, slot);
}

static void job_die_at_first(struct carom_lane *lane, struct carom_slot *slot)
{
	job_mark(lane, slot);
	if (atomic_load(&begun_counts[argument_of(slot) >> 32]) == 1)
		kill(getpid(), SIGKILL);
}

static bool may_run_again(const struct carom_lane *lane, uint32_t slot)
{
	return argument_of(carom_lane_slot(lane, slot)) % 2 == 0;
}

static enum carom_sweep_verdict verdict(uint32_t slot, void *userdata)
{
	const struct rig *rig = userdata;

	return may_run_again(rig->crew.lane, slot) ? CAROM_SWEEP_AGAIN : CAROM_SWEEP_LOST;
}

/* ---- supervising: the main thread ---- */

static void start_worker(struct rig *rig, uint32_t index)
{
	rig->crew.pids[index] = new_worker(rig->crew.lane, index);
	rig->pidfds[index] = pidfd_open(rig->crew.pids[index], 0);
	cr_assert(ge(int, rig->pidfds[index], 0));
}

struct sweep {
	struct rig *rig;
	uint32_t worker;
};

static int sweep(void *userdata)
{
	struct sweep *sweep = userdata;

	carom_lane_sweep(sweep->rig->crew.lane, sweep->worker, verdict, sweep->rig);
	return 0;
}

/*
 * Sweeps in a process of its own, which shares all memory with this one, as the
 * supervising thread of a pool does with the pool's owner.
 */
static int sweep_apart(struct sweep *job)
{
	size_t stack_size = CAROM_KIB(256);
	char *stack = malloc(stack_size);
	pid_t pid = clone(sweep, stack + stack_size, CLONE_VM | CLONE_VFORK | SIGCHLD, job);
	int status;

	cr_assert(lt(int, 0, pid));
	status = ended(pid);
	free(stack);
	return status;
}

static void sweep_with_doom(struct rig *rig, struct sweep *job)
{
	cr_assert(zero(int, carom_point_arm(rig->doom, 1)));
	if (sweep_apart(job) == -SIGKILL)
		rig->doomed++;
	carom_point_disarm_all();
	cr_assert(zero(int, sweep_apart(job)));
}

static void replace(struct rig *rig, uint32_t index)
{
	struct sweep job = { .rig = rig, .worker = index };

	pthread_mutex_lock(&rig->lock);
	ended(rig->crew.pids[index]);
	close(rig->pidfds[index]);
	if (rig->doom)
		sweep_with_doom(rig, &job);
	else
		sweep(&job);
	start_worker(rig, index);
	pthread_mutex_unlock(&rig->lock);
}

static void supervise(struct rig *rig)
{
	uint32_t count = rig->crew.worker_count;
	struct pollfd watched[CREW_MAX + 1];

	for (;;) {
		for (uint32_t i = 0; i < count; i++)
			watched[i] = (struct pollfd){ .fd = rig->pidfds[i], .events = POLLIN };
		watched[count] = (struct pollfd){ .fd = rig->done_fd, .events = POLLIN };
		poll(watched, count + 1, -1);
		if (watched[count].revents)
			return;
		for (uint32_t i = 0; i < count; i++)
			if (watched[i].revents)
				replace(rig, i);
	}
}

/* ---- submitting: the other thread ---- */

/**
 * struct burst - tasks that are under way
 */
struct burst {
	uint32_t count;
	uint32_t slots[BURST_MAX];
	uint32_t generations[BURST_MAX];
	uint64_t arguments[BURST_MAX];
};

static job_fn *choose_job(struct rig *rig)
{
	if (rig->doom)
		return chance(&rig->seed) % 4 ? job_mark : job_die_at_first;
	return rig->kill_chance ? job_mark_slowly : job_mark;
}

/* nobody sleeps for them, but those who leave and ring them die on the way */
static void ask_for_notices(struct carom_lane *lane)
{
	while (carom_lane_noticed(lane, 0) != CAROM_LANE_NO_SLOT)
		;
	carom_lane_arm(lane);
}

static void submit_burst(struct rig *rig, struct burst *burst)
{
	struct carom_lane *lane = rig->crew.lane;
	bool woke;
	int r;

	burst->count = 1 + chance(&rig->seed) % BURST_MAX;
	pthread_mutex_lock(&rig->lock);
	for (uint32_t i = 0; i < burst->count; i++) {
		burst->slots[i] = carom_lane_take(lane);
		burst->arguments[i] = (uint64_t)i << 32 | (rig->task_count++ & UINT32_MAX);
		atomic_store(&rig->begun[i], 0);
		fill(lane, burst->slots[i], choose_job(rig), burst->arguments[i]);
		carom_lane_slot(lane, burst->slots[i])->flags = CAROM_TASK_END;
	}
	ask_for_notices(lane);
	r = carom_lane_submit(lane, burst->slots, burst->count, &woke);
	for (uint32_t i = 0; i < burst->count; i++)
		burst->generations[i] = carom_lane_generation(lane, burst->slots[i]);
	pthread_mutex_unlock(&rig->lock);
	if (r < 0)
		fail(rig, "submitting: %d", r);
}

/* the owner of a task that runs, if there is one */
static uint32_t choose_victim(struct rig *rig, const struct burst *burst)
{
	uint32_t first = chance(&rig->seed) % burst->count;

	for (uint32_t i = 0; i < burst->count; i++) {
		uint64_t word = word_of(rig->crew.lane, burst->slots[(first + i) % burst->count]);

		if (carom_slot_state(word) == CAROM_SLOT_RUNNING)
			return carom_slot_owner(word);
	}
	return chance(&rig->seed) % rig->crew.worker_count;
}

static void kill_one(struct rig *rig, const struct burst *burst)
{
	for (uint32_t pause = chance(&rig->seed) % 4096; pause > 0; pause--)
		cpu_relax();
	pthread_mutex_lock(&rig->lock);
	if (pidfd_send_signal(rig->pidfds[choose_victim(rig, burst)], SIGKILL, NULL, 0) == 0)
		rig->kills++;
	pthread_mutex_unlock(&rig->lock);
}

static void check_end(struct rig *rig, uint32_t slot, uint64_t argument)
{
	struct carom_lane *lane = rig->crew.lane;
	uint32_t begun = atomic_load(&rig->begun[argument >> 32]);
	bool again = may_run_again(lane, slot);

	if (state_of(lane, slot) == CAROM_SLOT_LOST) {
		rig->lost_count++;
		if (again || begun > 1)
			fail(rig, "task %u was lost, begun %u times", (uint32_t)argument, begun);
	} else if (state_of(lane, slot) != CAROM_SLOT_DONE) {
		fail(rig, "task %u is in state %d", (uint32_t)argument, state_of(lane, slot));
	} else if (value_of(lane, slot) != argument * 3 + 1) {
		fail(rig, "task %u has a wrong value", (uint32_t)argument);
	} else if (begun < 1 || (begun > 1 && !again)) {
		fail(rig, "task %u is done, begun %u times", (uint32_t)argument, begun);
	}
}

static void collect_burst(struct rig *rig, const struct burst *burst)
{
	struct carom_lane *lane = rig->crew.lane;
	bool may_spin = chance(&rig->seed) % 2;

	for (uint32_t i = burst->count; i-- > 0 && !rig->problem[0];) {
		uint64_t deadline = carom_deadline_after(CAROM_SECONDS(20));

		/* who wakes up by the deadline finds the end as well: was it woken? */
		if (carom_lane_await(lane, burst->slots[i], burst->generations[i], deadline,
				     may_spin) < 0 ||
		    carom_now() > deadline)
			fail(rig, "task %u hangs: word %llx", (uint32_t)burst->arguments[i],
			     (unsigned long long)word_of(lane, burst->slots[i]));
	}
	pthread_mutex_lock(&rig->lock);
	for (uint32_t i = 0; i < burst->count && !rig->problem[0]; i++) {
		check_end(rig, burst->slots[i], burst->arguments[i]);
		carom_lane_give(lane, burst->slots[i]);
	}
	pthread_mutex_unlock(&rig->lock);
}

/* Half of the bursts find everybody asleep, as far as that comes soon. */
static void let_them_park(struct rig *rig)
{
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(1));
	const _Atomic uint64_t *idle = &rig->crew.lane->header->idle[0];

	if (chance(&rig->seed) % 2)
		await((uint32_t)__builtin_popcountll(atomic_load(idle)) == rig->crew.worker_count ||
		      carom_now() > deadline);
}

static bool is_enough(const struct rig *rig, uint32_t burst_count)
{
	if (rig->target) {
		uint32_t hits = carom_point_hits(rig->target);

		/* not all points are on the way of every crew */
		return hits >= rig->aim || burst_count >= (hits ? 5000 : 500);
	}
	return (rig->doom ? rig->doomed : rig->kills) >= rig->aim || burst_count >= 20000;
}

/*
 * Each worker is given a task that keeps it: whoever is out of reach is found out. Where
 * tasks may wait, so many more than workers are needed for that.
 */
static void reach_everybody(struct rig *rig)
{
	uint64_t deadline = carom_deadline_after(CAROM_SECONDS(10));
	struct gate *gate = rig->crew.gates;
	uint32_t count = rig->crew.worker_count + crew_backlog_max;
	uint32_t slots[CREW_MAX + BACKLOG];

	for (uint32_t i = 0; i < count; i++) {
		pthread_mutex_lock(&rig->lock);
		slots[i] = submit(rig->crew.lane, job_hold, (uint64_t)(uintptr_t)gate);
		pthread_mutex_unlock(&rig->lock);
		await(atomic_load(&gate->arrived) + crew_backlog_max > i || carom_now() > deadline);
	}
	if (atomic_load(&gate->arrived) < rig->crew.worker_count)
		fail(rig, "only %u of %u workers are within reach", atomic_load(&gate->arrived),
		     rig->crew.worker_count);
	atomic_store(&gate->open, 1);
	for (uint32_t i = 0; i < count; i++)
		if (wait_for(rig->crew.lane, slots[i], deadline) < 0)
			fail(rig, "a worker does not come back");
}

static void *submitter_thread(void *userdata)
{
	struct rig *rig = userdata;
	struct burst burst;

	for (uint32_t i = 0; !is_enough(rig, i) && !rig->problem[0]; i++) {
		submit_burst(rig, &burst);
		if (rig->kill_chance && chance(&rig->seed) % rig->kill_chance == 0)
			kill_one(rig, &burst);
		collect_burst(rig, &burst);
		let_them_park(rig);
	}
	if (!rig->problem[0]) {
		if (rig->target)
			rig->kills = carom_point_hits(rig->target);
		carom_point_disarm_all();
		reach_everybody(rig);
	}
	eventfd_write(rig->done_fd, 1);
	return NULL;
}

/* ---- a run ---- */

static void run(struct rig *rig, uint32_t worker_count, uint64_t spin_ns)
{
	pthread_t submitter;

	rig->begun = begun_counts = share(BURST_MAX * sizeof(*begun_counts));
	rig->done_fd = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&rig->lock, NULL);
	rig->crew = (struct crew){ .lane = new_lane(worker_count, SLOTS, spin_ns),
				   .worker_count = worker_count,
				   .gates = share(sizeof(struct gate)) };
	for (uint32_t i = 0; i < worker_count; i++)
		start_worker(rig, i);

	cr_assert(zero(int, pthread_create(&submitter, NULL, submitter_thread, rig)));
	supervise(rig);
	pthread_join(submitter, NULL);

	for (uint32_t i = 0; i < worker_count; i++)
		close(rig->pidfds[i]);
	close(rig->done_fd);
	pthread_mutex_destroy(&rig->lock);
	munmap(begun_counts, BURST_MAX * sizeof(*begun_counts));
	crew_deinit(&rig->crew);
	cr_assert(zero(int, rig->problem[0]), "%u workers, spin %lld ns, %s: %s", worker_count,
		  (long long)spin_ns,
		  rig->target ? rig->target
		  : rig->doom ? rig->doom
			      : "random",
		  rig->problem);
}

static void need_points(void)
{
	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
	carom_point_disarm_all();
}

/* the next point whose name begins so, each name once; NULL at the end */
static const char *next_point(const char *prefix, size_t *index)
{
	const char *name;

	while ((name = carom_point_name((*index)++))) {
		size_t earlier = 0;

		while (strcmp(carom_point_name(earlier), name) != 0)
			earlier++;
		if (earlier == *index - 1 && strncmp(name, prefix, strlen(prefix)) == 0)
			return name;
	}
	return NULL;
}

/* ---- workers, at every point ---- */

/* Where a worker comes but once, or for certain only at first, it takes births to get there. */
static bool needs_births(const char *name)
{
	return strcmp(name, "lane.alive") == 0 || strncmp(name, "lane.spin.", 10) == 0;
}

static uint32_t kill_at(const char *name, uint32_t worker_count, uint64_t spin_ns, uint64_t *seed)
{
	struct rig rig = { .target = name,
			   .aim = DEATHS,
			   .kill_chance = needs_births(name),
			   .seed = chance(seed) };

	/* never each one: then nothing would ever get done */
	cr_assert(zero(int, carom_point_arm(name, 2 + chance(seed) % 4)));
	run(&rig, worker_count, spin_ns);
	fprintf(stderr, "# %-18s %u workers: %3u killed, %llu of %llu tasks lost\n", name,
		worker_count, rig.kills, (unsigned long long)rig.lost_count,
		(unsigned long long)rig.task_count);
	return rig.kills;
}

static void kill_at_every_point(uint64_t spin_ns)
{
	uint64_t seed = new_seed();
	const char *name;

	for (size_t i = 0; (name = next_point("lane.", &i));) {
		bool spins = strncmp(name, "lane.spin.", 10) == 0;
		uint32_t kills = kill_at(name, 1, spin_ns, &seed) +
				 kill_at(name, 2, spin_ns, &seed) +
				 kill_at(name, 4, spin_ns, &seed);

		if (spins && spin_ns == PARKED)
			cr_expect(zero(u32, kills), "%s", name);
		else
			cr_expect(ge(u32, kills, DEATHS), "%s", name);
	}
}

Test(lane_kill, parked_workers_at_every_point, .timeout = 240)
{
	need_points();
	kill_at_every_point(PARKED);
}

Test(lane_kill, spinning_workers_at_every_point, .timeout = 240)
{
	need_points();
	kill_at_every_point(SPINNING);
}

Test(lane_kill, workers_with_a_backlog_at_every_point, .timeout = 240)
{
	need_points();
	crew_backlog_max = BACKLOG;
	kill_at_every_point(PARKED);
}

/* ---- those who sweep, at every point ---- */

static void doom_at(const char *name, uint64_t *seed)
{
	struct rig rig = { .doom = name, .aim = DEATHS, .seed = chance(seed) };

	run(&rig, 3, PARKED);
	fprintf(stderr, "# %-18s %3u sweeps cut short, %llu of %llu tasks lost\n", name, rig.doomed,
		(unsigned long long)rig.lost_count, (unsigned long long)rig.task_count);
	cr_expect(ge(u32, rig.doomed, DEATHS), "%s", name);
}

Test(lane_kill, sweeps_at_every_point, .timeout = 240)
{
	static const char *const prefixes[] = { "sweep.", "lane.wake." };
	uint64_t seed = new_seed();
	uint32_t names = 0;

	need_points();
	for (int which = 0; which < 2; which++) {
		const char *name;

		for (size_t i = 0; (name = next_point(prefixes[which], &i)); names++)
			doom_at(name, &seed);
	}
	cr_expect(ge(u32, names, 6));
}

/* ---- at random ---- */

static void kill_at_random(uint32_t worker_count, uint64_t spin_ns)
{
	uint64_t seed = new_seed();
	struct rig rig = { .aim = 4 * DEATHS, .kill_chance = 2, .seed = seed };

	run(&rig, worker_count, spin_ns);
	fprintf(stderr, "# at random, %u workers: %u killed, %llu of %llu tasks lost\n",
		worker_count, rig.kills, (unsigned long long)rig.lost_count,
		(unsigned long long)rig.task_count);
	cr_expect(ge(u32, rig.kills, 4 * DEATHS));
}

Test(lane_kill, workers_at_random_instants, .timeout = 240)
{
	kill_at_random(1, PARKED);
	kill_at_random(2, SPINNING);
	kill_at_random(4, PARKED);
	kill_at_random(4, SPINNING);
}

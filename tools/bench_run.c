/*
 * Run
 *
 * Between the two looks at the clock there is one vfork with its exec, one poll(2) and one
 * wait: what the command takes, and nothing that grows with this program. Its group and its
 * counters are made before, and looked at after.
 *
 *   I1  When this returns nothing of the run lives on: its group is killed, or, without one,
 *       its process group. (What has left that, without a group, is not found.)
 *   I2  A group serves one run after the other while nothing of one stays in it for the next:
 *       no process, no group of its own, and no memory, where it accounts for that: the cache
 *       of files would stay, and the peak. What it has counted before a run is taken from what
 *       it has after that. (What a command writes to the files of its group stays for the rest.)
 *   I3  The command is bound to its CPUs by being born on them: the mask is this thread's
 *       until it is started, so nothing happens between fork and exec.
 */
#include "tools/bench_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_group.h"
#include "core/cgroup_usage.h"
#include "core/cleanup.h"
#include "core/pidfd.h"
#include "core/spawn.h"
#include "core/time.h"
#include "tools/say.h"

/* For the end of what was killed; a process that is stuck in the kernel is not waited for. */
#define GRACE_NS CAROM_SECONDS(5)

struct run {
	struct carom_bench_place *place;
	struct carom_cgroup *group;
	bool is_left_empty;
	struct carom_bench_counters counters;
	bool counts;
	pid_t pid;
	int pidfd;
};

static uint64_t ns_of(struct timeval time)
{
	return (uint64_t)time.tv_sec * CAROM_NS_PER_SEC + (uint64_t)time.tv_usec * 1000;
}

/* ---- its start ---- */

int carom_bench_place_make_group(struct carom_bench_place *place, char *reason)
{
	uint64_t bytes;
	int r = carom_cgroup_new(
		&(struct carom_cgroup_options){ .name = "bench", .limits = place->limits }, reason,
		&place->group);

	if (r < 0)
		return r;
	place->counted = (struct carom_cgroup_cpu){ 0 };
	place->counts_memory = carom_cgroup_memory_bytes(place->group, &bytes) != -EOPNOTSUPP;
	return 0;
}

/*
 * Has no run made groups in it, and has nobody removed it? The kernel counts a directory's
 * own directories in its links, and finds nothing in one that is gone.
 */
static bool is_as_made(const struct carom_cgroup *group)
{
	int fd = carom_cgroup_fd(group);
	struct stat about;

	return fstat(fd, &about) == 0 && about.st_nlink == 2 &&
	       faccessat(fd, "cgroup.procs", F_OK, 0) == 0;
}

static int take_group(struct run *run)
{
	struct carom_bench_place *place = run->place;
	char reason[CAROM_CGROUP_REASON_SIZE];
	int r = 0;

	if (!place->has_groups)
		return 0;
	if (place->group && !is_as_made(place->group)) /* I2 */
		place->group = carom_cgroup_free(place->group);
	if (!place->group)
		r = carom_bench_place_make_group(place, reason);
	if (r < 0)
		carom_say("a run's own cgroup cannot be made: %s", reason);
	run->group = carom_take_ptr(place->group);
	return r;
}

static void give_group(struct run *run)
{
	if (run->is_left_empty && !run->place->counts_memory) /* I2 */
		run->place->group = carom_take_ptr(run->group);
	run->group = carom_cgroup_free(run->group);
}

static pid_t start(struct run *run, char *const *words, size_t *found_at)
{
	const struct carom_bench_place *place = run->place;
	cpu_set_t usual;
	pid_t pid;

	if (place->is_pinned) {
		sched_getaffinity(0, sizeof(usual), &usual);
		sched_setaffinity(0, sizeof(place->cpus), &place->cpus);
	}
	pid = carom_spawn(
		&(struct carom_spawn_options){
			.argv = words,
			.found_at = found_at,
			.stdin_fd = place->stdin_fd,
			.stdout_fd = place->output_fd,
			.stderr_fd = place->output_fd,
			.new_group = true,
			.death_signal = SIGKILL,
			.cgroup_fd = run->group ? carom_cgroup_fd(run->group) : 0,
		},
		&run->pidfd);
	if (place->is_pinned)
		sched_setaffinity(0, sizeof(usual), &usual);
	return pid;
}

/* ---- its end ---- */

/* Returns 0 once its first process has ended, -ETIMEDOUT, or -EINTR if a signal has come. */
static int watch(const struct run *run, uint64_t deadline_ns)
{
	struct pollfd watched[] = {
		{ .fd = run->pidfd, .events = POLLIN },
		{ .fd = run->place->signals_fd, .events = POLLIN },
	};

	while (true) {
		uint64_t now = carom_now();
		struct timespec rest;
		int n;

		if (deadline_ns != CAROM_NO_DEADLINE && now >= deadline_ns)
			return -ETIMEDOUT;
		rest.tv_sec = (time_t)((deadline_ns - now) / CAROM_NS_PER_SEC);
		rest.tv_nsec = (long)((deadline_ns - now) % CAROM_NS_PER_SEC);
		n = ppoll(watched, 2, deadline_ns == CAROM_NO_DEADLINE ? NULL : &rest, NULL);
		if (n > 0)
			return watched[0].revents ? 0 : -EINTR;
	}
}

/* Returns whether it is. */
static bool empty(struct carom_cgroup *group)
{
	if (carom_cgroup_is_populated(group) == 0)
		return true;
	return carom_cgroup_kill(group) == 0 &&
	       carom_cgroup_wait_empty(group, carom_deadline_after(GRACE_NS)) == 0;
}

/*
 * What it has left behind goes, too: the next run shall not share the machine with it. The
 * process group is killed before its leader is reaped, whose number keeps it from being
 * somebody else's.
 */
static int end(struct run *run, uint64_t begun_ns, struct carom_bench_run *taken)
{
	uint64_t timeout_ns = run->place->timeout_ns;
	int r = watch(run, timeout_ns ? carom_deadline_after(timeout_ns) : CAROM_NO_DEADLINE);

	taken->wall_ns = carom_now() - begun_ns;
	taken->is_timed_out = r == -ETIMEDOUT;
	if (r < 0 && run->group)
		(void)carom_cgroup_kill(run->group);
	kill(-run->pid, SIGKILL);
	(void)carom_pidfd_wait(run->pidfd, CAROM_NO_DEADLINE, &taken->exit);
	if (run->group)
		run->is_left_empty = empty(run->group);
	return r == -EINTR ? r : 0;
}

/* ---- what it took ---- */

static void take_usage(struct carom_bench_run *taken)
{
	const struct rusage *usage = &taken->exit.usage;

	taken->user_ns = ns_of(usage->ru_utime);
	taken->system_ns = ns_of(usage->ru_stime);
	taken->peak_bytes = (uint64_t)usage->ru_maxrss * 1024;
	taken->minor_faults = (uint64_t)usage->ru_minflt;
	taken->major_faults = (uint64_t)usage->ru_majflt;
	taken->waits = (uint64_t)usage->ru_nvcsw;
	taken->preemptions = (uint64_t)usage->ru_nivcsw;
}

/* The kernel's division between the two may move a little between two looks. */
static uint64_t since(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static void take_cpu(struct run *run, struct carom_bench_run *taken)
{
	struct carom_cgroup_cpu *before = &run->place->counted, now;

	if (carom_cgroup_cpu(run->group, &now) < 0) {
		run->is_left_empty = false; /* nobody knows what the next run would begin with */
		return;
	}
	taken->user_ns = since(before->user_ns, now.user_ns);
	taken->system_ns = since(before->system_ns, now.system_ns);
	taken->throttled_ns = since(before->throttled_ns, now.throttled_ns);
	*before = now;
}

static void take_memory(struct run *run, struct carom_bench_run *taken)
{
	struct carom_cgroup_memory_events events;
	uint64_t peak;

	if (carom_cgroup_memory_peak(run->group, &peak) == 0)
		taken->peak_bytes = peak;
	if (carom_cgroup_memory_events(run->group, false, &events) == 0)
		taken->is_over_memory = events.oom_kill > 0;
}

int carom_bench_run(struct carom_bench_place *place, char *const *words, size_t *found_at,
		    struct carom_bench_run *ret_run)
{
	struct run run = { .place = place, .pidfd = -1 };
	struct carom_bench_run taken = { 0 };
	uint64_t begun_ns;
	int r = take_group(&run);

	if (r < 0)
		return r;
	run.counts = place->counts && carom_bench_counters_open(&run.counters) == 0;
	begun_ns = carom_now();
	run.pid = start(&run, words, found_at);
	if (run.pid < 0) {
		taken.error = run.pid;
	} else {
		r = end(&run, begun_ns, &taken);
		take_usage(&taken);
		if (run.group)
			take_cpu(&run, &taken);
		if (run.group && place->counts_memory)
			take_memory(&run, &taken);
	}
	if (run.counts)
		taken.has_counters = carom_bench_counters_take(&run.counters, taken.counters) == 0;
	carom_closep(&run.pidfd);
	give_group(&run);
	*ret_run = taken;
	return r;
}

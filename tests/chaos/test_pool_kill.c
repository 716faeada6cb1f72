/*
 * The promises under fire: every task answered once, none begun twice, the pool at full size
 * at the end, nothing grown, nothing left behind.
 *
 * CAROM_SEED replays a run; CAROM_CHAOS_TASKS and CAROM_CHAOS_KILLS make it longer.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/points.h"
#include "core/pidfd.h"
#include "pool/pool_private.h"
#include "tests/pool/work.h"

#define WINDOW 256

/* AddressSanitizer keeps what was freed for a while, and a program under it is born slowly */
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_SLACK_KIB 262144
#define PARENT_DEATHS    10
#define DEATHS           25 /* at each step */
#else
#define MEMORY_SLACK_KIB 4096 /* a handle with callbacks for each slot is 2.4 MiB */
#define PARENT_DEATHS    40
#define DEATHS           100
#endif

/* how often each task was begun; shared with all workers because it is mapped before the first pool */
static _Atomic uint8_t *begun;

static void map_begun(size_t count)
{
	begun = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, (void *)begun, MAP_FAILED));
}

static int counted_square(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	atomic_fetch_add(&begun[x], 1);
	return carom_reply(call, &(int64_t){ x * x }, sizeof(x));
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t number_from_environment(const char *name, size_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

/* ---- counting what must not grow ---- */

static size_t entries(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

/* the last dead workers may not be reaped yet, nor the last new ones be handed over */
static bool fds_are_back_to(size_t fds, struct carom_pool *pool)
{
	uint64_t deadline = carom_deadline_after(CAROM_SECONDS(20));

	while (entries("/proc/self/fd") != fds && carom_now() < deadline)
		if (carom_pool_poll(pool, carom_deadline_after(CAROM_MILLISECONDS(1))) == -EINVAL)
			poll(NULL, 0, 1); /* it has a thread that sees to it */
	return entries("/proc/self/fd") == fds;
}

static uint64_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	uint64_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "RssAnon: %" SCNu64, &kib);
	if (file)
		fclose(file);
	return kib;
}

/* ---- killing ---- */

struct killer {
	pthread_t thread;
	struct carom_pool *pool;
	uint64_t seed;
	size_t wanted;
	_Atomic size_t done;
	_Atomic bool stop;
};

/* by pidfd and under the lock that a pidfd is closed under: never somebody else's process */
static bool kill_worker(struct carom_pool *pool, uint32_t index)
{
	bool killed;

	pthread_mutex_lock(&pool->lock);
	killed = pool->workers[index].current &&
		 carom_pidfd_signal(pool->workers[index].current->pidfd, SIGKILL) == 0;
	pthread_mutex_unlock(&pool->lock);
	return killed;
}

static void *kill_at_random(void *userdata)
{
	struct killer *self = userdata;
	uint64_t state = self->seed | 1;

	while (self->done < self->wanted && !self->stop) {
		uint64_t until = carom_now() + random_next(&state) % CAROM_MICROSECONDS(1500);

		while (carom_now() < until)
			sched_yield();
		self->done += kill_worker(self->pool, (uint32_t)(random_next(&state) %
								 self->pool->options.worker_count));
	}
	return NULL;
}

/* ---- a stream of tasks, each with its answer checked ---- */

struct tally {
	size_t ok;
	size_t lost;
	size_t wrong;
};

static void collect(struct carom_result *result, int64_t x, struct tally *tally)
{
	struct carom_outcome outcome;
	int64_t y = -1;
	int r = carom_result_get(result, carom_deadline_after(CAROM_SECONDS(30)), &y, 8, NULL);

	carom_result_outcome(result, &outcome);
	if (r == 0 && y == x * x && begun[x] == 1)
		tally->ok++;
	else if (r == -EREMOTEIO && outcome.kind == CAROM_OUTCOME_LOST &&
		 outcome.signal == SIGKILL && begun[x] <= 1)
		tally->lost++;
	else
		tally->wrong++;
	carom_result_free(result);
}

static _Atomic size_t called;

static int count_call(struct carom_result *result, void *userdata)
{
	atomic_fetch_add(&called, 1);
	return 0;
}

/* every other task has callbacks, one of which is called, once */
static int submit_square(struct carom_pool *pool, int64_t x, struct carom_result **ret_result)
{
	struct carom_task_options options =
		CAROM_TASK_OPTIONS(.callback = count_call, .error_callback = count_call);

	return carom_pool_apply_async(pool, counted_square, &x, 8, x % 2 ? &options : NULL,
				      ret_result);
}

static void expect_calls(struct carom_pool *pool, size_t first, size_t submitted)
{
	size_t expected = (first + submitted) / 2 - first / 2;

	while (atomic_load(&called) < expected)
		if (carom_pool_fd(pool) < 0) /* a thread of the pool calls */
			sched_yield();
		else
			carom_pool_poll(pool, CAROM_NO_DEADLINE);
	cr_expect(eq(sz, atomic_load(&called), expected));
	atomic_store(&called, 0);
}

/* tasks x, x+1, ...: until @count, and on until @more says that it is enough */
static size_t stream(struct carom_pool *pool, size_t first, size_t count,
		     bool (*more)(void *userdata), void *userdata, size_t most, struct tally *tally)
{
	struct carom_result *window[WINDOW];
	size_t submitted = 0, collected = 0;

	while (collected < submitted || submitted < count ||
	       (more && submitted < most && more(userdata))) {
		bool go_on = submitted < count || (more && submitted < most && more(userdata));

		if (go_on && submitted - collected < WINDOW) {
			int64_t x = (int64_t)(first + submitted);

			if (submit_square(pool, x, &window[submitted % WINDOW]) < 0) {
				tally->wrong++;
				break;
			}
			submitted++;
			if (pool->options.polled) /* or most kills would hit who is dead already */
				carom_pool_poll(pool, CAROM_PASSED);
			continue;
		}
		collect(window[collected % WINDOW], (int64_t)(first + collected), tally);
		collected++;
	}
	expect_calls(pool, first, submitted);
	return submitted;
}

/* a worker that nobody can reach any more would leave one of these waiting for ever */
static int wait_for_all(struct carom_call *call)
{
	struct {
		_Atomic uint32_t *here;
		uint32_t count;
	} meeting;

	carom_call_read(call, &meeting, sizeof(meeting));
	atomic_fetch_add(meeting.here, 1);
	while (atomic_load(meeting.here) < meeting.count)
		poll(NULL, 0, 1);
	return 0;
}

static _Atomic uint32_t *meeting_place;

static void expect_every_worker_reachable(struct carom_pool *pool)
{
	struct {
		_Atomic uint32_t *here;
		uint32_t count;
	} meeting = { meeting_place, (uint32_t)pool->options.worker_count };
	struct carom_result *results[8];

	atomic_store(meeting_place, 0);
	for (uint32_t i = 0; i < meeting.count; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, wait_for_all, &meeting,
							   sizeof(meeting), NULL, &results[i])));
	for (uint32_t i = 0; i < meeting.count; i++) {
		cr_assert(zero(int,
			       carom_result_get(results[i], carom_deadline_after(CAROM_SECONDS(20)),
						NULL, 0, NULL)),
			  "a worker is not reached any more");
		carom_result_free(results[i]);
	}
}

static void make_meeting_place(void)
{
	meeting_place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, (void *)meeting_place, MAP_FAILED));
}

/* ---- random instants ---- */

static bool still_killing(void *userdata)
{
	struct killer *killer = userdata;

	return killer->done < killer->wanted;
}

/* PH-16 */
/* WK-25 */
static void kill_at_random_instants(const struct carom_pool_options *options, size_t tasks,
				    size_t kills)
{
	size_t most = tasks * 100;
	struct killer killer = { .seed = (uint64_t)seed_from_environment(), .wanted = kills };
	struct tally tally = { 0 };
	size_t submitted, fds;
	uint64_t memory;

	printf("# seed %" PRIu64 " (CAROM_SEED replays it)\n", killer.seed);
	fflush(stdout);
	map_begun(most + 20000);
	make_meeting_place();
	cr_assert(zero(int, carom_pool_new(options, &killer.pool)));
	stream(killer.pool, most, 20000, NULL, NULL, 20000, &tally);
	tally = (struct tally){ 0 };
	fds = entries("/proc/self/fd");
	memory = resident_kib();

	pthread_create(&killer.thread, NULL, kill_at_random, &killer);
	submitted = stream(killer.pool, 0, tasks, still_killing, &killer, most - 1, &tally);
	killer.stop = true;
	pthread_join(killer.thread, NULL);

	printf("# %zu tasks, %zu kills: %zu done, %zu lost\n", submitted, (size_t)killer.done,
	       tally.ok, tally.lost);
	cr_expect(zero(sz, tally.wrong));
	cr_expect(eq(sz, tally.ok + tally.lost, submitted));
	cr_expect(ge(sz, submitted, tasks));
	cr_expect(eq(sz, killer.done, kills));
	expect_every_worker_reachable(killer.pool);
	cr_expect(fds_are_back_to(fds, killer.pool));
	cr_expect(lt(u64, resident_kib(), memory + MEMORY_SLACK_KIB),
		  "%" PRIu64 " KiB, before %" PRIu64, resident_kib(), memory);
	carom_pool_free(killer.pool);
}

Test(pool_kill, a_hundred_thousand_tasks_and_a_thousand_deaths, .timeout = 300)
{
	kill_at_random_instants(&CAROM_POOL_OPTIONS(.worker_count = 4),
				number_from_environment("CAROM_CHAOS_TASKS", 100000),
				number_from_environment("CAROM_CHAOS_KILLS", 1000));
}

Test(pool_kill, the_same_in_a_pool_without_threads, .timeout = 300)
{
	kill_at_random_instants(&CAROM_POOL_OPTIONS(.worker_count = 4, .polled = 1),
				number_from_environment("CAROM_CHAOS_TASKS", 50000),
				number_from_environment("CAROM_CHAOS_KILLS", 500));
}

/* ---- every named step ---- */

#define STREAM_MOST 100000

static bool hit_often_enough(void *userdata)
{
	return carom_point_hits(userdata) < DEATHS;
}

static void skip_without_points(void)
{
	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points (-Dpoints=true)");
	carom_point_disarm_all();
}

static int die_now(struct carom_call *call)
{
	kill(getpid(), SIGKILL);
	return 0;
}

/* steps of a worker's birth are reached by deaths only */
static bool needs_births(const char *name)
{
	return strcmp(name, "lane.alive") == 0 || strncmp(name, "forkserver.", 11) == 0;
}

/* often enough to be hit so many times, seldom enough that work gets done in between */
static uint32_t pace_of(const char *name)
{
	if (needs_births(name))
		return 2;
	if (strncmp(name, "lane.park.", 10) == 0 || strncmp(name, "lane.wake.", 10) == 0)
		return 5;
	return strncmp(name, "bell.", 5) == 0 ? 7 : 97;
}

static void force_births(struct carom_pool *pool, const char *name)
{
	for (int i = 0; i < 3000 && carom_point_hits(name) < DEATHS; i++)
		carom_pool_apply(pool, die_now, NULL, 0, NULL, 0, NULL, NULL);
}

/* a worker looks for work, sleeps and is woken most often where tasks come singly */
static void one_at_a_time(struct carom_pool *pool, const char *name)
{
	for (int i = 0; i < 10000 && carom_point_hits(name) < DEATHS; i++) {
		int r = carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);

		cr_assert(r == 0 || r == -EREMOTEIO, "%d", r);
	}
}

/* how often one wakes another, or finds work by spinning, is for the scheduler to say */
static bool is_rare(const char *name, uint64_t spin_ns)
{
	return strncmp(name, "lane.wake.", 10) == 0 || strncmp(name, "lane.spin.", 10) == 0 ||
	       strcmp(name, "lane.notice.disarmed") == 0 ||
	       (spin_ns != CAROM_SPIN_NEVER && strncmp(name, "lane.park.", 10) == 0);
}

/* steps of a notice, which each task leaves in a pool without threads */
static bool needs_notices(const char *name)
{
	return strncmp(name, "lane.notice.", 12) == 0 || strncmp(name, "bell.", 5) == 0;
}

static void kill_at_point(const char *name, uint64_t spin_ns)
{
	struct carom_pool *pool = NULL;
	struct tally tally = { 0 };
	size_t submitted;

	memset((void *)begun, 0, STREAM_MOST);
	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .spin_ns = spin_ns,
							     .polled = needs_notices(name)),
					 &pool)));
	cr_assert(zero(int, carom_point_arm(name, pace_of(name))));
	if (needs_births(name))
		force_births(pool, name);
	submitted = stream(pool, 0, 2000, hit_often_enough, (void *)(uintptr_t)name, STREAM_MOST,
			   &tally);
	one_at_a_time(pool, name);
	cr_expect(zero(sz, tally.wrong), "%s: %zu wrong answers", name, tally.wrong);
	cr_expect(eq(sz, tally.ok + tally.lost, submitted));
	printf("# %-20s %4u deaths, %zu tasks, %zu lost\n", name, carom_point_hits(name), submitted,
	       tally.lost);
	if (!is_rare(name, spin_ns))
		cr_expect(ge(uint, carom_point_hits(name), DEATHS), "%s", name);
	carom_point_disarm_all();
	expect_every_worker_reachable(pool);
	carom_pool_free(pool);
}

static void kill_at_points(const char *prefix, uint64_t spin_ns)
{
	const char *name;

	skip_without_points();
	make_meeting_place();
	map_begun(STREAM_MOST);
	for (size_t i = 0; (name = carom_point_name(i)); i++)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			kill_at_point(name, spin_ns);
}

Test(pool_kill, a_worker_at_every_step_of_the_lane_spinning, .timeout = 300)
{
	kill_at_points("lane.", 0);
}

Test(pool_kill, a_worker_at_every_step_of_the_lane_parking, .timeout = 300)
{
	kill_at_points("lane.", CAROM_SPIN_NEVER);
}

Test(pool_kill, a_worker_at_every_step_of_a_call, .timeout = 300)
{
	kill_at_points("worker.call.", 0);
}

Test(pool_kill, a_worker_that_has_rung_the_bell, .timeout = 300)
{
	kill_at_points("bell.", CAROM_SPIN_NEVER);
}

/* those of a birth; the steps of the server's own start have their test beside it */
Test(pool_kill, the_fork_server_at_every_step_of_a_birth, .timeout = 300)
{
	static const char *const steps[] = { "forkserver.received", "forkserver.made",
					     "forkserver.replied",  "forkserver.closed",
					     "forkserver.born",     "forkserver.child_ready" };

	skip_without_points();
	make_meeting_place();
	map_begun(STREAM_MOST);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		kill_at_point(steps[i], 0);
}

/* ---- batches: each item once, whatever step of it is hit ---- */

#define BATCH_ITEMS 5000

static void expect_each_item_once(const char *name, const int64_t *out,
				  const struct carom_outcome *outcomes)
{
	size_t twice = 0, misplaced = 0, unexplained = 0;

	for (int64_t i = 0; i < BATCH_ITEMS; i++) {
		bool ok = outcomes[i].kind == CAROM_OUTCOME_OK;

		twice += begun[i] > 1;
		misplaced += out[i] != (ok ? i * i : 0);
		unexplained += ok ? begun[i] != 1 : outcomes[i].kind != CAROM_OUTCOME_LOST;
	}
	cr_assert(zero(sz, twice + misplaced + unexplained),
		  "%s: %zu begun twice, %zu misplaced, %zu unexplained", name, twice, misplaced,
		  unexplained);
}

static void kill_in_batches(const char *name, uint32_t every_nth)
{
	static int64_t in[BATCH_ITEMS], out[BATCH_ITEMS];
	static struct carom_outcome outcomes[BATCH_ITEMS];
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);

	for (int64_t i = 0; i < BATCH_ITEMS; i++)
		in[i] = i;
	cr_assert(zero(int, carom_point_arm(name, every_nth)));
	for (int round = 0; round < 400 && carom_point_hits(name) < DEATHS; round++) {
		memset((void *)begun, 0, BATCH_ITEMS);
		carom_pool_map(pool, counted_square, in, BATCH_ITEMS, 8, out, 8,
			       &CAROM_MAP_OPTIONS(.outcomes = outcomes));
		expect_each_item_once(name, out, outcomes);
	}
	printf("# %-20s %4u deaths\n", name, carom_point_hits(name));
	cr_expect(ge(uint, carom_point_hits(name), DEATHS));
	carom_point_disarm_all();
}

Test(pool_kill, a_worker_at_every_step_of_a_batch, .timeout = 300)
{
	skip_without_points();
	map_begun(BATCH_ITEMS);
	kill_in_batches("worker.item.begun", 997);
	kill_in_batches("worker.item.called", 997);
	kill_in_batches("lane.claim.after", 7);
	kill_in_batches("lane.done.before", 7);
	kill_in_batches("lane.done.after", 7);
}

/* ---- the parent: nothing of it remains ---- */

static int die_at_three(struct carom_call *call)
{
	if (carom_call_index(call) == 3)
		kill(getpid(), SIGKILL);
	return 0;
}

static int hang_at_three(struct carom_call *call)
{
	return carom_call_index(call) == 3 ? hang(call) : 0;
}

/* a program with a pool in which workers die and exceed limits all the time; 30 s at most */
static void troubled_program(void)
{
	struct carom_pool *pool = new_pool(3);
	int64_t items[8] = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(30);
	for (;;) {
		carom_pool_apply_async(
			pool, hang, NULL, 0,
			&CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MICROSECONDS(300)), NULL);
		carom_pool_map(pool, die_at_three, items, 8, 8, NULL, 0,
			       &CAROM_MAP_OPTIONS(.chunk_size = 8));
		carom_pool_map(pool, hang_at_three, items, 8, 8, NULL, 0,
			       &CAROM_MAP_OPTIONS(.chunk_size = 8,
						  .soft_limit_ns = CAROM_MICROSECONDS(100),
						  .hard_limit_ns = CAROM_MICROSECONDS(300)));
	}
}

static void kill_parent_at(const char *name, int round)
{
	int status;
	pid_t program, other;

	cr_assert(zero(int, carom_point_arm_once(name, 1 + (uint32_t)round % 7, SIGKILL)));
	program = fork();
	if (program == 0) {
		troubled_program();
		_exit(0);
	}
	cr_assert(eq(int, waitpid(program, &status, 0), program));
	cr_assert(eq(int, status, SIGKILL), "%s: status %x", name, (unsigned)status);
	carom_point_disarm_all();
	/* its fork server and workers became ours; each ends, or this waits for ever */
	while ((other = waitpid(-1, &status, __WALL)) > 0)
		cr_expect(zero(int, WIFSTOPPED(status)));
}

/* P4 */
Test(pool_kill, the_parent_at_every_step_of_a_sweep, .timeout = 300)
{
	const char *name;

	skip_without_points();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (size_t i = 0; (name = carom_point_name(i)); i++)
		if (strncmp(name, "sweep.", 6) == 0 || strncmp(name, "supervisor.", 11) == 0 ||
		    strncmp(name, "limits.", 7) == 0)
			for (int round = 0; round < PARENT_DEATHS; round++)
				kill_parent_at(name, round);
}

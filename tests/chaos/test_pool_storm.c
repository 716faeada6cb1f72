/*
 * A storm: several threads submit tasks that end in every way there is, while workers
 * are killed and stopped at random from outside. Each task must be answered once, with
 * an outcome that fits what it did; each callback called once; and no task begun twice
 * that was not to be.
 *
 * CAROM_STORM_TASKS=1000000 makes it last; CAROM_SEED repeats one.
 */
#include "tests/pool/work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SUBMITTERS 4
#define WINDOW     64
#define LIMIT      CAROM_MILLISECONDS(20)

/* what a task does: by its number, so that both sides know */
enum way {
	GIVES_VALUE,
	FAILS,
	IS_KILLED,
	CRASHES,
	EXITS,
	HANGS,
	STOPS,
	DIES_ONCE, /* may be begun again */
	IS_CANCELLED,
	WAYS,
};

static _Atomic uint8_t *begun; /* by number; shared */

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
	x = (x ^ (x >> 27)) * UINT64_C(0x81dadef4bc2dd44d);
	return x ^ (x >> 33);
}

/* one in 32 ends in some other way than by a value */
static enum way way_of(uint64_t number)
{
	uint64_t hash = mix(number + 1);

	if (hash % 32)
		return GIVES_VALUE;
	/* what costs a time limit is rarer than the rest */
	if (hash / 32 % 16 == 0)
		return hash / 512 % 2 ? HANGS : STOPS;
	return (enum way[]){
		FAILS, IS_KILLED, CRASHES, EXITS, DIES_ONCE, IS_CANCELLED
	}[hash / 1024 % 6];
}

static int act(struct carom_call *call)
{
	uint64_t number;
	uint8_t before;
	int r = carom_call_read(call, &number, sizeof(number));

	if (r < 0)
		return r;
	before = atomic_fetch_add(&begun[number], 1);
	switch (way_of(number)) {
	case FAILS:
		return carom_call_fail(call, -EDOM, "task %" PRIu64, number);
	case IS_KILLED:
		raise(SIGKILL);
		break;
	case CRASHES:
		raise(SIGSEGV);
		break;
	case EXITS:
		_exit(3);
	case HANGS:
		for (;;)
			pause();
	case STOPS:
		raise(SIGSTOP);
		for (;;)
			pause();
	case DIES_ONCE:
		if (!before)
			raise(SIGKILL);
		break;
	default:
		break;
	}
	number *= 3;
	return carom_reply(call, &number, sizeof(number));
}

/* ---- one thread of the program ---- */

/**
 * struct submitter
 * @kinds:  how many of its tasks ended in each kind
 * @called: callbacks that were called
 * @problem: what went wrong first
 */
struct submitter {
	struct carom_pool *pool;
	pthread_t thread;
	uint64_t first;
	uint64_t count;
	uint64_t kinds[CAROM_OUTCOME_POOL_BROKEN + 1];
	uint64_t promised;
	_Atomic uint64_t called;
	char problem[160];
};

static int count_call(struct carom_result *result, void *userdata)
{
	atomic_fetch_add(&((struct submitter *)userdata)->called, 1);
	return 0;
}

static struct carom_result *submit(struct submitter *self, uint64_t number)
{
	enum way way = way_of(number);
	struct carom_task_options options = CAROM_TASK_OPTIONS(.userdata = self);
	struct carom_result *result = NULL;

	if (number % 8 == 0)
		options.hard_limit_ns = CAROM_SECONDS(60);
	if (way == HANGS || way == STOPS)
		options.hard_limit_ns = LIMIT;
	if (way == DIES_ONCE)
		options.retry_on_loss = 250;
	if (number % 4 == 1) {
		options.callback = count_call;
		options.error_callback = count_call;
		self->promised++;
	}
	if (carom_pool_apply_async(self->pool, act, &number, sizeof(number), &options, &result) < 0)
		snprintf(self->problem, sizeof(self->problem), "task %" PRIu64 " not accepted",
			 number);
	if (result && way == IS_CANCELLED)
		carom_result_cancel(result);
	return result;
}

/* a worker may be killed from outside at any time: so every task may be lost */
static bool fits(enum way way, const struct carom_outcome *outcome, uint8_t times)
{
	bool lost = outcome->kind == CAROM_OUTCOME_LOST;

	if (way == DIES_ONCE)
		return outcome->kind == CAROM_OUTCOME_OK && times >= 2;
	if (times > 1)
		return false;
	switch (way) {
	case FAILS:
		return lost || (outcome->kind == CAROM_OUTCOME_FAILED && outcome->code == -EDOM);
	case IS_KILLED:
		return lost && outcome->signal == SIGKILL;
	case CRASHES:
		return lost && (outcome->signal == SIGSEGV || outcome->signal == SIGKILL);
	case EXITS:
		return lost && (outcome->exit_status == 3 || outcome->signal == SIGKILL);
	case HANGS:
	case STOPS:
		return lost || outcome->kind == CAROM_OUTCOME_HARD_LIMIT;
	case IS_CANCELLED:
		return lost || outcome->kind == CAROM_OUTCOME_OK ||
		       (outcome->kind == CAROM_OUTCOME_CANCELLED && times == 0);
	default:
		return lost || outcome->kind == CAROM_OUTCOME_OK;
	}
}

static void collect(struct submitter *self, struct carom_result *result, uint64_t number)
{
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_PENDING };
	uint64_t value = 0;
	char text[160];
	int r = carom_result_get(result, carom_deadline_after(CAROM_SECONDS(60)), &value,
				 sizeof(value), NULL);

	carom_result_outcome(result, &outcome);
	self->kinds[outcome.kind]++;
	if (!self->problem[0] &&
	    (r == -ETIMEDOUT || !fits(way_of(number), &outcome, atomic_load(&begun[number])) ||
	     (r == 0) != (outcome.kind == CAROM_OUTCOME_OK) || (r == 0 && value != number * 3)))
		snprintf(self->problem, sizeof(self->problem),
			 "task %" PRIu64 " (way %d, begun %d times): %d, %.80s", number,
			 way_of(number), begun[number], r,
			 carom_outcome_describe(&outcome, text, sizeof(text)));
	carom_result_free(result);
}

static void *run_submitter(void *userdata)
{
	struct submitter *self = userdata;
	struct carom_result *window[WINDOW];
	uint64_t submitted = 0, collected = 0;

	while (collected < self->count) {
		if (submitted < self->count && submitted - collected < WINDOW) {
			window[submitted % WINDOW] = submit(self, self->first + submitted);
			if (!window[submitted % WINDOW])
				return NULL;
			submitted++;
			continue;
		}
		collect(self, window[collected % WINDOW], self->first + collected);
		collected++;
	}
	return NULL;
}

/* ---- from outside ---- */

struct killer {
	struct carom_pool *pool;
	pthread_t thread;
	uint64_t seed;
	uint64_t kills;
	_Atomic bool stop;
};

/* A worker that is stopped goes on a moment later: nobody but a limit would end it. */
static void strike(struct killer *killer)
{
	struct carom_worker_info infos[4];
	uint64_t hash = mix(++killer->seed);
	int64_t pid;

	carom_pool_workers(killer->pool, infos, 4);
	pid = infos[hash % 4].pid;
	if (pid <= 0)
		return;
	if (hash / 4 % 2) {
		kill((pid_t)pid, SIGKILL);
		killer->kills++;
		return;
	}
	kill((pid_t)pid, SIGSTOP);
	usleep(100 + (useconds_t)(hash / 8 % 400));
	kill((pid_t)pid, SIGCONT);
}

static void *run_killer(void *userdata)
{
	struct killer *killer = userdata;

	while (!atomic_load(&killer->stop)) {
		strike(killer);
		usleep(500 + (useconds_t)(mix(killer->seed) % 2000));
	}
	return NULL;
}

/* ---- the storm ---- */

static uint64_t tasks_from_environment(void)
{
	const char *text = getenv("CAROM_STORM_TASKS");

	return text ? strtoull(text, NULL, 10) : 100000;
}

static void map_begun(uint64_t count)
{
	void *shared = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, shared, MAP_FAILED));
	begun = shared;
}

static void start(struct submitter *submitters, struct carom_pool *pool, uint64_t count)
{
	for (uint64_t i = 0; i < SUBMITTERS; i++) {
		submitters[i] = (struct submitter){ .pool = pool,
						    .first = i * (count / SUBMITTERS),
						    .count = count / SUBMITTERS };
		pthread_create(&submitters[i].thread, NULL, run_submitter, &submitters[i]);
	}
}

static void expect_all_answered(const struct submitter *submitters, uint64_t count)
{
	uint64_t answered = 0;

	for (int i = 0; i < SUBMITTERS; i++) {
		cr_expect(zero(sz, strlen(submitters[i].problem)), "%s", submitters[i].problem);
		cr_expect(eq(u64, submitters[i].called, submitters[i].promised));
		for (int kind = CAROM_OUTCOME_OK; kind <= CAROM_OUTCOME_POOL_BROKEN; kind++)
			answered += submitters[i].kinds[kind];
	}
	cr_expect(eq(u64, answered, count / SUBMITTERS * SUBMITTERS));
}

/* SN-14 */
Test(pool_storm, every_task_is_answered_once, .timeout = 1800)
{
	uint64_t count = tasks_from_environment();
	struct killer killer = { .seed = (uint64_t)seed_from_environment() };
	struct submitter submitters[SUBMITTERS];
	struct carom_pool *pool = NULL;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	map_begun(count);
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4,
							       .max_restarts = CAROM_NO_LIMIT),
					   &pool)));
	killer.pool = pool;
	pthread_create(&killer.thread, NULL, run_killer, &killer);
	start(submitters, pool, count);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(submitters[i].thread, NULL);
	atomic_store(&killer.stop, true);
	pthread_join(killer.thread, NULL);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(60)))));
	printf("# %" PRIu64 " tasks, %" PRIu64 " kills from outside\n", count, killer.kills);
	expect_all_answered(submitters, count);
	carom_pool_free(pool);
}

/* ---- large payloads ---- */

static int sum_up(struct carom_call *call)
{
	size_t size;
	const unsigned char *data = carom_call_data(call, &size);
	uint64_t sum = 0;
	void *room;

	for (size_t i = 0; i < size; i += 4096)
		sum += data[i];
	if (sum % 61 == 0)
		raise(SIGKILL); /* in the middle of it */
	if (carom_reply_reserve(call, size, &room) < 0)
		return -ENOMEM;
	memcpy(room, data, size);
	return carom_reply_commit(call, size);
}

Test(pool_storm, pain_4_deaths_among_large_payloads_never_stop_the_flow, .timeout = 300)
{
	struct carom_pool *pool = NULL;
	struct carom_result *results[8];
	unsigned char *data = malloc(1 << 20);

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3,
							       .max_restarts = CAROM_NO_LIMIT),
					   &pool)));
	for (uint64_t round = 0; round < 100; round++) {
		for (uint64_t i = 0; i < 8; i++) {
			memset(data, (int)mix(round * 8 + i) & 0xff, 1 << 20);
			cr_assert(zero(int, carom_pool_apply_async(pool, sum_up, data,
								   mix(round + i) % (1 << 20), NULL,
								   &results[i])));
		}
		for (int i = 0; i < 8; i++) {
			cr_assert(zero(int, carom_result_wait(results[i], CAROM_NO_DEADLINE)));
			carom_result_free(results[i]);
		}
	}
	free(data);
	carom_pool_free(pool);
}

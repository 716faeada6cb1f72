/*
 * Queue: producers and consumers are killed, at any moment and at every step, and each message
 * is accounted for: none is lost but in the hand of one who was killed, and none comes twice.
 *
 * CAROM_KILL_SECONDS: how long each storm lasts; 2 unless it is set.
 */
#include "tests/shm/help.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "ipc/queue.h"
#include "ipc/wait.h"

#define CREW       3 /* of each side */
#define LIVES_MAX  16384
#define MESSAGES   8192 /* of one life */
#define LENGTH_MAX 9000

/**
 * struct ledger - what everybody writes down; shared
 * @done: of each producer's life, how many puts have returned
 * @seen: of each message, how often it was got
 */
enum stop {
	GO_ON,
	NO_MORE,
	NO_PRODUCERS,
};

struct ledger {
	_Atomic uint32_t stop; /* enum stop */
	_Atomic uint32_t wrong;
	_Atomic uint32_t got;
	_Atomic uint32_t done[LIVES_MAX];
	_Atomic uint8_t seen[LIVES_MAX][MESSAGES];
};

/**
 * struct storm
 * @producers, @consumers: who lives now
 * @lives: of the producers, so far; their names
 * @lost:  consumers that were killed
 */
struct storm {
	struct carom_queue *queue;
	struct ledger *ledger;
	bool has_tasks;
	pid_t producers[CREW];
	pid_t consumers[CREW];
	uint32_t names[CREW];
	uint32_t lives;
	uint32_t lost;
	uint64_t seed;
};

struct message {
	uint32_t who;
	uint32_t which;
	unsigned char data[LENGTH_MAX];
};

static size_t length_of(uint32_t who, uint32_t which)
{
	uint64_t seed = (uint64_t)who << 32 | which;
	uint32_t dice = chance(&seed);

	return offsetof(struct message, data) + (dice % 16 ? dice % 200 : dice % LENGTH_MAX);
}

/* ---- at work ---- */

static void produce(const struct storm *storm, uint32_t who)
{
	struct ledger *ledger = storm->ledger;
	struct message message = { .who = who };

	for (uint32_t i = 0; i < MESSAGES && !atomic_load(&ledger->stop); i++) {
		message.which = i;
		memset(message.data, (int)(who + i), sizeof(message.data));
		if (carom_queue_put(storm->queue, &message, length_of(who, i), CAROM_NO_DEADLINE) <
		    0)
			_exit(1);
		atomic_store(&ledger->done[who], i + 1);
	}
	if (who % 2)
		carom_queue_close(storm->queue);
	_exit(0);
}

static bool is_whole(const struct message *message, size_t size)
{
	if (size < offsetof(struct message, data) || message->who >= LIVES_MAX ||
	    message->which >= MESSAGES || size != length_of(message->who, message->which))
		return false;
	for (size_t i = 0; i < size - offsetof(struct message, data); i++)
		if (message->data[i] != (unsigned char)(message->who + message->which))
			return false;
	return true;
}

/* @watches: it waits beside other things before it gets */
static void consume(const struct storm *storm, bool watches)
{
	static uint32_t next[LIVES_MAX];
	struct carom_wait_item item = CAROM_WAIT_FOR_QUEUE(storm->queue);
	struct ledger *ledger = storm->ledger;
	struct message message;
	size_t size;
	int r;

	for (;;) {
		if (watches && carom_wait(&item, 1, CAROM_NO_DEADLINE) != 1)
			_exit(4);
		r = carom_queue_get(storm->queue, &message, sizeof(message),
				    watches ? CAROM_PASSED : CAROM_NO_DEADLINE, &size);
		if (r == -EAGAIN) /* others were faster */
			continue;
		if (r == -EPIPE && atomic_load(&ledger->stop) == NO_PRODUCERS)
			_exit(0);
		if (r == -EPIPE) { /* all are dead, and not replaced yet */
			sched_yield();
			continue;
		}
		if (r < 0)
			_exit(2);
		if (!is_whole(&message, size) ||
		    (!storm->has_tasks && message.which < next[message.who]))
			atomic_fetch_add(&ledger->wrong, 1);
		next[message.who] = message.which + 1;
		atomic_fetch_add(&ledger->seen[message.who][message.which], 1);
		atomic_fetch_add(&ledger->got, 1);
		if (storm->has_tasks && carom_queue_task_done(storm->queue) < 0)
			_exit(3);
	}
}

static void start_producer(struct storm *storm, int i)
{
	storm->names[i] = storm->lives++;
	cr_assert(lt(u32, storm->names[i], LIVES_MAX));
	storm->producers[i] = child();
	if (storm->producers[i] == 0)
		produce(storm, storm->names[i]);
}

static void start_consumer(struct storm *storm, int i)
{
	storm->consumers[i] = child();
	if (storm->consumers[i] == 0)
		consume(storm, i == 0);
}

/* Somebody has ended, and somebody else takes over. */
static void replace(struct storm *storm, pid_t pid, int status)
{
	bool is_usual =
		WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0;

	cr_expect(is_usual, "status %x", (unsigned int)status);
	for (int i = 0; i < CREW; i++) {
		if (storm->producers[i] == pid)
			start_producer(storm, i);
		if (storm->consumers[i] == pid) {
			storm->lost++;
			start_consumer(storm, i);
		}
	}
}

static void replace_the_dead(struct storm *storm)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		replace(storm, pid, status);
}

/* ---- the account ---- */

/* A dead one may have put what it was at, or not. */
static void check_life(const struct storm *storm, uint32_t who, uint32_t *missing, uint32_t *twice)
{
	const struct ledger *ledger = storm->ledger;
	uint32_t done = atomic_load(&ledger->done[who]);

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint32_t seen = atomic_load(&ledger->seen[who][i]);

		if (i < done && seen == 0)
			++*missing;
		if (seen > 1)
			*twice += seen - 1;
		if (i > done)
			cr_assert(zero(u32, seen), "%u of %u was never put", i, who);
	}
}

static void check(struct storm *storm)
{
	uint32_t missing = 0, twice = 0;

	for (uint32_t who = 0; who < storm->lives; who++)
		check_life(storm, who, &missing, &twice);
	cr_expect(zero(u32, storm->ledger->wrong));
	/* a task is got again by another one; another message dies with who has just got it */
	if (storm->has_tasks)
		cr_expect(zero(u32, missing));
	else
		cr_expect(le(u32, missing, storm->lost));
	if (storm->has_tasks)
		cr_expect(le(u32, twice, storm->lost));
	else
		cr_expect(zero(u32, twice));
	cr_expect(zero(u32, carom_queue_qsize(storm->queue)));
	if (storm->has_tasks)
		cr_expect(zero(int, carom_queue_join(storm->queue,
						     carom_deadline_after(CAROM_SECONDS(20)))));
}

static struct storm begin(const struct carom_queue_options *options)
{
	struct storm storm = { .has_tasks = options->tasks, .seed = new_seed() };

	cr_assert(zero(int, carom_queue_new(options, &storm.queue)));
	storm.ledger = mmap(NULL, sizeof(*storm.ledger), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert(ne(ptr, (void *)storm.ledger, MAP_FAILED));
	for (int i = 0; i < CREW; i++) {
		start_producer(&storm, i);
		start_consumer(&storm, i);
	}
	return storm;
}

/* Return: how many of them have not ended. */
static int count_of(const pid_t *pids)
{
	int count = 0;

	for (int i = 0; i < CREW; i++)
		count += pids[i] != 0;
	return count;
}

/* Who was killed a moment ago may have been the last consumer. */
static void bury_next(struct storm *storm)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	for (int i = 0; i < CREW; i++) {
		if (storm->producers[i] == pid)
			storm->producers[i] = 0;
		if (storm->consumers[i] != pid)
			continue;
		storm->consumers[i] = 0;
		storm->lost += WIFSIGNALED(status);
		if (WIFSIGNALED(status))
			start_consumer(storm, i);
		else
			cr_expect(zero(int, WEXITSTATUS(status)));
	}
}

/* All come to their end, or the test's time is over. */
static void end(struct storm *storm)
{
	atomic_store(&storm->ledger->stop, NO_MORE);
	while (count_of(storm->producers) > 0)
		bury_next(storm);
	atomic_store(&storm->ledger->stop, NO_PRODUCERS);
	while (count_of(storm->consumers) > 0)
		bury_next(storm);
	check(storm);
	munmap(storm->ledger, sizeof(*storm->ledger));
	storm->queue = carom_queue_free(storm->queue);
}

/* ---- at any moment ---- */

static uint64_t seconds(void)
{
	const char *text = getenv("CAROM_KILL_SECONDS");

	return text ? strtoull(text, NULL, 10) : 2;
}

static void kill_one(struct storm *storm)
{
	uint32_t dice = chance(&storm->seed);
	pid_t *pids = dice & 1 ? storm->producers : storm->consumers;

	cr_assert(zero(int, kill(pids[dice / 2 % CREW], SIGKILL)));
}

static void kill_at_random(const struct carom_queue_options *options)
{
	struct storm storm = begin(options);
	uint64_t until = carom_deadline_after(CAROM_SECONDS(seconds()));
	uint32_t deaths = 0;

	while (carom_now() < until && storm.lives < LIVES_MAX - 2 * CREW) {
		uint32_t next = atomic_load(&storm.ledger->got) + chance(&storm.seed) % 3000;

		while ((int32_t)(atomic_load(&storm.ledger->got) - next) < 0) {
			replace_the_dead(&storm); /* some have put all that they were to put */
			sched_yield();
		}
		kill_one(&storm);
		deaths++;
		replace_the_dead(&storm);
	}
	fprintf(stderr, "# %u deaths, %u messages, %u of them lost with a consumer at most\n",
		deaths, storm.ledger->got, storm.lost);
	end(&storm);
}

/* QU-17 */
Test(queue_kill, of_anybody_at_any_moment, .timeout = 300)
{
	kill_at_random(&CAROM_QUEUE_OPTIONS(.bytes_max = 60000));
}

Test(queue_kill, of_anybody_with_few_places, .timeout = 300)
{
	kill_at_random(&CAROM_QUEUE_OPTIONS(.size_max = 3));
}

Test(queue_kill, of_anybody_who_has_tasks, .timeout = 300)
{
	kill_at_random(
		&CAROM_QUEUE_OPTIONS(.bytes_max = 200000, .tasks = CAROM_QUEUE_TASKS_REQUEUE));
}

/* ---- at every step ---- */

#define DEATHS_EACH 5

/* Those that no put, get or task_done comes to. */
static bool is_elsewhere(const char *name)
{
	return strcmp(name, "queue.shut") == 0 || strcmp(name, "queue.discarded") == 0 ||
	       strcmp(name, "queue.shut_down") == 0 || strcmp(name, "queue.closed") == 0;
}

/* At @name, and now and then with something in hand, so that there is something to mend. */
static void kill_at_point(struct storm *storm, const char *name)
{
	uint64_t until = carom_deadline_after(CAROM_SECONDS(10));

	cr_assert(zero(int, carom_point_arm("queue.chunk_taken", 97)));
	cr_assert(zero(int, carom_point_arm("queue.taken", 499)));
	if (strcmp(name, "queue.chunk_taken") != 0 && strcmp(name, "queue.taken") != 0)
		cr_assert(zero(int, carom_point_arm(name, 5)));
	while (carom_point_hits(name) < DEATHS_EACH && carom_now() < until) {
		replace_the_dead(storm);
		sched_yield();
	}
	cr_expect(lt(u32, 0, carom_point_hits(name)), "nobody came to %s", name);
	carom_point_disarm_all();
	replace_the_dead(storm);
}

static void kill_at_every_point(const struct carom_queue_options *options, const char *prefix,
				const char *const *unreached)
{
	const char *name;
	int count = 0;

	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		struct storm storm;
		bool is_unreached = false;

		if (strncmp(name, prefix, strlen(prefix)) != 0 || is_elsewhere(name))
			continue;
		for (const char *const *u = unreached; *u; u++)
			is_unreached |= strcmp(*u, name) == 0;
		if (is_unreached)
			continue;
		storm = begin(options);
		kill_at_point(&storm, name);
		end(&storm);
		count++;
	}
	if (count == 0)
		cr_skip("skipped: this build has no points");
}

Test(queue_kill, at_every_step, .timeout = 300)
{
	static const char *const of_tasks[] = { "queue.returned", "queue.taken_again", "queue.done",
						"queue.unlinked", NULL };

	kill_at_every_point(&CAROM_QUEUE_OPTIONS(.bytes_max = 30000), "queue.", of_tasks);
}

Test(queue_kill, at_every_step_with_tasks, .timeout = 300)
{
	static const char *const none[] = { NULL };

	kill_at_every_point(
		&CAROM_QUEUE_OPTIONS(.bytes_max = 100000, .tasks = CAROM_QUEUE_TASKS_REQUEUE),
		"queue.", none);
}

/* Who shuts it down at once dies on the way: whoever comes next finds it shut, and empty. */
static void die_while_it_is_shut(const char *point)
{
	struct carom_queue *queue = NULL;
	struct message message = { .who = 0 };
	pid_t pid, joiner;
	size_t size;

	cr_assert(
		zero(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(.tasks = CAROM_QUEUE_TASKS_REQUEUE),
					  &queue)));
	for (int i = 0; i < 10; i++)
		cr_assert(
			zero(int, carom_queue_put(queue, &message, sizeof(message), CAROM_PASSED)));
	joiner = child();
	if (joiner == 0)
		_exit(-carom_queue_join(queue, CAROM_NO_DEADLINE));
	await_asleep(joiner);
	if (carom_point_arm_once(point, 1, SIGKILL) < 0)
		cr_skip("skipped: this build has no points");
	pid = child();
	if (pid == 0) {
		carom_queue_get(queue, &message, sizeof(message), CAROM_PASSED, &size);
		carom_queue_shutdown(queue, true);
		_exit(0);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL), "%s", point);
	carom_point_disarm_all();
	cr_expect(eq(int,
		     carom_queue_get(queue, &message, sizeof(message), CAROM_NO_DEADLINE, &size),
		     -ESHUTDOWN));
	cr_expect(zero(u32, carom_queue_qsize(queue)), "%s", point);
	cr_expect(zero(int, ended(joiner)), "%s", point);
	carom_queue_free(queue);
}

Test(queue_kill, of_who_shuts_it_down, .timeout = 60)
{
	die_while_it_is_shut("queue.shut");
	die_while_it_is_shut("queue.discarded");
}

/* It has done nothing else with the queue; those who sleep are told. */
static void die_before_the_sleepers_are_told(const char *point, bool is_immediate)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	pid_t pids[2], pid;
	size_t size;

	cr_assert(zero(int, carom_queue_new(NULL, &queue)));
	if (carom_point_arm_once(point, 1, SIGKILL) < 0)
		cr_skip("skipped: this build has no points");
	for (int i = 0; i < 2; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			_exit(-carom_queue_get(queue, NULL, 0, CAROM_NO_DEADLINE, &size));
		await_asleep(pids[i]);
	}
	pid = child();
	if (pid == 0) {
		carom_queue_shutdown(queue, is_immediate);
		_exit(0);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL), "%s", point);
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, ended(pids[i]), ESHUTDOWN), "%s", point);
	carom_point_disarm_all();
}

Test(queue_kill, of_who_shuts_it_down_is_told_to_who_sleeps, .timeout = 60)
{
	die_before_the_sleepers_are_told("queue.shut", false);
	die_before_the_sleepers_are_told("queue.shut_down", false);
	die_before_the_sleepers_are_told("queue.shut_down", true);
}

/* The last producer dies as it closes: a getter is told. */
Test(queue_kill, of_who_closes_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	pid_t pid, waiting;
	size_t size;

	cr_assert(zero(int, carom_queue_new(NULL, &queue)));
	if (carom_point_arm_once("queue.closed", 1, SIGKILL) < 0)
		cr_skip_test("skipped: this build has no points");
	waiting = child();
	if (waiting == 0)
		_exit(-carom_queue_get(queue, NULL, 0, CAROM_NO_DEADLINE, &size));
	await_asleep(waiting);
	pid = child();
	if (pid == 0) {
		carom_queue_add_producer(queue);
		carom_queue_close(queue);
		_exit(0);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL));
	cr_expect(eq(int, ended(waiting), EPIPE));
	carom_point_disarm_all();
}

/*
 * pipeline: stages that work at the same time, with a queue between each two
 *
 *	numbers ==> 3 x collatz ==> longest
 *
 * A stage ends when the one before has: getting says -EPIPE once the last producer has ended
 * and the queue is empty, however those ended. The queues are bounded, so a slow stage slows
 * down the ones before it, and memory stays flat. One process of the middle stage dies on the
 * way: the task it had got is got again by another.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#define NUMBER_COUNT  10000
#define MIDDLE_COUNT  3
#define DEADLY_NUMBER 5000

struct finding {
	uint64_t number;
	uint64_t step_count;
};

/* made before the stages are, which are copies of this program and so have them, too */
static struct carom_queue *numbers, *findings;
static struct carom_value *begun_count;

static uint64_t count_steps(uint64_t number)
{
	uint64_t count = 0;

	for (; number > 1; count++)
		number = number % 2 ? 3 * number + 1 : number / 2;
	return count;
}

static void die_once(void)
{
	int64_t count = 0;

	if (carom_value_add(begun_count, 1, &count) == 0 && count == 1)
		raise(SIGKILL);
}

static int first_stage(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int r = 0;

	for (uint64_t number = 1; r == 0 && number <= NUMBER_COUNT; number++)
		r = carom_queue_put(numbers, &number, sizeof(number), CAROM_NO_DEADLINE);
	return r;
}

static int middle_stage(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct finding finding;
	size_t got;
	int r;

	while ((r = carom_queue_get(numbers, &finding.number, sizeof(finding.number),
				    CAROM_NO_DEADLINE, &got)) == 0) {
		if (finding.number == DEADLY_NUMBER)
			die_once();
		finding.step_count = count_steps(finding.number);
		r = carom_queue_put(findings, &finding, sizeof(finding), CAROM_NO_DEADLINE);
		if (r == 0)
			r = carom_queue_task_done(numbers);
		if (r < 0)
			return r;
	}
	return r == -EPIPE ? 0 : r;
}

static int start(carom_process_fn *stage, const char *name, struct carom_process **ret_process)
{
	static struct carom_context *fork_context;
	int r = carom_context_get("fork", &fork_context);

	if (r == 0)
		r = carom_process_new(&CAROM_PROCESS_OPTIONS(.context = fork_context,
							     .function = stage, .name = name),
				      ret_process);
	return r < 0 ? r : carom_process_start(*ret_process);
}

/* The last stage is the program itself. It gives up if nothing comes: the others may all have died. */
static int last_stage(uint64_t *ret_count, struct finding *ret_longest)
{
	struct finding finding;
	size_t got;
	int r;

	while ((r = carom_queue_get(findings, &finding, sizeof(finding),
				    carom_deadline_after(CAROM_SECONDS(20)), &got)) == 0) {
		++*ret_count;
		if (finding.step_count > ret_longest->step_count)
			*ret_longest = finding;
	}
	return r == -EPIPE ? 0 : r;
}

static int make_queues(void)
{
	int r = carom_queue_new(&CAROM_QUEUE_OPTIONS(.name = "numbers", .size_max = 100,
						     .tasks = CAROM_QUEUE_TASKS_REQUEUE),
				&numbers);

	if (r == 0)
		r = carom_queue_new(&CAROM_QUEUE_OPTIONS(.name = "findings", .size_max = 100,
							 .producer_count = MIDDLE_COUNT),
				    &findings);
	if (r == 0)
		r = carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int64_t)), &begun_count);
	return r;
}

int main(void)
{
	struct carom_process *stages[1 + MIDDLE_COUNT] = { NULL };
	struct finding longest = { 0 };
	uint64_t count = 0;
	int64_t begun = 0;
	int r = make_queues();

	if (r == 0)
		r = start(first_stage, "numbers", &stages[0]);
	for (int i = 1; r == 0 && i <= MIDDLE_COUNT; i++)
		r = start(middle_stage, "collatz", &stages[i]);
	if (r == 0)
		r = last_stage(&count, &longest);
	for (int i = 0; i <= MIDDLE_COUNT; i++)
		carom_process_free(stages[i]);
	if (r == 0)
		r = carom_value_get(begun_count, &begun);
	if (r < 0)
		return carom_complain("pipeline", r);
	printf("%" PRIu64 " numbers; %" PRIu64 " takes %" PRIu64 " steps; %d was begun %" PRId64
	       " times\n",
	       count, longest.number, longest.step_count, DEADLY_NUMBER, begun);
	carom_value_free(begun_count);
	carom_queue_free(findings);
	carom_queue_free(numbers);
	return 0;
}

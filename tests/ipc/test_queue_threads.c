/*
 * The queue used by threads of one process, so that ThreadSanitizer sees both sides of every
 * access. It sees no threads of a child whose parent had some: the rest is in test_queue.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "ipc/queue.h"
#include "tests/needs.h"

#define CREW     4
#define EACH     5000
#define GO_HOME  UINT32_MAX
#define SOMEBODY (CREW * EACH)

/**
 * struct worker - a thread
 * @first:  of the EACH numbers that it puts
 * @result: of the call that failed
 */
struct worker {
	struct carom_queue *queue;
	uint32_t first;
	int result;
	pthread_t thread;
};

static _Atomic uint8_t seen[SOMEBODY];

static void *produce(void *userdata)
{
	struct worker *worker = userdata;

	for (uint32_t i = 0; worker->result == 0 && i < EACH; i++) {
		uint32_t number = worker->first + i;

		worker->result =
			carom_queue_put(worker->queue, &number, sizeof(number), CAROM_NO_DEADLINE);
	}
	return NULL;
}

/* Until a message that says so: the process does not end with one of its threads. */
static void *consume(void *userdata)
{
	struct worker *worker = userdata;
	uint32_t number = 0;
	size_t size;

	while ((worker->result = carom_queue_get(worker->queue, &number, sizeof(number),
						 CAROM_NO_DEADLINE, &size)) == 0 &&
	       number < SOMEBODY)
		atomic_fetch_add(&seen[number], 1);
	return NULL;
}

static void start(struct worker *workers, struct carom_queue *queue, void *(*function)(void *))
{
	for (uint32_t i = 0; i < CREW; i++) {
		workers[i] = (struct worker){ .queue = queue, .first = i * EACH };
		cr_assert(
			zero(int, pthread_create(&workers[i].thread, NULL, function, &workers[i])));
	}
}

static void join(struct worker *workers)
{
	for (uint32_t i = 0; i < CREW; i++) {
		pthread_join(workers[i].thread, NULL);
		cr_expect(zero(int, workers[i].result));
	}
}

static void expect_each_once(uint32_t size_max)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	struct worker producers[CREW], consumers[CREW];
	uint32_t go_home = GO_HOME;

	NEEDS("get_robust_list");
	cr_assert(zero(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(.size_max = size_max), &queue)));
	start(consumers, queue, consume);
	start(producers, queue, produce);
	join(producers);
	for (uint32_t i = 0; i < CREW; i++)
		cr_assert(zero(
			int, carom_queue_put(queue, &go_home, sizeof(go_home), CAROM_NO_DEADLINE)));
	join(consumers);
	for (uint32_t i = 0; i < SOMEBODY; i++)
		cr_assert(eq(u8, seen[i], 1), "message %u", i);
	cr_expect(zero(u32, carom_queue_qsize(queue)));
}

Test(queue_threads, get_each_message_once, .timeout = 120)
{
	expect_each_once(50);
}

Test(queue_threads, get_each_message_once_though_all_wait_for_each_other, .timeout = 120)
{
	expect_each_once(1);
}

/*
 * The lane's protocol run by threads of one process that share one mapping, so that
 * ThreadSanitizer sees both sides of every access: processes, and views attached one
 * by one, have the same memory at different addresses, which it cannot know.
 *
 * A thread cannot be killed at any instruction, but it can stop between claiming and
 * finishing, which looks like a death to the rest.
 */
#include "tests/ipc/crew.h"

#include <pthread.h>
#include <semaphore.h>

#define WORKERS       3
#define SUBMITTERS    2
#define SLOTS         64
#define BURST_MAX     8
#define TASKS_EACH    8000
#define DEATHS_PERIOD 200
#define BLOCK         100 /* bytes of a value in the arena */
#define RANGE         CAROM_KIB(16)

/**
 * struct hall - everything
 * @lock:  around what one thread of the parent may do at a time
 * @death: posted by a worker that stops
 * @begun: by number of the task
 */
struct hall {
	struct carom_lane *lane;
	pthread_mutex_t lock;
	sem_t death;
	struct staff {
		struct hall *hall;
		struct carom_lane *view;
		pthread_t thread;
		uint64_t seed;
		uint64_t
			begin; /* of its range for values: each worker's is above its predecessor's */
		_Atomic bool dead;
	} staff[WORKERS];
	_Atomic uint8_t begun[SUBMITTERS * TASKS_EACH];
	_Atomic bool over;
	_Atomic uint32_t lost_count;
	_Atomic uint32_t wrong_count;
};

/* ---- workers ---- */

/* what carom_lane_attach() makes, over the parent's mapping */
static struct carom_lane *view_of(const struct carom_lane *lane, uint32_t worker, uint64_t begin)
{
	struct carom_lane *view = calloc(1, sizeof(*view));

	cr_assert(ne(ptr, view, NULL));
	view->view = lane->view;
	view->view.values = carom_lane_values(lane, worker);
	view->view.worker = worker;
	view->header = lane->header;
	view->workers = lane->workers;
	view->ring = lane->ring;
	view->ring_count = lane->ring_count;
	view->mask_words = lane->mask_words;
	carom_patience_init(&view->patience, lane->patience.limit_ns);
	view->spinner_max = lane->spinner_max;
	view->control_size = lane->control_size;
	view->last_submit_cpu = CAROM_LANE_NOBODY;
	carom_arena_init(&view->arena, view->view.values, begin, view->view.payload_size,
			 &view->workers[worker].returned);
	return view;
}

/* every third value stands in the arena */
static void do_task(struct staff *self, struct carom_slot *slot)
{
	uint64_t number = argument_of(slot);
	unsigned char *room;

	atomic_fetch_add(&self->hall->begun[number], 1);
	if (number % 3) {
		reply(slot, number * 3);
		return;
	}
	slot->value_size = BLOCK;
	if (carom_arena_alloc(&self->view->arena, BLOCK, &slot->value.offset) < 0)
		abort();
	room = self->view->view.values + slot->value.offset;
	memset(room, (int)(number & 0xff), BLOCK);
}

static void *staff_thread(void *userdata)
{
	struct staff *self = userdata;
	uint32_t slot;

	while (carom_lane_claim(self->view, &slot) == 0) {
		do_task(self, carom_lane_slot(self->view, slot));
		if (chance(&self->seed) % DEATHS_PERIOD == 0) {
			atomic_store(&self->dead, true);
			sem_post(&self->hall->death);
			return NULL;
		}
		carom_lane_finish(self->view, slot);
	}
	return NULL;
}

static void start_staff(struct hall *hall, uint32_t worker)
{
	struct staff *staff = &hall->staff[worker];

	carom_lane_prepare(hall->lane, worker);
	staff->hall = hall;
	staff->begin += RANGE;
	staff->view = view_of(hall->lane, worker, staff->begin);
	staff->seed += worker;
	atomic_store(&staff->dead, false);
	cr_assert(zero(int, pthread_create(&staff->thread, NULL, staff_thread, staff)));
}

static void end_staff(struct staff *staff)
{
	pthread_join(staff->thread, NULL);
	free(staff->view);
}

/* ---- the parent ---- */

static enum carom_sweep_verdict verdict(uint32_t slot, void *userdata)
{
	struct hall *hall = userdata;

	return argument_of(carom_lane_slot(hall->lane, slot)) % 2 ? CAROM_SWEEP_LOST
								  : CAROM_SWEEP_AGAIN;
}

static void *supervisor_thread(void *userdata)
{
	struct hall *hall = userdata;

	for (;;) {
		sem_wait(&hall->death);
		if (atomic_load(&hall->over))
			return NULL;
		for (uint32_t i = 0; i < WORKERS; i++) {
			if (!atomic_load(&hall->staff[i].dead))
				continue;
			end_staff(&hall->staff[i]);
			pthread_mutex_lock(&hall->lock);
			carom_lane_sweep(hall->lane, i, verdict, hall);
			start_staff(hall, i);
			pthread_mutex_unlock(&hall->lock);
		}
	}
}

static void check_value(struct hall *hall, uint32_t slot, uint64_t number)
{
	struct carom_slot *lines = carom_lane_slot(hall->lane, slot);
	uint32_t owner = carom_slot_owner(word_of(hall->lane, slot));
	unsigned char *value;

	if (number % 3) {
		if (value_of(hall->lane, slot) != number * 3)
			atomic_fetch_add(&hall->wrong_count, 1);
		return;
	}
	value = (unsigned char *)carom_lane_values(hall->lane, owner) + lines->value.offset;
	for (int i = 0; i < BLOCK; i++)
		if (value[i] != (number & 0xff))
			atomic_fetch_add(&hall->wrong_count, 1);
	if (lines->value.offset >= hall->staff[owner].begin)
		carom_arena_return(carom_lane_values(hall->lane, owner),
				   &carom_lane_worker(hall->lane, owner)->returned,
				   lines->value.offset, BLOCK);
}

static void check_end(struct hall *hall, uint32_t slot, uint64_t number)
{
	uint32_t begun = atomic_load(&hall->begun[number]);
	bool may_run_again = number % 2 == 0;

	if (state_of(hall->lane, slot) == CAROM_SLOT_DONE) {
		check_value(hall, slot, number);
		if (begun < 1 || (begun > 1 && !may_run_again))
			atomic_fetch_add(&hall->wrong_count, 1);
	} else {
		atomic_fetch_add(&hall->lost_count, 1);
		if (begun != 1 || may_run_again)
			atomic_fetch_add(&hall->wrong_count, 1);
	}
}

struct submitter {
	struct hall *hall;
	pthread_t thread;
	uint64_t first;
	uint64_t seed;
};

static void submit_burst(struct submitter *self, uint64_t first, uint32_t count, uint32_t *slots,
			 uint32_t *generations)
{
	struct hall *hall = self->hall;
	bool woke;

	pthread_mutex_lock(&hall->lock);
	for (uint32_t i = 0; i < count; i++) {
		slots[i] = carom_lane_take(hall->lane);
		fill(hall->lane, slots[i], job_triple, first + i);
	}
	if (carom_lane_submit(hall->lane, slots, count, &woke) < 0)
		abort();
	for (uint32_t i = 0; i < count; i++)
		generations[i] = carom_lane_generation(hall->lane, slots[i]);
	pthread_mutex_unlock(&hall->lock);
}

/* half of the time by what a slot says, half by what the lane says of any */
static void await_one(struct submitter *self, uint32_t slot, uint32_t generation)
{
	struct carom_lane *lane = self->hall->lane;
	uint32_t ticket;

	if (chance(&self->seed) % 2) {
		carom_lane_await(lane, slot, generation, CAROM_NO_DEADLINE,
				 chance(&self->seed) % 2);
		return;
	}
	ticket = carom_lane_expect(lane);
	while (carom_lane_await(lane, slot, generation, CAROM_PASSED, false) < 0) {
		carom_lane_await_any(lane, ticket, CAROM_NO_DEADLINE);
		carom_lane_unexpect(lane);
		ticket = carom_lane_expect(lane);
	}
	carom_lane_unexpect(lane);
}

static void *submitter_thread(void *userdata)
{
	struct submitter *self = userdata;
	uint32_t slots[BURST_MAX], generations[BURST_MAX];
	uint64_t next = self->first, end = self->first + TASKS_EACH;

	while (next < end) {
		uint32_t count = 1 + chance(&self->seed) % BURST_MAX;

		count = count < end - next ? count : (uint32_t)(end - next);
		submit_burst(self, next, count, slots, generations);
		for (uint32_t i = count; i-- > 0;) {
			await_one(self, slots[i], generations[i]);
			pthread_mutex_lock(&self->hall->lock);
			check_end(self->hall, slots[i], next + i);
			carom_lane_give(self->hall->lane, slots[i]);
			pthread_mutex_unlock(&self->hall->lock);
		}
		next += count;
	}
	return NULL;
}

/* ---- a run ---- */

static void tasks_flow(uint64_t spin_ns)
{
	struct hall *hall = calloc(1, sizeof(*hall));
	struct submitter submitters[SUBMITTERS];
	uint64_t seed = new_seed();
	pthread_t supervisor;

	cr_assert(ne(ptr, hall, NULL));
	hall->lane = new_lane(WORKERS, SLOTS, spin_ns);
	pthread_mutex_init(&hall->lock, NULL);
	sem_init(&hall->death, 0, 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		hall->staff[i].seed = chance(&seed);
		start_staff(hall, i);
	}
	cr_assert(zero(int, pthread_create(&supervisor, NULL, supervisor_thread, hall)));
	for (uint64_t i = 0; i < SUBMITTERS; i++) {
		submitters[i] = (struct submitter){ .hall = hall,
						    .first = i * TASKS_EACH,
						    .seed = chance(&seed) };
		cr_assert(zero(int, pthread_create(&submitters[i].thread, NULL, submitter_thread,
						   &submitters[i])));
	}
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(submitters[i].thread, NULL);

	atomic_store(&hall->over, true);
	sem_post(&hall->death);
	pthread_join(supervisor, NULL);
	carom_lane_stop(hall->lane, CAROM_LANE_DRAIN);
	for (int i = 0; i < WORKERS; i++)
		end_staff(&hall->staff[i]);
	cr_expect(zero(u32, atomic_load(&hall->wrong_count)));
	cr_expect(lt(u32, 0, atomic_load(&hall->lost_count)));
	cr_expect(eq(u32, hall->lane->free_count, SLOTS));
	sem_destroy(&hall->death);
	pthread_mutex_destroy(&hall->lock);
	carom_lane_free(hall->lane);
	free(hall);
}

Test(lane_threads, tasks_flow_between_threads_that_park, .timeout = 120)
{
	tasks_flow(CAROM_LANE_SPIN_NEVER);
}

Test(lane_threads, tasks_flow_between_threads_that_spin, .timeout = 120)
{
	tasks_flow(CAROM_MICROSECONDS(20));
}

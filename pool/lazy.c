/*
 * Lazy start
 *
 * With lazy_start a place stays empty until there is work that nobody can take at once:
 * more tasks that have not ended than there are workers, or will be. All of it stands in
 * the slots' words, so the loop's thread counts it right whenever it looks. It looks when
 * it is poked, after more slots are in use than there are workers; not all of those are
 * tasks that have not ended, but no fewer. And when a worker has ended, and again when it
 * is no longer counted: its place is filled again when it is wanted, and who has submitted
 * meanwhile has not poked. The first one is made at once where it is to prove that workers can
 * live with the limits of the pool.
 *
 * That a task has woken a worker says nothing: it may have been about to take another.
 *
 * Cost: for a pool without lazy_start a branch in each submission; for one with it, and
 * with places left, a wake-up of the loop where more slots are in use than workers there.
 */
#include "pool/pool_private.h"

static uint32_t places_taken(const struct carom_pool *pool)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < pool->place_count; i++)
		count += pool->workers[i].current || pool->workers[i].next;
	return count;
}

uint32_t carom_lazy_count(const struct carom_pool *pool)
{
	uint32_t wanted = 0;
	uint32_t taken;

	if (!pool->options.lazy_start)
		return pool->worker_count;
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		uint64_t word = carom_lane_word(pool->lane, slot);

		wanted += carom_slot_state(word) == CAROM_SLOT_READY ||
			  carom_slot_state(word) == CAROM_SLOT_RUNNING;
	}
	taken = places_taken(pool);
	if (!wanted && carom_containment_wants_proof(pool))
		wanted = 1;
	return wanted > taken ? wanted - taken : 0;
}

void carom_lazy_note(struct carom_pool *pool)
{
	uint32_t there = pool->process_count + pool->request_count;

	if (there < pool->worker_count && carom_lane_used_count(pool->lane) > there)
		carom_service_poke(pool->service, &pool->fill_poke);
}

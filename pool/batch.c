/*
 * Batch
 *
 * A batch is a call per item, with its progress noted around each, so that whoever
 * finds the batch after this worker's death knows which items have values, which one
 * was running, and which were never begun:
 *
 *	begun k+1 | call item k | value and code | ended k+1
 *
 *   B1  `begun` is stored before the function sees the item, `ended` after its
 *       value is complete.
 *   B2  In a batch with a time limit, `ended` is stored before the word is looked at
 *       for what holds this worker to that item (P6 of the lane), in one total order
 *       with the parent's compare-and-swap and its look at `ended`: either the parent
 *       sees that the item has ended, and lets go, or this worker sees that it is
 *       held, before it begins the next.
 *   B4  The parent takes back what was not begun by lowering `end`. It stores `end`,
 *       undecided, and then looks at `begun`; this worker stores `begun` and then looks
 *       at `end`: one total order, so at least one of them sees the other. If the
 *       parent sees that the item has begun, it leaves `end` as it was, else it is
 *       decided as it stands; whoever meets it undecided waits for that, and so never
 *       begins what was taken back, nor leaves what was not. A worker that dies there
 *       has begun nothing beyond `end`, whatever `begun` says; if the parent dies there,
 *       its workers die with it. The barrier that this needs between the worker's store
 *       and its look, some 6 ns an item, the parent has the kernel make instead, in the
 *       rare case that it takes back (core/membarrier.h), where that can be had.
 *   B3  A worker that is told to end does so between two items: then none is running,
 *       and whoever finds the batch goes on with the next.
 */
#include <sched.h>
#include <string.h>

#include "core/points.h"
#include "core/shutdown_private.h"
#include "core/time.h"
#include "pool/answer.h"
#include "pool/call_private.h"

static int make_room_for_batch(struct carom_call *call, const struct carom_batch *batch)
{
	uint64_t size = carom_batch_values_size(batch->item_count, batch->value_size);
	uint64_t offset;
	int r;

	/* always in the arena, where the parent looks for it, however small */
	if (size <= CAROM_LANE_INLINE)
		size = CAROM_LANE_INLINE + 1;
	r = carom_arena_alloc(carom_lane_arena(call->lane), size, &offset);
	if (r < 0)
		return r;
	call->slot->value.offset = offset;
	call->slot->value_size = size;
	return 0;
}

static void run_item(struct carom_call *call, const struct carom_batch *batch, void *values,
		     uint64_t item)
{
	call->index = batch->first_index + item;
	carom_call_take_row(call, (const void *)(batch + 1), item);
	call->place = carom_batch_value(values, batch->item_count, batch->value_size, item);
	call->place_size = batch->value_size;
	call->has_room = false;
	call->value_size = 0;
	call->message_size = 0;
	call->reply_error = 0;
	*carom_batch_code(values, item) = carom_call_invoke(call);
	if (call->value_size < batch->value_size)
		memset((unsigned char *)call->place + call->value_size, 0,
		       batch->value_size - call->value_size);
}

static void begin_item(struct carom_call *call, uint64_t item)
{
	struct carom_slot *slot = call->slot;

	if (slot->flags & CAROM_TASK_TIMED)
		slot->started_ns = carom_now();
	/* B4: a barrier between this and the look at `end`, which is sequentially consistent too */
	if (!call->worker->has_barrier) {
		atomic_store(&slot->value.progress, carom_progress(item + 1, item));
		return;
	}
	atomic_store_explicit(&slot->value.progress, carom_progress(item + 1, item),
			      memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

/* 0, or -ECANCELED: this was the last one */
static int end_item(struct carom_call *call, uint32_t slot_index, uint64_t item)
{
	struct carom_slot *slot = call->slot;

	if (slot->flags & CAROM_TASK_TIMED) {
		atomic_store(&slot->value.progress, carom_progress(item + 1, item + 1)); /* B2 */
		return carom_lane_go_on(call->lane, slot_index);
	}
	/* release: the value; read after this process's death */
	atomic_store_explicit(&slot->value.progress, carom_progress(item + 1, item + 1),
			      memory_order_release);
	return 0;
}

/* B4 */
static bool was_taken_back(const struct carom_batch *batch, uint64_t item)
{
	uint64_t end = atomic_load(&batch->end);

	while (end & CAROM_BATCH_UNDECIDED) {
		sched_yield();
		end = atomic_load(&batch->end);
	}
	return item >= end;
}

static bool is_to_end(const struct carom_call *call)
{
	/* relaxed: this thread's own handler sets it */
	return call->worker->ending &&
	       atomic_load_explicit(&carom_shutdown_begun_by, memory_order_relaxed);
}

bool carom_call_run_batch(struct carom_call *call, uint32_t slot_index)
{
	struct carom_slot *slot = call->slot;
	const struct carom_batch *batch =
		(const void *)((unsigned char *)carom_lane_arguments(call->lane) +
			       slot->argument.offset);
	void *values;

	slot->code = make_room_for_batch(call, batch);
	if (slot->code < 0) {
		slot->value_size = 0;
		return true;
	}
	values = (unsigned char *)carom_lane_values(call->lane, call->worker->index) +
		 slot->value.offset;
	for (uint64_t item = batch->begin; item < batch->item_count; item++) {
		if (is_to_end(call))
			return false; /* B3 */
		begin_item(call, item);
		CAROM_POINT("worker.item.begun");
		if (was_taken_back(batch, item)) {
			atomic_store(&slot->value.progress, carom_progress(item, item));
			break;
		}
		run_item(call, batch, values, item);
		CAROM_POINT("worker.item.called");
		if (end_item(call, slot_index, item) < 0)
			return false;
		if (batch->stops_at_failure && *carom_batch_code(values, item) < 0)
			break;
	}
	if (slot->flags & CAROM_TASK_TIMED)
		slot->ended_ns = carom_now();
	return true;
}

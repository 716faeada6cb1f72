/*
 * Kit: one of everything that processes share, each used once by two of them: by the maker, and
 * by a child that has it by descriptors. In the suite and in tests/ipc/child.c.
 */
#ifndef TESTS_IPC_KIT_H
#define TESTS_IPC_KIT_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/process.h"
#include "core/time.h"
#include "ipc/connection.h"
#include "ipc/passing.h"
#include "ipc/queue.h"
#include "shm/array.h"
#include "shm/barrier.h"
#include "shm/condition.h"
#include "shm/event.h"
#include "shm/heap.h"
#include "shm/lock.h"
#include "shm/mutex.h"
#include "shm/rlock.h"
#include "shm/segment.h"
#include "shm/semaphore.h"
#include "shm/value.h"

/* What there is, by the place of its descriptor. */
enum kit_part {
	KIT_SEGMENT,
	KIT_LOCK,
	KIT_SEMAPHORE,
	KIT_BOUNDED,
	KIT_CONDITION,
	KIT_BARRIER,
	KIT_HEAP,
	KIT_QUEUE,
	KIT_VALUE,
	KIT_ARRAY,
	KIT_PARTS
};

/**
 * struct kit_table - in the segment
 * @count:   changed under the mutex, and under the recursive lock
 * @waits:   the child does, for the condition; under the condition's lock
 * @heap:    the maker's handle, which whoever has the maker's memory by fork() has too
 * @text:    what the child has written into a block of the heap
 */
struct kit_table {
	struct carom_mutex mutex;
	struct carom_rlock rlock;
	struct carom_event is_there;
	int count;
	int waits;
	struct carom_heap *heap;
	char *text;
};

struct kit {
	struct carom_segment *segment;
	struct kit_table *table;
	struct carom_lock *lock;
	struct carom_semaphore *semaphore;
	struct carom_semaphore *bounded;
	struct carom_condition *condition;
	struct carom_barrier *barrier;
	struct carom_heap *heap;
	struct carom_queue *queue;
	struct carom_value *value;
	struct carom_array *array;
};

static inline uint64_t kit_soon(void)
{
	return carom_deadline_after(CAROM_SECONDS(20));
}

/* ---- making ---- */

static inline int kit_make_locks(struct kit *kit)
{
	int r = carom_lock_new(NULL, &kit->lock);

	if (r == 0)
		r = carom_semaphore_new(2, NULL, &kit->semaphore);
	if (r == 0)
		r = carom_semaphore_new(1, &CAROM_SEMAPHORE_OPTIONS(.max = 1), &kit->bounded);
	if (r == 0)
		r = carom_condition_new(NULL, &kit->condition);
	if (r == 0)
		r = carom_barrier_new(2, NULL, &kit->barrier);
	return r;
}

static inline int kit_make_memory(struct kit *kit)
{
	int r = carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = sizeof(struct kit_table)),
				  &kit->segment);

	if (r < 0)
		return r;
	kit->table = carom_segment_data(kit->segment);
	r = carom_heap_new(NULL, &kit->heap);
	kit->table->heap = kit->heap;
	if (r == 0)
		r = carom_queue_new(NULL, &kit->queue);
	if (r == 0)
		r = carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int)), &kit->value);
	if (r == 0)
		r = carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(int), .count = 3), &kit->array);
	if (r == 0)
		r = carom_mutex_init(&kit->table->mutex);
	if (r == 0)
		r = carom_rlock_init(&kit->table->rlock);
	return r;
}

static inline int kit_make(struct kit *kit)
{
	int r;

	*kit = (struct kit){ 0 };
	r = kit_make_memory(kit);
	return r < 0 ? r : kit_make_locks(kit);
}

static inline void kit_get_fds(const struct kit *kit, int fds[KIT_PARTS])
{
	fds[KIT_SEGMENT] = carom_segment_fd(kit->segment);
	fds[KIT_LOCK] = carom_lock_fd(kit->lock);
	fds[KIT_SEMAPHORE] = carom_semaphore_fd(kit->semaphore);
	fds[KIT_BOUNDED] = carom_semaphore_fd(kit->bounded);
	fds[KIT_CONDITION] = carom_condition_fd(kit->condition);
	fds[KIT_BARRIER] = carom_barrier_fd(kit->barrier);
	fds[KIT_HEAP] = carom_heap_fd(kit->heap);
	fds[KIT_QUEUE] = carom_queue_fd(kit->queue);
	fds[KIT_VALUE] = carom_value_fd(kit->value);
	fds[KIT_ARRAY] = carom_array_fd(kit->array);
}

static inline void kit_free(struct kit *kit)
{
	carom_array_free(kit->array);
	carom_value_free(kit->value);
	carom_queue_free(kit->queue);
	carom_heap_free(kit->heap);
	carom_barrier_free(kit->barrier);
	carom_condition_free(kit->condition);
	carom_semaphore_free(kit->bounded);
	carom_semaphore_free(kit->semaphore);
	carom_lock_free(kit->lock);
	carom_segment_free(kit->segment);
}

/* ---- the child ---- */

static inline int kit_attach_locks(struct kit *kit, const int *fds)
{
	int r = carom_lock_attach_dup(fds[KIT_LOCK], &kit->lock);

	if (r == 0)
		r = carom_semaphore_attach_dup(fds[KIT_SEMAPHORE], &kit->semaphore);
	if (r == 0)
		r = carom_semaphore_attach_dup(fds[KIT_BOUNDED], &kit->bounded);
	if (r == 0)
		r = carom_condition_attach_dup(fds[KIT_CONDITION], NULL, &kit->condition);
	if (r == 0)
		r = carom_barrier_attach_dup(fds[KIT_BARRIER], &kit->barrier);
	return r;
}

/* A forked child has the heap already, and where it must lie. */
static inline int kit_attach_heap(struct kit *kit, int fd)
{
	int r = carom_heap_attach_dup(fd, &kit->heap);

	if (r != -EADDRINUSE)
		return r;
	kit->heap = kit->table->heap;
	return 0;
}

static inline int kit_attach_memory(struct kit *kit, const int *fds)
{
	int r = carom_segment_attach_dup(fds[KIT_SEGMENT], 0, &kit->segment);

	if (r < 0)
		return r;
	kit->table = carom_segment_data(kit->segment);
	r = kit_attach_heap(kit, fds[KIT_HEAP]);
	if (r == 0)
		r = carom_queue_attach_dup(fds[KIT_QUEUE], &kit->queue);
	if (r == 0)
		r = carom_value_attach_dup(fds[KIT_VALUE], NULL, &kit->value);
	if (r == 0)
		r = carom_array_attach_dup(fds[KIT_ARRAY], NULL, &kit->array);
	return r;
}

/* The child's part of a test goes on, or it ends, having said where. */
#define KIT_EXPECT(condition)                                                     \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "# kit: %s does not hold\n", #condition); \
			return 1;                                                 \
		}                                                                 \
	} while (0)

/* The maker holds the lock, and waits for it. */
static inline int kit_use_lock(struct kit *kit)
{
	KIT_EXPECT(carom_lock_try(kit->lock) == -EBUSY);
	carom_event_set(&kit->table->is_there);
	KIT_EXPECT(carom_lock_release(kit->lock) == 0);
	return 0;
}

static inline int kit_use_owned_locks(struct kit_table *table)
{
	KIT_EXPECT(carom_mutex_acquire(&table->mutex, kit_soon()) == 0);
	table->count++;
	KIT_EXPECT(carom_mutex_release(&table->mutex) == 0);
	for (int level = 0; level < 2; level++)
		KIT_EXPECT(carom_rlock_acquire(&table->rlock, kit_soon()) == 0);
	table->count++;
	for (int level = 0; level < 2; level++)
		KIT_EXPECT(carom_rlock_release(&table->rlock) == 0);
	return 0;
}

static inline int kit_use_semaphores(struct kit *kit)
{
	KIT_EXPECT(carom_semaphore_acquire(kit->semaphore, kit_soon()) == 0);
	KIT_EXPECT(carom_semaphore_release(kit->bounded, 1) == -EOVERFLOW);
	KIT_EXPECT(carom_semaphore_acquire(kit->bounded, kit_soon()) == 0);
	KIT_EXPECT(carom_semaphore_release(kit->bounded, 1) == 0);
	return 0;
}

static inline int kit_use_condition(struct kit *kit)
{
	KIT_EXPECT(carom_condition_acquire(kit->condition, kit_soon()) == 0);
	kit->table->waits = 1;
	KIT_EXPECT(carom_condition_wait(kit->condition, kit_soon()) == 0);
	KIT_EXPECT(carom_condition_release(kit->condition) == 0);
	return 0;
}

static inline int kit_use_memory(struct kit *kit)
{
	int64_t number = 0;
	size_t size;

	KIT_EXPECT(carom_heap_alloc(kit->heap, 100, (void **)&kit->table->text) == 0);
	strcpy(kit->table->text, "hello");
	KIT_EXPECT(carom_queue_get(kit->queue, &number, sizeof(number), kit_soon(), &size) == 0);
	number++;
	KIT_EXPECT(carom_queue_put(kit->queue, &number, sizeof(number), kit_soon()) == 0);
	KIT_EXPECT(carom_value_add(kit->value, 7, NULL) == 0);
	KIT_EXPECT(carom_array_add(kit->array, 2, 8, NULL) == 0);
	return 0;
}

/* Everything once; and it dies with a unit of the semaphore. */
static inline int kit_use(const int *fds)
{
	struct kit kit = { 0 };

	KIT_EXPECT(kit_attach_memory(&kit, fds) == 0);
	KIT_EXPECT(kit_attach_locks(&kit, fds) == 0);
	if (kit_use_lock(&kit) || kit_use_owned_locks(kit.table) || kit_use_semaphores(&kit) ||
	    kit_use_condition(&kit) || kit_use_memory(&kit))
		return 1;
	KIT_EXPECT(carom_barrier_wait(kit.barrier, kit_soon()) >= 0);
	raise(SIGKILL);
	return 1;
}

/* Its descriptors are the parts. */
static int use_what_it_was_started_with(const void *argument, size_t size, const int *fds,
					size_t fd_count)
{
	return fd_count == KIT_PARTS ? kit_use(fds) : 2;
}
CAROM_REGISTER(use_what_it_was_started_with);

/* Its descriptor is a connection: it says that it runs, and is sent the parts. */
static int use_what_it_is_sent(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_connection *connection = NULL;
	int parts[KIT_PARTS];

	KIT_EXPECT(carom_connection_new_take(dup(fds[0]), NULL, &connection) == 0);
	KIT_EXPECT(carom_connection_send_bytes(connection, "!", 1, kit_soon()) == 0);
	KIT_EXPECT(carom_connection_recv_fds(connection, KIT_PARTS, kit_soon(), parts) == 0);
	carom_connection_free(connection);
	return kit_use(parts);
}
CAROM_REGISTER(use_what_it_is_sent);

#endif

/* What children of every start method do with shared memory; in the suite and in tests/shm/child.c. */
#ifndef TESTS_SHM_SHARE_H
#define TESTS_SHM_SHARE_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/process.h"
#include "core/time.h"
#include "shm/array.h"
#include "shm/lock.h"
#include "shm/mutex.h"
#include "shm/segment.h"
#include "shm/semaphore.h"
#include "shm/shared_memory.h"
#include "shm/value.h"

/** struct account - what stands in the segment: a lock, and what it protects */
struct account {
	struct carom_mutex lock;
	int64_t from, to;
};

static inline struct account *account_of(int fd)
{
	struct carom_segment *segment = NULL;

	return carom_segment_attach_dup(fd, 0, &segment) < 0 ? NULL : carom_segment_data(segment);
}

/* @argument: how often; its first descriptor is the segment. */
static int move_money(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct account *account = account_of(fds[0]);

	if (!account)
		return 1;
	for (int i = 0; i < *(const int *)argument; i++) {
		if (carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) != 0)
			return 2;
		account->from--;
		account->to++;
		if (carom_mutex_release(&account->lock) != 0)
			return 3;
	}
	return 0;
}
CAROM_REGISTER(move_money);

/* The lock is held by its parent; then it is not. */
static int find_locked(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct account *account = account_of(fds[0]);

	if (!account || carom_mutex_try(&account->lock) != -EBUSY)
		return 1;
	if (carom_mutex_owner(&account->lock) != getppid())
		return 2;
	if (write(fds[1], "!", 1) != 1)
		return 3;
	if (carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) != 0 || account->to != 7)
		return 4;
	return carom_mutex_release(&account->lock) == 0 ? 0 : 5;
}
CAROM_REGISTER(find_locked);

/* Its parent holds the lock and is named; then it holds it itself, and sees to its second descriptor. */
static int hold_in_turn(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct account *account = account_of(fds[0]);
	char text[400], expected[400];
	char byte;

	if (!account)
		return 1;
	snprintf(expected, sizeof(expected), "<Mutex owner='MainProcess' pid=%d>", (int)getppid());
	if (strcmp(carom_mutex_describe(&account->lock, text, sizeof(text)), expected) != 0)
		return 2;
	if (write(fds[1], "!", 1) != 1)
		return 3;
	if (carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) != 0)
		return 4;
	if (write(fds[1], "!", 1) != 1 || read(fds[1], &byte, 1) != 1)
		return 5;
	return carom_mutex_release(&account->lock) == 0 ? 0 : 6;
}
CAROM_REGISTER(hold_in_turn);

/* Its first descriptor is a lock that its parent holds, the second one a semaphore of one unit. */
static int use_handles(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;

	if (carom_lock_attach_dup(fds[0], &lock) < 0 ||
	    carom_semaphore_attach_dup(fds[1], &semaphore) < 0)
		return 1;
	if (carom_lock_try(lock) != -EBUSY || carom_lock_release(lock) != 0)
		return 2;
	if (carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE) != 0)
		return 3;
	raise(SIGKILL); /* with the unit */
	return 4;
}
CAROM_REGISTER(use_handles);

/* Dies with the lock, in the middle of something. */
static int die_with_lock(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct account *account = account_of(fds[0]);

	if (!account || carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) != 0)
		return 1;
	account->from--;
	raise(SIGKILL);
	return 2;
}
CAROM_REGISTER(die_with_lock);

struct pair {
	int64_t up, down;
};

/* Its first descriptor is an array of pairs, its second one how many changes there were. */
static int change_pairs(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_array *pairs = NULL;
	struct carom_value *changes = NULL;
	int r = carom_array_attach_dup(fds[0], NULL, &pairs);

	if (r == 0)
		r = carom_value_attach_dup(fds[1], NULL, &changes);
	for (int i = 0; r == 0 && i < *(const int *)argument; i++) {
		struct pair *pair = (struct pair *)carom_array_data(pairs) + i % 3;

		CAROM_HOLDING(r, carom_array_get_lock(pairs)) {
			pair->up++;
			pair->down--;
		}
		if (r == 0)
			r = carom_value_add(changes, 1, NULL);
	}
	carom_array_free(pairs);
	carom_value_free(changes);
	return r;
}
CAROM_REGISTER(change_pairs);

/* Dies with its lock, in the middle of something. */
static int die_with_pairs(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_array *pairs = NULL;
	int r = carom_array_attach_dup(fds[0], NULL, &pairs);

	if (r == 0)
		CAROM_HOLDING(r, carom_array_get_lock(pairs)) {
			((struct pair *)carom_array_data(pairs))->up++;
			raise(SIGKILL);
		}
	return r;
}
CAROM_REGISTER(die_with_pairs);

/* What is sent to attach to memory with a name: as much of it as the name is long. */
struct sent_memory {
	uint64_t size;
	char name[CAROM_SHARED_MEMORY_NAME_MAX];
};

/* Is told of it through its first descriptor, and writes there. */
static int attach_to_sent(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_shared_memory *memory = NULL;
	struct sent_memory sent;
	ssize_t n = read(fds[0], &sent, sizeof(sent));
	size_t head = offsetof(struct sent_memory, name);

	if (n <= (ssize_t)head ||
	    carom_shared_memory_attach_sized(sent.name, (size_t)n - head, sent.size, &memory) < 0)
		return 1;
	if (carom_shared_memory_size(memory) != sent.size)
		return 2;
	((char *)carom_shared_memory_data(memory))[sent.size - 1] = '!';
	carom_shared_memory_free(memory);
	return 0;
}
CAROM_REGISTER(attach_to_sent);

#endif

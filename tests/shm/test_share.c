/* Share: shared memory and its locks under every start method, by a descriptor that is passed. */
#include <sys/socket.h>

#include "tests/core/methods.h"
#include "tests/needs.h"
#include "tests/shm/share.h"

static struct account *new_account(struct carom_segment **ret_segment)
{
	struct account *account;

	cr_assert(carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = sizeof(struct account)),
				    ret_segment) == 0);
	account = carom_segment_data(*ret_segment);
	cr_assert(carom_mutex_init(&account->lock) == 0);
	return account;
}

/* CX-08 */
Test(share, lock_is_one_for_children_of_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct account *account = new_account(&segment);
	int fd = carom_segment_fd(segment), rounds = 2000;
	struct carom_process *processes[6] = { 0 };

	for (int i = 0; i < 6; i++)
		processes[i] = START(.context = context_of(methods[i % 3]), .function = move_money,
				     .argument = &rounds, .argument_size = sizeof(int), .fds = &fd,
				     .fd_count = 1);
	for (int i = 0; i < 6; i++) {
		cr_expect(exitcode_of(processes[i]) == 0, "%s", methods[i % 3]);
		carom_process_free(processes[i]);
	}
	cr_expect(eq(i64, account->to, 6 * rounds));
	cr_expect(eq(i64, account->from, -6 * rounds));
}

/* SY-25 */
Test(share, handles_are_for_children_of_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;
	struct carom_context *context;
	int fds[2];

	NEEDS("get_robust_list"); /* gVisor: there is no means to hear of a death */
	cr_assert(carom_lock_new(NULL, &lock) == 0);
	cr_assert(carom_semaphore_new(1, &CAROM_SEMAPHORE_OPTIONS(.max = 1), &semaphore) == 0);
	fds[0] = carom_lock_fd(lock);
	fds[1] = carom_semaphore_fd(semaphore);
	EACH_METHOD(context)
	{
		struct carom_process *process;

		cr_assert(carom_lock_try(lock) == 0);
		process = START(.context = context, .function = use_handles, .fds = fds,
				.fd_count = 2);
		cr_expect(eq(int, exitcode_of(process), -SIGKILL), "%s", methods[each_]);
		carom_process_free(process);
		cr_expect(eq(int, carom_lock_is_locked(lock), 0), "%s", methods[each_]);
		cr_expect(eq(int, carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE), 0), "%s",
			  methods[each_]);
		cr_expect(eq(int, carom_semaphore_release(semaphore, 1), 0), "%s", methods[each_]);
	}
}

/* CX-08 */
Test(share, lock_that_is_held_here_is_held_for_children_of_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct account *account = new_account(&segment);
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_process *process;
		int ends[2], fds[2];
		char byte = 0;

		cr_assert(pipe(ends) == 0);
		fds[0] = carom_segment_fd(segment);
		fds[1] = ends[1];
		account->to = 0;
		cr_assert(carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) == 0);
		process = START(.context = context, .function = find_locked, .fds = fds,
				.fd_count = 2);
		close(ends[1]);
		cr_expect(read(ends[0], &byte, 1) == 1, "%s", methods[each_]);
		account->to = 7;
		cr_assert(carom_mutex_release(&account->lock) == 0);
		cr_expect(exitcode_of(process) == 0, "%s", methods[each_]);
		carom_process_free(process);
		close(ends[0]);
	}
}

/* SY-11 */
Test(share, lock_names_who_holds_it_under_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct account *account = new_account(&segment);
	struct carom_context *context;

	EACH_METHOD(context)
	{
		char text[400], expected[400], byte;
		struct carom_process *process;
		int ends[2], fds[2];

		cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
		fds[0] = carom_segment_fd(segment);
		fds[1] = ends[1];
		cr_assert(carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) == 0);
		process = START(.context = context, .function = hold_in_turn, .name = "the holder",
				.fds = fds, .fd_count = 2);
		cr_expect(read(ends[0], &byte, 1) == 1, "%s", methods[each_]);
		cr_assert(carom_mutex_release(&account->lock) == 0);
		cr_expect(read(ends[0], &byte, 1) == 1, "%s", methods[each_]);
		snprintf(expected, sizeof(expected), "<Mutex owner='the holder' pid=%d>",
			 (int)carom_process_pid(process));
		cr_expect(strcmp(carom_mutex_describe(&account->lock, text, sizeof(text)),
				 expected) == 0,
			  "%s: %s", methods[each_], text);
		cr_expect(write(ends[0], "!", 1) == 1);
		cr_expect(exitcode_of(process) == 0, "%s", methods[each_]);
		carom_process_free(process);
		close(ends[0]);
		close(ends[1]);
	}
}

/* CX-08 */
Test(share, lock_outlives_a_holder_of_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct account *account = new_account(&segment);
	int fd = carom_segment_fd(segment);
	struct carom_context *context;

	EACH_METHOD(context)
	{
		cr_expect(RUN(.context = context, .function = die_with_lock, .fds = &fd,
			      .fd_count = 1) == -SIGKILL);
		cr_expect(carom_mutex_acquire(&account->lock, CAROM_NO_DEADLINE) == -EOWNERDEAD,
			  "%s", methods[each_]);
		cr_expect(eq(i64, account->from, -1));
		account->from = 0;
		cr_assert(carom_mutex_consistent(&account->lock) == 0);
		cr_assert(carom_mutex_release(&account->lock) == 0);
	}
}

/* SC-12 */
Test(share, array_is_one_for_children_of_every_method, .timeout = 60)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *pairs = NULL;
	CAROM_CLEANUP(carom_value_freep) struct carom_value *changes = NULL;
	struct carom_process *processes[6] = { 0 };
	struct pair copy[3];
	int fds[2], rounds = 3000, count = 0;

	cr_assert(carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(struct pair), .count = 3),
				  &pairs) == 0);
	cr_assert(carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int)), &changes) == 0);
	fds[0] = carom_array_fd(pairs);
	fds[1] = carom_value_fd(changes);
	for (int i = 0; i < 6; i++)
		processes[i] = START(.context = context_of(methods[i % 3]),
				     .function = change_pairs, .argument = &rounds,
				     .argument_size = sizeof(int), .fds = fds, .fd_count = 2);
	for (int i = 0; i < 6; i++) {
		cr_expect(exitcode_of(processes[i]) == 0, "%s", methods[i % 3]);
		carom_process_free(processes[i]);
	}
	cr_expect(zero(int, carom_value_get(changes, &count)));
	cr_expect(eq(int, count, 6 * rounds));
	cr_expect(zero(int, carom_array_read(pairs, 0, 3, copy)));
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(i64, copy[i].up, 2 * rounds));
		cr_expect(eq(i64, copy[i].down, -2 * rounds));
	}
}

/* SC-12 */
Test(share, array_tells_of_a_holder_of_every_method_that_died, .timeout = 60)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *pairs = NULL;
	struct carom_value_lock *lock;
	struct carom_context *context;
	struct pair pair;
	int fd;

	cr_assert(carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(struct pair), .count = 3),
				  &pairs) == 0);
	lock = carom_array_get_lock(pairs);
	fd = carom_array_fd(pairs);
	EACH_METHOD(context)
	{
		cr_expect(RUN(.context = context, .function = die_with_pairs, .fds = &fd,
			      .fd_count = 1) == -SIGKILL);
		cr_expect(carom_array_get(pairs, 0, &pair) == -EOWNERDEAD, "%s", methods[each_]);
		cr_expect(eq(i64, pair.up, 1));
		cr_expect(eq(int, carom_array_set(pairs, 0, (struct pair){ 0 }), -EOWNERDEAD));
		cr_expect(carom_value_lock_acquire(lock, CAROM_NO_DEADLINE) == -EOWNERDEAD);
		cr_expect(zero(int, carom_value_lock_consistent(lock)));
		cr_expect(zero(int, carom_value_lock_release(lock)));
		cr_expect(zero(int, carom_array_get(pairs, 0, &pair)));
	}
}

/* An array of the caller's, by its address: nothing is copied for a thread. */
static int add_in_a_thread(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_array *array = *(struct carom_array *const *)argument;
	int r = 0;

	for (int i = 0; r == 0 && i < 10000; i++)
		r = carom_array_add(array, 0, 1, NULL);
	return r == 0 ? carom_array_set(array, 1, (int64_t)(intptr_t)carom_array_data(array)) : r;
}

/* DT-05 */
Test(share, array_is_the_same_for_threads_without_copies, .timeout = 60)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *array = NULL;
	struct carom_process *threads[4];
	struct carom_context *context = NULL;
	int64_t items[2];

	cr_assert(zero(int, carom_context_get("thread", &context)));
	cr_assert(zero(int, carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(int64_t), .count = 2),
					    &array)));
	for (int i = 0; i < 4; i++)
		threads[i] = START(.context = context, .function = add_in_a_thread,
				   .argument = &array, .argument_size = sizeof(array));
	for (int i = 0; i < 4; i++) {
		cr_expect(zero(int, exitcode_of(threads[i])));
		carom_process_free(threads[i]);
	}
	cr_expect(zero(int, carom_array_read(array, 0, 2, items)));
	cr_expect(eq(i64, items[0], 40000));
	cr_expect(eq(i64, items[1], (int64_t)(intptr_t)carom_array_data(array)));
}

/* SM-09 */
Test(share, memory_with_a_name_is_attached_by_who_is_sent_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *memory = NULL;
	struct sent_memory sent = { .size = 5000 };
	struct carom_context *context;
	const char *name, *data;
	size_t size;

	cr_assert(zero(
		int, carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.size = 5000), &memory)));
	name = carom_shared_memory_name(memory);
	size = strlen(name);
	memcpy(sent.name, name, size);
	size += offsetof(struct sent_memory, name);
	data = carom_shared_memory_data(memory);
	EACH_METHOD(context)
	{
		struct carom_process *process;
		int ends[2];

		((char *)carom_shared_memory_data(memory))[4999] = '?';
		cr_assert(zero(int, pipe(ends)));
		process = START(.context = context, .function = attach_to_sent, .fds = &ends[0],
				.fd_count = 1);
		cr_expect(eq(i64, write(ends[1], &sent, size), (int64_t)size));
		cr_expect(exitcode_of(process) == 0, "%s", methods[each_]);
		cr_expect(eq(chr, data[4999], '!'));
		carom_process_free(process);
		close(ends[0]);
		close(ends[1]);
	}
	cr_expect(zero(int, carom_shared_memory_unlink(memory)));
}

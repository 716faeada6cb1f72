/* Whose turn it is, among threads, until a deadline. */
#include "ipc/turn.h"

#include "tests/shm/help.h"

#include <pthread.h>

static struct carom_turn turn;
static uint64_t count; /* whoever has the turn may write it */

static void *count_up(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		if (carom_turn_take(&turn, CAROM_NO_DEADLINE) < 0)
			abort();
		count++;
		carom_turn_give(&turn);
	}
	return NULL;
}

Test(turn, is_one_threads_at_a_time, .timeout = 30)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, count_up, NULL)));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect(eq(u64, count, 80000));
}

Test(turn, is_waited_for_until_the_deadline, .timeout = 20)
{
	struct carom_turn mine = { 0 };

	cr_assert(zero(int, carom_turn_take(&mine, CAROM_PASSED)));
	cr_expect(eq(int, carom_turn_take(&mine, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_turn_take(&mine, carom_deadline_after(1000)), -ETIMEDOUT));
	carom_turn_give(&mine);
	cr_expect(zero(int, carom_turn_take(&mine, CAROM_PASSED)));
}

Test(turn, is_free_in_a_child_whoever_held_it, .timeout = 20)
{
	struct carom_turn mine = { 0 };
	pid_t pid;

	cr_assert(zero(int, carom_turn_take(&mine, CAROM_NO_DEADLINE)));
	pid = child();
	if (pid == 0)
		_exit(carom_turn_take(&mine, CAROM_PASSED) != 0 ||
		      carom_turn_take(&mine, CAROM_PASSED) != -EAGAIN);
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, carom_turn_take(&mine, CAROM_PASSED), -EAGAIN));
}

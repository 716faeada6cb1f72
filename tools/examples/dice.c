/*
 * Dice: children that count in an array that they share
 *
 * Each child is a fresh image of the program, which knows of the array by its descriptor.
 * One of them dies in the middle of counting, with the lock: the array says so until
 * somebody has put it right.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CHILD_COUNT 4
#define ROLL_COUNT  50000

/* how often each sum was rolled, of two dice; at 0, how often there were rolls at all */
#define SUM_COUNT 13

static int roll(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *sums = NULL;
	unsigned seed = *(const unsigned *)argument;
	int r = carom_array_attach_dup(fds[0], NULL, &sums);
	int64_t *counts = r < 0 ? NULL : carom_array_data(sums);

	for (int i = 0; r == 0 && i < ROLL_COUNT; i++) {
		int sum = 2 + rand_r(&seed) % 6 + rand_r(&seed) % 6;

		CAROM_HOLDING(r, carom_array_get_lock(sums)) {
			counts[0]++;
			if (fd_count > 1 && i == ROLL_COUNT - 1)
				raise(SIGKILL); /* counted, and not yet what */
			counts[sum]++;
		}
	}
	return r;
}
CAROM_REGISTER(roll);

/* @fds: that of the array, and, if there are two, a child's order to die */
static int run_children(unsigned count, const int *fds, size_t fd_count)
{
	struct carom_process *children[CHILD_COUNT] = { NULL };
	struct carom_context *context;
	int r = carom_context_get("spawn", &context);

	for (unsigned i = 0; r == 0 && i < count; i++) {
		r = carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context, .function = roll,
							     .argument = &i,
							     .argument_size = sizeof(i), .fds = fds,
							     .fd_count = fd_count),
				      &children[i]);
		if (r == 0)
			r = carom_process_start(children[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		if (r == 0)
			r = carom_process_join(children[i], CAROM_NO_DEADLINE);
		carom_process_free(children[i]);
	}
	return r;
}

/* @counts[0] is what the others are together */
static int64_t together(const int64_t *counts)
{
	int64_t rolls = 0;

	for (int i = 2; i < SUM_COUNT; i++)
		rolls += counts[i];
	return rolls;
}

static void repair(struct carom_array *sums)
{
	struct carom_value_lock *lock = carom_array_get_lock(sums);
	int64_t *counts = carom_array_data(sums);

	if (carom_value_lock_acquire(lock, CAROM_NO_DEADLINE) == -EOWNERDEAD) {
		printf("a child died with the lock: %" PRId64 " is one too many\n",
		       counts[0] - together(counts));
		counts[0] = together(counts);
		carom_value_lock_consistent(lock);
	}
	carom_value_lock_release(lock);
}

int main(int argc, char **argv)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *sums = NULL;
	int64_t counts[SUM_COUNT];
	int r, fds[2];

	carom_main_hook(argc, argv);
	r = carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(int64_t), .count = SUM_COUNT), &sums);
	fds[0] = fds[1] = r < 0 ? -1 : carom_array_fd(sums);
	if (r == 0)
		r = run_children(CHILD_COUNT, fds, 1);
	if (r == 0)
		r = carom_array_read(sums, 0, SUM_COUNT, counts);
	if (r < 0)
		return carom_complain("dice", r);
	printf("%" PRId64 " rolls, %" PRId64 " counted\n", counts[0], together(counts));

	r = run_children(1, fds, 2);
	if (r < 0)
		return carom_complain("dice", r);
	if (carom_array_get(sums, 0, &counts[0]) == -EOWNERDEAD)
		repair(sums);
	r = carom_array_read(sums, 0, SUM_COUNT, counts);
	printf("whole: %s\n", r == 0 && counts[0] == together(counts) ? "yes" : "no");
	return 0;
}

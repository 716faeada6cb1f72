/*
 * Places
 *
 * To find pools, the descriptors of all processes are gone through, which costs in proportion
 * to the machine; to look at a pool that is known costs a dozen system calls and a file for each
 * worker. So a search is followed by a time without any that is SEARCH_SHARE times as long as
 * the search has computed: where it is quick, a new pool is seen with the next look.
 */
#include "tools/top_places.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/time.h"

#define PLACES_MAX   4096
#define SEARCH_SHARE 250

static uint64_t computed_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * CAROM_NS_PER_SEC + (uint64_t)time.tv_nsec;
}

/* Those of one program, or of all (0), behind the ones that are there. Return: how many now, or errno. */
static int find(int64_t pid, struct carom_statistics_place *list, int count)
{
	int found = carom_statistics_find(pid, list + count, (size_t)(PLACES_MAX - count));

	if (found < 0)
		return pid ? count : found;
	return found < PLACES_MAX - count ? count + found : PLACES_MAX;
}

static int search(const struct carom_top_options *options, struct carom_statistics_place *list)
{
	int count = 0;

	if (options->pid_count == 0)
		return find(0, list, 0);
	for (size_t i = 0; i < options->pid_count; i++)
		count = find(options->pids[i], list, count);
	return count;
}

int carom_top_places_search(const struct carom_top_options *options,
			    struct carom_top_places *places)
{
	uint64_t begun_ns = computed_ns();
	int count;

	if (carom_now() < places->search_due_ns)
		return 0;
	if (!places->list)
		places->list = calloc(PLACES_MAX, sizeof(*places->list));
	if (!places->list)
		return -ENOMEM;
	count = search(options, places->list);
	if (count < 0)
		return count;
	places->count = (size_t)count;
	places->search_due_ns = carom_deadline_after((computed_ns() - begun_ns) * SEARCH_SHARE);
	return 0;
}

void carom_top_places_expect(struct carom_top_places *places)
{
	places->search_due_ns = 0;
}

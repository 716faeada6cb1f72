/*
 * Statistics
 *
 * One who reads, in the program or from outside, sees the same memory: a tally. Each word
 * is loaded once. What is computed from several of them is kept within bounds, for they
 * may be of different moments, and of a process that means no good.
 */
#include "pool/statistics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/origin.h"
#include "core/pidfd.h"
#include "pool/pool_private.h"
#include "pool/tally.h"

/**
 * struct carom_statistics - one who looks at a pool
 * @base:  the tally, mapped for reading
 * @pidfd: of its program; -1 where that is not to be had
 */
struct carom_statistics {
	struct tally_layout layout;
	void *base;
	int pidfd;
};

/* ---- reading ---- */

static void read_histogram(const struct carom_histogram *shared, struct carom_histogram *ret)
{
	ret->sum = tally_get(&shared->sum);
	ret->largest = tally_get(&shared->largest);
	for (uint32_t i = 0; i < CAROM_HISTOGRAM_BUCKETS; i++)
		ret->buckets[i] = tally_get(&shared->buckets[i]);
}

static uint64_t read_counts(const uint64_t *shared, uint64_t *ret_counts, uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += ret_counts[i] = tally_get(&shared[i]);
	return sum;
}

/* it may have counted the task at hand already: then it is as good as done */
static bool is_busy(uint64_t at_hand, uint64_t ended_count)
{
	return at_hand && at_hand >> 48 == (ended_count & 0xffff);
}

static enum carom_worker_state state_of(const struct tally_sheet *sheet, bool busy)
{
	uint64_t phase = tally_get(&sheet->phase);

	if (phase == CAROM_WORKER_IDLE)
		return busy ? CAROM_WORKER_BUSY : CAROM_WORKER_IDLE;
	return phase == CAROM_WORKER_LEAVING ? CAROM_WORKER_LEAVING : CAROM_WORKER_STARTING;
}

/*
 * The id is read first: if the same task is still at hand then, and not counted as ended,
 * the slot had not been given to another one.
 */
static void read_sheet(const void *base, const struct tally_layout *layout,
		       const struct tally_sheet *sheet, struct carom_worker_statistics *ret)
{
	uint64_t before = tally_get(&sheet->at_hand);
	uint64_t id = carom_tally_id(base, layout, before);
	uint64_t at_hand = tally_get(&sheet->at_hand);
	uint64_t ended =
		read_counts(sheet->ended_counts, ret->ended_counts, CAROM_STATISTICS_KINDS);

	if (ret->state != CAROM_WORKER_ABSENT)
		ret->state = state_of(sheet, is_busy(at_hand, ended));
	if (ret->state == CAROM_WORKER_BUSY && at_hand == before)
		ret->task_id = id;
	ret->since_ns = tally_get(&sheet->since_ns);
	ret->item_count = tally_get(&sheet->item_count);
	ret->sleep_count = tally_get(&sheet->sleep_count);
	read_histogram(&sheet->wait_ns, &ret->wait_ns);
	read_histogram(&sheet->run_ns, &ret->run_ns);
}

static void read_worker(const void *base, const struct tally_layout *layout, uint64_t index,
			bool is_counted, struct carom_worker_statistics *ret)
{
	const struct tally_place *place = carom_tally_place(base, index);
	uint64_t pid = tally_get(&place->pid);

	memset(ret, 0, sizeof(*ret));
	ret->pid = (int64_t)pid;
	ret->state = pid ? CAROM_WORKER_ALIVE : CAROM_WORKER_ABSENT;
	ret->born_ns = tally_get(&place->born_ns);
	ret->process_count = tally_get(&place->process_count);
	if (is_counted)
		read_sheet(base, layout, carom_tally_sheet(base, layout, index), ret);
}

static void read_head(const struct tally_head *head, struct carom_pool_statistics *ret)
{
	memcpy(ret->name, head->name, sizeof(ret->name) - 1);
	ret->name[sizeof(ret->name) - 1] = '\0';
	ret->pid = (int64_t)tally_get(&head->pid);
	ret->is_counted = tally_get(&head->is_counted);
	ret->state = tally_get(&head->state);
	ret->created_ns = tally_get(&head->created_ns);
	ret->worker_count = tally_get(&head->worker_count);
	ret->soft_limit_ns = tally_get(&head->soft_limit_ns);
	ret->hard_limit_ns = tally_get(&head->hard_limit_ns);
	ret->max_tasks_per_child = tally_get(&head->max_tasks_per_child);
	ret->max_memory_per_child_bytes = tally_get(&head->max_memory_per_child_bytes);
	ret->slot_count = tally_get(&head->slot_count);
	ret->put_locks = tally_get(&head->put_locks);
	ret->schedule = tally_get(&head->schedule);
	ret->submitted_item_count = tally_get(&head->submitted_item_count);
	read_counts(head->ended_counts, ret->ended_counts, CAROM_STATISTICS_KINDS);
	ret->process_count = tally_get(&head->process_count);
	read_counts(head->exit_counts, ret->exit_counts, CAROM_STATISTICS_REASONS);
}

static void add_worker(const struct carom_worker_statistics *worker,
		       struct carom_pool_statistics *pool)
{
	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		pool->ended_counts[kind] += worker->ended_counts[kind];
	pool->running_count += worker->state == CAROM_WORKER_BUSY;
	pool->item_count += worker->item_count;
	carom_histogram_merge(&pool->wait_ns, &worker->wait_ns);
	carom_histogram_merge(&pool->run_ns, &worker->run_ns);
}

/* what was submitted is read last, so that what has ended was submitted */
static void read_pool(const void *base, const struct tally_layout *layout, bool is_counted,
		      struct carom_pool_statistics *ret)
{
	const struct tally_head *head = base;
	uint64_t gone = 0;

	memset(ret, 0, sizeof(*ret));
	read_head(head, ret);
	ret->is_counted = is_counted;
	ret->worker_limit = layout->capacity;
	for (uint64_t i = 0; is_counted && i < layout->capacity; i++) {
		struct carom_worker_statistics worker;

		read_worker(base, layout, i, true, &worker);
		add_worker(&worker, ret);
	}
	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		gone += ret->ended_counts[kind];
	gone += ret->running_count;
	ret->submitted_count = tally_get(&head->submitted_count);
	if (ret->submitted_count > gone)
		ret->queued_count = ret->submitted_count - gone;
}

/* ---- of this program ---- */

int carom_pool_statistics(struct carom_pool *pool, struct carom_pool_statistics *ret_statistics)
{
	const struct carom_tally *tally = pool->tally;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	/* the counts of the parent's side change under the lock */
	pthread_mutex_lock(&pool->lock);
	read_pool(tally->head, &tally->layout, carom_tally_is_on(tally), ret_statistics);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int carom_pool_worker_statistics(struct carom_pool *pool, uint64_t index,
				 struct carom_worker_statistics *ret_statistics)
{
	const struct carom_tally *tally = pool->tally;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (index >= tally->layout.capacity)
		return -EINVAL;
	read_worker(tally->head, &tally->layout, index, carom_tally_is_on(tally), ret_statistics);
	return 0;
}

const char *carom_worker_state_name(enum carom_worker_state state)
{
	static const char *const names[] = {
		[CAROM_WORKER_ABSENT] = "absent",     [CAROM_WORKER_ALIVE] = "alive",
		[CAROM_WORKER_STARTING] = "starting", [CAROM_WORKER_IDLE] = "idle",
		[CAROM_WORKER_BUSY] = "busy",         [CAROM_WORKER_LEAVING] = "leaving",
	};

	return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

/* ---- of any ---- */

/* what stands behind the number may be anything by now: opening it must not wait, nor do anything */
static int open_there(int64_t pid, int64_t fd)
{
	char path[64];
	int opened;

	snprintf(path, sizeof(path), "/proc/%lld/fd/%lld", (long long)pid, (long long)fd);
	opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (opened >= 0)
		return opened;
	switch (errno) {
	case EACCES:
	case EPERM:
		return -EACCES;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return -errno;
	case ENOENT:
	case ESRCH:
		return -ENOENT;
	default:
		return -EBADMSG; /* a socket for instance */
	}
}

static int map_there(struct carom_statistics *reader, int64_t pid, int64_t fd)
{
	CAROM_CLEANUP(carom_closep) int opened = open_there(pid, fd);
	void *base;
	int r;

	if (opened < 0)
		return opened;
	r = carom_tally_read_layout(opened, &reader->layout);
	if (r < 0)
		return r;
	base = mmap(NULL, carom_tally_size(&reader->layout), PROT_READ, MAP_SHARED, opened, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	reader->base = base;
	return 0;
}

int carom_statistics_open(int64_t pid, int64_t fd, struct carom_statistics **ret_reader)
{
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
	int r;

	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	/* before the descriptor is opened: what is opened then is that process's, or it has ended */
	reader->pidfd = carom_pidfd_pin((pid_t)pid);
	if (reader->pidfd < 0)
		return reader->pidfd == -EMFILE || reader->pidfd == -ENFILE ||
				       reader->pidfd == -ENOMEM
			       ? reader->pidfd
			       : -ENOENT;
	r = map_there(reader, pid, fd);
	if (r < 0)
		return r;
	*ret_reader = carom_take_ptr(reader);
	return 0;
}

struct carom_statistics *carom_statistics_free(struct carom_statistics *reader)
{
	if (!reader)
		return NULL;
	if (reader->base)
		munmap(reader->base, carom_tally_size(&reader->layout));
	carom_closep(&reader->pidfd);
	free(reader);
	return NULL;
}

void carom_statistics_freep(struct carom_statistics **reader)
{
	*reader = carom_statistics_free(*reader);
}

bool carom_statistics_is_live(const struct carom_statistics *reader)
{
	return !carom_pidfd_has_ended(reader->pidfd);
}

void carom_statistics_pool(const struct carom_statistics *reader,
			   struct carom_pool_statistics *ret_statistics)
{
	read_pool(reader->base, &reader->layout, true, ret_statistics);
}

int carom_statistics_worker(const struct carom_statistics *reader, uint64_t index,
			    struct carom_worker_statistics *ret_statistics)
{
	if (index >= reader->layout.capacity)
		return -EINVAL;
	read_worker(reader->base, &reader->layout, index, true, ret_statistics);
	return 0;
}

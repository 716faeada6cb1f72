/*
 * Birth
 *
 * The fork server is asked, by way of the service, which answers each request once: what
 * the request points to stands in struct worker, where it stays until then.
 */
#include "pool/birth.h"

#include "pool/crash.h"
#include "pool/pool_private.h"

/* Row PC-24. An identity too long for a name costs the name only. */
static void describe_worker(struct worker *worker)
{
	struct carom_worker_start *start = &worker->start;

	start->index = worker->index;
	start->cpu = carom_pool_cpu(worker->pool, worker->index);
	start->plan = worker->pool->plan;
	carom_self_child(&start->self, "ForkServerPoolWorker", NULL);
	start->self.is_daemon = true;
	carom_log_export(&start->log);
}

/* Row RS-23: before what the worker allocates from */
static void choose_crash_place(struct worker *worker)
{
	struct carom_worker_start *start = &worker->start;

	start->has_crash_place = worker->pool->options.backtraces &&
				 start->end - start->begin > 4 * CAROM_CRASH_SIZE;
	if (!start->has_crash_place)
		return;
	start->crash_offset = start->begin;
	start->begin += CAROM_CRASH_SIZE;
}

static void answered(struct carom_birth *birth, const struct carom_child_reply *reply)
{
	struct worker *worker = birth->userdata;

	worker->born(worker, reply);
}

/* the order that carom_worker_main() expects */
static size_t choose_fds(struct worker *worker)
{
	const struct carom_pool *pool = worker->pool;
	size_t count = 0;

	worker->fds[count++] = pool->lane_fd;
	if (pool->options.polled)
		worker->fds[count++] = pool->bell_fd;
	worker->start.counts = carom_tally_is_on(pool->tally);
	if (worker->start.counts)
		worker->fds[count++] = pool->tally->fd;
	return count;
}

void carom_birth_begin(struct worker *worker, carom_born_fn *born)
{
	struct carom_pool *pool = worker->pool;

	describe_worker(worker);
	choose_crash_place(worker);
	worker->born = born;
	worker->birth = (struct carom_birth){
		.request = { .function = carom_worker_main,
			     .argument = &worker->start,
			     .size = sizeof(worker->start),
			     .fds = worker->fds,
			     .fd_count = choose_fds(worker) },
		.born = answered,
		.userdata = worker,
	};
	carom_service_bear(pool->service, &worker->birth);
}

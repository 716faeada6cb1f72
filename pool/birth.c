/*
 * Birth
 *
 * By four methods. The fork server is asked, by way of the service, which answers each
 * request once: what the request points to stands in struct worker, where it stays until
 * then. By "fork" and "spawn" the loop's thread makes the child itself, as
 * carom_process_start() does in its caller's: with a fork the loop stands still for as
 * long as the kernel copies page tables, with a spawn until the program is executed. That
 * thread lives as long as the program, so children that are bound to it are bound to the
 * program. A thread is made in an instant.
 *
 * Whatever the method, the worker ends without the handlers that its program has given
 * to atexit(3): those are the program's own end.
 */
#include "pool/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include "core/start.h"
#include "core/temp_dir_private.h"
#include "pool/crash.h"
#include "pool/pool_private.h"
#include "pool/thread_worker.h"

/* ---- the method ---- */

/* process 1 of its own namespace, if it has one: core/pid_namespace.h */
pid_t carom_incarnation_tid(const struct incarnation *child)
{
	return carom_sandbox_namespaces(child->worker->pool->sandbox) ? 1 : child->pid;
}

int carom_birth_choose(struct carom_pool *pool)
{
	struct carom_context *context = pool->options.context;
	struct carom_self mine;
	const char *type;
	int r = 0;

	/* what nobody has chosen is not to become "spawn": its functions must be registered */
	if (!context && !carom_get_start_method(true))
		r = carom_context_get("forkserver", &context);
	if (r == 0)
		r = carom_context_settings(context, &pool->context, &type);
	if (r < 0)
		return r;
	if (pool->context.method == CAROM_START_THREAD)
		return pool->options.hard_limit_ns || !carom_sandbox_is_none(pool->sandbox)
			       ? -EOPNOTSUPP
			       : 0;
	if (carom_sandbox_namespaces(pool->sandbox) &&
	    pool->context.method != CAROM_START_FORKSERVER)
		return -EOPNOTSUPP;
	carom_self_copy(&mine);
	return mine.is_daemon && pool->context.options.no_daemon_children ? -EPERM : 0;
}

/* Row PC-24. An identity too long for a name costs the name only. */
static void describe_worker(struct worker *worker)
{
	static const char *const types[] = {
		[CAROM_START_FORK] = "ForkPoolWorker",
		[CAROM_START_SPAWN] = "SpawnPoolWorker",
		[CAROM_START_FORKSERVER] = "ForkServerPoolWorker",
		[CAROM_START_THREAD] = "ThreadPoolWorker",
	};
	const struct carom_pool_hooks *hooks = &worker->pool->hooks;
	struct carom_worker_start *start = &worker->start;

	start->index = worker->index;
	start->cpu = carom_pool_cpu(worker->pool, worker->index);
	start->plan = worker->pool->plan;
	start->context = worker->pool->context;
	carom_self_child(&start->self, types[start->context.method], NULL);
	start->self.is_daemon = true;
	if (hooks->name_process)
		hooks->name_process(worker->index, start->self.name, sizeof(start->self.name),
				    hooks->userdata);
	start->self.name[sizeof(start->self.name) - 1] = '\0';
	carom_log_export(&start->log);
}

/* Row RS-23: before what the worker allocates from */
static void choose_crash_place(struct worker *worker)
{
	struct carom_worker_start *start = &worker->start;

	/* a crash in a thread is the program's */
	start->has_crash_place = worker->pool->options.backtraces &&
				 start->context.method != CAROM_START_THREAD &&
				 start->end - start->begin > 4 * CAROM_CRASH_SIZE;
	if (!start->has_crash_place)
		return;
	start->crash_offset = start->begin;
	start->begin += CAROM_CRASH_SIZE;
}

/* ---- by the fork server ---- */

static void ask_server(struct worker *worker);

static void answered(struct carom_birth *birth, const struct carom_child_reply *reply)
{
	struct worker *worker = birth->userdata;

	if (reply->error < 0 && carom_group_cannot_bear(worker->pool, reply->error)) {
		ask_server(worker);
		return;
	}
	worker->born(worker, &(struct carom_newborn){ .pid = reply->pid,
						      .pidfd = reply->pidfd,
						      .error = reply->error });
}

/* the order that carom_worker_main() expects */
static size_t choose_fds(struct worker *worker)
{
	const struct carom_pool *pool = worker->pool;
	size_t count = 0;

	worker->start.isolated = carom_lane_deals(pool->lane);
	if (worker->start.isolated) {
		carom_lane_hand_fds(pool->lane, worker->index, worker->fds);
		count = CAROM_LANE_HAND_FDS;
	} else {
		worker->fds[count++] = pool->lane_fd;
	}
	if (pool->options.polled && !worker->start.isolated)
		worker->fds[count++] = pool->bell_fd;
	worker->start.counts = carom_tally_is_on(pool->tally);
	if (worker->start.counts)
		worker->fds[count++] = pool->tally->fd;
	worker->start.has_sandbox = worker->next->page != NULL;
	if (worker->next->page)
		worker->fds[count++] = carom_sandbox_page_fd(worker->next->page);
	worker->start.has_peak = worker->next->peak_fd >= 0;
	if (worker->start.has_peak)
		worker->fds[count++] = worker->next->peak_fd;
	return count;
}

_Static_assert(sizeof(struct carom_worker_start) <= CAROM_FORKSERVER_ARGUMENT_MAX,
	       "what a request can carry");

static void ask_server(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;

	worker->birth = (struct carom_birth){
		.request = { .function = carom_worker_main,
			     .argument = &worker->start,
			     .size = sizeof(worker->start),
			     .fds = worker->fds,
			     .fd_count = choose_fds(worker),
			     .cgroup_fd = carom_group_birthplace(worker->next, pool),
			     .namespaces = carom_sandbox_namespaces(pool->sandbox) },
		.born = answered,
		.userdata = worker,
	};
	carom_service_bear(pool->service, &worker->birth);
}

/* ---- by fork and spawn ---- */

/*
 * A copy has what stood in the buffers of the program's streams, which the program will
 * write itself. To flush them before would have the loop's thread wait for who reads.
 */
static int run_worker(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	__fpurge(stdout);
	__fpurge(stderr);
	return carom_worker_main(argument, size, fds, fd_count);
}

__attribute__((constructor)) static void register_worker(void)
{
	carom_register("carom.worker", run_worker);
}

/* Those of the pool are closed in every copy of the program; these are not. */
static int copy_fds(struct worker *worker, int *ret_copies, size_t *ret_count)
{
	size_t count = choose_fds(worker);

	for (*ret_count = 0; *ret_count < count; ++*ret_count) {
		int fd = fcntl(worker->fds[*ret_count], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

		if (fd < 0)
			return -errno;
		ret_copies[*ret_count] = fd;
	}
	return 0;
}

static pid_t start_child(struct worker *worker, int *ret_pidfd)
{
	int fds[sizeof(worker->fds) / sizeof(worker->fds[0])];
	struct carom_parcel parcel = {
		.self = worker->start.self,
		.log = worker->start.log,
		.context = worker->start.context,
		.function = run_worker,
		.temp_dir = carom_temp_dir_made(),
		.fds = fds,
		.guard_fd = -1,
		.sandbox_fd = -1, /* it enters it by itself, when it was initialized */
		.is_exact = worker->next->page != NULL,
		.cgroup_fd = carom_group_birthplace(worker->next, worker->pool),
		.namespaces = carom_sandbox_namespaces(worker->pool->sandbox),
		.argument = &worker->start,
	};
	pid_t pid = copy_fds(worker, fds, &parcel.fd_count);

	parcel.argument_size = sizeof(worker->start);
	if (pid == 0)
		pid = carom_start(&parcel, ret_pidfd);
	for (size_t i = 0; i < parcel.fd_count; i++)
		close(fds[i]);
	return pid;
}

static void bear_child(struct worker *worker)
{
	struct carom_newborn newborn = { .pidfd = -1 };
	pid_t pid = start_child(worker, &newborn.pidfd);

	if (pid < 0 && carom_group_cannot_bear(worker->pool, pid))
		pid = start_child(worker, &newborn.pidfd);
	if (pid < 0)
		newborn.error = pid;
	else
		newborn.pid = pid;
	worker->born(worker, &newborn);
}

/* ---- as a thread ---- */

static void bear_thread(struct worker *worker)
{
	struct carom_newborn newborn = { .pidfd = -1 };

	newborn.error = carom_thread_worker_new(worker, &newborn.thread);
	worker->born(worker, &newborn);
}

/* ---- any of them ---- */

void carom_birth_give_up(struct worker *worker)
{
	if (worker->pool->context.method == CAROM_START_FORKSERVER &&
	    carom_service_unbear(worker->pool->service, &worker->birth))
		worker->born(worker, &(struct carom_newborn){ .pidfd = -1, .error = -ECANCELED });
}

void carom_birth_begin(struct worker *worker, carom_born_fn *born)
{
	describe_worker(worker);
	choose_crash_place(worker);
	worker->born = born;
	switch (worker->pool->context.method) {
	case CAROM_START_FORKSERVER:
		ask_server(worker);
		break;
	case CAROM_START_THREAD:
		bear_thread(worker);
		break;
	default:
		bear_child(worker);
	}
}

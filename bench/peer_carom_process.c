/*
 * Peer: carom, its processes
 *
 * carom_process as a program uses it. What is timed ends where the caller has what
 * it wants; killing, joining and replacing a child comes after.
 *
 * A child that is watched and dies is told of in three ways, each by a workload of
 * its own: by its sentinel, among all the others' in an epoll set of the caller's; to
 * a thread that joins it; and by the library's log, which comes when its own thread
 * has reaped the child. The library's thread watches all children in all three.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/cleanup.h"
#include "pool/carom.h"
#include "shm/futex.h"

/* --- one child after the other ----------------------------------------- */

static int end_at_once(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 0;
}

/* Says that it runs, if it has somebody to say it to. */
static int be_there(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	if (fd_count > 0 && write(fds[0], "!", 1) != 1)
		return EXIT_FAILURE;
	for (;;)
		pause();
}
CAROM_REGISTER(be_there);

/* @here: a pipe that a child says into that it runs */
struct process_side {
	struct carom_context *context;
	int here[2];
};

static int setup_method(const char *method, void **ret_state)
{
	struct process_side *side = calloc(1, sizeof(*side));

	if (!side)
		return -ENOMEM;
	*ret_state = side;
	side->here[0] = side->here[1] = -1;
	if (pipe2(side->here, O_CLOEXEC) < 0)
		return -errno;
	return carom_context_get(method, &side->context);
}

/* The fork server is made while the caller is small, as every program should. */
static int setup_forkserver(const struct bench_job *job, struct bench_sample *sample,
			    void **ret_state)
{
	int r = carom_ensure_forkserver();

	return r < 0 ? r : setup_method("forkserver", ret_state);
}

static int setup_spawn(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return setup_method("spawn", ret_state);
}

static void teardown(void *state)
{
	struct process_side *side = state;

	carom_closep(&side->here[0]);
	carom_closep(&side->here[1]);
	free(side);
}

static int end(struct carom_process *process)
{
	int r = carom_process_kill(process);

	return r < 0 ? r : carom_process_join(process, CAROM_NO_DEADLINE);
}

static int operate_spawn(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct process_side *side = state;
	int r = carom_process_new(
		&CAROM_PROCESS_OPTIONS(.function = end_at_once, .context = side->context),
		&process);

	if (r == 0)
		r = carom_process_start(process);
	return r < 0 ? r : carom_process_join(process, CAROM_NO_DEADLINE);
}

static int operate_child(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct process_side *side = state;
	uint64_t begin = carom_now();
	int r = carom_process_new(
		&CAROM_PROCESS_OPTIONS(.function = be_there, .context = side->context), &process);

	if (r == 0)
		r = carom_process_start(process);
	operation->ns = carom_now() - begin;
	return r < 0 ? r : end(process);
}

static int operate_child_run(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct process_side *side = state;
	uint64_t begin = carom_now();
	char byte;
	int r = carom_process_new(&CAROM_PROCESS_OPTIONS(.function = be_there,
							 .fds = &side->here[1], .fd_count = 1,
							 .context = side->context),
				  &process);

	if (r == 0)
		r = carom_process_start(process);
	if (r == 0 && read(side->here[0], &byte, 1) != 1)
		r = -EPIPE;
	operation->ns = carom_now() - begin;
	return r < 0 ? r : end(process);
}

/* --- one of many ------------------------------------------------------- */

/**
 * struct watch_side - children that live all the time, but for one that dies
 * @here:     a pipe that a child says into that it runs
 * @next:     who is to die now
 * @epoll_fd: of all sentinels, with their index
 * @joined:   whom the joining thread is to wait for; NULL ends it
 * @order:    counts what that thread has been asked for
 * @death_ns: when somebody was told; 0 until then
 * @is_told:  @death_ns is there
 */
struct watch_side {
	int here[2];
	struct carom_process **processes;
	size_t count;
	size_t next;
	int epoll_fd;
	pthread_t thread;
	bool has_thread;
	pid_t tid;
	struct carom_process *joined;
	_Atomic uint32_t order;
	uint64_t death_ns;
	_Atomic uint32_t is_told;
};

/* Returns once it runs, and will soon be idle: its beginning is nobody's death. */
static int start_one(struct watch_side *side, struct carom_process **ret_process)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_context *context;
	char byte;
	int r = carom_context_get("forkserver", &context);

	if (r == 0)
		r = carom_process_new(&CAROM_PROCESS_OPTIONS(.function = be_there,
							     .fds = &side->here[1], .fd_count = 1,
							     .context = context),
				      &process);
	if (r == 0)
		r = carom_process_start(process);
	if (r == 0 && read(side->here[0], &byte, 1) != 1)
		r = -EPIPE;
	if (r < 0)
		return r;
	*ret_process = carom_take_ptr(process);
	return 0;
}

static int setup_watch(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct watch_side *side = calloc(1, sizeof(*side));
	int r = 0;

	if (!side)
		return -ENOMEM;
	*ret_state = side;
	side->epoll_fd = side->here[0] = side->here[1] = -1;
	bench_allow_descriptors();
	side->processes = calloc(job->child_count, sizeof(*side->processes));
	if (!side->processes)
		return -ENOMEM;
	r = pipe2(side->here, O_CLOEXEC) < 0 ? -errno : 0;
	for (; r == 0 && side->count < job->child_count; side->count += r == 0)
		r = start_one(side, &side->processes[side->count]);
	return r;
}

static int order_join(struct watch_side *side, struct carom_process *process)
{
	side->joined = process;
	atomic_fetch_add(&side->order, 1);
	return carom_futex_wake(&side->order, 1);
}

static void teardown_watch(void *state)
{
	struct watch_side *side = state;

	carom_log_to(NULL, NULL);
	if (side->has_thread) {
		order_join(side, NULL);
		pthread_join(side->thread, NULL);
	}
	for (size_t i = 0; i < side->count; i++)
		carom_process_kill(side->processes[i]);
	for (size_t i = 0; i < side->count; i++) {
		carom_process_join(side->processes[i], CAROM_NO_DEADLINE);
		carom_process_free(side->processes[i]);
	}
	carom_closep(&side->here[0]);
	carom_closep(&side->here[1]);
	carom_closep(&side->epoll_fd);
	free(side->processes);
	free(side);
}

/* The dead one's place is taken by a new child. */
static int replace(struct watch_side *side)
{
	struct carom_process **place = &side->processes[side->next];
	int r = carom_process_join(*place, CAROM_NO_DEADLINE);

	*place = carom_process_free(*place);
	return r < 0 ? r : start_one(side, place);
}

static void move_on(struct watch_side *side)
{
	side->next = (side->next + 1) % side->count;
}

/* --- told by its sentinel ---------------------------------------------- */

static int add_sentinel(struct watch_side *side, size_t index)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = index };
	int fd = carom_process_sentinel(side->processes[index]);

	if (fd < 0)
		return fd;
	return epoll_ctl(side->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int setup_sentinels(const struct bench_job *job, struct bench_sample *sample,
			   void **ret_state)
{
	int r = setup_watch(job, sample, ret_state);
	struct watch_side *side = *ret_state;

	if (r < 0)
		return r;
	side->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (side->epoll_fd < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < side->count; i++)
		r = add_sentinel(side, i);
	return r;
}

static int operate_sentinel(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct watch_side *side = state;
	struct carom_process *victim = side->processes[side->next];
	struct epoll_event event;
	uint64_t begin = carom_now();
	int r;

	carom_process_kill(victim);
	if (epoll_wait(side->epoll_fd, &event, 1, -1) != 1)
		return -errno;
	operation->ns = carom_now() - begin;
	if (event.data.u64 != side->next)
		return -EPROTO;
	epoll_ctl(side->epoll_fd, EPOLL_CTL_DEL, carom_process_sentinel(victim), NULL);
	r = replace(side);
	if (r == 0)
		r = add_sentinel(side, side->next);
	move_on(side);
	return r;
}

/* --- told by a join, or by the log ------------------------------------- */

static void tell(struct watch_side *side)
{
	side->death_ns = carom_now();
	atomic_store(&side->is_told, 1);
	carom_futex_wake(&side->is_told, 1);
}

static int await_word(struct watch_side *side, struct carom_process *victim,
		      struct bench_operation *operation)
{
	uint64_t begin = carom_now();
	int r = carom_process_kill(victim);

	while (r == 0 && !atomic_load(&side->is_told))
		carom_futex_wait(&side->is_told, 0, CAROM_NO_DEADLINE);
	operation->ns = side->death_ns - begin;
	if (r == 0)
		r = replace(side);
	move_on(side);
	return r;
}

static void *join_victims(void *userdata)
{
	struct watch_side *side = userdata;

	side->tid = gettid();
	for (uint32_t done = 0;; done++) {
		while (atomic_load(&side->order) == done)
			carom_futex_wait(&side->order, done, CAROM_NO_DEADLINE);
		if (!side->joined)
			return NULL;
		atomic_store(&side->is_told, 0);
		carom_process_join(side->joined, CAROM_NO_DEADLINE);
		tell(side);
	}
}

static int setup_join(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = setup_watch(job, sample, ret_state);
	struct watch_side *side = *ret_state;

	if (r == 0)
		r = -pthread_create(&side->thread, NULL, join_victims, side);
	side->has_thread = r == 0;
	atomic_store(&side->is_told, 1);
	return r;
}

static int operate_join(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct watch_side *side = state;
	struct carom_process *victim = side->processes[side->next];

	order_join(side, victim);
	while (atomic_load(&side->is_told)) /* it has begun, */
		sched_yield();
	bench_await_sleep(side->tid); /* and waits */
	return await_word(side, victim, operation);
}

static void hear(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_PROCESS_KILLED)
		tell(userdata);
}

static int setup_log(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = setup_watch(job, sample, ret_state);

	if (r == 0)
		carom_log_to(hear, *ret_state);
	return r;
}

static int operate_log(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct watch_side *side = state;

	atomic_store(&side->is_told, 0);
	return await_word(side, side->processes[side->next], operation);
}

static int do_nothing(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return 0;
}

#define ACT(id, make, operation, clear)                                                            \
	{                                                                                          \
		.workload_id = (id), .setup = (make), .operate = (operation), .teardown = (clear), \
	}

const struct bench_act bench_carom_process_acts[] = {
	ACT(BENCH_SPAWN, setup_forkserver, operate_spawn, teardown),
	ACT(BENCH_CHILD, setup_forkserver, operate_child, teardown),
	ACT(BENCH_CHILD_LARGE_PARENT, setup_forkserver, operate_child, teardown),
	ACT(BENCH_SPAWN_EXEC, setup_spawn, operate_child, teardown),
	ACT(BENCH_SPAWN_EXEC_RUN, setup_spawn, operate_child_run, teardown),
	ACT(BENCH_WATCH_SENTINEL, setup_sentinels, operate_sentinel, teardown_watch),
	ACT(BENCH_WATCH_JOIN, setup_join, operate_join, teardown_watch),
	ACT(BENCH_WATCH_LOG, setup_log, operate_log, teardown_watch),
	ACT(BENCH_WATCH, setup_watch, do_nothing, teardown_watch),
	{ 0 },
};

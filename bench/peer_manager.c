/*
 * A manager's server at work for one client, and for eight: a dict's item is set and got, an item
 * is put into a queue and got from it.
 *
 * One task is one call, and its answer. The clients are processes that live all the time; each is
 * told over a socket how many calls it is to make, and says there when it has, or why it could not.
 * So are Python's, whose server has a thread for each: more clients do not slow its calls down, as
 * it is never idle then. Its figure of eight is the time of all calls together, as it is here.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/cleanup.h"
#include "core/time.h"
#include "ipc/manager.h"

#define CLIENTS_MAX 8

struct service {
	struct bench_job job;
	struct carom_manager *manager;
	struct carom_proxy *object;
	uint64_t client_count;
	pid_t clients[CLIENTS_MAX];
	int ends[CLIENTS_MAX];
};

static bool is_queue(const struct bench_job *job)
{
	return job->workload_id == BENCH_MANAGER_QUEUE || job->workload_id == BENCH_MANAGER_QUEUE_8;
}

static int use_dict(struct carom_proxy *dict, uint64_t i)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *item = NULL;
	int r = carom_proxy_call(dict, "__setitem__", CAROM_NO_DEADLINE, NULL, "sL", "key",
				 (int64_t)i);

	return r < 0 ? r
		     : carom_proxy_call(dict, "__getitem__", CAROM_NO_DEADLINE, &item, "s", "key");
}

static int use_queue(struct carom_proxy *queue, uint64_t i)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *item = NULL;
	int r = carom_proxy_call(queue, "put", CAROM_NO_DEADLINE, NULL, "L", (int64_t)i);

	return r < 0 ? r : carom_proxy_call(queue, "get", CAROM_NO_DEADLINE, &item, "");
}

static int make_calls(const struct service *service, uint64_t count)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < count; i += 2)
		r = is_queue(&service->job) ? use_queue(service->object, i)
					    : use_dict(service->object, i);
	return r;
}

static void be_client(const struct service *service, int fd)
{
	uint64_t count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, service->job.caller_cpu);
	while (read(fd, &count, sizeof(count)) == sizeof(count)) {
		int32_t result = make_calls(service, count);

		if (write(fd, &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(0);
}

static int start_client(struct service *service)
{
	uint64_t i = service->client_count;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	service->clients[i] = fork();
	if (service->clients[i] == 0)
		be_client(service, ends[1]);
	close(ends[1]);
	service->ends[i] = ends[0];
	service->client_count++;
	return service->clients[i] < 0 ? -EAGAIN : 0;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return -ENOMEM;
	*ret_state = service;
	service->job = *job;
	r = carom_manager_sync(&service->manager);
	if (r == 0)
		bench_place(carom_manager_pid(service->manager), job->worker_cpu);
	if (r == 0)
		r = carom_manager_create(service->manager, is_queue(job) ? "Queue" : "dict",
					 CAROM_NO_DEADLINE, &service->object, "");
	for (uint64_t i = 0; r == 0 && i < job->worker_count && i < CLIENTS_MAX; i++)
		r = start_client(service);
	return r < 0 ? bench_sample_fail(sample, r, "no manager") : 0;
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct service *service = state;
	uint64_t share = task_count / service->client_count;
	uint64_t begin = carom_now();
	int32_t result;
	int r = 0;

	for (uint64_t i = 0; i < service->client_count; i++)
		if (write(service->ends[i], &share, sizeof(share)) != sizeof(share))
			return -EPIPE;
	for (uint64_t i = 0; i < service->client_count; i++) {
		if (read(service->ends[i], &result, sizeof(result)) != sizeof(result))
			return -EPIPE;
		r = result < 0 ? result : r;
	}
	operation->ns = carom_now() - begin;
	return r;
}

static void teardown(void *state)
{
	struct service *service = state;

	for (uint64_t i = 0; i < service->client_count; i++) {
		close(service->ends[i]); /* which ends it */
		waitpid(service->clients[i], NULL, 0);
	}
	carom_proxy_free(service->object);
	carom_manager_free(service->manager);
	free(service);
}

#define ACT(id)                                                                               \
	{                                                                                     \
		.workload_id = (id), .setup = setup, .operate = operate, .teardown = teardown \
	}

const struct bench_act bench_carom_manager_acts[] = {
	ACT(BENCH_MANAGER_DICT),
	ACT(BENCH_MANAGER_DICT_8),
	ACT(BENCH_MANAGER_QUEUE),
	ACT(BENCH_MANAGER_QUEUE_8),
	{ 0 },
};

/*
 * Service: births
 *
 * All of it in the loop's thread. A birth that is asked for is in the queue `waiting`
 * until the fork server has it, and then known to it by its address; the fork server
 * answers each request, if need be after its own death, so no birth is forgotten. What it
 * had not made by then, another one is asked for, ATTEMPT_COUNT_MAX times at most: a
 * request may be what it died of.
 *
 * A dead fork server is made again at once if it has ever made a child. One that has
 * not may die of what it preloads, and its successors would; it is made again when it
 * is needed. If that fails (out of memory, of descriptors), the births that wait are
 * told so, since it is theirs to decide how long they want to wait.
 */
#include "core/service.h"

#include <errno.h>
#include <link.h>

#include "core/annex.h"
#include "core/log.h"
#include "core/process.h"
#include "core/service_private.h"

#define ATTEMPT_COUNT_MAX 3

static void answer(struct carom_birth *birth, int error)
{
	birth->born(birth, &(struct carom_child_reply){ .pidfd = -1, .error = error });
}

static void server_ready(struct carom_loop_fd *watch);

void carom_service_drop_server(struct carom_service *service)
{
	struct carom_forkserver *server = service->server;

	if (!server)
		return;
	for (int i = 0; i < 2; i++)
		carom_loop_unwatch_fd(service->loop, &service->server_watches[i]);
	/* first: another thread may fork meanwhile, and its child frees what it finds here */
	service->server = NULL;
	carom_forkserver_free(server);
}

static int count_images(struct dl_phdr_info *info, size_t size, void *userdata)
{
	*(uint64_t *)userdata = info->dlpi_adds;
	return 1; /* every entry has the same figure */
}

/* Those that the library has loaded for itself a child loads for itself, too. */
static uint64_t image_count(void)
{
	uint64_t count = 0;

	carom_annexes_enter(); /* a child by fork would find the loader's list locked */
	dl_iterate_phdr(count_images, &count);
	carom_annexes_leave();
	return count - carom_annexes_image_count();
}

static int watch_server(struct carom_service *service)
{
	int fds[2], r = 0;

	carom_forkserver_fds(service->server, fds);
	for (int i = 0; i < 2; i++)
		service->server_watches[i] = (struct carom_loop_fd){
			.fd = fds[i],
			.ready = server_ready,
			.userdata = service,
		};
	for (int i = 0; r == 0 && i < 2; i++)
		r = carom_loop_watch_fd(service->loop, &service->server_watches[i]);
	return r;
}

static int make_server(struct carom_service *service)
{
	int r;

	service->image_count = image_count();
	service->server_has_made = false;
	r = carom_forkserver_new(&service->server);
	if (r < 0)
		return r;
	r = watch_server(service);
	if (r < 0)
		carom_service_drop_server(service);
	return r;
}

/*
 * A server that was forked before a library was loaded cannot run functions of that
 * library. As soon as it has answered what it was asked, another takes its place.
 */
static bool must_go(const struct carom_service *service)
{
	return service->server &&
	       (service->server_unwanted || service->image_count != image_count());
}

/*
 * Return: 0, -EINPROGRESS (when the server has answered, or is seen to be gone), or what
 * the birth is to be told.
 */
static int hand_over(struct carom_service *service, struct carom_birth *birth)
{
	int r;

	birth->request.id = (uint64_t)(uintptr_t)birth;
	r = carom_forkserver_request(service->server, &birth->request);
	if (r == -EPIPE || (r == -EAGAIN && service->sent_count))
		return -EINPROGRESS;
	return r == -EAGAIN ? -ETOOMANYREFS : r; /* no reply of ours would make room */
}

/* hands waiting births to the fork server until it has its fill */
static void send_waiting(struct carom_service *service)
{
	while (service->waiting) {
		struct carom_birth *birth = service->waiting;
		int r = 0;

		if (carom_loop_is_lost(service->loop)) {
			service->waiting = birth->next;
			answer(birth, -ENOTRECOVERABLE); /* L2 in service.c */
			continue;
		}
		if (must_go(service)) {
			if (service->sent_count)
				return; /* server_ready() goes on */
			carom_service_drop_server(service);
		}
		service->server_unwanted = false;
		if (!service->server)
			r = make_server(service);
		if (r == 0)
			r = hand_over(service, birth);
		if (r == -EINPROGRESS)
			return; /* server_ready() goes on */
		service->waiting = birth->next;
		if (r < 0)
			answer(birth, r);
		else
			service->sent_count++;
	}
}

static void queue(struct carom_service *service, struct carom_birth *birth)
{
	struct carom_birth **end = &service->waiting;

	while (*end)
		end = &(*end)->next;
	birth->next = NULL;
	*end = birth;
}

static void take_reply(struct carom_service *service, const struct carom_child_reply *reply)
{
	struct carom_birth *birth = (struct carom_birth *)(uintptr_t)reply->id;

	service->sent_count--;
	if (reply->error == -EPIPE && ++birth->attempt_count < ATTEMPT_COUNT_MAX) {
		queue(service, birth); /* nothing was begun */
		return;
	}
	if (reply->error == 0)
		service->server_has_made = true;
	birth->born(birth, reply);
}

static void replace_server(struct carom_service *service)
{
	bool is_to_live = service->server_has_made && !service->server_unwanted;
	int r = 0;

	carom_service_drop_server(service);
	if (is_to_live)
		r = make_server(service);
	if (r < 0)
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_FORKSERVER_FAILED,
				"no fork server: %d", -r);
}

/* Who is called back may ask for a child, and thereby have the server replaced. */
static void server_ready(struct carom_loop_fd *watch)
{
	struct carom_service *service = watch->userdata;
	struct carom_child_reply reply;
	int r = -EAGAIN;

	/* its end was closed as was all else, which the loop finds out next */
	if (!carom_loop_is_intact(service->loop))
		return;
	while (service->server && (r = carom_forkserver_receive(service->server, &reply)) == 0)
		take_reply(service, &reply);
	if (service->server && r != -EAGAIN) {
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FORKSERVER_LOST,
				"the fork server is gone (%d); making a new one", -r);
		replace_server(service);
	}
	send_waiting(service);
	if (service->server_unwanted && service->sent_count == 0)
		carom_service_drop_server(service);
}

void carom_service_bear(struct carom_service *service, struct carom_birth *birth)
{
	birth->attempt_count = 0;
	queue(service, birth);
	send_waiting(service);
}

bool carom_service_unbear(struct carom_service *service, struct carom_birth *birth)
{
	for (struct carom_birth **link = &service->waiting; *link; link = &(*link)->next)
		if (*link == birth) {
			*link = birth->next;
			return true;
		}
	return false;
}

static void lose_server(struct carom_service *service)
{
	struct carom_child_reply reply;

	if (!service->server)
		return;
	carom_forkserver_lose(service->server);
	while (carom_forkserver_receive(service->server, &reply) == 0)
		take_reply(service, &reply);
	carom_service_drop_server(service);
}

void carom_service_lose_births(struct carom_service *service)
{
	lose_server(service);
	send_waiting(service);
}

/* ---- the fork server, by name ---- */

struct server_errand {
	struct carom_service *service;
	int r;
};

static void ensure(void *userdata)
{
	struct server_errand *errand = userdata;

	errand->service->server_unwanted = false;
	if (!errand->service->server)
		errand->r = make_server(errand->service);
}

int carom_ensure_forkserver(void)
{
	struct server_errand errand = { .r = 0 };
	int r = carom_service_get(&errand.service);

	if (r < 0)
		return r;
	carom_service_run(errand.service, ensure, &errand);
	return errand.r;
}

static void stop(void *userdata)
{
	struct server_errand *errand = userdata;

	errand->service->server_unwanted = true;
	if (errand->service->sent_count == 0)
		carom_service_drop_server(errand->service);
}

void carom_stop_forkserver(void)
{
	struct server_errand errand = { .service = carom_service_there() };

	if (errand.service)
		carom_service_run(errand.service, stop, &errand);
}

static void give_pid(void *userdata)
{
	struct server_errand *errand = userdata;

	if (errand->service->server)
		errand->r = carom_forkserver_pid(errand->service->server);
}

pid_t carom_ensured_forkserver_pid(void)
{
	struct server_errand errand = { .service = carom_service_there() };

	if (errand.service)
		carom_service_run(errand.service, give_pid, &errand);
	return errand.r;
}

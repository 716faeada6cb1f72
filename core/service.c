/*
 * Service
 *
 * Everything below happens in the loop's thread but what takes the lock: the two
 * queues that other threads put things into. How children are made stands in
 * core/service_births.c.
 *
 * A polled service does the same in the thread that drives it. It stands in a list, as
 * children made by fork() have to close their copies of its descriptors.
 *
 * A service that is broken (its descriptors were taken away, see carom_service_user) is no
 * longer `the_service`, and works on without them:
 *
 *	taken away			seen by
 *	all of them, from 3 on		the canary: its half wakes the loop's thread, which asks
 *					for its cookie before it touches anything
 *	all, and other files stand	likewise: a cookie is given once
 *	there
 *	the loop's own			-EBADF from the wait
 *	the bell			-EBADF to who rings, who hits the canary
 *	a polled service's		its cookie, before each run and each errand
 *
 *   L1  Once is_lost is set nothing looks at a number that was a descriptor before.
 *   L2  Every birth that was asked for is answered, and so is each that will be.
 *   L3  Its thread goes on, for pokes and errands, and because children are bound to it.
 *
 * Children are watched by an epoll set of their own, which the loop watches: any thread
 * may add to it, and the loop's thread sleeps on until one of them ends. To wake it for
 * each child that starts would cost more than all the rest of watching one. A polled
 * service's loop has an epoll set anyway, and they are guests in that.
 */
#include "core/service.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "core/bootstrap.h"
#include "core/children.h"
#include "core/cleanup.h"
#include "core/cond_wait.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/service_private.h"
#include "core/thread_private.h"
#include "core/time.h"

#define PIDFDS_AT_ONCE 64

struct errand {
	void (*function)(void *userdata);
	void *userdata;
	struct errand *next;
	bool done;
};

static pthread_mutex_t service_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t service_once = PTHREAD_ONCE_INIT;
static struct carom_service *the_service;
static struct carom_service *lost_services; /* those with a thread */
static struct carom_service *polled_services;

/* ---- the end of its descriptors ---- */

void carom_service_attach(struct carom_service *service, struct carom_service_user *user)
{
	user->next = service->users;
	service->users = user;
}

void carom_service_detach(struct carom_service *service, struct carom_service_user *user)
{
	for (struct carom_service_user **link = &service->users; *link; link = &(*link)->next)
		if (*link == user) {
			*link = user->next;
			return;
		}
}

/* L1; the next carom_service_get() makes another one */
static void lose_loop(struct carom_service *service)
{
	pthread_mutex_lock(&service_lock);
	if (the_service == service) {
		the_service = NULL;
		service->next_lost = lost_services;
		lost_services = service;
	}
	pthread_mutex_lock(&service->lock); /* who rings has it */
	carom_loop_lose(service->loop);
	service->pidfds.fd = -1;
	service->is_lost = true;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
	pthread_mutex_unlock(&service_lock);
}

static void tell_users(struct carom_service *service, int error)
{
	struct carom_service_user *user;

	while ((user = service->users)) {
		service->users = user->next;
		user->broken(user, error);
	}
}

static void rung(void *userdata);

static void lose(struct carom_service *service, int error)
{
	if (carom_loop_is_lost(service->loop))
		return;
	lose_loop(service);
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LOOP_BROKEN, "the loop is broken: %d",
			-error);
	tell_users(service, error);
	carom_service_lose_births(service); /* L2 */
	carom_children_hold_anew();
	carom_loop_tell_lost(service->loop);
	rung(service);
}

/* in a polled one's thread, before it does what may touch descriptors */
static void look_after(struct carom_service *service)
{
	if (service->is_polled && !carom_loop_is_intact(service->loop))
		lose(service, -EBADF);
}

/* ---- what other threads want done ---- */

static struct errand *next_errand(struct carom_service *service)
{
	struct errand *errand;

	pthread_mutex_lock(&service->lock);
	errand = service->errands;
	if (errand)
		service->errands = errand->next;
	pthread_mutex_unlock(&service->lock);
	return errand;
}

static struct carom_poke *next_poke(struct carom_service *service)
{
	struct carom_poke *poke;

	pthread_mutex_lock(&service->lock);
	poke = service->pokes;
	if (poke) {
		service->pokes = poke->next;
		poke->queued = false;
	}
	pthread_mutex_unlock(&service->lock);
	return poke;
}

static void rung(void *userdata)
{
	struct carom_service *service = userdata;
	struct errand *errand;
	struct carom_poke *poke;

	while ((poke = next_poke(service)))
		poke->function(poke);
	while ((errand = next_errand(service))) {
		errand->function(errand->userdata);
		pthread_mutex_lock(&service->lock);
		errand->done = true;
		pthread_cond_broadcast(&service->changed);
		pthread_mutex_unlock(&service->lock);
	}
}

/* with the lock */
static void wake(struct carom_service *service)
{
	if (service->is_lost)
		pthread_cond_broadcast(&service->changed);
	else
		carom_loop_ring(service->loop);
}

bool carom_service_is_here(const struct carom_service *service)
{
	return !service->is_polled && pthread_equal(service->thread, pthread_self());
}

void carom_service_run(struct carom_service *service, void (*function)(void *userdata),
		       void *userdata)
{
	struct errand errand = { .function = function, .userdata = userdata };
	struct errand **end = &service->errands;

	if (service->is_polled || carom_service_is_here(service)) {
		look_after(service);
		function(userdata);
		return;
	}
	pthread_mutex_lock(&service->lock);
	while (*end)
		end = &(*end)->next;
	*end = &errand;
	wake(service);
	while (!errand.done)
		pthread_cond_wait(&service->changed, &service->lock);
	pthread_mutex_unlock(&service->lock);
}

void carom_service_poke(struct carom_service *service, struct carom_poke *poke)
{
	pthread_mutex_lock(&service->lock);
	if (!poke->queued) {
		poke->queued = true;
		poke->next = service->pokes;
		service->pokes = poke;
		wake(service);
	}
	pthread_mutex_unlock(&service->lock);
}

void carom_service_unpoke(struct carom_service *service, struct carom_poke *poke)
{
	struct carom_poke **link;

	pthread_mutex_lock(&service->lock);
	for (link = &service->pokes; *link; link = &(*link)->next)
		if (*link == poke) {
			*link = poke->next;
			poke->queued = false;
			break;
		}
	pthread_mutex_unlock(&service->lock);
}

struct carom_loop *carom_service_loop(struct carom_service *service)
{
	return service->loop;
}

/* ---- children ---- */

static int set_of(struct carom_service *service)
{
	return service->is_polled ? carom_loop_pollable_fd(service->loop) : service->pidfds.fd;
}

static int watch_for(struct carom_service *service, int fd, uint32_t events,
		     struct carom_service_pidfd *watch)
{
	struct epoll_event event = { .events = events,
				     .data.u64 = (uintptr_t)watch | CAROM_LOOP_GUEST };

	if (!carom_loop_is_intact(service->loop))
		return -EBADF;
	return epoll_ctl(set_of(service), EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int carom_service_watch(struct carom_service *service, struct carom_service_pidfd *watch)
{
	return watch_for(service, watch->fd, EPOLLIN | EPOLLET, watch);
}

void carom_service_unwatch(struct carom_service *service, struct carom_service_pidfd *watch)
{
	epoll_ctl(set_of(service), EPOLL_CTL_DEL, watch->fd, NULL);
}

/* A watch is gone only by its own callback, so those that the kernel has told of are there. */
static void told_of(void *userdata, uint64_t data)
{
	struct carom_service_pidfd *watch =
		(struct carom_service_pidfd *)(uintptr_t)(data & ~CAROM_LOOP_GUEST);

	(void)userdata;
	watch->ended(watch);
}

static void pidfds_ready(struct carom_loop_fd *set)
{
	struct epoll_event events[PIDFDS_AT_ONCE];
	int n = set->fd < 0 ? 0 : epoll_wait(set->fd, events, PIDFDS_AT_ONCE, 0);

	for (int i = 0; i < n; i++)
		/* many descriptors may have the same one */
		if (i == 0 || events[i].data.u64 != events[i - 1].data.u64)
			told_of(set->userdata, events[i].data.u64);
}

/* ---- the thread ---- */

static int open_set(struct carom_service *service)
{
	service->pidfds.ready = pidfds_ready;
	service->pidfds.fd = epoll_create1(EPOLL_CLOEXEC);
	if (service->pidfds.fd < 0)
		return -errno;
	return carom_loop_watch_fd(service->loop, &service->pidfds);
}

static int share_set(struct carom_service *service)
{
	int r = carom_loop_pollable_fd(service->loop);

	carom_loop_welcome(service->loop, told_of);
	return r < 0 ? r : 0;
}

static int set_up(struct carom_service *service)
{
	int r = carom_loop_new(CAROM_LOOP_AUTO, rung, service, &service->loop);

	if (r == 0 && service->is_polled)
		carom_loop_go_without_threads(service->loop);
	if (r == 0)
		r = carom_loop_guard(service->loop);
	if (r < 0)
		return r;
	return service->is_polled ? share_set(service) : open_set(service);
}

static void report_start(struct carom_service *service, int error)
{
	pthread_mutex_lock(&service->lock);
	service->start_error = error;
	pthread_cond_broadcast(&service->changed);
	pthread_mutex_unlock(&service->lock);
}

/* L3 */
static int run_without_loop(struct carom_service *service, uint64_t deadline_ns)
{
	int count = 0;
	int r = 0;

	pthread_mutex_lock(&service->lock);
	while (!service->pokes && !service->errands && r == 0)
		r = carom_cond_wait(&service->changed, &service->lock, deadline_ns);
	count = service->pokes || service->errands;
	pthread_mutex_unlock(&service->lock);
	rung(service);
	return count;
}

static int run_loop(struct carom_service *service, uint64_t deadline_ns)
{
	int r;

	if (carom_loop_is_lost(service->loop))
		return run_without_loop(service, deadline_ns);
	r = carom_loop_run_once(service->loop, deadline_ns);
	if (r == -ENOMEM)
		return 0; /* it is tried again */
	if (r >= 0 || r == -ECHILD)
		return r;
	lose(service, r);
	return 1;
}

static void *service_thread(void *userdata)
{
	struct carom_service *service = userdata;
	int r;

	pthread_setname_np(pthread_self(), "carom");
	r = set_up(service);
	report_start(service, r);
	if (r < 0)
		return NULL; /* the service belongs to who waits for the report */
	while (!service->is_over)
		run_loop(service, CAROM_NO_DEADLINE);
	return NULL;
}

static int start_thread(struct carom_service *service)
{
	int r;

	carom_threads_count(1);
	r = carom_thread_create(&service->thread, service_thread, service);
	if (r < 0)
		carom_threads_count(-1);
	return r;
}

static void join_thread(struct carom_service *service)
{
	pthread_join(service->thread, NULL);
	carom_threads_count(-1);
}

static void destroy(struct carom_service *service)
{
	carom_loop_free(service->loop);
	carom_closep(&service->pidfds.fd);
	pthread_cond_destroy(&service->changed);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

static int run_thread(struct carom_service *service)
{
	int r = start_thread(service);

	if (r < 0)
		return r;
	pthread_mutex_lock(&service->lock);
	while (service->start_error == 1)
		pthread_cond_wait(&service->changed, &service->lock);
	r = service->start_error;
	pthread_mutex_unlock(&service->lock);
	if (r < 0)
		join_thread(service);
	return r;
}

static struct carom_service *allocate(void)
{
	struct carom_service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	service->origin = carom_origin();
	service->start_error = 1;
	service->pidfds.fd = -1;
	pthread_mutex_init(&service->lock, NULL);
	pthread_cond_init(&service->changed, NULL);
	return service;
}

static int service_new(struct carom_service **ret_service)
{
	struct carom_service *service = allocate();
	int r;

	if (!service)
		return -ENOMEM;
	r = run_thread(service);
	if (r < 0) {
		destroy(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

/*
 * The fork server is forked in the middle of things; its children may want a service of
 * their own. The copies of the parent's descriptors are closed: of the fork server's
 * socket above all, whose end tells that the program is gone.
 */
static void forget_one(struct carom_service *service)
{
	if (!carom_loop_is_intact(service->loop))
		return; /* nothing is there to be closed: the numbers may be others' */
	carom_loop_free(service->loop);
	carom_closep(&service->pidfds.fd);
	carom_forkserver_free(service->server);
}

static void forget(void)
{
	pthread_mutex_init(&service_lock, NULL);
	if (the_service)
		forget_one(the_service);
	the_service = NULL;
	for (; lost_services; lost_services = lost_services->next_lost)
		forget_one(lost_services);
	for (; polled_services; polled_services = polled_services->next_polled)
		forget_one(polled_services);
}

static void register_atfork(void)
{
	pthread_atfork(NULL, NULL, forget);
}

/* Its descriptors are gone, and its thread is about to notice: it goes before another comes. */
static void outlive(struct carom_service *service)
{
	pthread_mutex_unlock(&service_lock);
	pthread_mutex_lock(&service->lock);
	while (!service->is_lost)
		pthread_cond_wait(&service->changed, &service->lock);
	pthread_mutex_unlock(&service->lock);
	pthread_mutex_lock(&service_lock);
}

static bool is_ours(const struct carom_service *service)
{
	return service && carom_origin_is(service->origin);
}

/* @watch: NULL: no more */
static void watch_file(struct carom_service *service, int fd, struct carom_service_pidfd *watch)
{
	if (!is_ours(service))
		return;
	if (watch)
		watch_for(service, fd, EPOLLPRI, watch);
	else if (carom_loop_is_intact(service->loop))
		epoll_ctl(set_of(service), EPOLL_CTL_DEL, fd, NULL);
}

void carom_service_watch_everywhere(int fd, struct carom_service_pidfd *watch)
{
	pthread_once(&service_once, register_atfork);
	pthread_mutex_lock(&service_lock);
	watch_file(the_service, fd, watch);
	for (struct carom_service *service = polled_services; service;
	     service = service->next_polled)
		watch_file(service, fd, watch);
	pthread_mutex_unlock(&service_lock);
}

void carom_service_unwatch_everywhere(int fd)
{
	carom_service_watch_everywhere(fd, NULL);
}

int carom_service_get(struct carom_service **ret_service)
{
	int r = 0;

	if (carom_bootstrap_is_due())
		return -EBUSY; /* or this program would do in its child all that it does in itself */
	pthread_once(&service_once, register_atfork);
	pthread_mutex_lock(&service_lock);
	while (is_ours(the_service) && !carom_service_is_here(the_service) &&
	       !carom_loop_is_intact(the_service->loop))
		outlive(the_service);
	if (!is_ours(the_service))
		r = service_new(&the_service); /* a parent's service stays its own */
	if (r == 0)
		*ret_service = the_service;
	pthread_mutex_unlock(&service_lock);
	return r;
}

struct carom_service *carom_service_there(void)
{
	struct carom_service *service;

	pthread_mutex_lock(&service_lock);
	service = the_service;
	pthread_mutex_unlock(&service_lock);
	return service;
}

void carom_service_use(struct carom_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->user_count++;
	pthread_mutex_unlock(&service->lock);
}

void carom_service_leave(struct carom_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->user_count--;
	pthread_mutex_unlock(&service->lock);
}

static void finish(void *userdata)
{
	struct carom_service *service = userdata;

	carom_service_drop_server(service);
	service->is_over = true;
}

bool carom_service_is_used(void)
{
	bool is_used;

	pthread_mutex_lock(&service_lock);
	is_used = polled_services || (the_service && the_service->user_count > 0);
	for (struct carom_service *lost = lost_services; lost; lost = lost->next_lost)
		is_used |= lost->user_count > 0;
	pthread_mutex_unlock(&service_lock);
	return is_used;
}

static struct carom_service *take_one(void)
{
	struct carom_service *service;

	pthread_mutex_lock(&service_lock);
	service = the_service;
	the_service = NULL;
	if (!service && lost_services) {
		service = lost_services;
		lost_services = service->next_lost;
	}
	pthread_mutex_unlock(&service_lock);
	return service;
}

void carom_service_end(void)
{
	struct carom_service *service;

	while ((service = take_one())) {
		carom_service_run(service, finish, service);
		join_thread(service);
		destroy(service);
	}
}

/* ---- without a thread ---- */

int carom_service_new_polled(struct carom_service **ret_service)
{
	struct carom_service *service;
	int r;

	if (carom_bootstrap_is_due())
		return -EBUSY;
	pthread_once(&service_once, register_atfork);
	service = allocate();
	if (!service)
		return -ENOMEM;
	service->is_polled = true;
	r = set_up(service);
	if (r < 0) {
		destroy(service);
		return r;
	}
	pthread_mutex_lock(&service_lock);
	service->next_polled = polled_services;
	polled_services = service;
	pthread_mutex_unlock(&service_lock);
	*ret_service = service;
	return 0;
}

/* The server first: a child that another thread forks until then finds it in the list. */
struct carom_service *carom_service_free_polled(struct carom_service *service)
{
	struct carom_service **link = &polled_services;

	look_after(service);
	carom_service_drop_server(service);
	pthread_mutex_lock(&service_lock);
	while (*link != service)
		link = &(*link)->next_polled;
	*link = service->next_polled;
	pthread_mutex_unlock(&service_lock);
	destroy(service);
	return NULL;
}

int carom_service_fd(struct carom_service *service)
{
	return carom_loop_pollable_fd(service->loop);
}

int carom_service_drive(struct carom_service *service, uint64_t deadline_ns)
{
	return run_loop(service, deadline_ns);
}

/*
 * Context
 *
 * Everything below happens in the loop's thread but what takes the lock: the two
 * queues that other threads put things into. A birth that is asked for is in the
 * queue `waiting` until the fork server has it, and then known to it by its
 * address; the fork server answers each request, if need be after its own death,
 * so no birth is forgotten. A dead fork server is made again at once; if that
 * fails (out of memory, of descriptors), again a while later, and the births that
 * wait are told so, since it is theirs to decide how long they want to wait.
 */
#include "pool/context.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/time.h"

struct errand {
	void (*function)(void *userdata);
	void *userdata;
	struct errand *next;
	bool done;
};

struct carom_context {
	uint64_t origin;
	struct carom_loop *loop;
	struct carom_forkserver *server;
	struct carom_loop_fd server_watch;
	struct carom_birth *waiting;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct errand *errands;
	struct carom_poke *pokes;
	int start_error; /* 1 while the thread has not said */
};

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static struct carom_context *default_context;

/* ---- births ---- */

static void answer(struct carom_birth *birth, int error)
{
	birth->born(birth, &(struct carom_child_reply){ .pidfd = -1, .error = error });
}

static void server_ready(struct carom_loop_fd *watch);

static void drop_server(struct carom_context *context)
{
	carom_loop_unwatch_fd(context->loop, &context->server_watch);
	context->server = carom_forkserver_free(context->server);
}

static int make_server(struct carom_context *context)
{
	int r = carom_forkserver_new(&context->server);

	if (r < 0)
		return r;
	context->server_watch = (struct carom_loop_fd){
		.fd = carom_forkserver_fd(context->server),
		.ready = server_ready,
		.userdata = context,
	};
	r = carom_loop_watch_fd(context->loop, &context->server_watch);
	if (r < 0)
		context->server = carom_forkserver_free(context->server);
	return r;
}

/* hands waiting births to the fork server until it has its fill */
static void send_waiting(struct carom_context *context)
{
	while (context->waiting) {
		struct carom_birth *birth = context->waiting;
		int r = context->server ? 0 : make_server(context);

		birth->request.id = (uint64_t)(uintptr_t)birth;
		if (r == 0)
			r = carom_forkserver_request(context->server, &birth->request);
		if (r == -EAGAIN || r == -EPIPE)
			return; /* server_ready() goes on */
		context->waiting = birth->next;
		if (r < 0)
			answer(birth, r);
	}
}

static void server_ready(struct carom_loop_fd *watch)
{
	struct carom_context *context = watch->userdata;
	struct carom_child_reply reply;
	int r;

	while ((r = carom_forkserver_receive(context->server, &reply)) == 0) {
		struct carom_birth *birth = (struct carom_birth *)(uintptr_t)reply.id;

		birth->born(birth, &reply);
	}
	if (r != -EAGAIN) {
		carom_log(CAROM_LOG_WARNING, "the fork server is gone (%d); making a new one", -r);
		drop_server(context);
		r = make_server(context);
		if (r < 0)
			carom_log(CAROM_LOG_ERROR, "no fork server: %d", -r);
	}
	send_waiting(context);
}

void carom_context_bear(struct carom_context *context, struct carom_birth *birth)
{
	struct carom_birth **end = &context->waiting;

	while (*end)
		end = &(*end)->next;
	birth->next = NULL;
	*end = birth;
	send_waiting(context);
}

/* ---- what other threads want done ---- */

static struct errand *next_errand(struct carom_context *context)
{
	struct errand *errand;

	pthread_mutex_lock(&context->lock);
	errand = context->errands;
	if (errand)
		context->errands = errand->next;
	pthread_mutex_unlock(&context->lock);
	return errand;
}

static struct carom_poke *next_poke(struct carom_context *context)
{
	struct carom_poke *poke;

	pthread_mutex_lock(&context->lock);
	poke = context->pokes;
	if (poke) {
		context->pokes = poke->next;
		poke->queued = false;
	}
	pthread_mutex_unlock(&context->lock);
	return poke;
}

static void rung(void *userdata)
{
	struct carom_context *context = userdata;
	struct errand *errand;
	struct carom_poke *poke;

	while ((poke = next_poke(context)))
		poke->function(poke);
	while ((errand = next_errand(context))) {
		errand->function(errand->userdata);
		pthread_mutex_lock(&context->lock);
		errand->done = true;
		pthread_cond_broadcast(&context->changed);
		pthread_mutex_unlock(&context->lock);
	}
}

void carom_context_run(struct carom_context *context, void (*function)(void *userdata),
		       void *userdata)
{
	struct errand errand = { .function = function, .userdata = userdata };
	struct errand **end = &context->errands;

	pthread_mutex_lock(&context->lock);
	while (*end)
		end = &(*end)->next;
	*end = &errand;
	carom_loop_ring(context->loop);
	while (!errand.done)
		pthread_cond_wait(&context->changed, &context->lock);
	pthread_mutex_unlock(&context->lock);
}

void carom_context_poke(struct carom_context *context, struct carom_poke *poke)
{
	pthread_mutex_lock(&context->lock);
	if (!poke->queued) {
		poke->queued = true;
		poke->next = context->pokes;
		context->pokes = poke;
		carom_loop_ring(context->loop);
	}
	pthread_mutex_unlock(&context->lock);
}

void carom_context_unpoke(struct carom_context *context, struct carom_poke *poke)
{
	struct carom_poke **link;

	pthread_mutex_lock(&context->lock);
	for (link = &context->pokes; *link; link = &(*link)->next)
		if (*link == poke) {
			*link = poke->next;
			poke->queued = false;
			break;
		}
	pthread_mutex_unlock(&context->lock);
}

struct carom_loop *carom_context_loop(struct carom_context *context)
{
	return context->loop;
}

/* ---- the thread ---- */

static int set_up(struct carom_context *context)
{
	int r = carom_loop_new(CAROM_LOOP_AUTO, rung, context, &context->loop);

	if (r < 0)
		return r;
	return make_server(context);
}

static void report_start(struct carom_context *context, int error)
{
	pthread_mutex_lock(&context->lock);
	context->start_error = error;
	pthread_cond_broadcast(&context->changed);
	pthread_mutex_unlock(&context->lock);
}

static void *context_thread(void *userdata)
{
	struct carom_context *context = userdata;
	int r;

	pthread_setname_np(pthread_self(), "carom");
	r = set_up(context);
	report_start(context, r);
	if (r < 0)
		return NULL; /* the context belongs to who waits for the report */
	for (;;) {
		r = carom_loop_run_once(context->loop, CAROM_NO_DEADLINE);
		if (r < 0) {
			carom_log(CAROM_LOG_ERROR, "the loop is broken: %d", -r);
			abort(); /* no pool could keep a promise any more */
		}
	}
}

static int start_thread(struct carom_context *context)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&thread, &attributes, context_thread, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}

static int context_new(struct carom_context **ret_context)
{
	struct carom_context *context = calloc(1, sizeof(*context));
	int r;

	if (!context)
		return -ENOMEM;
	context->origin = carom_origin();
	context->start_error = 1;
	pthread_mutex_init(&context->lock, NULL);
	pthread_cond_init(&context->changed, NULL);
	r = start_thread(context);
	if (r == 0) {
		pthread_mutex_lock(&context->lock);
		while (context->start_error == 1)
			pthread_cond_wait(&context->changed, &context->lock);
		r = context->start_error;
		pthread_mutex_unlock(&context->lock);
	}
	if (r < 0) {
		carom_forkserver_free(context->server);
		carom_loop_free(context->loop);
		free(context);
		return r;
	}
	*ret_context = context;
	return 0;
}

/* the fork server is forked while the lock is held; its children may want pools of their own */
static void renew_default_lock(void)
{
	pthread_mutex_init(&default_lock, NULL);
}

static void register_atfork(void)
{
	pthread_atfork(NULL, NULL, renew_default_lock);
}

int carom_context_default(struct carom_context **ret_context)
{
	int r = 0;

	pthread_once(&default_once, register_atfork);
	pthread_mutex_lock(&default_lock);
	if (!default_context || !carom_origin_is(default_context->origin))
		r = context_new(&default_context); /* a parent's context stays its own */
	if (r == 0)
		*ret_context = default_context;
	pthread_mutex_unlock(&default_lock);
	return r;
}

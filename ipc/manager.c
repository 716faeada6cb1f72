/*
 * Manager
 *
 * A handle of a server: its process, if it was started here, and a line to it. @lock is held
 * while the handle changes, but for calls of the server's methods: those that are under way keep
 * the line they have.
 *
 *   I1  The states come one after the other, and never back.
 *   I2  A process that was started is shut down once, at the latest by a finalizer; by the
 *       process that has started it. A forked child has the line alone.
 */
#include "ipc/manager.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/finalizer.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/process.h"
#include "core/self.h"
#include "ipc/annex_cbor.h"
#include "ipc/annex_nettle.h"
#include "ipc/line.h"
#include "ipc/manager_private.h"
#include "ipc/manager_server.h"
#include "ipc/object_private.h"
#include "ipc/proxy_private.h"
#include "ipc/server_private.h"

#define SHUTDOWN_TIMEOUT CAROM_SECONDS(1)
#define DEPTH_DEFAULT    32

/**
 * struct carom_manager - the pointers in @options are its own
 * @place: where the server is, once it is known
 */
struct carom_manager {
	struct carom_manager_options options;
	struct carom_manager_place place;
	char *name;
	uint64_t origin;
	pthread_mutex_t lock;
	enum carom_manager_state state;
	struct carom_process *process;
	struct carom_line *line;
	uint64_t finalizer;
};

/* ---- beginning and end ---- */

static void *copy_of(const void *data, size_t size)
{
	void *copy = malloc(size + 1);

	return copy && size > 0 ? memcpy(copy, data, size) : copy;
}

static int copy_string(const char *string, char **ret_copy)
{
	*ret_copy = string ? strdup(string) : NULL;
	return string && !*ret_copy ? -ENOMEM : 0;
}

static int copy_key(struct carom_manager *manager)
{
	struct carom_manager_options *o = &manager->options;
	struct carom_self self = { 0 };

	if (!o->authkey) {
		carom_self_copy(&self);
		o->authkey = self.authkey.bytes;
		o->authkey_size = self.authkey.size;
	}
	o->authkey = copy_of(o->authkey, o->authkey_size);
	explicit_bzero(&self, sizeof(self));
	return o->authkey ? 0 : -ENOMEM;
}

static int copy_options(struct carom_manager *manager)
{
	struct carom_manager_options *o = &manager->options;
	int r, s = copy_key(manager);

	/* first, so that whatever fails, both are its own */
	o->argument = copy_of(o->argument, o->argument_size);
	if (s < 0 || !o->argument)
		return -ENOMEM;
	manager->place.port = o->port;
	r = copy_string(o->path, &manager->place.path);
	if (r == 0)
		r = copy_string(o->host, &manager->place.host);
	return r < 0 ? r : copy_string(o->name, &manager->name);
}

static int check(const struct carom_manager_options *options)
{
	if ((options->authkey != NULL) != (options->authkey_size > 0) ||
	    (!options->argument && options->argument_size > 0) ||
	    options->depth_max > CAROM_SERVER_DEPTH_MAX)
		return -EINVAL;
	return options->reserved[0] || options->reserved[1] || options->reserved[2] ? -EINVAL : 0;
}

int carom_manager_new(const struct carom_manager_options *options,
		      struct carom_manager **ret_manager)
{
	CAROM_CLEANUP(carom_manager_freep) struct carom_manager *manager = NULL;
	struct carom_manager_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(&o);
	if (r < 0)
		return r;
	manager = calloc(1, sizeof(*manager));
	if (!manager)
		return -ENOMEM;
	pthread_mutex_init(&manager->lock, NULL);
	manager->origin = carom_origin();
	if (o.depth_max == 0)
		o.depth_max = DEPTH_DEFAULT;
	if (o.message_max == 0)
		o.message_max = CAROM_MESSAGE_MAX_DEFAULT;
	manager->options = o;
	r = copy_options(manager);
	if (r == 0)
		*ret_manager = carom_take_ptr(manager);
	return r;
}

int carom_manager_sync(struct carom_manager **ret_manager)
{
	CAROM_CLEANUP(carom_manager_freep) struct carom_manager *manager = NULL;
	int r = carom_manager_new(NULL, &manager);

	if (r == 0)
		r = carom_manager_start(manager);
	if (r == 0)
		*ret_manager = carom_take_ptr(manager);
	return r;
}

struct carom_manager *carom_manager_free(struct carom_manager *manager)
{
	if (!manager)
		return NULL;
	if (carom_origin_is(manager->origin) && manager->process)
		carom_manager_shutdown(manager);
	if (manager->finalizer)
		carom_finalizer_cancel(manager->finalizer);
	carom_process_free(manager->process);
	carom_line_unref(manager->line);
	if (manager->options.authkey)
		explicit_bzero((void *)manager->options.authkey, manager->options.authkey_size);
	free((void *)manager->options.authkey);
	free((void *)manager->options.argument);
	free(manager->place.path);
	free(manager->place.host);
	free(manager->name);
	free(manager);
	return NULL;
}

void carom_manager_freep(struct carom_manager **manager)
{
	*manager = carom_manager_free(*manager);
}

/* ---- connecting ---- */

static int open_line(struct carom_manager *manager, uint64_t deadline_ns)
{
	const struct carom_manager_options *o = &manager->options;
	struct carom_line *line;
	int r = carom_line_new(
		&CAROM_CLIENT_OPTIONS(.path = manager->place.path, .host = manager->place.host,
				      .authkey = o->authkey, .authkey_size = o->authkey_size,
				      .message_max = o->message_max, .family = o->family,
				      .port = manager->place.port),
		&(struct carom_line_limits){ .silence_ns = o->silence_ns,
					     .depth_max = o->depth_max },
		deadline_ns, &line);

	if (r < 0)
		return r;
	carom_line_unref(manager->line);
	manager->line = line;
	manager->state = CAROM_MANAGER_STARTED;
	return 0;
}

int carom_manager_connect(struct carom_manager *manager, uint64_t deadline_ns)
{
	int r;

	pthread_mutex_lock(&manager->lock);
	if (manager->state == CAROM_MANAGER_SHUTDOWN)
		r = -ESHUTDOWN;
	else if (manager->process)
		r = -EALREADY;
	else
		r = open_line(manager, deadline_ns);
	pthread_mutex_unlock(&manager->lock);
	return r;
}

/* ---- starting ---- */

static int make_name(struct carom_manager *manager)
{
	static _Atomic unsigned int last;

	if (manager->name)
		return 0;
	/* relaxed: nothing but to be different */
	return asprintf(&manager->name, "Manager-%u",
			1 + atomic_fetch_add_explicit(&last, 1, memory_order_relaxed)) < 0
		       ? -ENOMEM
		       : 0;
}

static int end_at_exit(void *manager)
{
	return carom_manager_shutdown(manager);
}

static int start_server(struct carom_manager *manager)
{
	struct carom_manager_options options = manager->options;
	struct carom_manager_place place;
	int r = make_name(manager);

	options.path = manager->place.path;
	options.host = manager->place.host;
	if (r == 0)
		r = carom_manager_server_start(&options, manager->name, &manager->process, &place);
	if (r < 0)
		return r;
	free(manager->place.path);
	free(manager->place.host);
	manager->place = place;
	return 0;
}

static void abandon(struct carom_manager *manager)
{
	carom_process_kill(manager->process);
	carom_process_join(manager->process, CAROM_NO_DEADLINE);
	manager->process = carom_process_free(manager->process);
}

/* Before there is a server: that needs them, too, and so does whoever speaks to it. */
static int need_libraries(void)
{
	return carom_nettle() && carom_libcbor() ? 0 : carom_annex_error();
}

static int start(struct carom_manager *manager)
{
	int r = need_libraries();

	if (r == 0)
		r = start_server(manager);
	if (r < 0)
		return r;
	r = open_line(manager, carom_deadline_after(CAROM_SECONDS(30)));
	if (r == 0)
		r = carom_finalizer_add(CAROM_FINALIZER_MANAGER, end_at_exit, manager,
					&manager->finalizer);
	if (r < 0)
		abandon(manager);
	return r;
}

int carom_manager_start(struct carom_manager *manager)
{
	int r;

	pthread_mutex_lock(&manager->lock);
	if (manager->state == CAROM_MANAGER_SHUTDOWN)
		r = -ESHUTDOWN;
	else if (manager->state == CAROM_MANAGER_STARTED)
		r = -EALREADY;
	else
		r = start(manager);
	pthread_mutex_unlock(&manager->lock);
	return r;
}

/* ---- shutting down ---- */

static void ask_to_end(struct carom_line *line, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	struct carom_answered answer = { 0 };

	if (carom_document_build(&arguments, "()") == 0 &&
	    carom_line_call(line, CAROM_SERVER_ID, "server", "shutdown", deadline_ns,
			    carom_document_root(arguments), &answer) == 0)
		carom_document_free(answer.document);
}

/* Whatever it does. */
static void end_process(struct carom_process *process, uint64_t timeout_ns)
{
	int r = carom_process_join(process, carom_deadline_after(timeout_ns));

	if (r == -ETIMEDOUT) {
		carom_process_terminate_controlled(process);
		r = carom_process_join(process, carom_deadline_after(timeout_ns));
	}
	if (r == -ETIMEDOUT) {
		carom_process_kill(process);
		carom_process_join(process, CAROM_NO_DEADLINE);
	}
}

static void shut_down(struct carom_manager *manager)
{
	uint64_t timeout_ns = manager->options.shutdown_timeout_ns
				      ? manager->options.shutdown_timeout_ns
				      : SHUTDOWN_TIMEOUT;

	ask_to_end(manager->line, carom_deadline_after(timeout_ns));
	if (manager->process)
		end_process(manager->process, timeout_ns);
	manager->state = CAROM_MANAGER_SHUTDOWN;
}

int carom_manager_shutdown(struct carom_manager *manager)
{
	int r = 0;

	if (!carom_origin_is(manager->origin))
		return -ECHILD;
	pthread_mutex_lock(&manager->lock);
	if (manager->state == CAROM_MANAGER_INITIAL)
		r = -EINVAL;
	else if (manager->state == CAROM_MANAGER_STARTED)
		shut_down(manager);
	pthread_mutex_unlock(&manager->lock);
	return r;
}

int carom_manager_join(struct carom_manager *manager, uint64_t deadline_ns)
{
	return manager->process ? carom_process_join(manager->process, deadline_ns) : -EINVAL;
}

/* ---- what it is ---- */

enum carom_manager_state carom_manager_state(struct carom_manager *manager)
{
	enum carom_manager_state state;

	pthread_mutex_lock(&manager->lock);
	state = manager->state;
	pthread_mutex_unlock(&manager->lock);
	return state;
}

const char *carom_manager_path(const struct carom_manager *manager)
{
	return manager->place.path;
}

const char *carom_manager_host(const struct carom_manager *manager)
{
	return manager->place.host;
}

uint16_t carom_manager_port(const struct carom_manager *manager)
{
	return manager->place.port;
}

pid_t carom_manager_pid(struct carom_manager *manager)
{
	return manager->process ? carom_process_pid(manager->process) : 0;
}

/* ---- calls ---- */

/* In a forked child @lock may be somebody's who is not there; nobody else changes the handle then. */
static int take_line(struct carom_manager *manager, struct carom_line **ret_line)
{
	bool is_own = carom_origin_is(manager->origin);
	int r = 0;

	if (is_own)
		pthread_mutex_lock(&manager->lock);
	if (manager->state == CAROM_MANAGER_STARTED)
		*ret_line = carom_line_ref(manager->line);
	else
		r = manager->state == CAROM_MANAGER_SHUTDOWN ? -ESHUTDOWN : -EINVAL;
	if (is_own)
		pthread_mutex_unlock(&manager->lock);
	return r;
}

static int create(struct carom_line *line, const struct carom_object *arguments,
		  uint64_t deadline_ns, struct carom_proxy **ret_proxy)
{
	struct carom_answered answer;
	int r = carom_line_call(line, CAROM_SERVER_ID, "server", "create", deadline_ns, arguments,
				&answer);

	if (r < 0)
		return r;
	r = answer.value ? -EBADMSG : carom_proxy_new(line, answer.id, answer.type, ret_proxy);
	carom_document_free(answer.document);
	return r;
}

/* The type, and what the object is made of, as one tuple. */
static int build_arguments(struct carom_document *document, const char *type, const char *format,
			   va_list arguments, struct carom_object **ret_tuple)
{
	struct carom_object *name, *rest, *tuple;
	int r = carom_object_vbuild(document, format, arguments, &rest);

	if (r == 0)
		r = carom_object_new(document, CAROM_OBJECT_TEXT, &name);
	if (r == 0)
		r = carom_object_set_bytes(document, name, type, strlen(type));
	if (r == 0)
		r = carom_object_new(document, CAROM_OBJECT_TUPLE, &tuple);
	if (r == 0)
		r = carom_object_add(document, tuple, &name, 1, UINT32_MAX);
	if (r == 0 && rest->items.count > 0)
		r = carom_object_add(document, tuple, (struct carom_object **)rest->items.data,
				     rest->items.count, UINT32_MAX);
	if (r == 0)
		*ret_tuple = tuple;
	return r;
}

int carom_manager_create(struct carom_manager *manager, const char *type, uint64_t deadline_ns,
			 struct carom_proxy **ret_proxy, const char *format, ...)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	CAROM_CLEANUP(carom_line_unrefp) struct carom_line *line = NULL;
	struct carom_object *tuple = NULL;
	va_list arguments;
	int r = take_line(manager, &line);

	if (r == 0)
		r = carom_document_make(CAROM_OBJECT_MEMORY_MAX, &document);
	if (r < 0)
		return r;
	va_start(arguments, format);
	r = build_arguments(document, type, format, arguments, &tuple);
	va_end(arguments);
	return r < 0 ? r : create(line, tuple, deadline_ns, ret_proxy);
}

int carom_manager_ask(struct carom_manager *manager, const char *function,
		      const struct carom_object *arguments, uint64_t deadline_ns,
		      struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_line_unrefp) struct carom_line *line = NULL;
	struct carom_answered answer;
	int r = take_line(manager, &line);

	if (r == 0)
		r = carom_line_call(line, CAROM_SERVER_ID, "server", function, deadline_ns,
				    arguments, &answer);
	if (r < 0)
		return r;
	if (!answer.value) {
		carom_document_free(answer.document);
		return -EBADMSG;
	}
	carom_document_set_root(answer.document, answer.value);
	*ret_document = answer.document;
	return 0;
}

/* Without an argument. */
static int ask(struct carom_manager *manager, const char *function, uint64_t deadline_ns,
	       struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	int r = carom_document_build(&arguments, "()");

	return r < 0 ? r
		     : carom_manager_ask(manager, function, carom_document_root(arguments),
					 deadline_ns, ret_document);
}

int carom_manager_count(struct carom_manager *manager, uint64_t deadline_ns, size_t *ret_count)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int64_t count;
	int r = ask(manager, "number_of_objects", deadline_ns, &document);

	if (r == 0)
		r = carom_object_int(carom_document_root(document), &count);
	if (r == 0)
		*ret_count = (size_t)count;
	return r;
}

int carom_manager_debug(struct carom_manager *manager, uint64_t deadline_ns,
			struct carom_document **ret_document)
{
	return ask(manager, "debug_info", deadline_ns, ret_document);
}

/**
 * DOC: server
 *
 * A process that has objects which others work on, over an AF_UNIX socket or TCP. Mostly it is
 * started by a manager (ipc/manager.h); any program may be one itself:
 *
 *	r = carom_server_new(&CAROM_SERVER_OPTIONS(.path = "/run/objects", .authkey = key,
 *						   .authkey_size = key_size), &server);
 *	if (r == 0)
 *		r = carom_server_register(server, &counter_type, NULL);
 *	if (r == 0)
 *		r = carom_server_serve(server, CAROM_NO_DEADLINE);	// until somebody says shutdown
 *
 * A type is a name, how an object is made, and a table of methods. list, dict, set, Namespace,
 * Value, Array and Iterator are there already. One of a program's own:
 *
 *	static int make_counter(struct carom_request *request, void **ret_object)
 *	{
 *		*ret_object = calloc(1, sizeof(struct counter));
 *		return *ret_object ? 0 : -ENOMEM;
 *	}
 *
 *	static int add(void *object, struct carom_request *request)
 *	{
 *		struct counter *counter = object;
 *		int64_t step;
 *		int r = carom_object_int(carom_request_argument(request, 0), &step);
 *
 *		if (r < 0)
 *			return r;
 *		counter->value += step;
 *		return carom_request_reply(request, "L", counter->value);
 *	}
 *
 *	static const struct carom_method counter_methods[] = {
 *		{ .name = "add", .function = add, .argument_min = 1, .argument_max = 1 },
 *	};
 *	static const struct carom_type counter_type = {
 *		.name = "Counter", .make = make_counter, .end = free,
 *		.methods = counter_methods, .method_count = 1,
 *	};
 *
 * One loop in one thread serves all clients, so a method never waits: it has the server to
 * itself while it runs, and what is to be waited for it answers later, see ipc/request.h.
 *
 * Objects are counted by who has a proxy of them, client by client, and one that no client and
 * no container of the server has is ended. What a client had is given back when its connection
 * ends, by its death, too.
 *
 * With a key only who has it is let in; who is may do whatever the registered types allow. The
 * connection is neither encrypted nor signed. An AF_UNIX socket is a file besides, which says who
 * may connect: a server's own user alone, unless somebody changes its mode. Another user is served
 * through the socket alone, and shares no memory with the server.
 *
 * As many clients are let in as the server's process may have descriptors (RLIMIT_NOFILE). One more
 * waits until another leaves, or until its deadline; those who are in notice nothing.
 */
#ifndef CAROM_IPC_SERVER_H
#define CAROM_IPC_SERVER_H

#include "auth.h"
#include "request.h"

CAROM_BEGIN_DECLS

/**
 * typedef carom_method_fn - does what it is called for, in the server's thread, and never waits
 * @object:  what the type's make() has made
 * @request: who asks, what with, and where the answer goes
 *
 * Return: 0: what was replied, or None; or a negative errno value, which is what the caller gets,
 * with what carom_request_fail() has added; or CAROM_REQUEST_LATER: see carom_request_defer().
 */
typedef int carom_method_fn(void *object, struct carom_request *request);

/**
 * struct carom_method - of a type
 * @name:         as it is called
 * @function:     does it
 * @result_type:  NULL; or the type of an object that is made of the result: make() of that type
 *                gets it as its only argument, and the caller a proxy of it
 * @argument_min: with fewer arguments it is not called: -EINVAL
 * @argument_max: nor with more
 */
struct carom_method {
	const char *name;
	carom_method_fn *function;
	const char *result_type;
	uint32_t argument_min;
	uint32_t argument_max;
};

/**
 * struct carom_type - what objects of a kind can do; static, or as long as the server lives
 * @name:         by which clients ask for one
 * @make:         makes one of the arguments of the request; NULL: clients cannot
 * @end:          frees it; no request is under way; may be NULL
 * @left:         a client has gone: what it held is to be given back; may be NULL
 * @methods:      @method_count of them
 */
struct carom_type {
	const char *name;
	int (*make)(struct carom_request *request, void **ret_object);
	void (*end)(void *object);
	void (*left)(void *object, uint64_t session);
	const struct carom_method *methods;
	size_t method_count;
};

struct carom_server;

/**
 * struct carom_server_options - what carom_server_new() makes
 * @path, @host, @port, @family: where it listens, as in struct carom_listener_options
 * @authkey:      @authkey_size bytes, copied; NULL: this process's own, see
 *                carom_process_authkey()
 * @message_max:  neither a request nor a result is longer; 0 means 64 MiB
 * @depth_max:    nor do values stand deeper in each other; 0 means 32; at most 60
 * @backlog:      as in struct carom_listener_options
 * @handshake_timeout_ns: as in struct carom_listener_options
 * @replaces_stale: as in struct carom_listener_options
 * @silence_ns:   over TCP: for how long nothing is heard from the other machine until it counts as
 *                gone; then its client's calls end, and what it has is given back, as by its death.
 *                Whole seconds, 2 at least; 0 means 30 s
 */
struct carom_server_options {
	size_t size_bytes;
	const char *path;
	const char *host;
	const void *authkey;
	size_t authkey_size;
	uint64_t message_max;
	uint64_t handshake_timeout_ns;
	uint32_t depth_max;
	int family;
	int backlog;
	uint16_t port;
	bool replaces_stale;
	uint8_t reserved; /* 0 */
	uint64_t silence_ns;
};
#define CAROM_SERVER_OPTIONS(...) CAROM_OPTIONS(carom_server_options, __VA_ARGS__)

/**
 * carom_server_new() - listen, and have the types that are always there
 * @options:    read during the call only; NULL for all defaults
 * @ret_server: the caller owns it and ends it with carom_server_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. A server belongs to one thread: that which serves, and before
 * and after that, that which has made it.
 * Return: 0, or, with *@ret_server untouched, what carom_listener_new() says, or
 *	-EINVAL         a @depth_max above 60; an @authkey of no length, or a length of none; a
 *	                CAROM_LOOP that names no loop
 *	-EOPNOTSUPP     libcbor cannot be loaded here, or the loop that CAROM_LOOP names not be used
 *	-E2BIG          @options sets a field newer than this library
 *	-EMFILE, -ENFILE  no descriptor for its loop, or to load libcbor by
 *	-ENOSPC         the user may watch no more descriptors, see epoll_ctl(2)
 *	-ENOMEM
 */
CAROM_API int carom_server_new(const struct carom_server_options *options,
			       struct carom_server **ret_server);

/** carom_server_free() - clients see the end; all objects are ended. NULL is allowed. Return: NULL */
CAROM_API struct carom_server *carom_server_free(struct carom_server *server);
CAROM_API void carom_server_freep(struct carom_server **server);

/**
 * struct carom_register_options - how a type is registered
 * @name:         instead of the type's own; copied
 * @exposed:      the methods that can be called, ended by NULL; copied; NULL: all. The others
 *                are there, and are refused: -EACCES
 * @result_types: method and type in turn, ended by NULL: instead of @result_type of the method;
 *                copied
 * @object:       whoever creates one gets this one, which is not made, nor ended
 */
struct carom_register_options {
	size_t size_bytes;
	const char *name;
	const char *const *exposed;
	const char *const *result_types;
	void *object;
};
#define CAROM_REGISTER_OPTIONS(...) CAROM_OPTIONS(carom_register_options, __VA_ARGS__)

/**
 * carom_server_register() - have a type, in this server
 * @type:    stays the caller's, as long as the server
 * @options: read during the call only; NULL for all defaults
 *
 * Context: the server's thread.
 * Return: 0; -EEXIST: there is one of that name; -EINVAL: no name; a method without one, or
 * without a function; an exposed one that is none; -E2BIG, -ENOMEM.
 */
CAROM_API int carom_server_register(struct carom_server *server, const struct carom_type *type,
				    const struct carom_register_options *options);

/**
 * carom_server_serve() - until a client or carom_server_stop() ends it
 * @deadline_ns: serve no longer; can be called again
 *
 * Context: one thread, the first that does. Blocks. Not from a method.
 * Return: 0: it is over, and stays so; -ETIMEDOUT, or -EAGAIN if @deadline_ns is CAROM_PASSED;
 * -ECHILD: this is another process than the one that made it; what a broken loop says.
 */
CAROM_API int carom_server_serve(struct carom_server *server, uint64_t deadline_ns);

/** carom_server_stop() - have carom_server_serve() end. MT-Safe, AS-Safe. */
CAROM_API void carom_server_stop(struct carom_server *server);

/** carom_server_path() - of AF_UNIX, as clients have to say it; else NULL. The server's. */
CAROM_API const char *carom_server_path(const struct carom_server *server);

/** carom_server_host() - of another family, in digits; else NULL. The server's. */
CAROM_API const char *carom_server_host(const struct carom_server *server);

/** carom_server_port() - of another family, the real one; else 0 */
CAROM_API uint16_t carom_server_port(const struct carom_server *server);

/** carom_server_object_count() - how many objects it has */
CAROM_API size_t carom_server_object_count(const struct carom_server *server);

/** carom_server_client_count() - how many clients are connected */
CAROM_API size_t carom_server_client_count(const struct carom_server *server);

CAROM_END_DECLS

#endif

/**
 * DOC: manager
 *
 * Objects in a server process, which this program starts or finds, for all that know where it is
 * and have the key: as multiprocessing.managers.SyncManager is one.
 *
 *	CAROM_CLEANUP(carom_manager_freep) struct carom_manager *manager = NULL;
 *	CAROM_CLEANUP(carom_proxy_freep) struct carom_proxy *list = NULL;
 *
 *	r = carom_manager_sync(&manager);		// a server of this program's own
 *	if (r == 0)
 *		r = carom_manager_create(manager, "list", CAROM_NO_DEADLINE, &list, "[iii]", 1, 2, 3);
 *	if (r == 0)
 *		r = carom_proxy_call(list, "append", CAROM_NO_DEADLINE, NULL, "i", 4);
 *
 * and from elsewhere:
 *
 *	r = carom_manager_new(&CAROM_MANAGER_OPTIONS(.host = "10.0.0.7", .port = 5000,
 *						     .authkey = key, .authkey_size = key_size),
 *			      &manager);
 *	if (r == 0)
 *		r = carom_manager_connect(manager, carom_deadline_after(CAROM_SECONDS(1)));
 *
 * What the types are and can do is in ipc/server.h, how they are called in ipc/proxy.h. A started
 * server ends with this program, however that ends, and does not hear SIGINT.
 */
#ifndef CAROM_IPC_MANAGER_H
#define CAROM_IPC_MANAGER_H

#include "proxy.h"
#include "server.h"

CAROM_BEGIN_DECLS

struct carom_context;
struct carom_manager;

/**
 * typedef carom_server_init_fn - makes a server's process ready, before it serves
 * @argument: a copy of what the options of the manager have
 *
 * It registers types, for instance. "spawn" needs it registered (core/registry.h).
 * Return: 0, or a negative errno value: carom_manager_start() fails with it.
 */
typedef int carom_server_init_fn(struct carom_server *server, const void *argument, size_t size);

/**
 * struct carom_manager_options - what carom_manager_new() makes
 * @path, @host, @port, @family: where the server is, or is to be: as in struct
 *                 carom_server_options
 * @authkey:       @authkey_size bytes, copied; NULL: this process's own
 * @message_max, @depth_max: as in struct carom_server_options; of what comes back, too
 * @context:       how the server's process is started; NULL: the default one
 * @initializer:   called in it; NULL
 * @argument:      @argument_size bytes for that, copied; NULL
 * @name:          of its process; NULL: "Manager-1" and so on
 * @start_timeout_ns:    how long carom_manager_start() waits for it; 0 means 30 s
 * @shutdown_timeout_ns: how long carom_manager_shutdown() waits before it uses force, and then
 *                 again; 0 means 1 s
 * @silence_ns:    as in struct carom_server_options, at both ends
 */
struct carom_manager_options {
	size_t size_bytes;
	const char *path;
	const char *host;
	const void *authkey;
	size_t authkey_size;
	uint64_t message_max;
	struct carom_context *context;
	carom_server_init_fn *initializer;
	const void *argument;
	size_t argument_size;
	const char *name;
	uint64_t start_timeout_ns;
	uint64_t shutdown_timeout_ns;
	uint32_t depth_max;
	int family;
	uint16_t port;
	uint16_t reserved[3]; /* 0 */
	uint64_t silence_ns;
};
#define CAROM_MANAGER_OPTIONS(...) CAROM_OPTIONS(carom_manager_options, __VA_ARGS__)

/**
 * enum carom_manager_state - how far it is
 * @CAROM_MANAGER_INITIAL:  neither started nor connected
 * @CAROM_MANAGER_STARTED:  either of them
 * @CAROM_MANAGER_SHUTDOWN: carom_manager_shutdown() was called: for good
 */
enum carom_manager_state {
	CAROM_MANAGER_INITIAL,
	CAROM_MANAGER_STARTED,
	CAROM_MANAGER_SHUTDOWN,
};

/**
 * carom_manager_new() - a handle, and no server yet
 * @options:     read during the call only; NULL for all defaults
 * @ret_manager: the caller owns it and ends it with carom_manager_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, -EINVAL (an @authkey of no length, or a length of none; a size without @argument;
 * a deeper @depth_max than there is), -E2BIG, -ENOMEM.
 */
CAROM_API int carom_manager_new(const struct carom_manager_options *options,
				struct carom_manager **ret_manager);

/** carom_manager_sync() - with all defaults, and started. As carom_manager_new() and _start() */
CAROM_API int carom_manager_sync(struct carom_manager **ret_manager);

/**
 * carom_manager_start() - start a server process, and connect to it
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, or, and it may be called again,
 *	-EALREADY   it is started, or connected
 *	-ESHUTDOWN  it was shut down
 *	-ETIMEDOUT  not ready by @start_timeout_ns; it is killed
 *	-EPIPE      the process ended before
 *	-EOPNOTSUPP nettle or libcbor cannot be loaded here; a context of "thread"
 *	-ENOENT     "spawn", and the initializer is not registered
 *	-EMFILE, -ENFILE  no descriptor for a pipe to it, or to load these by
 *	-ENOMEM
 *	what its initializer, carom_server_new(), carom_process_start() and
 *	carom_manager_connect() say
 */
CAROM_API int carom_manager_start(struct carom_manager *manager);

/**
 * carom_manager_connect() - to a server that runs
 *
 * Again, where it is connected: anew. Proxies that were made before stay what they are, and those
 * over a connection that is lost stay dead: get others.
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0; -EALREADY: this manager has a server of its own; -ESHUTDOWN; -ETIMEDOUT, too: the
 * server has no descriptor left for one client more; -EPROTO: it speaks another version;
 * -EOPNOTSUPP: libcbor cannot be loaded here; -EMFILE, -ENFILE, -ENOMEM: nor just now, for want of
 * these; or as carom_client_connect().
 */
CAROM_API int carom_manager_connect(struct carom_manager *manager, uint64_t deadline_ns);

/**
 * carom_manager_shutdown() - end the server
 *
 * One that was started here is asked to end, then told by SIGTERM, then killed, each with
 * @shutdown_timeout_ns; it has ended when this returns. One that was connected to is asked.
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, also if it was done before; -EINVAL: neither started nor connected.
 */
CAROM_API int carom_manager_shutdown(struct carom_manager *manager);

/**
 * carom_manager_join() - until the process that was started has ended
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0, -ETIMEDOUT, -EINVAL (none was started).
 */
CAROM_API int carom_manager_join(struct carom_manager *manager, uint64_t deadline_ns);

/**
 * carom_manager_free() - give it up; a server that was started here is shut down
 * @manager: NULL is allowed
 *
 * Proxies live on, and find the server gone if it was this one's. It happens at the exit of the
 * program, too.
 *
 * Context: nobody else may use @manager any more; AS-Unsafe heap. Blocks, as
 * carom_manager_shutdown() does.
 * Return: NULL.
 */
CAROM_API struct carom_manager *carom_manager_free(struct carom_manager *manager);
CAROM_API void carom_manager_freep(struct carom_manager **manager);

/** carom_manager_state() - see enum carom_manager_state. MT-Safe. */
CAROM_API enum carom_manager_state carom_manager_state(struct carom_manager *manager);

/** carom_manager_path() - of AF_UNIX, where the server is; else NULL. The manager's. MT-Safe. */
CAROM_API const char *carom_manager_path(const struct carom_manager *manager);

/** carom_manager_host() - of another family; else NULL. The manager's. MT-Safe. */
CAROM_API const char *carom_manager_host(const struct carom_manager *manager);

/** carom_manager_port() - of another family, the real one once it is started; else 0. MT-Safe. */
CAROM_API uint16_t carom_manager_port(const struct carom_manager *manager);

/** carom_manager_pid() - of the process that was started; 0. For people. MT-Safe. */
CAROM_API pid_t carom_manager_pid(struct carom_manager *manager);

/**
 * carom_manager_create() - a new object
 * @type:      the name of its type
 * @ret_proxy: the caller's; ended with carom_proxy_free()
 * @format:    what it is made of, each argument, as carom_document_build() has it
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child. Blocks.
 * Return: 0, or as carom_proxy_call(); -ENXIO: no such type; -EINVAL, too: neither started nor
 * connected; -ESHUTDOWN: shut down.
 */
CAROM_API int carom_manager_create(struct carom_manager *manager, const char *type,
				   uint64_t deadline_ns, struct carom_proxy **ret_proxy,
				   const char *format, ...);

/** carom_manager_count() - how many objects there are. As carom_manager_create() */
CAROM_API int carom_manager_count(struct carom_manager *manager, uint64_t deadline_ns,
				  size_t *ret_count);

/**
 * carom_manager_debug() - a text with a line for each object: its number, references, content
 * @ret_document: a text; the caller's
 *
 * As carom_manager_create().
 */
CAROM_API int carom_manager_debug(struct carom_manager *manager, uint64_t deadline_ns,
				  struct carom_document **ret_document);

CAROM_END_DECLS

#endif

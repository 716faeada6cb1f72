/*
 * Manager's server
 *
 * What the process is to do goes there as one block of bytes; where it listens comes back through
 * a pipe, or why it does not. The pipe's end without a word is the process's end.
 */
#include "ipc/manager_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/context.h"
#include "core/registry_private.h"
#include "core/self.h"
#include "core/temp_dir.h"
#include "core/tracker.h"
#include "ipc/connection.h"

#define START_TIMEOUT CAROM_SECONDS(30)

/**
 * struct errand - followed by the strings, each with its NUL if it is there, the key and the
 * argument of the initializer
 * @initializer: its number in the registry, or its address; 0: none
 */
struct errand {
	uint64_t initializer;
	uint64_t message_max;
	uint64_t path_size;
	uint64_t host_size;
	uint64_t key_size;
	uint64_t argument_size;
	uint64_t silence_ns;
	uint32_t depth_max;
	int32_t family;
	uint16_t port;
	uint16_t reserved[3];
};

/** struct report - followed by the path or host. @error: 0, or a negative errno value */
struct report {
	int32_t error;
	uint16_t port;
	uint16_t is_path;
	char place[];
};

/* ---- in the process ---- */

static const char *take_string(const char **next, uint64_t size)
{
	const char *string = size > 0 ? *next : NULL;

	*next += size;
	return string;
}

static carom_server_init_fn *initializer_of(uint64_t word)
{
	carom_process_fn *function = (carom_process_fn *)(uintptr_t)word;

	if (word & CAROM_REGISTRY_NUMBER)
		function = carom_registered_as(word);
	return (carom_server_init_fn *)(void (*)(void))function;
}

static int initialize(struct carom_server *server, const struct errand *errand,
		      const char *argument)
{
	carom_server_init_fn *initializer = initializer_of(errand->initializer);

	if (errand->initializer == 0)
		return 0;
	return initializer ? initializer(server, argument, errand->argument_size) : -ENOENT;
}

static int make_server(const struct errand *errand, struct carom_server **ret_server)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	const char *next = (const char *)(errand + 1);
	const char *path = take_string(&next, errand->path_size);
	const char *host = take_string(&next, errand->host_size);
	const char *key = take_string(&next, errand->key_size);
	int r = carom_server_new(&CAROM_SERVER_OPTIONS(.path = path, .host = host,
						       .port = errand->port,
						       .family = errand->family, .authkey = key,
						       .authkey_size = errand->key_size,
						       .message_max = errand->message_max,
						       .silence_ns = errand->silence_ns,
						       .depth_max = errand->depth_max),
				 &server);

	if (r == 0)
		r = initialize(server, errand, next);
	if (r == 0)
		*ret_server = carom_take_ptr(server);
	return r;
}

static int send_report(int fd, int error, const struct carom_server *server)
{
	const char *path = server ? carom_server_path(server) : NULL;
	const char *place = !server ? "" : path ? path : carom_server_host(server);
	size_t size = strlen(place) + 1;
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	struct report *report = malloc(sizeof(*report) + size);
	int r = report ? carom_connection_new_take(fd, NULL, &connection) : -ENOMEM;

	if (r == 0) {
		report->error = error;
		report->port = server ? carom_server_port(server) : 0;
		report->is_path = path != NULL;
		memcpy(report->place, place, size);
		r = carom_connection_send_bytes(connection, report, sizeof(*report) + size,
						CAROM_NO_DEADLINE);
	}
	free(report);
	return r;
}

/* It has as many clients as it may have descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* It ends with the program as a daemon does; but what its types start is no daemon's child. */
static void be_no_daemon(void)
{
	struct carom_self self;

	carom_self_copy(&self);
	self.is_daemon = false;
	carom_self_become(&self);
	explicit_bzero(&self, sizeof(self));
}

/* What the process runs. */
static int run_server(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	const struct errand *errand = argument;
	int r;

	(void)size;
	if (fd_count != 1)
		return -EINVAL;
	signal(SIGINT, SIG_IGN); /* the user means the program, which ends this */
	raise_limit();
	be_no_daemon();
	carom_tracker_stop(); /* the program's: see ipc/estate.c, I2 */
	r = make_server(errand, &server);
	if (send_report(fds[0], r, server) < 0 || r < 0)
		return 1; /* whoever started it knows why */
	return carom_server_serve(server, CAROM_NO_DEADLINE);
}

__attribute__((constructor)) static void make_known(void)
{
	carom_register("carom.manager", run_server);
}

/* ---- where it is started ---- */

static size_t string_size(const char *string)
{
	return string ? strlen(string) + 1 : 0;
}

/* A program that executes itself anew has other addresses. */
static int number_of(const struct carom_manager_options *options, uint64_t *ret_word)
{
	carom_process_fn *function = (carom_process_fn *)(void (*)(void))options->initializer;
	struct carom_context *context = options->context;
	uint64_t number = function ? carom_registered_number(function) : 0;
	const char *method;
	int r = context ? 0 : carom_context_get(NULL, &context);

	if (r < 0)
		return r;
	method = carom_context_start_method(context);
	if (strcmp(method, "thread") == 0)
		return -EOPNOTSUPP;
	if (function && !number && strcmp(method, "spawn") == 0)
		return -ENOENT;
	*ret_word = number ? number : (uint64_t)(uintptr_t)function;
	return 0;
}

static int make_errand(const struct carom_manager_options *options, struct errand **ret_errand,
		       size_t *ret_size)
{
	struct errand head = { .message_max = options->message_max,
			       .path_size = string_size(options->path),
			       .host_size = string_size(options->host),
			       .key_size = options->authkey_size,
			       .argument_size = options->argument_size,
			       .silence_ns = options->silence_ns,
			       .depth_max = options->depth_max,
			       .family = options->family,
			       .port = options->port };
	size_t size =
		sizeof(head) + head.path_size + head.host_size + head.key_size + head.argument_size;
	struct errand *errand;
	char *next;
	int r = number_of(options, &head.initializer);

	if (r < 0)
		return r;
	errand = malloc(size);
	if (!errand)
		return -ENOMEM;
	*errand = head;
	next = (char *)(errand + 1);
	next = head.path_size ? mempcpy(next, options->path, head.path_size) : next;
	next = head.host_size ? mempcpy(next, options->host, head.host_size) : next;
	next = mempcpy(next, options->authkey, head.key_size);
	if (head.argument_size > 0)
		memcpy(next, options->argument, head.argument_size);
	*ret_errand = errand;
	*ret_size = size;
	return 0;
}

static int start_process(const struct carom_manager_options *options, const char *name, int fd,
			 struct carom_process **ret_process)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct errand *errand = NULL;
	size_t size = 0;
	int r = make_errand(options, &errand, &size);

	if (r == 0)
		r = carom_process_new(
			&CAROM_PROCESS_OPTIONS(.function = run_server, .argument = errand,
					       .argument_size = size, .fds = &fd, .fd_count = 1,
					       .name = name, .daemon = CAROM_YES,
					       .context = options->context),
			&process);
	if (r == 0)
		r = carom_process_start(process);
	if (errand)
		explicit_bzero(errand, size); /* there is the key in it */
	free(errand);
	if (r == 0)
		*ret_process = carom_take_ptr(process);
	return r;
}

static int read_report(const struct report *report, size_t size,
		       struct carom_manager_place *ret_place)
{
	char *place;

	if (size <= sizeof(*report) || report->place[size - sizeof(*report) - 1])
		return -EBADMSG;
	if (report->error < 0)
		return report->error;
	place = strdup(report->place);
	if (!place)
		return -ENOMEM;
	*ret_place = (struct carom_manager_place){ .port = report->port };
	*(report->is_path ? &ret_place->path : &ret_place->host) = place;
	return 0;
}

static int await_report(int fd, uint64_t deadline_ns, struct carom_manager_place *ret_place)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	void *data = NULL;
	size_t size;
	int r = carom_connection_new_take(fd, NULL, &connection);

	if (r < 0) {
		close(fd);
		return r;
	}
	r = carom_connection_recv_bytes(connection, 0, deadline_ns, &data, &size);
	if (r == 0)
		r = read_report(data, size, ret_place);
	free(data);
	return r;
}

static void end_process(struct carom_process *process)
{
	carom_process_kill(process);
	carom_process_join(process, CAROM_NO_DEADLINE);
	carom_process_free(process);
}

/* A socket in the program's own directory goes with the program, however the server ends. */
static int make_directory(const struct carom_manager_options *options)
{
	const char *directory;

	if (options->path || options->host || options->port ||
	    (options->family != 0 && options->family != AF_UNIX))
		return 0;
	return carom_temp_dir(&directory);
}

int carom_manager_server_start(const struct carom_manager_options *options, const char *name,
			       struct carom_process **ret_process,
			       struct carom_manager_place *ret_place)
{
	uint64_t timeout_ns = options->start_timeout_ns ? options->start_timeout_ns : START_TIMEOUT;
	uint64_t deadline_ns = carom_deadline_after(timeout_ns);
	struct carom_process *process = NULL;
	int ends[2];
	int r = make_directory(options);

	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = start_process(options, name, ends[1], &process);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		return r;
	}
	r = await_report(ends[0], deadline_ns, ret_place);
	if (r < 0)
		end_process(process);
	else
		*ret_process = process;
	return r == -ECONNRESET ? -EPIPE : r;
}

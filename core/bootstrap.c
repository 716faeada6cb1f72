/*
 * Bootstrap
 */
#include "core/bootstrap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/after_fork_private.h"
#include "core/annex.h"
#include "core/error.h"
#include "core/finalizer_private.h"
#include "core/forkserver_private.h"
#include "core/leave.h"
#include "core/log_private.h"
#include "core/points.h"
#include "core/process_private.h"
#include "core/sandbox_private.h"
#include "core/streams.h"
#include "core/temp_dir_private.h"

static struct carom_context_options options_here;
static const struct carom_parcel *overridden; /* this child's, if it has an option `run` */
static _Thread_local const struct carom_parcel *overridden_here; /* likewise, this thread's */

/* --- what it was told -------------------------------------------------- */

static void become(const struct carom_parcel *parcel)
{
	carom_self_become(&parcel->self);
	carom_context_inherit(&parcel->context);
	options_here = parcel->context.options;
	overridden = overridden_here = NULL; /* a copy of a child's has its own */
	if (parcel->context.method == CAROM_START_FORK)
		return; /* it has the rest by its copy */
	carom_log_import(&parcel->log);
	carom_temp_dir_inherit(parcel->temp_dir);
	if (parcel->context.method == CAROM_START_SPAWN)
		carom_log_import_environment();
	if (parcel->directory && chdir(parcel->directory) < 0)
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_DIRECTORY_LOST, "%s: %s",
				parcel->directory, carom_strerror(errno));
}

/* --- the function ------------------------------------------------------ */

static bool is_thread(const struct carom_parcel *parcel)
{
	return parcel->context.method == CAROM_START_THREAD;
}

static void say(const struct carom_parcel *parcel, const char *text, const char *more)
{
	fprintf(stderr, "Process %s: %s%s\n", parcel->self.name, text, more);
}

/*
 * Not by dladdr(3) where there is a choice: that takes a lock, and reads the symbols of
 * every library, whose pages each child would then have to get and to give back.
 */
static bool is_code(carom_process_fn *function)
{
	void *address = (void *)(uintptr_t)function;
#if defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 35)
	struct dl_find_object object;

	return _dl_find_object(address, &object) == 0;
#else
	Dl_info info;

	return dladdr(address, &info) != 0;
#endif
}

/*
 * An address in a library that was loaded after the fork server was made is nothing
 * there. The service makes a new server when it sees that something was loaded; this
 * is the last line, and says what happened instead of a crash.
 */
static carom_process_fn *find(const struct carom_parcel *parcel, carom_process_fn *function,
			      const char *name)
{
	if (!function) {
		function = carom_registered(name);
		if (!function)
			say(parcel, "no function is registered here as ", name);
	} else if (!is_code(function)) {
		say(parcel, "its function is not loaded in this process", "");
		function = NULL;
	}
	return function;
}

int carom_run_target(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const struct carom_parcel *parcel = overridden_here ? overridden_here : overridden;
	carom_process_fn *function;

	if (!parcel)
		return -EINVAL;
	if (!parcel->function && !parcel->function_name)
		return 0;
	function = find(parcel, parcel->function, parcel->function_name);
	return function ? function(argument, size, fds, fd_count) : -ENOENT;
}

static carom_process_fn *find_first(const struct carom_parcel *parcel)
{
	if (!parcel->run && !parcel->run_name)
		return find(parcel, parcel->function, parcel->function_name);
	*(is_thread(parcel) ? &overridden_here : &overridden) = parcel;
	return find(parcel, parcel->run, parcel->run_name);
}

static bool has_nothing_to_run(const struct carom_parcel *parcel)
{
	return !parcel->function && !parcel->function_name && !parcel->run && !parcel->run_name;
}

/* Without a size there is none; but a thread's is the very pointer that its creator gave. */
static const void *argument_of(const struct carom_parcel *parcel)
{
	return parcel->argument_size || is_thread(parcel) ? parcel->argument : NULL;
}

static int run(const struct carom_parcel *parcel)
{
	carom_process_fn *function;
	int r;

	if (has_nothing_to_run(parcel))
		return 0;
	function = find_first(parcel);
	if (!function)
		return EXIT_FAILURE;
	if (!is_thread(parcel))
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_PROCESS_RUNS,
				"child process %d calling self.run()", (int)getpid());
	r = function(argument_of(parcel), parcel->argument_size, parcel->fds, parcel->fd_count);
	if (r >= 0)
		return r;
	say(parcel, carom_strerror(r), "");
	return EXIT_FAILURE;
}

/* Not by exit(3): what the program would do then is not for a child that was to be confined. */
static void confine(const struct carom_parcel *parcel)
{
	int *keep;
	int r;

	if (parcel->sandbox_fd < 0)
		return;
	carom_annexes_end(); /* while files can be opened */
	keep = carom_parcel_kept_fds(parcel);
	r = keep ? carom_sandbox_enter(parcel->sandbox_fd, keep, parcel->fd_count + 1, NULL)
		 : -ENOMEM;
	free(keep);
	if (r == 0)
		return;
	say(parcel, "it cannot enter its sandbox: ", carom_strerror(r));
	_exit(EXIT_FAILURE);
}

_Noreturn void carom_bootstrap(const struct carom_parcel *parcel)
{
	CAROM_POINT("child.unpacked");
	become(parcel);
	if (parcel->context.method != CAROM_START_FORKSERVER) /* its server did */
		carom_streams_read_nothing();
	carom_term_signal_settle();
	carom_finalizers_clear();
	carom_leave_as_child();
	carom_after_fork_run();
	confine(parcel);
	CAROM_POINT("child.begun");
	exit(run(parcel));
}

void carom_bootstrap_thread(const struct carom_parcel *parcel)
{
	run(parcel);
}

_Noreturn void carom_child_exit(void)
{
	exit(options_here.billiard_exit_codes ? EXIT_FAILURE : EXIT_SUCCESS);
}

_Noreturn void carom_child_fail(const char *text)
{
	fprintf(stderr, "%s\n", text);
	exit(options_here.billiard_exit_codes ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* --- a child of the fork server ---------------------------------------- */

static int receive_more(int channel_fd, int *fds, size_t count)
{
	size_t taken = 0;

	while (taken < count) {
		int chunk[CAROM_PACKET_FDS_MAX];
		size_t chunk_count = 0;
		bool is_cut = false;
		char byte;
		ssize_t n =
			carom_packet_receive(channel_fd, &byte, 1, 0, chunk, &chunk_count, &is_cut);

		if (n <= 0 || is_cut || chunk_count == 0 || chunk_count > count - taken)
			return is_cut ? -EMFILE : -EBADMSG;
		memcpy(fds + taken, chunk, chunk_count * sizeof(int));
		taken += chunk_count;
	}
	return 0;
}

int carom_bootstrap_delivery(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const struct carom_delivery *delivery = argument;
	size_t count = delivery->fd_count + delivery->more_count;
	const int *extra = fds + delivery->fd_count;
	struct carom_parcel parcel;
	int *all = calloc(count + 1, sizeof(int));
	int r;

	if (!all)
		return EXIT_FAILURE;
	if (delivery->fd_count)
		memcpy(all, fds, delivery->fd_count * sizeof(int));
	r = delivery->has_file
		    ? carom_parcel_open(*extra, &parcel)
		    : carom_parcel_unpack(delivery->parcel, size - sizeof(*delivery), &parcel);
	if (r == 0 && delivery->has_channel)
		r = receive_more(extra[delivery->has_file], all + delivery->fd_count,
				 delivery->more_count);
	if (r < 0) {
		fprintf(stderr, "Process: %s\n", carom_strerror(r));
		return EXIT_FAILURE;
	}
	for (uint32_t i = 0; i < delivery->has_file + delivery->has_channel; i++)
		close(extra[i]);
	parcel.sandbox_fd =
		delivery->has_sandbox ? extra[delivery->has_file + delivery->has_channel] : -1;
	parcel.fds = all;
	parcel.fd_count = count;
	carom_bootstrap(&parcel);
}

/* --- a program that was started as a child ----------------------------- */

static int parcel_fd = -1;
static bool hook_was_called;

/*
 * A program without the hook has done here what it does when somebody calls it. That it
 * should have been a child is said at the latest possible time, and in its status, which
 * is not one that it gives by itself.
 */
static void complain(void)
{
	if (parcel_fd < 0)
		return;
	fflush(NULL);
	dprintf(STDERR_FILENO,
		"%s: started as a child, but it did not call carom_main_hook() in main()\n",
		program_invocation_short_name);
	_exit(CAROM_EXIT_NO_HOOK);
}

/* Before other constructors, which may try to start children. */
__attribute__((constructor(101))) static void look_for_marker(int argc, char **argv)
{
	size_t length = strlen(CAROM_CHILD_MARKER);
	char *end;
	long fd;

	if (argc != 2 || !argv || strncmp(argv[1], CAROM_CHILD_MARKER, length) != 0)
		return;
	fd = strtol(argv[1] + length, &end, 10);
	if (end == argv[1] + length || *end || fd <= STDERR_FILENO || fd > INT_MAX)
		return;
	parcel_fd = (int)fd;
	atexit(complain);
}

bool carom_bootstrap_is_due(void)
{
	return parcel_fd >= 0;
}

bool carom_bootstrap_is_ready(void)
{
	return hook_was_called;
}

int carom_main_hook(int argc, char **argv)
{
	struct carom_parcel parcel;
	int fd = parcel_fd;
	int r;

	hook_was_called = true;
	parcel_fd = -1;
	if (fd < 0)
		return 0;
	prctl(PR_SET_NAME, program_invocation_short_name); /* executed by its descriptor: "12" */
	r = carom_parcel_open(fd, &parcel);
	if (r < 0) {
		fprintf(stderr, "%s: %s is for programs that start this one as a child: %s\n",
			argv && argv[0] ? argv[0] : "carom", CAROM_CHILD_MARKER, carom_strerror(r));
		exit(EXIT_FAILURE);
	}
	close(fd);
	if (parcel.guard_fd >= 0)
		fcntl(parcel.guard_fd, F_SETFD, FD_CLOEXEC);
	carom_bootstrap(&parcel);
}

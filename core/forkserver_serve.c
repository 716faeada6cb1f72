/*
 * Fork server: the server's side
 *
 * One thread, no allocation, one request at a time: receive, clone, reply, close
 * what was received. What it holds between two requests is its socket.
 *
 *   I1  A child is known to the program from the instant it exists: by the page,
 *       which the kernel writes inside clone, or by the reply in the socket.
 *   I2  The page is written by the kernel on behalf of this process only. It is
 *       touched and locked here before the first clone, so that the store finds
 *       it mapped even if this process is being killed; and no child inherits it.
 *   I3  Descriptors 0, 1, 2 are taken, so that none that comes with a request
 *       becomes a child's standard output.
 *   I4  Every signal stays blocked: what is sent to the whole group, from the keyboard
 *       or by who wants the program to end, is the program's to answer. A child is
 *       born with them blocked, and loses none that is its own.
 *   I5  Only the program asks for children: K1 in core/forkserver.c.
 *   I6  What a request carries stands on pages of its own: the server writes them anew for
 *       the next one, and so they are each child's own. One that needs it no more gives them
 *       back (carom_forkserver_forget()).
 */
#include "core/forkserver_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/context_private.h"
#include "core/descriptors.h"
#include "core/points.h"
#include "core/clone.h"
#include "core/guard.h"
#include "core/leave.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/pid_namespace.h"
#include "core/pidfd.h"
#include "core/signals.h"
#include "core/streams.h"
#include "core/written.h"

/* --- the self-test ----------------------------------------------------- */

static void try_malloc(size_t size)
{
	char *volatile memory = malloc(size); /* volatile: not to be optimised away */

	free(memory);
}

static void try_stdio(void)
{
	FILE *file = fopen("/dev/null", "we");

	if (file) {
		fprintf(file, "%d\n", 1);
		fclose(file);
	}
	fflush(NULL);
}

static void try_environment(void)
{
	setenv("CAROM_SELF_TEST", "1", 1);
	unsetenv("CAROM_SELF_TEST");
}

static void try_time(void)
{
	time_t now = 0;
	struct tm parts;

	tzset();
	localtime_r(&now, &parts);
}

static int stop_at_first(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)info, (void)size, (void)unused;
	return 1;
}

/* Its list has a lock of its own, which fork() does not make anew and dlopen() may not need. */
static void try_loader(void)
{
	void *program = dlopen(NULL, RTLD_NOW);

	dl_iterate_phdr(stop_at_first, NULL);
	if (program) {
		dlsym(program, "main");
		dlclose(program);
	}
}

static void try_locale(void)
{
	locale_t locale = newlocale(LC_ALL_MASK, "C", NULL);

	if (locale)
		freelocale(locale);
}

static void do_nothing(int status, void *unused)
{
	(void)status, (void)unused;
}

/* The list of what is to be done at the end, which a library that is being loaded adds to. */
static void try_exit(void)
{
	on_exit(do_nothing, NULL);
}

void carom_forkserver_try_locks(void)
{
	try_malloc(64);
	try_malloc(64 * 1024);   /* from an arena, with the top moved */
	try_malloc(1024 * 1024); /* mapped */
	try_environment();
	try_time();
	try_loader();
	try_locale();
	random();
	try_exit();
	try_stdio();
}

/*
 * With 1 and 2 closed, like all others: fflush() then throws away what the program
 * had in its buffers at the fork and will itself write, which each child would
 * write again at its end; and ld.so's complaint about a lock it finds in disorder
 * is not the user's concern, because this server ends there and another is made.
 */
static void test_self(void)
{
	int output_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	int error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	carom_forkserver_try_locks();
	if (dup2(output_fd, STDOUT_FILENO) < 0 || dup2(error_fd, STDERR_FILENO) < 0)
		_exit(EXIT_FAILURE);
	close(output_fd);
	close(error_fd);
}

/* --- one request ------------------------------------------------------- */

/**
 * struct errand - what came with a request; I6
 */
struct errand {
	struct carom_server_request request;
	int fds[CAROM_PACKET_FDS_MAX];
	size_t fd_count;
	bool is_cut;
};

static struct errand *the_errand;        /* in a child: its own */
static uint64_t errand_of CAROM_WRITTEN; /* the origin of that child, not of who it forks */

void carom_forkserver_forget(void)
{
	if (errand_of && carom_origin_is(errand_of))
		madvise(the_errand, sizeof(*the_errand), MADV_DONTNEED);
}

/**
 * struct server - all it knows
 * @socket_fd:   its end
 * @born:        where the kernel stores the pids of children
 * @program_pid: its parent, and its children's
 * @program_fd:  its pidfd; or why there is none: then there are no children elsewhere
 * @was_asked:   by somebody else
 */
struct server {
	int socket_fd;
	struct carom_born *born;
	pid_t program_pid;
	int program_fd;
	bool was_asked;
};

/* Inside its own namespace a child has no parent by number. */
static int watch_program(const struct server *server)
{
	return carom_is_inside() ? carom_die_with_held_parent(server->program_fd, SIGKILL)
				 : carom_die_with_parent(server->program_pid, SIGKILL);
}

static _Noreturn void run_child(const struct server *server, const struct errand *errand)
{
	const struct carom_server_request *request = &errand->request;
	const int *fds = errand->fds;
	int status;

	errand_of = carom_origin();
	CAROM_POINT("forkserver.born");
	if (watch_program(server) < 0)
		_exit(EXIT_FAILURE);
	carom_signals_restore(0); /* now what was sent to it meanwhile takes effect */
	carom_descriptors_close(3, fds, request->fd_count);
	CAROM_POINT("forkserver.child_ready");
	status = request->function(request->argument, request->size, fds, request->fd_count);
	fflush(NULL);
	_exit(status);
}

static pid_t make_child(const struct server *server, const struct errand *errand, int *ret_pidfd)
{
	const struct carom_server_request *request = &errand->request;
	struct carom_clone_options options = {
		.as_sibling = true,
		.namespaces = request->namespaces,
		.cgroup_fd = request->has_cgroup ? errand->fds[request->fd_count] : 0,
		.ret_born_pid = &server->born->pids[request->slot],
	};
	pid_t pid;

	if (request->namespaces && server->program_fd < 0)
		return server->program_fd;
	pid = carom_clone(&options, ret_pidfd);
	if (pid == 0)
		run_child(server, errand);
	return pid;
}

static void reply(const struct server *server, uint32_t slot, pid_t pid, int pidfd)
{
	struct carom_server_reply packet = {
		.key = server->born->key,
		.slot = slot,
		.pid = pid < 0 ? 0 : pid,
		.error = pid < 0 ? pid : 0,
	};
	int r = carom_packet_send(server->socket_fd, &packet, sizeof(packet), &pidfd, pidfd >= 0,
				  0);

	/* too many descriptors under way for this user: the program can find it by its pid */
	if (r == -ETOOMANYREFS)
		r = carom_packet_send(server->socket_fd, &packet, sizeof(packet), NULL, 0, 0);
	if (r < 0)
		_exit(r == -EPIPE || r == -ECONNRESET ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* I5 */
static bool is_of_program(const struct server *server, const struct carom_server_request *request,
			  ssize_t size)
{
	return size >= (ssize_t)offsetof(struct carom_server_request, argument) &&
	       carom_server_key_is(&request->key, &server->born->key);
}

/* Said once: who asks may ask often. */
static void refuse(struct server *server, const struct errand *errand)
{
	carom_packet_drop(errand->fds, errand->fd_count);
	if (!server->was_asked)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FORKSERVER_STRANGER,
				"fork server: a request that is not the program's was refused");
	server->was_asked = true;
}

static void serve_one(struct server *server, struct errand *errand)
{
	int pidfd = -1;
	pid_t pid = -EMFILE;
	ssize_t size =
		carom_packet_receive(server->socket_fd, &errand->request, sizeof(errand->request),
				     0, errand->fds, &errand->fd_count, &errand->is_cut);

	if (size <= 0)
		_exit(EXIT_SUCCESS); /* the program has closed its end */
	if (!is_of_program(server, &errand->request, size)) {
		refuse(server, errand);
		return;
	}
	explicit_bzero(&errand->request.key, sizeof(errand->request.key)); /* not for a child */
	CAROM_POINT("forkserver.received");
	if (!errand->is_cut)
		pid = make_child(server, errand, &pidfd);
	CAROM_POINT("forkserver.made");
	reply(server, errand->request.slot, pid, pidfd);
	CAROM_POINT("forkserver.replied");
	if (pidfd >= 0)
		close(pidfd);
	carom_packet_drop(errand->fds, errand->fd_count);
	CAROM_POINT("forkserver.closed");
}

/* --- the server -------------------------------------------------------- */

static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR); /* for those that a child execs as well */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* The program may have started with 0, 1 or 2 closed, and got the socket there. */
static int above_standard(int fd)
{
	int above = fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (above < 0)
		_exit(EXIT_FAILURE);
	if (above != fd)
		close(fd);
	return above;
}

static void settle_page(struct carom_born *born)
{
	for (size_t i = 0; i < CAROM_FORKSERVER_SLOT_COUNT; i++)
		atomic_store(&born->pids[i], 0);
	mlock(born, sizeof(*born)); /* refused without a limit for it; then it is only touched */
	madvise(born, sizeof(*born), MADV_DONTFORK);
}

static void make_errand(void)
{
	void *memory = mmap(NULL, sizeof(struct errand), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(EXIT_FAILURE);
	the_errand = memory;
}

/* The number is the program's for as long as that is the parent. */
static int hold_program(pid_t program_pid)
{
	int fd = carom_pidfd_open(program_pid);

	if (getppid() != program_pid)
		_exit(EXIT_FAILURE);
	return fd;
}

_Noreturn void carom_forkserver_serve(int socket_fd, struct carom_born *born, pid_t program_pid)
{
	struct server server = { .socket_fd = above_standard(socket_fd),
				 .born = born,
				 .program_pid = program_pid };
	uint32_t ready = CAROM_FORKSERVER_READY;

	carom_signals_default(); /* as its children are to have them */
	if (carom_die_with_parent(program_pid, SIGKILL) < 0)
		_exit(EXIT_FAILURE);
	carom_descriptors_close(3, &server.socket_fd, 1);
	fill_standard_descriptors();
	server.program_fd = hold_program(program_pid);
	settle_page(born);
	make_errand();
	CAROM_POINT("forkserver.started");
	test_self();
	CAROM_POINT("forkserver.tested");
	if (carom_packet_send(server.socket_fd, &ready, sizeof(ready), NULL, 0, 0) < 0)
		_exit(EXIT_FAILURE);
	carom_preload_run();
	carom_streams_read_nothing(); /* once for all children: less that each has to do, and to undo */
	carom_leave_prepare(); /* after what was preloaded has said what is to be done at its end */
	for (;;)
		serve_one(&server, the_errand);
}

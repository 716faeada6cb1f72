/*
 * Process
 *
 *   P1  One lock guards all handles of this process: none of the calls under it blocks.
 *   P2  A handle is STARTED from when the child exists until somebody has its exit
 *       status: the library's thread that watches its pidfd, or whoever asks first.
 *       Then it is ENDED, for good.
 *   P3  References: the caller's; one while it is STARTED; one of the library's thread
 *       from the start until it watches no more. The pidfd is closed when the handle is
 *       closed or gone and nobody uses it: not while a thread waits on its number.
 *       A handle of the context "thread" has no pidfd, and nobody watches: its thread
 *       itself says that it has ended (core/process_thread.c).
 *   P4  A forked child inherits copies of all this. They are another origin's, and
 *       refused; their descriptors are closed there before anything else happens.
 *   P5  When the process exits, no child is started any more, and those that were being
 *       started are waited for: the C library soon takes the atfork handlers away, and
 *       a child that is forked then would have copies of all that P4 speaks of, its
 *       parent's end of the guard (core/guard.h) and locks that nobody gives back.
 *   P6  A child that is traced by somebody else than its parent is its tracer's first when it
 *       has died: its pidfd is readable, and waitid(2) has no status until the tracer has
 *       seen it, or is gone. Then it is told of anew (an edge, core/service.h), and who joins
 *       looks now and then.
 */
#include "core/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bootstrap.h"
#include "core/children.h"
#include "core/cleanup.h"
#include "core/cond_wait.h"
#include "core/descriptors.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/pidfd.h"
#include "core/points.h"
#include "core/process_private.h"
#include "core/time.h"

#define RELEASE_SLICE_NS CAROM_MILLISECONDS(10)

static CAROM_FORK_LOCK(lock);
static struct carom_process *list; /* P3: those with a pidfd, running or ended; running threads */
static size_t handle_count;        /* the callers' references */
static size_t starting_count, watched_count;
static bool is_over;                                      /* P5 */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER; /* a count; a thread has ended */

/* --- forks ------------------------------------------------------------- */

static void forget(void)
{
	for (struct carom_process *process = list; process; process = process->next)
		carom_closep(&process->pidfd); /* P4 */
	list = NULL;
	handle_count = 0;
	starting_count = watched_count = 0;
	is_over = false;
	pthread_cond_init(&changed, NULL); /* who waits for it in the parent is not here */
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(NULL, NULL, forget);
}

/* --- references, with the lock ----------------------------------------- */

/* Whole before it can be seen: another thread may fork in between, and its child walks the list. */
static void list_add(struct carom_process *process)
{
	process->next = list;
	process->link = &list;
	if (list)
		list->link = &process->next;
	__atomic_store_n(&list, process, __ATOMIC_RELEASE);
}

static void list_remove(struct carom_process *process)
{
	*process->link = process->next;
	if (process->next)
		process->next->link = process->link;
}

static void close_pidfd(struct carom_process *process)
{
	if (process->pidfd < 0)
		return;
	list_remove(process);
	carom_closep(&process->pidfd);
}

/* noinline: gcc 12 takes two of these in a row for a use after free */
__attribute__((noinline)) static void unref(struct carom_process *process)
{
	if (--process->reference_count)
		return;
	close_pidfd(process);
	free(process->function_name);
	free(process->fds);
	carom_sandbox_page_free(process->page);
	carom_sandbox_free(process->sandbox);
	carom_process_limits_free(process->limits);
	free(process);
}

/* --- how it ended, with the lock --------------------------------------- */

static void end_limits(struct carom_process *process)
{
	if (process->limits)
		carom_process_limits_end(process->limits);
}

/* P2, P3; the caller has a reference of its own */
static void note_end(struct carom_process *process, const struct carom_exit *exit)
{
	process->exit = *exit;
	process->state = PROCESS_ENDED;
	end_limits(process);
	process->reference_count--;
}

/* P2; the caller has a reference of its own. A thread says itself that it has ended. */
static void look(struct carom_process *process)
{
	struct carom_exit exit;

	if (process->is_special || carom_process_is_thread(process) ||
	    process->state != PROCESS_STARTED)
		return;
	if (carom_pidfd_reap(process->pidfd, &exit) < 0 || exit.kind == CAROM_EXIT_RUNNING)
		return;
	CAROM_POINT("process.reaped");
	note_end(process, &exit);
}

/* P6: of one whose pidfd was readable: is its status yet to come? */
static bool is_held_back(const struct carom_process *process)
{
	return process->state == PROCESS_STARTED && carom_pidfd_is_child(process->pidfd);
}

static void look_at_all(void)
{
	struct carom_process *next;

	for (struct carom_process *process = list; process; process = next) {
		next = process->next;
		process->reference_count++;
		look(process);
		unref(process);
	}
}

/* P3 */
static void use_pidfd(struct carom_process *process)
{
	process->reference_count++;
	process->pidfd_user_count++;
}

static void unuse_pidfd(struct carom_process *process)
{
	if (--process->pidfd_user_count == 0 && process->is_closed)
		close_pidfd(process);
	unref(process);
}

/* --- the library's thread ---------------------------------------------- */

static void stop_watching(struct carom_process *process)
{
	if (!process->is_watched)
		return;
	process->is_watched = false;
	watched_count--;
	pthread_cond_broadcast(&changed);
	unuse_pidfd(process);
}

static void report(const char *text)
{
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_PROCESS_KILLED, "%s was killed", text);
}

static void ended(struct carom_service_pidfd *watch)
{
	struct carom_process *process = watch->userdata;
	char text[PROCESS_TEXT_MAX];
	bool is_news;

	carom_fork_lock_acquire(&lock);
	look(process);
	if (is_held_back(process)) {
		carom_fork_lock_release(&lock);
		return; /* P6 */
	}
	carom_service_unwatch(process->service, watch);
	is_news = process->state == PROCESS_ENDED && !process->is_controlled &&
		  (process->exit.kind == CAROM_EXIT_KILLED ||
		   process->exit.kind == CAROM_EXIT_DUMPED);
	if (is_news)
		carom_process_text(process, text, sizeof(text));
	stop_watching(process);
	carom_fork_lock_release(&lock);
	if (is_news)
		report(text);
}

static void begin_to_watch(struct carom_process *process)
{
	int r;

	process->watch = (struct carom_service_pidfd){
		.fd = process->pidfd,
		.ended = ended,
		.userdata = process,
	};
	r = carom_service_watch(process->service, &process->watch);
	CAROM_POINT("process.watched");
	if (r == 0)
		return;
	carom_fork_lock_acquire(&lock);
	stop_watching(process); /* it is reaped by who asks, then */
	carom_fork_lock_release(&lock);
}

/* --- when the descriptors were taken away, with the lock --------------- */

/* The number is somebody else's now, so it is not closed. */
static void forget_pidfd(struct carom_process *process)
{
	list_remove(process);
	process->pidfd = -1;
}

/* of a child that nobody has reaped the pid is still its own */
static int hold_again(const struct carom_process *process)
{
	int pidfd = process->state == PROCESS_STARTED ? carom_pidfd_open(process->pid) : -ESRCH;

	if (pidfd >= 0 && !carom_pidfd_is_child(pidfd)) {
		close(pidfd);
		pidfd = -ESRCH;
	}
	return pidfd;
}

/*
 * P2, P3: the library's thread watches no more; who asks looks. A child that no pidfd can be
 * had for any more is ended: it could not be waited for.
 */
static void hold_anew(struct carom_process *process)
{
	struct carom_exit exit = { .kind = CAROM_EXIT_TAKEN, .status = -1 };
	int pidfd = hold_again(process);

	if (pidfd >= 0)
		process->pidfd = pidfd;
	else
		forget_pidfd(process);
	if (pidfd == -EOPNOTSUPP)
		carom_pid_end(process->pid, &exit);
	if (pidfd < 0 && process->state == PROCESS_STARTED)
		note_end(process, &exit);
	stop_watching(process);
}

void carom_children_hold_anew(void)
{
	struct carom_process *next;

	carom_fork_lock_acquire(&lock);
	for (struct carom_process *process = list; process; process = next) {
		next = process->next;
		if (carom_process_is_thread(process))
			continue;
		process->reference_count++;
		hold_anew(process);
		unref(process);
	}
	carom_fork_lock_release(&lock);
}

/* --- new --------------------------------------------------------------- */

static int check_options(const struct carom_process_options *options)
{
	if ((options->function && options->function_name) ||
	    (options->argument_size && !options->argument) ||
	    (options->fd_count && !options->fds) || (options->name && !*options->name) ||
	    (options->function_name && !*options->function_name))
		return -EINVAL;
	if (options->fd_count > INT32_MAX / sizeof(int) || options->daemon > CAROM_YES)
		return -EINVAL;
	if (options->name && strlen(options->name) >= CAROM_NAME_MAX)
		return -ENAMETOOLONG;
	if (options->function_name && strlen(options->function_name) >= CAROM_FUNCTION_NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* PR-02, PR-03 */
static int name_child(struct carom_process *process, const struct carom_process_options *options)
{
	int r = carom_self_child(&process->self, process->type, options->name);

	if (carom_process_is_thread(process))
		process->self.is_daemon = carom_thread_is_daemon();
	if (options->daemon != CAROM_INHERIT)
		process->self.is_daemon = options->daemon == CAROM_YES;
	return r;
}

static int copy_options(struct carom_process *process, const struct carom_process_options *options)
{
	int r;

	process->function = options->function;
	process->run = options->run;
	process->argument = options->argument;
	process->argument_size = options->argument_size;
	process->fd_count = options->fd_count;
	process->sandbox = carom_sandbox_ref(options->sandbox);
	if (options->function_name) {
		process->function_name = strdup(options->function_name);
		if (!process->function_name)
			return -ENOMEM;
	}
	if (options->fd_count) {
		process->fds = calloc(options->fd_count, sizeof(int));
		if (!process->fds)
			return -ENOMEM;
		memcpy(process->fds, options->fds, options->fd_count * sizeof(int));
	}
	r = name_child(process, options);
	if (r == 0 && options->limits)
		r = carom_process_limits_new(options->limits, process->self.name, &process->limits);
	return r;
}

int carom_process_new(const struct carom_process_options *options,
		      struct carom_process **ret_process)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_process_options ours;
	int r = carom_options_take(options, &ours, sizeof(ours));

	if (r == 0)
		r = check_options(&ours);
	if (r < 0)
		return r;
	process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	carom_fork_lock_acquire(&lock);
	handle_count++;
	carom_fork_lock_release(&lock);
	process->origin = carom_origin();
	process->reference_count = 1;
	process->parent_pid = getpid();
	process->pidfd = -1;
	process->creator = carom_thread_number();
	r = carom_context_settings(ours.context, &process->settings, &process->type);
	if (r == 0 && carom_process_is_thread(process) &&
	    (!carom_sandbox_is_none(ours.sandbox) || ours.limits))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = copy_options(process, &ours);
	if (r < 0)
		return r;
	*ret_process = carom_take_ptr(process);
	return 0;
}

/* --- start ------------------------------------------------------------- */

static int may_start(const struct carom_process *process)
{
	if (process->is_closed)
		return -EBADF;
	if (process->is_special || process->state != PROCESS_INITIAL)
		return -EALREADY;
	if (carom_process_is_thread(process) && process->creator != carom_thread_number())
		return -EPERM;
	return is_over ? -ECANCELED : 0;
}

static int begin_start(struct carom_process *process)
{
	int r;

	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (carom_bootstrap_is_due())
		return -EBUSY;
	carom_fork_lock_acquire(&lock);
	if (carom_pid_has_ended_children())
		look_at_all();
	r = may_start(process);
	if (r == 0) {
		process->state = PROCESS_STARTING;
		starting_count++;
	}
	carom_fork_lock_release(&lock);
	CAROM_POINT("process.starting");
	return r;
}

static void end_start(struct carom_process *process, pid_t pid, int pidfd)
{
	bool is_watched;

	CAROM_POINT("process.born");
	carom_fork_lock_acquire(&lock);
	starting_count--;
	pthread_cond_broadcast(&changed);
	if (pid < 0) {
		process->state = PROCESS_INITIAL;
	} else {
		process->state = PROCESS_STARTED;
		process->pid = pid;
		process->pidfd = pidfd;
		process->reference_count++; /* P3 */
		list_add(process);
	}
	is_watched = process->is_watched = pid > 0; /* a thread has none */
	if (is_watched) {
		watched_count++;
		use_pidfd(process);
	}
	carom_fork_lock_release(&lock);
	if (!is_watched)
		return;
	CAROM_POINT("process.started");
	begin_to_watch(process);
}

/* A thread's pid is 0. */
static pid_t give_birth(struct carom_process *process, int *ret_pidfd)
{
	int r;

	if (carom_process_is_thread(process))
		return carom_thread_birth(process);
	r = carom_service_get(&process->service);
	return r < 0 ? r : carom_process_birth(process, ret_pidfd);
}

static int start(struct carom_process *process)
{
	int pidfd = -1;
	pid_t pid;
	int r = begin_start(process);

	if (r < 0)
		return r;
	pid = give_birth(process, &pidfd);
	end_start(process, pid, pidfd);
	return pid < 0 ? pid : 0;
}

/*
 * A thread that is cancelled half-way would leave a handle that is being started for ever,
 * and a child in borrowed memory (core/spawn.c) would unwind its parent's stack. In a
 * child by "fork" the request would still be there: it goes on with cancellation off.
 */
int carom_process_start(struct carom_process *process)
{
	int cancel_state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = start(process);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

/* --- what a thread says of itself -------------------------------------- */

/* Nobody knows the thread yet, so nobody cancels it here. */
void carom_thread_begun(struct carom_process *process)
{
	carom_fork_lock_acquire(&lock);
	while (process->state == PROCESS_STARTING)
		pthread_cond_wait(&changed, &lock.mutex);
	carom_fork_lock_release(&lock);
}

void carom_thread_ended(struct carom_process *process)
{
	carom_fork_lock_acquire(&lock);
	process->exit.kind = CAROM_EXIT_EXITED;
	getrusage(RUSAGE_THREAD, &process->exit.usage);
	process->state = PROCESS_ENDED;
	pthread_cond_broadcast(&changed);
	list_remove(process);
	unref(process); /* P3 */
	carom_fork_lock_release(&lock);
}

/* --- waiting ----------------------------------------------------------- */

/* with the lock; what every call looks at first */
static int check(const struct carom_process *process)
{
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	return process->is_closed ? -EBADF : 0;
}

/* the thread is cancelled */
static void give_up_wait(void *userdata)
{
	carom_fork_lock_acquire(&lock);
	unuse_pidfd(userdata);
	carom_fork_lock_release(&lock);
}

/*
 * The one that ends the wait may not be the first to see the end: somebody else sees it
 * and closes the handle while this thread is not in ppoll() yet, or has left it for a
 * signal handler. So it uses the pidfd, and its number stays what it is, but for one thing:
 * the program may close all descriptors there are. Who waits then goes on waiting for the
 * same file, which ppoll(2) holds; who begins to wait makes sure before that the number is
 * still the library's.
 */
static int wait_once(struct carom_process *process, short events, uint64_t deadline_ns)
{
	int pidfd = process->pidfd;
	int r;

	carom_fork_lock_release(&lock);
	pthread_cleanup_push(give_up_wait, process);
	r = carom_descriptor_wait_for(pidfd, events, deadline_ns);
	pthread_cleanup_pop(0);
	carom_fork_lock_acquire(&lock);
	look(process);
	return r;
}

/* P6: that it is let go of, poll(2) does not tell, but that it is reaped. Return: 0, -ETIMEDOUT, ... */
static int wait_for_release(struct carom_process *process, uint64_t deadline_ns)
{
	uint64_t soon_ns = carom_deadline_after(RELEASE_SLICE_NS);
	bool is_last = deadline_ns <= soon_ns;
	int r = wait_once(process, 0, is_last ? deadline_ns : soon_ns);

	return r == -ETIMEDOUT && !is_last ? 0 : r;
}

/* is there another pidfd, the first one having been taken away with all others? */
static bool is_held_anew(struct carom_process *process, int pidfd)
{
	if (process->pidfd == pidfd && pidfd >= 0 &&
	    !carom_loop_is_intact(carom_service_loop(process->service))) {
		/* the library's thread is about to do the same: so this one is lost */
		pidfd = hold_again(process);
		if (pidfd < 0)
			return false;
		process->pidfd = pidfd;
		return true;
	}
	return process->pidfd >= 0 && process->pidfd != pidfd;
}

static int wait_for_end(struct carom_process *process, uint64_t deadline_ns)
{
	int pidfd, r;

	if (process->state == PROCESS_ENDED)
		return 0;
	use_pidfd(process);
	do {
		is_held_anew(process, process->pidfd);
		pidfd = process->pidfd;
		r = wait_once(process, POLLIN, deadline_ns);
		while (r == 0 && is_held_back(process))
			r = wait_for_release(process, deadline_ns);
	} while (process->state != PROCESS_ENDED && r != -ETIMEDOUT &&
		 is_held_anew(process, pidfd));
	if (process->state == PROCESS_ENDED)
		r = 0;
	unuse_pidfd(process);
	return r;
}

/* the thread is cancelled, and has the lock */
static void give_up_thread(void *userdata)
{
	unref(userdata);
	carom_fork_lock_release(&lock);
}

static int wait_for_change(const struct carom_process *process, uint64_t deadline_ns)
{
	int r = 0;

	while (process->state != PROCESS_ENDED && r == 0)
		r = carom_cond_wait(&changed, &lock.mutex, deadline_ns);
	return process->state == PROCESS_ENDED ? 0 : r;
}

static int wait_for_thread(struct carom_process *process, uint64_t deadline_ns)
{
	int r;

	process->reference_count++;
	pthread_cleanup_push(give_up_thread, process);
	r = wait_for_change(process, deadline_ns);
	pthread_cleanup_pop(0);
	unref(process);
	return r;
}

int carom_process_join(struct carom_process *process, uint64_t deadline_ns)
{
	int r;

	if (process->is_special)
		return carom_special_join(process, deadline_ns);
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (process == carom_thread_process())
		return -EDEADLK;
	carom_fork_lock_acquire(&lock);
	r = check(process);
	if (r == 0 && process->state < PROCESS_STARTED)
		r = -EINVAL;
	if (r == 0)
		r = carom_process_is_thread(process) ? wait_for_thread(process, deadline_ns)
						     : wait_for_end(process, deadline_ns);
	carom_fork_lock_release(&lock);
	return r;
}

int carom_process_is_alive(struct carom_process *process)
{
	int r;

	if (process->is_special)
		return carom_special_is_alive(process);
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	carom_fork_lock_acquire(&lock);
	r = check(process);
	if (r == 0) {
		look(process);
		r = process->state == PROCESS_STARTED;
	}
	carom_fork_lock_release(&lock);
	return r;
}

size_t carom_active_children(struct carom_process **ret_processes, size_t count)
{
	size_t n = 0;

	carom_fork_lock_acquire(&lock);
	look_at_all();
	for (struct carom_process *process = list; process; process = process->next) {
		if (process->state != PROCESS_STARTED)
			continue;
		if (n < count) {
			process->reference_count++;
			handle_count++;
			ret_processes[n] = process;
		}
		n++;
	}
	carom_fork_lock_release(&lock);
	return n;
}

int carom_children_name(pid_t pid, char *name, size_t size)
{
	int r = -ESRCH;

	carom_fork_lock_acquire(&lock);
	for (struct carom_process *process = list; process && r < 0; process = process->next)
		if (process->pid == pid && process->state == PROCESS_STARTED)
			r = snprintf(name, size, "%s", process->self.name);
	carom_fork_lock_release(&lock);
	return r < 0 ? r : 0;
}

/* --- signals ----------------------------------------------------------- */

/* with the lock; a zombie of another user's refuses signals as if it still ran */
static int send_signal(struct carom_process *process, int signal_number)
{
	int r = carom_pidfd_signal(process->pidfd, signal_number);

	if (r < 0)
		look(process);
	return r == -ESRCH || process->state == PROCESS_ENDED ? 0 : r;
}

int carom_process_signal(struct carom_process *process, int signal_number)
{
	int r;

	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (process->is_special)
		return -EINVAL;
	carom_fork_lock_acquire(&lock);
	r = check(process);
	if (r == 0 && carom_process_is_thread(process))
		r = -EOPNOTSUPP;
	if (r == 0 && process->state < PROCESS_STARTED)
		r = -EINVAL;
	if (r == 0 && process->state == PROCESS_STARTED)
		r = send_signal(process, signal_number);
	if (r == 0 && signal_number == SIGKILL && process->limits)
		r = carom_process_limits_kill(process->limits);
	carom_fork_lock_release(&lock);
	return r;
}

int carom_process_terminate_controlled(struct carom_process *process)
{
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	carom_fork_lock_acquire(&lock);
	if (process->state == PROCESS_STARTED)
		process->is_controlled = true;
	carom_fork_lock_release(&lock);
	return carom_process_terminate(process);
}

/* --- the end of the handle --------------------------------------------- */

int carom_process_close(struct carom_process *process)
{
	int r = 0;

	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (process->is_special)
		return -EBUSY;
	carom_fork_lock_acquire(&lock);
	look(process);
	if (process->state == PROCESS_STARTED || process->state == PROCESS_STARTING)
		r = -EBUSY;
	else
		process->is_closed = true;
	if (process->is_closed && process->pidfd_user_count == 0)
		close_pidfd(process);
	carom_fork_lock_release(&lock);
	return r;
}

struct carom_process *carom_process_free(struct carom_process *process)
{
	if (!process || process->is_special || !carom_origin_is(process->origin))
		return NULL;
	carom_fork_lock_acquire(&lock);
	look(process);
	handle_count--;
	unref(process);
	carom_fork_lock_release(&lock);
	return NULL;
}

void carom_process_freep(struct carom_process **process)
{
	*process = carom_process_free(*process);
}

size_t carom_process_count(void)
{
	size_t count;

	carom_fork_lock_acquire(&lock);
	count = handle_count;
	carom_fork_lock_release(&lock);
	return count;
}

/* --- what it is -------------------------------------------------------- */

int carom_process_access(struct carom_process *process, process_access_fn *function, void *userdata)
{
	int r;

	if (!carom_origin_is(process->origin))
		return -ECHILD;
	carom_fork_lock_acquire(&lock);
	look(process);
	r = function(process, userdata);
	carom_fork_lock_release(&lock);
	return r;
}

/* --- at the end of this process ---------------------------------------- */

/* Threads are waited for by carom_threads_join(), which knows which one ends the process. */
static struct carom_process *next_child(bool daemons_only)
{
	struct carom_process *process = list;

	while (process && (process->state != PROCESS_STARTED || carom_process_is_thread(process) ||
			   (daemons_only && (!process->self.is_daemon || process->is_told))))
		process = process->next;
	if (process)
		process->reference_count++;
	return process;
}

static void tell_daemon(struct carom_process *process)
{
	if (!process->self.is_daemon || process->is_told)
		return;
	process->is_told = true;
	process->is_controlled = true;
	carom_pidfd_signal(process->pidfd, carom_term_signal());
}

void carom_children_terminate_daemons(void)
{
	struct carom_process *process;

	carom_fork_lock_acquire(&lock);
	look_at_all();
	while ((process = next_child(true))) {
		tell_daemon(process);
		unref(process);
	}
	carom_fork_lock_release(&lock);
}

static void say_that_it_is_let_go(const char *name, int pid)
{
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_PROCESS_LEFT,
			"process %s (%d) has not ended in time, and is not waited for", name, pid);
}

/* One that cannot be waited for (the program closed our descriptor) is let go. */
static void join_child(struct carom_process *process, uint64_t deadline_ns)
{
	char name[CAROM_NAME_MAX];
	int pid = (int)process->pid;

	memcpy(name, process->self.name, sizeof(name));
	carom_fork_lock_release(&lock);
	carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_PROCESS_AWAITED,
			"waiting for process %s (%d) to end", name, pid);
	carom_fork_lock_acquire(&lock);
	if (wait_for_end(process, deadline_ns) == -ETIMEDOUT)
		say_that_it_is_let_go(name, pid);
	if (process->state == PROCESS_STARTED) {
		process->exit.kind = CAROM_EXIT_TAKEN;
		process->state = PROCESS_ENDED;
		process->reference_count--; /* P3 */
	}
	unref(process);
}

void carom_children_join(uint64_t deadline_ns)
{
	struct carom_process *process;

	carom_fork_lock_acquire(&lock);
	is_over = true;
	while (starting_count) /* P5 */
		pthread_cond_wait(&changed, &lock.mutex);
	while ((process = next_child(false))) {
		tell_daemon(process); /* one that another thread was about to start */
		join_child(process, deadline_ns);
	}
	carom_fork_lock_release(&lock);
}

void carom_children_unwatch(void)
{
	carom_fork_lock_acquire(&lock);
	while (watched_count)
		pthread_cond_wait(&changed, &lock.mutex);
	is_over = false;
	carom_fork_lock_release(&lock);
}

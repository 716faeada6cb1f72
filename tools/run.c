/*
 * carom run
 *
 * Three parts that know nothing of each other, what joins them, and the loop:
 *
 *	input (run_input.h) → jobs in slots (run_job.h) → output (run_output.h)
 *	                dispatch (run_dispatch.h)
 *
 * One turn starts what can be started, then waits for the first thing to
 * happen: a job ends, a time limit passes, input comes in, output can go on, a
 * signal arrives. The process has one thread and never blocks anywhere else, so
 * a reader of the output or the messages who is slow delays neither a time limit nor
 * Ctrl-C; and who wants it to end does not need one.
 */
#include "tools/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "core/time.h"
#include "tools/run_dispatch.h"
#include "tools/run_options.h"
#include "tools/say.h"
#include "tools/terminal.h"
#include "tools/stop_signals.h"
#include "tools/writable.h"

#define PLACES_MAX      4096 /* jobs that may be done before the first of them is written */
#define FILES_RESERVED  32   /* descriptors for all else: ours, the loop's, inherited ones */
#define FILES_PER_JOB   3    /* the shepherd's socket, two memfds; */
#define FILES_BY_LINES  2    /* and two pipes; */
#define FILES_PER_GROUP 2    /* and its group: the directory, and its events when it ends late */
#define PIECES_A_TURN   16   /* of output, before a look at everything else */

struct run {
	struct carom_run_dispatch dispatch;
	struct carom_loop *loop;
	struct carom_loop_fd signals;
	int stop_signal;  /* that stopped the run, or 0 */
	bool is_killing;  /* a signal has told to, */
	bool is_deserted; /* and another one not to wait for readers either */
};

/* --- signals ----------------------------------------------------------- */

static bool take_signal(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signals.fd, &info, sizeof(info)) != sizeof(info))
		return false;
	run->stop_signal = (int)info.ssi_signo;
	return true;
}

/* The kill comes first: what is said may have to wait for a reader. */
static void kill_all(struct run *run, uint64_t running)
{
	run->is_killing = true;
	carom_run_dispatch_kill(&run->dispatch, CAROM_RUN_INTERRUPTED);
	carom_run_progress_say(&run->dispatch.progress, "SIG%s: killing %llu running job%s",
			       sigabbrev_np(run->stop_signal), (unsigned long long)running,
			       running == 1 ? "" : "s");
}

static void desert(struct run *run)
{
	run->is_deserted = true;
	carom_run_dispatch_drop_output(&run->dispatch);
}

static void on_signal(struct carom_loop_fd *watch)
{
	struct run *run = watch->userdata;
	uint64_t running = carom_run_dispatch_running_count(&run->dispatch);
	bool is_first = run->stop_signal == 0;

	if (!take_signal(run))
		return;
	run->dispatch.is_stopped = true;
	if (is_first && run->stop_signal == SIGINT)
		carom_run_progress_say(&run->dispatch.progress,
				       "interrupted: waiting for %llu running job%s (again: kill)",
				       (unsigned long long)running, running == 1 ? "" : "s");
	else if (!run->is_killing)
		kill_all(run, running);
	else
		desert(run);
}

static int take_signals(struct run *run)
{
	run->signals.fd = carom_stop_signals_open();
	if (run->signals.fd < 0)
		return run->signals.fd;
	run->signals.ready = on_signal;
	run->signals.userdata = run;
	return carom_loop_watch_fd(run->loop, &run->signals);
}

/* Whoever started us sees what ended us; a shell stops its script then. */
static void die_of(int signal_number)
{
	sigset_t set;

	signal(signal_number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* --- the loop ---------------------------------------------------------- */

static void write_output(struct run *run)
{
	int fd = carom_run_output_fd(&run->dispatch.output), r = 0;

	if (run->dispatch.progress.bar.is_shown && isatty(fd))
		carom_bar_clear(&run->dispatch.progress.bar);
	for (int i = 0; i < PIECES_A_TURN && r == 0 && fd >= 0 && carom_writable_now(fd); i++) {
		r = carom_run_output_write(&run->dispatch.output);
		if (r < 0)
			carom_run_dispatch_fail_and_kill(
				&run->dispatch,
				fd == STDOUT_FILENO ? "standard output" : "standard error", r);
		fd = carom_run_output_fd(&run->dispatch.output);
	}
}

/*
 * The usual loop does not know of writing, so for a reader that is slow it is waited for beside it;
 * not at all while there are inputs left to look at, as in the loop.
 */
static int wait_for_reader(struct run *run, int fd)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = carom_loop_pollable_fd(run->loop), .events = POLLIN },
	};

	if (fds[1].fd < 0)
		return fds[1].fd;
	return poll(fds, 2, run->dispatch.asks_again ? 0 : -1) < 0 && errno != EINTR ? -errno : 0;
}

static int wait_for_something(struct run *run)
{
	int fd = carom_run_output_fd(&run->dispatch.output), r;

	if (fd < 0)
		return carom_loop_run_once(run->loop, run->dispatch.asks_again ? CAROM_PASSED
									       : CAROM_NO_DEADLINE);
	if (carom_writable_now(fd)) {
		write_output(run);
	} else {
		r = wait_for_reader(run, fd);
		if (r < 0)
			return r;
	}
	return carom_loop_run_once(run->loop, CAROM_PASSED);
}

static void go(struct run *run)
{
	int r = 0;

	while (r >= 0) {
		carom_run_dispatch_turn(&run->dispatch);
		if (carom_run_dispatch_is_over(&run->dispatch))
			return;
		r = wait_for_something(run);
	}
	carom_run_dispatch_fail(&run->dispatch, "waiting", r); /* the jobs end with their slots */
}

/* --- before and after -------------------------------------------------- */

/* Raised for carom run only: the commands get what was set before. */
static int set_file_limit(struct run *run, size_t *ret_places)
{
	struct rlimit limit;
	const struct carom_run_options *options = run->dispatch.options;
	uint32_t jobs = options->job_count;
	uint64_t more = jobs * ((options->grouping == CAROM_RUN_LINES) * FILES_BY_LINES +
				carom_run_limits_any(&options->limits) * FILES_PER_GROUP);
	uint64_t files, needed = FILES_RESERVED + FILES_PER_JOB * jobs + more;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return carom_say_why("RLIMIT_NOFILE", -errno);
	run->dispatch.shepherd.file_limit = limit;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit = run->dispatch.shepherd.file_limit;
	if (limit.rlim_cur < needed) {
		carom_say(
			"-j: %u jobs at a time need %llu open files, the limit is %llu (ulimit -n)",
			jobs, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
		return CAROM_EXIT_ERROR;
	}
	files = limit.rlim_cur - FILES_RESERVED - jobs - more;
	*ret_places = files / 2 < PLACES_MAX ? files / 2 : PLACES_MAX;
	if (*ret_places < jobs)
		*ret_places = jobs;
	return 0;
}

static int prepare(struct run *run)
{
	size_t places = 0;
	int r, status;

	signal(SIGCHLD, SIG_IGN); /* see run_job.c, I3 */
	status = set_file_limit(run, &places);
	if (status != 0)
		return status;
	r = carom_loop_new(CAROM_LOOP_AUTO, NULL, NULL, &run->loop);
	if (r < 0)
		return carom_say_why("event loop", r);
	status = carom_run_dispatch_open(&run->dispatch, run->loop, places);
	if (status != 0)
		return status;
	r = take_signals(run);
	return r < 0 ? carom_say_why("start", r) : 0;
}

/* What was killed when output could not be written is nobody's fault. */
static void say_report(const struct carom_run_dispatch *dispatch)
{
	const struct carom_run_options *options = dispatch->options;
	const struct carom_run_report *report = &dispatch->report;

	if (dispatch->is_mute || options->is_quiet || options->is_dry_run)
		return;
	carom_run_report_say(report, options);
	if (report->failed_count > 0)
		carom_run_again_say(&dispatch->again, options);
	if (options->wants_report || (carom_terminal_is(STDERR_FILENO) && report->done_count > 1))
		carom_run_report_say_more(report, carom_now() - dispatch->progress.bar.begun_ns);
}

/* Who waits here in vain for a reader can still be told to end. */
static int finish(struct run *run)
{
	struct carom_run_dispatch *dispatch = &run->dispatch;

	carom_bar_clear(&dispatch->progress.bar);
	carom_say_until(run->signals.fd);
	if (!run->is_deserted)
		carom_run_progress_tell_rest(&dispatch->progress);
	say_report(dispatch);
	carom_say_until(-1);
	take_signal(run);
	if (dispatch->has_failed)
		return CAROM_EXIT_ERROR;
	return dispatch->has_enough ? 0 : carom_run_report_status(&dispatch->report);
}

static void clean_up(struct run *run)
{
	carom_run_dispatch_close(&run->dispatch);
	if (run->loop)
		carom_loop_unwatch_fd(run->loop, &run->signals);
	carom_closep(&run->signals.fd);
	carom_loop_free(run->loop);
	carom_run_limits_leave();
}

int carom_run_main(int argc, char *argv[])
{
	struct carom_run_options options;
	struct run run = { .signals.fd = -1 };
	int status;

	if (!carom_run_options_parse(argc, argv, &options, &status))
		return status;
	carom_run_dispatch_init(&run.dispatch, &options);
	status = prepare(&run);
	if (status == 0) {
		go(&run);
		status = finish(&run);
	}
	clean_up(&run);
	if (run.stop_signal)
		die_of(run.stop_signal);
	return status;
}

/*
 * carom run
 *
 * Three parts that know nothing of each other, and the loop between them:
 *
 *	input (run_input.h) → jobs in slots (run_job.h) → output (run_output.h)
 *
 * One turn starts what can be started, then waits for the first thing to
 * happen: a job ends, a time limit passes, input comes in, output can go on, a
 * signal arrives. The process has one thread and never blocks anywhere else, so
 * a reader of the output who is slow delays neither a time limit nor Ctrl-C.
 *
 *   I1  Memory and descriptors are bounded, whatever the inputs: a job starts
 *       only if a slot is free and its place in the output ring is.
 *   I2  Each job that was started, or could not be, passes end_job() once.
 *       A job that is to be run again keeps its slot until then, so what waits
 *       for its next attempt is bounded too.
 *   I3  After a stop no job starts. When output cannot be written no more is
 *       tried, and what runs is killed.
 */
#include "tools/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "core/time.h"
#include "tools/bar.h"
#include "tools/run_input.h"
#include "tools/run_job.h"
#include "tools/run_joblog.h"
#include "tools/run_options.h"
#include "tools/run_output.h"
#include "tools/run_report.h"
#include "tools/run_words.h"
#include "tools/say.h"

#define PLACES_MAX     4096 /* jobs that may be done before the first of them is written */
#define FILES_RESERVED 32   /* descriptors for all else: ours, the loop's, inherited ones */
#define FILES_PER_JOB  3    /* the shepherd's socket, two memfds */
#define TICK_NS        CAROM_SECONDS(1)  /* a bar on a terminal moves at least so often, */
#define HEARTBEAT_NS   CAROM_SECONDS(10) /* one in a log */
#define PIECES_A_TURN  16                /* of output, before a look at everything else */

struct run {
	const struct carom_run_options *options;
	struct carom_loop *loop;
	struct carom_run_input input;
	struct carom_run_output output;
	struct carom_run_report report;
	struct carom_run_past past; /* of what is resumed */
	int joblog_fd;
	struct carom_shepherd shepherd; /* what all of them get */
	struct carom_run_slot *slots;
	struct carom_run_slot **free_slots;
	size_t free_count;
	uint64_t started_count; /* and the next job's number */
	uint64_t ended_count;
	struct carom_bar bar;
	struct carom_loop_timer bar_due;
	struct carom_loop_fd signals;
	int stop_signal; /* that stopped the run, or 0 */
	bool is_stopped; /* no more jobs */
	bool has_enough; /* successes, --halt says */
	bool has_failed; /* itself */
	bool is_mute;    /* I3: output goes nowhere */
	bool is_input_at_end;
	bool asks_again; /* the input has more without waiting */
};

/* --- telling the user -------------------------------------------------- */

static uint64_t running_count(const struct run *run)
{
	return run->options->job_count - run->free_count;
}

/* In place of the bar, which comes back with the next turn. */
#define tell(run, ...)                        \
	do {                                  \
		carom_bar_clear(&(run)->bar); \
		carom_say(__VA_ARGS__);       \
	} while (0)

static void draw_bar(struct run *run)
{
	uint64_t past_ns = carom_now() - run->bar.begun_ns;
	double rate = (double)run->ended_count * (double)CAROM_NS_PER_SEC / (double)(past_ns + 1);
	char note[64];

	snprintf(note, sizeof(note), "%llu running, %.*f/s", (unsigned long long)running_count(run),
		 rate < 10, rate);
	carom_bar_draw(&run->bar, &(struct carom_bar_progress){
					  .done_count = run->ended_count,
					  .total_count = carom_run_input_total(&run->input),
					  .failed_count = run->report.failed_count,
					  .note = note,
				  });
}

/* Whatever has changed is shown as soon as the bar may be drawn again; its clock goes on in any case. */
static void show_bar(struct run *run)
{
	uint64_t drawn_ns = run->bar.drawn_ns, gap_ns;

	if (!run->options->wants_bar)
		return;
	draw_bar(run);
	gap_ns = run->bar.is_terminal ? TICK_NS : HEARTBEAT_NS;
	if (run->bar.is_terminal && run->bar.drawn_ns == drawn_ns)
		gap_ns = CAROM_BAR_INTERVAL_NS;
	/* without memory for a timer the bar stands still until something happens */
	(void)carom_loop_timer_set(run->loop, &run->bar_due, run->bar.drawn_ns + gap_ns);
}

static void on_bar_due(struct carom_loop_timer *timer)
{
	(void)timer; /* each turn shows the bar: that there is one is all */
}

/* --- stopping ---------------------------------------------------------- */

static void kill_jobs(struct run *run, enum carom_run_outcome_kind reason)
{
	for (uint32_t i = 0; i < run->options->job_count; i++)
		carom_run_slot_kill(&run->slots[i], reason);
}

/* Once, when --halt has seen enough. */
static void halt(struct run *run)
{
	const struct carom_run_halt *halt = &run->options->halt;
	uint64_t running = running_count(run);

	run->is_stopped = true;
	run->has_enough = halt->on_success;
	tell(run, "--halt: %llu of %llu jobs failed: %s %llu running job%s",
	     (unsigned long long)run->report.failed_count,
	     (unsigned long long)run->report.done_count, halt->is_now ? "killing" : "waiting for",
	     (unsigned long long)running, running == 1 ? "" : "s");
	if (halt->is_now)
		kill_jobs(run, CAROM_RUN_HALTED);
}

static void fail(struct run *run, const char *what, int error)
{
	if (!run->has_failed)
		tell(run, "%s: %s", what, strerrordesc_np(-error));
	run->has_failed = true;
	run->is_stopped = true;
}

static void fail_and_kill(struct run *run, const char *what, int error)
{
	fail(run, what, error);
	run->is_mute = true;
	carom_run_output_discard(&run->output);
	kill_jobs(run, CAROM_RUN_INTERRUPTED);
}

static void on_signal(struct carom_loop_fd *watch)
{
	struct run *run = watch->userdata;
	struct signalfd_siginfo info;
	uint64_t running = running_count(run);
	bool is_first = run->stop_signal == 0;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	run->stop_signal = (int)info.ssi_signo;
	run->is_stopped = true;
	if (is_first && info.ssi_signo == SIGINT) {
		tell(run, "interrupted: waiting for %llu running job%s (again: kill)",
		     (unsigned long long)running, running == 1 ? "" : "s");
		return;
	}
	tell(run, "SIG%s: killing %llu running job%s", sigabbrev_np(run->stop_signal),
	     (unsigned long long)running, running == 1 ? "" : "s");
	kill_jobs(run, CAROM_RUN_INTERRUPTED);
}

/* --- jobs -------------------------------------------------------------- */

/* The command as a line, the caller's, ended by free(3). Returns NULL without memory. */
static char *quote_command(const struct run *run, const struct carom_run_slot *slot,
			   const struct carom_run_item *item)
{
	const struct carom_run_values values = {
		.text = item->text,
		.length = item->length,
		.number = slot->job.number + 1,
		.slot = slot->number,
	};
	char **words, *line;

	if (carom_run_words(run->options->command, &values, &words) < 0)
		return NULL;
	line = carom_run_words_quote(words);
	free(words);
	return line;
}

/* The line for the log, NULL if there is to be none. */
static char *log_line(struct run *run, const struct carom_run_slot *slot)
{
	char *command, *line;

	if (run->joblog_fd < 0 || !carom_run_joblog_is_done(&slot->job))
		return NULL;
	command = slot->item.text ? quote_command(run, slot, &slot->item) : NULL;
	line = carom_run_joblog_line(&slot->job, command);
	free(command);
	if (!line)
		fail(run, run->options->joblog_path, -ENOMEM);
	return line;
}

/* Once the job's output is out. */
static void on_written(void *userdata, char *line)
{
	struct run *run = userdata;
	int r = carom_run_joblog_write(run->joblog_fd, line);

	free(line);
	if (r < 0)
		fail(run, run->options->joblog_path, r);
}

static void end_job(struct run *run, struct carom_run_slot *slot)
{
	struct carom_run_job *job = &slot->job;
	uint64_t place = run->options->keep_order ? job->number : run->ended_count;

	run->ended_count++;
	carom_run_report_add(&run->report, job);
	if (job->is_stuck)
		tell(run, "%s: some of its processes cannot be killed and are left behind",
		     job->name);
	carom_run_output_put(&run->output, place, &job->spool, log_line(run, slot));
	if (run->is_mute)
		carom_run_output_discard(&run->output);
	if (!run->is_stopped && carom_run_halt_is_due(&run->options->halt, run->report.done_count,
						      run->report.failed_count))
		halt(run);
}

static void end_slot(struct carom_run_slot *slot)
{
	struct run *run = slot->userdata;

	slot->is_waiting = false;
	run->free_slots[run->free_count++] = slot;
	end_job(run, slot);
}

/* Also without a delay by the timer: attempts that cannot be started would nest otherwise. */
static bool try_later(struct carom_run_slot *slot)
{
	struct run *run = slot->userdata;
	const struct carom_run_retry *retry = &run->options->retry;

	if (run->is_stopped || run->is_mute ||
	    !carom_run_retry_is_due(retry, slot->job.outcome, slot->job.retry_count))
		return false;
	slot->is_waiting = carom_loop_timer_set(run->loop, &slot->retry_due,
						carom_deadline_after(retry->delay_ns)) == 0;
	return slot->is_waiting;
}

static void on_job_ended(struct carom_run_slot *slot)
{
	if (!try_later(slot))
		end_slot(slot);
}

static void on_retry_due(struct carom_loop_timer *timer)
{
	struct carom_run_slot *slot = timer->userdata;
	int r;

	slot->is_waiting = false;
	r = carom_run_slot_start_again(slot);
	if (r == 0)
		return;
	slot->job.outcome = (struct carom_run_outcome){ CAROM_RUN_NOT_STARTED, -r };
	on_job_ended(slot);
}

/* I3: what waits for another attempt has failed, then. */
static void give_up_retries(struct run *run)
{
	for (uint32_t i = 0; i < run->options->job_count; i++) {
		struct carom_run_slot *slot = &run->slots[i];

		if (!slot->is_waiting)
			continue;
		carom_loop_timer_clear(run->loop, &slot->retry_due);
		end_slot(slot);
	}
}

/* For a dry run: what would be run is the job's output. */
static int show_command(const struct run *run, struct carom_run_slot *slot,
			const struct carom_run_item *item)
{
	int r = item->error ? -item->error : carom_run_spool_open(&slot->job.spool);
	char *line;

	if (r < 0)
		return r;
	line = quote_command(run, slot, item);
	if (!line)
		return -ENOMEM;
	r = dprintf(slot->job.spool.fds[0], "%s\n", line) < 0 ? -errno : 0;
	free(line);
	return r;
}

static void start_job(struct run *run, const struct carom_run_item *item)
{
	/* the slot that was freed last: its shepherd is the one whose memory is still at hand */
	struct carom_run_slot *slot = run->free_slots[--run->free_count];
	bool is_dry = run->options->is_dry_run;
	int r;

	carom_run_job_init(&slot->job, run->started_count++, item);
	r = is_dry ? show_command(run, slot, item) : carom_run_slot_start(slot, item);
	if (r < 0)
		slot->job.outcome = (struct carom_run_outcome){ CAROM_RUN_NOT_STARTED, -r };
	if (r < 0 || is_dry)
		on_job_ended(slot);
}

/* A job of an earlier run: its place in the output stays empty. */
static void skip_job(struct run *run)
{
	uint64_t number = run->started_count++;
	struct carom_run_spool nothing = CAROM_RUN_SPOOL_NONE;

	carom_run_output_put(&run->output, run->options->keep_order ? number : run->ended_count,
			     &nothing, NULL);
	run->ended_count++;
}

static bool is_wanted(struct run *run)
{
	const struct carom_run_options *options = run->options;

	switch (carom_run_past_look_up(&run->past, run->started_count)) {
	case CAROM_RUN_PAST_DONE:
		return !options->resumes && !options->retries_failed;
	case CAROM_RUN_PAST_FAILED:
		return !options->resumes || options->retries_failed;
	default:
		return options->resumes || !options->retries_failed;
	}
}

static bool can_start(const struct run *run)
{
	return !run->is_stopped && !run->is_input_at_end && run->free_count > 0 &&
	       run->started_count - run->output.next < run->output.capacity; /* I1 */
}

/* Returns whether to go on: not if the input has nothing to give at the moment. */
static bool start_next(struct run *run)
{
	struct carom_run_item item;
	int r = carom_run_input_next(&run->input, &item);

	if (r == 1 && is_wanted(run))
		start_job(run, &item);
	else if (r == 1)
		skip_job(run);
	else if (r == -EAGAIN)
		run->asks_again = carom_run_input_is_ready(&run->input);
	else if (r < 0)
		fail(run, carom_run_input_name(&run->input), r); /* what runs is not to blame */
	else
		run->is_input_at_end = true;
	return r == 1;
}

/* No more than there are slots in one turn: jobs that cannot be started end at once, without a loop. */
static void start_jobs(struct run *run)
{
	run->asks_again = false;
	for (uint32_t i = 0; i < run->options->job_count; i++)
		if (!can_start(run) || !start_next(run))
			return;
	run->asks_again = can_start(run);
}

/* --- the loop ---------------------------------------------------------- */

static bool is_over(const struct run *run)
{
	return (run->is_stopped || run->is_input_at_end) &&
	       run->free_count == run->options->job_count && carom_run_output_fd(&run->output) < 0;
}

static bool is_writable(int fd)
{
	struct pollfd output = { .fd = fd, .events = POLLOUT };

	return poll(&output, 1, 0) == 1;
}

static void write_output(struct run *run)
{
	int fd = carom_run_output_fd(&run->output), r = 0;

	if (run->bar.is_shown && isatty(fd))
		carom_bar_clear(&run->bar);
	for (int i = 0; i < PIECES_A_TURN && r == 0 && fd >= 0 && is_writable(fd); i++) {
		r = carom_run_output_write(&run->output);
		if (r < 0)
			fail_and_kill(
				run, fd == STDOUT_FILENO ? "standard output" : "standard error", r);
		fd = carom_run_output_fd(&run->output);
	}
}

/* The usual loop does not know of writing, so for a reader that is slow it is waited for beside it. */
static int wait_for_reader(struct run *run, int fd)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = carom_loop_pollable_fd(run->loop), .events = POLLIN },
	};

	if (fds[1].fd < 0)
		return fds[1].fd;
	return poll(fds, 2, -1) < 0 && errno != EINTR ? -errno : 0;
}

static int wait_for_something(struct run *run)
{
	int fd = carom_run_output_fd(&run->output), r;

	if (fd < 0)
		return carom_loop_run_once(run->loop,
					   run->asks_again ? CAROM_PASSED : CAROM_NO_DEADLINE);
	if (is_writable(fd)) {
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
		start_jobs(run);
		if (run->is_stopped)
			give_up_retries(run);
		show_bar(run);
		if (is_over(run))
			return;
		r = wait_for_something(run);
	}
	fail(run, "waiting", r); /* the jobs end with their slots */
}

/* --- before and after -------------------------------------------------- */

static int complain(const char *what, int error)
{
	carom_say("%s: %s", what, strerrordesc_np(-error));
	return CAROM_EXIT_ERROR;
}

/* Raised for carom run only: the commands get what was set before. */
static int set_file_limit(struct run *run, size_t *ret_places)
{
	struct rlimit limit;
	uint64_t files, needed = FILES_RESERVED + FILES_PER_JOB * run->options->job_count;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return complain("RLIMIT_NOFILE", -errno);
	run->shepherd.file_limit = limit;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit = run->shepherd.file_limit;
	if (limit.rlim_cur < needed) {
		carom_say(
			"-j: %u jobs at a time need %llu open files, the limit is %llu (ulimit -n)",
			run->options->job_count, (unsigned long long)needed,
			(unsigned long long)limit.rlim_cur);
		return CAROM_EXIT_ERROR;
	}
	files = limit.rlim_cur - FILES_RESERVED - run->options->job_count;
	*ret_places = files / 2 < PLACES_MAX ? files / 2 : PLACES_MAX;
	if (*ret_places < run->options->job_count)
		*ret_places = run->options->job_count;
	return 0;
}

static int make_slots(struct run *run)
{
	uint32_t job_count = run->options->job_count;
	const struct carom_run_slot_options options = {
		.loop = run->loop,
		.template = &run->shepherd,
		.timeout_ns = run->options->timeout_ns,
		.keeps_items = run->options->retry.count > 0 || run->joblog_fd >= 0,
		.ended = on_job_ended,
		.userdata = run,
	};

	run->slots = calloc(job_count, sizeof(*run->slots));
	run->free_slots = calloc(job_count, sizeof(struct carom_run_slot *));
	if (!run->slots || !run->free_slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < job_count; i++) {
		carom_run_slot_init(&run->slots[i], i + 1, &options);
		run->slots[i].retry_due = (struct carom_loop_timer){
			.expired = on_retry_due,
			.userdata = &run->slots[i],
		};
		run->free_slots[job_count - 1 - i] = &run->slots[i];
	}
	run->free_count = job_count;
	return 0;
}

static void add_unless_ignored(sigset_t *set, int signal_number)
{
	struct sigaction action;

	if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(set, signal_number);
}

/* A signal that is ignored (a background job of a shell without job control) stays so. */
static int take_signals(struct run *run)
{
	sigset_t set;

	sigemptyset(&set);
	add_unless_ignored(&set, SIGINT);
	add_unless_ignored(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signals.fd < 0)
		return -errno;
	run->signals.ready = on_signal;
	run->signals.userdata = run;
	return carom_loop_watch_fd(run->loop, &run->signals);
}

/* In a dry run nothing is done that could be logged. */
static int open_joblog(struct run *run)
{
	const struct carom_run_options *options = run->options;
	bool appends = options->resumes || options->retries_failed;
	int r = 0;

	if (!options->joblog_path)
		return 0;
	if (appends)
		r = carom_run_past_read(&run->past, options->joblog_path);
	if (r == 0 && !options->is_dry_run)
		r = run->joblog_fd = carom_run_joblog_open(options->joblog_path, appends);
	return r < 0 ? complain(options->joblog_path, r) : 0;
}

static int prepare(struct run *run)
{
	size_t places;
	int r, status;

	signal(SIGCHLD, SIG_IGN); /* see run_job.c, I3 */
	status = set_file_limit(run, &places);
	if (status != 0)
		return status;
	r = carom_loop_new(CAROM_LOOP_AUTO, NULL, NULL, &run->loop);
	if (r < 0)
		return complain("event loop", r);
	r = carom_run_input_open(&run->input, run->options, run->loop);
	if (r < 0)
		return complain(carom_run_input_name(&run->input), r);
	status = open_joblog(run); /* not emptied because of inputs that cannot be read */
	if (status != 0)
		return status;
	r = carom_run_output_init(&run->output, places);
	run->output.written = on_written;
	run->output.userdata = run;
	if (r == 0)
		r = make_slots(run);
	if (r == 0)
		r = take_signals(run);
	return r < 0 ? complain("start", r) : 0;
}

/* What was killed when output could not be written is nobody's fault. */
static void say_report(const struct run *run)
{
	if (run->is_mute)
		return;
	carom_run_report_say(&run->report, run->options);
	if (run->report.failed_count > 0 && run->joblog_fd >= 0)
		carom_say_more("the same command with --resume --retry-failed runs these again");
}

static int finish(struct run *run)
{
	carom_bar_clear(&run->bar);
	say_report(run);
	if (run->has_failed)
		return CAROM_EXIT_ERROR;
	return run->has_enough ? 0 : carom_run_report_status(&run->report);
}

static void clean_up(struct run *run)
{
	for (uint32_t i = 0; run->slots && i < run->options->job_count; i++)
		carom_run_slot_dismiss(&run->slots[i]);
	for (uint32_t i = 0; run->slots && i < run->options->job_count; i++)
		carom_run_slot_deinit(&run->slots[i]);
	free(run->slots);
	free(run->free_slots);
	carom_run_report_deinit(&run->report);
	carom_run_output_deinit(&run->output);
	if (run->loop) {
		carom_run_input_close(&run->input);
		carom_loop_unwatch_fd(run->loop, &run->signals);
		carom_loop_timer_clear(run->loop, &run->bar_due);
	}
	carom_closep(&run->signals.fd);
	carom_closep(&run->joblog_fd);
	carom_run_past_deinit(&run->past);
	carom_loop_free(run->loop);
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

int carom_run_main(int argc, char *argv[])
{
	struct carom_run_options options;
	struct run run = { .options = &options, .signals.fd = -1, .joblog_fd = -1 };
	int status;

	if (!carom_run_options_parse(argc, argv, &options, &status))
		return status;
	run.shepherd.command = options.command;
	run.bar_due = (struct carom_loop_timer){ .expired = on_bar_due, .userdata = &run };
	carom_bar_init(&run.bar, "jobs");
	carom_run_report_init(&run.report);
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

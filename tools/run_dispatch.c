/*
 * Dispatch
 *
 *   I1  Memory and descriptors are bounded, whatever the inputs: a job starts
 *       only if a slot is free and its place in the output ring is.
 *   I2  Each job that was started, or could not be, passes end_job() once.
 *       A job that is to be run again keeps its slot until then, so what waits
 *       for its next attempt is bounded too.
 *   I3  After a stop no job starts. When output cannot be written no more is
 *       tried, and what runs is killed.
 *   I4  A token of the jobserver is asked for only once there is an input for it.
 *       That waits for it in a copy; to ask without one would go on and on.
 */
#include "tools/run_dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/sandbox.h"
#include "core/time.h"
#include "tools/run_joblog.h"
#include "tools/run_results.h"
#include "tools/run_words.h"
#include "tools/say.h"

/* --- stopping ---------------------------------------------------------- */

void carom_run_dispatch_kill(struct carom_run_dispatch *dispatch,
			     enum carom_run_outcome_kind reason)
{
	for (uint32_t i = 0; i < dispatch->options->job_count; i++)
		carom_run_slot_kill(&dispatch->slots[i], reason);
}

/* Once, when --halt has seen enough. */
static void halt(struct carom_run_dispatch *dispatch)
{
	const struct carom_run_halt *halt = &dispatch->options->halt;
	uint64_t running = carom_run_dispatch_running_count(dispatch);

	dispatch->is_stopped = true;
	dispatch->has_enough = halt->on_success;
	if (halt->is_now)
		carom_run_dispatch_kill(dispatch, CAROM_RUN_HALTED);
	carom_run_progress_say(&dispatch->progress,
			       "--halt: %llu of %llu job%s failed: %s %llu running job%s",
			       (unsigned long long)dispatch->report.failed_count,
			       (unsigned long long)dispatch->report.done_count,
			       dispatch->report.done_count == 1 ? "" : "s",
			       halt->is_now ? "killing" : "waiting for",
			       (unsigned long long)running, running == 1 ? "" : "s");
}

void carom_run_dispatch_fail(struct carom_run_dispatch *dispatch, const char *what, int error)
{
	if (!dispatch->has_failed)
		carom_run_progress_say(&dispatch->progress, "%s: %s", what,
				       strerrordesc_np(-error));
	dispatch->has_failed = true;
	dispatch->is_stopped = true;
}

void carom_run_dispatch_drop_output(struct carom_run_dispatch *dispatch)
{
	dispatch->is_mute = true;
	carom_run_output_discard(&dispatch->output);
}

void carom_run_dispatch_fail_and_kill(struct carom_run_dispatch *dispatch, const char *what,
				      int error)
{
	carom_run_dispatch_drop_output(dispatch);
	carom_run_dispatch_kill(dispatch, CAROM_RUN_INTERRUPTED);
	carom_run_dispatch_fail(dispatch, what, error);
}

/* --- the end of a job -------------------------------------------------- */

/* The command as a line, the caller's, ended by free(3). Returns NULL without memory. */
static char *quote_command(const struct carom_run_dispatch *dispatch,
			   const struct carom_run_slot *slot, const struct carom_run_item *item)
{
	const struct carom_run_values values = {
		.text = item->text,
		.length = item->length,
		.number = slot->job.number + 1,
		.slot = slot->number,
	};
	char **words, *line;

	if (carom_run_words(dispatch->options->command, &values, &words) < 0)
		return NULL;
	line = carom_run_words_quote(words);
	free(words);
	return line;
}

/* The line for the log, NULL if there is to be none. */
static char *log_line(struct carom_run_dispatch *dispatch, const struct carom_run_slot *slot)
{
	char *command, *line;

	if (dispatch->joblog_fd < 0 || !carom_run_joblog_is_done(&slot->job))
		return NULL;
	if (slot->outlet.error) /* what it has written is not whole, */
		return NULL;
	if (dispatch->results_fd >= 0 && dispatch->has_failed) /* and the results may not be */
		return NULL;
	command = slot->item.text ? quote_command(dispatch, slot, &slot->item) : NULL;
	line = carom_run_joblog_line(&slot->job, command);
	free(command);
	if (!line)
		carom_run_dispatch_fail(dispatch, dispatch->options->joblog_path, -ENOMEM);
	return line;
}

/* Once the job's output is out. */
static void on_written(void *userdata, char *line)
{
	struct carom_run_dispatch *dispatch = userdata;
	int r = carom_run_joblog_write(dispatch->joblog_fd, line);

	free(line);
	if (r < 0)
		carom_run_dispatch_fail(dispatch, dispatch->options->joblog_path, r);
}

/* Before the job is logged: what is in the log is there. */
static void keep_results(struct carom_run_dispatch *dispatch, const struct carom_run_slot *slot)
{
	int r;

	if (dispatch->results_fd < 0 || dispatch->has_failed || !slot->item.text)
		return;
	r = carom_run_results_write(dispatch->results_fd, &slot->item, slot->job.number + 1,
				    &slot->job.spool);
	if (r < 0)
		carom_run_dispatch_fail(dispatch, dispatch->options->results_path, r);
}

static void end_job(struct carom_run_dispatch *dispatch, struct carom_run_slot *slot)
{
	struct carom_run_job *job = &slot->job;
	uint64_t place = dispatch->options->keep_order ? job->number : dispatch->ended_count;

	dispatch->ended_count++;
	carom_run_report_add(&dispatch->report, job);
	if (slot->item.text && !carom_run_went_well(job->outcome))
		carom_run_again_add(&dispatch->again, &slot->item);
	if (job->is_stuck)
		carom_run_progress_say(
			&dispatch->progress,
			"%s: some of its processes cannot be killed and are left behind",
			job->name);
	keep_results(dispatch, slot);
	carom_run_output_put(&dispatch->output, place, &job->spool, &slot->outlet.follow,
			     log_line(dispatch, slot));
	if (dispatch->is_mute)
		carom_run_output_discard(&dispatch->output);
	if (!dispatch->is_stopped &&
	    carom_run_halt_is_due(&dispatch->options->halt, dispatch->report.done_count,
				  dispatch->report.failed_count))
		halt(dispatch);
}

static void end_slot(struct carom_run_slot *slot)
{
	struct carom_run_dispatch *dispatch = slot->userdata;

	slot->is_waiting = false;
	dispatch->free_slots[dispatch->free_count++] = slot;
	end_job(dispatch, slot);
}

/* Also without a delay by the timer: attempts that cannot be started would nest otherwise. */
static bool try_later(struct carom_run_slot *slot)
{
	struct carom_run_dispatch *dispatch = slot->userdata;
	const struct carom_run_retry *retry = &dispatch->options->retry;

	if (dispatch->is_stopped || dispatch->is_mute ||
	    !carom_run_retry_is_due(retry, slot->job.outcome, slot->job.retry_count))
		return false;
	slot->is_waiting = carom_loop_timer_set(dispatch->loop, &slot->retry_due,
						carom_deadline_after(retry->delay_ns)) == 0;
	return slot->is_waiting;
}

static void on_job_ended(struct carom_run_slot *slot)
{
	int r = carom_run_outlet_end(&slot->outlet);

	if (r < 0)
		carom_run_dispatch_fail(slot->userdata, "output", r);
	if (!try_later(slot))
		end_slot(slot);
}

static void on_retry_due(struct carom_loop_timer *timer)
{
	struct carom_run_slot *slot = timer->userdata;
	const struct carom_run_dispatch *dispatch = slot->userdata;
	int r;

	if (dispatch->is_stopped) { /* in this round of the loop: I3 */
		end_slot(slot);
		return;
	}
	slot->is_waiting = false;
	r = carom_run_slot_start_again(slot);
	if (r == 0)
		return;
	slot->job.outcome = (struct carom_run_outcome){ CAROM_RUN_NOT_STARTED, -r };
	on_job_ended(slot);
}

/* --- the start of a job ------------------------------------------------ */

/* For a dry run: what would be run is the job's output. */
static int show_command(const struct carom_run_dispatch *dispatch, struct carom_run_slot *slot,
			const struct carom_run_item *item)
{
	int r = item->error ? -item->error : carom_run_spool_open(&slot->job.spool);
	char *line;

	if (r < 0)
		return r;
	line = quote_command(dispatch, slot, item);
	if (!line)
		return -ENOMEM;
	r = dprintf(slot->job.spool.fds[0], "%s\n", line) < 0 ? -errno : 0;
	free(line);
	return r;
}

static void start_job(struct carom_run_dispatch *dispatch, const struct carom_run_item *item)
{
	/* the slot that was freed last: its shepherd is the one whose memory is still at hand */
	struct carom_run_slot *slot = dispatch->free_slots[--dispatch->free_count];
	bool is_dry = dispatch->options->is_dry_run;
	int r;

	carom_run_job_init(&slot->job, dispatch->started_count++, item);
	r = carom_run_outlet_begin(&slot->outlet, slot->job.number, item,
				   dispatch->options->has_tag);
	if (r == 0)
		r = is_dry ? show_command(dispatch, slot, item) : carom_run_slot_start(slot, item);
	if (r < 0)
		slot->job.outcome = (struct carom_run_outcome){ CAROM_RUN_NOT_STARTED, -r };
	if (r < 0 || is_dry)
		on_job_ended(slot);
}

/* A job of an earlier run: its place in the output stays empty. */
static void skip_job(struct carom_run_dispatch *dispatch)
{
	uint64_t number = dispatch->started_count++;
	struct carom_run_spool nothing = CAROM_RUN_SPOOL_NONE;

	carom_run_output_put(&dispatch->output,
			     dispatch->options->keep_order ? number : dispatch->ended_count,
			     &nothing, NULL, NULL);
	dispatch->ended_count++;
}

uint64_t carom_run_dispatch_running_count(const struct carom_run_dispatch *dispatch)
{
	return dispatch->options->job_count - dispatch->free_count;
}

static bool can_start(const struct carom_run_dispatch *dispatch)
{
	return !dispatch->is_stopped && !dispatch->is_input_at_end && dispatch->free_count > 0 &&
	       dispatch->started_count - dispatch->output.next < dispatch->output.capacity; /* I1 */
}

static void forget_waiting(struct carom_run_dispatch *dispatch)
{
	free((char *)dispatch->waiting.text);
	dispatch->waiting = (struct carom_run_item){ 0 };
}

/* I4. The input's own is gone with the next look at it. */
static void let_wait(struct carom_run_dispatch *dispatch, const struct carom_run_item *item)
{
	char *text = malloc(item->length + 1);

	if (!text) {
		carom_run_dispatch_fail(dispatch, "make's jobserver", -ENOMEM);
		return;
	}
	memcpy(text, item->text, item->length + 1);
	dispatch->waiting = *item;
	dispatch->waiting.text = text;
}

static bool is_allowed(struct carom_run_dispatch *dispatch)
{
	return carom_run_jobserver_allows(&dispatch->jobserver,
					  carom_run_dispatch_running_count(dispatch));
}

static bool start_waiting(struct carom_run_dispatch *dispatch)
{
	if (!is_allowed(dispatch))
		return false;
	start_job(dispatch, &dispatch->waiting);
	forget_waiting(dispatch);
	return true;
}

static bool start_or_let_wait(struct carom_run_dispatch *dispatch,
			      const struct carom_run_item *item)
{
	bool is_now = is_allowed(dispatch);

	if (is_now)
		start_job(dispatch, item);
	else
		let_wait(dispatch, item);
	return is_now;
}

/* Returns whether to go on: not if the input has nothing to give at the moment. */
static bool start_next(struct carom_run_dispatch *dispatch)
{
	struct carom_run_item item;
	int r;

	if (dispatch->waiting.text)
		return start_waiting(dispatch);
	r = carom_run_input_next(&dispatch->input, &item);
	if (r == 1 &&
	    carom_run_past_wants(&dispatch->past, dispatch->options, dispatch->started_count))
		return start_or_let_wait(dispatch, &item);
	if (r == 1)
		skip_job(dispatch);
	else if (r == -EAGAIN)
		dispatch->asks_again = carom_run_input_is_ready(&dispatch->input);
	else if (r < 0) /* what runs is not to blame */
		carom_run_dispatch_fail(dispatch, carom_run_input_name(&dispatch->input), r);
	else
		dispatch->is_input_at_end = true;
	return r == 1;
}

/* No more than there are slots in one turn: jobs that cannot be started end at once, without a loop. */
static void start_jobs(struct carom_run_dispatch *dispatch)
{
	dispatch->asks_again = false;
	for (uint32_t i = 0; i < dispatch->options->job_count; i++)
		if (!can_start(dispatch) || !start_next(dispatch))
			return;
	dispatch->asks_again = can_start(dispatch);
}

/* I3: what waits for another attempt has failed, then. */
static void give_up_retries(struct carom_run_dispatch *dispatch)
{
	for (uint32_t i = 0; i < dispatch->options->job_count; i++) {
		struct carom_run_slot *slot = &dispatch->slots[i];

		if (!slot->is_waiting)
			continue;
		carom_loop_timer_clear(dispatch->loop, &slot->retry_due);
		end_slot(slot);
	}
}

static void show_progress(struct carom_run_dispatch *dispatch)
{
	const struct carom_bar_progress facts = {
		.done_count = dispatch->ended_count,
		.total_count = carom_run_input_total(&dispatch->input),
		.failed_count = dispatch->report.failed_count,
	};

	carom_run_progress_show(&dispatch->progress, &facts,
				carom_run_dispatch_running_count(dispatch));
}

/* What was not read because there was enough to write. */
static void read_on(struct carom_run_dispatch *dispatch)
{
	if (dispatch->options->grouping != CAROM_RUN_LINES)
		return;
	for (uint32_t i = 0; i < dispatch->options->job_count; i++)
		carom_run_outlet_resume(&dispatch->slots[i].outlet);
}

void carom_run_dispatch_turn(struct carom_run_dispatch *dispatch)
{
	read_on(dispatch);
	start_jobs(dispatch);
	if (dispatch->is_stopped)
		give_up_retries(dispatch);
	carom_run_jobserver_settle(&dispatch->jobserver, carom_run_dispatch_running_count(dispatch),
				   dispatch->waiting.text && !dispatch->is_stopped);
	show_progress(dispatch);
}

bool carom_run_dispatch_is_over(const struct carom_run_dispatch *dispatch)
{
	return (dispatch->is_stopped || dispatch->is_input_at_end) &&
	       dispatch->free_count == dispatch->options->job_count &&
	       carom_run_output_fd(&dispatch->output) < 0;
}

/* --- its life ---------------------------------------------------------- */

static int make_slots(struct carom_run_dispatch *dispatch)
{
	uint32_t job_count = dispatch->options->job_count;
	const struct carom_run_slot_options options = {
		.loop = dispatch->loop,
		.template = &dispatch->shepherd,
		.rungs = &dispatch->rungs,
		.soft_timeout_ns = dispatch->options->soft_timeout_ns,
		.timeout_ns = dispatch->options->timeout_ns,
		.output = &dispatch->output,
		.grouping = dispatch->options->grouping,
		.keeps_items = dispatch->options->retry.count > 0 || dispatch->joblog_fd >= 0 ||
			       dispatch->results_fd >= 0 || !dispatch->options->is_quiet,
		.ended = on_job_ended,
		.userdata = dispatch,
	};

	dispatch->slots = calloc(job_count, sizeof(*dispatch->slots));
	dispatch->free_slots = calloc(job_count, sizeof(struct carom_run_slot *));
	if (!dispatch->slots || !dispatch->free_slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < job_count; i++) {
		carom_run_slot_init(&dispatch->slots[i], i + 1, &options);
		dispatch->slots[i].retry_due = (struct carom_loop_timer){
			.expired = on_retry_due,
			.userdata = &dispatch->slots[i],
		};
		dispatch->free_slots[job_count - 1 - i] = &dispatch->slots[i];
	}
	dispatch->free_count = job_count;
	return 0;
}

static int open_results(struct carom_run_dispatch *dispatch)
{
	const struct carom_run_options *options = dispatch->options;

	if (!options->results_path || options->is_dry_run)
		return 0;
	dispatch->results_fd = carom_run_results_open(options->results_path);
	return dispatch->results_fd < 0 ? carom_say_why(options->results_path, dispatch->results_fd)
					: 0;
}

/* Before there are shepherds, which would have to be moved along with this process. */
static int settle_limits(struct carom_run_dispatch *dispatch)
{
	const struct carom_run_limits *limits = &dispatch->options->limits;
	int status = dispatch->options->is_dry_run
			     ? 0
			     : carom_run_limits_settle(limits, &dispatch->rungs);

	if (dispatch->rungs.is_sampled)
		dispatch->shepherd.memory_bytes = limits->memory_bytes;
	return status;
}

static int make_sandbox(struct carom_run_dispatch *dispatch)
{
	int status =
		dispatch->options->is_dry_run
			? 0
			: carom_run_sandbox_make(&dispatch->options->sandbox, &dispatch->sandbox);

	dispatch->shepherd.sandbox = dispatch->sandbox;
	return status;
}

/* In a dry run nothing is done that could be logged. */
static int open_joblog(struct carom_run_dispatch *dispatch)
{
	const struct carom_run_options *options = dispatch->options;
	bool appends = options->resumes || options->retries_failed;
	int r = 0;

	if (!options->joblog_path)
		return 0;
	if (appends)
		r = carom_run_past_read(&dispatch->past, options->joblog_path);
	if (r == 0 && !options->is_dry_run)
		r = dispatch->joblog_fd = carom_run_joblog_open(options->joblog_path, appends);
	return r < 0 ? carom_say_why(options->joblog_path, r) : 0;
}

void carom_run_dispatch_init(struct carom_run_dispatch *dispatch,
			     const struct carom_run_options *options)
{
	*dispatch = (struct carom_run_dispatch){
		.options = options,
		.joblog_fd = -1,
		.results_fd = -1,
		.jobserver.keeper.fd = -1,
		.shepherd.command = options->command,
	};
	carom_run_progress_init(&dispatch->progress, options->wants_bar);
	carom_run_report_init(&dispatch->report);
}

int carom_run_dispatch_open(struct carom_run_dispatch *dispatch, struct carom_loop *loop,
			    size_t places)
{
	int r, status;

	dispatch->loop = dispatch->progress.loop = loop;
	r = carom_run_input_open(&dispatch->input, dispatch->options, loop);
	if (r < 0)
		return carom_say_why(carom_run_input_name(&dispatch->input), r);
	status = settle_limits(dispatch);
	if (status == 0)
		status = make_sandbox(dispatch);
	if (status == 0)
		status = open_results(dispatch);
	if (status != 0)
		return status;
	status = open_joblog(dispatch); /* not emptied if nothing can be run */
	if (status != 0)
		return status;
	if (!dispatch->options->is_dry_run && dispatch->options->job_count > 1)
		carom_run_jobserver_open(&dispatch->jobserver, loop, getenv("MAKEFLAGS"));
	r = carom_run_output_init(&dispatch->output, dispatch->options, places);
	dispatch->output.written = on_written;
	dispatch->output.userdata = dispatch;
	if (r == 0)
		r = make_slots(dispatch);
	return r < 0 ? carom_say_why("start", r) : 0;
}

static void free_slots(struct carom_run_dispatch *dispatch)
{
	uint32_t count = dispatch->slots ? dispatch->options->job_count : 0;

	for (uint32_t i = 0; i < count; i++)
		carom_run_slot_dismiss(&dispatch->slots[i]);
	for (uint32_t i = 0; i < count; i++)
		carom_run_slot_deinit(&dispatch->slots[i]);
	free(dispatch->slots);
	free(dispatch->free_slots);
}

void carom_run_dispatch_close(struct carom_run_dispatch *dispatch)
{
	free_slots(dispatch);
	carom_run_jobserver_close(&dispatch->jobserver);
	forget_waiting(dispatch);
	carom_run_report_deinit(&dispatch->report);
	carom_run_again_deinit(&dispatch->again);
	carom_run_output_deinit(&dispatch->output);
	if (dispatch->loop)
		carom_run_input_close(&dispatch->input);
	carom_run_progress_deinit(&dispatch->progress);
	carom_closep(&dispatch->joblog_fd);
	carom_closep(&dispatch->results_fd);
	carom_run_past_deinit(&dispatch->past);
	dispatch->sandbox = carom_sandbox_free(dispatch->sandbox);
}

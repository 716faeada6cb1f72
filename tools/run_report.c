/*
 * Report
 *
 * One entry for each cause that has occurred, with the first few inputs it hit.
 * There are as many causes as statuses, signals and errnos at most, so memory
 * does not grow with the number of jobs.
 */
#include "tools/run_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sandbox_rules.h"
#include "core/time.h"
#include "tools/say.h"
#include "tools/size.h"

#define EXAMPLES_MAX 3
#define FAILED_MAX   100

struct carom_run_cause {
	struct carom_run_outcome outcome;
	uint64_t count;
	uint64_t peak_bytes; /* of the one that had most memory */
	char examples[EXAMPLES_MAX][CAROM_RUN_NAME_BYTES];
};

void carom_run_report_init(struct carom_run_report *report)
{
	*report = (struct carom_run_report){ 0 };
}

void carom_run_report_deinit(struct carom_run_report *report)
{
	free(report->causes);
	report->causes = NULL;
}

static struct carom_run_cause *find_cause(struct carom_run_report *report,
					  struct carom_run_outcome outcome)
{
	struct carom_run_cause *causes = report->causes;

	for (size_t i = 0; i < report->cause_count; i++)
		if (causes[i].outcome.kind == outcome.kind &&
		    causes[i].outcome.value == outcome.value)
			return &causes[i];
	causes = reallocarray(causes, report->cause_count + 1, sizeof(*causes));
	if (!causes)
		return NULL;
	report->causes = causes;
	causes[report->cause_count] = (struct carom_run_cause){ .outcome = outcome };
	return &causes[report->cause_count++];
}

void carom_run_report_add(struct carom_run_report *report, const struct carom_run_job *job)
{
	struct carom_run_cause *cause;

	report->done_count++;
	carom_run_ranking_add(&report->slowest, job->run_ns, job->name);
	carom_run_ranking_add(&report->biggest, job->usage.peak_bytes, job->name);
	if (carom_run_went_well(job->outcome))
		return;
	report->failed_count++;
	cause = find_cause(report, job->outcome);
	if (!cause)
		return; /* no memory for its cause; it is counted */
	if (cause->count < EXAMPLES_MAX)
		strcpy(cause->examples[cause->count], job->name);
	cause->count++;
	if (job->usage.peak_bytes > cause->peak_bytes)
		cause->peak_bytes = job->usage.peak_bytes;
}

/* --- words ------------------------------------------------------------- */

static void name_signal(int number, char *text, size_t size)
{
	const char *name = sigabbrev_np(number);

	if (name)
		snprintf(text, size, "signal SIG%s", name);
	else
		snprintf(text, size, "signal %d", number);
}

static const char *reason_not_started(int error)
{
	return error == CAROM_RUN_ENUL ? "the input holds a NUL byte" : strerrordesc_np(error);
}

static void name_limit(const char *what, uint64_t ns, char *text, size_t size)
{
	snprintf(text, size, "%s of %g s", what, (double)ns / (double)CAROM_NS_PER_SEC);
}

static void name_memory(const struct carom_run_cause *cause, uint64_t limit_bytes, char *text,
			size_t size)
{
	char limit[CAROM_SIZE_TEXT], peak[CAROM_SIZE_TEXT];

	snprintf(text, size, "memory limit of %s (peak %s)", carom_size_write(limit_bytes, limit),
		 carom_size_write(cause->peak_bytes, peak));
}

static void name_cause(const struct carom_run_cause *cause, const struct carom_run_options *options,
		       char *text, size_t size)
{
	int value = cause->outcome.value;
	char call[CAROM_SYSTEM_CALL_NAME_MAX];

	switch (cause->outcome.kind) {
	case CAROM_RUN_EXITED:
		snprintf(text, size, "exit status %d", value);
		break;
	case CAROM_RUN_SIGNALLED:
		name_signal(value, text, size);
		break;
	case CAROM_RUN_TIME_LIMIT:
		name_limit("time limit", options->timeout_ns, text, size);
		break;
	case CAROM_RUN_SOFT_LIMIT:
		name_limit("soft time limit", options->soft_timeout_ns, text, size);
		break;
	case CAROM_RUN_MEMORY_LIMIT:
		name_memory(cause, options->limits.memory_bytes, text, size);
		break;
	case CAROM_RUN_VIOLATED:
		carom_system_call_name(value, call, sizeof(call));
		snprintf(text, size, "sandbox violation (%s)", call);
		break;
	case CAROM_RUN_INTERRUPTED:
		snprintf(text, size, "killed when told to end");
		break;
	case CAROM_RUN_HALTED:
		snprintf(text, size, "killed by --halt");
		break;
	case CAROM_RUN_NOT_FOUND:
		snprintf(text, size, "not found (%s)", strerrordesc_np(value));
		break;
	case CAROM_RUN_NOT_STARTED:
		snprintf(text, size, "could not start (%s)", reason_not_started(value));
		break;
	case CAROM_RUN_LOST:
		snprintf(text, size, "lost (the process that watched it was killed)");
		break;
	}
}

static void say_cause(const struct carom_run_cause *cause, const struct carom_run_options *options)
{
	char text[128], examples[EXAMPLES_MAX * (CAROM_RUN_NAME_BYTES + 2) + 8];
	char *to = examples;

	name_cause(cause, options, text, sizeof(text));
	for (uint64_t i = 0; i < cause->count && i < EXAMPLES_MAX; i++)
		to += sprintf(to, "%s%s", i ? ", " : "", cause->examples[i]);
	if (cause->count > EXAMPLES_MAX)
		strcpy(to, ", ...");
	carom_say_more("%7llu  %s: %s", (unsigned long long)cause->count, text, examples);
}

/* The most frequent first. */
static int compare_causes(const void *left, const void *right)
{
	const struct carom_run_cause *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	if (a->outcome.kind != b->outcome.kind)
		return a->outcome.kind < b->outcome.kind ? -1 : 1;
	return a->outcome.value - b->outcome.value;
}

void carom_run_report_say(const struct carom_run_report *report,
			  const struct carom_run_options *options)
{
	if (report->failed_count == 0)
		return;
	carom_say("%llu of %llu job%s failed:", (unsigned long long)report->failed_count,
		  (unsigned long long)report->done_count, report->done_count == 1 ? "" : "s");
	qsort(report->causes, report->cause_count, sizeof(*report->causes), compare_causes);
	for (size_t i = 0; i < report->cause_count; i++)
		say_cause(&report->causes[i], options);
}

void carom_run_report_say_more(const struct carom_run_report *report, uint64_t past_ns)
{
	carom_say("%s job%s in %s", carom_figure_count(report->done_count).text,
		  report->done_count == 1 ? "" : "s", carom_figure_time(past_ns).text);
	carom_run_ranking_say(&report->slowest, "slowest", carom_figure_time);
	carom_run_ranking_say(&report->biggest, "biggest", carom_figure_bytes);
}

int carom_run_report_status(const struct carom_run_report *report)
{
	return report->failed_count > FAILED_MAX ? FAILED_MAX + 1 : (int)report->failed_count;
}

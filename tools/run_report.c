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

#include "core/time.h"
#include "tools/say.h"

#define EXAMPLES_MAX 3
#define FAILED_MAX   100

struct carom_run_cause {
	struct carom_run_outcome outcome;
	uint64_t count;
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
	if (carom_run_went_well(job->outcome))
		return;
	report->failed_count++;
	cause = find_cause(report, job->outcome);
	if (!cause)
		return; /* no memory for its cause; it is counted */
	if (cause->count < EXAMPLES_MAX)
		strcpy(cause->examples[cause->count], job->name);
	cause->count++;
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

static void name_time(uint64_t ns, char *text, size_t size)
{
	snprintf(text, size, "%g s", (double)ns / (double)CAROM_NS_PER_SEC);
}

static void name_cause(struct carom_run_outcome outcome, const struct carom_run_options *options,
		       char *text, size_t size)
{
	char time[32];

	switch (outcome.kind) {
	case CAROM_RUN_EXITED:
		snprintf(text, size, "exit status %d", outcome.value);
		break;
	case CAROM_RUN_SIGNALLED:
		name_signal(outcome.value, text, size);
		break;
	case CAROM_RUN_TIME_LIMIT:
		name_time(options->timeout_ns, time, sizeof(time));
		snprintf(text, size, "time limit of %s", time);
		break;
	case CAROM_RUN_INTERRUPTED:
		snprintf(text, size, "killed when told to end");
		break;
	case CAROM_RUN_HALTED:
		snprintf(text, size, "killed by --halt");
		break;
	case CAROM_RUN_NOT_STARTED:
		snprintf(text, size, "could not start (%s)", reason_not_started(outcome.value));
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

	name_cause(cause->outcome, options, text, sizeof(text));
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
	carom_say("%llu of %llu jobs failed:", (unsigned long long)report->failed_count,
		  (unsigned long long)report->done_count);
	qsort(report->causes, report->cause_count, sizeof(*report->causes), compare_causes);
	for (size_t i = 0; i < report->cause_count; i++)
		say_cause(&report->causes[i], options);
}

int carom_run_report_status(const struct carom_run_report *report)
{
	return report->failed_count > FAILED_MAX ? FAILED_MAX + 1 : (int)report->failed_count;
}

/*
 * Outcome
 */
#include "pool/outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/exit.h"
#include "core/time.h"

static const char *const names[] = {
	[CAROM_OUTCOME_PENDING] = "pending",
	[CAROM_OUTCOME_OK] = "ok",
	[CAROM_OUTCOME_FAILED] = "failed",
	[CAROM_OUTCOME_SOFT_LIMIT] = "soft limit",
	[CAROM_OUTCOME_HARD_LIMIT] = "hard limit",
	[CAROM_OUTCOME_LOST] = "lost",
	[CAROM_OUTCOME_MEMORY_LIMIT] = "memory limit",
	[CAROM_OUTCOME_SANDBOX_VIOLATION] = "sandbox violation",
	[CAROM_OUTCOME_TERMINATED] = "terminated",
	[CAROM_OUTCOME_CANCELLED] = "cancelled",
	[CAROM_OUTCOME_POOL_CLOSED] = "pool closed",
	[CAROM_OUTCOME_POOL_BROKEN] = "pool broken",
};

const char *carom_outcome_name(enum carom_outcome_kind kind)
{
	if ((size_t)kind >= sizeof(names) / sizeof(*names))
		return "unknown";
	return names[kind];
}

static void describe_failure(const struct carom_outcome *outcome, char *text, size_t size)
{
	const char *word = strerrordesc_np(-outcome->code);

	if (outcome->message[0])
		snprintf(text, size, "failed: %s (code %d)", outcome->message, outcome->code);
	else if (word)
		snprintf(text, size, "failed: %s (code %d)", word, outcome->code);
	else
		snprintf(text, size, "failed: code %d", outcome->code);
}

static void describe_loss(const struct carom_outcome *outcome, char *text, size_t size)
{
	const char *name = sigabbrev_np(outcome->signal);

	if (outcome->signal)
		snprintf(text, size, "lost: worker %d (pid %d) was killed by signal %d (SIG%s)%s%s",
			 outcome->worker_index, outcome->worker_pid, outcome->signal,
			 name ? name : "?", outcome->message[0] ? ": " : "", outcome->message);
	else if (outcome->exit_status >= 0)
		snprintf(text, size, "lost: worker %d (pid %d) exited with status %d",
			 outcome->worker_index, outcome->worker_pid, outcome->exit_status);
	else
		snprintf(text, size,
			 "lost: worker %d (pid %d) died; the program took its status itself",
			 outcome->worker_index, outcome->worker_pid);
}

static void describe_memory(const struct carom_outcome *outcome, char *text, size_t size)
{
	size_t used;

	snprintf(text, size, "memory limit: exceeded %.1f MiB in worker %d (pid %d)",
		 (double)outcome->limit_bytes / (double)CAROM_MIB(1), outcome->worker_index,
		 outcome->worker_pid);
	used = strlen(text);
	if (outcome->peak_bytes)
		snprintf(text + used, size - used, ", which had %.1f MiB",
			 (double)outcome->peak_bytes / (double)CAROM_MIB(1));
}

char *carom_outcome_describe(const struct carom_outcome *outcome, char *text, size_t size)
{
	if (outcome->kind == CAROM_OUTCOME_FAILED)
		describe_failure(outcome, text, size);
	else if (outcome->kind == CAROM_OUTCOME_LOST)
		describe_loss(outcome, text, size);
	else if (outcome->kind == CAROM_OUTCOME_MEMORY_LIMIT)
		describe_memory(outcome, text, size);
	else if (outcome->kind == CAROM_OUTCOME_SANDBOX_VIOLATION)
		snprintf(text, size, "sandbox violation: worker %d (pid %d) called %s",
			 outcome->worker_index, outcome->worker_pid, outcome->message);
	else if (outcome->kind == CAROM_OUTCOME_HARD_LIMIT ||
		 outcome->kind == CAROM_OUTCOME_SOFT_LIMIT)
		snprintf(text, size, "%s: exceeded %.3f s in worker %d (pid %d)",
			 carom_outcome_name((enum carom_outcome_kind)outcome->kind),
			 (double)outcome->limit_ns / (double)CAROM_NS_PER_SEC,
			 outcome->worker_index, outcome->worker_pid);
	else if (outcome->kind == CAROM_OUTCOME_POOL_BROKEN)
		snprintf(text, size, "pool broken: %s", outcome->message);
	else
		snprintf(text, size, "%s",
			 carom_outcome_name((enum carom_outcome_kind)outcome->kind));
	return text;
}

/* ---- in Python's words ---- */

static void name_loss(const struct carom_outcome *outcome, uint64_t task_id, char *text,
		      size_t size)
{
	struct carom_exit ended = { .kind = outcome->signal             ? CAROM_EXIT_KILLED
					    : outcome->exit_status >= 0 ? CAROM_EXIT_EXITED
									: CAROM_EXIT_TAKEN,
				    .status = outcome->signal ? outcome->signal
							      : outcome->exit_status };
	char how[32];

	snprintf(text, size, "WorkerLostError: Worker exited prematurely: %s Job: %llu.",
		 carom_exit_text(&ended, how, sizeof(how)), (unsigned long long)task_id);
}

char *carom_outcome_exception(const struct carom_outcome *outcome, uint64_t task_id, char *text,
			      size_t size)
{
	double limit = (double)outcome->limit_ns / (double)CAROM_NS_PER_SEC;

	text[0] = '\0';
	switch (outcome->kind) {
	case CAROM_OUTCOME_PENDING:
	case CAROM_OUTCOME_OK:
		break;
	case CAROM_OUTCOME_SOFT_LIMIT:
		snprintf(text, size, "SoftTimeLimitExceeded()");
		break;
	case CAROM_OUTCOME_HARD_LIMIT:
		snprintf(text, size, "TimeLimitExceeded(%g,)", limit);
		break;
	case CAROM_OUTCOME_LOST:
		name_loss(outcome, task_id, text, size);
		break;
	case CAROM_OUTCOME_TERMINATED:
		snprintf(text, size, "Terminated(%d)", outcome->signal);
		break;
	case CAROM_OUTCOME_CANCELLED:
		snprintf(text, size, "CancelledError()");
		break;
	case CAROM_OUTCOME_POOL_BROKEN:
		snprintf(text, size, "BrokenProcessPool: %s", outcome->message);
		break;
	default:
		carom_outcome_describe(outcome, text, size);
	}
	return text;
}

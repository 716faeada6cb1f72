/**
 * DOC: outcome
 *
 * How a task ended. Every accepted task gets exactly one outcome, whoever died
 * and whenever: a value, or what happened instead.
 *
 *	struct carom_outcome outcome;
 *	char text[160];
 *
 *	r = carom_pool_apply(pool, work, &in, sizeof(in), &out, sizeof(out), NULL, &outcome);
 *	if (r == -EREMOTEIO)
 *		puts(carom_outcome_describe(&outcome, text, sizeof(text)));
 *
 * prints for instance "lost: worker 2 (pid 4711) was killed by signal 9 (SIGKILL)".
 */
#ifndef CAROM_POOL_OUTCOME_H
#define CAROM_POOL_OUTCOME_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/**
 * enum carom_outcome_kind - the real reason, never a wrapped one
 * @CAROM_OUTCOME_PENDING:     not ended yet
 * @CAROM_OUTCOME_OK:          the function returned 0; its value is there
 * @CAROM_OUTCOME_FAILED:      the function returned below 0; see code and message
 * @CAROM_OUTCOME_SOFT_LIMIT:  it gave up at its soft time limit; see pool/soft_limit.h
 * @CAROM_OUTCOME_HARD_LIMIT:  it ran longer than its hard limit and was killed
 * @CAROM_OUTCOME_LOST:        its worker died while it ran; see signal, exit_status
 * @CAROM_OUTCOME_MEMORY_LIMIT: its worker was killed at its memory limit
 * @CAROM_OUTCOME_SANDBOX_VIOLATION: its worker made a system call that its sandbox does not
 *                             have, and was ended by the kernel
 * @CAROM_OUTCOME_TERMINATED:  it was running when the pool was terminated
 * @CAROM_OUTCOME_CANCELLED:   it was cancelled before a worker took it, or its map failed fast
 * @CAROM_OUTCOME_POOL_CLOSED: it had not begun when the pool was terminated
 * @CAROM_OUTCOME_POOL_BROKEN: the pool could not keep workers alive
 */
enum carom_outcome_kind {
	CAROM_OUTCOME_PENDING,
	CAROM_OUTCOME_OK,
	CAROM_OUTCOME_FAILED,
	CAROM_OUTCOME_SOFT_LIMIT,
	CAROM_OUTCOME_HARD_LIMIT,
	CAROM_OUTCOME_LOST,
	CAROM_OUTCOME_MEMORY_LIMIT,
	CAROM_OUTCOME_SANDBOX_VIOLATION,
	CAROM_OUTCOME_TERMINATED,
	CAROM_OUTCOME_CANCELLED,
	CAROM_OUTCOME_POOL_CLOSED,
	CAROM_OUTCOME_POOL_BROKEN,
};

#define CAROM_OUTCOME_MESSAGE_MAX 64

/**
 * struct carom_outcome - how a task ended
 * @kind:        one of enum carom_outcome_kind
 * @code:        FAILED, SOFT_LIMIT: what the function returned, below 0; POOL_BROKEN: one of enum
 *               carom_broken_reason
 * @signal:      TERMINATED: the signal that its worker was sent first;
 *               LOST: the signal that killed the worker, 0 if it exited;
 *               SANDBOX_VIOLATION: SIGSYS
 * @exit_status: LOST: the worker's exit status, -1 if a signal killed it or the
 *               host program took the status (waitpid(-1)) before it could be read
 * @worker_index: which worker of the pool ran it, -1 if none did
 * @worker_pid:  that worker's pid at the time, 0 if none
 * @attempt:     how many times it was begun before; 0 for the first time
 * @limit_ns:    SOFT_LIMIT, HARD_LIMIT: the limit that it exceeded
 * @submitted_ns, @started_ns, @ended_ns: CLOCK_MONOTONIC; 0 where the pool was
 *               not asked for times (option `timestamps`, or a time limit). A
 *               lost task ends when its loss is known
 * @message:     FAILED: the text given to carom_call_fail(); POOL_BROKEN: why; LOST: what is
 *               known beyond signal and status, if anything; else empty
 * @limit_bytes: MEMORY_LIMIT: the limit that its worker was killed at
 * @peak_bytes:  MEMORY_LIMIT: the most memory that its worker had; 0: not known. OK, FAILED,
 *               SOFT_LIMIT: while it ran, where the pool was asked for that (option
 *               `task_usage`); else 0
 * @system_call: SANDBOX_VIOLATION: its number, -1: not known; @message is its name. For what
 *               both are worth see struct carom_violation in core/sandbox.h
 * @cpu_ns:      OK, FAILED, SOFT_LIMIT: CPU time that it took; likewise
 */
struct carom_outcome {
	int32_t kind;
	int32_t code;
	int32_t signal;
	int32_t exit_status;
	int32_t worker_index;
	int32_t worker_pid;
	uint64_t attempt;
	uint64_t limit_ns;
	uint64_t submitted_ns;
	uint64_t started_ns;
	uint64_t ended_ns;
	char message[CAROM_OUTCOME_MESSAGE_MAX];
	uint64_t limit_bytes;
	uint64_t peak_bytes;
	int64_t system_call;
	uint64_t cpu_ns;
};

/**
 * carom_outcome_name() - "ok", "failed", "hard limit", "lost", ...
 *
 * Context: MT-Safe, AS-Safe.
 * Return: static text; "unknown" for a kind of a newer library.
 */
CAROM_API const char *carom_outcome_name(enum carom_outcome_kind kind);

/**
 * carom_outcome_describe() - a line for people
 * @outcome: read during the call
 * @text:    where the line is written, NUL-terminated, cut at @size
 * @size:    at least 1; 160 holds every line
 *
 * Context: MT-Safe.
 * Return: @text.
 */
CAROM_API char *carom_outcome_describe(const struct carom_outcome *outcome, char *text,
				       size_t size);

/**
 * carom_outcome_exception() - the same in the words of Python's and billiard's exceptions
 * @task_id: see carom_result_id()
 * @text:    cut at @size; 160 holds every line
 * @size:    at least 1
 *
 * For programs whose logs are read by those who know these: "WorkerLostError: Worker
 * exited prematurely: signal 9 (SIGKILL) Job: 17.", "TimeLimitExceeded(2,)",
 * "SoftTimeLimitExceeded()", "Terminated(15)". Empty for a value and while it is pending.
 * Rows ER-05 to ER-08, PH-13.
 *
 * Context: MT-Safe.
 * Return: @text.
 */
CAROM_API char *carom_outcome_exception(const struct carom_outcome *outcome, uint64_t task_id,
					char *text, size_t size);

CAROM_END_DECLS

#endif

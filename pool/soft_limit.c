/*
 * Soft limit: the worker's side
 *
 * The parent has put SOFT into the word of the slot before it sends the signal, and the
 * worker does not get past the task until the signal has come (P7 and W7 of the lane).
 * So the handler needs no more than the slot at hand: if its word says SOFT the signal is
 * for it, else it is not the parent's at all.
 *
 *   H1  What the handler reads is of its own thread, and stored in an order in which it
 *       may be interrupted anywhere: what a function pointer needs stands before it.
 *   H2  A function of the program's is called once, by the handler or by who registers
 *       it, whichever comes to take `called` first.
 *   H3  The frame that is jumped to is this file's and alive: `jump` is set after it was
 *       filled in and taken back before its function returns.
 *   H4  A process that a task has forked has the handler but not the slot, which is not
 *       mapped there: it looks at nothing.
 *
 * A task that has no soft limit pays for five stores to its thread's own memory.
 */
#include "pool/soft_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/written.h"
#include "pool/answer.h"
#include "pool/call_private.h"
#include "pool/soft_limit_private.h"

_Thread_local struct soft_limit carom_soft_limit_at_hand __attribute__((tls_model("initial-exec")));

static _Atomic uint64_t stray_count;
static pid_t own_pid CAROM_WRITTEN;

/* relaxed throughout: between a thread and its own signal handler order is the compiler's */
#define LOAD(field) atomic_load_explicit(&carom_soft_limit_at_hand.field, memory_order_relaxed)
#define STORE(field, value) \
	atomic_store_explicit(&carom_soft_limit_at_hand.field, value, memory_order_relaxed)
#define IN_ORDER() atomic_signal_fence(memory_order_seq_cst)

/* ---- the signal ---- */

static void call_once(void)
{
	carom_soft_limit_fn *function = LOAD(function);

	if (function && !atomic_exchange(&carom_soft_limit_at_hand.called, true))
		function(LOAD(userdata));
}

void carom_soft_limit_handler(int signal_number)
{
	int saved = errno;

	if (!LOAD(slot))
		return;
	STORE(expired, true);
	IN_ORDER();
	call_once();
	errno = saved;
	if (LOAD(jump))
		siglongjmp(*LOAD(jump), 1);
}

static void signalled(int signal_number)
{
	struct carom_slot *slot = LOAD(slot);
	int saved = errno;
	bool stray = true;

	if (getpid() != own_pid) /* H4 */
		return;
	if (slot && atomic_load(&slot->word) & CAROM_SLOT_SOFT)
		stray = false;
	if (stray)
		atomic_fetch_add_explicit(&stray_count, 1, memory_order_relaxed); /* a figure */
	else if (!LOAD(expired))
		carom_soft_limit_handler(signal_number);
	errno = saved;
}

static void take_signal(void)
{
	struct sigaction action = { .sa_handler = signalled, .sa_flags = SA_ONSTACK };

	sigaction(SIGUSR1, &action, NULL);
}

/* whatever the task has done to the signal; what is pending is received before this returns */
static void settle(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	take_signal();
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

void carom_soft_limit_install(struct carom_lane *lane)
{
	own_pid = getpid();
	settle();
	carom_lane_on_warned(lane, settle);
}

uint64_t carom_soft_limit_stray_count(void)
{
	return atomic_load(&stray_count);
}

/* ---- a function that runs ---- */

/* a signal that has just come for what begins here is forgotten, but its word is not */
/* SIGNALLING: the parent may yet find that it is another item's turn (P6) */
static bool is_warned(uint64_t word)
{
	return (word & (CAROM_SLOT_SOFT | CAROM_SLOT_SIGNALLING)) == CAROM_SLOT_SOFT;
}

int32_t carom_soft_limit_judge(int code)
{
	struct carom_slot *slot = LOAD(slot);

	return LOAD(expired) || is_warned(atomic_load(&slot->word)) ? carom_code_of_soft_limit(code)
								    : code;
}

/* ---- what the function may do ---- */

static bool has_passed(const struct carom_slot *slot)
{
	return is_warned(atomic_load_explicit(&slot->word, memory_order_relaxed)) ||
	       (LOAD(slot) == slot && LOAD(expired));
}

bool carom_call_soft_limit(const struct carom_call *call)
{
	struct carom_slot *slot = call->slot;
	uint64_t word;

	if (!has_passed(slot))
		return false;
	/* relaxed: a hint that saves signals; not set for a limit that is the task's own */
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	if (is_warned(word) && !(word & CAROM_SLOT_TOLD))
		atomic_fetch_or_explicit(&slot->word, CAROM_SLOT_TOLD, memory_order_relaxed);
	return true;
}

void carom_call_on_soft_limit(struct carom_call *call, carom_soft_limit_fn *function,
			      void *userdata)
{
	STORE(function, NULL);
	IN_ORDER();
	STORE(userdata, userdata);
	STORE(called, false);
	IN_ORDER(); /* H1 */
	STORE(function, function);
	IN_ORDER();
	if (has_passed(call->slot))
		call_once(); /* H2 */
}

int carom_call_until_soft_limit(struct carom_call *call, int (*function)(void *userdata),
				void *userdata)
{
	sigjmp_buf *outer = LOAD(jump);
	volatile int r = -ETIME;
	sigjmp_buf here;

	if (sigsetjmp(here, 1) == 0) {
		IN_ORDER();
		STORE(jump, &here);
		IN_ORDER(); /* H3; a signal from here on jumps, one before has left its mark */
		if (!carom_call_soft_limit(call))
			r = function(userdata);
		IN_ORDER();
	}
	STORE(jump, outer);
	return r;
}

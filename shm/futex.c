/*
 * Futex
 *
 * FUTEX_WAIT_BITSET rather than FUTEX_WAIT, because only it takes an absolute
 * time. The wake side is one system call, 255 ns with nobody asleep: callers
 * keep a flag of their own and do not call it then.
 */
#include "shm/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/probe.h"
#include "core/time.h"
#include "core/timespec.h"

#define LOOK_AGAIN_NS CAROM_MILLISECONDS(100)

int carom_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec until = carom_timespec(deadline_ns);
	const struct timespec *limit = deadline_ns == CAROM_NO_DEADLINE ? NULL : &until;

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, limit, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return -errno;
}

int carom_futex_wait_briefly(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	uint64_t until = carom_deadline_after(LOOK_AGAIN_NS);
	bool is_last = until >= deadline_ns;
	int r = carom_futex_wait(word, expected, is_last ? deadline_ns : until);

	return r == -ETIMEDOUT && !is_last ? 0 : r;
}

int carom_futex_wait_interruptible(const _Atomic uint32_t *word, uint32_t expected,
				   uint64_t deadline_ns)
{
	/* with any deadline it is not restarted; this one is centuries away */
	if (deadline_ns == CAROM_NO_DEADLINE)
		deadline_ns--;
	return carom_futex_wait(word, expected, deadline_ns);
}

static int wait_for_any(const struct futex_waitv *words, unsigned int count, uint64_t deadline_ns)
{
	struct timespec until = carom_timespec(deadline_ns);

	if (syscall(SYS_futex_waitv, words, count, 0,
		    deadline_ns == CAROM_NO_DEADLINE ? NULL : &until, CLOCK_MONOTONIC) >= 0)
		return 0;
	return -errno;
}

int carom_futex_wait_any(const struct futex_waitv *words, unsigned int count, unsigned int main,
			 bool is_all, uint64_t deadline_ns)
{
	const _Atomic uint32_t *word = (const _Atomic uint32_t *)(uintptr_t)words[main].uaddr;
	bool has_waitv = carom_probe(CAROM_FEATURE_FUTEX_WAITV), is_last;
	uint64_t until;
	int r;

	if (is_all && has_waitv)
		return wait_for_any(words, count, deadline_ns);
	until = carom_deadline_after(LOOK_AGAIN_NS);
	is_last = until >= deadline_ns;
	if (is_last)
		until = deadline_ns;
	r = has_waitv ? wait_for_any(words, count, until)
		      : carom_futex_wait(word, (uint32_t)words[main].val, until);
	return r == -ETIMEDOUT && !is_last ? 0 : r;
}

int carom_futex_wake(const _Atomic uint32_t *word, int count)
{
	int saved_errno = errno;
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);

	errno = saved_errno;
	return woken < 0 ? 0 : (int)woken;
}

/* the second word is the first one: it is changed, and what it compares as wakes nobody more */
static void change_and_wake(_Atomic uint32_t *word, uint32_t operation, int count)
{
	int saved_errno = errno;

	/* changes nothing; its release is carried on by the read-modify-write of the kernel's */
	atomic_fetch_or_explicit(word, 0, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_OP, count, NULL, word, operation);
	errno = saved_errno;
}

void carom_futex_clear(_Atomic uint32_t *word)
{
	change_and_wake(word, FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_LT, 0), 1);
}

void carom_futex_or_and_wake_all(_Atomic uint32_t *word, uint32_t bits)
{
	change_and_wake(word, FUTEX_OP(FUTEX_OP_OR, bits, FUTEX_OP_CMP_LT, 0), INT_MAX);
}

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

#include "core/time.h"
#include "core/timespec.h"

int carom_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec until = carom_timespec(deadline_ns);
	const struct timespec *limit = deadline_ns == CAROM_NO_DEADLINE ? NULL : &until;

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, limit, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return -errno;
}

int carom_futex_wait_interruptible(const _Atomic uint32_t *word, uint32_t expected,
				   uint64_t deadline_ns)
{
	/* with any deadline it is not restarted; this one is centuries away */
	if (deadline_ns == CAROM_NO_DEADLINE)
		deadline_ns--;
	return carom_futex_wait(word, expected, deadline_ns);
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

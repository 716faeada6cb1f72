/* Futex: sleep until a word changes. */
#include "tests/shm/help.h"

#include <limits.h>
#include <stdatomic.h>

#include "shm/futex.h"

Test(futex, wakes_who_sleeps_on_a_word, .timeout = 60)
{
	_Atomic uint32_t *word = share(4096);
	pid_t pid = child();

	if (pid == 0) {
		while (atomic_load(word) == 0)
			carom_futex_wait(word, 0, CAROM_NO_DEADLINE);
		_exit(0);
	}
	await(carom_futex_wake(word, 1) == 1); /* it sleeps, and may be woken for nothing */
	atomic_store(word, 1);
	carom_futex_wake(word, 1);
	cr_expect(zero(int, ended(pid)));
}

Test(futex, does_not_sleep_if_the_word_has_changed, .timeout = 60)
{
	_Atomic uint32_t word = 1;

	cr_expect(eq(int, carom_futex_wait(&word, 0, CAROM_NO_DEADLINE), -EAGAIN));
}

Test(futex, sleeps_no_longer_than_the_deadline, .timeout = 60)
{
	_Atomic uint32_t word = 0;
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(5));

	cr_expect(eq(int, carom_futex_wait(&word, 0, deadline), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), deadline));
	cr_expect(eq(int, carom_futex_wait(&word, 0, CAROM_PASSED), -ETIMEDOUT));
}

static void ignore_signal(int signal_number)
{
}

Test(futex, reports_a_signal, .timeout = 60)
{
	_Atomic uint32_t *words = share(4096);
	struct sigaction action = { .sa_handler = ignore_signal };
	pid_t pid = child();

	if (pid == 0) {
		int r;

		sigaction(SIGUSR1, &action, NULL);
		atomic_store(&words[0], 1);
		r = carom_futex_wait(&words[1], 0, CAROM_NO_DEADLINE);
		atomic_store(&words[0], 2);
		_exit(-r);
	}
	await(atomic_load(&words[0]) == 1);
	while (atomic_load(&words[0]) ==
	       1) { /* one that comes before the sleep counts for nothing */
		kill(pid, SIGUSR1);
		sched_yield();
	}
	cr_expect(eq(int, ended(pid), EINTR));
}

Test(futex, wakes_no_more_than_asked, .timeout = 60)
{
	_Atomic uint32_t *word = share(4096);
	int woken = 0;
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			_exit(-carom_futex_wait(word, 0, CAROM_NO_DEADLINE));
	}
	while (woken < 3) {
		int n = carom_futex_wake(word, 1);

		cr_assert(le(int, n, 1));
		woken += n;
		sched_yield();
	}
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(zero(int, carom_futex_wake(word, INT_MAX)));
}

Test(futex, wake_keeps_errno, .timeout = 60)
{
	errno = ENOENT;
	cr_expect(zero(int, carom_futex_wake((_Atomic uint32_t *)1, 1))); /* EINVAL: not aligned */
	cr_expect(eq(int, errno, ENOENT));
}

/* The word is set by the kernel itself: nothing here could come between that and the wake-up. */
Test(futex, is_cleared_and_its_sleeper_woken_in_one_step, .timeout = 60)
{
	_Atomic uint32_t *word = share(4096);
	pid_t pid;

	atomic_store(word, 0x80000005);
	pid = child();
	if (pid == 0) {
		while (atomic_load(word) != 0)
			carom_futex_wait(word, 0x80000005, CAROM_NO_DEADLINE);
		_exit(0);
	}
	await(carom_futex_wake(word, 1) == 1); /* it sleeps, and may be woken for nothing */
	await(carom_futex_wake(word, 0) == 0);
	carom_futex_clear(word);
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(u32, *word, 0));
}

/*
 * Signals
 *
 * The kernel's signal set is one bit a signal, 64 of them, on every architecture
 * glibc runs on but MIPS (128). Its sigaction differs in layout from one to the
 * next, but all zeros means the same everywhere: SIG_DFL, no flags, empty mask.
 */
#include "core/signals.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNAL_COUNT 64

uint64_t carom_signals_block(void)
{
	uint64_t all = UINT64_MAX;
	uint64_t before = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	return before;
}

void carom_signals_restore(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

void carom_signals_default(void)
{
	static const uint64_t zeros[8];

	for (int number = 1; number <= SIGNAL_COUNT; number++)
		syscall(SYS_rt_sigaction, number, zeros, NULL, sizeof(uint64_t));
}

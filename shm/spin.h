/*
 * Spin
 *
 * How long to look again before a thread sleeps for a word that is about to change.
 */
#ifndef CAROM_SHM_SPIN_H
#define CAROM_SHM_SPIN_H

/** carom_spin_count() - looks that are worth it; 0 on one processor, where nothing changes meanwhile */
int carom_spin_count(void);

/** carom_spin_relax() - between two looks */
static inline void carom_spin_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif

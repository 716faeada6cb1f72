/*
 * Signals
 *
 * What has to be done to signals around the birth of a process, by system calls
 * alone: glibc's own functions leave out the two signals it keeps to itself, and
 * the handler of one of these must not run in a half-made process either.
 *
 * All of it is AS-Safe and usable in a child that shares its parent's memory.
 */
#ifndef CAROM_CORE_SIGNALS_H
#define CAROM_CORE_SIGNALS_H

#include <stdint.h>

/** carom_signals_block() - block every signal; return what was blocked before */
uint64_t carom_signals_block(void);

/** carom_signals_restore() - set the mask; 0 blocks nothing */
void carom_signals_restore(uint64_t mask);

/** carom_signals_default() - give every signal its default disposition, ignored ones too */
void carom_signals_default(void);

#endif

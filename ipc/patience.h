/*
 * Patience: whether to spin, by what spinning brought of late
 *
 * Spinning wins when what is waited for comes within the time that a sleep and a
 * wake-up take, and is lost time otherwise. So it goes on while it brings something,
 * stops when it has brought nothing several times, and is tried again after a pause
 * that doubles with each vain attempt: where spinning cannot help, it costs one spin
 * in some thousand waits.
 */
#ifndef CAROM_IPC_PATIENCE_H
#define CAROM_IPC_PATIENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct carom_patience - of one thread, or guessed at by several together
 * @limit_ns: the longest spin; 0: none ever
 * @level:    how often spinning may still bring nothing before it stops
 * @pause:    waits without a spin, after the next attempt that brings nothing
 * @left:     of these, how many are still to come
 */
struct carom_patience {
	uint64_t limit_ns;
	_Atomic uint32_t level;
	_Atomic uint32_t pause;
	_Atomic uint32_t left;
};

void carom_patience_init(struct carom_patience *patience, uint64_t limit_ns);

/** carom_patience_may_spin() - is the next wait to begin with a spin? */
bool carom_patience_may_spin(struct carom_patience *patience);

/** carom_patience_pays() - has spinning brought something of late? */
bool carom_patience_pays(const struct carom_patience *patience);

/** carom_patience_learn() - a spin brought something, or would have; or it did not */
void carom_patience_learn(struct carom_patience *patience, bool good);

#endif

/*
 * Turn
 *
 * Which thread of this process may use a thing that one at a time can use: one end of
 * a connection. Taken with a deadline. A forked child finds its copy free, whoever held
 * it: that thread does not exist there.
 */
#ifndef CAROM_IPC_TURN_H
#define CAROM_IPC_TURN_H

#include <stdatomic.h>
#include <stdint.h>

/** struct carom_turn - zeroed: nobody's */
struct carom_turn {
	_Atomic uint32_t word;
};

/** carom_turn_take() - 0, -EAGAIN (@deadline_ns is CAROM_PASSED), -ETIMEDOUT. Not recursive. */
int carom_turn_take(struct carom_turn *turn, uint64_t deadline_ns);

void carom_turn_give(struct carom_turn *turn);

#endif

/*
 * Gate
 *
 * A count with an upper end, billiard's LaxBoundedSemaphore: giving back more than was
 * taken does not raise it. Row PM-33. Not MT-Safe: the pool's lock guards it.
 */
#ifndef CAROM_POOL_GATE_H
#define CAROM_POOL_GATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct carom_gate
 * @initial: its upper end
 * @value:   how many can be taken
 * @debt:    so many were taken away by shrinking while they were out
 */
struct carom_gate {
	uint64_t initial;
	uint64_t value;
	uint64_t debt;
};

/** carom_gate_init() - @initial can be taken */
void carom_gate_init(struct carom_gate *gate, uint64_t initial);

/** carom_gate_take() - take one; false if there is none */
bool carom_gate_take(struct carom_gate *gate);

/** carom_gate_give() - give one back; no more than there were */
void carom_gate_give(struct carom_gate *gate);

/** carom_gate_grow(), carom_gate_shrink() - the upper end moves; who has one keeps it */
void carom_gate_grow(struct carom_gate *gate, uint64_t count);
void carom_gate_shrink(struct carom_gate *gate, uint64_t count);

/** carom_gate_clear() - as if all had been given back */
void carom_gate_clear(struct carom_gate *gate);

#endif

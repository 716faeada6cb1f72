/*
 * Gate
 *
 *   I1  value <= initial.
 *   I2  What was out when the gate shrank, and no longer fits, is debt: the next that
 *       are given back pay it, and nobody can take them.
 */
#include "pool/gate.h"

void carom_gate_init(struct carom_gate *gate, uint64_t initial)
{
	*gate = (struct carom_gate){ .initial = initial, .value = initial };
}

bool carom_gate_take(struct carom_gate *gate)
{
	if (!gate->value)
		return false;
	gate->value--;
	return true;
}

void carom_gate_give(struct carom_gate *gate)
{
	if (gate->debt)
		gate->debt--;
	else if (gate->value < gate->initial)
		gate->value++;
}

void carom_gate_grow(struct carom_gate *gate, uint64_t count)
{
	uint64_t paid = gate->debt < count ? gate->debt : count;

	gate->initial += count;
	gate->debt -= paid;
	gate->value += count - paid;
}

void carom_gate_shrink(struct carom_gate *gate, uint64_t count)
{
	uint64_t taken;

	if (count > gate->initial)
		count = gate->initial;
	taken = gate->value < count ? gate->value : count;
	gate->initial -= count;
	gate->value -= taken;
	gate->debt += count - taken;
}

void carom_gate_clear(struct carom_gate *gate)
{
	gate->value = gate->initial;
	gate->debt = 0;
}

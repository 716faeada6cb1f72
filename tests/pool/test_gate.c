/* The count behind put_locks. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "pool/gate.h"

static uint64_t take_all(struct carom_gate *gate)
{
	uint64_t count = 0;

	while (carom_gate_take(gate))
		count++;
	return count;
}

/* PM-33 */
Test(gate, giving_too_often_does_not_raise_it)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 2);
	for (int i = 0; i < 10; i++)
		carom_gate_give(&gate);
	cr_expect(eq(u64, take_all(&gate), 2));
}

Test(gate, what_is_given_back_can_be_taken)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 1);
	cr_expect(carom_gate_take(&gate));
	cr_expect(not(carom_gate_take(&gate)));
	carom_gate_give(&gate);
	cr_expect(carom_gate_take(&gate));
}

Test(gate, growing_adds_places)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 1);
	take_all(&gate);
	carom_gate_grow(&gate, 2);
	cr_expect(eq(u64, take_all(&gate), 2));
}

Test(gate, shrinking_while_all_are_out_is_paid_by_those_who_come_back)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 4);
	take_all(&gate);
	carom_gate_shrink(&gate, 3);
	for (int i = 0; i < 3; i++)
		carom_gate_give(&gate);
	cr_expect(zero(u64, take_all(&gate)));
	carom_gate_give(&gate);
	cr_expect(eq(u64, take_all(&gate), 1));
}

Test(gate, growing_after_shrinking_forgives_the_debt)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 4);
	take_all(&gate);
	carom_gate_shrink(&gate, 2);
	carom_gate_grow(&gate, 2);
	for (int i = 0; i < 4; i++)
		carom_gate_give(&gate);
	cr_expect(eq(u64, take_all(&gate), 4));
}

Test(gate, cannot_shrink_below_nothing)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 2);
	carom_gate_shrink(&gate, 5);
	carom_gate_give(&gate);
	cr_expect(zero(u64, take_all(&gate)));
}

Test(gate, clearing_lets_everybody_in)
{
	struct carom_gate gate;

	carom_gate_init(&gate, 3);
	take_all(&gate);
	carom_gate_clear(&gate);
	cr_expect(eq(u64, take_all(&gate), 3));
}

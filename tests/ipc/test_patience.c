#include <criterion/criterion.h>

#include "ipc/patience.h"

static uint32_t vain_waits(struct carom_patience *patience, uint32_t wait_count)
{
	uint32_t spin_count = 0;

	for (uint32_t i = 0; i < wait_count; i++)
		if (carom_patience_may_spin(patience)) {
			spin_count++;
			carom_patience_learn(patience, false);
		}
	return spin_count;
}

Test(patience, without_a_limit_there_is_none)
{
	struct carom_patience patience;

	carom_patience_init(&patience, 0);
	cr_expect(!carom_patience_may_spin(&patience));
	carom_patience_learn(&patience, true);
	cr_expect(!carom_patience_may_spin(&patience));
}

Test(patience, spins_while_it_brings_something)
{
	struct carom_patience patience;

	carom_patience_init(&patience, 1);
	for (int i = 0; i < 100000; i++) {
		cr_assert(carom_patience_may_spin(&patience));
		carom_patience_learn(&patience, true);
	}
}

Test(patience, where_spinning_never_helps_it_is_hardly_tried)
{
	struct carom_patience patience;

	carom_patience_init(&patience, 1);
	cr_expect_leq(vain_waits(&patience, 100000), 45);
	cr_expect_leq(vain_waits(&patience, 100000), 25);
	cr_expect_geq(vain_waits(&patience, 100000), 24);
}

Test(patience, one_that_helped_makes_the_next_pause_short_again)
{
	struct carom_patience patience;
	uint32_t wait_count = 0;

	carom_patience_init(&patience, 1);
	vain_waits(&patience, 100000);
	carom_patience_learn(&patience, true);
	cr_assert(carom_patience_may_spin(&patience));
	carom_patience_learn(&patience, false);
	while (!carom_patience_may_spin(&patience))
		wait_count++;
	cr_expect_eq(wait_count, 16);
}

Test(patience, forgives_a_few_that_brought_nothing)
{
	struct carom_patience patience;

	carom_patience_init(&patience, 1);
	for (int i = 0; i < 7; i++) {
		cr_assert(carom_patience_may_spin(&patience));
		carom_patience_learn(&patience, false);
	}
	cr_expect(carom_patience_may_spin(&patience));
	carom_patience_learn(&patience, false);
	cr_expect(!carom_patience_may_spin(&patience));
}

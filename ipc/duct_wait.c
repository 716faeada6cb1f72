/*
 * Duct: waiting
 *
 * First by looking often, where that has helped of late, then asleep on the ring; by then the
 * porter knows that it is to say when the other end has gone.
 */
#include <errno.h>

#include "core/points.h"
#include "ipc/duct_private.h"
#include "shm/spin.h"

/* Looks at a ring, before the clock is looked at. */
#define LOOKS 16

static int look_often(struct carom_duct *duct, duct_try_fn *try, void *attempt)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < LOOKS; i++) {
		carom_spin_relax();
		r = try(duct, attempt, CAROM_PASSED);
	}
	return r;
}

static int spin(struct carom_duct *duct, struct carom_patience *patience, duct_try_fn *try,
		void *attempt, uint64_t deadline_ns)
{
	uint64_t until = carom_deadline_after(patience->limit_ns);
	int r;

	if (until > deadline_ns)
		until = deadline_ns;
	while ((r = look_often(duct, try, attempt)) == -EAGAIN && carom_now() < until)
		;
	carom_patience_learn(patience, r != -EAGAIN);
	return r;
}

int carom_duct_wait_for(struct carom_duct *duct, struct carom_patience *patience, duct_try_fn *try,
			void *attempt, uint64_t deadline_ns)
{
	int r = -EAGAIN;

	if (deadline_ns == CAROM_PASSED) /* what was sent before the end is received */
		return carom_duct_is_over(duct) ? try(duct, attempt, CAROM_PASSED) : -EAGAIN;
	if (carom_patience_may_spin(patience))
		r = spin(duct, patience, try, attempt, deadline_ns);
	if (r != -EAGAIN)
		return r;
	r = carom_porter_watch(&duct->watch);
	CAROM_POINT("duct.waiting");
	return r < 0 ? r : try(duct, attempt, deadline_ns);
}

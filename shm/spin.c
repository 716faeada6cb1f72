/*
 * Spin
 */
#include "shm/spin.h"

#include <sched.h>
#include <stdatomic.h>

/*
 * Short: who holds a lock for longer than this often waits for the same processor, since
 * the kernel likes to put those near each other who wake each other. With 100 looks, handing
 * a lock to and fro took 2.8 times what two wake-ups take; with 10 it takes 1.15 times that.
 */
#define LOOKS 10

/* On one processor, looking again keeps the holder from running. A guess, made once. */
int carom_spin_count(void)
{
	static _Atomic int count = -1;
	int looks = atomic_load_explicit(&count, memory_order_relaxed); /* any answer is right */
	cpu_set_t set;

	if (looks >= 0)
		return looks;
	looks = sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) > 1 ? LOOKS : 0;
	atomic_store_explicit(&count, looks, memory_order_relaxed);
	return looks;
}

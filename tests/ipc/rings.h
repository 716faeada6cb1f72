/* The rings of this process's first pipe through shared memory, as they stand there. */
#ifndef CAROM_TESTS_IPC_RINGS_H
#define CAROM_TESTS_IPC_RINGS_H

#include "tests/shm/help.h"

#include "ipc/ring.h"
#include "ipc/ring_layout.h"

/** find_rings() - the memory that stands in /proc/self/maps as the rings' */
static inline unsigned char *find_rings(size_t *ret_size)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long from = 0, to = 0;
	char text[512];

	while (fgets(text, sizeof(text), file))
		if (strstr(text, "memfd:carom-pipe ") && sscanf(text, "%lx-%lx", &from, &to) == 2)
			break;
	fclose(file);
	*ret_size = to - from;
	return (unsigned char *)from;
}

/** find_side() - of the ring that goes from the first end, or from the second, to the other one */
static inline struct carom_ring_side *find_side(int from, int side)
{
	size_t size;
	unsigned char *rings = find_rings(&size);

	return &((struct carom_ring_shared *)(rings + (size_t)from * size / 2))->sides[side];
}

/** await_sleeper() - until @pid, which does nothing but wait there, sleeps at @side */
static inline void await_sleeper(pid_t pid, const struct carom_ring_side *side)
{
	await(atomic_load(&side->teller.word) & CAROM_RING_SLEEPS);
	await_asleep(pid);
}

#endif

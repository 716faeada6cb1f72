/*
 * Peers: Boost's, where it was not installed when this program was built
 */
#include <stddef.h>

#include "bench/peer.h"

static const char *missing(void)
{
	return "libboost-dev and g++ were not installed when this program was built";
}

static const struct bench_act acts[] = { { 0 } };

const struct bench_peer bench_peer_boost = {
	.name = "boost",
	.summary = "Boost.Lockfree's spsc_queue in shared memory, spinning",
	.missing = missing,
	.acts = acts,
};

const struct bench_peer bench_peer_interprocess = {
	.name = "interprocess",
	.summary = "Boost.Interprocess's message queue in shared memory",
	.missing = missing,
	.acts = acts,
};

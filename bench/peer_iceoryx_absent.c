/*
 * Peer: iceoryx, where it was not installed when this program was built
 */
#include <stddef.h>

#include "bench/peer.h"

static const char *missing(void)
{
	return "libiceoryx-binding-c-dev was not installed when this program was built";
}

static const struct bench_act acts[] = { { 0 } };

const struct bench_peer bench_peer_iceoryx = {
	.name = "iceoryx",
	.summary = "iceoryx, loaned and read in place, spinning",
	.missing = missing,
	.acts = acts,
};

/*
 * Peer: ZeroMQ, where it was not installed when this program was built
 */
#include <stddef.h>

#include "bench/peer.h"

static const char *missing(void)
{
	return "libzmq3-dev was not installed when this program was built";
}

static const struct bench_act acts[] = { { 0 } };

const struct bench_peer bench_peer_zeromq = {
	.name = "zeromq",
	.summary = "ZeroMQ's pair sockets over ipc",
	.missing = missing,
	.acts = acts,
};

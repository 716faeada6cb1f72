/*
 * Peer: libuv, where it was not installed when this program was built
 */
#include <stddef.h>

#include "bench/peer.h"

static const char *missing(void)
{
	return "libuv1-dev was not installed when this program was built";
}

static const struct bench_act acts[] = { { 0 } };

const struct bench_peer bench_peer_libuv = {
	.name = "libuv",
	.summary = "thread pool in the caller's process, uv_queue_work()",
	.missing = missing,
	.acts = acts,
};

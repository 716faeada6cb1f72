/*
 * Peers in modules (bench/module.h): Boost's, iceoryx, libuv, nng and ZeroMQ
 */
#include <stddef.h>
#include <unistd.h>

#include "bench/module.h"

#define ROUDI "/usr/bin/iox-roudi"

#define NOT_INSTALLED(package) package " was not installed when this program was built"

static const struct bench_act boost_acts[] = {
	BENCH_MODULE_ACT(BENCH_MESSAGE_8),
	BENCH_MODULE_ACT(BENCH_MESSAGE_64),
	BENCH_MODULE_ACT(BENCH_STREAM_64),
	BENCH_MODULE_ACT(BENCH_STREAM_64_BATCH),
	{ 0 },
};

static const struct bench_act interprocess_acts[] = {
	BENCH_MODULE_ACT(BENCH_MESSAGE_PARKED_8),
	BENCH_MODULE_ACT(BENCH_MESSAGE_PARKED_64),
	BENCH_MODULE_ACT(BENCH_STREAM_64),
	{ 0 },
};

static const struct bench_act iceoryx_acts[] = {
	BENCH_MODULE_ACT(BENCH_MESSAGE_64),
	BENCH_MODULE_ACT(BENCH_MESSAGE_PLACE_64K),
	BENCH_MODULE_ACT(BENCH_MESSAGE_PLACE_1M),
	BENCH_MODULE_ACT(BENCH_STREAM_64),
	BENCH_MODULE_ACT(BENCH_STREAM_PLACE_64K),
	BENCH_MODULE_ACT(BENCH_STREAM_PLACE_1M),
	{ 0 },
};

static const struct bench_act libuv_acts[] = {
	BENCH_MODULE_ACT(BENCH_ROUND_TRIP), BENCH_MODULE_ACT(BENCH_THROUGHPUT),
	BENCH_MODULE_ACT(BENCH_BATCH),      BENCH_MODULE_ACT(BENCH_BATCH_CHUNKED),
	BENCH_MODULE_ACT(BENCH_MAP),        BENCH_MODULE_ACT(BENCH_IMAP),
	BENCH_MODULE_ACT(BENCH_IDLE),       { 0 },
};

/* nng's and ZeroMQ's */
static const struct bench_act socket_acts[] = {
	BENCH_MODULE_ACT(BENCH_MESSAGE_PARKED_8), BENCH_MODULE_ACT(BENCH_MESSAGE_PARKED_64),
	BENCH_MODULE_ACT(BENCH_MESSAGE_64K),      BENCH_MODULE_ACT(BENCH_MESSAGE_1M),
	BENCH_MODULE_ACT(BENCH_STREAM_64),        BENCH_MODULE_ACT(BENCH_STREAM_64K),
	BENCH_MODULE_ACT(BENCH_STREAM_1M),        { 0 },
};

static const char *roudi_missing(void)
{
	return access(ROUDI, X_OK) < 0 ? ROUDI " is not installed (package iceoryx)" : NULL;
}

const struct bench_peer bench_peer_boost = {
	.name = "boost",
	.summary = "Boost.Lockfree's spsc_queue in shared memory, spinning",
	.module = "module_boost",
	.without = NOT_INSTALLED("libboost-dev"),
	.acts = boost_acts,
};

const struct bench_peer bench_peer_interprocess = {
	.name = "interprocess",
	.summary = "Boost.Interprocess's message queue in shared memory",
	.module = "module_interprocess",
	.without = NOT_INSTALLED("libboost-dev"),
	.acts = interprocess_acts,
};

const struct bench_peer bench_peer_iceoryx = {
	.name = "iceoryx",
	.summary = "iceoryx, loaned and read in place, spinning",
	.module = "module_iceoryx",
	.without = NOT_INSTALLED("iceoryx"),
	.missing = roudi_missing,
	.acts = iceoryx_acts,
};

const struct bench_peer bench_peer_libuv = {
	.name = "libuv",
	.summary = "thread pool in the caller's process, uv_queue_work()",
	.module = "module_libuv",
	.without = NOT_INSTALLED("libuv1-dev"),
	.acts = libuv_acts,
};

const struct bench_peer bench_peer_nng = {
	.name = "nng",
	.summary = "nng's pair sockets over ipc",
	.module = "module_nng",
	.without = NOT_INSTALLED("libnng-dev"),
	.acts = socket_acts,
};

const struct bench_peer bench_peer_zeromq = {
	.name = "zeromq",
	.summary = "ZeroMQ's pair sockets over ipc",
	.module = "module_zeromq",
	.without = NOT_INSTALLED("libzmq3-dev"),
	.acts = socket_acts,
};

/*
 * Module: Boost.Lockfree
 *
 * The limit of what a message between two processes can cost: two bare rings in shared
 * memory, of items of one size. Nobody sleeps, dies, or is told of anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/boost_queue.h"
#include "bench/module.h"
#include "bench/peer_message.h"

struct line {
	unsigned char *rings;
	void *in;
	void *out;
};

static int make(const struct bench_job *job, void **ret_state)
{
	size_t size = (bench_boost_size() + 4095) / 4096 * 4096;
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	line->rings = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (line->rings == MAP_FAILED)
		return -ENOMEM;
	bench_boost_init(line->rings);
	bench_boost_init(line->rings + size);
	line->in = line->rings;
	line->out = line->rings + size;
	*ret_state = line;
	return 0;
}

static int choose(void *state, bool is_partner)
{
	struct line *line = state;
	void *in = line->in;

	if (!is_partner)
		return 0;
	line->in = line->out;
	line->out = in;
	return 0;
}

static int send_item(void *state, const void *data, size_t size)
{
	const struct line *line = state;

	while (!(size == 8 ? bench_boost_push_8(line->out, data)
			   : bench_boost_push_64(line->out, data)))
		bench_relax();
	return 0;
}

static int receive_item(void *state, void *buffer, size_t size)
{
	const struct line *line = state;

	while (!(size == 8 ? bench_boost_pop_8(line->in, buffer)
			   : bench_boost_pop_64(line->in, buffer)))
		bench_relax();
	return 0;
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_item,
	.receive = receive_item,
	.spins = true,
};

BENCH_MESSAGE_SETUP(setup, carrier)

BENCH_MODULE_EXPORT const struct bench_act bench_module = BENCH_MESSAGE_ACT(0, setup);

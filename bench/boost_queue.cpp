/*
 * Boost.Lockfree's queue for one producer and one consumer, for bench/module_boost.c.
 */
#include <cstddef>
#include <cstring>
#include <new>

#include <boost/lockfree/spsc_queue.hpp>

#include "boost_queue.h"

namespace
{

template <size_t SIZE> struct message {
	unsigned char bytes[SIZE];
};
template <size_t SIZE>
using ring = boost::lockfree::spsc_queue<message<SIZE>, boost::lockfree::capacity<4096>>;

struct both {
	ring<8> of_8;
	ring<64> of_64;
};

template <size_t SIZE> bool push(ring<SIZE> &to, const void *data)
{
	message<SIZE> item;

	memcpy(item.bytes, data, SIZE);
	return to.push(item);
}

template <size_t SIZE> bool pop(ring<SIZE> &from, void *data)
{
	message<SIZE> item;

	if (!from.pop(item))
		return false;
	memcpy(data, item.bytes, SIZE);
	return true;
}

} // namespace

size_t bench_boost_size(void)
{
	return sizeof(both);
}

void bench_boost_init(void *memory)
{
	new (memory) both;
}

bool bench_boost_push_8(void *memory, const void *data)
{
	return push(static_cast<both *>(memory)->of_8, data);
}

bool bench_boost_pop_8(void *memory, void *data)
{
	return pop(static_cast<both *>(memory)->of_8, data);
}

bool bench_boost_push_64(void *memory, const void *data)
{
	return push(static_cast<both *>(memory)->of_64, data);
}

bool bench_boost_pop_64(void *memory, void *data)
{
	return pop(static_cast<both *>(memory)->of_64, data);
}

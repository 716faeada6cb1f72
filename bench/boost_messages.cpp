/*
 * Boost.Interprocess's message queue, for bench/module_interprocess.c.
 */
#include <cstddef>
#include <new>

#include <boost/interprocess/ipc/message_queue.hpp>

#include "boost_messages.h"

#define MESSAGES_MAX 4096

using boost::interprocess::message_queue;

struct bench_boost_messages {
	bench_boost_messages(const char *name, size_t size)
	    : queue(boost::interprocess::create_only, name, MESSAGES_MAX, size)
	{
	}
	message_queue queue;
};

bench_boost_messages *bench_boost_messages_new(const char *name, size_t size)
{
	try {
		bench_boost_messages *messages = new bench_boost_messages(name, size);

		message_queue::remove(name);
		return messages;
	} catch (...) {
		return nullptr;
	}
}

bool bench_boost_messages_send(bench_boost_messages *messages, const void *data, size_t size)
{
	try {
		messages->queue.send(data, size, 0);
		return true;
	} catch (...) {
		return false;
	}
}

bool bench_boost_messages_receive(bench_boost_messages *messages, void *buffer, size_t size)
{
	message_queue::size_type received;
	unsigned int priority;

	try {
		messages->queue.receive(buffer, size, received, priority);
		return true;
	} catch (...) {
		return false;
	}
}

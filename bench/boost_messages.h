/* Boost.Interprocess's message queue, which is C++, as C sees it. */
#ifndef CAROM_BENCH_BOOST_MESSAGES_H
#define CAROM_BENCH_BOOST_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_boost_messages;

/** bench_boost_messages_new() - its name is gone already. Return: it, or NULL */
struct bench_boost_messages *bench_boost_messages_new(const char *name, size_t size);
bool bench_boost_messages_send(struct bench_boost_messages *messages, const void *data,
			       size_t size);
bool bench_boost_messages_receive(struct bench_boost_messages *messages, void *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif

/* Boost.Lockfree's queue for one producer and one consumer, which is C++, as C sees it. */
#ifndef CAROM_BENCH_BOOST_QUEUE_H
#define CAROM_BENCH_BOOST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t bench_boost_size(void);
void bench_boost_init(void *memory);
bool bench_boost_push_8(void *memory, const void *data);
bool bench_boost_pop_8(void *memory, void *data);
bool bench_boost_push_64(void *memory, const void *data);
bool bench_boost_pop_64(void *memory, void *data);

#ifdef __cplusplus
}
#endif

#endif

/*
 * Origin
 *
 * The page holds one word: 0 in a fresh or forked process, else a value that no
 * ancestor had. Two threads may race to fill it in; one of them wins.
 */
#include "core/origin.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/time.h"

_Atomic uint64_t *carom_origin_page;
static pthread_once_t page_once = PTHREAD_ONCE_INIT;

static void make_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* without this page no handle could be told from a copy: as fatal as no stack */
	if (memory == MAP_FAILED || madvise(memory, size, MADV_WIPEONFORK) < 0)
		abort();
	carom_origin_page = memory;
}

uint64_t carom_origin(void)
{
	uint64_t expected, fresh;

	pthread_once(&page_once, make_page);
	/* relaxed: as below */
	expected = atomic_load_explicit(carom_origin_page, memory_order_relaxed);
	if (expected != 0)
		return expected;
	fresh = carom_now() << 20 | ((uint64_t)getpid() & 0xfffff) | 1;
	/* relaxed: the word carries nothing but itself */
	if (atomic_compare_exchange_strong_explicit(carom_origin_page, &expected, fresh,
						    memory_order_relaxed, memory_order_relaxed))
		return fresh;
	return expected;
}

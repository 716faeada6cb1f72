/*
 * Origin
 *
 * Tells a process from its forked copies, so that a handle made before fork()
 * is refused in the child. Every handle keeps the value of carom_origin() from
 * when it was made; carom_origin_is() compares. The value stands in a page that
 * the kernel wipes in every child (MADV_WIPEONFORK, Linux 4.14), whatever the
 * child was made by: fork(), clone() or clone3().
 */
#ifndef CAROM_CORE_ORIGIN_H
#define CAROM_CORE_ORIGIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* That page; NULL until carom_origin() was first called. */
extern _Atomic uint64_t *carom_origin_page __attribute__((visibility("hidden")));

/** carom_origin() - this process's value, never 0; made at the first call. MT-Safe. */
uint64_t carom_origin(void);

/** carom_origin_is() - is this the process in which @origin was taken? MT-Safe, AS-Safe. */
static inline bool carom_origin_is(uint64_t origin)
{
	/* relaxed: the word carries nothing but itself */
	return atomic_load_explicit(carom_origin_page, memory_order_relaxed) == origin;
}

#endif

/**
 * DOC: cleanup
 *
 * A resource held in a CAROM_CLEANUP() variable is given back at the end of its
 * scope, so that an early return is always right:
 *
 *	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
 *
 * Each type `struct carom_X` with an ender `carom_X_free(x)` has a
 * `carom_X_freep(&x)` for this purpose. carom_take_ptr() and carom_take_fd() hand
 * the resource on and leave the variable empty.
 */
#ifndef CAROM_CORE_CLEANUP_H
#define CAROM_CORE_CLEANUP_H

#include "api.h"

CAROM_BEGIN_DECLS

#define CAROM_CLEANUP(function) __attribute__((cleanup(function)))

/** carom_take_ptr() - the pointer's value; the variable becomes NULL */
#define carom_take_ptr(pointer)                       \
	__extension__({                               \
		CAROM_AUTO_ carom_taken_ = (pointer); \
		(pointer) = NULL;                     \
		carom_taken_;                         \
	})

/** carom_take_fd() - the descriptor's number; the variable becomes -1 */
#define carom_take_fd(fd)                \
	__extension__({                  \
		int carom_taken_ = (fd); \
		(fd) = -1;               \
		carom_taken_;            \
	})

/**
 * carom_closep() - close the descriptor in *@fd, if there is one
 * @fd: where the number stands; below 0 means none. -1 afterwards.
 *
 * Context: MT-Safe, AS-Safe (keeps errno).
 */
CAROM_API void carom_closep(int *fd);

CAROM_END_DECLS

#endif

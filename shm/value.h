/**
 * DOC: value
 *
 * One number that processes share, or one struct of the program's, with a lock: Python's
 * multiprocessing.Value, and, without the lock, RawValue.
 *
 *	CAROM_CLEANUP(carom_value_freep) struct carom_value *done = NULL;
 *
 *	r = carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int)), &done);
 *	...				// in any process that shares it:
 *	r = carom_value_add(done, 1, &sum);
 *	r = carom_value_set(done, 0);
 *	r = carom_value_get(done, &count);
 *
 * Reading, and then writing what was read and changed, is two calls, between which others
 * come: that goes under the lock, or, for a whole number, by carom_value_add().
 *
 *	struct account *account = carom_value_data(value);
 *
 *	CAROM_HOLDING(r, carom_value_get_lock(value)) {
 *		account->from -= 5;
 *		account->to += 5;
 *	}
 *
 * It is an array of one item: where it lies, how other processes come to it, and what is
 * said of somebody who died with the lock, shm/array.h tells.
 */
#ifndef CAROM_SHM_VALUE_H
#define CAROM_SHM_VALUE_H

#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "heap.h"
#include "typecode.h"
#include "value_lock.h"

CAROM_BEGIN_DECLS

struct carom_value;

/**
 * struct carom_value_options - what carom_value_new() makes
 * @size_bytes: size of this struct; CAROM_VALUE_OPTIONS() fills it in
 * @item:       what it is at first; points at an item of its type; copied. NULL: zero
 *
 * All others are as in struct carom_array_options.
 */
struct carom_value_options {
	size_t size_bytes;
	uint64_t type;
	uint64_t item_size;
	const void *item;
	struct carom_value_lock *lock;
	uint64_t raw;
	struct carom_heap *heap;
	void *storage;
	uint64_t storage_size;
	const char *name;
};
#define CAROM_VALUE_OPTIONS(...) CAROM_OPTIONS(carom_value_options, __VA_ARGS__)

/** carom_value_new() - make a value; all as carom_array_new(). Rows SC-02, SC-04 */
CAROM_API int carom_value_new(const struct carom_value_options *options,
			      struct carom_value **ret_value);

/** carom_value_attach_dup() - as carom_array_attach_dup(); -EBADMSG too: not one item. Row SC-12 */
CAROM_API int carom_value_attach_dup(int fd, struct carom_value_lock *lock,
				     struct carom_value **ret_value);

/** carom_value_attach_at() - as carom_array_attach_at(); -EBADMSG too: not one item */
CAROM_API int carom_value_attach_at(void *storage, uint64_t storage_size,
				    struct carom_value_lock *lock, struct carom_value **ret_value);

/** carom_value_free() - as carom_array_free() */
CAROM_API struct carom_value *carom_value_free(struct carom_value *value);
CAROM_API void carom_value_freep(struct carom_value **value);

/** carom_value_copy() - as carom_array_copy(). Row SC-07 */
CAROM_API int carom_value_copy(struct carom_value *value, const struct carom_value_options *options,
			       struct carom_value **ret_value);

/** carom_value_synchronize() - as carom_array_synchronize(). Row SC-07 */
CAROM_API int carom_value_synchronize(struct carom_value *value, struct carom_value_lock *lock);

/**
 * carom_value_get() - read it: a number as one of any type, or a struct
 * @ret_item: points at a number or a struct; its type is checked as CAROM_TYPE_OF() says
 *
 * Context: as carom_array_get().
 * Return: 0; -EOWNERDEAD, and has done it all the same; what carom_value_lock_acquire()
 * says; -ERANGE (the number is none of that type), -EINVAL (a struct is no number, nor one
 * of another size; and a number with a fraction is no whole one).
 */
#define carom_value_get(value, ret_item) \
	carom_value_load((value), CAROM_TYPE_OF(*(ret_item)), sizeof(*(ret_item)), (ret_item))

/**
 * carom_value_set() - write it
 * @...: a number of any type, or a struct; not a pointer to it
 *
 * Context, and what it returns: as carom_value_get().
 */
#define carom_value_set(value, ...)                                                         \
	__extension__({                                                                     \
		CAROM_AUTO_ carom_item_ = (__VA_ARGS__);                                    \
		carom_value_store((value), CAROM_TYPE_OF(carom_item_), sizeof(carom_item_), \
				  &carom_item_);                                            \
	})

/** carom_value_add() - add to a whole number, in one step; as carom_array_add(). Row SC-06 */
CAROM_API int carom_value_add(struct carom_value *value, int64_t difference, int64_t *ret_sum);

/**
 * carom_value_load() - what the macros call
 * @type, @size: of an item there
 *
 * Context: as carom_array_get_text().
 * Return: as carom_value_get().
 */
CAROM_API int carom_value_load(struct carom_value *value, uint64_t type, uint64_t size,
			       void *ret_item);
CAROM_API int carom_value_store(struct carom_value *value, uint64_t type, uint64_t size,
				const void *item);

/** carom_value_get_lock() - NULL: it has none. Row SC-08. MT-Safe, AS-Safe. */
CAROM_API struct carom_value_lock *carom_value_get_lock(const struct carom_value *value);

/** carom_value_data() - where it lies, for as long as the handle; under the lock. Row SC-08. MT-Safe, AS-Safe. */
CAROM_API void *carom_value_data(const struct carom_value *value);

/** carom_value_type() - of enum carom_typecode. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_value_type(const struct carom_value *value);

/** carom_value_storage() - as carom_array_storage(). MT-Safe, AS-Safe. */
CAROM_API void *carom_value_storage(const struct carom_value *value);

/** carom_value_fd() - as carom_array_fd(). MT-Safe, AS-Safe. */
CAROM_API int carom_value_fd(const struct carom_value *value);

CAROM_END_DECLS

#endif

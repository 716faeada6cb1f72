/**
 * DOC: array
 *
 * An array that processes share, of any of C's numbers (shm/typecode.h) or of structs of the
 * program's, with a lock: Python's multiprocessing.Array, and, without the lock, RawArray.
 *
 *	CAROM_CLEANUP(carom_array_freep) struct carom_array *counts = NULL;
 *
 *	r = carom_array_new(&CAROM_ARRAY_OPTIONS(CAROM_ITEM(int64_t), .count = 26), &counts);
 *	...				// in any process that shares it:
 *	r = carom_array_set(counts, 3, 5);
 *	r = carom_array_get(counts, -1, &last);
 *	r = carom_array_add(counts, 3, 1, NULL);
 *	r = carom_array_read(counts, 0, 26, copy);
 *
 * Each of these calls takes the lock; what is more than one call goes under it as a whole:
 *
 *	struct point *points = carom_array_data(path);
 *
 *	CAROM_HOLDING(r, carom_array_get_lock(path)) {
 *		points[0].x += 1;
 *		points[1].x -= 1;
 *	}
 *
 * The items lie in a segment of their own, or where the options say: in a block of a shared
 * heap, or in memory of the program's. A child made by fork() uses the handle that it
 * inherits. Any other process attaches: to a segment by its descriptor, and to other memory
 * by its address there.
 *
 * Where somebody died with the lock, every call says so with -EOWNERDEAD until
 * carom_value_lock_consistent(), and does what it is for all the same: the items stay
 * readable, and can be put right (shm/value_lock.h).
 *
 * Numbers are read and written by one instruction each, with or without a lock: nobody ever
 * sees a part of one.
 */
#ifndef CAROM_SHM_ARRAY_H
#define CAROM_SHM_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "heap.h"
#include "typecode.h"
#include "value_lock.h"

CAROM_BEGIN_DECLS

struct carom_array;

/**
 * struct carom_array_options - what carom_array_new() makes
 * @size_bytes: size of this struct; CAROM_ARRAY_OPTIONS() fills it in
 * @type:       of enum carom_typecode
 * @item_size:  bytes of an item; 0 for a number. CAROM_ITEM() fills in both
 * @count:      how many items; may be 0
 * @items:      what they are; copied. NULL: all of them are zero
 * @lock:       stands for this array, and for others; stays the caller's, in memory that all
 *              who use the array share. NULL: one of its own
 * @raw:        1: none at all
 * @heap:       where the items lie: in a block of it. NULL: not there
 * @storage:    or here, aligned to 16 bytes. NULL: not there
 * @storage_size: bytes there, carom_array_storage_size() at least
 * @name:       of the segment, if they lie in one; NULL means "carom"
 */
struct carom_array_options {
	size_t size_bytes;
	uint64_t type;
	uint64_t item_size;
	uint64_t count;
	const void *items;
	struct carom_value_lock *lock;
	uint64_t raw;
	struct carom_heap *heap;
	void *storage;
	uint64_t storage_size;
	const char *name;
};
#define CAROM_ARRAY_OPTIONS(...) CAROM_OPTIONS(carom_array_options, __VA_ARGS__)

/** carom_array_storage_size() - bytes of storage for so many items; 0: too many. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_array_storage_size(uint64_t item_size, uint64_t count);

/**
 * carom_array_new() - make an array. Rows SC-03, SC-05, SC-09
 * @options:   read during the call only
 * @ret_array: the caller owns it and ends it with carom_array_free()
 *
 * Context: MT-Safe, AS-Unsafe heap lock.
 * Return: 0, or, with *@ret_array untouched,
 *	-EINVAL    no options; no such type, or not of this size; both a lock and raw, or both
 *	           a heap and storage; storage that is not aligned
 *	-ENOSPC    @options->storage_size is too small
 *	-EOVERFLOW more than fits an address space
 *	-E2BIG     @options sets a field newer than this library
 *	-ENOMEM, and what carom_segment_new(), carom_heap_alloc_owned(), carom_value_lock_init()
 *	           say
 */
CAROM_API int carom_array_new(const struct carom_array_options *options,
			      struct carom_array **ret_array);

/**
 * carom_array_attach_dup() - to one in a segment of its own. Row SC-12
 * @fd:        what carom_array_fd() is where it was made; stays the caller's
 * @lock:      where the lock lies in this process, if one was given; else NULL
 * @ret_array: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or -EINVAL (@lock is needed, or is not), -EBADMSG (no array), and what
 * carom_segment_attach_dup() says.
 */
CAROM_API int carom_array_attach_dup(int fd, struct carom_value_lock *lock,
				     struct carom_array **ret_array);

/**
 * carom_array_attach_at() - to one in a heap, or in storage of the program's
 * @storage: where it lies in this process; carom_array_storage() is it where it was made
 * @storage_size: bytes there, at most
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: as carom_array_attach_dup(); -EINVAL too if @storage is NULL or not aligned.
 */
CAROM_API int carom_array_attach_at(void *storage, uint64_t storage_size,
				    struct carom_value_lock *lock, struct carom_array **ret_array);

/**
 * carom_array_free() - let go of it; others keep theirs. NULL is allowed
 *
 * A block of a heap is given back when the process that made the array frees it: by then
 * nobody may use it any more. If that process dies before, carom_heap_reclaim() gives it
 * back: after that, too. Row SC-13
 *
 * Context: MT-Safe, AS-Unsafe heap lock.
 * Return: NULL.
 */
CAROM_API struct carom_array *carom_array_free(struct carom_array *array);
CAROM_API void carom_array_freep(struct carom_array **array);

/**
 * carom_array_copy() - make another of the same items. Row SC-07
 * @options: where it lies, and its lock; its type, count and items are those of @array, and
 *           not to be told. NULL for all defaults
 *
 * Context: MT-Safe, AS-Unsafe heap lock.
 * Return: as carom_array_new(), or -EOWNERDEAD without a copy.
 */
CAROM_API int carom_array_copy(struct carom_array *array, const struct carom_array_options *options,
			       struct carom_array **ret_array);

/**
 * carom_array_synchronize() - give a raw array a lock. Row SC-07
 * @lock: as in the options; NULL: one of its own
 *
 * For this handle, and for all who attach or are forked from now on; whoever had the array
 * before goes on without. Once, by one process, before others may want the lock.
 *
 * Context: before any other process or thread uses it.
 * Return: 0, -EINVAL (it has one), or what carom_value_lock_init() says.
 */
CAROM_API int carom_array_synchronize(struct carom_array *array, struct carom_value_lock *lock);

/*
 * Context of all that follow, down to carom_array_get_text(): MT-Safe, AS-Unsafe lock; without
 * a lock, AS-Safe. Any process that shares the array. They block while another thread or
 * process has the lock: who cannot wait so long takes it with a deadline before. They return
 * 0; -EOWNERDEAD, and have done it all the same; what carom_value_lock_acquire() says; and
 *
 *	-ERANGE  there is no such item, or not so many
 *	-EINVAL  what the program has is of another kind than the items
 *
 * @index is from 0, and from -1 backwards from the end.
 */

/**
 * carom_array_get() - read an item: a number as one of any type, or a struct
 * @ret_item: points at a number or a struct; its type is checked as CAROM_TYPE_OF() says
 *
 * Return: as told above; -ERANGE too if the number is none of that type.
 */
#define carom_array_get(array, index, ret_item)                                             \
	carom_array_load((array), (index), CAROM_TYPE_OF(*(ret_item)), sizeof(*(ret_item)), \
			 (ret_item))

/**
 * carom_array_set() - write an item
 * @...: a number of any type, or a struct; not a pointer to it
 *
 * Return: as told above; -ERANGE too if the items' type has no such number.
 */
#define carom_array_set(array, index, ...)                                      \
	__extension__({                                                         \
		CAROM_AUTO_ carom_item_ = (__VA_ARGS__);                        \
		carom_array_store((array), (index), CAROM_TYPE_OF(carom_item_), \
				  sizeof(carom_item_), &carom_item_);           \
	})

/**
 * carom_array_add() - add to a whole number, in one step. Row SC-06
 * @difference: may be negative; what does not fit wraps around
 * @ret_sum:    what the number then is; NULL: nobody asks
 */
CAROM_API int carom_array_add(struct carom_array *array, int64_t index, int64_t difference,
			      int64_t *ret_sum);

/**
 * carom_array_read() - copy @count items from @first on
 * @first:     may be the end, if @count is 0
 * @ret_items: points at the first of them, of the items' own type: numbers are not
 *             converted, but a char is any byte
 */
#define carom_array_read(array, first, count, ret_items)                               \
	carom_array_load_slice((array), (first), (count), CAROM_TYPE_OF(*(ret_items)), \
			       sizeof(*(ret_items)), (ret_items))

/** carom_array_write() - likewise: all of them, or none if they do not fit */
#define carom_array_write(array, first, count, items)                               \
	carom_array_store_slice((array), (first), (count), CAROM_TYPE_OF(*(items)), \
				sizeof(*(items)), (items))

/**
 * carom_array_set_text() - write text into an array of chars, as Python's `.value = `
 *
 * With its NUL, if there is room. What stands behind that stays. Bytes of any kind, `.raw`,
 * are read and written by carom_array_read() and carom_array_write(). Row SC-05
 *
 * Return: as told above; -ERANGE: the text is too long.
 */
CAROM_API int carom_array_set_text(struct carom_array *array, const char *text);

/**
 * carom_array_get_text() - read it up to the first NUL, or the array's end
 * @buffer:     gets it with a NUL behind it; the array's count and one more is always enough
 * @size:       bytes there
 * @ret_length: without the NUL; NULL: nobody asks
 *
 * Return: as told above; -EMSGSIZE: @size is too small, *@ret_length is what it is.
 */
CAROM_API int carom_array_get_text(struct carom_array *array, char *buffer, size_t size,
				   size_t *ret_length);

/**
 * carom_array_load() - what the macros call
 * @type, @size: of an item there
 *
 * Context: as carom_array_get_text().
 * Return: as carom_array_get() and the others say.
 */
CAROM_API int carom_array_load(struct carom_array *array, int64_t index, uint64_t type,
			       uint64_t size, void *ret_item);
CAROM_API int carom_array_store(struct carom_array *array, int64_t index, uint64_t type,
				uint64_t size, const void *item);
CAROM_API int carom_array_load_slice(struct carom_array *array, int64_t first, uint64_t count,
				     uint64_t type, uint64_t size, void *ret_items);
CAROM_API int carom_array_store_slice(struct carom_array *array, int64_t first, uint64_t count,
				      uint64_t type, uint64_t size, const void *items);

/** carom_array_get_lock() - NULL: it has none. Row SC-08. MT-Safe, AS-Safe. */
CAROM_API struct carom_value_lock *carom_array_get_lock(const struct carom_array *array);

/** carom_array_data() - where the items lie, for as long as the handle; under the lock. Row SC-08. MT-Safe, AS-Safe. */
CAROM_API void *carom_array_data(const struct carom_array *array);

/** carom_array_len() - how many they are. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_array_len(const struct carom_array *array);

/** carom_array_type() - of enum carom_typecode. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_array_type(const struct carom_array *array);

/** carom_array_item_size() - bytes of an item. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_array_item_size(const struct carom_array *array);

/**
 * carom_array_storage() - where all of it lies, for as long as the handle. MT-Safe, AS-Safe.
 *
 * It begins with 64-bit words, for programs that have no carom: "carom-v1", the letter of
 * the type, the size of an item, how many there are, and how far from here the first is.
 */
CAROM_API void *carom_array_storage(const struct carom_array *array);

/** carom_array_fd() - of its segment, CLOEXEC; stays the array's; -EBADF: it lies elsewhere. MT-Safe, AS-Safe. */
CAROM_API int carom_array_fd(const struct carom_array *array);

CAROM_END_DECLS

#endif

/*
 * Array
 *
 * The items, and how they are read and written; where they lie, array_place.c tells.
 *
 *   N1  A number is read and written by one instruction, whether or not there is a lock:
 *       no reader ever sees a part of one, and no death leaves one. Structs and slices are
 *       copied: a death in between is told of by the lock (shm/value_lock.h), and without
 *       a lock, by nobody.
 *   N2  add() takes the lock as well: one instruction would do against other additions, but
 *       not against somebody who, with the lock, reads, thinks and writes.
 *
 * Deaths: a user of a number leaves the old one or the new one, and its lock to the next,
 * who is told.
 */
#include "shm/array.h"

#include <string.h>

#include "core/points.h"
#include "core/time.h"
#include "shm/array_private.h"
#include "shm/index.h"
#include "shm/number.h"

/* ---- the lock ---- */

int carom_array_lock(const struct carom_array *array)
{
	return array->lock ? carom_value_lock_acquire(array->lock, CAROM_NO_DEADLINE) : 0;
}

void carom_array_unlock(const struct carom_array *array)
{
	if (array->lock)
		carom_value_lock_release(array->lock);
}

/* ---- one item ---- */

#define BY_SIZE(size, DO)             \
	do {                          \
		switch (size) {       \
		case 1:               \
			DO(uint8_t);  \
			break;        \
		case 2:               \
			DO(uint16_t); \
			break;        \
		case 4:               \
			DO(uint32_t); \
			break;        \
		default:              \
			DO(uint64_t); \
		}                     \
	} while (0)

/*
 * N1. A2, R2, A3: who reads a number sees all that was written before it was; A2 and A3
 * pair with R2 and A3. Where there is a lock, that does as much.
 */
static void load_number(const void *place, uint64_t size, uint64_t *ret_bits)
{
#define LOAD(T)                                                                  \
	do {                                                                     \
		T number_ = __atomic_load_n((const T *)place, __ATOMIC_ACQUIRE); \
		memcpy(ret_bits, &number_, sizeof(number_));                     \
	} while (0)
	BY_SIZE(size, LOAD);
#undef LOAD
}

static void store_number(void *place, uint64_t size, const uint64_t *bits)
{
#define STORE(T)                                                         \
	do {                                                             \
		T number_;                                               \
		memcpy(&number_, bits, sizeof(number_));                 \
		__atomic_store_n((T *)place, number_, __ATOMIC_RELEASE); \
	} while (0)
	BY_SIZE(size, STORE);
#undef STORE
}

static void add_number(void *place, uint64_t size, int64_t difference, uint64_t *ret_bits)
{
#define ADD(T)                                                                                    \
	do {                                                                                      \
		T number_ =                                                                       \
			__atomic_add_fetch((T *)place, (T)difference, __ATOMIC_ACQ_REL); /* A3 */ \
		memcpy(ret_bits, &number_, sizeof(number_));                                      \
	} while (0)
	BY_SIZE(size, ADD);
#undef ADD
}

static bool is_struct_of(const struct carom_array *array, uint64_t type, uint64_t size)
{
	return array->type == CAROM_TYPE_STRUCT && type == CAROM_TYPE_STRUCT &&
	       array->item_size == size;
}

static int load_struct(const struct carom_array *array, const void *place, void *ret_item)
{
	int r = carom_array_lock(array);

	if (!carom_array_is_locked(r))
		return r;
	memcpy(ret_item, place, array->item_size);
	carom_array_unlock(array);
	return r;
}

static int load_converted(const struct carom_array *array, const void *place, uint64_t type,
			  void *ret_item)
{
	uint64_t bits = 0;
	int r = carom_array_lock(array), unfit;

	if (!carom_array_is_locked(r))
		return r;
	load_number(place, array->item_size, &bits);
	carom_array_unlock(array);
	unfit = carom_number_convert(array->type, &bits, type, ret_item);
	return unfit ? unfit : r;
}

static int find_item(const struct carom_array *array, int64_t index, void **ret_place)
{
	uint64_t i;
	int r = carom_index_find(index, array->count, &i);

	if (r == 0)
		*ret_place = array->items + i * array->item_size;
	return r;
}

int carom_array_load(struct carom_array *array, int64_t index, uint64_t type, uint64_t size,
		     void *ret_item)
{
	void *place;
	int r = find_item(array, index, &place);

	if (r < 0)
		return r;
	if (is_struct_of(array, type, size))
		return load_struct(array, place, ret_item);
	if (array->type == CAROM_TYPE_STRUCT || type == CAROM_TYPE_STRUCT)
		return -EINVAL;
	return load_converted(array, place, type, ret_item);
}

static int store_struct(const struct carom_array *array, void *place, const void *item)
{
	int r = carom_array_lock(array);

	if (!carom_array_is_locked(r))
		return r;
	CAROM_POINT("value.locked");
	memcpy(place, item, array->item_size);
	CAROM_POINT("value.written");
	carom_array_unlock(array);
	return r;
}

static int store_converted(const struct carom_array *array, void *place, uint64_t type,
			   const void *item)
{
	uint64_t bits = 0;
	int r = carom_number_convert(type, item, array->type, &bits);

	if (r == 0)
		r = carom_array_lock(array);
	if (!carom_array_is_locked(r))
		return r;
	CAROM_POINT("value.locked");
	store_number(place, array->item_size, &bits);
	CAROM_POINT("value.written");
	carom_array_unlock(array);
	return r;
}

int carom_array_store(struct carom_array *array, int64_t index, uint64_t type, uint64_t size,
		      const void *item)
{
	void *place;
	int r = find_item(array, index, &place);

	if (r < 0)
		return r;
	if (is_struct_of(array, type, size))
		return store_struct(array, place, item);
	return store_converted(array, place, type, item);
}

/* as an int64_t; a number of 64 bits without a sign by its bits */
static int64_t as_sum(uint64_t type, uint64_t bits)
{
	int64_t sum;

	if (carom_number_convert(type, &bits, CAROM_TYPE_LLONG, &sum) < 0)
		sum = (int64_t)bits;
	return sum;
}

int carom_array_add(struct carom_array *array, int64_t index, int64_t difference, int64_t *ret_sum)
{
	uint64_t bits = 0;
	void *place;
	int r = find_item(array, index, &place);

	if (r < 0)
		return r;
	if (!carom_number_is_whole(array->type))
		return -EINVAL;
	r = carom_array_lock(array); /* N2 */
	if (!carom_array_is_locked(r))
		return r;
	CAROM_POINT("value.locked");
	add_number(place, array->item_size, difference, &bits);
	CAROM_POINT("value.written");
	carom_array_unlock(array);
	if (ret_sum)
		*ret_sum = as_sum(array->type, bits);
	return r;
}

/* ---- slices ---- */

/* where @count items begin that this access may have; 0, -ERANGE, -EINVAL */
static int find_slice(const struct carom_array *array, int64_t first, uint64_t count, uint64_t type,
		      uint64_t size, unsigned char **ret_place)
{
	uint64_t i = array->count;

	if (first != (int64_t)array->count && carom_index_find(first, array->count, &i) < 0)
		return -ERANGE;
	if (count > array->count - i)
		return -ERANGE;
	if (!is_struct_of(array, type, size) && !carom_number_is_alike(array->type, type))
		return -EINVAL;
	*ret_place = array->items + i * array->item_size;
	return 0;
}

/* the caller may have no array for no items */
static void copy_items(void *to, const void *from, uint64_t count, uint64_t size)
{
	if (count)
		memcpy(to, from, count * size);
}

int carom_array_load_slice(struct carom_array *array, int64_t first, uint64_t count, uint64_t type,
			   uint64_t size, void *ret_items)
{
	unsigned char *place;
	int r = find_slice(array, first, count, type, size, &place);

	if (r == 0)
		r = carom_array_lock(array);
	if (!carom_array_is_locked(r))
		return r;
	copy_items(ret_items, place, count, array->item_size);
	carom_array_unlock(array);
	return r;
}

int carom_array_store_slice(struct carom_array *array, int64_t first, uint64_t count, uint64_t type,
			    uint64_t size, const void *items)
{
	unsigned char *place;
	int r = find_slice(array, first, count, type, size, &place);

	if (r == 0)
		r = carom_array_lock(array);
	if (!carom_array_is_locked(r))
		return r;
	CAROM_POINT("value.locked");
	copy_items(place, items, count, array->item_size);
	CAROM_POINT("value.written");
	carom_array_unlock(array);
	return r;
}

/* ---- text ---- */

int carom_array_set_text(struct carom_array *array, const char *text)
{
	uint64_t length = strlen(text);

	if (array->type != CAROM_TYPE_CHAR)
		return -EINVAL;
	if (length > array->count)
		return -ERANGE;
	return carom_array_write(array, 0, length + (length < array->count), text);
}

int carom_array_get_text(struct carom_array *array, char *buffer, size_t size, size_t *ret_length)
{
	size_t length;
	int r;

	if (array->type != CAROM_TYPE_CHAR)
		return -EINVAL;
	r = carom_array_lock(array);
	if (!carom_array_is_locked(r))
		return r;
	length = strnlen((const char *)array->items, array->count);
	if (length < size) {
		memcpy(buffer, array->items, length);
		buffer[length] = '\0';
	} else {
		r = -EMSGSIZE;
	}
	carom_array_unlock(array);
	if (ret_length)
		*ret_length = length;
	return r;
}

/* ---- looking ---- */

struct carom_value_lock *carom_array_get_lock(const struct carom_array *array)
{
	return array->lock;
}

void *carom_array_data(const struct carom_array *array)
{
	return array->items;
}

uint64_t carom_array_len(const struct carom_array *array)
{
	return array->count;
}

uint64_t carom_array_type(const struct carom_array *array)
{
	return array->type;
}

uint64_t carom_array_item_size(const struct carom_array *array)
{
	return array->item_size;
}

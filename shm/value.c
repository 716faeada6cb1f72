/*
 * Value
 *
 * An array of one item by another name: there is no struct carom_value.
 */
#include "shm/value.h"

#include <errno.h>

#include "core/options.h"
#include "shm/array.h"

static struct carom_array *array_of(const struct carom_value *value)
{
	return (struct carom_array *)value;
}

static void hand_out(struct carom_array *array, struct carom_value **ret_value)
{
	*ret_value = (struct carom_value *)array;
}

/* @count is 1, or, for a copy, not to be told */
static int take_options(const struct carom_value_options *options, uint64_t count,
			struct carom_array_options *ret_options)
{
	struct carom_value_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	*ret_options = CAROM_ARRAY_OPTIONS(.type = o.type, .item_size = o.item_size, .count = count,
					   .items = o.item, .lock = o.lock, .raw = o.raw,
					   .heap = o.heap, .storage = o.storage,
					   .storage_size = o.storage_size, .name = o.name);
	return 0;
}

int carom_value_new(const struct carom_value_options *options, struct carom_value **ret_value)
{
	struct carom_array_options o;
	struct carom_array *array;
	int r = take_options(options, 1, &o);

	if (r == 0)
		r = carom_array_new(&o, &array);
	if (r == 0)
		hand_out(array, ret_value);
	return r;
}

static int hand_out_one(struct carom_array *array, struct carom_value **ret_value)
{
	if (carom_array_len(array) != 1) {
		carom_array_free(array);
		return -EBADMSG;
	}
	hand_out(array, ret_value);
	return 0;
}

int carom_value_attach_dup(int fd, struct carom_value_lock *lock, struct carom_value **ret_value)
{
	struct carom_array *array;
	int r = carom_array_attach_dup(fd, lock, &array);

	return r < 0 ? r : hand_out_one(array, ret_value);
}

int carom_value_attach_at(void *storage, uint64_t storage_size, struct carom_value_lock *lock,
			  struct carom_value **ret_value)
{
	struct carom_array *array;
	int r = carom_array_attach_at(storage, storage_size, lock, &array);

	return r < 0 ? r : hand_out_one(array, ret_value);
}

struct carom_value *carom_value_free(struct carom_value *value)
{
	carom_array_free(array_of(value));
	return NULL;
}

void carom_value_freep(struct carom_value **value)
{
	*value = carom_value_free(*value);
}

int carom_value_copy(struct carom_value *value, const struct carom_value_options *options,
		     struct carom_value **ret_value)
{
	struct carom_array_options o;
	struct carom_array *array;
	int r = take_options(options, 0, &o);

	if (r == 0)
		r = carom_array_copy(array_of(value), &o, &array);
	if (r == 0)
		hand_out(array, ret_value);
	return r;
}

int carom_value_synchronize(struct carom_value *value, struct carom_value_lock *lock)
{
	return carom_array_synchronize(array_of(value), lock);
}

int carom_value_add(struct carom_value *value, int64_t difference, int64_t *ret_sum)
{
	return carom_array_add(array_of(value), 0, difference, ret_sum);
}

int carom_value_load(struct carom_value *value, uint64_t type, uint64_t size, void *ret_item)
{
	return carom_array_load(array_of(value), 0, type, size, ret_item);
}

int carom_value_store(struct carom_value *value, uint64_t type, uint64_t size, const void *item)
{
	return carom_array_store(array_of(value), 0, type, size, item);
}

struct carom_value_lock *carom_value_get_lock(const struct carom_value *value)
{
	return carom_array_get_lock(array_of(value));
}

void *carom_value_data(const struct carom_value *value)
{
	return carom_array_data(array_of(value));
}

uint64_t carom_value_type(const struct carom_value *value)
{
	return carom_array_type(array_of(value));
}

void *carom_value_storage(const struct carom_value *value)
{
	return carom_array_storage(array_of(value));
}

int carom_value_fd(const struct carom_value *value)
{
	return carom_array_fd(array_of(value));
}

/*
 * Array: where it lies
 *
 *	magic | type | item size | count | where items begin | which lock | lock | items
 *
 * 64-bit words of this machine's kind, the letter of the type in the first byte of its
 * word, so that other programs find the items, too. Shared memory is trusted as far as the
 * items go, and no further:
 *
 *   I1  What the head says is read once, checked against the storage's size, and kept in
 *       private memory. Whatever is written there later moves no access.
 *   I2  The magic is written last: who attaches finds all of the rest, or nothing.
 *   I3  The handle that took a block of a heap gives it back, in the process that took it:
 *       a forked child has a copy of the handle, and no say. The heap knows the process as
 *       the block's owner, and can have it back after its death.
 *
 * Deaths: a maker that dies before I2 leaves memory to which nobody can attach. Its own
 * segment is gone with it; a block of a heap is reclaimed (I3).
 */
#include "shm/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/options.h"
#include "core/pid_namespace.h"
#include "core/points.h"
#include "shm/array_private.h"

#define ALIGNMENT 16
#define MAGIC     UINT64_C(0x31762d6d6f726163) /* "carom-v1" where the lowest byte is first */

enum lock_kind {
	LOCK_NONE,
	LOCK_OWN,
	LOCK_GIVEN, /* somewhere else, which whoever attaches has to know */
};

/**
 * struct carom_array_head - the storage begins with it
 * @lock: of LOCK_OWN
 */
struct carom_array_head {
	uint64_t magic;
	uint64_t type;
	uint64_t item_size;
	uint64_t count;
	uint64_t items_offset;
	uint64_t lock_kind;
	struct carom_value_lock lock;
};

/* a line of the cache is the lock's or the items' */
#define ITEMS_OFFSET ((sizeof(struct carom_array_head) + 63) / 64 * 64)

uint64_t carom_array_storage_size(uint64_t item_size, uint64_t count)
{
	uint64_t size;

	if (__builtin_mul_overflow(item_size, count, &size) ||
	    __builtin_add_overflow(size, ITEMS_OFFSET, &size) || size > INT64_MAX)
		return 0;
	return size;
}

/* the size of an item of this type, which may be told; 0: nonsense */
static uint64_t size_of_item(uint64_t type, uint64_t told)
{
	uint64_t size = type == CAROM_TYPE_STRUCT ? told : carom_typecode_size(type);

	return told == 0 || told == size ? size : 0;
}

/* ---- making ---- */

static int take_storage(const struct carom_array_options *o, uint64_t size,
			struct carom_array *array)
{
	if (o->heap || (uintptr_t)o->storage % ALIGNMENT)
		return -EINVAL;
	if (o->storage_size < size)
		return -ENOSPC;
	array->head = o->storage;
	memset(array->head, 0, size);
	return 0;
}

static int take_block(const struct carom_array_options *o, uint64_t size, struct carom_array *array)
{
	void *block;
	int r = carom_heap_alloc_owned(o->heap, size, ALIGNMENT, &block); /* I3 */

	if (r < 0)
		return r;
	array->heap = o->heap;
	array->maker = carom_pid_outside();
	array->head = block;
	memset(block, 0, size);
	return 0;
}

static int take_segment(const struct carom_array_options *o, uint64_t size,
			struct carom_array *array)
{
	int r = carom_segment_new(&CAROM_SEGMENT_OPTIONS(.name = o->name, .size = size),
				  &array->segment);

	if (r == 0)
		array->head = carom_segment_data(array->segment);
	return r;
}

/* zeroed */
static int find_storage(const struct carom_array_options *o, uint64_t size,
			struct carom_array *array)
{
	if (o->storage)
		return take_storage(o, size, array);
	return o->heap ? take_block(o, size, array) : take_segment(o, size, array);
}

static int make_lock(const struct carom_array_options *o, struct carom_array *array)
{
	array->lock = o->lock;
	array->head->lock_kind = o->lock ? LOCK_GIVEN : LOCK_NONE;
	if (o->raw || o->lock)
		return 0;
	array->lock = &array->head->lock;
	array->head->lock_kind = LOCK_OWN;
	return carom_value_lock_init(array->lock);
}

static void fill(struct carom_array *array, const void *items)
{
	struct carom_array_head *head = array->head;

	array->items = (unsigned char *)head + ITEMS_OFFSET;
	if (items && array->count)
		memcpy(array->items, items, array->item_size * array->count);
	head->type = array->type;
	head->item_size = array->item_size;
	head->count = array->count;
	head->items_offset = ITEMS_OFFSET;
	/* R1: I2; pairs with A1 in take_head() */
	__atomic_store_n(&head->magic, MAGIC, __ATOMIC_RELEASE);
}

/* @array holds what there is of it when this fails */
static int make(const struct carom_array_options *o, struct carom_array *array)
{
	uint64_t size;
	int r;

	array->type = o->type;
	array->item_size = size_of_item(o->type, o->item_size);
	array->count = o->count;
	if (array->item_size == 0 || (o->raw && o->lock))
		return -EINVAL;
	size = carom_array_storage_size(array->item_size, array->count);
	if (size == 0)
		return -EOVERFLOW;
	r = find_storage(o, size, array);
	if (r == 0)
		r = make_lock(o, array);
	if (r < 0)
		return r;
	CAROM_POINT("value.placed");
	fill(array, o->items);
	return 0;
}

int carom_array_new(const struct carom_array_options *options, struct carom_array **ret_array)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *array = NULL;
	struct carom_array_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	array = calloc(1, sizeof(*array));
	if (!array)
		return -ENOMEM;
	r = make(&o, array);
	if (r < 0)
		return r;
	*ret_array = carom_take_ptr(array);
	return 0;
}

/* ---- attaching ---- */

/* A lock is told if, and only if, it is not the storage's own. */
static int find_lock(struct carom_array *array, uint64_t kind, struct carom_value_lock *given)
{
	if (kind > LOCK_GIVEN)
		return -EBADMSG;
	if ((kind == LOCK_GIVEN) != (given != NULL))
		return -EINVAL;
	array->lock = kind == LOCK_OWN ? &array->head->lock : given;
	return 0;
}

/* I1 */
static int take_head(struct carom_array *array, uint64_t storage_size,
		     struct carom_value_lock *given)
{
	const volatile struct carom_array_head *head = array->head;
	uint64_t needed;

	/* A1: I2; pairs with R1 in fill() */
	if (storage_size < ITEMS_OFFSET || __atomic_load_n(&head->magic, __ATOMIC_ACQUIRE) != MAGIC)
		return -EBADMSG;
	array->type = head->type;
	array->item_size = head->item_size;
	array->count = head->count;
	needed = carom_array_storage_size(array->item_size, array->count);
	if (array->item_size == 0 || size_of_item(array->type, array->item_size) == 0 ||
	    needed == 0 || needed > storage_size || head->items_offset != ITEMS_OFFSET)
		return -EBADMSG;
	array->items = (unsigned char *)array->head + ITEMS_OFFSET;
	return find_lock(array, head->lock_kind, given);
}

int carom_array_attach_dup(int fd, struct carom_value_lock *lock, struct carom_array **ret_array)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *array = calloc(1, sizeof(*array));
	int r;

	if (!array)
		return -ENOMEM;
	r = carom_segment_attach_dup(fd, 0, &array->segment);
	if (r < 0)
		return r;
	array->head = carom_segment_data(array->segment);
	r = take_head(array, carom_segment_size(array->segment), lock);
	if (r < 0)
		return r;
	*ret_array = carom_take_ptr(array);
	return 0;
}

int carom_array_attach_at(void *storage, uint64_t storage_size, struct carom_value_lock *lock,
			  struct carom_array **ret_array)
{
	CAROM_CLEANUP(carom_array_freep) struct carom_array *array = NULL;
	int r;

	if (!storage || (uintptr_t)storage % ALIGNMENT)
		return -EINVAL;
	array = calloc(1, sizeof(*array));
	if (!array)
		return -ENOMEM;
	array->head = storage;
	r = take_head(array, storage_size, lock);
	if (r < 0)
		return r;
	*ret_array = carom_take_ptr(array);
	return 0;
}

/* I3. Nobody attaches to what has been given back. */
static void give_back(struct carom_array *array)
{
	array->head->magic = 0;
	carom_heap_dealloc(array->heap, array->head);
}

struct carom_array *carom_array_free(struct carom_array *array)
{
	if (!array)
		return NULL;
	if (array->heap && array->maker == carom_pid_outside())
		give_back(array);
	carom_segment_free(array->segment);
	free(array);
	return NULL;
}

void carom_array_freep(struct carom_array **array)
{
	*array = carom_array_free(*array);
}

/* ---- from one that is there ---- */

/* a copy of what is torn would not say so */
int carom_array_copy(struct carom_array *array, const struct carom_array_options *options,
		     struct carom_array **ret_array)
{
	struct carom_array_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.type || o.item_size || o.count || o.items)
		return -EINVAL;
	o.size_bytes = sizeof(o); /* none were given */
	o.type = array->type;
	o.item_size = array->item_size;
	o.count = array->count;
	o.items = array->items;
	r = carom_array_lock(array);
	if (!carom_array_is_locked(r))
		return r;
	if (r == 0)
		r = carom_array_new(&o, ret_array);
	carom_array_unlock(array);
	return r;
}

int carom_array_synchronize(struct carom_array *array, struct carom_value_lock *lock)
{
	struct carom_array_head *head = array->head;
	int r;

	if (array->lock)
		return -EINVAL;
	if (lock) {
		head->lock_kind = LOCK_GIVEN;
		array->lock = lock;
		return 0;
	}
	r = carom_value_lock_init(&head->lock);
	if (r < 0)
		return r;
	head->lock_kind = LOCK_OWN;
	array->lock = &head->lock;
	return 0;
}

/* ---- where ---- */

void *carom_array_storage(const struct carom_array *array)
{
	return array->head;
}

int carom_array_fd(const struct carom_array *array)
{
	return array->segment ? carom_segment_fd(array->segment) : -EBADF;
}

/*
 * Primitive
 *
 *	+-------------+-------+------------------------+ - - - - +
 *	| magic, size | state | roll: a row a process  |  extra  |
 *	+-------------+-------+------------------------+ - - - - +
 *
 * Rows that nobody used cost nothing: the file is as large as it could become, and pages
 * come when they are touched.
 *
 * `origin` is stored after `row` and `keeper`, and checked before they are read: it is
 * another value in every process, so a child by fork() sees that the row is its parent's.
 */
#include "shm/primitive.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "core/cleanup.h"
#include "core/fork_lock.h"
#include "core/points.h"
#include "core/probe.h"
#include "shm/memfd.h"

static CAROM_FORK_LOCK(entering);

static uint32_t roll_offset(const struct carom_primitive_kind *kind)
{
	uint32_t end = sizeof(struct carom_primitive_file) + kind->state_size;

	return (end + 63) & ~63U;
}

static int map(struct carom_primitive *primitive)
{
	void *data;
	int r = carom_memfd_map(primitive->fd, NULL, primitive->size, &data);

	if (r < 0)
		return r;
	primitive->file = data;
	return 0;
}

/* Where what is extra begins. */
static uint64_t extra_offset(const struct carom_primitive_kind *kind, uint32_t capacity)
{
	return carom_page_ceil(roll_offset(kind) + carom_roll_size(capacity));
}

static void find_parts(struct carom_primitive *primitive, uint32_t capacity)
{
	char *file = (char *)primitive->file;

	primitive->roll = (struct carom_roll *)(file + roll_offset(primitive->kind));
	primitive->extra = file + extra_offset(primitive->kind, capacity);
}

static int init(struct carom_primitive *primitive, const struct carom_primitive_kind *kind,
		const char *name, uint32_t capacity, uint64_t extra_size)
{
	int r;

	primitive->fd = -1;
	primitive->kind = kind;
	if (capacity > CAROM_ROLL_CAPACITY_MAX || extra_size >= UINT64_C(1) << 44)
		return -EINVAL;
	if (!carom_probe(CAROM_FEATURE_ROBUST_LIST))
		return -EOPNOTSUPP;
	primitive->size = extra_offset(kind, capacity) + carom_page_ceil(extra_size);
	r = carom_memfd_new(name ? name : kind->name, primitive->size, &primitive->fd);
	if (r == 0 && extra_size > 0)
		r = carom_memfd_reserve(primitive->fd, extra_offset(kind, capacity));
	if (r < 0 || (r = map(primitive)) < 0)
		return r;
	find_parts(primitive, capacity);
	carom_roll_init(primitive->roll, capacity);
	primitive->file->roll = roll_offset(kind);
	primitive->file->extra_pages = (uint32_t)(carom_page_ceil(extra_size) / carom_page_ceil(1));
	primitive->file->size = primitive->size;
	primitive->file->magic = kind->magic;
	return 0;
}

int carom_primitive_init(struct carom_primitive *primitive, const struct carom_primitive_kind *kind,
			 const char *name, uint32_t process_max)
{
	return carom_primitive_init_with(primitive, kind, name, process_max, 0);
}

int carom_primitive_init_with(struct carom_primitive *primitive,
			      const struct carom_primitive_kind *kind, const char *name,
			      uint32_t process_max, uint64_t extra_size)
{
	return init(primitive, kind, name, process_max ? process_max : CAROM_PRIMITIVE_PROCESSES,
		    extra_size);
}

int carom_primitive_reserve(const struct carom_primitive *primitive, uint64_t offset, uint64_t size)
{
	uint64_t begin = (uint64_t)((char *)primitive->extra - (char *)primitive->file);

	return carom_memfd_reserve_from(primitive->fd, begin + offset, size);
}

/* Once checked it is believed: who shares a primitive is trusted not to change it. */
static int check(struct carom_primitive *primitive, const struct carom_primitive_kind *kind)
{
	const struct carom_primitive_file *file = primitive->file;
	uint32_t roll = roll_offset(kind), capacity;

	if (primitive->size < roll + carom_roll_size(1))
		return -EBADMSG;
	if (file->magic != kind->magic || file->size != primitive->size || file->roll != roll)
		return -EBADMSG;
	capacity = ((const struct carom_roll *)((const char *)file + roll))->capacity;
	if (extra_offset(kind, capacity) + file->extra_pages * carom_page_ceil(1) != file->size)
		return -EBADMSG;
	find_parts(primitive, capacity);
	return 0;
}

int carom_primitive_attach(struct carom_primitive *primitive,
			   const struct carom_primitive_kind *kind, int fd)
{
	int r;

	primitive->fd = -1;
	primitive->kind = kind;
	if (!carom_probe(CAROM_FEATURE_ROBUST_LIST))
		return -EOPNOTSUPP;
	r = carom_memfd_check(fd, &primitive->size);
	if (r < 0)
		return r;
	primitive->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (primitive->fd < 0)
		return -errno;
	r = map(primitive);
	return r < 0 ? r : check(primitive, kind);
}

void carom_primitive_deinit(struct carom_primitive *primitive, bool has_something)
{
	if (primitive->roll && carom_primitive_has_entered(primitive)) {
		if (has_something)
			carom_roll_break_off(primitive->roll, primitive->row, primitive->keeper);
		else
			carom_roll_leave(primitive->roll, primitive->row, primitive->keeper);
	}
	if (primitive->file)
		munmap(primitive->file, primitive->size);
	carom_closep(&primitive->fd);
}

void carom_primitive_bury(struct carom_primitive *primitive, uint32_t name)
{
	if (carom_primitive_has_entered(primitive))
		carom_roll_bury(primitive->roll, name);
	else
		primitive->heir_of = name;
}

/* All rows are somebody's. Return: -EBUSY: others were faster, there may be room. */
static int inherit(struct carom_primitive *primitive)
{
	if (!carom_roll_next_dead(primitive->roll, 0, 0))
		return -EUSERS;
	primitive->heir_of = 0;
	primitive->kind->bury(primitive);
	CAROM_POINT("primitive.inheriting");
	if (!primitive->heir_of) /* somebody was stopped, or they are buried */
		return carom_roll_enter(primitive->roll, &primitive->name, &primitive->keeper);
	return carom_roll_take_over(primitive->roll, primitive->heir_of, &primitive->name,
				    &primitive->keeper);
}

static int enter(struct carom_primitive *primitive)
{
	int r;

	do {
		r = carom_roll_enter(primitive->roll, &primitive->name, &primitive->keeper);
		if (r == -EUSERS)
			r = inherit(primitive);
	} while (r == -EBUSY);
	if (r == 0)
		primitive->row = carom_roll_row_of(primitive->name);
	return r;
}

int carom_primitive_enter(struct carom_primitive *primitive, uint32_t *ret_row)
{
	int r = 0;

	carom_fork_lock_acquire(&entering);
	if (!carom_primitive_has_entered(primitive)) {
		r = enter(primitive);
		if (r == 0) /* release: after row, name and keeper */
			atomic_store_explicit(&primitive->origin, carom_origin(),
					      memory_order_release);
	}
	if (r == 0)
		*ret_row = primitive->row;
	carom_fork_lock_release(&entering);
	return r;
}

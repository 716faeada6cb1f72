/*
 * Segment
 *
 * A handle in private memory around one mapping of a sealed memfd. A child made
 * by fork() gets a copy of the handle that is right for it: same address, a
 * descriptor of its own number. Freeing either leaves the other whole.
 *
 *   I1  The mapping covers the whole file and the file's size never changes, so
 *       no access within carom_segment_size() bytes can fault on the file's end.
 *   I2  The descriptor and the mapping belong to the handle alone.
 */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/options.h"
#include "shm/memfd.h"
#include "shm/segment_private.h"

/**
 * struct carom_segment - one mapping
 * @data: NULL while half-built
 * @size: bytes mapped, which is the whole file
 * @fd:   -1 while half-built
 */
struct carom_segment {
	void *data;
	uint64_t size;
	int fd;
};

static struct carom_segment *new_handle(uint64_t size)
{
	struct carom_segment *segment = calloc(1, sizeof(*segment));

	if (segment) {
		segment->size = size;
		segment->fd = -1;
	}
	return segment;
}

/* @segment holds its descriptor: what is left is the same for maker and attacher. */
static int map(struct carom_segment *segment, uint64_t populate_size)
{
	int r = carom_memfd_map(segment->fd, NULL, segment->size, &segment->data);

	if (r < 0)
		return r;
	if (populate_size > segment->size)
		populate_size = segment->size;
	return carom_memfd_populate(segment->fd, segment->data, populate_size);
}

/* @segment is left half-built if that fails. The seal comes last: see shm/memfd.c */
static int make(struct carom_segment *segment, const struct carom_segment_options *o, uint64_t size,
		bool is_huge)
{
	int r = carom_memfd_make(o->name ? o->name : "carom", size, is_huge, &segment->fd,
				 &segment->size);

	if (r == 0 && o->reserve)
		r = carom_memfd_reserve(segment->fd, segment->size);
	if (r == 0)
		r = map(segment, o->populate_size);
	if (r == 0)
		r = carom_memfd_seal(segment->fd, o->others_read);
	return r;
}

/* What there is no way around, whatever the pages. */
static bool is_final(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -EFBIG;
}

/* Return: 0; 1: of ordinary pages then; or why not. */
static int make_huge(const struct carom_segment_options *o, uint64_t size,
		     struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_handle(size);
	int r = segment ? make(segment, o, size, true) : -ENOMEM;

	if (r == 0)
		*ret_segment = carom_take_ptr(segment);
	else if (o->huge_pages == CAROM_HUGE_PAGES_WISHED && !is_final(r))
		return 1;
	else if (r == -EINVAL || r == -ENOSYS || r == -ENODEV || r == -ENOENT)
		return -EOPNOTSUPP;
	return r;
}

static int make_ordinary(const struct carom_segment_options *o, uint64_t size,
			 struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_handle(size);
	int r = segment ? make(segment, o, size, false) : -ENOMEM;

	if (r == 0)
		*ret_segment = carom_take_ptr(segment);
	return r;
}

int carom_segment_new(const struct carom_segment_options *options,
		      struct carom_segment **ret_segment)
{
	struct carom_segment_options o;
	uint64_t size;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.size == 0 || o.huge_pages > CAROM_HUGE_PAGES_REQUIRED)
		return -EINVAL;
	size = carom_page_ceil(o.size);
	if (size == 0 || size > SIZE_MAX)
		return -EOVERFLOW;
	r = o.huge_pages ? make_huge(&o, size, ret_segment) : 1;
	return r <= 0 ? r : make_ordinary(&o, size, ret_segment);
}

/* @fd was checked. */
static int take_dup(int fd, uint64_t size, struct carom_segment **ret_segment)
{
	*ret_segment = new_handle(size);
	if (!*ret_segment)
		return -ENOMEM;
	(*ret_segment)->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return (*ret_segment)->fd < 0 ? -errno : 0;
}

int carom_segment_attach_dup(int fd, uint64_t populate_size, struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	uint64_t size;
	int r = carom_memfd_check(fd, &size);

	if (r == 0)
		r = take_dup(fd, size, &segment);
	if (r == 0)
		r = map(segment, populate_size);
	if (r < 0)
		return r;
	*ret_segment = carom_take_ptr(segment);
	return 0;
}

int carom_segment_attach_read_only_dup(int fd, struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	uint64_t size;
	int r = carom_memfd_check_readable(fd, &size);

	if (r == 0)
		r = take_dup(fd, size, &segment);
	if (r == 0)
		r = carom_memfd_map_readable(segment->fd, size, &segment->data);
	if (r < 0)
		return r;
	*ret_segment = carom_take_ptr(segment);
	return 0;
}

struct carom_segment *carom_segment_free(struct carom_segment *segment)
{
	if (!segment)
		return NULL;
	if (segment->data)
		munmap(segment->data, segment->size);
	carom_closep(&segment->fd);
	free(segment);
	return NULL;
}

void carom_segment_freep(struct carom_segment **segment)
{
	*segment = carom_segment_free(*segment);
}

void *carom_segment_data(const struct carom_segment *segment)
{
	return segment->data;
}

uint64_t carom_segment_size(const struct carom_segment *segment)
{
	return segment->size;
}

int carom_segment_fd(const struct carom_segment *segment)
{
	return segment->fd;
}

uint64_t carom_segment_huge_page_size(const struct carom_segment *segment)
{
	return carom_memfd_huge_page_size(segment->fd);
}

uint64_t carom_segment_offset(const struct carom_segment *segment, const void *pointer)
{
	uint64_t offset = (uintptr_t)pointer - (uintptr_t)segment->data;

	return offset < segment->size ? offset : UINT64_MAX;
}

void *carom_segment_at(const struct carom_segment *segment, uint64_t offset, uint64_t size)
{
	if (offset >= segment->size || size > segment->size - offset)
		return NULL;
	return (unsigned char *)segment->data + offset;
}

void carom_segment_lose_fd(struct carom_segment *segment)
{
	segment->fd = -1;
}

void carom_segment_close_fd(struct carom_segment *segment)
{
	carom_closep(&segment->fd);
	segment->fd = -1;
}

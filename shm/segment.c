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

int carom_segment_new(const struct carom_segment_options *options,
		      struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct carom_segment_options o;
	uint64_t size;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.size == 0)
		return -EINVAL;
	size = carom_page_ceil(o.size);
	if (size == 0 || size > SIZE_MAX)
		return -EOVERFLOW;
	segment = new_handle(size);
	if (!segment)
		return -ENOMEM;
	r = carom_memfd_new(o.name ? o.name : "carom", size, &segment->fd);
	if (r < 0)
		return r;
	r = map(segment, o.populate_size);
	if (r < 0)
		return r;
	*ret_segment = carom_take_ptr(segment);
	return 0;
}

int carom_segment_attach_dup(int fd, uint64_t populate_size, struct carom_segment **ret_segment)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	uint64_t size;
	int r = carom_memfd_check(fd, &size);

	if (r < 0)
		return r;
	segment = new_handle(size);
	if (!segment)
		return -ENOMEM;
	segment->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (segment->fd < 0)
		return -errno;
	r = map(segment, populate_size);
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

void carom_segment_lose_fd(struct carom_segment *segment)
{
	segment->fd = -1;
}

void carom_segment_close_fd(struct carom_segment *segment)
{
	carom_closep(&segment->fd);
	segment->fd = -1;
}

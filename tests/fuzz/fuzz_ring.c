/*
 * Fuzz: ring
 *
 * The input is what a hostile process does to a ring's memory, and when: writes of
 * any word between the calls of an honest user of both ends, who must see nothing but
 * documented errors and no record that is not within the memory.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/ring.h"
#include "ipc/ring_layout.h"

#define CAPACITY 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input; zeros after its end. */
struct input {
	const uint8_t *data;
	size_t size;
};

static struct carom_ring *original; /* never freed: it lives as long as the program */
static unsigned char *memory;       /* the hostile process's mapping */

static void require(bool promised)
{
	if (!promised)
		abort();
}

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes && input->size > 0; i++, input->data++, input->size--)
		value |= (uint64_t)*input->data << 8 * i;
	return value;
}

static void make_ring(void)
{
	require(carom_ring_new(&CAROM_RING_OPTIONS(.size = CAPACITY), &original) == 0);
	memory = mmap(NULL, CAROM_RING_DATA_OFFSET + CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED,
		      carom_ring_fd(original), 0);
	require(memory != MAP_FAILED);
}

static void make_new_again(void)
{
	struct carom_ring_shared *shared = (struct carom_ring_shared *)(void *)memory;

	memset(memory, 0, CAROM_RING_DATA_OFFSET + CAPACITY);
	atomic_store(&shared->capacity, CAPACITY);
	atomic_store(&shared->magic, CAROM_RING_MAGIC);
}

/* The user's mapping lies elsewhere, at a page; the records are that page's first bytes. */
static void require_inside(const void *data, size_t size)
{
	size_t offset = (uintptr_t)data % 4096;

	require(offset >= 8 && size <= CAPACITY / 2 - 8 && offset + size <= CAPACITY);
	require(memcmp((const char *)data - offset, memory + CAROM_RING_DATA_OFFSET, CAPACITY) ==
		0);
}

static void require_documented(int r)
{
	require(r == 0 || r == -EAGAIN || r == -EPIPE || r == -EBADMSG);
}

static void write_header_word(struct input *input)
{
	size_t word = take(input, 1) % (sizeof(struct carom_ring_shared) / 8);
	uint64_t value = take(input, 8);

	memcpy(memory + word * 8, &value, 8);
}

static void write_index(struct input *input)
{
	struct carom_ring_shared *shared = (struct carom_ring_shared *)(void *)memory;
	uint64_t end = take(input, 1) % 2;

	atomic_fetch_add(&shared->sides[end].index, (uint64_t)(int64_t)(int8_t)take(input, 1) * 4);
}

static void write_record_word(struct input *input)
{
	size_t word = take(input, 1) % (CAPACITY / 8);
	uint32_t kind = take(input, 1) % 2 ? CAROM_RING_RECORD : CAROM_RING_WRAP;
	uint64_t value = carom_ring_word(kind, (uint32_t)take(input, 4));

	memcpy(memory + CAROM_RING_DATA_OFFSET + word * 8, &value, 8);
}

static void attach_again(struct carom_ring **ring)
{
	struct carom_ring *other = NULL;
	int r = carom_ring_attach_dup(carom_ring_fd(original), &other);

	require(r == 0 || r == -EBADMSG);
	/* a header may say that the ring fills its pages, which is none of this target's */
	if (r == 0 && carom_ring_record_max(other) == carom_ring_record_max(*ring)) {
		carom_ring_free(*ring);
		*ring = other;
	} else if (r == 0) {
		carom_ring_free(other);
	}
}

static void receive(struct carom_ring *ring, bool and_release)
{
	const void *data;
	size_t size;
	int r = carom_ring_receive(ring, CAROM_PASSED, &data, &size);

	require_documented(r);
	if (r == 0)
		require_inside(data, size);
	if (r == 0 && and_release)
		require(carom_ring_release(ring) == 0);
}

static void send(struct carom_ring *ring, size_t size)
{
	void *room;
	int r = carom_ring_reserve(ring, size, CAROM_PASSED, &room);

	if (size > carom_ring_record_max(ring)) {
		require(r == -EMSGSIZE);
		return;
	}
	require_documented(r);
	if (r < 0)
		return;
	require_inside(room, size);
	memset(room, 0xA5, size);
	require(carom_ring_commit(ring, size / 2 * 2) == 0);
}

static void step(struct input *input, struct carom_ring **ring)
{
	switch (take(input, 1) % 7) {
	case 0:
		return write_header_word(input);
	case 1:
		return write_index(input);
	case 2:
		return write_record_word(input);
	case 3:
		return attach_again(ring);
	case 4:
		return receive(*ring, true);
	case 5:
		return receive(*ring, false);
	default:
		return send(*ring, take(input, 1) % 128);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
	struct input input = { data, size };

	if (!memory)
		make_ring();
	make_new_again();
	require(carom_ring_attach_dup(carom_ring_fd(original), &ring) == 0);
	while (input.size > 0)
		step(&input, &ring);
	return 0;
}

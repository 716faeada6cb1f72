/*
 * Hostile fields: all that a worker may write in the lane that is its own, field by field, and
 * the values at the edge of what each may hold.
 *
 * A lane has more words than these (a ring of cells, 64 slots), which are alike: of each kind
 * there are those that the parent looks at when the worker has one task, and one beside them.
 */
#ifndef TESTS_CHAOS_HOSTILE_FIELDS_H
#define TESTS_CHAOS_HOSTILE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "core/time.h"
#include "ipc/lane_private.h"

enum hostile_place {
	HOSTILE_HEADER,
	HOSTILE_WORKER,
	HOSTILE_RING,
	HOSTILE_NOTICES,
	HOSTILE_SLOT,
	HOSTILE_SLOT_BESIDE,
	HOSTILE_USAGE,
};

/**
 * struct hostile_field
 * @offset: from where its place begins
 * @size:   4 or 8
 */
struct hostile_field {
	const char *name;
	enum hostile_place place;
	uint32_t offset;
	uint32_t size;
};

#define HOSTILE_FIELD(place, type, field)                                        \
	{                                                                        \
#field, place, offsetof(type, field), sizeof(((type *)0)->field) \
	}
#define OF_HEADER(field) HOSTILE_FIELD(HOSTILE_HEADER, struct lane_header, field)
#define OF_WORKER(field) HOSTILE_FIELD(HOSTILE_WORKER, struct carom_lane_worker, field)
#define OF_SLOT(field)   HOSTILE_FIELD(HOSTILE_SLOT, struct carom_slot, field)
#define OF_BESIDE(field) HOSTILE_FIELD(HOSTILE_SLOT_BESIDE, struct carom_slot, field)
#define OF_USAGE(field)  HOSTILE_FIELD(HOSTILE_USAGE, struct carom_lane_usage, field)

static const struct hostile_field hostile_fields[] = {
	OF_HEADER(magic),
	OF_HEADER(worker_count),
	OF_HEADER(slot_count),
	OF_HEADER(ring_count),
	OF_HEADER(backlog_max),
	OF_HEADER(kind),
	OF_HEADER(arena_count),
	OF_HEADER(payload_size),
	OF_HEADER(spin_ns),
	OF_HEADER(workers_offset),
	OF_HEADER(ring_offset),
	OF_HEADER(notices_offset),
	OF_HEADER(slots_offset),
	OF_HEADER(usages_offset),
	OF_HEADER(control_size),
	OF_HEADER(head),
	OF_HEADER(idle[0]),
	OF_HEADER(idle[1]),
	OF_HEADER(spinning[0]),
	OF_HEADER(awake[0]),
	OF_HEADER(stop),
	OF_HEADER(watcher_count),
	OF_HEADER(used_count),
	OF_HEADER(ended_event),
	OF_HEADER(ready_event),
	OF_HEADER(armed),
	OF_HEADER(ring_after),
	OF_WORKER(wake),
	OF_WORKER(cpu),
	OF_WORKER(dismissed),
	OF_WORKER(life.word),
	OF_WORKER(life.link.previous),
	OF_WORKER(life.link.next),
	OF_WORKER(ready_ns),
	OF_WORKER(returned),
	{ "ring[0]", HOSTILE_RING, 0, 8 },
	{ "ring[1]", HOSTILE_RING, 8, 8 },
	{ "notices[0]", HOSTILE_NOTICES, 0, 8 },
	OF_SLOT(word),
	OF_SLOT(function),
	OF_SLOT(argument_size),
	{ "flags", HOSTILE_SLOT, offsetof(struct carom_slot, argument_size) + 8, 8 },
	OF_SLOT(argument.offset),
	OF_SLOT(code),
	OF_SLOT(pid),
	OF_SLOT(value_size),
	OF_SLOT(started_ns),
	OF_SLOT(ended_ns),
	OF_SLOT(value.offset),
	OF_SLOT(value.reserved), /* and progress */
	OF_BESIDE(word),
	OF_BESIDE(value_size),
	OF_BESIDE(value.offset),
	OF_BESIDE(value.reserved),
	OF_USAGE(cpu_ns),
	OF_USAGE(peak_bytes),
};

#define HOSTILE_FIELDS (sizeof(hostile_fields) / sizeof(hostile_fields[0]))

static const uint64_t hostile_plain_corners[] = {
	0,
	1,
	2,
	3,
	31,
	32,
	33,
	63,
	64,
	65,
	0x7fffffff,
	0x80000000,
	0x80000001,
	0xffffc001,
	0xffffffff,
	UINT64_C(0x100000000),
	UINT64_C(0x100000001),
	UINT64_C(0x7fffffffffffffff),
	UINT64_C(0x8000000000000000),
	UINT64_C(0x8000000000000001),
	UINT64_MAX - 63,
	UINT64_MAX - 1,
	UINT64_MAX,
};

#define HOSTILE_PLAIN_CORNERS (sizeof(hostile_plain_corners) / sizeof(hostile_plain_corners[0]))
#define HOSTILE_CORNERS       (HOSTILE_PLAIN_CORNERS + 9)

/*
 * hostile_corner() - the one of that number
 * @size: of what is allocated from, which is a power of two
 */
static inline uint64_t hostile_corner(size_t index, uint64_t size)
{
	switch (index) {
	case HOSTILE_PLAIN_CORNERS:
		return size - 1;
	case HOSTILE_PLAIN_CORNERS + 1:
		return size;
	case HOSTILE_PLAIN_CORNERS + 2:
		return size + 1;
	case HOSTILE_PLAIN_CORNERS + 3:
		return size / 2;
	case HOSTILE_PLAIN_CORNERS + 4:
		return size - 64;
	case HOSTILE_PLAIN_CORNERS + 5:
		return UINT64_C(0) - size; /* and with it, 0 again */
	case HOSTILE_PLAIN_CORNERS + 6:
		return carom_now() - CAROM_NS_PER_SEC;
	case HOSTILE_PLAIN_CORNERS + 7:
		return carom_now();
	case HOSTILE_PLAIN_CORNERS + 8:
		return carom_now() + CAROM_NS_PER_SEC;
	default:
		return hostile_plain_corners[index];
	}
}

/* another one of the same bits is not written twice */
static inline bool hostile_corner_fits(const struct hostile_field *field, uint64_t value)
{
	return field->size == 8 || value <= UINT32_MAX;
}

/* in a worker's own lane, of which both sides have these pointers for themselves */
static inline void *hostile_address(const struct carom_lane *own, uint32_t slot,
				    const struct hostile_field *field)
{
	uint32_t beside = (slot + 1) % own->view.slot_count;
	unsigned char *places[] = {
		[HOSTILE_HEADER] = (void *)own->header,
		[HOSTILE_WORKER] = (void *)own->workers,
		[HOSTILE_RING] = (void *)own->ring,
		[HOSTILE_NOTICES] = (void *)own->notices,
		[HOSTILE_SLOT] = (void *)&own->view.slots[slot],
		[HOSTILE_SLOT_BESIDE] = (void *)&own->view.slots[beside],
		[HOSTILE_USAGE] = (void *)&own->view.usages[slot],
	};

	return places[field->place] + field->offset;
}

static inline void hostile_write(const struct carom_lane *own, uint32_t slot,
				 const struct hostile_field *field, uint64_t value)
{
	void *address = hostile_address(own, slot, field);

	if (field->size == 8)
		atomic_store((_Atomic uint64_t *)address, value);
	else
		atomic_store((_Atomic uint32_t *)address, (uint32_t)value);
}

#endif

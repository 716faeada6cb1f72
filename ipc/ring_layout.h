/*
 * Ring layout
 *
 * What stands in a ring's memory, for ring.c and for tests that write nonsense
 * into it. Nothing in here is trusted by anybody.
 */
#ifndef CAROM_IPC_RING_LAYOUT_H
#define CAROM_IPC_RING_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "shm/life.h"

#define CAROM_RING_MAGIC UINT64_C(0x32676e69726d6163) /* "camring2" */

/*
 * The upper half of a record's header; anything else is nonsense. Those of the second kind
 * are the parts of a message that is longer than a record, and are for pipes alone.
 */
#define CAROM_RING_RECORD UINT32_C(0x64636572) /* "recd" */
#define CAROM_RING_WRAP   UINT32_C(0x70617277) /* "wrap" */
#define CAROM_RING_FIRST  UINT32_C(0x74737266) /* "frst": its first 8 bytes say how long it is */
#define CAROM_RING_NEXT   UINT32_C(0x7478656e) /* "next" */
#define CAROM_RING_LAST   UINT32_C(0x7473616c) /* "last" */
#define CAROM_RING_TORN   UINT32_C(0x6e726f74) /* "torn": the rest does not come */

/* In the low bits of an `index`, which counts in eights, by the other end. */
#define CAROM_RING_POLLED  UINT64_C(1) /* the consumer polls, for good: see ipc/duct_bell.c */
#define CAROM_RING_AWAITED UINT64_C(2) /* it sleeps until this changes, or is about to */
#define CAROM_RING_MARKS   UINT64_C(3)

/* In `armed`: ring before the index, once; ring behind it, once: see ipc/duct_bell.c */
#define CAROM_RING_ARMED UINT32_C(1)
#define CAROM_RING_AGAIN UINT32_C(2)

/* In a side's word: this end is in futex(2), or about to. Who tells it keeps this. */
#define CAROM_RING_SLEEPS UINT32_C(0x80000000)

#define CAROM_RING_LINE        128 /* two cache lines: processors fetch them in pairs */
#define CAROM_RING_DATA_OFFSET 4096

/**
 * struct carom_ring_side - what one end writes
 * @index:  bytes committed by the producer, or released by the consumer, ever; and marks
 * @teller: the futex word on which this end sleeps, CAROM_RING_SLEEPS in it. With the other
 *          end's user, while it tells this one: then the kernel marks it, or wakes, if that
 *          dies (D1)
 * @armed:  it wants to be told by a descriptor, once: CAROM_RING_ARMED, CAROM_RING_AGAIN, or 0
 * @closed: not 0 once it is closed
 * @wanted: while it sleeps: the other end's index that is worth waking for
 */
struct carom_ring_side {
	alignas(CAROM_RING_LINE) _Atomic uint64_t index;
	alignas(CAROM_RING_LINE) struct carom_life teller;
	_Atomic uint32_t armed;
	_Atomic uint32_t closed;
	_Atomic uint64_t wanted;
};

/**
 * struct carom_ring_writer - of a pipe: the process whose message in parts it is, or was
 * @pid:   0: it gave the message up
 * @born:  as carom_pid_born() says, or 0
 * @space: the pid namespace in which that is its number, or 0
 */
struct carom_ring_writer {
	_Atomic uint64_t pid;
	_Atomic uint64_t born;
	_Atomic uint64_t space;
};

/**
 * struct carom_ring_shared - the start of the segment
 * @magic:    CAROM_RING_MAGIC
 * @capacity: bytes from CAROM_RING_DATA_OFFSET on; a power of two
 * @sides:    by enum carom_ring_end
 * @writer:   written by the producer, before the first part can be seen
 */
struct carom_ring_shared {
	alignas(CAROM_RING_LINE) _Atomic uint64_t magic;
	_Atomic uint64_t capacity;
	struct carom_ring_side sides[2];
	alignas(CAROM_RING_LINE) struct carom_ring_writer writer;
};

_Static_assert(sizeof(struct carom_ring_shared) <= CAROM_RING_DATA_OFFSET, "the header's page");

/* A record: this word, then its bytes, then up to 7 of padding. */
static inline uint64_t carom_ring_word(uint32_t kind, uint32_t size)
{
	return (uint64_t)kind << 32 | size;
}

#endif

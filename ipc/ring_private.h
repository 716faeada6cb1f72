/* Ring: its inside, and what a pipe through shared memory does with it beside ring.h. */
#ifndef CAROM_IPC_RING_PRIVATE_H
#define CAROM_IPC_RING_PRIVATE_H

#include <stdalign.h>
#include <stdbool.h>

#include "ipc/ring.h"
#include "ipc/ring_layout.h"

/**
 * struct carom_ring_view - what one end knows; that end's memory, a line of its own
 * @mine:   this end's index
 * @told:   the same, as the other end was told; @mine may be ahead in a pipe's ring
 * @theirs: the other's, as it was when last looked at
 * @skip:   bytes up to the memory's end that the record at hand leaves out, or 0
 * @room:   producer: bytes reserved; consumer: length of the record received
 * @kind:   of the record received
 * @held:   something is reserved or received
 * @broken: the other end wrote nonsense
 */
struct carom_ring_view {
	alignas(CAROM_RING_LINE) uint64_t mine;
	uint64_t told;
	uint64_t theirs;
	uint64_t skip;
	uint64_t room;
	uint32_t kind;
	bool held;
	bool broken;
};

/**
 * struct carom_ring - a handle
 * @segment:  NULL: the memory is a pipe's
 * @shared:   checked by nobody but who attaches; see I1
 * @data:     @capacity bytes
 * @capacity: a power of two; the private copy, which alone is used
 * @views:    by enum carom_ring_end
 * @is_pipe:  the views are shared, and told late
 * @is_missed: who uses it holds a lock that the kernel hands on, and is missed if it dies (D1)
 * @bell:     the consumer wants to be told by its descriptor
 */
struct carom_ring {
	struct carom_segment *segment;
	struct carom_ring_shared *shared;
	unsigned char *data;
	uint64_t capacity;
	struct carom_ring_view *views;
	bool is_pipe;
	bool is_missed;
	void (*bell)(void *userdata);
	void *userdata;
	struct carom_ring_view own_views[2];
};

/** carom_ring_capacity() - for a wish of @size, as in the options; 0: there is none */
uint64_t carom_ring_capacity(uint64_t size);

/**
 * carom_ring_lay() - make an empty ring in zeroed memory, with a view for each end
 * @memory: CAROM_RING_DATA_OFFSET + @capacity bytes, at a page
 */
void carom_ring_lay(void *memory, uint64_t capacity, struct carom_ring_view *producer,
		    struct carom_ring_view *consumer);

/**
 * carom_ring_open() - use the ring that stands there, with the views as they are
 * @views: by enum carom_ring_end; only the one of this process's end is used
 *
 * Nothing ends it. Return: 0, -EBADMSG (no ring).
 */
int carom_ring_open(struct carom_ring *ring, void *memory, uint64_t size,
		    struct carom_ring_view *views);

/**
 * carom_ring_renew() - go on where @end's last user, who died, has stopped
 *
 * What it had committed or released counts, what it had reserved or received does not.
 */
void carom_ring_renew(struct carom_ring *ring, enum carom_ring_end end);

/** carom_ring_more() - the consumer: bytes behind the record received, as far as it has looked */
uint64_t carom_ring_more(const struct carom_ring *ring);

/** carom_ring_is_empty() - is nothing there that was not released? Any thread of the consumer's */
bool carom_ring_is_empty(const struct carom_ring *ring);
bool carom_ring_is_closed(const struct carom_ring *ring, enum carom_ring_end end);

/** carom_ring_poll() - the producer is to look whether it is armed before it tells, from now on */
void carom_ring_poll(struct carom_ring *ring);

/**
 * carom_ring_arm() - have the producer's `bell` called once. Any thread
 * @armed: CAROM_RING_ARMED: before the next record; CAROM_RING_AGAIN: behind it; 0: not any more
 */
void carom_ring_arm(struct carom_ring *ring, uint32_t armed);
bool carom_ring_is_armed(const struct carom_ring *ring);

/**
 * carom_ring_teller() - who is between T1 and T4
 * Return: its thread id, or, if it is not missed, its process's; 0: nobody who lives, as far as
 * the kernel has said.
 */
uint32_t carom_ring_teller(const struct carom_ring *ring);

#endif

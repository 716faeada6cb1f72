/**
 * DOC: ring
 *
 * Records of any size from one producer to one consumer, in order, through memory
 * that both have mapped. Records are written and read in place, so that a record
 * is copied only by who wants a copy:
 *
 *	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
 *
 *	r = carom_ring_new(&CAROM_RING_OPTIONS(.size = CAROM_KIB(64)), &ring);
 *	if (fork() == 0)
 *		_exit(produce(ring));
 *	while ((r = carom_ring_receive(ring, CAROM_NO_DEADLINE, &data, &size)) == 0) {
 *		use(data, size);
 *		carom_ring_release(ring);
 *	}
 *	// -EPIPE: the producer closed, and all of its records were received
 *
 * and in the producer
 *
 *	r = carom_ring_reserve(ring, size_at_most, CAROM_NO_DEADLINE, &room);
 *	size = write_record(room);
 *	r = carom_ring_commit(ring, size);
 *	...
 *	carom_ring_close(ring, CAROM_RING_PRODUCER);
 *
 * One handle serves both ends: one thread of one process uses the producer's
 * functions, one thread of the same or another process the consumer's. A child
 * made by fork() uses the handle it inherited; another process attaches by the
 * descriptor. Who takes over an end from a process that died attaches anew.
 *
 * A producer that dies before it commits leaves nothing behind. A record that its
 * consumer did not release is received again by the next consumer. Death itself
 * is told from outside: who learns of it calls carom_ring_close() for the dead
 * end, and whoever sleeps at the other one wakes up.
 *
 * The other end may be hostile: everything it wrote is loaded once and checked
 * before it is used, and what makes no sense is -EBADMSG, for good. It can still
 * change a record while that is being read in place; carom_ring_pop() makes the
 * private copy that a careful reader wants.
 */
#ifndef CAROM_IPC_RING_H
#define CAROM_IPC_RING_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/time.h"

CAROM_BEGIN_DECLS

struct carom_ring;

enum carom_ring_end { CAROM_RING_PRODUCER, CAROM_RING_CONSUMER };

#define CAROM_RING_SIZE_MIN UINT64_C(64)
#define CAROM_RING_SIZE_MAX CAROM_GIB(4)

/**
 * struct carom_ring_options - what carom_ring_new() makes
 * @size_bytes: size of this struct; CAROM_RING_OPTIONS() fills it in
 * @name:       shown in /proc/PID/maps; copied; NULL means "carom-ring"
 * @size:       bytes for records, rounded up to a power of two, from
 *              CAROM_RING_SIZE_MIN to CAROM_RING_SIZE_MAX; 0 means 64 KiB. A record
 *              takes 8 bytes more than its length, and may take half of this
 * @populate_size: so many bytes are given their pages now; see segment.h
 */
struct carom_ring_options {
	size_t size_bytes;
	const char *name;
	uint64_t size;
	uint64_t populate_size;
};
#define CAROM_RING_OPTIONS(...) CAROM_OPTIONS(carom_ring_options, __VA_ARGS__)

/**
 * carom_ring_new() - make an empty ring
 * @options:  read during the call only; NULL for all defaults
 * @ret_ring: the caller owns it and ends it with carom_ring_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_ring untouched,
 *	-EINVAL  @options->size is out of range
 *	-E2BIG   @options sets a field newer than this library
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  as carom_segment_new()
 */
CAROM_API int carom_ring_new(const struct carom_ring_options *options,
			     struct carom_ring **ret_ring);

/**
 * carom_ring_attach_dup() - use a ring that another process made
 * @fd:       from carom_ring_fd(); stays the caller's; a duplicate is kept
 * @ret_ring: the caller owns it
 *
 * Continues where the end's former holder stopped, and wakes whoever sleeps at
 * either end, since that holder may have died before it did.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_ring untouched,
 *	-EBADF   @fd is not open
 *	-EBADMSG @fd is no ring
 *	-ENOMEM, -EMFILE  from mmap(2) and fcntl(2)
 */
CAROM_API int carom_ring_attach_dup(int fd, struct carom_ring **ret_ring);

/**
 * carom_ring_free() - unmap this handle; closes neither end
 * @ring: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap. No thread may use @ring any more.
 * Return: NULL.
 */
CAROM_API struct carom_ring *carom_ring_free(struct carom_ring *ring);
CAROM_API void carom_ring_freep(struct carom_ring **ring);

/** carom_ring_fd() - its descriptor, CLOEXEC; stays the ring's. MT-Safe, AS-Safe. */
CAROM_API int carom_ring_fd(const struct carom_ring *ring);

/** carom_ring_record_max() - the longest record it takes, in bytes. MT-Safe, AS-Safe. */
CAROM_API size_t carom_ring_record_max(const struct carom_ring *ring);

/**
 * carom_ring_close() - nothing more is written, or read, at this end
 * @end: the caller's own, or that of a process known to be dead
 *
 * Whoever sleeps at either end wakes up. The consumer still receives what was
 * committed before; the producer is refused at once. Closing twice is allowed.
 *
 * Context: MT-Safe, AS-Safe (keeps errno). Any attached process. Never blocks.
 */
CAROM_API void carom_ring_close(struct carom_ring *ring, enum carom_ring_end end);

/**
 * carom_ring_reserve() - room for a record, to be written in place
 * @size:        its length at most; 0 is allowed
 * @deadline_ns: how long to wait for room; CAROM_PASSED: not at all
 * @ret_data:    the room, aligned to 8 bytes, not zeroed; until the commit
 *
 * Nothing is visible before carom_ring_commit(). Reserving again, even in vain,
 * forgets what was reserved before.
 *
 * Context: the producer. Blocks. A signal does not end the wait.
 * Return: 0, or, with *@ret_data untouched,
 *	-EMSGSIZE  @size is above carom_ring_record_max()
 *	-EAGAIN    no room now, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT no room by @deadline_ns
 *	-EPIPE     either end is closed
 *	-EBADMSG   the consumer wrote nonsense
 */
CAROM_API int carom_ring_reserve(struct carom_ring *ring, size_t size, uint64_t deadline_ns,
				 void **ret_data);

/**
 * carom_ring_commit() - what was reserved becomes a record
 * @size: its length; at most what was reserved
 *
 * Context: the producer. Never blocks.
 * Return: 0, or -EINVAL (nothing is reserved, or less than @size; the reservation
 * stays).
 */
CAROM_API int carom_ring_commit(struct carom_ring *ring, size_t size);

/**
 * carom_ring_push() - a record by copy: reserve, copy, commit
 * @data: @size bytes; may be NULL if @size is 0
 *
 * Context: the producer. Blocks.
 * Return: as carom_ring_reserve().
 */
CAROM_API int carom_ring_push(struct carom_ring *ring, const void *data, size_t size,
			      uint64_t deadline_ns);

/**
 * carom_ring_receive() - the next record, in place
 * @deadline_ns: how long to wait for one; CAROM_PASSED: not at all
 * @ret_data:    the record, aligned to 8 bytes; valid until it is released
 * @ret_size:    its length; may be NULL
 *
 * Gives the same record again until carom_ring_release().
 *
 * Context: the consumer. Blocks. A signal does not end the wait.
 * Return: 0, or, with *@ret_data and *@ret_size untouched,
 *	-EAGAIN    no record now, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT no record by @deadline_ns
 *	-EPIPE     the producer's end is closed and nothing is left, or the consumer's is
 *	-EBADMSG   the producer wrote nonsense
 */
CAROM_API int carom_ring_receive(struct carom_ring *ring, uint64_t deadline_ns,
				 const void **ret_data, size_t *ret_size);

/**
 * carom_ring_release() - done with the record received last; its room is free
 *
 * Context: the consumer. Never blocks.
 * Return: 0, or -EINVAL (no record was received).
 */
CAROM_API int carom_ring_release(struct carom_ring *ring);

/**
 * carom_ring_pop() - a record by copy: receive, copy, release
 * @buffer:   where it goes
 * @capacity: room in @buffer; a longer record stays where it is
 * @ret_size: its length; may be NULL
 *
 * Context: the consumer. Blocks.
 * Return: as carom_ring_receive(); -EMSGSIZE with *@ret_size set to the length that
 * is needed.
 */
CAROM_API int carom_ring_pop(struct carom_ring *ring, void *buffer, size_t capacity,
			     uint64_t deadline_ns, size_t *ret_size);

CAROM_END_DECLS

#endif

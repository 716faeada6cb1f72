/*
 * Primitive
 *
 * What a lock, a semaphore, a condition and a barrier between processes have in common:
 * a sealed memfd of its own, by which it is handed to any process at any time, with its
 * state and the roll of those who use it; and a handle in each process.
 *
 *	struct carom_latch { struct carom_primitive base; };
 *
 *	latch = calloc(1, sizeof(*latch));
 *	r = carom_primitive_init(&latch->base, &latch_kind, name, process_max);
 *	...
 *	r = carom_primitive_row(&latch->base, &row);	// first thing in each call
 *
 * A handle goes along into children by fork(), which enter the roll when they first use it.
 */
#ifndef CAROM_SHM_PRIMITIVE_H
#define CAROM_SHM_PRIMITIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/origin.h"
#include "shm/roll.h"

/* Processes that can use one at a time, if its maker says nothing. */
#define CAROM_PRIMITIVE_PROCESSES 1024

struct carom_primitive;

/**
 * struct carom_primitive_kind - of what sort one is
 * @magic:      at the start of the file
 * @name:       of those that their maker gives none
 * @state_size: bytes
 * @bury:       see to all dead rows, each to the end: carom_primitive_bury(); called when
 *              somebody wants to enter and finds no free one
 */
struct carom_primitive_kind {
	uint64_t magic;
	const char *name;
	uint32_t state_size;
	void (*bury)(struct carom_primitive *primitive);
};

/**
 * struct carom_primitive_file - what stands in the memfd
 * @size:  of the file
 * @roll:  where it stands, in bytes
 * @extra_pages: behind the roll, from a whole page on
 * @state: the kind's own; zeroed when it is made
 */
struct carom_primitive_file {
	uint64_t magic;
	uint64_t size;
	uint32_t roll;
	uint32_t extra_pages;
	_Alignas(64) unsigned char state[];
};

/**
 * struct carom_primitive - a handle
 * @file:   mapped; NULL: half-built
 * @extra:  behind the roll, if it was asked for
 * @fd:     -1: half-built
 * @row, @name, @keeper: this process's, in the roll
 * @origin: the process that has them; 0: none yet
 * @heir_of: while it enters: one of the dead, whom it has seen to and not buried; 0: none
 */
struct carom_primitive {
	const struct carom_primitive_kind *kind;
	struct carom_primitive_file *file;
	struct carom_roll *roll;
	void *extra;
	uint64_t size;
	int fd;
	uint32_t row;
	uint32_t name;
	uint32_t heir_of;
	struct carom_keeper *keeper;
	_Atomic uint64_t origin;
};

/**
 * carom_primitive_init() - make one
 * @primitive:   zeroed; ended by carom_primitive_deinit(), also after an error
 * @name:        shown in /proc/PID/maps; NULL: the kind's
 * @process_max: 0: CAROM_PRIMITIVE_PROCESSES
 *
 * Return: 0, -EINVAL (@process_max is above CAROM_ROLL_CAPACITY_MAX), -EOPNOTSUPP
 * (the robust list has another layout), or what carom_memfd_new() says.
 */
int carom_primitive_init(struct carom_primitive *primitive, const struct carom_primitive_kind *kind,
			 const char *name, uint32_t process_max);

/**
 * carom_primitive_init_with() - the same, with @extra_size bytes behind the roll
 *
 * They are zeroed, and @extra is where they stand. All but them is reserved: no touch of it
 * finds that there is no memory.
 *
 * Return: as carom_primitive_init(); -EINVAL also: @extra_size is 2^44 or more.
 */
int carom_primitive_init_with(struct carom_primitive *primitive,
			      const struct carom_primitive_kind *kind, const char *name,
			      uint32_t process_max, uint64_t extra_size);

/**
 * carom_primitive_reserve() - take memory for @size bytes from @offset on of what is extra
 *
 * Return: 0, or -ENOMEM.
 */
int carom_primitive_reserve(const struct carom_primitive *primitive, uint64_t offset,
			    uint64_t size);

/**
 * carom_primitive_attach() - the same for one that another process made
 * @fd: stays the caller's
 *
 * Return: 0, -EBADF, -EBADMSG (nothing of this kind), -EOPNOTSUPP, -ENOMEM, -EMFILE.
 */
int carom_primitive_attach(struct carom_primitive *primitive,
			   const struct carom_primitive_kind *kind, int fd);

/**
 * carom_primitive_deinit() - unmap and close
 * @has_something: this process holds what others wait for: to them, it dies now
 */
void carom_primitive_deinit(struct carom_primitive *primitive, bool has_something);

/** carom_primitive_enter() - see below */
int carom_primitive_enter(struct carom_primitive *primitive, uint32_t *ret_row);

/** carom_primitive_has_entered() - has this process ever used it by this handle? */
static inline bool carom_primitive_has_entered(const struct carom_primitive *primitive)
{
	/* acquire: pairs with the release in carom_primitive_enter() */
	uint64_t origin = atomic_load_explicit(&primitive->origin, memory_order_acquire);

	return origin && carom_origin_is(origin); /* of a bare clone's child it may be 0 still */
}

/** carom_primitive_name() - this process's; 0: it has not entered, and what stands there is its parent's */
static inline uint32_t carom_primitive_name(const struct carom_primitive *primitive)
{
	return carom_primitive_has_entered(primitive) ? primitive->name : 0;
}

/**
 * carom_primitive_bury() - what that one of the dead had is seen to: its row is free
 *
 * Or, if this process has no row yet, to be taken over (L8 of shm/roll.c).
 */
void carom_primitive_bury(struct carom_primitive *primitive, uint32_t name);

/**
 * carom_primitive_row() - this process's row, which it enters when it first asks
 *
 * Return: 0, or what carom_roll_enter() says.
 */
static inline int carom_primitive_row(struct carom_primitive *primitive, uint32_t *ret_row)
{
	if (!carom_primitive_has_entered(primitive))
		return carom_primitive_enter(primitive, ret_row);
	*ret_row = primitive->row;
	return 0;
}

#endif

/*
 * Roll
 *
 * Who takes part in something shared: a row for each process, in shared memory, whose
 * word the kernel marks when that process dies; and a sleep that ends when one of them
 * does. Locks, semaphores, conditions and barriers between processes rest on it: each
 * has one, and says in its own words what a row's death means.
 *
 *	r = carom_roll_enter(roll, &name, &keeper);	// once a process, before the first use
 *	...
 *	while (!ready(state)) {
 *		carom_roll_each_dead(roll, mine, name) {
 *			see to what it held;
 *			carom_roll_bury(roll, name);
 *		}
 *		r = carom_roll_sleep(roll, row, &state->word, seen, deadline_ns, 0);
 *	}
 *
 * The kernel wakes one sleeper for each process that died. That one has to see to all
 * that the death means, other sleepers included. Should it die on the way, its own death
 * wakes another one, who finds both: so a death is forgotten only if nobody sleeps, and
 * then whoever comes next finds it, since all look before they sleep.
 *
 * All who take part trust each other, and live in one PID namespace.
 */
#ifndef CAROM_SHM_ROLL_H
#define CAROM_SHM_ROLL_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "shm/keeper.h"
#include "shm/life.h"

/* No row: rows count from 0. */
#define CAROM_ROLL_NOBODY UINT32_MAX

/* Rows at most: so many, counted from 1, have room in a name. */
#define CAROM_ROLL_CAPACITY_MAX 16383
#define CAROM_ROLL_NAME_MASK    UINT32_C(0x3fffffff)
#define CAROM_ROLL_NAME_ROW     UINT32_C(0x3fff)

/* The name of one who is dead and buried. */
#define CAROM_ROLL_NAME_DEAD UINT32_C(0x4000)

/* Words a sleeper can be woken by, its own three aside. Of more rows it looks at the rest now and then. */
#define CAROM_ROLL_WATCHED_MAX 125

/**
 * struct carom_roll_sign - who is in a row
 * @word:       0: nobody; the keeper's thread id while the process lives; marked once it is dead
 * @generation: how often somebody entered here
 */
struct carom_roll_sign {
	uint32_t word;
	uint32_t generation;
};

/**
 * struct carom_roll_row - one process
 * @life: its word is the one in the sign
 * @sign: both halves of struct carom_roll_sign as one
 * @pid:  whose row it is, or was
 * @held, @asleep, @role: the primitive's own; what a dead one had in them stays until it is
 *        buried by who has set them to 0
 */
struct carom_roll_row {
	union {
		struct carom_life life;
		_Atomic uint64_t sign;
	};
	_Atomic int32_t pid;
	_Atomic uint32_t held;
	_Atomic uint32_t asleep;
	_Atomic uint32_t role;
	uint32_t reserved[2];
};
_Static_assert(sizeof(struct carom_roll_row) == 64, "a line each");
_Static_assert(offsetof(struct carom_life, word) == 0 &&
		       offsetof(struct carom_life, link) >= sizeof(struct carom_roll_sign),
	       "the sign's halves are the life's word, and room that it has no use for");

/**
 * struct carom_roll - at the end of what has it, since the rows follow
 * @entries:   how often somebody entered; sleepers look again at whom they watch when it changes
 * @capacity:  rows there are
 * @row_count: rows that were ever used
 * @lost:      its word is always 0: what a thread waits for is lost with it, if it dies asleep
 */
struct carom_roll {
	_Alignas(64) _Atomic uint32_t entries;
	uint32_t capacity;
	_Atomic uint32_t row_count;
	uint32_t reserved;
	struct carom_life lost;
	uint32_t reserved2[2];
	struct carom_roll_row rows[];
};
_Static_assert(offsetof(struct carom_roll, rows) == 64, "a line");

/** carom_roll_size() - bytes of a roll for @capacity processes */
size_t carom_roll_size(uint32_t capacity);

/** carom_roll_init() - @roll is zeroed memory; before it is shared */
void carom_roll_init(struct carom_roll *roll, uint32_t capacity);

/**
 * carom_roll_enter() - this process takes part from now on
 * @ret_name:   what it is called: carom_roll_name()
 * @ret_keeper: to leave with
 *
 * The memory stays mapped until it leaves or ends.
 *
 * Context: MT-Safe. Blocks for some microseconds.
 * Return: 0, -EUSERS (every row has somebody), or what carom_keeper_hold() says.
 */
int carom_roll_enter(struct carom_roll *roll, uint32_t *ret_name, struct carom_keeper **ret_keeper);

/**
 * carom_roll_take_over() - the same, in the row of @dead
 * @dead: to be buried so: what it left is seen to, and all that @held, @asleep and @role said is 0
 *
 * For who finds no other row: nobody is to bury who has none, but in the step in which it gets
 * one. So there is no moment at which one who is about to sleep finds neither of the two.
 *
 * Return: 0, -EBUSY (it is buried already, or taken over), or what carom_keeper_hold() says.
 */
int carom_roll_take_over(struct carom_roll *roll, uint32_t dead, uint32_t *ret_name,
			 struct carom_keeper **ret_keeper);

/** carom_roll_leave() - not any more: it holds nothing, and no thread of it sleeps */
void carom_roll_leave(struct carom_roll *roll, uint32_t row, struct carom_keeper *keeper);

/** carom_roll_break_off() - the same for who does hold something: to the others, it has died */
void carom_roll_break_off(struct carom_roll *roll, uint32_t row, struct carom_keeper *keeper);

/**
 * carom_roll_name() - what stands in a word for the process that has, or had, this sign in @row
 *
 * 30 bits, never 0: the row, and which of its processes it is. While one dies, a thread of
 * it may still get to write a word somewhere, after its row was marked, and even after it
 * was buried and another one has entered there.
 */
static inline uint32_t carom_roll_name(uint32_t row, struct carom_roll_sign sign)
{
	return (sign.generation << 14 | (row + 1)) & CAROM_ROLL_NAME_MASK;
}

/** carom_roll_row_of() - of that name */
static inline uint32_t carom_roll_row_of(uint32_t name)
{
	return (name & CAROM_ROLL_NAME_ROW) - 1;
}

static inline struct carom_roll_sign carom_roll_sign(const struct carom_roll *roll, uint32_t row)
{
	uint64_t one = atomic_load(&roll->rows[row].sign);
	struct carom_roll_sign sign;

	memcpy(&sign, &one, sizeof(sign));
	return sign;
}

/** carom_roll_is_dead() - has the process of @row ended without leaving? */
static inline bool carom_roll_is_dead(const struct carom_roll *roll, uint32_t row)
{
	return carom_life_ended(&roll->rows[row].life);
}

/** carom_roll_lives() - is the process of that name alive? */
static inline bool carom_roll_lives(const struct carom_roll *roll, uint32_t name)
{
	uint32_t row = carom_roll_row_of(name);
	struct carom_roll_sign sign;

	if (name == CAROM_ROLL_NAME_DEAD)
		return false;
	sign = carom_roll_sign(roll, row);
	return sign.word && !(sign.word & FUTEX_OWNER_DIED) && carom_roll_name(row, sign) == name;
}

/**
 * carom_roll_next_dead() - who has ended without leaving, from @row on
 * @mine: the caller's own name, which is never the answer; 0: it has none
 *
 * A thread of a process that is dying may get here after its row was marked. Its row stands in
 * the way of all who are about to sleep until another one has buried it, and seen to what it
 * left undone.
 *
 * Return: its name; 0: nobody.
 */
uint32_t carom_roll_next_dead(const struct carom_roll *roll, uint32_t row, uint32_t mine);

#define carom_roll_each_dead(roll, mine, name)                          \
	for (uint32_t name = carom_roll_next_dead(roll, 0, mine); name; \
	     name = carom_roll_next_dead(roll, carom_roll_row_of(name) + 1, mine))

/**
 * carom_roll_bury() - what it held is seen to: the row is free for somebody else
 *
 * By who has a row. Several may do so at once. Nothing happens to who lives, or has died in
 * that row since.
 */
void carom_roll_bury(struct carom_roll *roll, uint32_t name);

/**
 * enum carom_roll_sleep_flags
 * @CAROM_ROLL_INTERRUPTIBLE: a signal handler that ran ends the sleep
 */
enum carom_roll_sleep_flags {
	CAROM_ROLL_INTERRUPTIBLE = 1,
};

/**
 * carom_roll_sleep() - sleep while *@word is @expected and nobody dies
 * @row: this process's; its own death ends nothing
 *
 * Returns at once while a dead row is not buried: see to it first.
 *
 * Return: 0: something happened, or nothing: look again; -ETIMEDOUT; -EINTR (if it was
 * asked for).
 */
int carom_roll_sleep(struct carom_roll *roll, uint32_t row, const _Atomic uint32_t *word,
		     uint32_t expected, uint64_t deadline_ns, unsigned int flags);

/**
 * carom_roll_sleep_for() - the same, to wait for the process of @name
 *
 * Returns at once if that is dead, buried or not.
 */
int carom_roll_sleep_for(struct carom_roll *roll, uint32_t row, const _Atomic uint32_t *word,
			 uint32_t expected, uint32_t name, uint64_t deadline_ns,
			 unsigned int flags);

/**
 * carom_roll_watch() - the words of all others, for a futex_waitv(2) of the caller's own
 * @words:     room for CAROM_ROLL_WATCHED_MAX + 1
 * @ret_count: how many there are
 *
 * Whoever waits so is to see to the dead as one who sleeps here.
 *
 * Return: 0; -EOWNERDEAD: somebody is dead already; -E2BIG: there are more than @words has room
 * for, and of those that are missing the caller hears nothing.
 */
int carom_roll_watch(const struct carom_roll *roll, uint32_t row, struct futex_waitv *words,
		     unsigned int *ret_count);

#endif

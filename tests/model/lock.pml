/*
 * Lock: the protocol of shm/lock.c and of the roll that it stands on (shm/roll.c), with the
 * kernel's part in a death.
 *
 * PROCESSES processes use one lock USES times altogether, shared out in any way. DEATHS
 * of them are killed between any two of their steps, and a fresh one enters the roll in
 * the place of each if there is more to do. Process 0 gives up at some time or other. A step is one access to
 * shared memory, or one system call. Searched exhaustively:
 *
 *	exclusion     nobody takes the lock from one who lives, or releases it for another
 *	honesty       who gets it after a death in the middle of something is told
 *	no lost wake  no run ends with a process asleep (an invalid end state)
 *
 * What a death is, tests/model/roll.pml says.
 *
 * The mistakes that the design notes explain can be put back, and the search finds them:
 * -DNO_LOST, -DNO_MARK, -DNO_ENTRIES, -DNO_GENERATION, -DNO_RECHECK, -DNAME_LATE,
 * -DSIGN_LATE, -DRELEASE_ANY.
 * tests/model/search does all of this: 4 million states with two deaths, and 3 million with
 * one and three uses. Two deaths and three uses are 43 million, searched once, which took two
 * minutes and 2.6 GB: no error either.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef USES
#define USES 2
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

#define IS_OVER (uses == USES)

#define DEAD (NOBODY + 1) /* CAROM_ROLL_NAME_DEAD */

byte uses;

/* what the lock protects: who is at it */
#define OUTSIDE PROCESSES
byte inside = OUTSIDE;
bool torn;

/* what is of no use any more makes no states */
inline forget()
{
	seen = 0;
	seen_generation = 0;
	seen_waiters = false;
	seen_entries = 0;
	watched = 0
}

inline lose(p)
{
	if
	:: inside == p -> inside = OUTSIDE
	:: else
	fi
}

#include "roll.pml"

/* the lock's word */
byte holder = NOBODY, holder_generation;
bool waiters;

#ifdef NO_MARK
#define TAKES_MARK false
#else
#define TAKES_MARK mark
#endif

#define IS_HELD        (holder < ROWS && IS_ALIVE(holder, holder_generation))
#define IS_MINE        (holder == row && holder_generation == mine)
#ifdef NO_RECHECK
#define HAS_DIED false
#else
#define HAS_DIED (seen >= ROWS || !IS_ALIVE(seen, seen_generation))
#endif
#define IS_SEEN        (holder == seen && holder_generation == seen_generation)

#ifdef NAME_LATE
#define TAKE_NAME      skip
#define TAKE_NAME_LATE dead_generation = generation[i];
#else
#define TAKE_NAME dead_generation = generation[i]
#define TAKE_NAME_LATE
#endif

inline bury_the_dead()
{
	do
	:: atomic {
		FIRST_DEAD(i) < ROWS ->
			i = FIRST_DEAD(i);
			TAKE_NAME
		}
		TAKE_NAME_LATE
		atomic {
			if
			:: holder == i && holder_generation == dead_generation -> holder = DEAD
			:: else
			fi
		}
		atomic {
			if
			:: life[i] == MARKED && IS_NAME(i, dead_generation) -> bury_row(i)
			:: else
			fi;
			i++;
			dead_generation = 0
		}
	:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
	od
}

inline bury_for_room()
{
	bury_the_dead()
}

inline acquire()
{
	mark = false;
again:
	atomic {
		if
		:: !IS_HELD -> /* free, or a dead one's: the compare-and-swap finds the same */
			assert(inside == OUTSIDE || doomed[inside]);
			assert(!torn || holder != NOBODY); /* or is not told */
			holder = row;
			holder_generation = mine;
			waiters = waiters || TAKES_MARK;
			inside = me;
			torn = true;
			mark = false;
			goto taken
		:: else ->
			seen = holder;
			seen_generation = holder_generation;
			seen_waiters = waiters
		fi
	}
	bury_the_dead();
	atomic {
		if
		:: seen_waiters || (IS_SEEN && waiters == seen_waiters) -> skip
		:: else -> forget(); goto again
		fi;
		if
		:: !seen_waiters -> waiters = true; seen_waiters = true
		:: else
		fi;
		mark = true
	}
	sleep_on_roll(HAS_DIED, IS_SEEN && waiters == seen_waiters);
taken:
	skip
}

inline release()
{
	atomic {
		if
		:: holder == NOBODY -> goto released
		:: holder != NOBODY && !IS_MINE -> /* it looks at its own row; who is dead stays dead */
			assert(!IS_ALIVE(row, mine));
			goto released
		:: else -> seen = holder; seen_generation = holder_generation
		fi
	}
	atomic {
		if
#ifdef RELEASE_ANY
		:: holder != NOBODY ->
#else
		:: IS_SEEN ->
#endif
			assert(inside == me);
			holder = NOBODY;
			holder_generation = 0;
			seen_waiters = waiters;
			waiters = false;
			inside = OUTSIDE;
		:: else -> goto released
		fi
	}
	atomic {
		if
		:: seen_waiters -> wake_one(ON_WORD)
		:: else
		fi
	}
released:
	skip
}

proctype user(byte me)
{
	roll_variables;
	byte seen, seen_generation, dead_generation;
	bool seen_waiters, mark;

begin:
	{
		do
		:: atomic { uses < USES && !doomed[me] -> uses++ };
			enter();
			acquire();
			atomic { !doomed[me] -> assert(IS_MINE && inside == me); torn = false }
			release();
given_up:
			atomic { forget(); mark = false }
		:: atomic { uses == USES && !doomed[me] -> finished[me] = true; break }
		od
	} unless { ended[me] };
	if
	:: ended[me] ->
		atomic { /* another one in its place */
			ended[me] = false;
			doomed[me] = false;
			row = NOBODY;
			mine = 0;
			heir_of = 0;
			seen = 0;
			seen_generation = 0;
			seen_entries = 0;
			watched = 0;
			dead_generation = 0;
			i = 0;
			seen_waiters = false;
			mark = false;
			goto begin
		}
	:: else
	fi
}

init
{
	atomic { begin_all() }
}

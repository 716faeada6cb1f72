/*
 * Semaphore: the protocol of shm/semaphore.c, on the roll and with the kernel's part in a death
 * (tests/model/roll.pml).
 *
 * PROCESSES processes take one of UNITS units and give it back, USES times altogether, shared
 * out in any way. DEATHS of them are killed between any two of their steps. Process 0 gives
 * up waiting at some time or other. Searched exhaustively:
 *
 *	exclusion     no more than UNITS of those who live have one
 *	no lost one   in the end all units are there, whoever died with one
 *	no lost wake  no run ends with a process asleep (an invalid end state)
 *
 * The mutex is the one of tests/model/mutex.pml: here it is a word with an owner, and whoever
 * has it after a death is told. What is done under it is no more steps than a death can tell
 * apart: nobody else sees what lies between two of its stores, and after a death the sums are
 * made from `held`, `sleeping` and the rows alone. So a store to one of these is a step, together
 * with the sums behind it; and who gets the mutex from a dead one has added up in the same step,
 * since dying before the end of that leaves all as it was.
 *
 * The mistakes that the design note of shm/semaphore.c explains can be put back: -DNO_ADD_UP,
 * -DNO_ALIVE, and -DNO_LOST, -DNO_ENTRIES, -DBURY_SELF of the roll's. The last one was in the
 * code until this model found it:
 *
 *	S, about to sleep	has seen no unit and no dead row, and counts itself in
 *	D, killed, runs still	its row is marked, which wakes nobody: S does not sleep yet
 *	D, releasing		has the mutex, buries its own row: the unit is there again
 *	D ends			before it has called S
 *	S			finds no dead row, and sleeps for ever before a unit
 *
 * tests/model/search does all of this: 7 million states with two deaths and two uses, one
 * million with one and three.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef USES
#define USES 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef UNITS
#define UNITS 1
#endif

#define IS_OVER (uses == USES)

byte uses;

/* who has a unit, as the caller sees it */
bool has[PROCESSES];
#define HAS(p) (has[p] && !doomed[p] -> 1 : 0)

/* the mutex */
#define NONE PROCESSES
byte owner = NONE;
bool owner_died;

/* `turn`, told the other way round: was it changed since this process read it? */
#define NOT_READ 0
#define READ     1
#define TURNED   2
byte turn[PROCESSES];

inline turn_over(p)
{
	if
	:: turn[p] == READ -> turn[p] = TURNED
	:: else
	fi
}

inline forget()
{
	seen_entries = 0;
	watched = 0;
	turn[me] = NOT_READ
}

inline lose(p)
{
	has[p] = false;
	turn[p] = NOT_READ;
	if
	:: owner == p -> owner = NONE; owner_died = true
	:: else
	fi
}

#include "roll.pml"

byte value = UNITS, sleepers;
byte held[ROWS], sleeping[ROWS];

#ifdef NO_ALIVE
#define LIVES true
#else
#define LIVES IS_ALIVE(row, mine)
#endif

#define COUNTED(what, r) (life[r] != FREE -> what[r] : 0)
#define SUM(what)        (COUNTED(what, 0) + COUNTED(what, 1) + COUNTED(what, 2))

inline be_told()
{
	if
	:: owner_died ->
		owner_died = false;
#ifndef NO_ADD_UP
		value = UNITS - SUM(held);
		sleepers = SUM(sleeping)
#endif
	:: else
	fi
}

inline enter_mutex()
{
	atomic { owner == NONE -> owner = me; be_told() }
}

inline bury_the_dead()
{
	do
	:: atomic {
		FIRST_DEAD(i) < ROWS ->
			find_dead();
			value = value + held[i];
			held[i] = 0
		}
		atomic { sleepers = sleepers - sleeping[i]; sleeping[i] = 0 }
		atomic {
			bury();
			has_buried = true
		}
	:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
	od
}

/* Let go of it; before that, if @must, call those who sleep. */
inline leave_mutex(must)
{
	atomic {
		has_buried = false;
		if
		:: (must) && value > 0 && sleepers > 0 ->
			wake_count = (value < sleepers -> value : sleepers);
			turn_over(0);
			turn_over(1);
#if PROCESSES > 2
			turn_over(2)
#endif
		:: else -> owner = NONE
		fi
	}
	if
	:: wake_count > 0 ->
		owner = NONE;
		atomic {
			do
			:: wake_count > 0 -> wake_one(ON_WORD); wake_count--
			:: else -> break
			od
		}
	:: else
	fi
}

inline bury_for_room()
{
	enter_mutex();
	bury_the_dead();
	leave_mutex(true)
}

inline acquire()
{
	enter_mutex();
	goto look;
given_up:
	gave_up = true;
again:
	atomic {
		owner == NONE -> owner = me;
		be_told();
		if
		:: LIVES -> sleeping[row]--; sleepers--
		:: else
		fi
	}
	bury_the_dead();
look:
	if
	:: value == 0 -> bury_the_dead()
	:: else
	fi;
	atomic {
		if
		:: value > 0 && LIVES -> held[row]++
		:: else -> goto none
		fi
	}
	atomic {
		value--;
		has[me] = true;
		gave_up = false;
		assert(HAS(0) + HAS(1) + HAS(PROCESSES - 1) <= UNITS)
	}
	goto taken;
none:
	atomic {
		if
		:: gave_up || !LIVES -> goto no_more
		:: else -> turn[me] = READ; sleeping[row]++; sleepers++
		fi
	}
	leave_mutex(has_buried);
	sleep_on_roll(false, turn[me] == READ);
taken:
no_more:
	leave_mutex(has_buried)
}

inline release()
{
	enter_mutex();
	bury_the_dead();
	atomic {
		if
		:: LIVES ->
			assert(held[row] > 0);
			held[row]--;
			has[me] = false
		:: else -> goto given
		fi
	}
	value++;
given:
	leave_mutex(true)
}

proctype user(byte me)
{
	roll_variables;
	byte wake_count;
	bool has_buried, gave_up;

begin:
	{
		do
		:: atomic { uses < USES && !doomed[me] -> uses++ };
			enter();
			acquire();
			if
			:: has[me] -> release()
			:: else
			fi;
			gave_up = false
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
			dead = 0;
			forget();
			i = 0;
			wake_count = 0;
			has_buried = false;
			gave_up = false;
			goto begin
		}
	:: else
	fi
}

init
{
	byte row = NOBODY + 1, mine, heir_of, dead, i; /* none of the three, and may bury */
	bool has_buried;

	atomic { begin_all() }
	atomic {
		finished[0] && finished[1] && finished[PROCESSES - 1] && _nr_pr == 1;
		assert(owner == NONE);
		be_told()
	}
	bury_the_dead();
	assert(value == UNITS && sleepers == 0)
}

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
 * A death is three things, as in the kernel. It is decided: from then on a thread that
 * sleeps does not come back, but still stands in the queues of the futexes, and takes
 * wake-ups that others need. The keeper marks the row. And the thread ends, which takes
 * it from the queues. The latter two come in any order, and with any delay. A thread that
 * does not sleep may still write the lock's word after its row was marked, buried, and
 * used again.
 *
 * The mistakes that the design notes explain can be put back, and the search finds them:
 * -DNO_LOST, -DNO_MARK, -DNO_ENTRIES, -DNO_GENERATION, -DNO_RECHECK, -DNAME_LATE,
 * -DSIGN_LATE, -DRELEASE_ANY.
 * tests/model/search does all of this: 7 million states with two deaths, and 4 million with
 * one and three uses.
 *
 * Where the model is simpler than the code: rows are looked at, compared and queued for all
 * at once.
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

#define ROWS   3
#define NOBODY ROWS       /* no row */
#define DEAD   (ROWS + 1) /* CAROM_ROLL_NAME_DEAD */

/* the lock's word */
byte holder = NOBODY, holder_generation;
bool waiters;

/* the roll */
#define FREE   0
#define ALIVE  1
#define MARKED 2
byte life[ROWS] = ALIVE, generation[ROWS], entries;

/* what the kernel knows: who stands in which queues */
#define ON_ROW(r)  (1 << (r))
#define ON_WORD    (1 << ROWS)
#define ON_LOST    (2 << ROWS)
#ifdef NO_ENTRIES
#define ON_ENTRIES 0
#else
#define ON_ENTRIES (4 << ROWS)
#endif
byte queues[PROCESSES];
bool asleep[PROCESSES], woken[PROCESSES], doomed[PROCESSES], ended[PROCESSES];
byte row_of[PROCESSES] = NOBODY;
bool finished[PROCESSES];

/* what the lock protects: who is at it */
byte inside = NOBODY;
bool torn;

byte uses, decided;

#ifdef NO_MARK
#define TAKES_MARK false
#else
#define TAKES_MARK mark
#endif

#ifdef NO_GENERATION
#define IS_NAME(r, g) (true)
#else
#define IS_NAME(r, g) (generation[r] == (g))
#endif
#define IS_ALIVE(r, g) (life[r] == ALIVE && IS_NAME(r, g))
#define IS_HELD        (holder < ROWS && IS_ALIVE(holder, holder_generation))
#define IS_MINE        (holder == row && holder_generation == mine)
#ifdef NO_RECHECK
#define HAS_DIED false
#else
#define HAS_DIED (seen >= ROWS || !IS_ALIVE(seen, seen_generation))
#endif
#define STILL_ALIVE(r) (!(watched & ON_ROW(r)) || life[r] == ALIVE)
#define IS_SEEN        (holder == seen && holder_generation == seen_generation)

inline wake_one(queue)
{
	if
	:: queues[0] & queue -> queues[0] = queues[0] & ~(queue); woken[0] = true
	:: queues[1] & queue -> queues[1] = queues[1] & ~(queue); woken[1] = true
#if PROCESSES > 2
	:: queues[2] & queue -> queues[2] = queues[2] & ~(queue); woken[2] = true
#endif
	:: else
	fi
}

inline wake_each(p, queue)
{
	if
	:: queues[p] & queue -> queues[p] = queues[p] & ~(queue); woken[p] = true
	:: else
	fi
}

inline enter()
{
	do
	:: row != NOBODY -> break
	:: atomic {
		row == NOBODY && !doomed[me] &&
		(life[0] == FREE || life[1] == FREE || life[2] == FREE) ->
			if
			:: life[0] == FREE -> row = 0
			:: life[0] != FREE && life[1] == FREE -> row = 1
			:: else -> row = 2
			fi;
			life[row] = ALIVE;
			row_of[me] = row;
#ifndef SIGN_LATE
			generation[row]++;
			mine = generation[row]
#endif
		}
#ifdef SIGN_LATE
		atomic { generation[row]++; mine = generation[row] }
#endif
		atomic {
			entries++;
			wake_each(0, ON_ENTRIES);
			wake_each(1, ON_ENTRIES);
#if PROCESSES > 2
			wake_each(2, ON_ENTRIES)
#endif
		}
	:: row == NOBODY && !doomed[me] &&
	   (life[0] == MARKED || life[1] == MARKED || life[2] == MARKED) -> bury_the_dead()
	od
}

#define FIRST_DEAD(from)                             \
	(((from) < 1 && life[0] == MARKED) -> 0 :    \
	 (((from) < 2 && life[1] == MARKED) -> 1 :   \
	  (((from) < 3 && life[2] == MARKED) -> 2 : ROWS)))
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
			:: life[i] == MARKED && IS_NAME(i, dead_generation) -> life[i] = FREE
			:: else
			fi;
			i++;
			dead_generation = 0
		}
	:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
	od
}

/* what is of no use any more makes no states */
inline forget()
{
	seen = 0;
	seen_generation = 0;
	seen_waiters = false;
	seen_entries = 0;
	watched = 0
}

inline acquire()
{
	mark = false;
again:
	atomic {
		if
		:: !IS_HELD -> /* free, or a dead one's: the compare-and-swap finds the same */
			assert(inside == NOBODY || doomed[inside]);
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
	seen_entries = entries;
	atomic {
		if
		:: life[0] == MARKED || life[1] == MARKED || life[2] == MARKED || HAS_DIED ->
			forget();
			goto again
		:: else
		fi;
		watched = ((life[0] == ALIVE && row != 0) -> ON_ROW(0) : 0) |
			  ((life[1] == ALIVE && row != 1) -> ON_ROW(1) : 0) |
			  ((life[2] == ALIVE && row != 2) -> ON_ROW(2) : 0)
	}
	atomic {
		if
		:: IS_SEEN && waiters == seen_waiters && (!ON_ENTRIES || entries == seen_entries) &&
		   STILL_ALIVE(0) && STILL_ALIVE(1) && STILL_ALIVE(2) ->
			asleep[me] = true;
			queues[me] = watched | ON_WORD | ON_ENTRIES | ON_LOST;
			forget()
		:: else -> forget(); goto again
		fi
	}
	if
	:: atomic { woken[me] && !doomed[me] -> wake_up(me); goto again }
	:: atomic { me == 0 && !woken[me] && !doomed[me] -> wake_up(me); goto given_up }
	fi;
taken:
	skip
}

inline wake_up(p)
{
	asleep[p] = false;
	woken[p] = false;
	queues[p] = 0
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
			inside = NOBODY;
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
	byte row = me, mine, seen, seen_generation, seen_entries, watched, dead_generation, i;
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

#define CAN_DIE(p) (row_of[p] != NOBODY && !doomed[p] && !finished[p])

/* in the keeper: the kernel wakes one */
inline mark_row()
{
	atomic { life[row] = MARKED; wake_one(ON_ROW(row)) }
}

/* in the thread: by then it stands in no queue; the kernel wakes one for what it was about */
inline end_thread()
{
	atomic {
		ended[victim] = true;
		row_of[victim] = NOBODY;
		if
		:: inside == victim -> inside = NOBODY
		:: else
		fi;
		if
		:: asleep[victim] ->
			wake_up(victim);
#ifndef NO_LOST
			wake_one(ON_LOST)
#endif
		:: else
		fi
	}
}

proctype killer(byte number)
{
	byte victim, row;

	atomic { /* one after the other: they are the same */
		if
		:: decided == number && CAN_DIE(0) -> victim = 0
		:: decided == number && CAN_DIE(1) -> victim = 1
#if PROCESSES > 2
		:: decided == number && CAN_DIE(2) -> victim = 2
#endif
		:: uses == USES -> goto done
		fi;
		doomed[victim] = true;
		row = row_of[victim];
		decided++
	};
	if
	:: mark_row(); end_thread()
	:: end_thread(); mark_row()
	fi;
done:
	atomic { victim = 0; row = 0 }
}

init
{
	atomic {
		row_of[0] = 0;
		row_of[1] = 1;
		row_of[2] = 2;
		run user(0);
		run user(1);
#if PROCESSES > 2
		run user(2);
#endif
#if DEATHS > 0
		run killer(0);
#endif
#if DEATHS > 1
		run killer(1)
#endif
	}
}

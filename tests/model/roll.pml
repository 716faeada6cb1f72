/*
 * Roll: the protocol of shm/roll.c, with the kernel's part in a death. Included by the models
 * of the primitives that stand on it.
 *
 * A death is three things, as in the kernel. It is decided: from then on a thread that
 * sleeps does not come back, but still stands in the queues of the futexes, and takes
 * wake-ups that others need. The keeper marks the row. And the thread ends, which takes
 * it from the queues. The latter two come in any order, and with any delay. A thread that
 * does not sleep goes on meanwhile, whatever became of its row.
 *
 * A process that died is followed by a fresh one, which enters the roll anew.
 *
 * Who includes this has defined PROCESSES, DEATHS, IS_OVER (nobody need die any more), and
 * inlines: forget() (a user's variables that are of no use any more) and lose(p) (what becomes
 * of what p has, as its thread ends). Its users have the variables of roll_variables, and its
 * bury_the_dead() and init() use what is below.
 *
 * There are as many rows as processes, so a fresh one finds one free only if another one has buried
 * somebody; else it is the heir of one of the dead. -DBURY_FIRST, where it frees that row, and takes it
 * later, is a mistake that was in the code until the model of the condition found it.
 *
 * Where the model is simpler than the code: rows are looked at, compared and queued for all
 * at once.
 */
#define ROWS   3
#define NOBODY ROWS /* no row */

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
#ifndef WORD_OF /* what a process sleeps on, of its own */
#define WORD_OF(p) ON_WORD
#endif
#ifndef LOST_OF /* and that it is missed if it dies there */
#define LOST_OF(p) ON_LOST
#endif
byte queues[PROCESSES];
bool asleep[PROCESSES], woken[PROCESSES], doomed[PROCESSES], ended[PROCESSES];
byte row_of[PROCESSES] = NOBODY;
bool finished[PROCESSES];
byte decided;

#ifdef PATIENT
#define IMPATIENT false
#elif !defined(IMPATIENT) /* when one may give up waiting */
#define IMPATIENT (me == 0)
#endif

#define roll_variables byte row = me, mine, heir_of, dead, seen_entries, watched, i

#ifdef NO_GENERATION
#define IS_NAME(r, g) (true)
#else
#define IS_NAME(r, g) (generation[r] == (g))
#endif
#define IS_ALIVE(r, g) (life[r] == ALIVE && IS_NAME(r, g))
#define STILL_ALIVE(r) (!(watched & ON_ROW(r)) || life[r] == ALIVE)

/* whom this user has to bury, and who keeps it from sleeping: itself it does neither */
#ifdef BURY_SELF
#define IS_DEAD(r) (life[r] == MARKED)
#else
#define IS_DEAD(r) (life[r] == MARKED && !(row == (r) && mine == generation[r]))
#endif
#define FIRST_DEAD(from)                      \
	(((from) < 1 && IS_DEAD(0)) -> 0 :    \
	 (((from) < 2 && IS_DEAD(1)) -> 1 :   \
	  (((from) < 3 && IS_DEAD(2)) -> 2 : ROWS)))
#define IS_OTHER_DEAD(r) (life[r] == MARKED && row != (r))
#define ARE_OTHERS_DEAD  (IS_OTHER_DEAD(0) || IS_OTHER_DEAD(1) || IS_OTHER_DEAD(2))

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

inline wake_up(p)
{
	asleep[p] = false;
	woken[p] = false;
	queues[p] = 0
}

#define NAME(r)     (1 + (r) + generation[r] * ROWS)
#define HEIRS_ROW   ((heir_of - 1) % ROWS)
#define IS_ANY_FREE (life[0] == FREE || life[1] == FREE || life[2] == FREE)
#define IS_HEIR     (heir_of != 0 && life[HEIRS_ROW] == MARKED && NAME(HEIRS_ROW) == heir_of)

/* Of who has no row: a name, which fits into a byte as all are small. */
inline bury_row(r)
{
#ifndef BURY_FIRST
	if
	:: row == NOBODY -> heir_of = NAME(r)
	:: else -> life[r] = FREE
	fi
#else
	life[r] = FREE
#endif
}

/* The next one from row i on, which has to be there, and the last step of seeing to it. */
inline find_dead()
{
	i = FIRST_DEAD(i);
	dead = NAME(i)
}

inline bury()
{
	if
	:: life[i] == MARKED && NAME(i) == dead -> bury_row(i)
	:: else /* another one has buried it meanwhile, or taken its row over */
	fi;
	dead = 0;
	i++
}

inline enter()
{
	do
	:: atomic { row != NOBODY -> break }
	:: atomic {
		row == NOBODY && !doomed[me] && (IS_ANY_FREE || IS_HEIR) ->
			if
			:: IS_HEIR -> row = HEIRS_ROW
			:: else ->
				if
				:: life[0] == FREE -> row = 0
				:: life[0] != FREE && life[1] == FREE -> row = 1
				:: else -> row = 2
				fi
			fi;
			heir_of = 0;
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
	:: atomic {
		row == NOBODY && !doomed[me] && !IS_ANY_FREE && ARE_OTHERS_DEAD && !IS_HEIR ->
			heir_of = 0
		}
		bury_for_room()
	od
}

/*
 * @is_late: what it waits for is there already. @is_same: the word is as it was
 * Goes on at the label again, or, process 0 at any time unless -DPATIENT, at given_up.
 */
inline sleep_on_roll(is_late, is_same)
{
	seen_entries = entries;
	atomic {
		if
		:: ARE_OTHERS_DEAD || (is_late) -> forget(); goto again
		:: else
		fi;
		watched = ((life[0] == ALIVE && row != 0) -> ON_ROW(0) : 0) |
			  ((life[1] == ALIVE && row != 1) -> ON_ROW(1) : 0) |
			  ((life[2] == ALIVE && row != 2) -> ON_ROW(2) : 0)
	}
	atomic {
		if
		:: (is_same) && (!ON_ENTRIES || entries == seen_entries) && STILL_ALIVE(0) &&
		   STILL_ALIVE(1) && STILL_ALIVE(2) ->
			asleep[me] = true;
			queues[me] = watched | WORD_OF(me) | ON_ENTRIES | LOST_OF(me);
			forget()
		:: else -> forget(); goto again
		fi
	}
	if
	:: atomic { woken[me] && !doomed[me] -> wake_up(me); goto again }
	:: atomic { IMPATIENT && !woken[me] && !doomed[me] -> wake_up(me); goto given_up }
	fi
}

/* ---- deaths ---- */

#ifndef MORTALS
#define MORTALS 7 /* a bit each; fewer make a search shorter */
#endif
#define CAN_DIE(p) ((MORTALS & 1 << (p)) && row_of[p] != NOBODY && !doomed[p] && !finished[p])

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
		lose(victim);
		if
		:: asleep[victim] ->
			wake_up(victim);
#ifndef NO_LOST
			if
			:: LOST_OF(victim) != 0 -> wake_one(ON_LOST)
			:: else
			fi
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
		:: IS_OVER -> goto done
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

/* in the atomic part of an init */
inline begin_all()
{
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

/*
 * Barrier: the protocol of shm/barrier.c and shm/wait_list.c, on the roll and with the kernel's
 * part in a death (tests/model/roll.pml).
 *
 * Three processes come to a barrier for two, USES times altogether, shared out in any way; so
 * one may come late, while the action of the other two runs, which fails or does not. ABORTS times
 * somebody breaks it, RESETS times somebody makes it whole. DEATHS of them are killed between any
 * two of their steps. Process 0 stops waiting at some time or other. Searched exhaustively:
 *
 *	together      who goes on does so once all have come, and the action is over
 *	no lost wake  in the end, which another process waits for, somebody sleeps only
 *	              at a whole barrier, for one who has not come
 *	broken        one who has come and dies breaks it, and nobody sleeps before that
 *
 * The mutex is the one of tests/model/mutex.pml: here it is a word with an owner. What is protected
 * by it alone is changed in one step with what follows.
 *
 * The mistakes that the design note of shm/barrier.c explains can be put back: -DNO_ROUND, -DNO_ALIVE,
 * -DPHASE_FIRST, and those of the roll's. PHASE_FIRST was in the code until this model found it:
 *
 *	A, acting, and W        make a round; L came late, and sleeps until the action is over
 *	A's action fails        A changes the phase, and is killed before it has woken L
 *	W                       is woken by the death, finds all broken, and goes
 *	L                       sleeps for ever
 *
 * tests/model/search does this: with two deaths and two uses, where nobody stops waiting, and two million
 * states with one and three. Two deaths and two uses with all of it are 9 million: no error either.
 */
#ifndef USES
#define USES 3
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define PROCESSES 3
#define PARTIES   2
#define IS_OVER   (uses == USES)

byte uses, aborts, resets;
bool is_end;

/* the mutex */
#define NONE PROCESSES
byte owner = NONE;

#define FILLING   0
#define ACTING    1
#define RELEASING 2
#define BROKEN    3
byte phase;
byte actor = NONE; /* whose action is the latest; it tells what `round` does */

/* the list; in which slot a process waits, or waited last, or that it sleeps on `turn` */
#define SLOTS     4
#define LATE      SLOTS
#define NOWHERE   (SLOTS + 1)
#define WAITING   1
#define CALLED    2
#define IN_VAIN   4
#define IS_CALLED (slot_state[slot_of[me]] & (CALLED | IN_VAIN))
byte slot_state[SLOTS], slot_name[SLOTS];
byte slot_of[PROCESSES] = NOWHERE;
bool turned[PROCESSES]; /* since it has read `turn` */

inline forget()
{
	seen_entries = 0;
	watched = 0
}

inline lose(p)
{
	slot_of[p] = NOWHERE;
	turned[p] = false;
	if
	:: owner == p -> owner = NONE
	:: else
	fi
}

#include "roll.pml"

bool held[ROWS];

#define LIVES_AS(name)  IS_ALIVE(((name) - 1) % ROWS, ((name) - 1) / ROWS)
#define IS_LEFT_OVER(s) (slot_state[s] != 0 && !LIVES_AS(slot_name[s]))
#define IS_WAITING(s)   (slot_state[s] == WAITING)
#define ANY(what)       (what(0) || what(1) || what(2) || what(3))
#define FIRST(what)     (what(0) -> 0 : (what(1) -> 1 : (what(2) -> 2 : 3)))
#define COUNT           (IS_WAITING(0) + IS_WAITING(1) + IS_WAITING(2) + IS_WAITING(3))

#ifdef NO_ALIVE
#define LIVES true
#else
#define LIVES IS_ALIVE(row, mine)
#endif

/* ---- with the mutex ---- */

inline wake_at(p, place)
{
	if
	:: slot_of[p] == (place) -> wake_each(p, ON_WORD)
	:: else
	fi
}

/* FUTEX_WAKE_OP: sets the bit and wakes in one step */
inline call_all(how)
{
	do
	:: atomic {
		ANY(IS_WAITING) -> slot = FIRST(IS_WAITING);
		slot_state[slot] = WAITING | how;
		wake_at(0, slot);
		wake_at(1, slot);
		wake_at(2, slot);
		slot = 0
		}
	:: atomic { !ANY(IS_WAITING) -> break }
	od
}

inline turn_over(p)
{
	if
	:: slot_of[p] == LATE -> turned[p] = true
	:: else
	fi
}

inline wake_late_comers()
{
	atomic { turn_over(0); turn_over(1); turn_over(2) };
	atomic { wake_at(0, LATE); wake_at(1, LATE); wake_at(2, LATE) }
}

inline settle()
{
	if
	:: phase == RELEASING -> release_all()
	:: phase == BROKEN && ANY(IS_WAITING) -> call_all(IN_VAIN)
	:: else
	fi
}

#ifdef PHASE_FIRST
#define BEFORE_PHASE
#define AFTER_PHASE  wake_late_comers();
#else
#define BEFORE_PHASE wake_late_comers();
#define AFTER_PHASE
#endif

inline release_all()
{
	call_all(CALLED);
	BEFORE_PHASE
	phase = FILLING;
	AFTER_PHASE
}

inline break_it()
{
	if
	:: phase != BROKEN ->
		BEFORE_PHASE
		phase = BROKEN;
		call_all(IN_VAIN);
		AFTER_PHASE
	:: else
	fi
}

inline remove(s)
{
	slot_state[s] = 0;
	slot_name[s] = 0
}

inline forget_dead_slots()
{
	do
	:: ANY(IS_LEFT_OVER) ->
		break_it();
		atomic { slot = FIRST(IS_LEFT_OVER); remove(slot); slot = 0 }
	:: atomic { !ANY(IS_LEFT_OVER) -> break }
	od
}

inline look_for_the_dead()
{
	do
	:: atomic { FIRST_DEAD(i) < ROWS -> find_dead() }
		forget_dead_slots();
		if
		:: held[i] -> break_it()
		:: else
		fi;
		atomic { assert(!held[i] || phase == BROKEN); held[i] = false; bury() }
	:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
	od
}

inline enter_mutex()
{
	atomic { owner == NONE -> owner = me };
	settle();
	look_for_the_dead()
}

inline bury_for_room()
{
	enter_mutex();
	owner = NONE
}

/* ---- without ---- */

#define TO_WAIT  1
#define TO_ABORT 2
#define TO_RESET 3

inline choose()
{
	if
	:: atomic { uses < USES && !doomed[me] -> uses++; kind = TO_WAIT }
	:: atomic { aborts < ABORTS && !doomed[me] -> aborts++; kind = TO_ABORT }
	:: atomic { resets < RESETS && !doomed[me] -> resets++; kind = TO_RESET }
	:: atomic { uses == USES && !doomed[me] -> finished[me] = true; goto finish }
	fi
}

inline add()
{
	held[row] = true;
	if
	:: COUNT + 1 == PARTIES -> goto last
	:: else
	fi;
	if
	:: slot_state[0] == 0 -> slot_of[me] = 0
	:: slot_state[0] != 0 && slot_state[1] == 0 -> slot_of[me] = 1
	:: slot_state[0] != 0 && slot_state[1] != 0 && slot_state[2] == 0 -> slot_of[me] = 2
	:: else -> slot_of[me] = 3; assert(slot_state[3] == 0)
	fi;
	slot_state[slot_of[me]] = WAITING;
	slot_name[slot_of[me]] = 1 + row + mine * ROWS
}

inline wait()
{
	skip;
come:
	atomic {
		if
		:: phase == ACTING -> slot_of[me] = LATE; turned[me] = false
		:: phase != ACTING && (phase == BROKEN || !LIVES) -> goto over
		:: else -> add()
		fi
	}
sleep:
	owner = NONE;
	sleep_on_roll(slot_of[me] < SLOTS && IS_CALLED,
		      (slot_of[me] == LATE -> !turned[me] : slot_state[slot_of[me] % SLOTS] == WAITING));
given_up:
	gave_up = true;
again:
	enter_mutex();
	if
	:: atomic { slot_of[me] == LATE && !(gave_up && phase == ACTING) ->
		slot_of[me] = NOWHERE;
		turned[me] = false;
		gave_up = false
		}
		goto come
	:: atomic { slot_of[me] == LATE && gave_up && phase == ACTING -> skip }
	:: atomic { slot_of[me] != LATE && !LIVES -> goto over }
	:: atomic { slot_of[me] != LATE && LIVES && !IS_CALLED && !gave_up -> goto sleep }
	:: atomic { slot_of[me] != LATE && LIVES && (IS_CALLED || gave_up) ->
		was_called = IS_CALLED;
		remove(slot_of[me]);
		if
		:: was_called -> was_called = false; goto over
		:: else
		fi
		}
	fi;
	break_it();
	goto over;
last:
	atomic { phase = ACTING; actor = me; owner = NONE };
	enter_mutex();
	atomic {
		if
#ifdef NO_ROUND
		:: phase != ACTING -> goto over
#else
		:: phase != ACTING || actor != me -> goto over
#endif
		:: else
		fi;
		if
		:: has_failed = true
		:: has_failed = false
		fi
	}
	if
	:: has_failed -> has_failed = false; break_it()
	:: else ->
		atomic { phase = RELEASING; assert(actor == me && COUNT < PARTIES) };
		release_all()
	fi
over:
	skip
}

proctype user(byte me)
{
	roll_variables;
	byte kind, slot;
	bool gave_up, was_called, has_failed;

begin:
	{
		do
		:: choose();
			enter();
			enter_mutex();
			if
			:: kind == TO_WAIT -> wait()
			:: kind == TO_ABORT -> break_it()
			:: kind == TO_RESET -> break_it(); phase = FILLING
			fi;
			atomic { owner = NONE; kind = 0; gave_up = false; slot_of[me] = NOWHERE }
		od
	} unless { ended[me] || is_end };
finish:
	if
	:: ended[me] && !is_end ->
		atomic { /* another one in its place */
			ended[me] = false;
			doomed[me] = false;
			row = NOBODY;
			mine = 0;
			heir_of = 0;
			dead = 0;
			forget();
			i = 0;
			kind = 0;
			slot = 0;
			gave_up = false;
			was_called = false;
			has_failed = false;
			goto begin
		}
	:: else
	fi
}

#define HAS_REASON(p) \
	(!asleep[p] || (slot_of[p] < SLOTS && IS_WAITING(slot_of[p]) && phase == FILLING && \
			COUNT < PARTIES))

#define IS_DEAD_PARTY(r) (life[r] == MARKED && held[r])

/* When nobody can do anything any more. */
proctype watchman()
{
	atomic {
		timeout;
		assert(owner == NONE);
		assert(HAS_REASON(0) && HAS_REASON(1) && HAS_REASON(2));
		assert(!(asleep[0] || asleep[1] || asleep[2]) ||
		       (!IS_DEAD_PARTY(0) && !IS_DEAD_PARTY(1) && !IS_DEAD_PARTY(2)));
		is_end = true
	}
}

init
{
	atomic { begin_all(); run watchman() }
}

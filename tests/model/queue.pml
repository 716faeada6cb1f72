/*
 * Queue: the protocol of ipc/queue.c, ipc/queue_wait.c and ipc/queue_tasks.c, of a queue whose tasks
 * come back (CAROM_QUEUE_TASKS_REQUEUE), on the roll and with the kernel's part in a death
 * (tests/model/roll.pml).
 *
 * Process 0 puts MESSAGES, of which SIZE_MAX have room; two others get them, and say of each that it
 * is done. DEATHS of the three are killed between any two of their steps. After who has died comes
 * a fresh one, which puts what was not put yet, or gets. Searched exhaustively:
 *
 *	no loss       nobody is through before all is done, whoever died with one
 *	no duplicate  what one has who lives nobody else gets; nothing is done twice
 *	no hang       no run ends with a process asleep (an invalid end state)
 *
 * A lock is a word with an owner, and whoever has it after a death is told, as in
 * tests/model/semaphore.pml; sums that only its holder looks at are made anew in the same step. Whether
 * a bell was rung since somebody armed it is kept for each process (`turn`), instead of its number.
 *
 * Doing one of these steps otherwise must be found:
 *
 *	-DHEAD_FIRST  a record says who has it before the head goes on (T2)
 *	-DARM_LATE    who is about to sleep looks after it has armed the bell (B2)
 *	-DONE_LOCK    who buries has both locks (Q8)
 *	-DNO_ALIVE    who is marked as dead neither puts nor gets, and has done nothing (Q4, Q8)
 *
 * ONE_LOCK was in the code, together with a putter that did not ask whether it lives, until this model
 * found it. tests/model/search takes 2 million states for one message and a death; two messages and a
 * death have 25 million. It is too small to need B4: for that, more would have to wait, or give up.
 */
#define PROCESSES 3
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef SIZE_MAX
#define SIZE_MAX 1
#endif

/* of a record: the name of who has it, or */
#define QUEUED   0
#define RETURNED 254
#define DONE     255
byte record[MESSAGES], head, tail, returned;

#if MESSAGES == 1
#define IS_OVER (record[0] == DONE)
#elif MESSAGES == 2
#define IS_OVER (record[0] == DONE && record[1] == DONE)
#else
#define IS_OVER (record[0] == DONE && record[1] == DONE && record[2] == DONE)
#endif

/* what a process has got, as its caller sees it */
#define NOTHING 255
byte has[PROCESSES] = NOTHING;

#define NONE PROCESSES
byte put_owner = NONE, get_owner = NONE;
bool put_died, get_died;

/* somebody waits */
bool put_bell, get_bell;

/* was it rung since this process has armed it? */
#define NOT_READ 0
#define READ     1
#define TURNED   2
byte turn[PROCESSES];

#define IMPATIENT  IS_OVER
#define WORD_OF(p) ((p) == 0 -> ON_PUT : ON_WORD)
#define ON_PUT     (8 << ROWS)

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
	has[p] = NOTHING;
	turn[p] = NOT_READ;
	if
	:: put_owner == p -> put_owner = NONE; put_died = true
	:: else
	fi;
	if
	:: get_owner == p -> get_owner = NONE; get_died = true
	:: else
	fi
}

#include "roll.pml"

#ifdef NO_ALIVE
#define LIVES true
#else
#define LIVES IS_ALIVE(row, mine)
#endif

/* ---- bells (B3) ---- */

inline ring_get()
{
	if
	:: atomic { get_bell -> get_bell = false; turn_over(1); turn_over(2) }
		atomic { wake_one(ON_WORD) }
	:: atomic { !get_bell -> skip }
	fi
}

inline ring_put()
{
	if
	:: atomic { put_bell -> put_bell = false; turn_over(0) }
		atomic { wake_one(ON_PUT) }
	:: atomic { !put_bell -> skip }
	fi
}

inline ring_all()
{
	atomic { get_bell = false; turn_over(1); turn_over(2) }
	atomic { wake_each(1, ON_WORD); wake_each(2, ON_WORD) }
	atomic { put_bell = false; turn_over(0) }
	atomic { wake_each(0, ON_PUT) }
}

/* ---- locks ---- */

#define IS_RETURNED(n) (record[n] == RETURNED -> 1 : 0)

inline recount()
{
	returned = 0;
	i = 0;
	do
	:: i < head -> returned = returned + IS_RETURNED(i); i++
	:: else -> i = 0; break
	od;
	if
	:: head < tail -> record[head] = QUEUED
	:: else
	fi
}

inline enter_get()
{
	if
	:: atomic { get_owner == NONE && !get_died -> get_owner = me }
	:: atomic {
		get_owner == NONE && get_died ->
			get_owner = me;
			recount();
			get_died = false
		}
		ring_all()
	fi
}

inline enter_put()
{
	if
	:: atomic { put_owner == NONE && !put_died -> put_owner = me }
	:: atomic { put_owner == NONE && put_died -> put_owner = me; put_died = false }
		ring_all()
	fi
}

/* ---- the dead ---- */

#define HAS_TASK(n, name) ((n) < head && record[n] == (name))
#if MESSAGES == 1
#define TASK_OF(name) 0
#define HAS_ANY(name) (HAS_TASK(0, name))
#elif MESSAGES == 2
#define TASK_OF(name) (HAS_TASK(0, name) -> 0 : 1)
#define HAS_ANY(name) (HAS_TASK(0, name) || HAS_TASK(1, name))
#else
#define TASK_OF(name) (HAS_TASK(0, name) -> 0 : (HAS_TASK(1, name) -> 1 : 2))
#define HAS_ANY(name) (HAS_TASK(0, name) || HAS_TASK(1, name) || HAS_TASK(2, name))
#endif

inline give_back()
{
	do
	:: atomic { HAS_ANY(dead) -> task = TASK_OF(dead); record[task] = RETURNED }
		atomic { returned++; task = 0 }
	:: atomic { !HAS_ANY(dead) -> break }
	od
}

inline bury_the_dead()
{
	if
	:: FIRST_DEAD(0) < ROWS ->
#ifndef ONE_LOCK
		enter_put();
#endif
		enter_get();
		i = 0;
		do
		:: atomic { FIRST_DEAD(i) < ROWS -> find_dead() }
			give_back();
			ring_all();
			atomic { bury() }
		:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
		od;
		get_owner = NONE;
#ifndef ONE_LOCK
		put_owner = NONE
#endif
	:: else
	fi
}

inline bury_for_room()
{
	bury_the_dead()
}

/* ---- putting and getting ---- */

#define HAS_PLACE (tail - head + returned < SIZE_MAX)

inline check_alone(n)
{
	assert(record[n] != DONE);
	assert(has[1] != (n) || doomed[1]);
	assert(has[2] != (n) || doomed[2])
}

inline take_returned()
{
	atomic { task = TASK_OF(RETURNED); check_alone(task); record[task] = NAME(row) }
	atomic { returned--; has[me] = task; task = 0 }
}

inline take_first()
{
#ifdef HEAD_FIRST
	atomic { check_alone(head); task = head; head++ }
	atomic { record[task] = NAME(row); has[me] = task; task = 0 }
#else
	atomic { check_alone(head); record[head] = NAME(row) }
	atomic { has[me] = head; head++ }
#endif
}

/* under the lock, and somebody else's message may come meanwhile */
inline get_now()
{
	if
	:: LIVES && returned > 0 -> take_returned()
	:: LIVES && returned == 0 && head < tail -> take_first()
	:: else
	fi
}

inline put_once()
{
	enter_put();
	if
	:: !LIVES -> is_through = true
	:: LIVES && HAS_PLACE -> atomic { tail++; is_through = true }
	:: else ->
		atomic { put_bell = true; turn[me] = READ }
#ifndef ARM_LATE
		if
		:: HAS_PLACE -> atomic { tail++; is_through = true }
		:: else
		fi
#endif
	fi;
	put_owner = NONE
}

inline get_once()
{
	enter_get();
	get_now();
	if
	:: has[me] == NOTHING ->
		atomic { get_bell = true; turn[me] = READ }
#ifndef ARM_LATE
		get_now()
#endif
	:: else
	fi;
	atomic {
		is_through = (has[me] != NOTHING || !LIVES);
		get_owner = NONE
	}
}

/* B4 */
inline end_wait()
{
	if
	:: has_slept && me == 0 -> put_bell = true
	:: has_slept && me != 0 -> get_bell = true
	:: else
	fi;
	if
	:: has_slept && me == 0 && HAS_PLACE -> ring_put()
	:: has_slept && me != 0 && (head < tail || returned > 0) -> ring_get()
	:: else
	fi;
	has_slept = false
}

inline finish()
{
	enter_get();
	atomic {
		if
		:: LIVES && has[me] != NOTHING ->
			assert(record[has[me]] != DONE);
			record[has[me]] = DONE
		:: else
		fi;
		has[me] = NOTHING
	}
	get_owner = NONE;
	ring_put()
}

proctype user(byte me)
{
	roll_variables;
	byte task;
	bool has_slept, is_through;

begin:
	{
		do
		:: atomic { IS_OVER && !doomed[me] -> finished[me] = true; break }
		:: atomic { !IS_OVER && !doomed[me] && (me != 0 || tail < MESSAGES) -> skip }
			enter();
again:
given_up:
			if
			:: has_slept -> bury_the_dead()
			:: else
			fi;
			if
			:: me == 0 -> put_once()
			:: else -> get_once()
			fi;
			if
			:: !is_through && !IS_OVER ->
				has_slept = true;
				sleep_on_roll(false, turn[me] == READ)
			:: else
			fi;
			atomic { is_through = false; turn[me] = NOT_READ }
			end_wait();
			if
			:: me == 0 -> ring_get()
			:: else ->
				ring_put();
				if
				:: has[me] != NOTHING -> finish()
				:: else
				fi
			fi
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
			task = 0;
			has_slept = false;
			is_through = false;
			goto begin
		}
	:: else
	fi
}

init
{
	atomic { begin_all() }
}

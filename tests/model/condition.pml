/*
 * Condition: the protocol of shm/condition.c and shm/wait_list.c, on the roll and with the
 * kernel's part in a death (tests/model/roll.pml).
 *
 * As many processes as ITEMS wait for one and take it; the others make as many, one after the
 * other, and notify one each time. DEATHS of the three are killed between any two of their steps,
 * and another one does in its place what is still to do. Process 0 stops waiting at some time
 * or other, and begins again. Searched exhaustively:
 *
 *	exclusion     the lock's holder alone changes what it protects
 *	no lost one   no run ends with a process asleep (an invalid end state): a notification
 *	              is not swallowed by a death, nor is the death itself
 *
 * The lock is the one of tests/model/mutex.pml: here it is a word with an owner, and whoever
 * has it after a death is told. Being told is a caller's to repair, and this one's repair is to
 * notify all, since the dead may have made an item and told nobody. What is protected by the
 * lock alone, and seen by nobody without it, is changed in one step with what follows.
 *
 * A maker has taken part before it makes anything. The death of a holder who never has, and who
 * has notified nobody, is told to who comes next, and wakes nobody.
 *
 * Where the model is simpler than the code, it allows more: any of those who wait is called, not
 * the longest waiting one.
 *
 * The mistakes that the design note of shm/condition.c explains can be put back: -DNO_HAND_ON,
 * -DNO_ALIVE, -DSLOTS_FIRST, and -DNO_LOST, -DBURY_FIRST of the roll's. Two of them were in the
 * code until this model found them: BURY_FIRST, which shm/roll.c tells, and SLOTS_FIRST:
 *
 *	W, under the lock       has looked for slots of the dead: there are none
 *	D, notified, killed     its row is marked, which wakes nobody: W does not sleep
 *	W                       finds the row, buries it, and sleeps
 *	D's slot                is a notification that nobody hands on: no row is marked
 *
 * tests/model/search does most of this: 5 million states with two deaths and one item, one million
 * with one and two. Two of each are 70 million, searched once, which took two and a half minutes and
 * 3.8 GB: no error either. SLOTS_FIRST is found with -DPATIENT -DMORTALS=5, after 8 million.
 */
#ifndef DEATHS
#define DEATHS 2
#endif

#define PROCESSES 3
#ifndef ITEMS
#define ITEMS 2
#endif
#define IS_MAKER  (me >= ITEMS)
#define IS_OVER   (served[0] && (ITEMS == 1 || served[1]) && made == ITEMS)

/* what the lock protects */
byte items, made;
bool served[PROCESSES];

/* the lock */
#define NONE PROCESSES
byte owner = NONE;
bool owner_died;

/* the list; in which slot a process waits, or waited last */
#define SLOTS   4
#define WAITING 1
#define CALLED  2
byte slot_state[SLOTS], slot_row[SLOTS], slot_generation[SLOTS];
byte slot_of[PROCESSES];

inline forget()
{
	seen_entries = 0;
	watched = 0
}

inline lose(p)
{
	if
	:: owner == p -> owner = NONE; owner_died = true
	:: else
	fi
}

#include "roll.pml"

#define SLOT_LIVES(s)   IS_ALIVE(slot_row[s], slot_generation[s])
#define IS_WAITING(s)   (slot_state[s] == WAITING && SLOT_LIVES(s))
#define IS_LEFT_OVER(s) (slot_state[s] != 0 && !SLOT_LIVES(s))
#define ANY(what)       (what(0) || what(1) || what(2) || what(3))

#ifdef NO_ALIVE
#define LIVES true
#else
#define LIVES IS_ALIVE(row, mine)
#endif

/* FUTEX_WAKE_OP: sets the bit and wakes in one step */
inline wake_slot(p, s)
{
	if
	:: slot_of[p] == s && queues[p] & ON_WORD ->
		queues[p] = queues[p] & ~ON_WORD;
		woken[p] = true
	:: else
	fi
}

/* one of those who wait, if there is one */
inline call_one()
{
	if
	:: IS_WAITING(0) -> next = 0
	:: IS_WAITING(1) -> next = 1
	:: IS_WAITING(2) -> next = 2
	:: IS_WAITING(3) -> next = 3
	:: else -> next = SLOTS
	fi;
	if
	:: next < SLOTS ->
		slot_state[next] = WAITING | CALLED;
		wake_slot(0, next);
		wake_slot(1, next)
	:: else
	fi;
	next = 0
}

inline remove(s)
{
	slot_state[s] = 0;
	slot_row[s] = 0;
	slot_generation[s] = 0
}

/* the caller is told of a death, and has repaired by and by: dying before, it is told again */
inline get_lock()
{
	owner = me;
	told = told || owner_died;
	owner_died = false
}

inline hand_on_all()
{
	do
	:: atomic {
		ANY(IS_LEFT_OVER) ->
			if
			:: IS_LEFT_OVER(0) -> left_over = 0
			:: else ->
				if
				:: IS_LEFT_OVER(1) -> left_over = 1
				:: else ->
					if
					:: IS_LEFT_OVER(2) -> left_over = 2
					:: else -> left_over = 3
					fi
				fi
			fi;
#ifndef NO_HAND_ON
			if
			:: slot_state[left_over] & CALLED -> call_one()
			:: else
			fi
#endif
		}
		atomic { remove(left_over); left_over = 0 }
	:: atomic { !ANY(IS_LEFT_OVER) -> break }
	od
}

#ifdef SLOTS_FIRST
#define HAND_ON_FIRST hand_on_all();
#define HAND_ON_ALL
#else
#define HAND_ON_FIRST
#define HAND_ON_ALL hand_on_all();
#endif

inline bury_the_dead()
{
	HAND_ON_FIRST
	do
	:: atomic { FIRST_DEAD(i) < ROWS -> find_dead() }
		HAND_ON_ALL
		atomic { bury() }
	:: atomic { FIRST_DEAD(i) == ROWS -> i = 0; break }
	od
}

inline bury_for_room()
{
	bury_the_dead()
}

inline notify(all)
{
	enter();
	bury_the_dead();
	do
	:: atomic { (all) && ANY(IS_WAITING) -> call_one() }
	:: atomic { !(all) || !ANY(IS_WAITING) -> break }
	od;
	if
	:: atomic { !(all) -> call_one() }
	:: all
	fi
}

inline add()
{
	atomic {
		IS_ALIVE(row, mine); /* who is not, is about to end, here or somewhat later */
		if
		:: slot_state[0] == 0 -> slot = 0
		:: slot_state[0] != 0 && slot_state[1] == 0 -> slot = 1
		:: slot_state[0] != 0 && slot_state[1] != 0 && slot_state[2] == 0 -> slot = 2
		:: else -> slot = 3; assert(slot_state[3] == 0)
		fi;
		slot_state[slot] = WAITING;
		slot_row[slot] = row;
		slot_generation[slot] = mine;
		slot_of[me] = slot
	}
}

inline wait()
{
	enter();
	add();
once_more:
	owner = NONE;
	sleep_on_roll(slot_state[slot] & CALLED, slot_state[slot] == WAITING);
given_up:
	gave_up = true;
again:
	atomic { owner == NONE -> get_lock() };
	if
	:: !LIVES -> goto waited
	:: else
	fi;
	bury_the_dead();
	atomic {
		if
		:: !told && !gave_up && !(slot_state[slot] & CALLED) -> goto once_more
		:: else -> remove(slot)
		fi
	};
waited:
	atomic { slot = 0; gave_up = false }
}

proctype user(byte me)
{
	roll_variables;
	byte slot, next, left_over;
	bool told, gave_up;

begin:
	{
		do
		:: atomic { !doomed[me] && (IS_MAKER -> made == ITEMS : served[me]) && !told ->
				finished[me] = true;
				break
			}
		:: atomic {
			(!doomed[me] && owner == NONE &&
			 (owner_died || !(IS_MAKER -> made == ITEMS : served[me]))) -> get_lock()
			};
repaired:
			if
			:: told -> notify(true); told = false
			:: else
			fi;
			if
			:: atomic { IS_MAKER && made < ITEMS -> skip };
				enter();
				atomic { items++; made++ };
				notify(false)
			:: atomic { !IS_MAKER && !served[me] && items > 0 -> items--; served[me] = true }
			:: atomic { !IS_MAKER && !served[me] && items == 0 -> skip };
				wait();
				goto repaired
			:: atomic { IS_MAKER && made == ITEMS || !IS_MAKER && served[me] -> skip }
			fi;
			atomic { assert(owner == me); owner = NONE }
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
			slot = 0;
			next = 0;
			left_over = 0;
			told = false;
			gave_up = false;
			goto begin
		}
	:: else
	fi
}

init
{
	atomic { begin_all() }
}

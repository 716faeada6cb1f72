/*
 * Lane: the protocol of ipc/lane*.c, with deaths of workers and sweeps cut short.
 *
 * A submitter sends TASKS tasks through two slots: two at once, then one by one, and
 * sleeps on each. Two workers claim, pass wake-ups on, finish and park. DEATHS times
 * a worker is killed between any two of its steps; the supervisor sweeps and starts a
 * fresh one in its place. CUTS times a sweep is cut short at one of its points and
 * begun anew. One step is one access to shared memory, or one system call. Searched
 * exhaustively:
 *
 *	no task doubled   it is claimed once, and once more for each time that the
 *	                  sweep gave it out again; its value is counted once
 *	no task lost      when nothing moves any more, the submitter has seen all end
 *	nobody stranded   and each worker sleeps where a wake-up finds it: its idle
 *	                  bit is set
 *
 * Leaving out one of these steps must be found:
 *
 *	-DNO_WAKE_ALL   the sweep wakes each worker without an idle bit
 *	-DNO_WAKE_ONE   the sweep wakes one where work is ready
 *	-DNO_NAME       a slot that is READY again keeps the dead worker's name until
 *	                its hint is in the ring
 *	-DNO_LOOK       a worker looks at the ring between its idle bit and its sleep
 *
 *	-DAWAKE_LATE    with -DTHROUGHPUT a worker clears its awake bit before its last look
 *	-DAWAKE_KEPT    and the sweep clears that of a dead one
 *
 * With -DTHROUGHPUT nobody is woken while a worker is awake, however much waits.
 * Workers do not spin but with -DSPIN. With -DUNREPLACED there is one death at most, and
 * nobody comes in the dead worker's place: then the other must do it all.
 *
 * Left out: stopping, holding (hold.pml), notices (notice.pml), laps of the ring (it is as
 * long as it takes), and orders weaker than sequential consistency.
 */
#ifndef TASKS
#define TASKS 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef CUTS
#define CUTS 1
#endif

#define CELLS  (TASKS + DEATHS + CUTS + 1) /* the last is never written */
#define NOBODY 2                           /* workers are 0 and 1, and so are slots */

mtype { FREE, READY, RUNNING, DONE, LOST };
mtype { ALIVE, DEAD, GONE };

/* the lane */
mtype state[2] = FREE;
byte owner[2] = NOBODY, generation[2];
bool waited[2];
bool cell_written[CELLS];
byte cell_slot[CELLS], cell_generation[CELLS], head;
bool idle[2], spinning[2], wake[2];
#ifdef THROUGHPUT
bool awake[2];
#endif

/* the parent's own */
byte tail;
bool locked;

/* what the kernel knows */
bool asleep[2], submitter_asleep, killed[2];
mtype life[2] = ALIVE;

/* what is to be proved; a task is known by its slot and generation */
byte claims_left[2];
bool has_value[2], all_ended;

#define ENDED(s)      (state[s] == DONE || state[s] == LOST)
#define WAKE_SUBMITTER submitter_asleep = false /* it sleeps on one slot at a time */

/*
 * The head and its cell are read in one step: cells do not change once they are
 * written, and every use of what was read is checked by an exchange.
 */
#define NONEMPTY cell_written[head]

inline wake_worker(other)
{
	wake[other] = true;
	asleep[other] = false
}

/* takes the lowest bit; what the mask's word was before is but a guess */
inline wake_one()
{
	d_step {
		target = (idle[0] -> 0 : (idle[1] -> 1 : NOBODY));
		if
		:: target != NOBODY -> idle[target] = false
		:: else
		fi
	}
	if
	:: target != NOBODY ->
		wake[target] = true;
		d_step { asleep[target] = false; target = NOBODY }
	:: else
	fi
}

/* ---- a worker ---- */

inline pop()
{
	do
	:: atomic {
			NONEMPTY ->
			at = head;
			slot = cell_slot[at]
		}
		d_step { /* the exchange on the slot's word */
			if
			:: state[slot] == READY && generation[slot] == cell_generation[at] ->
				state[slot] = RUNNING;
				owner[slot] = me;
				assert(claims_left[slot] > 0);
				claims_left[slot]--;
				claimed = true
			:: else -> slot = 0
			fi
		}
		d_step { /* and on the head */
			if
			:: head == at -> head++
			:: else
			fi;
			at = 0
		}
		if
		:: claimed -> break
		:: else
		fi
	:: atomic { else -> break }
	od
}

inline park()
{
	wake[me] = false;
	idle[me] = true;
#ifdef SPIN
	spinning[me] = false;
#endif
#if defined(THROUGHPUT) && !defined(AWAKE_LATE)
	awake[me] = false;
#endif
	if
#ifndef NO_LOOK
	:: NONEMPTY
	:: else ->
#else
	:: true ->
#endif
#ifdef AWAKE_LATE
		awake[me] = false;
#endif
		do
		:: atomic { wake[me] -> break }
		:: atomic { else -> asleep[me] = true } /* FUTEX_WAIT compares and falls asleep in one */
end_asleep:
			!asleep[me]
		od
	fi;
#ifdef THROUGHPUT
	awake[me] = true;
#endif
	idle[me] = false
}

inline pass_on()
{
#ifndef THROUGHPUT
	if
	:: NONEMPTY ->
		if
		:: !spinning[0] && !spinning[1] -> wake_one()
		:: else
		fi
	:: else
	fi
#else
	skip
#endif
}

inline finish()
{
	d_step {
		assert(state[slot] == RUNNING && owner[slot] == me && !has_value[slot]);
		has_value[slot] = true;
		state[slot] = DONE;
		claimed = waited[slot];
		slot = 0
	}
	if
	:: claimed -> d_step { WAKE_SUBMITTER; claimed = false }
	:: else
	fi
}

inline work()
{
	do
	:: pop();
		if
		:: claimed ->
			pass_on();
			finish()
		:: else ->
#ifdef SPIN
			if
			:: spinning[me] = true
			:: skip
			fi;
			if
			:: spinning[me] && NONEMPTY -> spinning[me] = false
			:: park()
			fi
#else
			park()
#endif
		fi
	od
}

proctype worker(byte me)
{
	byte at, slot, target = NOBODY;
	bool claimed;

begin:
	{
#ifdef THROUGHPUT
		awake[me] = true;
#endif
		work()
	} unless { killed[me] };
	atomic {
		killed[me] = false;
		asleep[me] = false;
		at = 0;
		slot = 0;
		target = NOBODY;
		claimed = false;
		life[me] = DEAD
	}
end_dead:
	life[me] == ALIVE;
	goto begin
}

proctype killer()
{
	byte deaths;

	do
	:: deaths < DEATHS ->
		deaths++;
		if
		:: atomic { life[0] == ALIVE && !killed[0] -> killed[0] = true }
		:: atomic { life[1] == ALIVE && !killed[1] -> killed[1] = true }
		fi
	:: break
	od
}

/* ---- the parent ---- */

inline lock()
{
	atomic { !locked -> locked = true }
}

/* the tail is private: this is one step */
inline push(s)
{
	d_step {
		cell_slot[tail] = s;
		cell_generation[tail] = generation[s];
		cell_written[tail] = true;
		tail++
	}
}

inline make_ready(s)
{
	d_step {
		assert(state[s] == FREE);
		generation[s]++;
		state[s] = READY;
		owner[s] = NOBODY;
		waited[s] = false;
		has_value[s] = false;
		claims_left[s] = 1
	}
}

inline wake_for_work()
{
	if
#ifdef THROUGHPUT
	:: !awake[0] && !awake[1] -> wake_one()
#else
	:: !spinning[0] && !spinning[1] -> wake_one()
#endif
	:: else
	fi
}

inline wait_and_give(s)
{
	do
	:: ENDED(s) -> break
	:: else ->
		atomic { /* sets WAITED, unless it has ended */
			if
			:: ENDED(s)
			:: else -> waited[s] = true; seen_state = state[s]; seen_owner = owner[s]
			fi
		}
		atomic { /* FUTEX_WAIT compares and falls asleep in one */
			if
			:: state[s] == seen_state && owner[s] == seen_owner && !ENDED(s) ->
				submitter_asleep = true
			:: else
			fi;
			seen_state = 0;
			seen_owner = 0
		}
		!submitter_asleep
	od;
	lock();
	d_step {
		assert(state[s] == LOST || has_value[s]);
		state[s] = FREE;
		locked = false
	}
}

proctype submitter()
{
	byte sent, seen_owner, target = NOBODY;
	mtype seen_state;

	lock();
	make_ready(0);
	push(0);
	make_ready(1);
	push(1);
	wake_for_work();
	locked = false;
	sent = 2;
	wait_and_give(1);
	do
	:: sent < TASKS ->
		lock();
		make_ready(1);
		push(1);
		wake_for_work();
		locked = false;
		sent++;
		wait_and_give(1)
	:: else -> break
	od;
	wait_and_give(0);
	all_ended = true
}

/* A point: the sweep may be cut short here, and begin anew. */
inline point()
{
	if
	:: cuts < CUTS -> cuts++; goto sweep
	:: skip
	fi
}

inline offer_again(s)
{
	push(s);
	point();
	d_step {
		if
		:: state[s] == READY && owner[s] == me -> owner[s] = NOBODY
		:: else
		fi
	}
}

inline sweep_slot(s)
{
	if
	:: owner[s] == me && state[s] == RUNNING ->
		if
		:: s == 0 -> /* the verdict: again */
			d_step {
				claims_left[s]++;
				state[s] = READY;
#ifdef NO_NAME
				owner[s] = NOBODY
#endif
			}
			point();
			offer_again(s)
		:: else ->
			state[s] = LOST;
			point();
			WAKE_SUBMITTER
		fi
	:: owner[s] == me && state[s] == READY -> offer_again(s)
	:: owner[s] == me && ENDED(s) && waited[s] -> WAKE_SUBMITTER
	:: else
	fi
}

inline sweep_hints()
{
	d_step { idle[me] = false; spinning[me] = false }
#if defined(THROUGHPUT) && !defined(AWAKE_KEPT)
	awake[me] = false;
#endif
#ifndef NO_WAKE_ALL
	if
	:: !idle[1 - me] -> wake_worker(1 - me)
	:: else
	fi;
	point();
#endif
#ifndef NO_WAKE_ONE
	if
	:: NONEMPTY ->
		wake_one();
		point()
	:: else
	fi
#endif
}

proctype supervisor()
{
	byte me, cuts, target = NOBODY;

end_watching:
	do
	:: atomic { life[0] == DEAD && !locked -> locked = true; me = 0 };
sweep:
		sweep_slot(0);
		sweep_slot(1);
		point();
		sweep_hints();
#ifdef UNREPLACED
		d_step { life[me] = GONE; locked = false; me = 0 }
#else
		d_step { life[me] = ALIVE; locked = false; me = 0 }
#endif
	:: atomic { life[1] == DEAD && !locked -> locked = true; me = 1 };
		goto sweep
	od
}

/* when nothing else can move */
proctype judge()
{
	timeout ->
		assert(all_ended);
		assert(life[0] == GONE || (asleep[0] && idle[0]));
		assert(life[1] == GONE || (asleep[1] && idle[1]))
}

init
{
	atomic {
		run worker(0);
		run worker(1);
		run submitter();
		run supervisor();
		run killer();
		run judge()
	}
}

/*
 * Holding a worker to the item it is at: P6, P7 and W7 of ipc/lane*.c, as pool/limits.c uses
 * them for soft and hard limits.
 *
 * One worker does TASKS batches of ITEMS items each, in one slot. The parent looks at it
 * HITS times, at any moment: it then warns it by a signal, or dooms it, as it finds the
 * word and the progress. A signal arrives at any later moment, since the task may have
 * blocked it. One step is one access to shared memory, or one system call. Searched
 * exhaustively:
 *
 *	no stray blow     a signal is received while the item that it was sent for is the
 *	                  one at hand, or has just ended; and the word says SOFT then
 *	no late blow      whoever is doomed for an item does not begin another
 *	nobody is stuck   the worker stands still only while the parent is about to decide
 *
 * Leaving out one of these steps must be found:
 *
 *	-DNO_RECHECK    the parent looks at the progress again, once the flag stands
 *	-DNO_HOLD       the worker stands still while the word holds it
 *	-DNO_SETTLE     it receives the signal before it clears SOFT
 *	-DDROP_SOFT     SOFT stays where a signal was sent before, and is not needed now
 *	-DEND_LATE      an item's end is stored before the word is looked at
 *	-DNO_PARDON     the parent lets go of whom it does not doom
 *
 * Left out: deaths, which end all of this, and flags that tell who waits.
 */
#ifndef TASKS
#define TASKS 2
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef HITS
#define HITS 3
#endif

/* the slot's word, and the progress */
#define CONDEMNED  1
#define DOOMED     2
#define SOFT       4
#define SIGNALLING 8
#define HOLDS      (CONDEMNED | SIGNALLING)

byte generation, flags, begun, ended;
bool running;

/* what the kernel knows */
bool pending;

/* what is to be proved: an item is known by its task and its number */
byte at_task, at_item, target_task, target_item;
bool is_doomed, is_over;

/* ---- the worker ---- */

/* of its own thread: between any two steps */
inline receive()
{
	d_step {
		if
		:: pending ->
			assert(flags & SOFT);
			assert(target_task == at_task && target_item == at_item);
			pending = false
		:: else
		fi
	}
}

/* a step, before which a signal may come */
inline interruptible()
{
	if
	:: receive()
	:: skip
	fi
}

/* until nothing holds it, with the word as it was seen last */
inline stand_still()
{
#ifndef NO_HOLD
	do
	:: (seen & HOLDS) && !(seen & DOOMED) ->
		(flags != seen); /* FUTEX_WAIT */
		seen = flags
	:: else -> break
	od;
#endif
	if
	:: seen & DOOMED -> goto doomed
	:: else
	fi;
#ifndef NO_SETTLE
	if
	:: seen & SOFT -> receive()
	:: else
	fi
#endif
}

/* the exchange that follows it: the item's SOFT is cleared, or the task is done */
inline go_on(done)
{
	seen = flags;
	do
	:: stand_still();
		d_step {
			if
			:: flags == seen ->
				flags = 0;
				running = running && !done;
				went = true
			:: else -> seen = flags
			fi
		}
		if
		:: went -> went = false; break
		:: else
		fi
	od
}

proctype worker()
{
	byte seen;
	bool went;

	do
	:: generation < TASKS ->
		d_step { /* the parent's part is no other's: the slot is free */
			begun = 0;
			ended = 0;
			generation++;
			flags = 0;
			running = true
		}
		do
		:: begun < ITEMS ->
			d_step {
				assert(!is_doomed);
				begun++;
				at_task = generation;
				at_item = begun
			}
			interruptible();
#ifndef END_LATE
			ended = begun;
#endif
			go_on(begun == ITEMS);
#ifdef END_LATE
			if
			:: begun < ITEMS -> ended = begun
			:: else
			fi
#endif
		:: else -> break
		od
	:: else -> break
	od;
doomed:
	is_over = true
}

/* ---- the parent ---- */

inline is_same_item()
{
#ifdef NO_RECHECK
	same = true
#else
	same = (begun == seen_begun && ended == seen_ended && begun != ended)
#endif
}

inline try_to_set(what, unless_flags)
{
	d_step { /* fails if another task is there */
		if
		:: running && generation == seen_generation && !(flags & (unless_flags)) ->
			was = flags;
			flags = flags | (what);
			set = true
		:: else -> set = false
		fi
	}
}

inline warn()
{
	try_to_set(SOFT | SIGNALLING, CONDEMNED | DOOMED);
	if
	:: set ->
		is_same_item();
		if
		:: same ->
			d_step { pending = true; target_task = seen_generation; target_item = seen_begun }
		:: else
		fi;
#ifdef DROP_SOFT
		flags = flags & ~(SIGNALLING | (same -> 0 : SOFT))
#else
		flags = flags & ~(SIGNALLING | (same || (was & SOFT) -> 0 : SOFT))
#endif
	:: else
	fi
}

inline doom()
{
	try_to_set(CONDEMNED, 0);
	if
	:: set ->
		is_same_item();
		if
		:: same ->
			d_step {
				assert(at_task == seen_generation && at_item == seen_begun);
				is_doomed = true;
				flags = flags | DOOMED
			}
			flags = flags & ~CONDEMNED
		:: else ->
#ifndef NO_PARDON
			flags = flags & ~CONDEMNED
#else
			skip
#endif
		fi
	:: else
	fi
}

proctype parent()
{
	byte hits, seen_generation, seen_begun, seen_ended, was;
	bool set, same;

	do
	:: hits < HITS && !is_doomed ->
		hits++;
end_of_all:
		atomic { running; seen_generation = generation }
		d_step { seen_begun = begun; seen_ended = ended }
		if
		:: warn()
		:: doom()
		fi
	:: break
	od
}

proctype judge()
{
	timeout -> assert(is_over)
}

init
{
	atomic {
		run worker();
		run parent();
		run judge()
	}
}

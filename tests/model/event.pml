/*
 * Event: the protocol of shm/event.c, with the kernel's part in a death.
 *
 * WAITING processes wait once each; SETTING others set the event, and one clears it CLEARS
 * times. When all of these have done their part the event is set once more. DEATHS times
 * one of them is killed: a waiter, which is not replaced, or a setter between two of its
 * steps, and another one sets the event in its place. A step is one access to the word or
 * one system call. Searched exhaustively:
 *
 *	no lost wake  nobody is asleep when all has ended (an invalid end state), and nobody
 *	              is while the word has SET
 *	truth         who goes on has seen a set that was not over when it began to wait
 *	one is enough who was waiting when the event was set does not fall asleep again
 *
 * The mistakes that the design note explains can be put back: -DTWO_STEPS, -DNO_WAKE,
 * -DNO_COUNT, -DCLEAR_ALL. tests/model/search does all of this.
 */
#ifndef WAITING
#define WAITING 3
#endif
#ifndef SETTING
#define SETTING 2
#endif
#ifndef CLEARS
#define CLEARS 2
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

/* the word */
bool is_set, waiters;
byte cleared;

/* what the kernel knows */
bool asleep[WAITING];

byte sets_done, deaths;
bool clears_done;

inline wake_all()
{
	asleep[0] = false;
	asleep[1] = false;
#if WAITING > 2
	asleep[2] = false
#endif
}

#define NOBODY_SLEEPS (!asleep[0] && !asleep[1] && !asleep[WAITING - 1])

proctype waiter(byte me)
{
	byte began, seen_cleared;
	bool seen_set, seen_waiters;

	atomic {
		began = cleared;
		seen_cleared = cleared;
		seen_set = is_set;
		seen_waiters = waiters
	}
again:
	if
	:: seen_set -> goto gone_on
#ifndef NO_COUNT
	:: !seen_set && seen_cleared != began -> goto gone_on
	:: !seen_set && seen_cleared == began -> skip
#else
	:: !seen_set -> skip
#endif
	fi;
	if
	:: seen_waiters -> skip
	:: else ->
		atomic {
			if
			:: is_set == seen_set && waiters == seen_waiters &&
			   cleared == seen_cleared -> waiters = true; seen_waiters = true
			:: else -> goto look
			fi
		}
	fi;
	if
	:: atomic { deaths < DEATHS -> deaths++; goto ended }
	:: skip
	fi;
	atomic { /* FUTEX_WAIT compares and falls asleep in one */
		if
		:: !is_set && waiters && cleared == seen_cleared ->
			assert(cleared == began);
			asleep[me] = true
		:: else -> goto look
		fi
	}
	atomic {
		if
		:: !asleep[me] -> skip
		:: deaths < DEATHS && asleep[me] -> /* killed, and forgotten */
			deaths++;
			asleep[me] = false;
			goto ended
		fi
	}
look:
	atomic {
		seen_cleared = cleared;
		seen_set = is_set;
		seen_waiters = waiters
	}
	goto again;
gone_on:
	/* set now, or set and cleared since it began */
	assert(seen_set || seen_cleared != began);
ended:
	skip
}

proctype setter()
{
	bool seen_set, seen_waiters;
	byte seen_cleared;

begin:
	atomic {
		seen_set = is_set;
		seen_waiters = waiters;
		seen_cleared = cleared
	}
again:
	if
#ifndef NO_WAKE
	:: seen_waiters && !seen_set -> goto wake
	:: else -> skip
#else
	:: skip
#endif
	fi;
	atomic { /* the exchange */
		if
		:: is_set == seen_set && waiters == seen_waiters && cleared == seen_cleared ->
			is_set = true;
			assert(NOBODY_SLEEPS);
			goto done
		:: else ->
			seen_set = is_set;
			seen_waiters = waiters;
			seen_cleared = cleared;
			goto again
		fi
	}
wake:
	if
	:: atomic { deaths < DEATHS -> deaths++; goto begin } /* killed; another one sets it */
	:: skip
	fi;
#ifdef TWO_STEPS
	is_set = true;
	if
	:: atomic { deaths < DEATHS -> deaths++; goto begin }
	:: skip
	fi;
	atomic { wake_all() }
#else
	atomic { is_set = true; wake_all() }
#endif
done:
	sets_done++
}

proctype clearer()
{
	byte n;

	do
	:: n < CLEARS ->
		n++;
		atomic {
			if
#ifdef CLEAR_ALL
			:: true -> assert(!is_set || NOBODY_SLEEPS); is_set = false; waiters = false; cleared++
#else
			:: is_set -> assert(NOBODY_SLEEPS); is_set = false; waiters = false; cleared++
			:: else
#endif
			fi
		}
	:: break
	od;
	clears_done = true
}

init
{
	byte i;

	atomic {
		for (i : 0 .. WAITING - 1) {
			run waiter(i)
		}
		for (i : 1 .. SETTING) {
			run setter()
		}
		run clearer()
	}
	sets_done == SETTING && clears_done;
	run setter()
}

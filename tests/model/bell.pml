/*
 * The bell of a pipe, and its sleepers: the protocols of ipc/duct_bell.c and of ipc/ring.c (P1 to
 * P5, S0 to S3), with deaths of senders after whom nobody may come, and the kernel's part in them.
 *
 * Up to SENDERS processes share an end, and each sends as many messages as it likes, or none,
 * TURNS at most. At the other end two threads poll, for the first time at any time, receive, and
 * settle the bell when they find nothing; or, with -DSLEEPER, one of the two sleeps in the ring
 * instead, and may give that up SLEEPER times. With -DEDGES they are woken by a byte that is new,
 * not by one that is there. DEATHS times a sender is killed between any two of
 * its steps. One step is one access to shared memory, or one system call, of which a sleep takes
 * several. Searched exhaustively:
 *
 *	no message lies unheard of	when nothing moves any more, all that was told was received
 *
 * Doing one of these steps otherwise must be found:
 *
 *	-DTELL_FIRST     a sender rings before it tells
 *	-DDISARM_LATE    it disarms before it says that it has told
 *	-DLOOK_APART     whether it is to ring it finds out as it tells
 *	-DNO_TELLER      who settles sees whether somebody is telling
 *	-DARMED_ONCE     and then whether it is still armed
 *	-DLOOK_FIRST     and whether there is something
 *	-DNO_PENDING     of who dies in the middle of telling the kernel knows
 *	-DTELL_THEN_WAKE who takes over from the dead wakes before it tells
 *	-DCLEAR_FIRST    and leaves it there that somebody sleeps
 *	-DNOT_COMPARED   a sleeper compares the word when it is queued
 *	-DDIED_KEPT      and first takes the mark of the dead out of it
 *	-DNO_ID          who tells puts its id there before
 *	-DSIGN_IN_TWO    and takes a dead one's out in the same step
 *	-DWAKE_BY_MARK   and wakes for what stands in the word, not for the mark
 * and with -DEDGES:
 *	-DONCE           who settles while somebody tells disarms, and T5 is none
 *	-DNO_LOOK        and looks once more
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef TURNS
#define TURNS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define BYTES_MAX 3 /* what its socket takes */

#define DIED 255 /* the kernel's mark */
#define AGAIN 2

/* the ring; what is told, and the marks, are one word; who tells, and who sleeps, are another */
bool polled, awaited;
byte index;
byte armed; /* AGAIN: behind the index */
bool sleeps;
byte teller; /* 0: nobody; or who */

/* of those who send, and of those who receive */
byte sender_lock, mine;
bool torn;
bool receive_lock, bell_lock;
byte received;

/* what the kernel knows */
byte bytes = 1;
#ifdef EDGES
bool edge[2] = true;
#endif
bool killed[SENDERS + 1], pending[SENDERS + 1];
bool queued, woken;

inline send_byte()
{
	d_step {
		if
		:: bytes < BYTES_MAX ->
			bytes++;
#ifdef EDGES
			edge[0] = true;
			edge[1] = true
#endif
		:: else
		fi
	}
}

inline ring()
{
	if
	:: armed == 1 ->
		send_byte();
#ifndef DISARM_LATE
		d_step {
			if
			:: armed == 1 -> armed = 0
			:: else
			fi
		}
#endif
	:: else
	fi
}

/* T5 */
inline ring_again()
{
	if
	:: atomic { armed == AGAIN -> armed = 0 }
		send_byte()
	:: atomic { armed != AGAIN -> skip }
	fi
}

/* in one step with what it is part of */
inline wake()
{
	if
	:: queued -> queued = false; woken = true
	:: else
	fi
}

inline wake_first()
{
#ifdef CLEAR_FIRST
	sleeps = false;
#endif
	d_step { wake() }
}

/* what is pending is looked at by one's own death alone, so it is no step of its own */
inline tell_marked(me)
{
#ifdef NO_ID
	pending[me] = true;
#else
#ifdef SIGN_IN_TWO
	pending[me] = true;
	if
	:: teller != 0 -> teller = 0
	:: else
	fi;
	teller = me;
#else
	atomic { pending[me] = true; teller = me } /* P2, T1 */
#endif
#endif
	do
	:: true;
		atomic { seen_polled = polled; seen_awaited = awaited }
#ifndef TELL_FIRST
		ring(); /* T2 */
#endif
		if
		:: atomic {
			seen_polled == polled && seen_awaited == awaited ->
				index = mine; /* P3, T3 */
				awaited = false
		   }
			break
		:: atomic { seen_polled != polled || seen_awaited != awaited -> skip }
		fi
	od;
#ifdef TELL_FIRST
	ring();
#endif
	ring_again();
	/* P4, T4 */
#ifdef WAKE_BY_MARK
	teller = 0;
#else
	atomic { seen_awaited = sleeps; teller = 0; sleeps = false }
#endif
#ifdef DISARM_LATE
	armed = 0;
#endif
	if
	:: seen_awaited -> d_step { wake(); pending[me] = false } /* P5 */
	:: else -> pending[me] = false
	fi;
	atomic { seen_polled = false; seen_awaited = false }
}

inline publish(me)
{
#ifdef LOOK_APART
	if
	:: !polled && !awaited -> index = mine; ring()
	:: else -> tell_marked(me)
	fi
#else
	if
	:: atomic { !polled && !awaited -> index = mine } /* P1 */
	:: atomic { polled || awaited -> skip }
		tell_marked(me)
	fi
#endif
}

inline succeed(me)
{
#ifdef TELL_THEN_WAKE
	publish(me);
	wake_first();
#else
	wake_first();
	publish(me);
#endif
	send_byte();
	torn = false
}

proctype sender(byte me)
{
	byte turns;
	bool seen_polled, seen_awaited;

	{
		do
		:: break
		:: turns < TURNS ->
			turns++;
			atomic { sender_lock == 0 -> sender_lock = me };
			if
			:: torn -> succeed(me)
			:: else
			fi;
			mine++;
			publish(me);
			sender_lock = 0
		od
	} unless { killed[me] };
	/* the kernel goes through the list, and then it looks at what is pending */
	atomic {
		if
		:: sender_lock == me ->
			sender_lock = 0;
			torn = true
		:: else
		fi
	}
#ifndef NO_PENDING
	atomic {
		if
		:: pending[me] && (teller == 0 || teller == DIED) -> wake()
		:: pending[me] && teller == me ->
			teller = DIED;
			if
			:: sleeps -> wake()
			:: else
			fi
		:: else
		fi;
		pending[me] = false;
		turns = 0;
		seen_polled = false;
		seen_awaited = false
	}
#endif
}

/* Return: again, whether there may be more to take. With the bell lock */
inline take_byte()
{
	again = false;
	if
	:: bytes > 0 ->
		armed = 1; /* S1 */
#ifdef LOOK_FIRST
		is_empty = (received == index);
#endif
		is_telling = (teller != 0 && teller != DIED); /* S2 */
#ifdef NO_TELLER
		is_telling = false;
#endif
		if
#ifdef ONCE
		:: is_telling -> armed = 0
#else
		:: is_telling ->
			bytes = 1; /* the rest is taken */
			armed = AGAIN
#endif
#ifndef ARMED_ONCE
		:: !is_telling && armed == 0 -> again = true /* S3 */
#endif
		:: else ->
#ifndef LOOK_FIRST
			is_empty = (received == index); /* S4 */
#endif
			if
			:: is_empty ->
				bytes--;
				again = true
			:: else -> armed = 0
			fi
		fi
	:: else -> again = false
	fi
}

inline settle()
{
	if
	:: atomic { !bell_lock -> bell_lock = true };
		do
		:: take_byte();
			if
			:: again
			:: else -> break
			fi
		od;
		atomic {
			bell_lock = false;
			is_empty = false;
			is_telling = false
		}
	:: else
	fi
}

#ifdef EDGES

/* receives until there is nothing, with CAROM_PASSED */
proctype poller(byte me)
{
	bool again, is_empty, is_telling;

	polled = true;
	do
	:: true;
end_polling:
		atomic { edge[me] -> edge[me] = false };
more:
		if
		:: atomic { !receive_lock -> receive_lock = true }
		:: else -> goto end_polling
		fi;
		if
		:: atomic { received < index -> received++ }
			receive_lock = false;
			goto more
		:: else
		fi;
		settle();
#ifndef NO_LOOK
		if
		:: atomic { received < index -> received++ } /* S5 */
			receive_lock = false;
			goto more
		:: else
		fi;
#endif
		receive_lock = false
	od
}

#else

proctype poller(byte me)
{
	bool again, is_empty, is_telling;

	polled = true;
	do
	:: true;
end_polling:
		bytes > 0 && !receive_lock;
		if
		:: atomic { !receive_lock && received < index -> received++ }
		:: else -> settle()
		fi
	od
}

#endif

#ifdef SLEEPER
/* ---- asleep in the ring ---- */

proctype sleeper()
{
	byte seen_teller, naps;

	do
	:: true;
end_idle:
		atomic { !receive_lock -> receive_lock = true };
again:
#ifndef DIED_KEPT
		atomic {
			if
			:: teller == DIED -> teller = 0
			:: else
			fi
		}
#endif
		atomic { sleeps = true; seen_teller = teller } /* S0 */
		awaited = true; /* S1 */
		if /* S2 */
		:: atomic { received < index -> received++ }
			goto got
		:: else
		fi;
		atomic { /* S3 */
			if
#ifdef NOT_COMPARED
			:: true -> queued = true
#elif defined(WAKE_BY_MARK)
			:: teller == seen_teller -> queued = true
			:: else -> goto again
#elif defined(DIED_KEPT)
			:: teller == seen_teller && sleeps -> queued = true
			:: else -> goto again
#else
			:: teller == seen_teller && teller != DIED && sleeps -> queued = true
			:: else -> goto again
#endif
			fi
		}
end_asleep:
		if
		:: atomic { woken -> woken = false }
			if
			:: atomic { received < index -> received++ }
			:: else -> goto again
			fi
		:: atomic { naps < SLEEPER -> naps++; woken = false; queued = false }
		fi;
got:
		sleeps = false;
		atomic {
			receive_lock = false;
			seen_teller = 0
		}
	od
}

#endif

proctype fate()
{
	byte deaths, who;

	do
	:: deaths < DEATHS ->
		deaths++;
		select(who : 1 .. SENDERS);
		killed[who] = true
	:: break
	od
}

/* when nothing else can move */
proctype judge()
{
	timeout ->
		assert(received == index)
}

init
{
	byte i;

	atomic {
		for (i : 1 .. SENDERS) {
			run sender(i)
		}
#ifdef SLEEPER
		run sleeper();
#else
		run poller(0);
#endif
#ifndef NO_POLLER
		run poller(1);
#endif
		run fate();
		run judge()
	}
}

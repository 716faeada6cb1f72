/*
 * The bell of a pipe, and its sleepers: the protocols of ipc/duct_bell.c and of ipc/ring.c (P0 to
 * P3, S1 to S3), with deaths of senders after whom nobody may come, and the kernel's part in them.
 *
 * Up to SENDERS processes share an end, and each sends as many messages as it likes, or none,
 * TURNS at most. At the other end two threads poll, for the first time at any time, receive, and
 * settle the bell when they find nothing; or, with -DSLEEPER, one of the two sleeps in the ring
 * instead, and may give that up SLEEPER times. DEATHS times a sender is killed between any two of
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
 *	-DNOT_COMPARED   a sleeper compares the index
 *	-DCOMPARE_FIRST  when it is queued
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

/* the ring; what is told, and whether somebody polls, is one word */
bool polled;
byte index;
bool armed, sleeps;
byte teller; /* 0: nobody, or marked; or who */

/* of those who send, and of those who receive */
byte sender_lock, mine;
bool torn;
bool receive_lock, bell_lock;
byte received;

/* what the kernel knows */
byte bytes = 1;
bool killed[SENDERS + 1], pending[SENDERS + 1];
bool at_teller, at_asleep, woken;

inline send_byte()
{
	d_step {
		if
		:: bytes < BYTES_MAX -> bytes++
		:: else
		fi
	}
}

inline ring()
{
	if
	:: armed ->
		send_byte();
#ifndef DISARM_LATE
		armed = false
#endif
	:: else
	fi
}

/* in one step with what it is part of */
inline wake(queue)
{
	if
	:: queue -> at_teller = false; at_asleep = false; woken = true
	:: else
	fi
}

inline wake_sleeper()
{
	sleeps = false;
	d_step { wake(at_asleep) }
}

/* P2, P3: what is pending is looked at by one's own death alone, so it is no step of its own */
inline wake_if_asleep(me)
{
	if
	:: atomic { !sleeps -> pending[me] = false }
	:: atomic { sleeps -> sleeps = false }
		d_step { wake(at_asleep); pending[me] = false }
	fi
}

inline tell_polled(me)
{
	atomic { pending[me] = true; teller = me } /* P0, T1 */
#ifndef TELL_FIRST
	ring(); /* T2 */
#endif
	index = mine; /* T3 */
#ifdef TELL_FIRST
	ring();
#endif
	teller = 0; /* T4 */
#ifdef DISARM_LATE
	armed = false
#endif
}

inline publish(me)
{
#ifdef LOOK_APART
	if
	:: !polled -> index = mine; ring()
	:: else -> tell_polled(me)
	fi;
#else
	if
	:: atomic { !polled -> pending[me] = true; index = mine } /* P0, P1 */
	:: atomic { polled -> skip }
		tell_polled(me)
	fi;
#endif
	wake_if_asleep(me)
}

inline succeed(me)
{
#ifdef TELL_THEN_WAKE
	publish(me);
	wake_sleeper();
#else
	wake_sleeper();
	publish(me);
#endif
	send_byte();
	torn = false
}

proctype sender(byte me)
{
	byte turns;

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
		:: pending[me] && (teller == 0 || teller == me) ->
			teller = 0;
			wake(at_teller)
		:: else
		fi;
		pending[me] = false;
		turns = 0
	}
#endif
}

/* Return: again, whether there may be more to take. With the bell lock */
inline take_byte()
{
	again = false;
	if
	:: bytes > 0 ->
		armed = true; /* S1 */
#ifdef LOOK_FIRST
		is_empty = (received == index);
#endif
		is_telling = (teller != 0); /* S2 */
#ifdef NO_TELLER
		is_telling = false;
#endif
		if
		:: is_telling -> armed = false
#ifndef ARMED_ONCE
		:: !is_telling && !armed -> again = true /* S3 */
#endif
		:: else ->
#ifndef LOOK_FIRST
			is_empty = (received == index); /* S4 */
#endif
			if
			:: is_empty ->
				bytes--;
				again = true
			:: else -> armed = false
			fi
		fi
	:: else -> again = false
	fi
}

proctype poller()
{
	bool again, is_empty, is_telling;

	polled = true;
	do
	:: true;
end_polling:
		bytes > 0 && !receive_lock;
		if
		:: atomic { !receive_lock && received < index -> received++ }
		:: else ->
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
		fi
	od
}

#ifdef SLEEPER
/* ---- asleep in the ring ---- */

inline queue_at_teller()
{
	atomic {
		if
		:: teller == seen_teller -> at_teller = true
		:: else -> goto again
		fi
	}
}

/* one that was woken in between comes back, too */
inline compare_index()
{
#ifndef NOT_COMPARED
	atomic {
		if
		:: index == seen_index && polled == seen_polled
		:: else -> at_teller = false; woken = false; goto again
		fi
	}
#else
	skip
#endif
}

proctype sleeper()
{
	byte seen_index, seen_teller, naps;
	bool seen_polled;

	do
	:: true;
end_idle:
		atomic { !receive_lock -> receive_lock = true };
again:
		sleeps = true; /* S1 */
		seen_teller = teller;
		atomic { seen_index = index; seen_polled = polled } /* S2 */
		if
		:: received < seen_index -> received++; goto got
		:: else
		fi;
		/* S3 */
#ifdef COMPARE_FIRST
		compare_index();
		queue_at_teller();
#else
		queue_at_teller();
		compare_index();
#endif
		atomic {
			if
			:: sleeps -> at_asleep = true
			:: else -> at_teller = false; woken = false; goto again
			fi
		}
end_asleep:
		if
		:: atomic { woken -> woken = false; at_teller = false; at_asleep = false; goto again }
		:: atomic { naps < SLEEPER -> naps++; woken = false; at_teller = false; at_asleep = false }
		fi;
got:
		sleeps = false;
		receive_lock = false;
		seen_index = 0;
		seen_teller = 0;
		seen_polled = false
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
		run poller();
#endif
#ifndef NO_POLLER
		run poller();
#endif
		run fate();
		run judge()
	}
}

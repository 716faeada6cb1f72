/*
 * The bell of a pipe: the protocol of ipc/duct_bell.c, with deaths of senders after whom nobody
 * may come.
 *
 * Up to SENDERS processes share an end, and each sends as many messages as it likes, or none,
 * TURNS at most. Two threads at the other end poll, receive, and settle the bell when they find
 * nothing. DEATHS times a sender is killed between any two of its steps. One step is one access to
 * shared memory, or one system call. Searched exhaustively:
 *
 *	no message lies unheard of	when nothing moves any more, all that was told was received
 *
 * Doing one of these steps otherwise must be found:
 *
 *	-DTELL_FIRST     a sender rings before it tells
 *	-DDISARM_LATE    it disarms before it says that it has told
 *	-DNO_TELLER      who settles sees whether somebody is telling
 *	-DARMED_ONCE     and then whether it is still armed
 *	-DLOOK_FIRST     and whether there is something
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

/* the ring */
bool armed;
byte telling; /* 0, or who */
byte index;

/* of those who send, and of those who receive */
byte sender_lock, mine;
bool torn;
byte bell_lock, received;

/* what the kernel knows */
byte bytes = 1;
bool killed[SENDERS + 1], dead[SENDERS + 1];

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

inline publish(me)
{
	telling = me; /* T1 */
#ifndef TELL_FIRST
	ring(); /* T2 */
#endif
	index = mine; /* T3 */
#ifdef TELL_FIRST
	ring();
#endif
	telling = 0; /* T4 */
#ifdef DISARM_LATE
	armed = false
#endif
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
			:: torn ->
				publish(me);
				send_byte();
				torn = false
			:: else
			fi;
			mine++;
			publish(me);
			sender_lock = 0
		od
	} unless { killed[me] };
	atomic {
		dead[me] = true;
		if
		:: sender_lock == me ->
			sender_lock = 0;
			torn = true
		:: else
		fi
	}
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
		teller = telling; /* S2 */
#ifdef NO_TELLER
		teller = 0;
#endif
		if
		:: atomic { teller != 0 && dead[teller] -> teller = 0 }
		:: atomic { else }
		fi;
		if
		:: teller != 0 -> armed = false
#ifndef ARMED_ONCE
		:: teller == 0 && !armed -> again = true /* S3 */
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
	:: else
	fi
}

proctype poller()
{
	byte teller;
	bool again, is_empty;

	do
	:: true;
end_polling:
		bytes > 0;
		if
		:: atomic { received < index -> received++ }
		:: else ->
			if
			:: atomic { bell_lock == 0 -> bell_lock = 1 };
				do
				:: take_byte();
					if
					:: again
					:: else -> break
					fi
				od;
				bell_lock = 0
			:: else
			fi
		fi
	od
}

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
		run poller();
		run poller();
		run fate();
		run judge()
	}
}

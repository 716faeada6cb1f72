/*
 * Notices: the protocol of ipc/lane_notice.c, with deaths of workers and workers that are
 * stopped for good.
 *
 * Two workers end TURNS tasks each, in a slot of their own, and leave the parent a notice
 * of each. The parent looks, gives the slot its next task, and sleeps until it is rung
 * for. DEATHS times a worker is killed between any two of its steps; the sweep answers its
 * task, and a fresh one comes in its place. STOPS times one is stopped there, and never
 * goes on. One step is one access to shared memory, or one system call. Searched
 * exhaustively:
 *
 *	no notice lost      when nothing moves any more, the parent has seen the end of
 *	                    every task, but for the one a stopped worker is at
 *
 * Leaving out one of these steps must be found:
 *
 *	-DNO_LOOK       after it has armed the bell the parent looks at the bits
 *	-DCLEAR_LATE    it clears a bit before it looks at what it is about
 *	-DBIT_LATE      a worker sets the bit before it reads whether the bell is armed
 *	-DNO_RING       the sweep rings
 *	-DTAKE_FIRST    the bell is rung before it is taken out of the hands of others
 *	-DNO_TICKET     and that has no effect where the parent has armed it again meanwhile
 *
 * The bell is a futex, that is cleared and woken in one system call; with -DDESCRIPTOR it
 * is an eventfd.
 */
#ifndef TURNS
#define TURNS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef STOPS
#define STOPS 0
#endif

mtype { RUNNING, DONE, OVER };

/* the lane */
mtype state[2] = RUNNING;
bool noted[2];
byte armed; /* 0, or the ticket */

/* what the kernel knows */
bool rung;          /* there is something to read from the eventfd */
bool parent_asleep; /* on the futex */
bool killed[2], dead[2], stopped[2];

/* what is to be proved */
byte told[2];

inline ring()
{
	seen = armed;
	if
	:: seen != 0 ->
#ifndef DESCRIPTOR
		d_step { armed = 0; parent_asleep = false } /* FUTEX_WAKE_OP */
#else
#ifdef TAKE_FIRST
		armed = 0;
#endif
		rung = true;
#ifndef TAKE_FIRST
#ifdef NO_TICKET
		armed = 0
#else
		d_step {
			if
			:: armed == seen -> armed = 0
			:: else
			fi
		}
#endif
#endif
#endif
	:: else
	fi;
	seen = 0
}

inline notice(s)
{
#ifdef BIT_LATE
	ring();
	noted[s] = true
#else
	noted[s] = true;
	ring()
#endif
}

proctype worker(byte me)
{
	byte seen;

	{
end_waiting:
		do
		:: state[me] == RUNNING ->
			state[me] = DONE;
			notice(me)
		od
	} unless { killed[me] || stopped[me] };
	if
	:: killed[me] -> dead[me] = true
	:: else
	fi
}

/* ends one as it is, or holds it up for good */
proctype fate()
{
	byte deaths, stops;

	do
	:: deaths < DEATHS ->
		deaths++;
		if
		:: atomic { !killed[0] && !stopped[0] -> killed[0] = true }
		:: atomic { !killed[1] && !stopped[1] -> killed[1] = true }
		fi
	:: stops < STOPS ->
		stops++;
		if
		:: atomic { !killed[0] && !stopped[0] -> stopped[0] = true }
		:: atomic { !killed[1] && !stopped[1] -> stopped[1] = true }
		fi
	:: break
	od
}

/* ---- the parent: two threads ---- */

inline look(s)
{
	if
	:: noted[s] ->
#ifndef CLEAR_LATE
		noted[s] = false;
#endif
		d_step { /* with the lock, and the slot is the parent's when its task has ended */
			if
			:: state[s] == DONE ->
				told[s]++;
				state[s] = (told[s] < TURNS -> RUNNING : OVER)
			:: else
			fi
		}
#ifdef CLEAR_LATE
		noted[s] = false
#endif
	:: else
	fi
}

proctype noticer()
{
	byte ticket;

	do
	:: look(0);
		look(1);
		atomic {
			ticket++;
			armed = ticket
		}
#ifndef NO_LOOK
		if
		:: noted[0] || noted[1] -> armed = 0
		:: else ->
#endif
#ifdef DESCRIPTOR
end_asleep:
			atomic { rung -> rung = false }
#else
			do
			:: atomic { armed == 0 -> break }
			:: atomic { else -> parent_asleep = true } /* FUTEX_WAIT compares */
end_asleep:
				!parent_asleep
			od
#endif
#ifndef NO_LOOK
		fi
#endif
	od
}

proctype supervisor()
{
	byte me, seen;

end_watching:
	do
	:: atomic { dead[0] -> dead[0] = false; me = 0 };
sweep:
		skip;
		d_step {
			if
			:: state[me] == RUNNING -> state[me] = DONE
			:: else
			fi
		}
#ifdef NO_RING
		noted[me] = true;
#else
		notice(me);
#endif
		atomic { killed[me] = false; run worker(me); me = 0 }
	:: atomic { dead[1] -> dead[1] = false; me = 1 };
		goto sweep
	od
}

/* when nothing else can move */
proctype judge()
{
	timeout ->
		assert(told[0] == TURNS || stopped[0]);
		assert(told[1] == TURNS || stopped[1]);
#ifdef DESCRIPTOR
		assert(!rung)
#endif
}

init
{
	atomic {
		run worker(0);
		run worker(1);
		run noticer();
		run supervisor();
		run fate();
		run judge()
	}
}

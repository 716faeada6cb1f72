/*
 * Mutex: the protocol of shm/mutex.c, with the kernel's part in a death.
 *
 * PROCESSES processes use one mutex USES times altogether, shared out in any way.
 * DEATHS times one of them is killed between any two of its steps, and a fresh one
 * goes on in its place. A step is one access to the word or one system call.
 * Searched exhaustively:
 *
 *	exclusion     who is inside is the owner, and nobody takes that away
 *	honesty       who gets the mutex and is not told so finds the state whole
 *	no lost one   the kernel finds the mutex of whoever dies with it
 *	no lost wake  no run ends with a process asleep (an invalid end state)
 *
 * The mistakes that the design note of shm/mutex.c explains can be put back, and
 * the search then finds them: -DSTORE_ZERO, -DNO_GENERATION (with -DPROCESSES=4
 * -DDEATHS=1 -DUSES=5), and -DOLD_KERNEL for what the note says of kernels before
 * 6.2. tests/model/search does all of this: 6 million states, in seconds. Four
 * processes, 5 uses and one death are 39 million: no error either.
 *
 * Where the model is simpler than the code, it allows more: a process may fall
 * asleep on any held word that has WAITERS set, not only on the one it has seen,
 * and a wake-up may go to any sleeper.
 */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef USES
#define USES 4
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

#define NOBODY PROCESSES /* processes are 0 .. PROCESSES - 1 */

/* the mutex */
byte owner = NOBODY;
bool waiters, owner_died, broken;

/*
 * The generation, told the other way round: whether the mutex was released with
 * waiters since this process did that.
 */
bool newer[PROCESSES];

/* what the kernel knows */
bool asleep[PROCESSES], pending[PROCESSES], linked[PROCESSES];
bool killed[PROCESSES], wake_due[PROCESSES];

/* what the mutex protects */
bool torn;

byte uses;

/* FUTEX_WAKE of one. @woken: whether anybody was asleep */
inline wake_one(woken)
{
	if
	:: asleep[0] -> asleep[0] = false; woken = true
	:: asleep[1] -> asleep[1] = false; woken = true
	:: asleep[2] -> asleep[2] = false; woken = true
#if PROCESSES > 3
	:: asleep[3] -> asleep[3] = false; woken = true
#endif
	:: else -> woken = false
	fi
}

inline acquire()
{
	pending[me] = true;
again:
	atomic {
		if
		:: owner == NOBODY -> owner = me; goto taken /* both flags stay */
		:: else -> waiters = true
		fi
	}
	atomic { /* FUTEX_WAIT compares and falls asleep in one */
		if
		:: owner != NOBODY && waiters -> asleep[me] = true
		:: else -> goto again
		fi
	}
	if
	:: !asleep[me] -> goto again
	:: atomic { me == 0 && asleep[me] -> asleep[me] = false } /* its deadline passed */
		pending[me] = false;
		goto given_up
	fi;
taken:
	linked[me] = true;
	pending[me] = false
}

inline use()
{
	atomic {
		assert(owner == me && (!torn || owner_died || broken));
		if
		:: broken -> goto used
		:: !broken && owner_died -> torn = false /* repaired */
		:: else -> torn = true
		fi
	}
	atomic {
		assert(owner == me);
		if
		:: owner_died -> owner_died = false /* and declared so */
		:: owner_died /* or not: it will be given up */
		:: else -> torn = false
		fi
	}
used:
	pending[me] = true
}

inline release()
{
	atomic {
		if
		:: owner_died -> broken = true
		:: else
		fi
	}
	linked[me] = false;
	atomic {
		assert(owner == me);
		if
		:: !waiters && !owner_died -> owner = NOBODY; goto released
		:: else
		fi
	}
	atomic {
		assert(owner == me);
		owner = NOBODY;
		owner_died = false;
#ifdef STORE_ZERO
		waiters = false;
#else
		waiters = true;
#endif
		newer[0] = true;
		newer[1] = true;
		newer[2] = true;
#if PROCESSES > 3
		newer[3] = true;
#endif
		newer[me] = false
	}
	atomic {
		wake_one(woken);
		if
		:: woken -> woken = false; newer[me] = false; goto released
		:: else
		fi
	}
	atomic {
		if
#ifdef NO_GENERATION
		:: owner == NOBODY && waiters && !owner_died -> waiters = false
#else
		:: owner == NOBODY && waiters && !owner_died && !newer[me] && !broken ->
			waiters = false
#endif
		:: else
		fi;
		newer[me] = false
	}
released:
	pending[me] = false
}

proctype user(byte me)
{
	bool woken;

life:
	{
		do
		:: atomic { uses < USES -> uses++ };
			acquire();
			use();
			release();
given_up:
			skip
		:: else -> break
		od
	} unless { killed[me] };
	if
	:: killed[me] ->
		atomic {
			killed[me] = false;
			if
			:: wake_due[me] -> wake_due[me] = false; wake_one(woken)
			:: else
			fi;
			woken = false;
			goto life
		}
	:: else
	fi
}

/* SIGKILL, and exit_robust_list() up to its wake-up: one node, linked, pending or both */
inline kill(victim)
{
	atomic {
		/* elsewhere a death is none of the mutex's business */
		(pending[victim] || linked[victim]) && !killed[victim] -> killed[victim] = true;
		asleep[victim] = false;
		if
		:: owner == victim ->
			assert(linked[victim] || pending[victim]);
			owner = NOBODY;
			owner_died = true;
			wake_due[victim] = waiters
#ifdef OLD_KERNEL
		:: owner == NOBODY && pending[victim] && !waiters && !owner_died ->
#else
		:: owner == NOBODY && pending[victim] ->
#endif
			wake_due[victim] = true
		:: else
		fi;
		linked[victim] = false;
		pending[victim] = false;
		newer[victim] = false
	}
}

proctype killer()
{
	byte deaths;

	do
	:: deaths < DEATHS ->
		deaths++;
		if
		:: kill(0)
		:: kill(1)
		:: kill(2)
#if PROCESSES > 3
		:: kill(3)
#endif
		:: skip
		fi
	:: break
	od
}

init
{
	atomic {
		run user(0);
		run user(1);
		run user(2);
#if PROCESSES > 3
		run user(3);
#endif
		run killer()
	}
}

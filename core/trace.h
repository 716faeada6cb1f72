/*
 * Trace
 *
 * Probe points that tools outside of the program can attach to while it runs (USDT, as
 * bpftrace, perf and SystemTap read them):
 *
 *	CAROM_TRACE(spawn, index, pid);
 *
 * A point is one nop, and a note in the ELF file that says where its arguments stand; who is
 * not attached costs nothing more. In a build without <sys/sdt.h>, or with -Dtracing=disabled,
 * it is nothing at all, and its arguments are not evaluated: they have no effects.
 *
 * The points of provider `carom`, and what they say. Numbers are never given another meaning,
 * and arguments only appended:
 *
 *	submit          task id, slot, bytes of its argument        in the program
 *	deal            slot, worker    of a pool that is isolated: it is handed to that worker
 *	dispatch        slot, worker    the worker has it           in the worker
 *	start           slot, worker    its function is called      in the worker
 *	done            slot, worker, code  and has returned        in the worker
 *	lost            task id, slot, worker, outcome, pid         in the program; what the task
 *	                                is now, of enum carom_outcome_kind
 *	spawn           worker, pid                                 in the program
 *	exit            worker, pid, reason  of enum carom_exit_reason
 *	limit           kind (see below), worker, pid, limit        ns, or bytes
 *	lock_contended  address of the lock's word, what it is      whoever is about to sleep
 *	owner_died      address, likewise                           whoever is told so first
 *
 * A slot is a place in the pool where one task at a time stands; the worker of an isolated
 * pool has places of its own, counted for itself. A map's chunk is one task.
 */
#ifndef CAROM_CORE_TRACE_H
#define CAROM_CORE_TRACE_H

/* of `limit` */
#define CAROM_TRACE_SOFT_LIMIT   1
#define CAROM_TRACE_HARD_LIMIT   2
#define CAROM_TRACE_MEMORY_LIMIT 3

#if __has_include(<sys/sdt.h>) && !defined(CAROM_NO_TRACING)

#define SDT_USE_VARIADIC 1
/* constants and registers: what reads points does not know all ways to say where in memory */
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>

#define CAROM_TRACE(name, ...) STAP_PROBEV(carom, name, __VA_ARGS__)

#else

#define CAROM_TRACE(name, ...) ((void)0)

#endif

#endif

/*
 * Loop
 *
 * One place to wait for everything: descriptors that become readable (pidfds,
 * sockets, eventfds), shared words that change (life words), points in time,
 * and a bell that any thread can ring. Two back ends do the same: io_uring, and
 * epoll where io_uring is denied. CAROM_LOOP=io_uring|epoll forces one.
 *
 * A watch is a struct of the caller's, embedded where its callback needs it and
 * zeroed before the first use. It belongs to the caller; between watch and
 * unwatch it must not move. After unwatch returns, its callback is not called
 * again and the memory may be reused at once, even from inside a callback and
 * whatever the kernel still has in flight.
 *
 * All functions but carom_loop_ring() belong to the thread that runs the loop
 * (before the first run: to the thread that makes it; once that thread has ended:
 * to the one that joined it, for unwatch and free). A loop whose pollable descriptor
 * was asked for may pass from one thread to another, with a lock of theirs. In a child made by fork() a
 * loop can only be freed: what can fail says -ECHILD, the rest does nothing.
 */
#ifndef CAROM_CORE_LOOP_H
#define CAROM_CORE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carom_loop;

/**
 * struct carom_loop_fd - calls back while @fd is readable, hung up or in error (level)
 * @fd: stays open until it is unwatched; one watch at a time in each loop
 */
struct carom_loop_fd {
	int fd;
	void (*ready)(struct carom_loop_fd *watch);
	void *userdata;
	uint64_t token; /* the loop's own */
};

/**
 * struct carom_loop_word - calls back once when *@word is no longer @expected
 *
 * For a robust futex word that the kernel marks when its holder dies. One shot:
 * watch again to be called again. Who changes the word wakes its waiters with a
 * shared FUTEX_WAKE; the kernel wakes a single one when a holder dies, and only
 * if FUTEX_WAITERS is set, so such a word has one watch in all loops together.
 * Where the kernel gives no way to wait for a word beside other things, and there
 * shall be no threads, carom_loop_watch_word() says -EOPNOTSUPP; so it may for
 * memory that is not shared.
 */
struct carom_loop_word {
	_Atomic uint32_t *word;
	uint32_t expected;
	void (*changed)(struct carom_loop_word *watch);
	void *userdata;
	uint64_t token;
};

/** struct carom_loop_timer - calls back once at or after a point in time */
struct carom_loop_timer {
	void (*expired)(struct carom_loop_timer *timer);
	void *userdata;
	uint64_t deadline_ns;
	size_t heap_index; /* the loop's own; 0 means not set */
};

enum carom_loop_backend { CAROM_LOOP_AUTO, CAROM_LOOP_IO_URING, CAROM_LOOP_EPOLL };

/**
 * carom_loop_new() - make a loop
 * @backend:  AUTO takes what CAROM_LOOP names, else io_uring where it works
 * @rung:     called in the loop's thread after one or more carom_loop_ring()
 * @userdata: handed to @rung
 *
 * Return: 0, -EOPNOTSUPP (a forced back end does not work here), -EINVAL
 * (CAROM_LOOP names none), -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_loop_new(enum carom_loop_backend backend, void (*rung)(void *userdata), void *userdata,
		   struct carom_loop **ret_loop);
struct carom_loop *carom_loop_free(struct carom_loop *loop);
void carom_loop_freep(struct carom_loop **loop);

/**
 * carom_loop_go_without_threads() - make no helper threads
 * Words can be watched only where the kernel waits for them beside other things.
 */
void carom_loop_go_without_threads(struct carom_loop *loop);

/**
 * carom_loop_guard() - notice when the program takes the loop's descriptors away
 *
 * From now on a run, each time before it begins and after it has slept, sees to it that
 * they are still there, and sleeps no longer when they are not: then it says -EBADF.
 * Return: 0, -EMFILE, -ENFILE, -ENOMEM, -ENOSPC.
 */
int carom_loop_guard(struct carom_loop *loop);

/** carom_loop_is_intact() - any thread; one system call. True of a loop that is not guarded */
bool carom_loop_is_intact(const struct carom_loop *loop);

/**
 * carom_loop_lose() - it is broken: touch no descriptor of it, nor of its watches, again
 *
 * Nothing can be watched from now on, and no timer expires; all else may still be called,
 * but for running it.
 */
void carom_loop_lose(struct carom_loop *loop);
bool carom_loop_is_lost(const struct carom_loop *loop);

/** carom_loop_tell_lost() - call back every descriptor's watch once; their @fd is -1 then */
void carom_loop_tell_lost(struct carom_loop *loop);

/** carom_loop_backend_name() - "io_uring" or "epoll" */
const char *carom_loop_backend_name(const struct carom_loop *loop);

/**
 * Return of the watch functions: 0, -EALREADY (@watch is watched), -ENOMEM, -ENOSPC, -ECHILD;
 * fd: -EBADF, -EPERM (not a descriptor to wait for); word: -EOPNOTSUPP.
 */
int carom_loop_watch_fd(struct carom_loop *loop, struct carom_loop_fd *watch);
int carom_loop_watch_word(struct carom_loop *loop, struct carom_loop_word *watch);
void carom_loop_unwatch_fd(struct carom_loop *loop, struct carom_loop_fd *watch);
void carom_loop_unwatch_word(struct carom_loop *loop, struct carom_loop_word *watch);

/**
 * carom_loop_timer_set() - call back at @deadline_ns; moves a timer that is set
 *
 * From a timer's callback, a @deadline_ns that has passed is put behind all
 * timers that are due. Return: 0, -ENOMEM, -ECHILD.
 */
int carom_loop_timer_set(struct carom_loop *loop, struct carom_loop_timer *timer,
			 uint64_t deadline_ns);
void carom_loop_timer_clear(struct carom_loop *loop, struct carom_loop_timer *timer);

/* What the data of a guest has set. */
#define CAROM_LOOP_GUEST UINT64_C(1)

/**
 * carom_loop_welcome() - let any thread add descriptors of its own to the pollable set
 * @guest: called in the loop's thread, with the loop's userdata and the event's data, when the set
 *         tells of one of them
 *
 * By epoll_ctl(2), with CAROM_LOOP_GUEST in their data; only their owner takes them out again.
 */
void carom_loop_welcome(struct carom_loop *loop, void (*guest)(void *userdata, uint64_t data));

/** carom_loop_ring() - have `rung` called. Any thread; AS-Safe; one write(2), never blocks. */
void carom_loop_ring(struct carom_loop *loop);

/**
 * carom_loop_run_once() - wait for something to be due, and call back what is
 * @deadline_ns: wait no longer than this; CAROM_PASSED only looks
 *
 * Return: the number of callbacks made, 0 if @deadline_ns came first or a signal
 * ended the wait; -ENOMEM: the kernel has no memory to wait, try again; -ECHILD;
 * any other negative errno means the loop is broken.
 */
int carom_loop_run_once(struct carom_loop *loop, uint64_t deadline_ns);

/**
 * carom_loop_pollable_fd() - readable while carom_loop_run_once() has something to do
 *
 * For a host's own poll(2) or epoll set; then run the loop with CAROM_PASSED. It
 * may be readable for nothing before the first run, until the next one after a word
 * was unwatched that had changed, and once after another thread has begun to run the loop.
 * The descriptor is the loop's. From the first call on, io_uring waits for descriptors through epoll.
 *
 * Return: the descriptor, or -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -ECHILD.
 */
int carom_loop_pollable_fd(struct carom_loop *loop);

#endif

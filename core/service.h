/*
 * Service
 *
 * What the processes and pools of a program share: the library's one thread with its
 * loop, and the fork server. The thread lives as long as the program, because the
 * parent death signal of the children fires when the thread that forked their fork
 * server ends.
 *
 * A polled service is another one, for a pool in a program that wants no threads: it has
 * a fork server of its own, and no thread. Whoever owns it drives its loop, in one thread
 * at a time, and what is said below of the loop's thread means that one. Its children end
 * with the thread that made it.
 */
#ifndef CAROM_CORE_SERVICE_H
#define CAROM_CORE_SERVICE_H

#include <stdbool.h>

#include "core/forkserver.h"
#include "core/loop.h"

struct carom_service;

/**
 * struct carom_birth - a child that is asked for
 * @request: filled in by the caller; @request.id is the service's. What it points
 *           to must stay until @born is called
 * @born:    called once in the loop's thread with what came of it; -EPIPE: the fork
 *           server died each time it was asked
 * @next, @attempt_count: the service's
 */
struct carom_birth {
	struct carom_child_request request;
	void (*born)(struct carom_birth *birth, const struct carom_child_reply *reply);
	void *userdata;
	struct carom_birth *next;
	uint32_t attempt_count;
};

/**
 * carom_service_get() - the program's service; made at the first call
 *
 * In a forked child a new one is made: the parent's is not the child's to use.
 * Return: 0, -EBUSY (before carom_main_hook() in a program that was started as a child),
 * or what making a thread and a loop can say.
 */
int carom_service_get(struct carom_service **ret_service);

/** carom_service_use() - it may not end before carom_service_leave(); for pools */
void carom_service_use(struct carom_service *service);
void carom_service_leave(struct carom_service *service);

/**
 * struct carom_service_user - who is to be told when the service is broken
 *
 * It is when its descriptors were taken away: a closefrom(3) of the program's. It serves
 * on without a loop: whatever was asked for is answered, pokes and errands are done, but
 * no child is made, no descriptor watched and no timer expires. Every watch of a
 * descriptor is called once more, see carom_loop_tell_lost(). carom_service_get() makes
 * another service.
 *
 * @broken: called once in the loop's thread
 */
struct carom_service_user {
	void (*broken)(struct carom_service_user *user, int error);
	void *userdata;
	struct carom_service_user *next;
};

/** carom_service_attach() - from now on; in the loop's thread. Not called if it is broken by now. */
void carom_service_attach(struct carom_service *service, struct carom_service_user *user);
void carom_service_detach(struct carom_service *service, struct carom_service_user *user);

/** carom_service_is_used() - is there anybody who has not left? */
bool carom_service_is_used(void);

/**
 * carom_service_end() - end the fork server and the thread; who needs them makes them anew
 *
 * Nobody uses the service, no child of the fork server is alive (the end of the thread
 * would be its end), and no other thread is about to start one.
 */
void carom_service_end(void);

/**
 * carom_service_new_polled() - a service without a thread
 *
 * Return: 0, -EBUSY (as carom_service_get()), -ENOMEM, -EMFILE, -ENFILE, -ENOSPC.
 */
int carom_service_new_polled(struct carom_service **ret_service);

/** carom_service_free_polled() - and its fork server; nobody uses it, no child of it lives */
struct carom_service *carom_service_free_polled(struct carom_service *service);

/** carom_service_fd() - a polled one's descriptor: readable while there is something to do */
int carom_service_fd(struct carom_service *service);

/**
 * carom_service_drive() - wait until something is due for a polled one, and do it
 * Not from inside one of its callbacks. Return: how many callbacks were made, 0 if
 * @deadline_ns came first or a signal ended the wait; -ECHILD.
 */
int carom_service_drive(struct carom_service *service, uint64_t deadline_ns);

struct carom_loop *carom_service_loop(struct carom_service *service);

/**
 * struct carom_service_pidfd - a child whose end the loop's thread is to be told of
 * @fd:    stays open until it is unwatched
 * @ended: called in the loop's thread, each time that the kernel tells of it anew, until it unwatches
 */
struct carom_service_pidfd {
	int fd;
	void (*ended)(struct carom_service_pidfd *watch);
	void *userdata;
};

/**
 * carom_service_watch() - from now on, without a word to the loop's thread. Any thread.
 * Return: 0, -ENOSPC (see epoll(7)), -ENOMEM, -EBADF.
 */
int carom_service_watch(struct carom_service *service, struct carom_service_pidfd *watch);

/**
 * carom_service_watch_everywhere() - a file's POLLPRI, by every service that this process has
 *
 * For a watch that is static and may be many descriptors': it is called back by any of their
 * threads, which may be in the midst of that when it is unwatched. Any thread.
 */
void carom_service_watch_everywhere(int fd, struct carom_service_pidfd *watch);

/** carom_service_unwatch_everywhere() - before it is closed. Any thread. */
void carom_service_unwatch_everywhere(int fd);

/** carom_service_unwatch() - in the loop's thread */
void carom_service_unwatch(struct carom_service *service, struct carom_service_pidfd *watch);

/** carom_service_is_here() - is this the loop's thread? A polled service has none */
bool carom_service_is_here(const struct carom_service *service);

/**
 * carom_service_run() - have the loop's thread do something, and wait until it is done
 * Any thread; in the loop's own, and of a polled service, there and then.
 */
void carom_service_run(struct carom_service *service, void (*function)(void *userdata),
		       void *userdata);

/** carom_service_poke() - have `function` called in the loop's thread some time soon. Any thread. */
struct carom_poke {
	void (*function)(struct carom_poke *poke);
	void *userdata;
	struct carom_poke *next;
	bool queued;
};
void carom_service_poke(struct carom_service *service, struct carom_poke *poke);

/** carom_service_unpoke() - not any more; in the loop's thread */
void carom_service_unpoke(struct carom_service *service, struct carom_poke *poke);

/** carom_service_bear() - ask the fork server for a child; in the loop's thread. Never fails. */
void carom_service_bear(struct carom_service *service, struct carom_birth *birth);

/**
 * carom_service_unbear() - the child is not wanted any more; in the loop's thread
 * Return: true: the fork server was not asked yet, and @birth->born() is not called.
 */
bool carom_service_unbear(struct carom_service *service, struct carom_birth *birth);

#endif

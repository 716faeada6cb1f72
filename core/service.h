/*
 * Service
 *
 * What the pools of a program share: the library's one thread with its loop, and
 * the fork server. The thread lives as long as the program, because the parent
 * death signal of the workers fires when the thread that forked their fork
 * server ends.
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
 * @born:    called once in the loop's thread with what came of it
 */
struct carom_birth {
	struct carom_child_request request;
	void (*born)(struct carom_birth *birth, const struct carom_child_reply *reply);
	void *userdata;
	struct carom_birth *next;
};

/**
 * carom_service_get() - the program's service; made at the first call
 *
 * In a forked child a new one is made: the parent's is not the child's to use.
 * Return: 0, or what making a thread, a loop and a fork server can say.
 */
int carom_service_get(struct carom_service **ret_context);

struct carom_loop *carom_service_loop(struct carom_service *service);

/**
 * carom_service_run() - have the loop's thread do something, and wait until it is done
 * Any thread but the loop's own.
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

#endif

/*
 * Lobby: clients that have connected and have not shown yet that they have the key
 *
 * All of them at the same time, each with a step to do when its socket is readable. One
 * descriptor is readable when there is anything to do: an epoll, which watches two descriptors
 * more, the listener's and a timer for those whose time is over.
 */
#ifndef CAROM_IPC_LOBBY_H
#define CAROM_IPC_LOBBY_H

#include "ipc/challenge.h"
#include "ipc/connection.h"

#define CAROM_LOBBY_MAX 1024 /* or half of the descriptors a process may have */

struct carom_lobby;

/**
 * carom_lobby_new() - an empty one
 * @secret:     stays, with its key, as long as the lobby
 * @door_fd:    watched as well; stays the caller's
 * @timeout_ns: how long each has
 */
int carom_lobby_new(const struct carom_secret *secret, int door_fd, uint64_t timeout_ns,
		    struct carom_lobby **ret_lobby);

/** carom_lobby_free() - all are dropped. In a forked child they stay the parent's. Return: NULL */
struct carom_lobby *carom_lobby_free(struct carom_lobby *lobby);

/** carom_lobby_fd() - readable when there is something to do */
int carom_lobby_fd(const struct carom_lobby *lobby);

/**
 * carom_lobby_enter_consume() - somebody has connected
 * @connection: the lobby's from now on, even if this fails
 *
 * The oldest is dropped for it where there are too many.
 * Return: as carom_lobby_step(), or -ENOMEM, -ENOSPC.
 */
int carom_lobby_enter_consume(struct carom_lobby *lobby, struct carom_connection *connection,
			      struct carom_connection **ret_connection);

/** carom_lobby_drop_oldest() - for its descriptor. Return: false: nobody is there */
bool carom_lobby_drop_oldest(struct carom_lobby *lobby);

/** carom_lobby_expire() - drop whose time is over */
void carom_lobby_expire(struct carom_lobby *lobby);

/**
 * carom_lobby_step() - one thing that can be done now
 * @ret_connection: who has shown the key; the caller's
 *
 * Return: 0: somebody has; 1: something was done; 2: the door is to be opened; -EAGAIN: nothing
 * can be done now.
 */
int carom_lobby_step(struct carom_lobby *lobby, struct carom_connection **ret_connection);

/** carom_lobby_refused() - how many were dropped. MT-Safe. */
uint64_t carom_lobby_refused(const struct carom_lobby *lobby);

#endif

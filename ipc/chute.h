/*
 * Chute: the short way between a manager's server and a client on the same machine
 *
 * Two rings in memory that both have, beside the socket of theirs. Messages go through the rings
 * while who they are for is awake, and looks; else, and if they are too long, through the socket,
 * on which alone anybody ever sleeps. So there is nothing to wake anybody with, and an end is
 * heard of as it always is.
 *
 * Each direction belongs to one thread at a time of a single process.
 */
#ifndef CAROM_IPC_CHUTE_H
#define CAROM_IPC_CHUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/patience.h"

struct carom_chute;

#define CAROM_CHUTE_MESSAGE_MAX  4096 /* longer ones go through the socket */
#define CAROM_CHUTE_MESSAGES_MAX 1024 /* no more are in one at a time */

/* what carom_chute_send() says besides */
#define CAROM_CHUTE_NUDGE 1

/** carom_chute_calls_before() - it is wanted after so many; CAROM_MANAGER=chute: 0, socket: never */
uint64_t carom_chute_calls_before(void);
#define CAROM_CHUTE_NEVER UINT64_MAX

/**
 * carom_chute_new() - make one, in which both ends sleep
 * @ret_fd: by which the other end attaches; the caller's, CLOEXEC
 *
 * Return: 0, -ENOMEM, -EMFILE, -ENFILE.
 */
int carom_chute_new(struct carom_chute **ret_chute, int *ret_fd);

/** carom_chute_attach() - be the other end. @fd stays the caller's. 0, -EBADMSG, -ENOMEM */
int carom_chute_attach(int fd, struct carom_chute **ret_chute);
struct carom_chute *carom_chute_free(struct carom_chute *chute);

/** carom_chute_patience() - how long an end may look before it sleeps */
void carom_chute_patience(struct carom_patience *patience);

/* ---- sending ---- */

/**
 * carom_chute_send() - a message, if it can go this way
 *
 * Return: 0; CAROM_CHUTE_NUDGE: it went, and an empty message has to go through the socket, for
 * the other end may be asleep by now; -EAGAIN: it has to go through the socket; -EBADMSG.
 */
int carom_chute_send(struct carom_chute *chute, const void *data, size_t size);

/**
 * carom_chute_note() - a message, or a nudge, goes through the socket: who is awake looks there
 * @count: 1; -1: it did not go after all
 */
void carom_chute_note(struct carom_chute *chute, int count);

/* ---- receiving ---- */

/** carom_chute_receive() - a copy. 0; -EAGAIN: there is none; -EBADMSG: nonsense, for good */
int carom_chute_receive(struct carom_chute *chute, void *buffer, size_t room, size_t *ret_size);

/** carom_chute_is_empty() - is there none? */
bool carom_chute_is_empty(const struct carom_chute *chute);

/** carom_chute_noted() - how often the other end has noted one, modulo 2^32 */
uint32_t carom_chute_noted(const struct carom_chute *chute);

/** carom_chute_shares_cpu() - does the other end seem to run where this one does? */
bool carom_chute_shares_cpu(struct carom_chute *chute);

/** carom_chute_wake() - messages may come from now on, and this end looks for them */
void carom_chute_wake(struct carom_chute *chute);

/**
 * carom_chute_sleep() - this end looks no more, unless it is told to through the socket
 * Return: false: there is a message, and it is awake as before
 */
bool carom_chute_sleep(struct carom_chute *chute);
bool carom_chute_is_asleep(const struct carom_chute *chute);

#endif

/*
 * Letter
 *
 * Descriptors that lie in the queue of a socket of a pair for as long as the socket lives:
 * whoever gets the socket, in any process and at any time, takes copies of them out of it.
 * So one descriptor is the handle of something that needs several.
 *
 * A letter stands at the head of the queue and is only ever looked at (MSG_PEEK). Such a
 * socket is always readable and carries nothing else.
 */
#ifndef CAROM_IPC_LETTER_H
#define CAROM_IPC_LETTER_H

#include <stdbool.h>

/** enum carom_letter_fd - what is in the letter of a pipe's end: see ipc/duct.c */
enum carom_letter_fd {
	CAROM_LETTER_RINGS,
	CAROM_LETTER_END,
	CAROM_LETTER_PASSING,
	CAROM_LETTER_BELL,
	CAROM_LETTER_FD_COUNT,
};

/**
 * carom_letter_post() - put a letter into a queue that is empty
 * @peer: the socket at the other end; what is written here lies there
 * @fds:  stay the caller's
 *
 * Return: 0, -ETOOMANYREFS (this user has too many on their way), -ENOMEM, ...
 */
int carom_letter_post(int peer, const int fds[CAROM_LETTER_FD_COUNT]);

/**
 * carom_letter_peek() - copies of what is in it
 * @ret_fds: the caller's, CLOEXEC
 *
 * Return: 0, -ENOENT (no letter in it), -EMFILE.
 */
int carom_letter_peek(int socket, int ret_fds[CAROM_LETTER_FD_COUNT]);

/** carom_letter_peek_one() - a copy of one of them. Return: it, or as above */
int carom_letter_peek_one(int socket, enum carom_letter_fd which);

#endif

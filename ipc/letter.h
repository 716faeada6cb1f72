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
#include <stddef.h>

/** enum carom_letter_fd - what is in the letter of a pipe's end: see ipc/duct.c */
enum carom_letter_fd {
	CAROM_LETTER_RINGS,
	CAROM_LETTER_END,
	CAROM_LETTER_PASSING,
	CAROM_LETTER_BELL,
	CAROM_LETTER_FD_COUNT,
};

/**
 * struct carom_letter_kind - what a letter is about
 * @text:     by which it is known
 * @fd_count: how many are in it; at most CAROM_LETTER_FDS_MAX
 */
struct carom_letter_kind {
	char text[16];
	size_t fd_count;
};
#define CAROM_LETTER_FDS_MAX 8

/* Of a pipe's end: as in enum carom_letter_fd. */
extern const struct carom_letter_kind carom_pipe_letter;

/**
 * carom_letter_post() - put a letter into a queue that is empty
 * @peer: the socket at the other end; what is written here lies there
 * @fds:  stay the caller's
 *
 * Return: 0, -ETOOMANYREFS (this user has too many on their way), -ENOMEM, ...
 */
int carom_letter_post(int peer, const struct carom_letter_kind *kind, const int *fds);

/**
 * carom_letter_peek() - copies of what is in it
 * @ret_fds: the caller's, CLOEXEC
 *
 * Return: 0, -ENOENT (no letter of this kind in it), -EMFILE.
 */
int carom_letter_peek(int socket, const struct carom_letter_kind *kind, int *ret_fds);

/** carom_letter_peek_one() - a copy of one of a pipe's. Return: it, or as above */
int carom_letter_peek_one(int socket, enum carom_letter_fd which);

#endif

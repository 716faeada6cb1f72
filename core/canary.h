/*
 * Canary
 *
 * Tells whether the program has taken the library's descriptors away: a closefrom(3) that
 * was meant for a child, say. It is a pair of connected sockets. Their cookie, a number
 * that the kernel gives to no other socket, tells them from whatever else stands under
 * the same numbers later; and who waits for one of them is woken by the end of the other.
 * Where nobody waits for long without looking, one socket does that nobody can send to.
 */
#ifndef CAROM_CORE_CANARY_H
#define CAROM_CORE_CANARY_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct carom_canary
 * @fds:    the one that is asked, the one that is waited for, which may be the same; -1: none
 * @cookies: theirs; 0: there is no canary
 */
struct carom_canary {
	int fds[2];
	uint64_t cookies[2];
};

/**
 * carom_canary_init() - a canary that lives
 * @wakes_sleepers: its end wakes who waits for it, at the cost of a second descriptor; else
 *                  only carom_canary_hit() does
 *
 * Return: 0, -EMFILE, -ENFILE, -ENOMEM, -EOPNOTSUPP (no cookies).
 */
int carom_canary_init(struct carom_canary *canary, bool wakes_sleepers);

/** carom_canary_deinit() - close them, where they are there; also in a forked child */
void carom_canary_deinit(struct carom_canary *canary);

/** carom_canary_lives() - false: the numbers are not ours any more. One system call. AS-Safe. */
bool carom_canary_lives(const struct carom_canary *canary);

/** carom_canary_hit() - wake who waits for the second one. AS-Safe. */
void carom_canary_hit(const struct carom_canary *canary);

#endif

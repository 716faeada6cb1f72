/*
 * Burial: how a worker's end is seen, and what is done about its task
 *
 * Whether its place is filled again is for the supervisor to say, who is told when the
 * dead has been seen to.
 */
#ifndef CAROM_POOL_BURIAL_H
#define CAROM_POOL_BURIAL_H

struct incarnation;

/**
 * carom_burial_expect() - from now on the end of this process will be seen
 *
 * In the loop's thread, without the lock. Where that cannot be for want of memory, it
 * is ended and buried at once.
 */
void carom_burial_expect(struct incarnation *alive);

/** carom_burial_lose_fd() - its pidfd was taken away: the number is not used again. With the lock. */
void carom_burial_lose_fd(struct incarnation *child);

#endif

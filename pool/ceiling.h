/*
 * Ceiling: a worker's memory limit that the kernel keeps by refusing more
 *
 * In the worker itself: RLIMIT_DATA, which processes that it starts inherit, each for itself.
 */
#ifndef CAROM_POOL_CEILING_H
#define CAROM_POOL_CEILING_H

#include <stdint.h>

/**
 * carom_ceiling_set() - the calling process gets no more than so much beyond what it has now
 * @bytes: of private memory that may be written, touched or not
 *
 * A limit that is lower already stays. For good: it cannot be raised again.
 * Return: 0, or what setrlimit(2), or open(2) of /proc/self/status, says.
 */
int carom_ceiling_set(uint64_t bytes);

#endif

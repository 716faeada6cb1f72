/*
 * Descriptors
 *
 * Which ones a new process keeps, and waiting for one.
 */
#ifndef CAROM_CORE_DESCRIPTORS_H
#define CAROM_CORE_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/**
 * carom_descriptors_close() - close every descriptor from @first on but those in @keep
 * @keep: in any order, may hold numbers below @first
 *
 * AS-Safe, and usable in a child that shares its parent's memory (not its
 * descriptor table), if the parent has called carom_probe() before.
 */
void carom_descriptors_close(int first, const int *keep, size_t keep_count);

/**
 * carom_descriptor_wait() - until it is readable, hung up, or @deadline_ns
 * Return: 0, -ETIMEDOUT, -EBADF, -ENOMEM. A signal does not end the wait.
 */
int carom_descriptor_wait(int fd, uint64_t deadline_ns);

#endif

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
 * carom_descriptor_lift() - move one of ours that lies among 0, 1 and 2
 *
 * A program may run with these closed, and the next descriptor that is made gets their
 * number. In a child they would be taken for its own.
 * Return: 0, -EMFILE: *@fd is as it was.
 */
int carom_descriptor_lift(int *fd);

/**
 * carom_descriptor_move_up() - to a high number: whoever closes low ones does not meet it
 *
 * Return: the new one, CLOEXEC, and @fd is closed; or @fd, if there is none to be had. AS-Safe.
 */
int carom_descriptor_move_up(int fd);

/**
 * carom_descriptor_wait() - until it is readable, hung up, or @deadline_ns
 * Return: 0, -ETIMEDOUT, -EBADF, -ENOMEM. A signal does not end the wait.
 */
int carom_descriptor_wait(int fd, uint64_t deadline_ns);

/** carom_descriptor_wait_pair() - likewise until one of two is; who is -1 never is */
int carom_descriptor_wait_pair(const int fds[2], uint64_t deadline_ns);

/** carom_descriptor_wait_for() - likewise for POLLPRI and others of poll(2) */
int carom_descriptor_wait_for(int fd, short events, uint64_t deadline_ns);

#endif

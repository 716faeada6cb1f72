/*
 * Memory usage, also of other processes
 *
 * By a descriptor of /proc/PID, which stays that process's: once it is gone its files are,
 * too, and nobody else's are found there.
 */
#ifndef CAROM_CORE_MEMORY_USAGE_PRIVATE_H
#define CAROM_CORE_MEMORY_USAGE_PRIVATE_H

#include <sys/types.h>

#include "core/memory_usage.h"

/**
 * carom_memory_usage_keep() - for a process that is about to lose open(2)
 *
 * What is looked at of the calling process stays open from now on. What cannot be opened is
 * tried again when it is needed. Before there are threads.
 */
void carom_memory_usage_keep(void);

/**
 * carom_memory_look_up() - in a text of lines "KEY:   123 kB"
 * @key: with the newline before it, and the colon
 * Return: 0 (*@ret_bytes in bytes), -EBADMSG.
 */
int carom_memory_look_up(const char *text, const char *key, uint64_t *ret_bytes);

/** carom_memory_data() - of the calling process: what RLIMIT_DATA is about. As carom_memory_usage(). */
int carom_memory_data(uint64_t *ret_bytes);

/** carom_memory_open() - a descriptor for the next two, CLOEXEC; -ENOENT, -EMFILE, -ENFILE, -ENOMEM */
int carom_memory_open(pid_t pid);

/**
 * carom_memory_usage_at() - some ten microseconds, however much memory it is
 * @ret_swapped: what is not resident, but swapped out
 * Return: 0, -ESRCH (gone), -EBADMSG (about to go), -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_memory_usage_at(int proc_fd, struct carom_memory_usage *ret_usage, uint64_t *ret_swapped);

/**
 * carom_memory_private_at() - as carom_memory_private()
 *
 * Of a process that is not to be looked into (a sandboxed one, where this process is not
 * root): all its anonymous memory, of which some may be shared since its birth.
 */
int carom_memory_private_at(int proc_fd, uint64_t *ret_bytes);

#endif

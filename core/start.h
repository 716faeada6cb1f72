/*
 * Start: the three ways to bring a child into being
 *
 * Each gives the same child, described by the same parcel, and its pidfd. @parcel is
 * completed (function name, directory, guard) as the way needs it.
 */
#ifndef CAROM_CORE_START_H
#define CAROM_CORE_START_H

#include "core/parcel.h"

/**
 * carom_start() - by the method of the parcel's context
 *
 * By "fork" and "spawn" any thread may; by "forkserver" any but the service's own.
 * Return: the pid, or what the way says, or -EPERM (a daemonic process, whose context
 * forbids it children), -EBUSY (fork, in a program with threads, likewise).
 */
pid_t carom_start(struct carom_parcel *parcel, int *ret_pidfd);

/** carom_start_fork() - a copy of the calling thread. The errors of carom_fork(). */
pid_t carom_start_fork(struct carom_parcel *parcel, int *ret_pidfd);

/** carom_start_spawn() - the program, or another, afresh. See carom_process_start(). */
pid_t carom_start_spawn(struct carom_parcel *parcel, int *ret_pidfd);

/** carom_start_forkserver() - by the library's thread and its fork server */
pid_t carom_start_forkserver(struct carom_parcel *parcel, int *ret_pidfd);

#endif

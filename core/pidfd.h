/*
 * Pidfd
 *
 * A child is held by its pidfd from birth: nothing here takes a pid that might be
 * somebody else's by the time it is used.
 */
#ifndef CAROM_CORE_PIDFD_H
#define CAROM_CORE_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/exit.h"

/**
 * carom_pidfd_open() - hold an own child that has not been reaped, by its pid
 * Return: a descriptor, CLOEXEC; -ESRCH, -EMFILE, -ENFILE, -ENOMEM; -EOPNOTSUPP where
 * pidfd_open(2) is denied.
 */
int carom_pidfd_open(pid_t pid);

/**
 * carom_pidfd_pin() - the same for any process, which need not be waited for
 *
 * Where pidfd_open(2) is denied: its directory in /proc, which is that process's and no
 * later one's either. It goes with carom_pidfd_signal() and carom_pidfd_has_ended() alone.
 * Return: a descriptor, CLOEXEC; -ESRCH, -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_pidfd_pin(pid_t pid);

/** carom_pidfd_has_ended() - a zombie has, too. Of carom_pidfd_pin() or any other pidfd. */
bool carom_pidfd_has_ended(int pidfd);

/**
 * carom_pidfd_is_child() - is this an own child that nobody has reaped yet?
 *
 * Running or ended. Reaps nothing.
 */
bool carom_pidfd_is_child(int pidfd);

/**
 * carom_pidfd_reap() - take the exit status of an ended child
 * @pidfd: stays the caller's
 *
 * Does not wait. waitid(2) with __WALL; if the host program's own waitpid(-1)
 * was faster, PIDFD_GET_INFO (Linux 6.15) gives the status, else kind is TAKEN.
 * Return: 0 (ret_exit->kind is RUNNING if it has not ended), or -EBADF.
 */
int carom_pidfd_reap(int pidfd, struct carom_exit *ret_exit);

/**
 * carom_pidfd_wait() - the same, after waiting until it ended or @deadline_ns
 *
 * Without a deadline a child's end is noticed though @pidfd is taken away meanwhile.
 * Return: 0, -ETIMEDOUT, -EBADF. A signal does not end the wait.
 */
int carom_pidfd_wait(int pidfd, uint64_t deadline_ns, struct carom_exit *ret_exit);

/**
 * carom_pid_peek() - how a child that is going down will have ended
 * @pid:      an unreaped child of this process
 *
 * From the moment the kernel begins to take it down, long before a large
 * process is a zombie: reads /proc/PID/stat (flags PF_EXITING, exit_code).
 * Return: 0 (kind RUNNING if it is not going down, or if that cannot be told from
 * its main thread having ended alone), -ESRCH, or what open(2) says where /proc
 * is not to be read, -EACCES where it hides how the child ended: then wait for
 * the pidfd.
 */
int carom_pid_peek(pid_t pid, struct carom_exit *ret_exit);

/**
 * carom_pid_has_ended_children() - may there be a child that nobody has reaped?
 *
 * One system call, however many children there are. Those that are not the library's count,
 * too. Return: false if there is none; true also if there is no child at all.
 */
bool carom_pid_has_ended_children(void);

/**
 * carom_pid_end() - kill a child whose pidfd was taken away, and reap it
 * @pid:      a child of this process, made by it
 * @ret_exit: NULL if nobody wants to know
 *
 * By its number, which is nobody else's before it was reaped: only where waitid(2) says that
 * it is an unreaped child. Waits until it has ended. If the program's own waitpid(-1) was
 * faster, the kind is TAKEN.
 */
void carom_pid_end(pid_t pid, struct carom_exit *ret_exit);

/**
 * carom_pid_born() - when a process began, which tells it from a later one with its number
 * @ret_ticks: since the machine's start; the same before and after execve(2)
 *
 * Return: 0, -ESRCH, -EBADMSG, or what open(2) says where /proc is not to be read.
 */
int carom_pid_born(pid_t pid, uint64_t *ret_ticks);

/**
 * carom_pid_lives() - has @pid not ended, and is it the process that began at @born?
 * @born: as carom_pid_born() gave it; 0: that was not to be told, and is not compared
 *
 * A zombie does not live, once its last thread has ended. What cannot be told is taken
 * for alive.
 */
bool carom_pid_lives(pid_t pid, uint64_t born);

/** carom_thread_is_ending() - has this thread of any process begun to end, or is it gone? */
bool carom_thread_is_ending(pid_t tid);

/**
 * carom_pidfd_signal() - pidfd_send_signal(2)
 *
 * Where that is denied, kill(2) with the number that the kernel gives for @pidfd: it hits
 * another process only if this one is reaped, and its number used again, in between.
 * Return: 0, -ESRCH, -EPERM, -EINVAL, -EBADF; where it is denied, also what open(2) says
 * of /proc, -EMFILE among it.
 */
int carom_pidfd_signal(int pidfd, int signal_number);

#endif

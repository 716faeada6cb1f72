/*
 * Pid namespace: a child that is process 1 of one of its own
 *
 * It sees no process but those that it starts, and those end when it does, by the kernel.
 * It is born there (clone's flags): who lives cannot move. What is different for it:
 *
 *	numbers         getpid(2) is 1 and getppid(2) 0; the program knows it by another pid
 *	signals         those with their default action do nothing to it, but for SIGKILL and
 *	                SIGSTOP from outside, and faults of its own. Those by which a process is
 *	                usually asked to end, and SIGABRT, end it by a handler, with the exit
 *	                status 128 + number: a death by them it cannot have
 *	thread ids      are of its own counting, and equal those of threads elsewhere. What the
 *	                kernel and locks in shared memory tell owners by is lost: no lock here
 *	                can be taken (-EOPNOTSUPP), see shm/mutex.c and shm/keeper.c. A word that
 *	                nobody else ever takes is marked at its death as ever: shm/life.h
 *	/proc           shows what is outside, if it shows anything
 */
#ifndef CAROM_CORE_PID_NAMESPACE_H
#define CAROM_CORE_PID_NAMESPACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** carom_is_inside() - is this process in a pid namespace that this library has made for it? AS-Safe. */
bool carom_is_inside(void);

/**
 * carom_pid_outside() - getpid(2), as the program has it
 *
 * AS-Safe. Return: 0 in a process that one inside has forked, if /proc is closed to it.
 */
pid_t carom_pid_outside(void);

/** carom_ending_action() - SIG_DFL, or inside what comes closest to it. AS-Safe. */
sighandler_t carom_ending_action(int number);

/** carom_ending_status() - the exit status that stands for an end by @number, inside */
int carom_ending_status(int number);

/**
 * struct carom_birthplace - where a child is born
 * @namespaces: CLONE_NEWPID, with or without CLONE_NEWUSER
 * @user, @group: what it is in a new user namespace: what it was before
 */
struct carom_birthplace {
	uint64_t namespaces;
	unsigned int user;
	unsigned int group;
};

/** carom_birthplace_take() - before the child is made */
struct carom_birthplace carom_birthplace_take(uint64_t namespaces);

/**
 * carom_birthplace_settle() - in the child, with all signals blocked: be at home there
 *
 * AS-Safe. Return: 0; -EOPNOTSUPP: /proc does not tell who it is; or what the kernel says of
 * its user's map.
 */
int carom_birthplace_settle(const struct carom_birthplace *place);

/** carom_user_map() - in a new user namespace: be who one was. AS-Safe. 0, -errno. */
int carom_user_map(unsigned int user, unsigned int group);

#endif

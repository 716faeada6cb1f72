/*
 * Prey: the names that attempts in escapes.h go for, which no other run of a suite has
 *
 *	take_names(&the_world);
 *	...
 *	give_names_back();		// at the latest when the test's process exits
 */
#ifndef TESTS_CORE_PREY_H
#define TESTS_CORE_PREY_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/core/escapes.h"

static struct world taken; /* no directory: no names */
static pid_t taker;

/* But for the socket, what may lie there. */
static inline void remove_prey(const struct world *world)
{
	unlink(world->file);
	unlink(world->fresh);
	unlink(world->shared);
	if (unlink(world->moved) < 0)
		rmdir(world->moved);
}

/* Also what an attempt has made. */
static inline void give_names_back(void)
{
	if (getpid() != taker || !taken.directory[0])
		return;
	remove_prey(&taken);
	unlink(taken.listening);
	rmdir(taken.directory);
	syscall(SYS_mq_unlink, taken.name + 1);
	shmctl(shmget(taken.key, 0, 0), IPC_RMID, NULL);
	msgctl(msgget(taken.key, 0), IPC_RMID, NULL);
	semctl(semget(taken.key, 0, 0), 0, IPC_RMID);
	taken.directory[0] = '\0';
}

#define NAME(world, which, format, of) snprintf((world)->which, sizeof((world)->which), format, of)

/* In the test's own process. */
static inline void take_names(struct world *world)
{
	char directory[] = "/tmp/carom-escape-XXXXXX";

	cr_assert(mkdtemp(directory) != NULL && chmod(directory, 0777) == 0);
	NAME(world, directory, "%s", directory);
	NAME(world, name, "/%s", directory + strlen("/tmp/"));
	NAME(world, file, "%s/prey", directory);
	NAME(world, fresh, "%s/fresh", directory);
	NAME(world, moved, "%s/moved", directory);
	NAME(world, listening, "%s/listening", directory);
	NAME(world, shared, "/dev/shm%s", world->name);
	memcpy(&world->key, directory + strlen(directory) - sizeof(int), sizeof(int));
	taken = *world;
	if (taker != getpid())
		atexit(give_names_back); /* an assertion ends a test at once */
	taker = getpid();
}

#endif

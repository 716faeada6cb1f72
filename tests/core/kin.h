/*
 * Kin: a child that has children of its own
 *
 * By every method, from threads that end at once, and each leads a session of its own. All
 * of the family say that they are there, and stay until somebody ends them.
 */
#ifndef TESTS_CORE_KIN_H
#define TESTS_CORE_KIN_H

#include <pthread.h>
#include <unistd.h>

#include "core/context.h"
#include "core/process.h"

static const char *const kin_methods[] = { "fork", "spawn", "forkserver" };

static int found_family(const void *argument, size_t size, const int *fds, size_t fd_count);

/**
 * struct kin - a child to be had
 * @generations: that are to come after it
 * @told_fd:     where the whole family says that it is there
 */
struct kin {
	const char *method;
	int generations;
	int told_fd;
};

static void *have_child(void *userdata)
{
	struct kin *kin = userdata;
	struct carom_context *context = NULL;
	struct carom_process *process = NULL;

	carom_context_get(kin->method, &context); /* without a fork server the default, "spawn" */
	if (carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context, .function = found_family,
						     .argument = &kin->generations,
						     .argument_size = sizeof(int),
						     .fds = &kin->told_fd, .fd_count = 1),
			      &process) < 0 ||
	    carom_process_start(process) < 0)
		return NULL;
	carom_process_free(process);
	return kin;
}

/* from a thread that is gone when this returns */
static void *have_child_by_thread(struct kin *kin)
{
	void *done = NULL;
	pthread_t thread;

	if (pthread_create(&thread, NULL, have_child, kin) == 0)
		pthread_join(thread, &done);
	return done;
}

/* By each method one from a thread, and, if they have children too, one from here. Return: all are there */
static bool have_children(int generations, int told_fd)
{
	bool all = true;

	for (int i = 0; i < 3; i++) {
		struct kin kin = { kin_methods[i], generations, told_fd };

		all &= have_child_by_thread(&kin) != NULL;
		if (generations)
			all &= have_child(&kin) != NULL;
	}
	return all;
}

/* How many say that they are there where so many generations were asked for. */
static inline int family_size(int generations)
{
	return generations == 0 ? 3 : 6 + 6 * family_size(generations - 1);
}

static int found_family(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int generations = *(const int *)argument;

	setsid();
	if (generations && !have_children(generations - 1, fds[0]))
		return 96;
	if (write(fds[0], "!", 1) != 1)
		return 97;
	for (;;)
		pause();
}
CAROM_REGISTER(found_family);

#endif

/*
 * The same pool under every method.
 *
 * What "spawn" runs is a program beside the suite's, `tests/pool/child.c`, into which the
 * same functions are compiled: they stand here and in work.h, registered in both.
 */
#ifndef CAROM_TESTS_POOL_METHODS_H
#define CAROM_TESTS_POOL_METHODS_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clone.h"
#include "core/context.h"
#include "core/process.h"
#include "tests/pool/work.h"

static const char *const methods[] = { "fork", "spawn", "forkserver", "thread" };

/* NULL: no fork server can be */
static inline struct carom_context *context_of(const char *method)
{
	struct carom_context *context = NULL;

	carom_set_executable(getenv("CAROM_CHILD"));
	carom_context_get(method, &context);
	return context;
}

/* The first @count of them. */
#define EACH_OF(count, context)                                                  \
	for (size_t each_ = 0; each_ < (count); each_++)                         \
		if (!(context = context_of(methods[each_])))                     \
			dprintf(STDERR_FILENO, "skipped: %s\n", methods[each_]); \
		else

#define EACH_METHOD(context)         EACH_OF(4, context)
#define EACH_PROCESS_METHOD(context) EACH_OF(3, context)
#define THE_METHOD                   methods[each_]

/* ---- what a child does that is no worker ---- */

static int exit_with_7(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 7;
}
CAROM_REGISTER(exit_with_7);

/* ---- what workers do; all registered ---- */

CAROM_REGISTER(square);
CAROM_REGISTER(nothing);
CAROM_REGISTER(echo);
CAROM_REGISTER(own_pid);
CAROM_REGISTER(own_index);
CAROM_REGISTER(fail_with_message);
CAROM_REGISTER(kill_self);
CAROM_REGISTER(hang);
CAROM_REGISTER(eat);

static int tell_name(struct carom_call *call)
{
	char name[64];
	int r = carom_process_name(carom_current_process(), name, sizeof(name));

	return r < 0 ? r : carom_reply(call, name, strlen(name) + 1);
}
CAROM_REGISTER(tell_name);

static int tell_method(struct carom_call *call)
{
	const char *method = carom_get_start_method(false);

	return carom_reply(call, method, strlen(method) + 1);
}
CAROM_REGISTER(tell_method);

/* A pool of its own, by the method that it was itself made by: the squares' sum. */
static int square_in_a_pool(struct carom_call *call)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[10], out[10], sum = 0;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2), &pool);

	for (int i = 0; i < 10; i++)
		in[i] = i;
	if (r == 0)
		r = carom_pool_map(pool, square, in, 10, sizeof(*in), out, sizeof(*out), NULL);
	if (r < 0)
		return carom_call_fail(call, r, "%s", carom_strerror(r));
	for (int i = 0; i < 10; i++)
		sum += out[i];
	return carom_reply(call, &sum, sizeof(sum));
}
CAROM_REGISTER(square_in_a_pool);

/* Whether the program's thread or process that made it is another. */
static int tell_thread(struct carom_call *call)
{
	return carom_reply(call, &(int64_t[2]){ getpid(), gettid() }, 2 * sizeof(int64_t));
}
CAROM_REGISTER(tell_thread);

/* ---- in which group it is, on cgroup v2 ---- */

static void read_group(char *text, size_t size)
{
	char line[512];
	FILE *file = fopen("/proc/self/cgroup", "re");

	text[0] = '\0';
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "0::", 3) == 0)
			snprintf(text, size, "%.*s", (int)strcspn(line, "\n"), line);
	if (file)
		fclose(file);
}

static int tell_group(struct carom_call *call)
{
	char text[512];

	read_group(text, sizeof(text));
	return carom_reply(call, text, strlen(text) + 1);
}
CAROM_REGISTER(tell_group);

static char first_group[512]; /* when the initializer ran */

static int note_group(const void *data, size_t size)
{
	read_group(first_group, sizeof(first_group));
	return 0;
}
CAROM_REGISTER(note_group);

static int tell_first_group(struct carom_call *call)
{
	return carom_reply(call, first_group, strlen(first_group) + 1);
}
CAROM_REGISTER(tell_first_group);

/* ---- what goes on around the tasks of a worker ---- */

static char given[32]; /* by the initializer */
static int64_t loop_pid;

static int take_text(const void *data, size_t size)
{
	memcpy(given, data, size < sizeof(given) ? size : sizeof(given));
	return 0;
}
CAROM_REGISTER(take_text);

static void note_start(int64_t pid, void *userdata)
{
	loop_pid = pid;
}
CAROM_REGISTER(note_start);

static int tell_text(struct carom_call *call)
{
	return loop_pid == getpid() ? carom_reply(call, given, strlen(given) + 1) : -EINVAL;
}
CAROM_REGISTER(tell_text);

/* 64 MiB that stay. */
static int grow_large(struct carom_call *call)
{
	char *memory = malloc(64 << 20);

	if (!memory)
		return -ENOMEM;
	memset(memory, 1, 64 << 20);
	__asm__ volatile("" : : "r"(memory) : "memory");
	return carom_reply(call, &(int64_t){ getpid() }, sizeof(int64_t));
}
CAROM_REGISTER(grow_large);

#endif

/*
 * The same child under every start method.
 *
 * A suite's program has no main() of its own that could call carom_main_hook(), so what
 * "spawn" runs is a program beside it, `tests/core/child.c`, into which the same functions are
 * compiled: they stand in functions.h, and are registered by their names in both.
 */
#ifndef TESTS_CORE_METHODS_H
#define TESTS_CORE_METHODS_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/process.h"
#include "core/time.h"
#include "tests/core/functions.h"

static const char *const methods[] = { "fork", "spawn", "forkserver" };

#define EACH_METHOD(context) \
	for (size_t each_ = 0; each_ < 3 && (context = context_of(methods[each_]), 1); each_++)

static inline struct carom_context *context_of(const char *method)
{
	struct carom_context *context;

	cr_assert(carom_set_executable(getenv("CAROM_CHILD")) == 0);
	cr_assert(carom_context_get(method, &context) == 0, "%s", method);
	return context;
}

/* Started; the caller's to free. */
static inline struct carom_process *start_with(struct carom_process_options options)
{
	struct carom_process *process = NULL;
	int r = carom_process_new(&options, &process);

	cr_assert(r == 0, "new: %d", r);
	r = carom_process_start(process);
	cr_assert(r == 0, "start: %d", r);
	return process;
}

#define START(...) start_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

/* Its exit code, after it has ended. */
static inline int exitcode_of(struct carom_process *process)
{
	int code = 1000;

	cr_assert(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	cr_assert(carom_process_exitcode(process, &code) == 0);
	return code;
}

/* Started, joined, freed: the exit code. */
static inline int run_with(struct carom_process_options options)
{
	struct carom_process *process = start_with(options);
	int code = exitcode_of(process);

	carom_process_free(process);
	return code;
}

#define RUN(...) run_with(CAROM_PROCESS_OPTIONS(__VA_ARGS__))

/* What a child writes to its first descriptor until it closes it. */
static inline size_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length + 1 < size && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return length;
}

#endif

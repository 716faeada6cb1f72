/*
 * Module
 *
 * Modules stand beside the program. A side has one peer, so it has one module at most.
 */
#include "bench/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct bench_act *loaded;

static void place_of(const char *module, char *path, size_t size)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[length < 0 ? 0 : length] = '\0';
	*(strrchr(program, '/') ? strrchr(program, '/') : program) = '\0';
	snprintf(path, size, "%s/%s.so", program, module);
}

bool bench_module_is_there(const char *module)
{
	char path[PATH_MAX + 64];

	place_of(module, path, sizeof(path));
	return access(path, R_OK) == 0;
}

int bench_module_setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	char path[PATH_MAX + 64];
	void *library;

	place_of(job->module, path, sizeof(path));
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	loaded = library ? dlsym(library, "bench_module") : NULL;
	if (!loaded)
		return bench_sample_fail(sample, -ENOENT, "%s", dlerror());
	return loaded->setup(job, sample, ret_state);
}

int bench_module_operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return loaded->operate(state, task_count, operation);
}

void bench_module_rest(void *state)
{
	if (loaded->rest)
		loaded->rest(state);
}

void bench_module_teardown(void *state)
{
	if (loaded)
		loaded->teardown(state);
}

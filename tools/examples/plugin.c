/*
 * plugin: run somebody else's shared object, and keep it from whatever it is not for
 *
 *	plugin SHARED_OBJECT TEXT...
 *
 * The worker is confined first and loads the plug-in then, with its first task: so the code
 * that runs when it is loaded is confined as well. It may read that file, and no other; it
 * makes no socket and no process; and it may not have more than a second and 64 MiB for a
 * text. Whatever becomes of one text, the next one is transformed.
 */
#include <carom/carom.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define TEXT_MAX 1024

/* ---- in a worker ---- */

static char plugin_path[4096];

static int keep_path(const void *path, size_t size)
{
	if (size > sizeof(plugin_path))
		return -ENAMETOOLONG;
	memcpy(plugin_path, path, size);
	return 0;
}

static plugin_fn *load(struct carom_call *call)
{
	static plugin_fn *function;
	void *object;

	if (function)
		return function;
	object = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
	if (object)
		*(void **)&function = dlsym(object, PLUGIN_FUNCTION);
	if (!function)
		carom_call_fail(call, -ELIBBAD, "%s", dlerror());
	return function;
}

static int transform(struct carom_call *call)
{
	plugin_fn *function = load(call);
	char text[TEXT_MAX];
	size_t size;
	const void *data = carom_call_data(call, &size);

	if (!function)
		return -ELIBBAD;
	memcpy(text, data, size);
	if (function(text, size) < 0)
		return carom_call_fail(call, -EINVAL, "it cannot");
	return carom_reply(call, text, size);
}

/* ---- in the program ---- */

static int confine(const char *path, struct carom_sandbox **ret_sandbox)
{
	const char *const readable[] = { path, NULL };
	/* what loading code needs, and the profile has not: memory that is executable */
	const char *const more[] = { "mmap", "mprotect", NULL };

	return carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC,
							.allow = more, .read_paths = readable),
				 ret_sandbox);
}

static int run(struct carom_pool *pool, const char *text)
{
	struct carom_outcome outcome;
	char out[TEXT_MAX], said[160];
	size_t size = strlen(text);
	int r;

	if (size > TEXT_MAX)
		return -EMSGSIZE;
	r = carom_pool_apply(pool, transform, text, size, out, sizeof(out), NULL, &outcome);
	if (r == -EREMOTEIO)
		printf("%-12s %s\n", text, carom_outcome_describe(&outcome, said, sizeof(said)));
	else if (r == 0)
		printf("%-12s %.*s\n", text, (int)size, out);
	return r == -EREMOTEIO ? 0 : r;
}

int main(int argc, char **argv)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char path[4096];
	int r;

	if (argc < 2 || !realpath(argv[1], path)) {
		fprintf(stderr, "Usage: %s SHARED_OBJECT TEXT...\n", argv[0]);
		return 2;
	}
	r = confine(path, &sandbox);
	if (r < 0)
		return carom_complain("sandbox", r);
	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .sandbox = sandbox,
					       .initializer = keep_path, .initializer_data = path,
					       .initializer_size = strlen(path) + 1,
					       .hard_limit_ns = CAROM_SECONDS(1),
					       .max_memory_per_child_bytes = CAROM_MIB(64)),
			   &pool);
	if (r < 0)
		return carom_complain("pool", r);
	for (int i = 2; i < argc && r == 0; i++)
		r = run(pool, argv[i]);
	return r < 0 ? carom_complain("plug-in", r) : 0;
}

/*
 * Everything that can be made is there in each context: what starts processes takes one, and
 * NULL is the default. What processes share is made without, for the children of all of them:
 * see tests/ipc/test_sharing.c.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/cleanup.h"
#include "core/process.h"
#include "core/time.h"
#include "ipc/manager.h"
#include "tests/pool/methods.h"

static int process_in(struct carom_context *context)
{
	struct carom_process *process = NULL;
	int status = -1;
	int r = carom_process_new(
		&CAROM_PROCESS_OPTIONS(.context = context, .function = exit_with_7), &process);

	if (r == 0)
		r = carom_process_start(process);
	if (r == 0)
		r = carom_process_join(process, CAROM_NO_DEADLINE);
	if (r == 0)
		r = carom_process_exitcode(process, &status);
	carom_process_free(process);
	return r < 0 ? r : status == 7 ? 0 : -EPROTO;
}

static int pool_in(struct carom_context *context)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in = 12, out = 0;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context), &pool);

	if (r == 0)
		r = carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out), NULL, NULL);
	return r < 0 ? r : out == 144 ? 0 : -EPROTO;
}

static int manager_in(struct carom_context *context)
{
	CAROM_CLEANUP(carom_manager_freep) struct carom_manager *manager = NULL;
	CAROM_CLEANUP(carom_proxy_freep) struct carom_proxy *list = NULL;
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(30));
	int r = carom_manager_new(&CAROM_MANAGER_OPTIONS(.context = context), &manager);

	if (r == 0)
		r = carom_manager_start(manager);
	if (r == 0)
		r = carom_manager_create(manager, "list", deadline_ns, &list, "");
	return r < 0 ? r : carom_proxy_call(list, "append", deadline_ns, NULL, "i", 1);
}

static const struct {
	const char *name;
	int (*make)(struct carom_context *context);
} makers[] = {
	{ "Process", process_in },
	{ "Pool", pool_in },
	{ "Manager", manager_in },
};

static void expect_all_in(struct carom_context *context, const char *name)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		int r = makers[i].make(context);

		cr_expect(r == 0, "%s in %s: %d", makers[i].name, name, r);
	}
}

/* CX-07 */
Test(factory, everything_is_made_in_each_context, .timeout = 120)
{
	struct carom_context *context;

	expect_all_in(NULL, "the default");
	EACH_PROCESS_METHOD(context)
	{
		expect_all_in(context, THE_METHOD);
	}
}

/*
 * Context
 *
 * Four of them and which one of the first three is the default: a few words under a lock. A forked
 * child goes on with what it finds.
 */
#include "core/context.h"

#include <errno.h>
#include <string.h>

#include "core/clone.h"
#include "core/context_private.h"
#include "core/fork_lock.h"
#include "core/options.h"

#define UNSET (-1)

struct carom_context {
	const char *method_name;
	const char *process_type;
	struct carom_context_options options;
};

static struct carom_context contexts[CAROM_CONTEXT_COUNT] = {
	[CAROM_START_FORK] = { "fork", "ForkProcess", { 0 } },
	[CAROM_START_SPAWN] = { "spawn", "SpawnProcess", { 0 } },
	[CAROM_START_FORKSERVER] = { "forkserver", "ForkServerProcess", { 0 } },
	[CAROM_START_THREAD] = { "thread", "DummyProcess", { 0 } },
};

static CAROM_FORK_LOCK(lock);
static int default_method = UNSET;

/* --- methods ----------------------------------------------------------- */

static bool is_available(int method)
{
	return method != CAROM_START_FORKSERVER || carom_clone_way() != CAROM_CLONE_BY_FORK;
}

static int method_named(const char *name)
{
	for (int i = 0; i < CAROM_CONTEXT_COUNT; i++)
		if (strcmp(contexts[i].method_name, name) == 0)
			return is_available(i) ? i : -EOPNOTSUPP;
	return -ENOENT;
}

static int best_method(void)
{
	return is_available(CAROM_START_FORKSERVER) ? CAROM_START_FORKSERVER : CAROM_START_SPAWN;
}

/* with the lock */
static int fix_default(void)
{
	if (default_method == UNSET)
		default_method = best_method();
	return default_method;
}

int carom_context_get(const char *method, struct carom_context **ret_context)
{
	int r;

	carom_fork_lock_acquire(&lock);
	r = method ? method_named(method) : fix_default();
	carom_fork_lock_release(&lock);
	if (r < 0)
		return r;
	*ret_context = &contexts[r];
	return 0;
}

static struct carom_context *or_default(struct carom_context *context)
{
	if (!context) {
		carom_fork_lock_acquire(&lock);
		context = &contexts[fix_default()];
		carom_fork_lock_release(&lock);
	}
	return context;
}

const char *carom_context_start_method(struct carom_context *context)
{
	return or_default(context)->method_name;
}

int carom_set_start_method(const char *method, bool force)
{
	int r = method ? method_named(method) : UNSET;

	if (!method && !force)
		return -EINVAL;
	if (method && r < 0)
		return r;
	if (r == CAROM_START_THREAD)
		return -EINVAL;
	carom_fork_lock_acquire(&lock);
	if (default_method == UNSET || force)
		default_method = r;
	else
		r = -EALREADY;
	carom_fork_lock_release(&lock);
	return r == -EALREADY ? r : 0;
}

const char *carom_get_start_method(bool allow_none)
{
	int method;

	carom_fork_lock_acquire(&lock);
	method = allow_none ? default_method : fix_default();
	carom_fork_lock_release(&lock);
	return method == UNSET ? NULL : contexts[method].method_name;
}

const char *const *carom_all_start_methods(void)
{
	static const char *const lists[][CAROM_START_METHOD_COUNT + 1] = {
		[CAROM_START_FORK] = { "fork", "spawn", "forkserver", NULL },
		[CAROM_START_SPAWN] = { "spawn", "fork", "forkserver", NULL },
		[CAROM_START_FORKSERVER] = { "forkserver", "fork", "spawn", NULL },
	};
	static const char *const without_server[][CAROM_START_METHOD_COUNT] = {
		[CAROM_START_FORK] = { "fork", "spawn", NULL },
		[CAROM_START_SPAWN] = { "spawn", "fork", NULL },
	};
	int method;

	carom_fork_lock_acquire(&lock);
	method = default_method == UNSET ? best_method() : default_method;
	carom_fork_lock_release(&lock);
	return is_available(CAROM_START_FORKSERVER) ? lists[method] : without_server[method];
}

void carom_forking_enable(bool enable)
{
	carom_set_start_method(enable ? "fork" : "spawn", true);
}

bool carom_forking_is_enabled(void)
{
	const char *method = carom_get_start_method(true);

	return strcmp(method ? method : contexts[best_method()].method_name, "spawn") != 0;
}

/* --- options ----------------------------------------------------------- */

int carom_context_configure(struct carom_context *context,
			    const struct carom_context_options *options)
{
	struct carom_context_options ours;
	int r = carom_options_take(options, &ours, sizeof(ours));

	if (r < 0)
		return r;
	if (!memchr(ours.serializer, '\0', sizeof(ours.serializer)))
		return -ENAMETOOLONG;
	context = or_default(context);
	carom_fork_lock_acquire(&lock);
	context->options = ours;
	carom_fork_lock_release(&lock);
	return 0;
}

int carom_context_settings(struct carom_context *context,
			   struct carom_context_settings *ret_settings, const char **ret_type)
{
	bool is_default = !context;

	context = or_default(context);
	if (!is_available((int)(context - contexts)))
		return -EOPNOTSUPP;
	carom_fork_lock_acquire(&lock);
	ret_settings->method = (enum carom_start_method)(context - contexts);
	ret_settings->options = context->options;
	carom_fork_lock_release(&lock);
	*ret_type = is_default ? "Process" : context->process_type;
	return 0;
}

void carom_context_serializer(struct carom_context *context,
			      char ret_name[CAROM_SERIALIZER_NAME_SIZE])
{
	carom_fork_lock_acquire(&lock);
	if (!context)
		context = &contexts[default_method == UNSET ? best_method() : default_method];
	memcpy(ret_name, context->options.serializer, CAROM_SERIALIZER_NAME_SIZE);
	carom_fork_lock_release(&lock);
}

void carom_context_inherit(const struct carom_context_settings *settings)
{
	carom_fork_lock_acquire(&lock);
	default_method = (int)settings->method;
	contexts[settings->method].options = settings->options;
	carom_fork_lock_release(&lock);
}

/*
 * Features
 *
 * The probe's answers, as a program may see them. The list is made once, as a whole;
 * the next one is found by its place, so that the struct can grow.
 */
#include "core/features.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "core/probe.h"

static const struct {
	int error;
	const char *reason;
} reasons[] = {
	{ -ECANCELED, "denied by CAROM_DENY" },
	{ -EPERM, "EPERM: denied, as container runtimes do" },
	{ -ENOSYS, "ENOSYS: not in this kernel, or hidden by a container runtime" },
	{ -EINVAL, "EINVAL: this kernel is too old for it" },
	{ -ENOTTY, "ENOTTY: this kernel is too old for it" },
	{ -EOPNOTSUPP, "not in this version of the kernel, the C library or carom" },
	{ -ENOENT, "ENOENT: it is not mounted where it shows this process" },
	{ -EROFS, "EROFS: it is mounted read-only" },
	{ -EACCES, "EACCES: it belongs to another user" },
};

static const char *reason_for(int error)
{
	const char *text;

	if (error == 0)
		return NULL;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].error == error)
			return reasons[i].reason;
	text = strerrordesc_np(-error);
	return text ? text : "unknown error";
}

static struct carom_feature_info infos[CAROM_FEATURE_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_in(void)
{
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		int error = carom_probe_error(i);

		infos[i] = (struct carom_feature_info){
			.name = carom_feature_name(i),
			.use = carom_feature_use(i),
			.fallback = carom_feature_fallback(i),
			.reason = reason_for(error),
			.error = error,
		};
	}
}

const struct carom_feature_info *carom_feature_next(const struct carom_feature_info *feature)
{
	size_t next = feature ? (size_t)(feature - infos) + 1 : 0;

	pthread_once(&once, fill_in);
	return next < CAROM_FEATURE_COUNT ? &infos[next] : NULL;
}

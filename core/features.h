/**
 * DOC: features
 *
 * What of the kernel the library makes use of, whether this kernel and this
 * container have it, and what is done instead where they do not:
 *
 *	const struct carom_feature_info *feature = NULL;
 *
 *	while ((feature = carom_feature_next(feature)))
 *		if (feature->error)
 *			printf("no %s (%s): %s\n", feature->name, feature->reason,
 *			       feature->fallback ? feature->fallback : "carom cannot work");
 *		else
 *			printf("%s: %s\n", feature->name, feature->use);
 *
 * Each is found out once, by calling it harmlessly, and never by the kernel's
 * version: a container may deny what its kernel has. To see what a program does
 * without some of them, name them in the environment: CAROM_DENY=clone3,io_uring.
 */
#ifndef CAROM_CORE_FEATURES_H
#define CAROM_CORE_FEATURES_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_feature_info - one mechanism of the kernel
 * @name:     a word, as CAROM_DENY takes it
 * @use:      what is done with it
 * @fallback: what is done without it; NULL: it is needed, and without it the
 *            functions that need it fail with @error
 * @reason:   why it is not there, as far as the error tells; NULL: it is there
 * @error:    0: it is there. Else what the kernel answers, -EPERM and -ENOSYS from
 *            containers, -EINVAL from kernels that are too old, -ENOENT, -EROFS and
 *            -EACCES about cgroups; -EOPNOTSUPP if it is the C library or this build
 *            that lacks it; -ECANCELED if CAROM_DENY names it, or what it is part of
 *
 * The strings are for people, short, and have no full stop. Later versions may
 * append to it.
 */
struct carom_feature_info {
	const char *name;
	const char *use;
	const char *fallback;
	const char *reason;
	int error;
};

/**
 * carom_feature_next() - go through all of them
 * @feature: the one before; NULL for the first
 *
 * The first call in a program takes about a millisecond, if no pool was made yet.
 *
 * Context: MT-Safe, AS-Unsafe heap. Does not block. In a forked child: the parent's
 * answers, if it had any.
 * Return: static, do not free; NULL behind the last.
 */
CAROM_API const struct carom_feature_info *carom_feature_next(
	const struct carom_feature_info *feature);

CAROM_END_DECLS

#endif

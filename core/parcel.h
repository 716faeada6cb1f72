/*
 * Parcel: what a new child is told
 *
 * One block of bytes: a header, texts, the numbers of descriptors, the argument. It
 * travels in the fork server's request where it is small, else in a sealed memfd that
 * the child maps, so that an argument of any size is copied once.
 */
#ifndef CAROM_CORE_PARCEL_H
#define CAROM_CORE_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/context_private.h"
#include "core/log_private.h"
#include "core/registry.h"
#include "core/self.h"

/**
 * struct carom_parcel - packed, and unpacked again
 * @function:      an address, where both sides are one image
 * @function_name: where they are not; NULL with @function, and for nothing to run
 * @run, @run_name: likewise, of what is called instead
 * @directory:     where the child is to work; NULL: where it is
 * @temp_dir:      the parent's; NULL: it has none
 * @fds:           the child's numbers; pack may have NULL where they travel otherwise
 * @guard_fd:      the guard's, in an exec'd child and in a sandbox; -1
 * @is_exact:      a copy of its parent keeps no descriptors but @fds and the guard's, from
 *                 the beginning; not packed, since other children do so anyway
 * @is_among_threads: its parent has threads that are not the library's
 * @sandbox_fd:    of its page, see core/sandbox_private.h; -1: it has no sandbox
 * @cgroup_fd:     where it is born; 0: nowhere else. Not packed
 * @namespaces:    likewise, see core/pid_namespace.h: by the fork server alone
 */
struct carom_parcel {
	struct carom_self self;
	struct carom_log_settings log;
	struct carom_context_settings context;
	carom_process_fn *function;
	const char *function_name;
	carom_process_fn *run;
	const char *run_name;
	const char *directory;
	const char *temp_dir;
	const int *fds;
	size_t fd_count;
	int guard_fd;
	int sandbox_fd;
	int cgroup_fd;
	uint64_t namespaces;
	bool is_exact;
	bool is_among_threads;
	const void *argument;
	size_t argument_size;
};

/**
 * carom_parcel_kept_fds() - the descriptors that its child may not lose: @fds and the guard's
 * Return: malloc'd, so many and one more; NULL: no memory.
 */
int *carom_parcel_kept_fds(const struct carom_parcel *parcel);

/**
 * carom_parcel_pack() - all but the argument, which is to follow it at once
 * @ret_head: malloc'd; aligned as the argument will be
 * Return: 0, -ENOMEM.
 */
int carom_parcel_pack(const struct carom_parcel *parcel, void **ret_head, size_t *ret_size);

/** carom_parcel_file() - both in a sealed memfd, CLOEXEC. 0, -EMFILE, -ENFILE, -ENOMEM, -EFBIG. */
int carom_parcel_file(const void *head, size_t head_size, const void *argument, size_t size,
		      int *ret_fd);

/**
 * carom_parcel_unpack() - points into @data, which has to stay
 * Return: 0, -EBADMSG (nothing that this version has packed).
 */
int carom_parcel_unpack(const void *data, size_t size, struct carom_parcel *ret_parcel);

/** carom_parcel_open() - unpack a memfd, which is mapped for good. @fd stays the caller's. */
int carom_parcel_open(int fd, struct carom_parcel *ret_parcel);

#endif

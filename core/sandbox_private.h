/*
 * Sandbox, as the rest of the library sees it
 *
 * Who makes a child makes a page first: memory that it shares with this one child, with
 * its orders, and room for what the child reports. It travels as a descriptor.
 *
 *	carom_sandbox_page_new(sandbox, &page)          in the parent
 *	... a child is made that has carom_sandbox_page_fd(page)
 *	carom_sandbox_page_close(page)                  the memory stays
 *
 *	carom_sandbox_enter(fd, keep, count, note)      in the child
 *
 *	carom_sandbox_page_violation(page, &violation)  in the parent, of a child that has ended
 *	page = carom_sandbox_page_free(page)
 */
#ifndef CAROM_CORE_SANDBOX_PRIVATE_H
#define CAROM_CORE_SANDBOX_PRIVATE_H

#include <linux/filter.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/exit.h"
#include "core/sandbox.h"

struct carom_sandbox_page;

/** carom_sandbox_ref() - one more owner; each gives it up by carom_sandbox_free(). NULL stays NULL. */
struct carom_sandbox *carom_sandbox_ref(struct carom_sandbox *sandbox);

/** carom_sandbox_is_none() - is there nothing to enter? Also for NULL. */
bool carom_sandbox_is_none(const struct carom_sandbox *sandbox);

/** carom_sandbox_layer_error() - why a layer that was asked for is not in force; 0: it is */
int carom_sandbox_layer_error(const struct carom_sandbox *sandbox, enum carom_sandbox_layer layer);

/** carom_sandbox_namespaces() - what a child is to be born in, see core/pid_namespace.h; also of NULL */
uint64_t carom_sandbox_namespaces(const struct carom_sandbox *sandbox);

/** carom_sandbox_page_new() - with its descriptor, CLOEXEC, above 2. 0, -ENOMEM, -EMFILE, -ENFILE. */
int carom_sandbox_page_new(const struct carom_sandbox *sandbox,
			   struct carom_sandbox_page **ret_page);

/** carom_sandbox_page_fd() - stays the page's; -1 once closed */
int carom_sandbox_page_fd(const struct carom_sandbox_page *page);

/** carom_sandbox_page_close() - the child has it, or there is none. NULL is none. */
void carom_sandbox_page_close(struct carom_sandbox_page *page);

struct carom_sandbox_page *carom_sandbox_page_free(struct carom_sandbox_page *page);

/**
 * carom_sandbox_page_violation() - did this child end by one, and which?
 * @ended: how it ended
 */
bool carom_sandbox_page_violation(const struct carom_sandbox_page *page,
				  const struct carom_exit *ended,
				  struct carom_violation *ret_violation);

/** typedef carom_sandbox_note_fn - in the handler of a violation, before the end. AS-Safe. */
typedef void carom_sandbox_note_fn(const void *context);

/**
 * carom_sandbox_enter() - put up all layers, in this process, which has one thread
 * @fd:    of the page; closed
 * @keep:  descriptors that stay open, beside 0, 1, 2. NULL: all do, they were closed before
 * @note:  NULL: none
 *
 * Return: 0, or what the first layer says that is missing and not optional: it stands in
 * the page, and is said on standard error. This process should end then.
 */
int carom_sandbox_enter(int fd, const int *keep, size_t keep_count, carom_sandbox_note_fn *note);

/**
 * carom_sandbox_enter_program() - likewise, of a sandbox for programs, with one to follow
 * @ret_listener_fd: CLOEXEC; -1: there is none. See core/sandbox_program.h
 */
int carom_sandbox_enter_program(int fd, const int *keep, size_t keep_count, int *ret_listener_fd);

/* ---- what the parts of it share ---- */

/*
 * In the place of a process's own pid in a filter. A process has its copy corrected before
 * it is loaded: see own_pid() in sandbox_enter.c.
 */
#define CAROM_SANDBOX_PID_MARK 0x5ca40001U

#define CAROM_SANDBOX_MANDATORY                                                           \
	(CAROM_SANDBOX_DESCRIPTORS | CAROM_SANDBOX_LIMITS | CAROM_SANDBOX_CAPABILITIES |  \
	 CAROM_SANDBOX_UNDUMPABLE | CAROM_SANDBOX_NO_NEW_PRIVS | CAROM_SANDBOX_LANDLOCK | \
	 CAROM_SANDBOX_SECCOMP)
/* Those that a process can enter by itself. */
#define CAROM_SANDBOX_NAMESPACES                                      \
	(CAROM_SANDBOX_USER_NAMESPACE | CAROM_SANDBOX_NET_NAMESPACE | \
	 CAROM_SANDBOX_MOUNT_NAMESPACE | CAROM_SANDBOX_IPC_NAMESPACE)
#define CAROM_SANDBOX_LAYER_COUNT 13

/**
 * struct carom_sandbox_order - what a child is to do
 * @layers:    to be put up; @optional of them may fail
 * @profile:   one of enum carom_sandbox_profile
 * @program_length: instructions, which follow
 * @read_count, @write_count: then so many paths, each NUL-terminated
 * @reads_all: the whole file system may be read
 * @empty_root: the mount namespace has nothing in it
 * @executes:  it is for programs: what can be read can be executed
 * @namespaces: CLONE_NEWPID and the like: its maker has it born there; 0: nowhere else
 * @namespace_error: why there are none
 * @size:      of all
 */
struct carom_sandbox_order {
	uint64_t layers;
	uint64_t optional;
	uint64_t file_size_max_bytes;
	uint64_t descriptor_max;
	uint32_t profile;
	uint32_t program_length;
	uint32_t read_count;
	uint32_t write_count;
	uint32_t reads_all;
	uint32_t empty_root;
	uint64_t executes;
	uint64_t namespaces;
	int64_t namespace_error;
	uint64_t size;
};

/** carom_sandbox_program() - the filter */
static inline struct sock_filter *carom_sandbox_program(const struct carom_sandbox_order *order)
{
	return (struct sock_filter *)(uintptr_t)(order + 1);
}

/** carom_sandbox_paths() - the first of its paths; the next follows its NUL */
static inline const char *carom_sandbox_paths(const struct carom_sandbox_order *order)
{
	return (const char *)(carom_sandbox_program(order) + order->program_length);
}

/* In a violation word: there was one, of the call in its lower half. */
#define CAROM_SANDBOX_VIOLATED (UINT64_C(1) << 63)

/**
 * struct carom_sandbox_report - what a child leaves; read as what a stranger has written
 * @layers:       in force
 * @violation:    0, or CAROM_SANDBOX_VIOLATED and a number
 * @landlock_abi: of the kernel
 * @error:        what carom_sandbox_enter() has returned
 * @errors:       of each layer that could not be put up: negative errno
 */
struct carom_sandbox_report {
	_Atomic uint64_t layers;
	_Atomic uint64_t violation;
	_Atomic int32_t landlock_abi;
	_Atomic int32_t error;
	_Atomic int32_t errors[CAROM_SANDBOX_LAYER_COUNT];
};

/** carom_sandbox_order() - of a sandbox; stays its own */
const struct carom_sandbox_order *carom_sandbox_order(const struct carom_sandbox *sandbox);

/** carom_sandbox_page_report() - shared with the child */
struct carom_sandbox_report *carom_sandbox_page_report(const struct carom_sandbox_page *page);

/** carom_sandbox_page_attach() - in the child: map what @fd is; unmapped never. 0, -EBADMSG, -errno. */
int carom_sandbox_page_attach(int fd, struct carom_sandbox_report **ret_report,
			      struct carom_sandbox_order **ret_order);

/** carom_sandbox_landlock_ruleset() - for the order's paths. Return: its descriptor, or -errno. */
int carom_sandbox_landlock_ruleset(const struct carom_sandbox_order *order, int abi);

/** carom_sandbox_landlock_abi() - 0: there is none; or -errno */
int carom_sandbox_landlock_abi(void);

/** carom_sandbox_landlock_restrict() - enter what carom_sandbox_landlock_ruleset() has made, and close it */
int carom_sandbox_landlock_restrict(int ruleset_fd);

/** carom_sandbox_unshare() - one of the namespaces, for this process. 0, -errno. */
int carom_sandbox_unshare(enum carom_sandbox_layer layer, const struct carom_sandbox_order *order);

#endif

/*
 * Sandbox: Landlock
 *
 * By the bare system calls: the structs are written down here as the kernel has them in its
 * newest version, and a kernel that knows less is given less. What counts most is that there
 * is a domain at all, whatever it allows: from inside one no process outside can be traced,
 * and so its memory not be opened through /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/sandbox_private.h"

/* the same on every architecture */
#define LANDLOCK_CREATE   444
#define LANDLOCK_ADD      445
#define LANDLOCK_RESTRICT 446
#define ASK_VERSION       1U
#define BENEATH           1

/* what may be done to files; by the version that has brought it */
#define EXECUTE        (UINT64_C(1) << 0)
#define WRITE_FILE     (UINT64_C(1) << 1)
#define READ_FILE      (UINT64_C(1) << 2)
#define READ_DIR       (UINT64_C(1) << 3)
#define REMOVE_DIR     (UINT64_C(1) << 4)
#define REMOVE_FILE    (UINT64_C(1) << 5)
#define MAKE_DIR       (UINT64_C(1) << 7)
#define MAKE_REG       (UINT64_C(1) << 8)
#define MAKE_SOCK      (UINT64_C(1) << 9)
#define MAKE_FIFO      (UINT64_C(1) << 10)
#define MAKE_SYM       (UINT64_C(1) << 12)
#define ALL_IN_1       ((UINT64_C(1) << 13) - 1)
#define REFER_IN_2     (UINT64_C(1) << 13)
#define TRUNCATE_IN_3  (UINT64_C(1) << 14)
#define IOCTL_DEV_IN_5 (UINT64_C(1) << 15)
#define TCP_IN_4       UINT64_C(3) /* bind, connect */
#define SCOPES_IN_6    UINT64_C(3) /* abstract sockets, signals */
#define READING        (READ_FILE | READ_DIR)
#define OF_A_FILE      (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE_IN_3)
#define WRITING                                                                              \
	(READING | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | \
	 MAKE_FIFO | MAKE_SYM | REFER_IN_2 | TRUNCATE_IN_3)

struct ruleset {
	uint64_t files;
	uint64_t net;
	uint64_t scoped;
};

struct beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

int carom_sandbox_landlock_abi(void)
{
	long abi = syscall(LANDLOCK_CREATE, NULL, 0, ASK_VERSION);

	return abi < 0 ? -errno : (int)abi;
}

static uint64_t known_in(int abi)
{
	return ALL_IN_1 | (abi >= 2 ? REFER_IN_2 : 0) | (abi >= 3 ? TRUNCATE_IN_3 : 0) |
	       (abi >= 5 ? IOCTL_DEV_IN_5 : 0);
}

static int allow_beneath(int ruleset_fd, const char *path, uint64_t allowed)
{
	CAROM_CLEANUP(carom_closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct beneath rule = { .allowed = allowed, .fd = fd };
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		rule.allowed &= OF_A_FILE;
	return syscall(LANDLOCK_ADD, ruleset_fd, BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int allow_all_beneath(int ruleset_fd, const char **paths, uint32_t count, uint64_t allowed)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		r = allow_beneath(ruleset_fd, *paths, allowed);
		*paths += strlen(*paths) + 1;
	}
	return r;
}

static int add_rules(int ruleset_fd, const struct carom_sandbox_order *order, uint64_t known)
{
	const char *paths = carom_sandbox_paths(order);
	uint64_t reading = READING | (order->executes ? EXECUTE : 0);
	int r = 0;

	if (order->profile == CAROM_SANDBOX_BASIC)
		allow_beneath(ruleset_fd, "/dev/null",
			      OF_A_FILE & known & ~EXECUTE); /* if it is there */
	if (order->reads_all)
		r = allow_beneath(ruleset_fd, "/", reading);
	if (r == 0)
		r = allow_all_beneath(ruleset_fd, &paths, order->read_count, reading);
	if (r == 0)
		r = allow_all_beneath(ruleset_fd, &paths, order->write_count, WRITING & known);
	return r;
}

int carom_sandbox_landlock_ruleset(const struct carom_sandbox_order *order, int abi)
{
	struct ruleset attributes = {
		.files = known_in(abi),
		.net = abi >= 4 ? TCP_IN_4 : 0,
		.scoped = abi >= 6 ? SCOPES_IN_6 : 0,
	};
	CAROM_CLEANUP(carom_closep)
	int fd = (int)syscall(LANDLOCK_CREATE, &attributes, sizeof(attributes), 0);
	int r;

	if (fd < 0)
		return -errno;
	r = add_rules(fd, order, known_in(abi));
	return r < 0 ? r : carom_take_fd(fd);
}

int carom_sandbox_landlock_restrict(int ruleset_fd)
{
	return syscall(LANDLOCK_RESTRICT, ruleset_fd, 0) < 0 ? -errno : 0;
}

/*
 * Memory usage
 *
 * Not from getrusage(2): its peak is carried over an exec, and so a small program that
 * a large one has started begins with the peak of that one.
 */
#include "core/memory_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fd.h"
#include "core/memory_usage_private.h"

int carom_memory_look_up(const char *text, const char *key, uint64_t *ret_bytes)
{
	const char *at = strstr(text, key);
	char *end;
	uint64_t kib;

	if (!at)
		return -EBADMSG;
	at += strlen(key);
	kib = strtoull(at, &end, 10);
	if (end == at)
		return -EBADMSG;
	*ret_bytes = kib * 1024;
	return 0;
}

static struct {
	const char *path;
	int fd;
} kept[] = { { "/proc/self/status", -1 }, { "/proc/self/smaps_rollup", -1 } };
#define KEPT_COUNT (sizeof(kept) / sizeof(kept[0]))

void carom_memory_usage_keep(void)
{
	for (size_t i = 0; i < KEPT_COUNT; i++)
		if (kept[i].fd < 0)
			kept[i].fd = open(kept[i].path, O_RDONLY | O_CLOEXEC);
}

/* The kernel makes the text anew for who reads from its beginning. */
static int open_source(int directory_fd, const char *path)
{
	for (size_t i = 0; i < KEPT_COUNT; i++)
		if (kept[i].fd >= 0 && strcmp(kept[i].path, path) == 0 &&
		    lseek(kept[i].fd, 0, SEEK_SET) == 0)
			return fcntl(kept[i].fd, F_DUPFD_CLOEXEC, 0);
	return openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
}

static int read_file(int directory_fd, const char *path, char *text, size_t size)
{
	CAROM_CLEANUP(carom_closep) int fd = open_source(directory_fd, path);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = carom_fd_read(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

static int read_usage(int directory_fd, const char *path, struct carom_memory_usage *ret_usage,
		      uint64_t *ret_swapped)
{
	struct carom_memory_usage usage;
	uint64_t swapped = 0;
	char text[8192];
	int r = read_file(directory_fd, path, text, sizeof(text));

	if (r == 0)
		r = carom_memory_look_up(text, "\nVmRSS:", &usage.current);
	if (r == 0)
		r = carom_memory_look_up(text, "\nVmHWM:", &usage.peak);
	if (r == 0)
		carom_memory_look_up(
			text, "\nVmSwap:", &swapped); /* a kernel without swap does not tell */
	if (r == 0) {
		*ret_usage = usage;
		*ret_swapped = swapped;
	}
	return r;
}

static int read_private(int directory_fd, const char *path, uint64_t *ret_bytes)
{
	static const char *const keys[] = { "\nPrivate_Clean:", "\nPrivate_Dirty:", "\nSwapPss:" };
	uint64_t sum = 0;
	char text[8192];
	int r = read_file(directory_fd, path, text, sizeof(text));

	for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(*keys); i++) {
		uint64_t bytes = 0;

		r = carom_memory_look_up(text, keys[i], &bytes);
		sum += bytes;
	}
	if (r == 0)
		*ret_bytes = sum;
	return r;
}

/* ---- the calling process ---- */

int carom_memory_usage(struct carom_memory_usage *ret_usage)
{
	uint64_t swapped;

	return read_usage(AT_FDCWD, "/proc/self/status", ret_usage, &swapped);
}

int carom_memory_private(uint64_t *ret_bytes)
{
	return read_private(AT_FDCWD, "/proc/self/smaps_rollup", ret_bytes);
}

int carom_memory_data(uint64_t *ret_bytes)
{
	char text[8192];
	int r = read_file(AT_FDCWD, "/proc/self/status", text, sizeof(text));

	return r < 0 ? r : carom_memory_look_up(text, "\nVmData:", ret_bytes);
}

/* ---- another one ---- */

int carom_memory_open(pid_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int carom_memory_usage_at(int proc_fd, struct carom_memory_usage *ret_usage, uint64_t *ret_swapped)
{
	return read_usage(proc_fd, "status", ret_usage, ret_swapped);
}

/* as much as it can be: some of it may still be shared since its birth */
static int read_anonymous(int proc_fd, uint64_t *ret_bytes)
{
	uint64_t anonymous = 0, swapped = 0;
	char text[8192];
	int r = read_file(proc_fd, "status", text, sizeof(text));

	if (r == 0)
		r = carom_memory_look_up(text, "\nRssAnon:", &anonymous);
	if (r < 0)
		return r;
	carom_memory_look_up(text, "\nVmSwap:", &swapped);
	*ret_bytes = anonymous + swapped;
	return 0;
}

int carom_memory_private_at(int proc_fd, uint64_t *ret_bytes)
{
	int r = read_private(proc_fd, "smaps_rollup", ret_bytes);

	return r == -EACCES ? read_anonymous(proc_fd, ret_bytes) : r;
}

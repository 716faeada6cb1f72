/*
 * Memory usage
 *
 * Not from getrusage(2): its peak is carried over an exec, and so a small program that
 * a large one has started begins with the peak of that one.
 */
#include "core/memory_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/fd.h"

/* The value of "@key: 123 kB", in bytes. */
static int look_up(const char *text, const char *key, uint64_t *ret_bytes)
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

static int read_file(const char *path, char *text, size_t size)
{
	CAROM_CLEANUP(carom_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = carom_fd_read(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

int carom_memory_usage(struct carom_memory_usage *ret_usage)
{
	struct carom_memory_usage usage;
	char text[8192];
	int r = read_file("/proc/self/status", text, sizeof(text));

	if (r == 0)
		r = look_up(text, "\nVmRSS:", &usage.current);
	if (r == 0)
		r = look_up(text, "\nVmHWM:", &usage.peak);
	if (r == 0)
		*ret_usage = usage;
	return r;
}

int carom_memory_private(uint64_t *ret_bytes)
{
	static const char *const keys[] = { "\nPrivate_Clean:", "\nPrivate_Dirty:", "\nSwapPss:" };
	uint64_t sum = 0;
	char text[8192];
	int r = read_file("/proc/self/smaps_rollup", text, sizeof(text));

	for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(*keys); i++) {
		uint64_t bytes = 0;

		r = look_up(text, keys[i], &bytes);
		sum += bytes;
	}
	if (r == 0)
		*ret_bytes = sum;
	return r;
}

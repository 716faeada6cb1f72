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

int carom_memory_usage(struct carom_memory_usage *ret_usage)
{
	CAROM_CLEANUP(carom_closep) int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct carom_memory_usage usage;
	char text[8192];
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = carom_fd_read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	r = look_up(text, "\nVmRSS:", &usage.current);
	if (r == 0)
		r = look_up(text, "\nVmHWM:", &usage.peak);
	if (r == 0)
		*ret_usage = usage;
	return r;
}

/*
 * Small file
 */
#include "core/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/cleanup.h"

ssize_t carom_small_file_read(int directory_fd, const char *path, char *text, size_t size)
{
	CAROM_CLEANUP(carom_closep) int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return n;
}

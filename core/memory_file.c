/*
 * Memory file
 */
#include "core/memory_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/probe.h"

#define NAME_MAX_BYTES 249

static int new_file(const char *name, unsigned int flags)
{
	unsigned int noexec = carom_probe(CAROM_FEATURE_MEMFD_NOEXEC) ? CAROM_MFD_NOEXEC_SEAL : 0;
	char cut[NAME_MAX_BYTES + 1];
	int fd;

	snprintf(cut, sizeof(cut), "%s", name);
	fd = memfd_create(cut, MFD_CLOEXEC | MFD_ALLOW_SEALING | noexec | flags);
	return fd < 0 ? -errno : fd;
}

int carom_memory_file_new(const char *name)
{
	return new_file(name, 0);
}

int carom_memory_file_new_huge(const char *name)
{
	return new_file(name, MFD_HUGETLB);
}

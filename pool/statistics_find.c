/*
 * Finding pools that count
 *
 * A pool leaves no name anywhere, but its program has a descriptor of the memory that it
 * counts in, which the kernel shows in /proc/PID/fd to whoever may look: "memfd:carom-pool".
 * Others have that descriptor for moments: the fork server, while it makes a worker, and the
 * worker, until it has mapped it. So what counts is the pid in the memory itself, which is
 * the program's own idea of it: the last one in the line NSpid of /proc/PID/status.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup_private.h"
#include "pool/statistics.h"
#include "pool/tally.h"

/* Return: the number that is its whole name, or -1. */
static int64_t number_of(const struct dirent *entry)
{
	char *end;
	long long number = strtoll(entry->d_name, &end, 10);

	return *end || end == entry->d_name || number < 0 ? -1 : number;
}

/* Return: what a process takes for its own pid, or 0. */
static uint64_t own_pid(int64_t pid)
{
	char path[64], line[512];
	uint64_t own = 0;
	CAROM_CLEANUP(carom_fclosep) FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%lld/status", (long long)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!own && fgets(line, sizeof(line), file)) {
		const char *last = strncmp(line, "NSpid:", 6) == 0 ? strrchr(line, '\t') : NULL;

		if (last)
			own = strtoull(last + 1, NULL, 10);
	}
	return own;
}

static bool is_named_so(int64_t pid, int64_t fd)
{
	static const char wanted[] = "/memfd:" CAROM_TALLY_NAME " ";
	char path[64], target[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%lld/fd/%lld", (long long)pid, (long long)fd);
	length = readlink(path, target, sizeof(target));
	return length >= (ssize_t)(sizeof(wanted) - 1) &&
	       memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

static bool is_owner(int64_t pid, int64_t fd)
{
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
	struct carom_pool_statistics now;

	if (!is_named_so(pid, fd) || carom_statistics_open(pid, fd, &reader) < 0)
		return false;
	carom_statistics_pool(reader, &now);
	return now.pid > 0 && (uint64_t)now.pid == own_pid(pid);
}

struct found {
	struct carom_statistics_place *places;
	size_t room;
	int count;
};

static int open_directory(const char *path, DIR **ret_directory)
{
	*ret_directory = opendir(path);
	return *ret_directory ? 0 : -errno;
}

static int look_into(int64_t pid, struct found *found)
{
	CAROM_CLEANUP(carom_closedirp) DIR *directory = NULL;
	struct dirent *entry;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%lld/fd", (long long)pid);
	r = open_directory(path, &directory);
	while (r == 0 && (entry = readdir(directory))) {
		int64_t fd = number_of(entry);

		if (fd < 0 || !is_owner(pid, fd))
			continue;
		if ((size_t)found->count < found->room)
			found->places[found->count] = (struct carom_statistics_place){ pid, fd };
		found->count++;
	}
	return r;
}

int carom_statistics_find(int64_t pid, struct carom_statistics_place *ret_places, size_t count)
{
	CAROM_CLEANUP(carom_closedirp) DIR *directory = NULL;
	struct found found = { .places = ret_places, .room = count };
	struct dirent *entry;
	int r;

	if (pid) {
		r = look_into(pid, &found);
		return r == -ENOENT ? -ESRCH : r < 0 ? r : found.count;
	}
	r = open_directory("/proc", &directory);
	if (r < 0)
		return r;
	while ((entry = readdir(directory))) {
		int64_t one = number_of(entry);

		if (one > 0)
			look_into(one, &found); /* or not: it is another's, or gone */
	}
	return found.count;
}

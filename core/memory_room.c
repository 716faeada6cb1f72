/*
 * Memory room
 *
 * The kernel has no call that takes memory or fails: what a limit of a group stands in the
 * way of ends with a process killed, also from within fallocate(2). So it is asked before.
 *
 * Of a group: up to its limit, what it has in files (but not in shared memory) and in slab
 * caches, and the swap that it may take. The least of all groups from the own one to the
 * top counts, and the machine.
 */
#include "core/memory_room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/cgroup_file.h"
#include "core/cleanup.h"
#include "core/memory_usage_private.h"
#include "core/small_file.h"

/**
 * struct room - the least so far
 * @bytes: UINT64_MAX: nothing is known
 * @swap:  of the machine, free
 */
struct room {
	uint64_t bytes;
	uint64_t swap;
};

/**
 * struct files - what a kind of group calls what it says
 * @swap_max, @swap_current: NULL: it is not told apart
 */
struct files {
	const char *max, *current, *file, *shmem, *slab, *swap_max, *swap_current;
};

static const struct files v2 = {
	"memory.max",      "memory.current",     "file", "shmem", "slab_reclaimable",
	"memory.swap.max", "memory.swap.current"
};
static const struct files v1 = { "memory.limit_in_bytes",
				 "memory.usage_in_bytes",
				 "total_cache",
				 "total_shmem",
				 "",
				 NULL,
				 NULL };

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t number_of(int fd, const char *file, uint64_t otherwise)
{
	uint64_t number;

	return file && carom_cgroup_file_number(fd, file, &number) == 0 ? number : otherwise;
}

static uint64_t field_of(const char *text, const char *key)
{
	uint64_t number;

	return *key && carom_cgroup_text_field(text, key, &number) == 0 ? number : 0;
}

/* What the group could give back by itself. */
static uint64_t winnable(int fd, const struct files *files)
{
	char text[8192];

	if (carom_cgroup_file_read(fd, "memory.stat", text, sizeof(text)) < 0)
		return 0;
	return sum(difference(field_of(text, files->file), field_of(text, files->shmem)),
		   field_of(text, files->slab));
}

static void take_group(int fd, const struct files *files, struct room *room)
{
	uint64_t max = number_of(fd, files->max, UINT64_MAX), swap, bytes;

	if (max == UINT64_MAX)
		return;
	swap = difference(number_of(fd, files->swap_max, UINT64_MAX),
			  number_of(fd, files->swap_current, 0));
	swap = swap < room->swap ? swap : room->swap;
	bytes = sum(difference(max, number_of(fd, files->current, 0)),
		    sum(winnable(fd, files), swap));
	if (bytes < room->bytes)
		room->bytes = bytes;
}

/* The own group, and all around it that can be seen. */
static int take_place(const struct carom_cgroup_place *place, void *userdata)
{
	do {
		CAROM_CLEANUP(carom_closep)
		int fd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			take_group(fd, place->is_v2 ? &v2 : &v1, userdata);
	} while (carom_cgroup_ascend(place));
	return 0;
}

static void take_machine(const char *root, struct room *room)
{
	char path[PATH_MAX], text[4096];
	uint64_t available;

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (carom_small_file_read(AT_FDCWD, path, text, sizeof(text)) < 0)
		return;
	carom_memory_look_up(text, "\nSwapFree:", &room->swap);
	if (carom_memory_look_up(text, "\nMemAvailable:", &available) == 0)
		room->bytes = sum(available, room->swap);
}

uint64_t carom_memory_room(const char *root)
{
	struct room room = { .bytes = UINT64_MAX };

	take_machine(root, &room);
	carom_cgroup_places(root, "memory", take_place, &room);
	return room.bytes;
}

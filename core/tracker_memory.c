/*
 * Tracker: giving back what was the program's
 *
 * A clone shares every page of the program until one of the two writes to it, and then
 * the program pays for both: a tracker that lives as long as a service of some GiB
 * would cost it that memory once more. It would also keep alive the shared memory,
 * the rings and the files that the program has mapped and given up. So the tracker
 * unmaps, after what /proc/self/maps says:
 *
 *	everything shared
 *	everything anonymous: the heap, the arenas of malloc, the stacks of threads
 *
 * and leaves alone what it stands on itself:
 *
 *	a stretch of its stack and of its thread's storage, and its table; not the whole
 *	mappings, which the kernel merges with their neighbours
 *	code, wherever it lies
 *	the anonymous mapping behind a file's: the zero-filled variables of a program or
 *	library
 *
 * The dynamic linker's own records are among what goes. So it must have nothing left to
 * do: that is so if this code was linked with `-z now`, as libcarom is; in a program
 * that links it statically and lazily, everything is kept.
 */
#include "core/tracker_private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_HEAD_SIZE 160 /* of a line, up to where its name begins and a little more */
#define STRETCH        ((uintptr_t)64 * 1024) /* a multiple of every page size */
#define KEPT_COUNT     4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW 1 /* anonymous memory that every instruction uses */
#else
#define HAS_SHADOW 0
#endif

/* Of the program or library that this is linked into; not there if it is a static one. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

/* Is every function that is called from here bound to its address already? */
static bool is_bound(void)
{
	const ElfW(Dyn) *entry = _DYNAMIC;

	if (!entry)
		return true;
	for (; entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_BIND_NOW ||
		    (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_BIND_NOW)) ||
		    (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NOW)))
			return true;
	return false;
}

/**
 * struct mapping - one line of /proc/self/maps
 * @name: what stands at its end, or the beginning of that; "" if nothing does
 */
struct mapping {
	uintptr_t start;
	uintptr_t end;
	bool is_shared;
	bool is_code;
	const char *name;
};

struct range {
	uintptr_t start;
	uintptr_t end;
};

/**
 * struct survey - what is known while the lines are read
 * @kept:     what stays, in ascending order; ranges may overlap
 * @file_end: where the last mapping of a file ended
 */
struct survey {
	struct range kept[KEPT_COUNT];
	uintptr_t file_end;
};

static const char *read_hex(const char *text, uintptr_t *ret_value)
{
	uintptr_t value = 0;

	for (;; text++) {
		if (*text >= '0' && *text <= '9')
			value = value << 4 | (uintptr_t)(*text - '0');
		else if (*text >= 'a' && *text <= 'f')
			value = value << 4 | (uintptr_t)(*text - 'a' + 10);
		else
			break;
	}
	*ret_value = value;
	return text;
}

/* What follows @count fields and the blanks behind them. */
static const char *skip_fields(const char *text, int count)
{
	for (; count > 0; count--) {
		while (*text && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return text;
}

/* START-END rwxp OFFSET DEVICE INODE NAME */
static bool read_mapping(const char *line, struct mapping *mapping)
{
	line = read_hex(line, &mapping->start);
	if (*line != '-')
		return false;
	line = read_hex(line + 1, &mapping->end);
	if (*line != ' ' || strlen(line) < strlen(" rwxp "))
		return false;
	mapping->is_code = line[3] == 'x';
	mapping->is_shared = line[4] == 's';
	mapping->name = skip_fields(line + 1, 4);
	return mapping->start < mapping->end;
}

static bool is_anonymous(const struct mapping *mapping)
{
	return !*mapping->name || strcmp(mapping->name, "[heap]") == 0 ||
	       strncmp(mapping->name, "[anon", strlen("[anon")) == 0;
}

static bool is_droppable(const struct survey *survey, const struct mapping *mapping)
{
	if (mapping->is_code || mapping->start == survey->file_end)
		return false;
	return mapping->is_shared || is_anonymous(mapping);
}

static void unmap(uintptr_t start, uintptr_t end)
{
	if (start < end)
		munmap((void *)start, end - start);
}

static void drop(const struct survey *survey, uintptr_t start, uintptr_t end)
{
	for (int i = 0; i < KEPT_COUNT; i++) {
		const struct range *kept = &survey->kept[i];

		unmap(start, kept->start < end ? kept->start : end);
		if (start < kept->end)
			start = kept->end;
	}
	unmap(start, end);
}

static void look_at(struct survey *survey, const char *line)
{
	struct mapping mapping;

	if (!read_mapping(line, &mapping))
		return;
	if (is_droppable(survey, &mapping))
		drop(survey, mapping.start, mapping.end);
	if (!mapping.is_shared && *mapping.name == '/')
		survey->file_end = mapping.end;
}

/* The beginning of each line is enough; the kernel goes on by address, whatever is unmapped. */
static void look_at_all(struct survey *survey, int maps_fd)
{
	char buffer[4096];
	char line[LINE_HEAD_SIZE + 1];
	size_t size = 0;
	ssize_t n;

	while ((n = read(maps_fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] != '\n') {
				if (size < LINE_HEAD_SIZE)
					line[size++] = buffer[i];
				continue;
			}
			line[size] = '\0';
			size = 0;
			look_at(survey, line);
		}
	}
}

/* A range around [@bytes, @bytes + @size), among the others by its start. */
static void keep(struct survey *survey, int count, const void *bytes, size_t size)
{
	struct range range = {
		.start = ((uintptr_t)bytes - STRETCH) & ~(STRETCH - 1),
		.end = ((uintptr_t)bytes + size + 2 * STRETCH) & ~(STRETCH - 1),
	};

	for (; count > 0 && survey->kept[count - 1].start > range.start; count--)
		survey->kept[count] = survey->kept[count - 1];
	survey->kept[count] = range;
}

void carom_tracker_drop_memory(const void *table, size_t size)
{
	struct survey survey = { 0 };
	int maps_fd;

	if (HAS_SHADOW || !is_bound())
		return;
	keep(&survey, 0, __builtin_frame_address(0), 0);
	keep(&survey, 1, __builtin_thread_pointer(), 0);
	keep(&survey, 2, &errno, sizeof(errno));
	keep(&survey, 3, table, size);
	maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps_fd < 0)
		return;
	look_at_all(&survey, maps_fd);
	close(maps_fd);
}

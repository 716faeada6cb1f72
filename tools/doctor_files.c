/*
 * Files
 *
 * What stands in them comes from outside: it is cut, made printable and never trusted
 * to be what it should.
 */
#include "tools/doctor_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/cleanup.h"

static int open_below(const char *root, const char *path)
{
	char full[PATH_MAX];

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return -1;
	/* a FIFO in a place where a file should be holds nobody up */
	return open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static void make_printable(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n')
			text[i] = text[i] == '\t' ? ' ' : '?';
}

bool carom_doctor_read(const char *root, const char *path, char *text, size_t size)
{
	CAROM_CLEANUP(carom_closep) int fd = open_below(root, path);
	size_t length = 0;
	ssize_t n = 0;

	while (fd >= 0 && length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	while (length && text[length - 1] == '\n')
		length--;
	make_printable(text, length);
	text[length] = '\0';
	return length > 0;
}

bool carom_doctor_read_number(const char *root, const char *path, uint64_t *ret_number)
{
	char text[32], *end;
	uint64_t number;

	if (!carom_doctor_read(root, path, text, sizeof(text)) || *text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	*ret_number = number;
	return true;
}

bool carom_doctor_exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	return snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full) &&
	       access(full, F_OK) == 0;
}

bool carom_doctor_mentions(const char *root, const char *path, const char *word)
{
	int fd = open_below(root, path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!file)
		carom_closep(&fd);
	while (file && !found && getline(&line, &size, file) > 0)
		found = strstr(line, word);
	if (file)
		fclose(file);
	free(line);
	return found;
}

struct search {
	const char *v2_file, *v1_file;
	uint64_t tightest;
};

static int take_place(const struct carom_cgroup_place *place, void *userdata)
{
	struct search *search = userdata;
	const char *file = place->is_v2 ? search->v2_file : search->v1_file;
	uint64_t number;

	do {
		if (carom_doctor_read_number(place->path, file, &number) &&
		    number < search->tightest)
			search->tightest = number;
	} while (carom_cgroup_ascend(place));
	return 0;
}

uint64_t carom_doctor_tightest(const char *root, const char *controller, const char *v2_file,
			       const char *v1_file)
{
	struct search search = { v2_file, v1_file, UINT64_MAX };

	carom_cgroup_places(root, controller, take_place, &search);
	return search.tightest;
}

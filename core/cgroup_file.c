/*
 * Cgroup: the files of a group
 *
 * A group may be removed while its files are read: open(2) says ENOENT then, and a
 * descriptor that was open before ENODEV. Both go to the caller as they are.
 */
#include "core/cgroup_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/cleanup_private.h"

#define TEXT_MAX    1024 /* of cgroup.events */
#define MEMBERS_MAX 4096 /* bytes of cgroup.procs at once */

struct carom_cgroup_id carom_cgroup_file_id(int dir_fd)
{
	struct stat status = { 0 };

	fstat(dir_fd, &status);
	return (struct carom_cgroup_id){ status.st_dev, status.st_ino };
}

bool carom_cgroup_file_has(int dir_fd, struct carom_cgroup_id id)
{
	struct carom_cgroup_id now = carom_cgroup_file_id(dir_fd);

	return now.device == id.device && now.inode == id.inode;
}

/* One that is removed has its inode still, but no files. */
bool carom_cgroup_file_is(int dir_fd, struct carom_cgroup_id id)
{
	return carom_cgroup_file_has(dir_fd, id) && faccessat(dir_fd, "cgroup.procs", F_OK, 0) == 0;
}

int carom_cgroup_file_open(int from_fd, const char *path, struct carom_cgroup_id id, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(from_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!carom_cgroup_file_is(fd, id))
		return -ENOENT;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

static int open_file(int dir_fd, const char *file, int flags)
{
	int fd = openat(dir_fd, file, flags | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* Return: how many bytes, 0 at the end, errno. */
static ssize_t read_some(int fd, char *text, size_t size)
{
	ssize_t n;

	do
		n = read(fd, text, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int carom_cgroup_file_read(int dir_fd, const char *file, char *text, size_t size)
{
	CAROM_CLEANUP(carom_closep) int fd = open_file(dir_fd, file, O_RDONLY);
	size_t length = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	while ((n = read_some(fd, text + length, size - length)) > 0) {
		length += (size_t)n;
		if (length == size)
			return -EMSGSIZE;
	}
	if (n < 0)
		return (int)n;
	text[length] = '\0';
	return 0;
}

int carom_cgroup_file_read_anew(int fd, char *text, size_t size)
{
	ssize_t n;

	do
		n = pread(fd, text, size - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

int carom_cgroup_file_write(int dir_fd, const char *file, const char *text)
{
	CAROM_CLEANUP(carom_closep) int fd = open_file(dir_fd, file, O_WRONLY);
	size_t length = strlen(text);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = write(fd, text, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

int carom_cgroup_file_write_number(int dir_fd, const char *file, uint64_t number)
{
	char text[32] = "max";

	if (number != UINT64_MAX)
		snprintf(text, sizeof(text), "%" PRIu64, number);
	return carom_cgroup_file_write(dir_fd, file, text);
}

int carom_cgroup_file_number(int dir_fd, const char *file, uint64_t *ret_number)
{
	char text[64];
	int r = carom_cgroup_file_read(dir_fd, file, text, sizeof(text));
	const char *end;
	uint64_t number;

	if (r == 0)
		r = carom_cgroup_text_number(text, &end, &number);
	if (r < 0)
		return r == -EMSGSIZE ? -EBADMSG : r;
	if (*end && strcmp(end, "\n") != 0)
		return -EBADMSG;
	*ret_number = number;
	return 0;
}

/* --- texts ------------------------------------------------------------- */

static bool is_end(char c)
{
	return c == '\0' || c == '\n' || c == ' ';
}

/* Digits and nothing else: strtoull(3) takes signs and blanks as well. */
static int take_digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = *text;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return -EBADMSG;
		number = number * 10 + digit;
	}
	if (at == *text)
		return -EBADMSG;
	*text = at;
	*ret_number = number;
	return 0;
}

int carom_cgroup_text_number(const char *text, const char **ret_end, uint64_t *ret_number)
{
	uint64_t number = UINT64_MAX;
	int r = 0;

	if (strncmp(text, "max", 3) == 0)
		text += 3;
	else
		r = take_digits(&text, &number);
	if (r < 0 || !is_end(*text))
		return -EBADMSG;
	if (ret_end)
		*ret_end = text;
	*ret_number = number;
	return 0;
}

int carom_cgroup_text_field(const char *text, const char *key, uint64_t *ret_number)
{
	size_t length = strlen(key);

	while (*text) {
		if (strncmp(text, key, length) == 0 && text[length] == ' ')
			return carom_cgroup_text_number(text + length + 1, NULL, ret_number);
		text = strchrnul(text, '\n');
		text += *text == '\n';
	}
	return -ENOENT;
}

bool carom_cgroup_text_has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	while (*text) {
		size_t here = strcspn(text, " \n");

		if (here == length && strncmp(text, word, length) == 0)
			return true;
		text += here;
		text += *text != '\0';
	}
	return false;
}

/* --- members ----------------------------------------------------------- */

/* One line, of which the newline is cut off. */
static int visit_line(const char *line, carom_cgroup_member_fn *visit, void *userdata)
{
	const char *end;
	uint64_t pid;

	if (carom_cgroup_text_number(line, &end, &pid) < 0 || *end || pid > INT32_MAX)
		return -EBADMSG;
	return visit((pid_t)pid, userdata);
}

/* The whole lines in @text; what is left of the last one moves to the front. */
static int visit_lines(char *text, size_t *length, carom_cgroup_member_fn *visit, void *userdata)
{
	char *line = text;
	char *newline;
	int r = 0;

	while (r == 0 && (newline = memchr(line, '\n', *length - (size_t)(line - text)))) {
		*newline = '\0';
		r = visit_line(line, visit, userdata);
		line = newline + 1;
	}
	*length -= (size_t)(line - text);
	memmove(text, line, *length);
	return r;
}

int carom_cgroup_file_members(int dir_fd, carom_cgroup_member_fn *visit, void *userdata)
{
	CAROM_CLEANUP(carom_closep) int fd = open_file(dir_fd, "cgroup.procs", O_RDONLY);
	char text[MEMBERS_MAX];
	size_t length = 0;
	int r = 0;

	if (fd < 0)
		return fd;
	while (r == 0) {
		ssize_t n = read_some(fd, text + length, sizeof(text) - length);

		if (n <= 0)
			return n < 0 ? (int)n : length ? -EBADMSG : 0;
		length += (size_t)n;
		r = visit_lines(text, &length, visit, userdata);
		if (r == 0 && length == sizeof(text))
			r = -EBADMSG;
	}
	return r;
}

/* --- groups ------------------------------------------------------------ */

/* Groups are the directories in it; all else are their files. */
static int visit_groups(DIR *directory, carom_cgroup_group_fn *visit, void *userdata)
{
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = visit(dirfd(directory), entry->d_name, userdata);
	return r;
}

int carom_cgroup_file_groups(int dir_fd, carom_cgroup_group_fn *visit, void *userdata)
{
	CAROM_CLEANUP(carom_closep) int fd = open_file(dir_fd, ".", O_RDONLY | O_DIRECTORY);
	CAROM_CLEANUP(carom_closedirp) DIR *directory = NULL;

	if (fd < 0)
		return fd;
	directory = fdopendir(fd);
	if (!directory)
		return -errno;
	(void)carom_take_fd(fd);
	return visit_groups(directory, visit, userdata);
}

/* --- whether there are any --------------------------------------------- */

int carom_cgroup_events_populated(int events_fd)
{
	char text[TEXT_MAX];
	uint64_t populated;
	int r = carom_cgroup_file_read_anew(events_fd, text, sizeof(text));

	if (r < 0)
		return r;
	if (carom_cgroup_text_field(text, "populated", &populated) < 0)
		return -EBADMSG;
	return populated != 0;
}

int carom_cgroup_file_is_populated(int dir_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = open_file(dir_fd, "cgroup.events", O_RDONLY);

	return fd < 0 ? fd : carom_cgroup_events_populated(fd);
}

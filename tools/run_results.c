/*
 * Results
 *
 * They are written when the job has ended, not by the job: so a disk that is full
 * is noticed by somebody who can say so, and a job in the log has whole files. As
 * with the log it is waited for.
 *
 * The path is walked one name at a time: altogether it may be longer than what
 * the kernel takes at once.
 *
 *   I1  Below the directory no link is followed and no file that is there is opened:
 *       it may be one in which sandboxed jobs write, and what they put in the way
 *       (a link that leads out, a FIFO that nobody reads) must not have any effect
 *       outside. A job that does so while its result is written makes that fail.
 */
#include "tools/run_results.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "core/utf8.h"

/* --- names ------------------------------------------------------------- */

struct name {
	char text[NAME_MAX + 1];
	size_t length;
};

static const char *special_name(const char *value)
{
	if (!*value)
		return "\\e";
	if (strcmp(value, ".") == 0)
		return "\\.";
	return strcmp(value, "..") == 0 ? "\\.." : NULL;
}

static const char *escaped(char c)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '\t':
		return "\\t";
	case '/':
		return "\\_";
	default:
		return NULL;
	}
}

/* Returns false if it is too long: then it is cut between two characters. */
static bool put_value(struct name *name, const char *value, size_t limit)
{
	for (name->length = 0; *value; value++) {
		const char *text = escaped(*value);
		size_t length = text ? 2 : 1;

		if (name->length + length > limit)
			break;
		memcpy(name->text + name->length, text ? text : value, length);
		name->length += length;
	}
	for (const char *cut = value; carom_utf8_continues(*cut) && name->length > 0; cut--)
		name->length--;
	name->text[name->length] = '\0';
	return !*value;
}

static void make_name(struct name *name, const char *value, uint64_t number)
{
	const char *special = special_name(value);
	char end[32];
	size_t length = (size_t)sprintf(end, "\\#%llu", (unsigned long long)number);

	if (special)
		strcpy(name->text, special);
	else if (!put_value(name, value, NAME_MAX)) {
		put_value(name, value, NAME_MAX - length);
		strcpy(name->text + name->length, end);
	}
}

/* --- directories ------------------------------------------------------- */

static int enter(int *fd, const char *name)
{
	int next;

	if (mkdirat(*fd, name, 0777) < 0 && errno != EEXIST)
		return -errno;
	next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); /* I1 */
	if (next < 0)
		return -errno;
	carom_closep(fd);
	*fd = next;
	return 0;
}

static int enter_value(int *fd, unsigned int source, const char *value, uint64_t number)
{
	char digits[16];
	struct name name;
	int r;

	sprintf(digits, "%u", source);
	make_name(&name, value, number);
	r = enter(fd, digits);
	return r < 0 ? r : enter(fd, name.text);
}

static int enter_job(int *fd, const struct carom_run_item *item, uint64_t number)
{
	const char *value = item->text, *end = item->text + item->length;
	unsigned int source = 1;
	int r = 0;

	for (; r == 0 && value <= end; value += strlen(value) + 1)
		r = enter_value(fd, source++, value, number);
	return r;
}

/* The directory and those above it, as far as they are not there. */
static int make_path(const char *path)
{
	char part[PATH_MAX];

	if (strlen(path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		(void)mkdir(part, 0777); /* the last one tells what is wrong */
	}
	return mkdir(path, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

int carom_run_results_open(const char *path)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	CAROM_CLEANUP(carom_closep) int first = -1;
	int r = *path ? make_path(path) : -ENOENT;

	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	first = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (first < 0)
		return -errno;
	r = enter(&first, "1"); /* every job is below that */
	if (r == 0 && faccessat(first, ".", W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	return r < 0 ? r : carom_take_fd(fd);
}

/* --- files ------------------------------------------------------------- */

/* What is there now: a process that the job left behind may write on and on. */
static int copy(int to, int from)
{
	off_t offset = 0;
	struct stat file;
	ssize_t n;

	if (fstat(from, &file) < 0)
		return -errno;
	do {
		off_t left = file.st_size - offset;

		n = sendfile(to, from, &offset,
			     left < (off_t)CAROM_MIB(1) ? (size_t)left : CAROM_MIB(1));
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int write_text(int to, const char *text)
{
	size_t length = strlen(text);
	ssize_t n = write(to, text, length);

	if (n < 0)
		return -errno;
	return (size_t)n < length ? -ENOSPC : 0;
}

static int remove_file(int directory, const char *name)
{
	return unlinkat(directory, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* I1: a new one. */
static int make_file(int directory, const char *name)
{
	int r = remove_file(directory, name), fd;

	if (r < 0)
		return r;
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : fd;
}

/* Some file systems say only at the end that there is no room. */
static int write_file(int directory, const char *name, int from, const char *text)
{
	int to = make_file(directory, name), r = 0;

	if (to < 0)
		return to;
	if (from >= 0)
		r = copy(to, from);
	if (r == 0 && text)
		r = write_text(to, text);
	if (close(to) < 0 && r == 0)
		r = -errno;
	return r;
}

int carom_run_results_write(int fd, const struct carom_run_item *item, uint64_t number,
			    const struct carom_run_spool *spool)
{
	CAROM_CLEANUP(carom_closep) int directory = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	char seq[32];
	int r;

	if (directory < 0)
		return -errno;
	r = enter_job(&directory, item, number);
	if (r == 0)
		r = remove_file(directory, "seq");
	if (r == 0)
		r = write_file(directory, "stdout", spool->fds[0], NULL);
	if (r == 0)
		r = write_file(directory, "stderr", spool->fds[1], NULL);
	sprintf(seq, "%llu\n", (unsigned long long)number);
	return r < 0 ? r : write_file(directory, "seq", -1, seq);
}

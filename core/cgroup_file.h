/*
 * Cgroup: the files of a group
 *
 * Small texts, read and written whole, found through the group's directory and never by
 * a path: what stands there is this group or nothing.
 */
#ifndef CAROM_CORE_CGROUP_FILE_H
#define CAROM_CORE_CGROUP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** struct carom_cgroup_id - by which a directory is known to be what it was */
struct carom_cgroup_id {
	dev_t device;
	ino_t inode;
};

/** carom_cgroup_file_id() - of a group's directory; all 0: there is none */
struct carom_cgroup_id carom_cgroup_file_id(int dir_fd);

/** carom_cgroup_file_has() - is it that one, removed or not? */
bool carom_cgroup_file_has(int dir_fd, struct carom_cgroup_id id);

/** carom_cgroup_file_is() - is it that one, and not removed? */
bool carom_cgroup_file_is(int dir_fd, struct carom_cgroup_id id);

/** carom_cgroup_file_open() - that one, if it is there. Return: 0, -ENOENT (another one is), errno. */
int carom_cgroup_file_open(int from_fd, const char *path, struct carom_cgroup_id id, int *ret_fd);

/** carom_cgroup_file_read() - up to @size bytes with the NUL. 0, -EMSGSIZE, errno. AS-Safe. */
int carom_cgroup_file_read(int dir_fd, const char *file, char *text, size_t size);

/** carom_cgroup_file_read_anew() - one that is open, from its beginning. 0, errno. AS-Safe. */
int carom_cgroup_file_read_anew(int fd, char *text, size_t size);

/** carom_cgroup_file_write() - in one write(2). 0, errno. AS-Safe. */
int carom_cgroup_file_write(int dir_fd, const char *file, const char *text);

/** carom_cgroup_file_write_number() - UINT64_MAX as "max" */
int carom_cgroup_file_write_number(int dir_fd, const char *file, uint64_t number);

/** carom_cgroup_file_number() - a file that is one number; "max" is UINT64_MAX. -EBADMSG, errno */
int carom_cgroup_file_number(int dir_fd, const char *file, uint64_t *ret_number);

/**
 * carom_cgroup_text_number() - the number that @text begins with, and nothing but a blank,
 * a newline or the end behind it
 * @ret_end: behind the number; NULL
 * Return: 0, -EBADMSG (none, or too large).
 */
int carom_cgroup_text_number(const char *text, const char **ret_end, uint64_t *ret_number);

/** carom_cgroup_text_field() - of lines "KEY NUMBER" the one of @key. 0, -ENOENT, -EBADMSG. */
int carom_cgroup_text_field(const char *text, const char *key, uint64_t *ret_number);

/** carom_cgroup_text_has_word() - in a list divided by blanks */
bool carom_cgroup_text_has_word(const char *text, const char *word);

/**
 * typedef carom_cgroup_member_fn - takes a process of a group
 * @pid: 0: one that this process's pid namespace does not show
 * Return: 0, or what ends the search.
 */
typedef int carom_cgroup_member_fn(pid_t pid, void *userdata);

/** carom_cgroup_file_members() - each process in cgroup.procs. 0, what @visit said, -EBADMSG, errno. */
int carom_cgroup_file_members(int dir_fd, carom_cgroup_member_fn *visit, void *userdata);

/**
 * typedef carom_cgroup_group_fn - takes a group that stands in another
 * @parent_fd, @name: where it is; it may be gone by now, and may be removed
 * Return: 0, or what ends the search.
 */
typedef int carom_cgroup_group_fn(int parent_fd, const char *name, void *userdata);

/** carom_cgroup_file_groups() - each group that stands in this one. 0, what @visit said, errno. */
int carom_cgroup_file_groups(int dir_fd, carom_cgroup_group_fn *visit, void *userdata);

/** carom_cgroup_file_is_populated() - cgroup.events; 1, 0, -EBADMSG, errno */
int carom_cgroup_file_is_populated(int dir_fd);

/** carom_cgroup_events_populated() - the same of cgroup.events that is open, from its beginning */
int carom_cgroup_events_populated(int events_fd);

#endif

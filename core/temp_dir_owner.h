/*
 * Directory for temporary files: whose it is
 *
 * A file in the directory that its maker holds locked for as long as it lives, however
 * it ends.
 */
#ifndef CAROM_CORE_TEMP_DIR_OWNER_H
#define CAROM_CORE_TEMP_DIR_OWNER_H

#include <stdbool.h>

/**
 * carom_temp_dir_own() - mark a directory that was just made as this process's
 * @ret_fd: keep it open for as long as the directory is in use; CLOEXEC
 *
 * Return: 0; -EAGAIN: somebody takes it for a dead one's and removes it, make another;
 * or what open(2), flock(2) and write(2) say.
 */
int carom_temp_dir_own(const char *directory, int *ret_fd);

/** carom_temp_dir_is_owned() - is @fd still what carom_temp_dir_own() gave, and not closed since? */
bool carom_temp_dir_is_owned(const char *directory, int fd);

/**
 * carom_temp_dir_disown() - take over what a dead process has left
 * @directory_fd: the directory
 * @ret_fd:       to be closed once the directory is removed: until then nobody else has it
 *
 * Return: 0, -EBUSY (its owner lives, or somebody else removes it), -ENOENT (it has no
 * mark, so it is not the library's, or is just being made), or what openat(2) says.
 */
int carom_temp_dir_disown(int directory_fd, int *ret_fd);

#endif

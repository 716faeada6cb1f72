/*
 * Directory for temporary files: those of programs that were killed.
 */
#ifndef CAROM_CORE_TEMP_DIR_CLEAN_H
#define CAROM_CORE_TEMP_DIR_CLEAN_H

#include <stdbool.h>

/**
 * typedef carom_temp_dir_told_fn - takes one directory whose owner is dead
 * @error: 0: it is removed, or would be; else why it could not be
 */
typedef void carom_temp_dir_told_fn(const char *path, int error, void *userdata);

/**
 * carom_temp_dir_clean() - remove what killed programs of this user have left
 * @is_dry_run: tell, and remove nothing
 * @told:       called for each
 *
 * Looked for where carom_temp_dir() makes them. One whose owner lives, of another user,
 * or that was not made by the library, is not touched.
 *
 * Return: 0, or
 *	-EPERM  others than its owner may exchange what stands in that place
 *	and what realpath(3), opendir(3) say of it; -ENOMEM
 */
int carom_temp_dir_clean(bool is_dry_run, carom_temp_dir_told_fn *told, void *userdata);

#endif

/* Directory for temporary files: how it is passed on to a child, and how it ends. */
#ifndef CAROM_CORE_TEMP_DIR_PRIVATE_H
#define CAROM_CORE_TEMP_DIR_PRIVATE_H

#include "core/temp_dir.h"

#define CAROM_TEMP_DIR_PREFIX "carom-"

/** carom_temp_dir_made() - its path, or NULL: nobody has asked for one yet. MT-Safe. */
const char *carom_temp_dir_made(void);

/**
 * carom_temp_dir_inherit() - in a new child, before its threads: its parent's is its own
 * @path: copied; NULL if the parent had none
 *
 * This process does not remove it. A path that is too long is none.
 */
void carom_temp_dir_inherit(const char *path);

/**
 * carom_temp_dir_place() - where they are made
 * @ret_path: PATH_MAX bytes
 *
 * Return: 0, or what realpath(3) says of TMPDIR.
 */
int carom_temp_dir_place(char *ret_path);

/** carom_temp_dir_remove() - a directory with all in it, following no links. 0, or the first error. */
int carom_temp_dir_remove(const char *path);

#endif

/* Directory for temporary files: how it is passed on to a child. */
#ifndef CAROM_CORE_TEMP_DIR_PRIVATE_H
#define CAROM_CORE_TEMP_DIR_PRIVATE_H

#include "core/temp_dir.h"

/** carom_temp_dir_made() - its path, or NULL: nobody has asked for one yet. MT-Safe. */
const char *carom_temp_dir_made(void);

/**
 * carom_temp_dir_inherit() - in a new child, before its threads: its parent's is its own
 * @path: copied; NULL if the parent had none
 *
 * This process does not remove it. A path that is too long is none.
 */
void carom_temp_dir_inherit(const char *path);

#endif

/**
 * DOC: temp_dir
 *
 * One directory for the temporary files of a program and its children: sockets with a
 * path, for instance. It is made when somebody first asks for it, is nobody else's to
 * look into, and goes with all that is in it when the process that made it exits.
 */
#ifndef CAROM_CORE_TEMP_DIR_H
#define CAROM_CORE_TEMP_DIR_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_temp_dir() - the path of the directory, which is made at the first call
 * @ret_path: absolute; the library's, valid until this process exits
 *
 * It is called carom-XXXXXX, has the mode 0700, and stands in the directory that TMPDIR
 * in the environment names, else in /tmp. A child has that of its parent if there was
 * one when the child was started, and does not remove it. It is removed by a finalizer
 * of the priority CAROM_FINALIZER_TEMP_DIR; so it stays after _exit(2) or a signal.
 * `carom doctor --clean` removes it then; a file in it by which that knows, .owner, is kept
 * open and locked by the process that made the directory.
 *
 * Context: MT-Safe env, AS-Unsafe heap. Usable in a forked child.
 * Return: 0, -ENOMEM, -ENAMETOOLONG, or what realpath(3) and mkdir(2) say of TMPDIR:
 * -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOSPC, ...; -EMFILE, -ENFILE
 */
CAROM_API int carom_temp_dir(const char **ret_path);

CAROM_END_DECLS

#endif

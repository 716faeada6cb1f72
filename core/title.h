/**
 * DOC: title
 *
 * What ps(1) and top(1) call a process. Workers of one program look all the same
 * without it.
 */
#ifndef CAROM_CORE_TITLE_H
#define CAROM_CORE_TITLE_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_title_set() - call this process @title
 * @title: copied
 *
 * It stands in /proc/PID/cmdline instead of the command line, as far as there is room:
 * command line and environment together, some KiB in most cases. Its first 15 bytes
 * stand in /proc/PID/comm. The first call moves the strings of argv[] and the
 * environment elsewhere and corrects what points to them: argv[], environ,
 * program_invocation_name. Copies of these pointers that a program has made by then (of
 * getenv(), of an argv[i]) point to the title, so call it early or in a child.
 *
 * Context: MT-Unsafe env. Usable in a forked child, for which it has a title of its own.
 * Return: 0, -EINVAL (no @title), -ENOMEM.
 */
CAROM_API int carom_title_set(const char *title);

CAROM_END_DECLS

#endif

/**
 * DOC: exit
 *
 * How a process ended, as the kernel says it.
 */
#ifndef CAROM_CORE_EXIT_H
#define CAROM_CORE_EXIT_H

#include <stddef.h>
#include <sys/resource.h>

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_exit - how a process ended
 * @kind:    0 while it runs
 * @status:  exit status (EXITED) or signal number (KILLED, DUMPED); -1 if TAKEN
 * @usage:   resources used; zero where the kernel did not give it
 */
enum carom_exit_kind {
	CAROM_EXIT_RUNNING,
	CAROM_EXIT_EXITED,
	CAROM_EXIT_KILLED,
	CAROM_EXIT_DUMPED,
	CAROM_EXIT_TAKEN, /* somebody else in this program reaped it, and the status is lost */
};

struct carom_exit {
	enum carom_exit_kind kind;
	int status;
	struct rusage usage;
};

/**
 * carom_exit_text() - "exitcode 3", "signal 9 (SIGKILL)"; "exitcode None" while it runs
 * @ended: how it ended; "exitcode unknown" if that was taken
 * @text:  cut at @size bytes, always with a NUL; 32 are enough
 *
 * Context: MT-Safe.
 * Return: @text.
 */
CAROM_API char *carom_exit_text(const struct carom_exit *ended, char *text, size_t size);

CAROM_END_DECLS

#endif

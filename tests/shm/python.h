/* A real Python as the other side of what is interoperable with it. */
#ifndef CAROM_TESTS_SHM_PYTHON_H
#define CAROM_TESTS_SHM_PYTHON_H

#include <unistd.h>

#include "tests/shm/help.h"

#define PYTHON "/usr/bin/python3"

#define skip_without_python()                                 \
	do {                                                  \
		if (access(PYTHON, X_OK) < 0)                 \
			cr_skip_test(PYTHON " is not there"); \
	} while (0)

/* Return: its exit status, or minus the signal that ended it. */
static inline int python(const char *code)
{
	pid_t pid = child();

	if (pid == 0) {
		unsetenv("LD_PRELOAD");
		execl(PYTHON, PYTHON, "-c", code, (char *)NULL);
		_exit(127);
	}
	return ended(pid);
}

#endif

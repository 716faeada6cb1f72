/*
 * A real Python as the peer: /usr/bin/python3, which is Debian's, and those that
 * CAROM_PYTHONS names (with colons between), such as one of each version there is.
 */
#ifndef CAROM_TESTS_INTEROP_PYTHON_H
#define CAROM_TESTS_INTEROP_PYTHON_H

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <stdio.h>

#define PYTHON "/usr/bin/python3"

#define skip_without_python()                                 \
	do {                                                  \
		if (access(PYTHON, X_OK) < 0)                 \
			cr_skip_test(PYTHON " is not there"); \
	} while (0)

/* what every script begins with */
#define PRELUDE                                                                      \
	"import sys, os, socket\n"                                                   \
	"def address(text):\n"                                                       \
	"    if ':' in text: return (text.split(':')[0], int(text.split(':')[1]))\n" \
	"    return '\\0' + text[1:] if text.startswith('@') else text\n"            \
	"place, key = address(sys.argv[1]), sys.argv[2].encode() or None\n"          \
	"def echo(c):\n"                                                             \
	"    while True:\n"                                                          \
	"        try: m = c.recv_bytes()\n"                                          \
	"        except EOFError: break\n"                                           \
	"        c.send_bytes(m)\n"                                                  \
	"    c.close()\n"

/** struct python - a running script; what it prints is read from @out */
struct python {
	pid_t pid;
	FILE *out;
};

/* The interpreter @index; NULL: there are no more */
static inline const char *python_at(size_t index)
{
	static char others[1024];
	const char *given = getenv("CAROM_PYTHONS");
	char *name;

	if (index == 0)
		return PYTHON;
	snprintf(others, sizeof(others), "%s", given ? given : "");
	name = strtok(others, ":");
	while (name && --index > 0)
		name = strtok(NULL, ":");
	return name;
}

static inline struct python start_python(const char *program, const char *code, const char *place,
					 const char *key)
{
	struct python python;
	int fds[2];

	cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
	python.pid = child();
	if (python.pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		unsetenv("LD_PRELOAD");
		execl(program, program, "-c", code, place, key, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	python.out = fdopen(fds[0], "r");
	return python;
}

/* One line that it prints, into @line */
static inline void read_line(const struct python *python, char *line, int size)
{
	cr_assert(ne(ptr, fgets(line, size, python->out), NULL), "it has ended");
	line[strcspn(line, "\n")] = '\0';
}

static inline int end_python(struct python *python)
{
	fclose(python->out);
	return ended(python->pid);
}

#endif

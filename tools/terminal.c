/*
 * Terminal
 */
#include "tools/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_USUAL 80

bool carom_terminal_is(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

/* https://no-color.org: set to anything but the empty string */
bool carom_terminal_has_colour(int fd)
{
	const char *refused = getenv("NO_COLOR");

	return carom_terminal_is(fd) && !(refused && *refused);
}

int carom_terminal_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_USUAL;
	return size.ws_col;
}

/*
 * Terminal: what a descriptor leads to, and what may be sent there.
 */
#ifndef CAROM_TOOLS_TERMINAL_H
#define CAROM_TOOLS_TERMINAL_H

#include <stdbool.h>

/** carom_terminal_is() - does @fd lead to a terminal that can overwrite a line (TERM is not "dumb")? */
bool carom_terminal_is(int fd);

/** carom_terminal_has_colour() - the same, and the user did not set NO_COLOR */
bool carom_terminal_has_colour(int fd);

/** carom_terminal_columns() - its width now; 80 where there is none to ask */
int carom_terminal_columns(int fd);

#endif

/*
 * Writable: whether somebody takes what is written.
 */
#ifndef CAROM_TOOLS_WRITABLE_H
#define CAROM_TOOLS_WRITABLE_H

#include <stdbool.h>

/**
 * carom_writable_now() - can PIPE_BUF bytes be written to @fd without waiting for a reader?
 *
 * Also true if writing fails at once, as where nobody can read them any more.
 */
bool carom_writable_now(int fd);

#endif

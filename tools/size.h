/*
 * Size
 *
 * A number of bytes as people write it: 65536, 64k, 256M, 1.5G. The units are powers of
 * 1024, as in files of cgroups.
 */
#ifndef CAROM_TOOLS_SIZE_H
#define CAROM_TOOLS_SIZE_H

#include <stdint.h>

#define CAROM_SIZE_TEXT 16

/** carom_size_parse() - read a size. Return: 0, -EINVAL (not a size), -ERANGE (does not fit). */
int carom_size_parse(const char *text, uint64_t *ret_bytes);

/** carom_size_write() - "64 MiB", "1.5 GiB": four digits at most. Return: @text. */
char *carom_size_write(uint64_t bytes, char text[CAROM_SIZE_TEXT]);

#endif

/*
 * Small file: a text of /proc or /sys, which the kernel makes for who reads it
 */
#ifndef CAROM_CORE_SMALL_FILE_H
#define CAROM_CORE_SMALL_FILE_H

#include <sys/types.h>

/**
 * carom_small_file_read() - the beginning of it, in one read(2)
 * @directory_fd: as for openat(2)
 * @text: ends with a NUL, which is one of the @size bytes
 * Return: how many bytes, or errno. AS-Safe.
 */
ssize_t carom_small_file_read(int directory_fd, const char *path, char *text, size_t size);

#endif

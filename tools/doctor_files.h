/*
 * Files: the small ones in which the system tells about itself.
 */
#ifndef CAROM_TOOLS_DOCTOR_FILES_H
#define CAROM_TOOLS_DOCTOR_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * carom_doctor_read() - the beginning of a file, as text
 * @root: put before @path
 * @text: bytes that are not printable ASCII become '?'; newlines stay, the last one does not
 *
 * Return: was there anything? Else @text is empty.
 */
bool carom_doctor_read(const char *root, const char *path, char *text, size_t size);

/** carom_doctor_read_number() - a file that holds a number and nothing else. Return: does it? */
bool carom_doctor_read_number(const char *root, const char *path, uint64_t *ret_number);

/** carom_doctor_exists() - is there such a file? */
bool carom_doctor_exists(const char *root, const char *path);

/** carom_doctor_mentions() - does a line of a file, of any size, hold @word? */
bool carom_doctor_mentions(const char *root, const char *path, const char *word);

/**
 * carom_doctor_tightest() - the lowest number of a cgroup's file, on the way from the own group up
 * @controller, @v2_file, @v1_file: whose; the files with a slash before
 * Return: UINT64_MAX: there is none.
 */
uint64_t carom_doctor_tightest(const char *root, const char *controller, const char *v2_file,
			       const char *v1_file);

#endif

/*
 * Options: what carom-words is told to do.
 */
#ifndef WORDS_OPTIONS_H
#define WORDS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct words_options
 * @roots:        files and folders, NULL-terminated: those of argv, or
 * @usual_roots:  those that are counted if none is given
 * @worker_count: 1 to CAROM_WORKERS_MAX
 * @wants_mishaps: something is to go wrong
 */
struct words_options {
	char *const *roots;
	char *usual_roots[3];
	uint64_t worker_count;
	bool wants_mishaps;
};

/**
 * words_options_parse() - read the command line
 * @options:    must stay where it is: it may point into itself
 * @ret_status: where nothing is to be counted: the exit status, everything being said
 *
 * Return: whether something is to be counted.
 */
bool words_options_parse(int argc, char *argv[], struct words_options *options, int *ret_status);

#endif

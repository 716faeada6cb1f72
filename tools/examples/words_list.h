/*
 * List: the files that carom-words counts.
 */
#ifndef WORDS_LIST_H
#define WORDS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/bar.h"

/** struct words_count - what there is in a file, or in many */
struct words_count {
	uint64_t lines;
	uint64_t words;
	uint64_t bytes;
};

/** struct words_file - a file, and what there is in it once it @is_counted */
struct words_file {
	char *path;
	struct words_count count;
	bool is_counted;
};

/** struct words_gap - a folder that could not be read, and why: positive errno */
struct words_gap {
	char *path;
	int error;
};

struct words_list {
	struct words_file *files;
	size_t count;
	struct words_gap *gaps;
	size_t gap_count;
};

/**
 * words_list_collect() - find every regular file below @roots
 * @list:  zeroed; to be ended with words_list_deinit() in any case
 * @roots: folders and files, NULL-terminated. Symbolic links are followed here
 *         and nowhere else
 * @bar:   told how many have been found
 *
 * Sorted by name within each folder. Return: 0, -ENOMEM.
 */
int words_list_collect(struct words_list *list, char *const *roots, struct carom_bar *bar);

void words_list_deinit(struct words_list *list);

#endif

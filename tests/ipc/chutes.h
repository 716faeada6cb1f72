/* Chutes: the memory that clients of a manager share with it, as a process has it mapped. */
#ifndef TESTS_IPC_CHUTES_H
#define TESTS_IPC_CHUTES_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/** struct area - where one is mapped */
struct area {
	unsigned char *data;
	size_t size;
};

/* How many a process has. Return in *@ret_area: the last one. */
static inline int find_chutes(pid_t pid, struct area *ret_area)
{
	unsigned long from, to;
	char path[64], text[256];
	int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	cr_assert(ne(ptr, file, NULL));
	while (fgets(text, sizeof(text), file))
		if (strstr(text, "carom-chute") && sscanf(text, "%lx-%lx", &from, &to) == 2) {
			*ret_area = (struct area){ (unsigned char *)from, to - from };
			count++;
		}
	fclose(file);
	return count;
}

static inline int count_chutes(pid_t pid)
{
	struct area area;

	return find_chutes(pid, &area);
}

#endif

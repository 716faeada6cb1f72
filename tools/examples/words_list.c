/*
 * List
 *
 * What cannot be read is noted and the walk goes on: one closed folder is no
 * reason to know nothing about the others.
 */
#include "tools/examples/words_list.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

#include <carom/carom.h>

/* The array grows when its length is a power of two: then it is full. */
static void *grow(void *array, size_t count, size_t item_size)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? 2 * count : 1, item_size);
}

static int add_file(struct words_list *list, const char *path)
{
	struct words_file *files = grow(list->files, list->count, sizeof(*files));
	char *copy = strdup(path);

	list->files = files ? files : list->files;
	if (!files || !copy) {
		free(copy);
		return -ENOMEM;
	}
	files[list->count++] = (struct words_file){ .path = copy };
	return 0;
}

static int add_gap(struct words_list *list, const char *path, int error)
{
	struct words_gap *gaps = grow(list->gaps, list->gap_count, sizeof(*gaps));
	char *copy = strdup(path);

	list->gaps = gaps ? gaps : list->gaps;
	if (!gaps || !copy) {
		free(copy);
		return -ENOMEM;
	}
	gaps[list->gap_count++] = (struct words_gap){ .path = copy, .error = error };
	return 0;
}

static int add_entry(struct words_list *list, const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_F:
		return add_file(list, entry->fts_path);
	case FTS_DNR: /* a folder that does not open */
	case FTS_ERR:
	case FTS_NS: /* nothing there, or nothing to be learned about it */
		return add_gap(list, entry->fts_path, entry->fts_errno);
	default:
		return 0;
	}
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
	return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void end_walk(FTS **walk)
{
	if (*walk)
		fts_close(*walk);
}

/* by_name() also puts the roots in order, so each is walked by itself, as it was given */
static int collect_below(struct words_list *list, char *root, struct carom_bar *bar)
{
	char *roots[] = { root, NULL };
	CAROM_CLEANUP(end_walk)
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
	const FTSENT *entry;
	int r = 0;

	if (!walk)
		return errno == ENOMEM ? -ENOMEM : add_gap(list, root, errno);
	errno = 0;
	while (r == 0 && (entry = fts_read(walk))) {
		r = add_entry(list, entry);
		carom_bar_draw(bar, &(struct carom_bar_progress){ .done_count = list->count });
	}
	if (r == 0 && !entry && errno)
		r = add_gap(list, root, errno); /* the walk itself gave up */
	return r;
}

int words_list_collect(struct words_list *list, char *const *roots, struct carom_bar *bar)
{
	int r = 0;

	for (; *roots && r == 0; roots++)
		r = collect_below(list, *roots, bar);
	return r;
}

void words_list_deinit(struct words_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].path);
	for (size_t i = 0; i < list->gap_count; i++)
		free(list->gaps[i].path);
	free(list->files);
	free(list->gaps);
}

/*
 * carom-words
 *
 * Counts lines, words and bytes of many files in a pool of worker processes. On
 * the way one worker is killed, one crashes and one gets stuck, to show what that
 * costs: one file each, which is counted again in the end, and nothing else.
 *
 * Everything needed to write such a program stands in this file: a task function,
 * a pool, and a loop over what comes out of it. Around it:
 *
 *	words_options.c  what it is told
 *	words_list.c     which files there are
 *	words_mishaps.c  what goes wrong on purpose
 *	words_report.c   what is shown in the end
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <carom/carom.h>
#include "tools/examples/words_job.h"
#include "tools/examples/words_report.h"
#include "tools/figure.h"

#define READ_BYTES    CAROM_KIB(256)
#define LIMIT_NS      CAROM_SECONDS(60) /* more than any file takes that does not hang */
#define SHORT_WAIT_NS CAROM_MILLISECONDS(1)

/* ---- the task: runs in a worker ---- */

static bool is_space(unsigned char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Any bytes will do. No byte of a longer UTF-8 character looks like a space or a newline. */
static void count_bytes(const unsigned char *bytes, size_t size, bool *was_space,
			struct words_count *count)
{
	uint64_t lines = 0, words = 0;
	bool before = *was_space;

	for (size_t i = 0; i < size; i++) {
		bool space = is_space(bytes[i]);

		lines += bytes[i] == '\n';
		words += before & !space;
		before = space;
	}
	*was_space = before;
	count->lines += lines;
	count->words += words;
	count->bytes += size;
}

static int count_content(int fd, struct words_count *count)
{
	static unsigned char buffer[READ_BYTES]; /* each worker is a process: it has its own */
	bool was_space = true;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		count_bytes(buffer, (size_t)n, &was_space, count);
	return n < 0 ? -errno : 0;
}

/* Gets a path, with its NUL, and leaves a struct words_count. */
static int count_file(struct carom_call *call)
{
	const char *path = carom_call_data(call, NULL);
	CAROM_CLEANUP(carom_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe may stand there by now */
	struct words_count count = { 0 };
	int r;

	if (fd < 0)
		return carom_call_fail(call, -errno, "cannot open it: %s", strerror(errno));
	r = count_content(fd, &count);
	if (r < 0)
		return carom_call_fail(call, r, "cannot read it: %s", strerror(-r));
	return carom_reply(call, &count, sizeof(count));
}

/* ---- what comes back ---- */

static void add_count(struct words_job *job, size_t file, const struct words_count *count,
		      int worker_index)
{
	job->list.files[file].count = *count;
	job->list.files[file].is_counted = true;
	job->total.lines += count->lines;
	job->total.words += count->words;
	job->total.bytes += count->bytes;
	job->counted_by[worker_index]++;
	job->counted_count++;
}

static int add_trouble(struct words_job *job, size_t file, const struct carom_outcome *outcome)
{
	struct words_trouble *troubles =
		reallocarray(job->troubles, job->trouble_count + 1, sizeof(*troubles));

	if (!troubles)
		return -ENOMEM;
	job->troubles = troubles;
	troubles[job->trouble_count++] =
		(struct words_trouble){ .file = file, .outcome = *outcome };
	return 0;
}

static int take_item(struct words_job *job, size_t file, const struct carom_item *item)
{
	job->done_count++;
	if (item->outcome.kind != CAROM_OUTCOME_OK)
		return add_trouble(job, file, &item->outcome);
	add_count(job, file, item->data, item->outcome.worker_index);
	return 0;
}

static void show_progress(struct words_job *job)
{
	char note[64];

	snprintf(note, sizeof(note), "%s", carom_figure_bytes(job->total.bytes).text);
	carom_bar_draw(&job->bar, &(struct carom_bar_progress){ .done_count = job->done_count,
								.total_count = job->list.count,
								.failed_count = job->done_count -
										job->counted_count,
								.note = note });
}

/* ---- counting ---- */

static void free_indices(size_t **indices)
{
	free(*indices);
}

/** struct pass - files on their way to the workers: @indices into the list, @given so far */
struct pass {
	const struct words_list *list;
	const size_t *indices;
	size_t count;
	size_t given;
};

/* Called when a worker is about to need the next file: paths go out as they are needed. */
static int next_path(void *userdata, const void **ret_data, size_t *ret_size)
{
	struct pass *pass = userdata;
	const char *path;

	if (pass->given == pass->count)
		return 0;
	path = pass->list->files[pass->indices[pass->given++]].path;
	*ret_data = path;
	*ret_size = strlen(path) + 1;
	return 1;
}

/* 0, or below 0 if the job cannot go on */
static int look_around(struct words_job *job)
{
	int r = words_mishaps_advance(&job->mishaps, job->pool, &job->list, job->done_count);

	job->done_count += r == 1;
	show_progress(job);
	return r < 0 ? r : 0;
}

static uint64_t patience_ns(const struct words_job *job)
{
	return words_mishaps_are_over(&job->mishaps) ? CAROM_BAR_INTERVAL_NS : SHORT_WAIT_NS;
}

/* The results come in whatever order they are ready; item.index says which file it was. */
static int count_files(struct words_job *job, const size_t *indices, size_t count)
{
	struct pass pass = { .list = &job->list, .indices = indices, .count = count };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int r = carom_pool_imap_unordered(job->pool, count_file, next_path, &pass, NULL, &iterator);

	while (r >= 0) {
		r = carom_iterator_next(iterator, carom_deadline_after(patience_ns(job)), &item);
		if (r == 0)
			return 0;
		if (r == 1)
			r = take_item(job, indices[item.index], &item);
		else if (r == -ETIMEDOUT)
			r = 0; /* nothing yet: time to look around */
		if (r == 0)
			r = look_around(job);
	}
	return r;
}

static int count_all(struct words_job *job)
{
	CAROM_CLEANUP(free_indices) size_t *indices = calloc(job->list.count + 1, sizeof(*indices));
	uint64_t begun_ns = carom_now();
	size_t count = 0;
	int r;

	if (!indices)
		return -ENOMEM;
	carom_bar_init(&job->bar, "files");
	for (size_t i = 0; i < job->list.count; i++)
		if (!words_mishaps_take(&job->mishaps, i))
			indices[count++] = i;
	r = count_files(job, indices, count);
	while (r == 0 && !words_mishaps_are_over(&job->mishaps)) {
		words_mishaps_wait(&job->mishaps, SHORT_WAIT_NS);
		r = look_around(job);
	}
	job->elapsed_ns = carom_now() - begun_ns;
	return r;
}

/* What was lost is tried once more, without mishaps; what failed would fail again. */
static int count_lost_again(struct words_job *job)
{
	CAROM_CLEANUP(free_indices)
	size_t *indices = calloc(job->mishaps.count + job->trouble_count + 1, sizeof(*indices));
	size_t count = 0, counted_before = job->counted_count;
	int r;

	if (!indices)
		return -ENOMEM;
	for (size_t i = 0; i < job->mishaps.count; i++)
		indices[count++] = job->mishaps.items[i].file;
	for (size_t i = 0; i < job->trouble_count; i++)
		if (job->troubles[i].outcome.kind != CAROM_OUTCOME_FAILED)
			indices[count++] = job->troubles[i].file;
	job->done_count -= count;
	r = count_files(job, indices, count);
	job->again_count = job->counted_count - counted_before;
	return r;
}

/* ---- the program ---- */

static void free_job(struct words_job *job)
{
	carom_pool_free(job->pool);
	words_mishaps_deinit(&job->mishaps);
	words_list_deinit(&job->list);
	free(job->counted_by);
	free(job->troubles);
}

/* The pool comes first, while the program is small: its workers are copies of it. */
static int prepare(struct words_job *job)
{
	int r = words_mishaps_init(&job->mishaps);

	if (r < 0)
		return r;
	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = job->options.worker_count,
					       .hard_limit_ns = LIMIT_NS),
			   &job->pool);
	if (r < 0)
		return r;
	job->counted_by = calloc(job->options.worker_count, sizeof(*job->counted_by));
	if (!job->counted_by)
		return -ENOMEM;
	carom_bar_init(&job->bar, "files");
	r = words_list_collect(&job->list, job->options.roots, &job->bar);
	if (job->options.wants_mishaps)
		words_mishaps_arrange(&job->mishaps, job->list.count);
	return r;
}

static int run(struct words_job *job)
{
	int r = prepare(job);

	carom_bar_clear(&job->bar);
	if (r < 0)
		return r;
	words_report_begin(job);
	r = count_all(job);
	if (r == 0)
		r = count_lost_again(job);
	carom_bar_clear(&job->bar);
	return r < 0 ? r : words_report(job);
}

int main(int argc, char *argv[])
{
	CAROM_CLEANUP(free_job) struct words_job job = { 0 };
	int status, r;

	setlocale(LC_CTYPE, ""); /* which characters of a name can be shown */
	if (!words_options_parse(argc, argv, &job.options, &status))
		return status;
	r = run(&job);
	if (r < 0)
		return carom_complain("counting", r);
	return job.counted_count == job.list.count && job.list.gap_count == 0 ? EXIT_SUCCESS
									      : EXIT_FAILURE;
}

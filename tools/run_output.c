/*
 * Output of carom run
 *
 * Places are numbered by the inputs or by the order of arrival; that is the
 * whole difference between output that keeps the order and output that does not.
 *
 *   I1  places[n % capacity] stands for place n, next <= n < next + capacity. It
 *       is filled once and emptied when it has been written.
 *   I2  After each call, either there is nothing to write, or `current` and
 *       `stream` say what is in turn: then carom_run_output_fd() names it.
 *   I3  How much there is to write is settled when the job ends. A process that
 *       the job left behind may hold its memfd and write on; nobody waits for it.
 *   I4  What is written by lines (with tags, or of a job that runs) gives way to
 *       another job's at the end of a line only. A job that runs has nothing to
 *       write but whole lines; the last one of a job that is done is ended if it
 *       did not do so itself.
 */
#include "tools/run_output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"
#include "core/time.h"

/* --- spools ------------------------------------------------------------ */

/* Appending, so that who opens /dev/stdout anew does not write over what is there. */
static int open_stream(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | CAROM_MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

int carom_run_spool_open(struct carom_run_spool *ret_spool)
{
	CAROM_CLEANUP(carom_closep) int out_fd = open_stream("carom-run-stdout");
	int err_fd;

	if (out_fd < 0)
		return out_fd;
	err_fd = open_stream("carom-run-stderr");
	if (err_fd < 0)
		return err_fd;
	*ret_spool = (struct carom_run_spool){ { carom_take_fd(out_fd), err_fd } };
	return 0;
}

void carom_run_spool_close(struct carom_run_spool *spool)
{
	carom_closep(&spool->fds[0]);
	carom_closep(&spool->fds[1]);
}

/* --- what is in turn --------------------------------------------------- */

#define FORGET_BYTES CAROM_MIB(1) /* of a followed job's memory are given back at a time */

struct carom_run_output_place {
	struct carom_run_text text;
	char *note;
	bool is_filled;
};

static struct carom_run_output_place *place_of(const struct carom_run_output *output,
					       uint64_t number)
{
	return &output->places[number % output->capacity];
}

static bool is_by_line(const struct carom_run_output *output)
{
	return output->options->has_tag || output->options->grouping == CAROM_RUN_LINES;
}

static bool has_left(const struct carom_run_text *text, int stream)
{
	return text->offsets[stream] < text->ends[stream];
}

static void set_current(struct carom_run_output *output, struct carom_run_text *text, int stream)
{
	output->current = text;
	output->stream = stream;
}

static void end_line(struct carom_run_output *output, struct carom_run_text *text, int stream)
{
	set_current(output, text, stream);
	text->is_in_line[stream] = false;
	output->pending[0] = '\n';
	output->pending_begin = 0;
	output->pending_end = 1;
}

/* Returns whether there is something to write of the text's stream, all that it will ever have. */
static bool take_stream(struct carom_run_output *output, struct carom_run_text *text, int stream)
{
	if (has_left(text, stream))
		set_current(output, text, stream);
	else if (is_by_line(output) && text->is_in_line[stream])
		end_line(output, text, stream);
	else
		carom_closep(&text->fds[stream]);
	return output->current != NULL;
}

static void empty_place(struct carom_run_output *output, struct carom_run_output_place *place)
{
	char *note = place->note;

	free(place->text.tag);
	place->text.tag = NULL;
	place->is_filled = false;
	place->note = NULL;
	output->next++;
	if (note)
		output->written(output->userdata, note);
}

/* What is empty holds no descriptor while it waits for its turn. */
static bool take_place(struct carom_run_output *output)
{
	struct carom_run_output_place *place = place_of(output, output->next);

	for (; place->is_filled; place = place_of(output, output->next)) {
		if (take_stream(output, &place->text, 0) || take_stream(output, &place->text, 1))
			return true;
		empty_place(output, place);
	}
	return false;
}

/* Who was shown goes to the end of the line, so nobody who writes without end keeps others out. */
static void move_to_end(struct carom_run_output *output, struct carom_run_follow **link)
{
	struct carom_run_follow *follow = *link;

	*link = follow->next;
	follow->next = NULL;
	for (link = &output->followed; *link; link = &(*link)->next)
		;
	*link = follow;
}

static bool take_followed(struct carom_run_output *output)
{
	struct carom_run_follow **link = &output->followed, *follow;

	for (; (follow = *link); link = &follow->next) {
		int stream = has_left(&follow->text, 0) ? 0 : 1;

		if (output->options->keep_order && follow->number != output->next)
			continue;
		if (!has_left(&follow->text, stream))
			continue;
		set_current(output, &follow->text, stream);
		move_to_end(output, link);
		return true;
	}
	return false;
}

/* I4 */
static bool goes_on(const struct carom_run_output *output)
{
	const struct carom_run_text *text = output->current;

	return text && has_left(text, output->stream) &&
	       (!is_by_line(output) || text->is_in_line[output->stream]);
}

/* I4: a job that is done has left its last line open, and another one may be in turn now. */
static bool has_line_to_end(const struct carom_run_output *output)
{
	const struct carom_run_text *text = output->current;

	return text && is_by_line(output) && !has_left(text, output->stream) &&
	       text->is_in_line[output->stream];
}

/* I2 */
static void settle(struct carom_run_output *output)
{
	if (output->pending_begin < output->pending_end || goes_on(output))
		return;
	if (has_line_to_end(output)) {
		end_line(output, output->current, output->stream);
		return;
	}
	output->current = NULL;
	if (output->is_turn_of_followed && take_followed(output)) {
		output->is_turn_of_followed = false;
		return;
	}
	output->is_turn_of_followed = true;
	if (!take_place(output))
		take_followed(output);
}

/* --- what comes in ----------------------------------------------------- */

static off_t size_of(int fd)
{
	struct stat file;

	return fd >= 0 && fstat(fd, &file) == 0 ? file.st_size : 0;
}

uint64_t carom_run_spool_bytes(const struct carom_run_spool *spool)
{
	return (uint64_t)(size_of(spool->fds[0]) + size_of(spool->fds[1]));
}

void carom_run_output_follow(struct carom_run_output *output, struct carom_run_follow *follow)
{
	if (follow->is_followed || output->is_discarded)
		return;
	follow->is_followed = true;
	follow->next = output->followed;
	output->followed = follow;
}

void carom_run_output_grew(struct carom_run_output *output)
{
	settle(output);
}

static void unfollow(struct carom_run_output *output, struct carom_run_follow *follow)
{
	struct carom_run_follow **link = &output->followed;

	if (!follow->is_followed)
		return;
	while (*link != follow)
		link = &(*link)->next;
	*link = follow->next;
	follow->is_followed = false;
}

static struct carom_run_text take_text(struct carom_run_output *output,
				       struct carom_run_follow *follow)
{
	struct carom_run_text text = { .fds = { -1, -1 } };

	if (!follow)
		return text;
	unfollow(output, follow);
	text = follow->text;
	follow->text = (struct carom_run_text){ .fds = { -1, -1 } };
	return text;
}

/* I3 */
static void fill(struct carom_run_output *output, struct carom_run_text *text,
		 struct carom_run_spool *spool)
{
	for (int i = 0; i < 2; i++) {
		text->ends[i] = output->is_discarded ? 0 : size_of(spool->fds[i]);
		if (text->offsets[i] >= text->ends[i])
			carom_closep(&spool->fds[i]);
		text->fds[i] = carom_take_fd(spool->fds[i]);
	}
}

void carom_run_output_put(struct carom_run_output *output, uint64_t number,
			  struct carom_run_spool *spool, struct carom_run_follow *follow,
			  char *note)
{
	struct carom_run_output_place *place = place_of(output, number);

	assert(!place->is_filled && number - output->next < output->capacity);
	place->is_filled = true;
	place->note = output->is_discarded ? NULL : note;
	if (output->is_discarded)
		free(note);
	if (follow && output->current == &follow->text)
		output->current = &place->text;
	place->text = take_text(output, follow);
	fill(output, &place->text, spool);
	settle(output);
}

/* --- what goes out ----------------------------------------------------- */

int carom_run_output_fd(const struct carom_run_output *output)
{
	if (!output->current)
		return -1;
	return output->stream == 0 ? STDOUT_FILENO : STDERR_FILENO;
}

static int append(struct carom_run_output *output, const char *bytes, size_t length)
{
	size_t needed = output->pending_end + length;

	if (needed > output->pending_room) {
		char *pending = realloc(output->pending, needed + PIPE_BUF);

		if (!pending)
			return -ENOMEM;
		output->pending = pending;
		output->pending_room = needed + PIPE_BUF;
	}
	memcpy(output->pending + output->pending_end, bytes, length);
	output->pending_end += length;
	return 0;
}

static int append_tag(struct carom_run_output *output, const struct carom_run_text *text)
{
	int r = append(output, text->tag, strlen(text->tag));

	return r < 0 ? r : append(output, "\t", 1);
}

/* Lines, each with its tag, as many as make a piece. Returns how many of the bytes they took. */
static ssize_t append_lines(struct carom_run_output *output, const char *bytes, size_t length)
{
	struct carom_run_text *text = output->current;
	bool *is_in_line = &text->is_in_line[output->stream];
	size_t taken = 0, part;
	int r = 0;

	while (r == 0 && taken < length && output->pending_end < PIPE_BUF) {
		const char *end = memchr(bytes + taken, '\n', length - taken);

		part = end ? (size_t)(end + 1 - bytes) - taken : length - taken;
		if (!*is_in_line && text->tag)
			r = append_tag(output, text);
		if (r == 0)
			r = append(output, bytes + taken, part);
		*is_in_line = !end;
		taken += part;
	}
	return r < 0 ? r : (ssize_t)taken;
}

/* A job that writes for days does not keep all of that in memory, unless it is to be kept. */
static void forget(const struct carom_run_output *output, struct carom_run_text *text)
{
	off_t offset = text->offsets[output->stream];

	if (output->options->grouping == CAROM_RUN_LINES && !output->options->results_path &&
	    offset % (off_t)FORGET_BYTES < PIPE_BUF)
		(void)fallocate(text->fds[output->stream],
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, offset);
}

static int read_piece(struct carom_run_output *output)
{
	struct carom_run_text *text = output->current;
	off_t *offset = &text->offsets[output->stream];
	off_t left = text->ends[output->stream] - *offset;
	char bytes[PIPE_BUF];
	ssize_t n;

	output->pending_begin = output->pending_end = 0;
	n = pread(text->fds[output->stream], bytes,
		  left < (off_t)sizeof(bytes) ? (size_t)left : sizeof(bytes), *offset);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0) /* cut short by a process that was left behind */
		text->ends[output->stream] = *offset;
	n = is_by_line(output)                     ? append_lines(output, bytes, (size_t)n)
	    : append(output, bytes, (size_t)n) < 0 ? -ENOMEM
						   : n;
	if (n < 0)
		return (int)n;
	*offset += n;
	forget(output, text);
	return 0;
}

/* PIPE_BUF bytes are what a pipe that is ready to be written takes without blocking. */
int carom_run_output_write(struct carom_run_output *output)
{
	int r = output->pending_begin < output->pending_end ? 0 : read_piece(output);
	size_t length = output->pending_end - output->pending_begin;
	ssize_t n = 0;

	if (r == 0 && length > 0)
		n = write(carom_run_output_fd(output), output->pending + output->pending_begin,
			  length < PIPE_BUF ? length : PIPE_BUF);
	if (n < 0)
		r = errno == EINTR || errno == EAGAIN ? 0 : -errno;
	else
		output->pending_begin += (size_t)n;
	if (r == 0)
		settle(output);
	return r;
}

static void empty_text(struct carom_run_text *text)
{
	for (int i = 0; i < 2; i++) {
		text->ends[i] = text->offsets[i];
		text->is_in_line[i] = false;
	}
}

void carom_run_output_discard(struct carom_run_output *output)
{
	output->is_discarded = true;
	output->pending_begin = output->pending_end = 0;
	output->current = NULL;
	while (output->followed)
		unfollow(output, output->followed);
	for (size_t i = 0; i < output->capacity; i++) {
		empty_text(&output->places[i].text);
		carom_closep(&output->places[i].text.fds[0]);
		carom_closep(&output->places[i].text.fds[1]);
		free(output->places[i].note);
		output->places[i].note = NULL;
	}
	settle(output);
}

/* --- its life ---------------------------------------------------------- */

int carom_run_output_init(struct carom_run_output *output, const struct carom_run_options *options,
			  size_t capacity)
{
	*output = (struct carom_run_output){ .options = options, .capacity = capacity };
	output->places = calloc(capacity, sizeof(*output->places));
	output->pending = malloc(PIPE_BUF);
	if (!output->places || !output->pending)
		return -ENOMEM;
	output->pending_room = PIPE_BUF;
	for (size_t i = 0; i < capacity; i++)
		output->places[i].text.fds[0] = output->places[i].text.fds[1] = -1;
	return 0;
}

static void close_place(struct carom_run_output_place *place)
{
	carom_closep(&place->text.fds[0]);
	carom_closep(&place->text.fds[1]);
	free(place->text.tag);
	free(place->note);
}

void carom_run_output_deinit(struct carom_run_output *output)
{
	for (size_t i = 0; output->places && i < output->capacity; i++)
		close_place(&output->places[i]);
	free(output->places);
	free(output->pending);
	output->places = NULL;
	output->pending = NULL;
}

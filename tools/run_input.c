/*
 * Input of carom run
 *
 * A file is read into one buffer of fixed size, ahead of the jobs as far as it
 * goes: the end of a short list is known early that way, and with it the number
 * of jobs to come. An endless list fills the buffer and waits in its pipe.
 *
 *   I1  [begin, end) holds what was read and not taken. After is_at_end nothing
 *       is added.
 *   I2  An item longer than the kernel takes as a word is given once, cut, and
 *       with an error; the rest of it is dropped as it comes in, so no input
 *       needs more than the buffer.
 *   I3  The descriptor is watched exactly while there is room in the buffer and
 *       more to come, so a loop that waits for jobs only is not kept awake.
 */
#include "tools/run_input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/time.h"
#include "tools/run_outcome.h"
#include "tools/shepherd.h"

#define BUFFER_BYTES CAROM_MIB(1)
#define READ_MIN     CAROM_KIB(64) /* less room than this is not worth a system call */

static_assert(CAROM_SHEPHERD_INPUT_MAX + 1 + READ_MIN < BUFFER_BYTES,
	      "an item that is too long is noticed while there is room to read more");

/* --- reading ----------------------------------------------------------- */

static size_t held_bytes(const struct carom_run_input *input)
{
	return input->end - input->begin;
}

static void make_room(struct carom_run_input *input)
{
	if (input->begin == 0 || BUFFER_BYTES - input->end >= READ_MIN)
		return;
	memmove(input->buffer, input->buffer + input->begin, held_bytes(input));
	input->end -= input->begin;
	input->scanned -= input->begin;
	input->begin = 0;
}

static bool has_room(const struct carom_run_input *input)
{
	return BUFFER_BYTES - held_bytes(input) >= READ_MIN;
}

/* The last item needs no separator behind it. */
static void count_items(struct carom_run_input *input)
{
	const char *from = input->buffer + input->begin, *end = input->buffer + input->end;

	input->total = input->taken_count;
	while (from < end) {
		const char *mark = memchr(from, input->options->separator, (size_t)(end - from));

		if (!input->is_skipping || from != input->buffer + input->begin)
			input->total++;
		if (!mark)
			break;
		from = mark + 1;
	}
	input->has_total = true;
}

/* One read(2); the caller knows that there is room and that it will not block. */
static int fill(struct carom_run_input *input)
{
	ssize_t n;

	make_room(input);
	n = read(input->readable.fd, input->buffer + input->end, BUFFER_BYTES - input->end);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	input->end += (size_t)n;
	if (n == 0) {
		input->is_at_end = true;
		count_items(input);
	}
	return 0;
}

static void stop_waiting(struct carom_run_input *input)
{
	if (input->is_waiting)
		carom_loop_unwatch_fd(input->loop, &input->readable);
	input->is_waiting = false;
}

static void on_readable(struct carom_loop_fd *watch)
{
	struct carom_run_input *input = watch->userdata;
	int r = fill(input);

	if (r < 0)
		input->error = r;
	if (r < 0 || input->is_at_end || !has_room(input)) /* I3 */
		stop_waiting(input);
}

/* What cannot be waited for (epoll says -EPERM: files, /dev/null, /dev/zero) need not be. */
static int wait_for_more(struct carom_run_input *input)
{
	int r;

	if (input->is_waiting || input->needs_no_wait || input->is_at_end || !has_room(input))
		return 0;
	r = carom_loop_watch_fd(input->loop, &input->readable);
	if (r == -EPERM) {
		input->needs_no_wait = true;
		return 0;
	}
	input->is_waiting = r == 0;
	return r;
}

/* --- items ------------------------------------------------------------- */

static void give(struct carom_run_input *input, size_t length, struct carom_run_item *ret_item)
{
	char *text = input->buffer + input->begin;
	size_t until_nul;

	ret_item->error = 0;
	if (length > CAROM_SHEPHERD_INPUT_MAX) {
		ret_item->error = E2BIG;
		length = CAROM_SHEPHERD_INPUT_MAX;
	}
	text[length] =
		'\0'; /* over the separator, or over what is dropped, or see BUFFER_BYTES + 1 */
	until_nul = strlen(text);
	if (until_nul < length)
		ret_item->error = CAROM_RUN_ENUL;
	ret_item->text = text;
	ret_item->length = until_nul;
	input->taken_count++;
}

/* Returns whether a whole item is there, which is @ret_length long. */
static bool find_item(struct carom_run_input *input, size_t *ret_length)
{
	char *mark = memchr(input->buffer + input->scanned, input->options->separator,
			    input->end - input->scanned);

	input->scanned = input->end;
	if (mark)
		*ret_length = (size_t)(mark - input->buffer) - input->begin;
	else
		*ret_length = held_bytes(input);
	return mark || (input->is_at_end && held_bytes(input) > 0);
}

static void move_on(struct carom_run_input *input, size_t bytes)
{
	input->begin += bytes < held_bytes(input) ? bytes : held_bytes(input);
	input->scanned = input->begin;
}

/* I2: drops what there is of the rest of an item that was given already. */
static void drop_rest(struct carom_run_input *input)
{
	size_t length;

	if (!input->is_skipping)
		return;
	input->is_skipping = !find_item(input, &length);
	move_on(input, length + !input->is_skipping);
}

static int next_in_buffer(struct carom_run_input *input, struct carom_run_item *ret_item)
{
	size_t length;
	bool is_whole;

	drop_rest(input);
	is_whole = find_item(input, &length);
	if (!is_whole && length <= CAROM_SHEPHERD_INPUT_MAX)
		return input->is_at_end ? 0 : -EAGAIN;
	give(input, length, ret_item);
	input->is_skipping = !is_whole;
	move_on(input, length + is_whole);
	return 1;
}

static int next_in_file(struct carom_run_input *input, struct carom_run_item *ret_item)
{
	int r = next_in_buffer(input, ret_item);

	if (r != -EAGAIN)
		return r;
	if (input->error)
		return input->error;
	r = wait_for_more(input);
	if (r == 0 && input->needs_no_wait)
		r = fill(input);
	return r < 0 ? r : next_in_buffer(input, ret_item);
}

static int next_in_arguments(struct carom_run_input *input, struct carom_run_item *ret_item)
{
	if (input->taken_count == input->source->count)
		return 0;
	ret_item->text = input->source->inputs[input->taken_count++];
	ret_item->length = strlen(ret_item->text);
	ret_item->error = ret_item->length > CAROM_SHEPHERD_INPUT_MAX ? E2BIG : 0;
	return 1;
}

int carom_run_input_next(struct carom_run_input *input, struct carom_run_item *ret_item)
{
	int r;

	if (input->sources)
		return carom_run_sources_next(input->sources, ret_item);
	if (input->source->inputs)
		return next_in_arguments(input, ret_item);
	r = next_in_file(input, ret_item);
	if (r == 1 &&
	    !input->error) /* I3: taking made room; an error is told when the buffer is empty */
		input->error = wait_for_more(input);
	return r;
}

bool carom_run_input_is_ready(const struct carom_run_input *input)
{
	return input->needs_no_wait && !input->is_at_end;
}

const char *carom_run_input_name(const struct carom_run_input *input)
{
	return input->name;
}

uint64_t carom_run_input_total(const struct carom_run_input *input)
{
	if (input->sources)
		return carom_run_sources_total(input->sources);
	if (input->source->inputs)
		return input->source->count;
	return input->has_total ? input->total : 0;
}

/* --- its life ---------------------------------------------------------- */

static int open_file(struct carom_run_input *input)
{
	struct pollfd ready = { .events = POLLIN };
	struct stat file;
	int r = 0;

	input->readable.fd = STDIN_FILENO;
	if (strcmp(input->source->path, "-") != 0)
		input->readable.fd = open(input->source->path, O_RDONLY | O_CLOEXEC);
	if (input->readable.fd < 0 || fstat(input->readable.fd, &file) < 0)
		return -errno;
	input->needs_no_wait = S_ISREG(file.st_mode) || S_ISDIR(file.st_mode);
	ready.fd = input->readable.fd;
	/* what cannot be read says so before anything is run, and a short file is read to its end */
	if (poll(&ready, 1, 0) == 1)
		r = fill(input);
	while (r == 0 && input->needs_no_wait && !input->is_at_end && has_room(input))
		r = fill(input);
	return r;
}

int carom_run_input_open(struct carom_run_input *input, const struct carom_run_options *options,
			 struct carom_loop *loop)
{
	int r;

	*input = (struct carom_run_input){
		.options = options,
		.loop = loop,
		.readable = { .fd = -1, .ready = on_readable, .userdata = input },
	};
	if (options->source_count > 1)
		return carom_run_sources_new(options, &input->name, &input->sources);
	input->source = &options->sources[0];
	input->name = carom_run_source_name(input->source);
	if (input->source->inputs)
		return 0;
	input->buffer = malloc(BUFFER_BYTES + 1);
	if (!input->buffer)
		return -ENOMEM;
	r = open_file(input);
	if (r < 0)
		carom_run_input_close(input);
	return r;
}

void carom_run_input_close(struct carom_run_input *input)
{
	stop_waiting(input);
	if (input->readable.fd > STDERR_FILENO)
		close(input->readable.fd);
	input->readable.fd = -1;
	free(input->buffer);
	input->buffer = NULL;
	input->sources = carom_run_sources_free(input->sources);
}

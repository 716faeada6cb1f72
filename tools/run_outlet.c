/*
 * Outlet
 *
 * By lines:
 *
 *   I1  A pipe is watched from open until its end or the job's, except while
 *       BACKLOG_MAX bytes of it wait to be written: then the job waits, too. With
 *       --keep-order a job that is not in turn is read nevertheless, as it would
 *       be written to memory if it were grouped.
 *   I2  Of the follow's text `ends` is behind the last newline in the spool. What
 *       is behind that goes out when the job is done.
 *   I3  When the job has ended, what is in its pipes is taken and they are closed.
 *       A process that it left behind gets SIGPIPE if it writes on.
 */
#include "tools/run_outlet.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/time.h"

#define BACKLOG_MAX ((off_t)CAROM_MIB(1))
#define READ_BYTES  CAROM_KIB(64)

/* --- reading ----------------------------------------------------------- */

static void close_pipe(struct carom_run_outlet *outlet, int stream)
{
	if (outlet->pipes[stream].fd < 0)
		return;
	carom_loop_unwatch_fd(outlet->loop, &outlet->pipes[stream]);
	carom_closep(&outlet->pipes[stream].fd);
}

static int append(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0)
			return -errno;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int take(struct carom_run_outlet *outlet, int stream, const char *bytes, size_t length)
{
	struct stat file;
	const char *end = memrchr(bytes, '\n', length);
	int fd = outlet->spool->fds[stream], r;

	if (fstat(fd, &file) < 0)
		return -errno;
	r = append(fd, bytes, length);
	if (r == 0 && end)
		outlet->follow.text.ends[stream] = file.st_size + (end + 1 - bytes); /* I2 */
	return r;
}

/* Returns whether there may be more. */
static bool read_some(struct carom_run_outlet *outlet, int stream)
{
	char bytes[READ_BYTES];
	ssize_t n = read(outlet->pipes[stream].fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0)
		outlet->error = take(outlet, stream, bytes, (size_t)n);
	if (n <= 0 || outlet->error)
		close_pipe(outlet, stream);
	return n > 0 && !outlet->error;
}

static off_t backlog(const struct carom_run_outlet *outlet)
{
	const struct carom_run_text *text = &outlet->follow.text;

	return text->ends[0] - text->offsets[0] + text->ends[1] - text->offsets[1];
}

static bool is_in_turn(const struct carom_run_outlet *outlet)
{
	return !outlet->output->options->keep_order ||
	       outlet->follow.number == outlet->output->next;
}

/* I1 */
static void pause_reading(struct carom_run_outlet *outlet)
{
	outlet->is_paused = true;
	for (int i = 0; i < 2; i++)
		if (outlet->pipes[i].fd >= 0)
			carom_loop_unwatch_fd(outlet->loop, &outlet->pipes[i]);
}

static void on_readable(struct carom_loop_fd *pipe)
{
	struct carom_run_outlet *outlet = pipe->userdata;

	read_some(outlet, pipe == &outlet->pipes[1]);
	if (backlog(outlet) > BACKLOG_MAX && is_in_turn(outlet))
		pause_reading(outlet);
	carom_run_output_grew(outlet->output);
}

void carom_run_outlet_resume(struct carom_run_outlet *outlet)
{
	if (!outlet->is_paused || backlog(outlet) > BACKLOG_MAX / 2)
		return;
	outlet->is_paused = false;
	for (int i = 0; i < 2; i++)
		if (outlet->pipes[i].fd >= 0 &&
		    carom_loop_watch_fd(outlet->loop, &outlet->pipes[i]) < 0)
			outlet->is_paused =
				true; /* without memory; the job waits for the next time */
}

/* --- tags -------------------------------------------------------------- */

/* One line, whatever is in the input; octal has always three digits. */
static size_t put_character(char *to, char c)
{
	if (c == '\0') /* between the values of two sources */
		c = ' ';
	if (c == '\n')
		return (size_t)sprintf(to, "\\n");
	if (c == '\t')
		return (size_t)sprintf(to, "\\t");
	if (iscntrl((unsigned char)c))
		return (size_t)sprintf(to, "\\%03o", (unsigned char)c);
	*to = c;
	return 1;
}

static char *make_tag(const struct carom_run_item *item)
{
	char *tag = malloc(4 * item->length + 5), *to = tag;

	for (size_t i = 0; tag && i < item->length; i++)
		to += put_character(to, item->text[i]);
	if (tag)
		*to = '\0';
	return tag;
}

/* --- a job ------------------------------------------------------------- */

int carom_run_outlet_begin(struct carom_run_outlet *outlet, uint64_t number,
			   const struct carom_run_item *item, bool has_tag)
{
	outlet->follow.number = number;
	outlet->follow.text = (struct carom_run_text){ .fds = { -1, -1 } };
	outlet->error = 0;
	if (!has_tag)
		return 0;
	outlet->follow.text.tag = make_tag(item);
	return outlet->follow.text.tag ? 0 : -ENOMEM;
}

static int open_pipe(struct carom_run_outlet *outlet, int stream)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	outlet->job_fds[stream] = fds[1];
	outlet->pipes[stream].fd = fds[0];
	return carom_loop_watch_fd(outlet->loop, &outlet->pipes[stream]);
}

static int open_lines(struct carom_run_outlet *outlet)
{
	struct carom_run_spool *spool = outlet->spool;
	int r = spool->fds[0] < 0 ? carom_run_spool_open(spool) : 0;

	if (r < 0)
		return r;
	memcpy(outlet->follow.text.fds, spool->fds, sizeof(spool->fds));
	carom_run_output_follow(outlet->output, &outlet->follow);
	r = open_pipe(outlet, 0);
	return r < 0 ? r : open_pipe(outlet, 1);
}

int carom_run_outlet_open(struct carom_run_outlet *outlet, struct carom_run_spool *spool)
{
	int r;

	outlet->spool = spool;
	if (outlet->grouping == CAROM_RUN_LINES)
		return open_lines(outlet);
	if (outlet->grouping == CAROM_RUN_UNGROUPED) {
		outlet->job_fds[0] = STDOUT_FILENO;
		outlet->job_fds[1] = STDERR_FILENO;
		return 0;
	}
	carom_run_spool_close(spool); /* of the attempt before */
	r = carom_run_spool_open(spool);
	memcpy(outlet->job_fds, spool->fds, sizeof(spool->fds));
	return r;
}

void carom_run_outlet_hand_over(struct carom_run_outlet *outlet)
{
	for (int i = 0; i < 2; i++) {
		if (outlet->grouping == CAROM_RUN_LINES)
			carom_closep(&outlet->job_fds[i]);
		outlet->job_fds[i] = -1;
	}
}

/* I3. Not without end: a process that was left behind may write on and on. */
int carom_run_outlet_end(struct carom_run_outlet *outlet)
{
	for (int i = 0; i < 2; i++) {
		for (size_t n = 0; outlet->pipes[i].fd >= 0 && n < CAROM_MIB(1); n += READ_BYTES)
			if (!read_some(outlet, i))
				break;
		close_pipe(outlet, i);
	}
	outlet->is_paused = false;
	return outlet->error;
}

/* --- its life ---------------------------------------------------------- */

void carom_run_outlet_init(struct carom_run_outlet *outlet, enum carom_run_grouping grouping,
			   struct carom_loop *loop, struct carom_run_output *output)
{
	*outlet = (struct carom_run_outlet){
		.grouping = grouping,
		.loop = loop,
		.output = output,
		.follow.text.fds = { -1, -1 },
		.job_fds = { -1, -1 },
	};
	for (int i = 0; i < 2; i++)
		outlet->pipes[i] = (struct carom_loop_fd){ .fd = -1,
							   .ready = on_readable,
							   .userdata = outlet };
}

void carom_run_outlet_deinit(struct carom_run_outlet *outlet)
{
	carom_run_outlet_hand_over(outlet);
	for (int i = 0; i < 2; i++)
		close_pipe(outlet, i);
	free(outlet->follow.text.tag);
}

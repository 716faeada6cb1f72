/*
 * Output of carom run
 *
 * Places are numbered by the inputs or by the order of arrival; that is the
 * whole difference between output that keeps the order and output that does not.
 *
 *   I1  places[n % capacity] stands for place n, next <= n < next + capacity. It
 *       is filled once and emptied when it has been written.
 *   I2  After each call, either the place `next` is not filled, or the stream
 *       in turn has something left to write: then carom_run_output_fd() names it.
 *   I3  How much there is to write is settled when the job ends. A process that
 *       the job left behind may hold its memfd and write on; nobody waits for it.
 */
#include "tools/run_output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"

struct carom_run_output_place {
	struct carom_run_spool spool;
	off_t sizes[2];
	char *note;
	bool is_filled;
};

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

/* --- places ------------------------------------------------------------ */

static struct carom_run_output_place *place_of(const struct carom_run_output *output,
					       uint64_t number)
{
	return &output->places[number % output->capacity];
}

static void give_note(const struct carom_run_output *output, struct carom_run_output_place *place)
{
	char *note = place->note;

	place->note = NULL;
	if (note)
		output->written(output->userdata, note);
}

/* I2. What is empty holds no descriptor while it waits for its turn. */
static void settle(struct carom_run_output *output)
{
	struct carom_run_output_place *place = place_of(output, output->next);

	while (place->is_filled && output->offset >= place->sizes[output->stream]) {
		carom_closep(&place->spool.fds[output->stream]);
		output->offset = 0;
		output->stream = !output->stream;
		if (output->stream == 0) {
			place->is_filled = false;
			give_note(output, place);
			place = place_of(output, ++output->next);
		}
	}
}

static off_t size_of(int fd)
{
	struct stat file;

	return fd >= 0 && fstat(fd, &file) == 0 ? file.st_size : 0;
}

uint64_t carom_run_spool_bytes(const struct carom_run_spool *spool)
{
	return (uint64_t)(size_of(spool->fds[0]) + size_of(spool->fds[1]));
}

void carom_run_output_put(struct carom_run_output *output, uint64_t number,
			  struct carom_run_spool *spool, char *note)
{
	struct carom_run_output_place *place = place_of(output, number);

	assert(!place->is_filled && number - output->next < output->capacity);
	place->is_filled = true;
	place->note = note;
	for (int i = 0; i < 2; i++) {
		place->sizes[i] = size_of(spool->fds[i]); /* I3 */
		if (place->sizes[i] == 0)
			carom_closep(&spool->fds[i]);
		place->spool.fds[i] = carom_take_fd(spool->fds[i]);
	}
	settle(output);
}

int carom_run_output_fd(const struct carom_run_output *output)
{
	if (!place_of(output, output->next)->is_filled)
		return -1;
	return output->stream == 0 ? STDOUT_FILENO : STDERR_FILENO;
}

/* PIPE_BUF bytes are what a pipe that is ready to be written takes without blocking. */
int carom_run_output_write(struct carom_run_output *output)
{
	struct carom_run_output_place *place = place_of(output, output->next);
	off_t left = place->sizes[output->stream] - output->offset;
	char bytes[PIPE_BUF];
	ssize_t n;

	n = pread(place->spool.fds[output->stream], bytes,
		  left < (off_t)sizeof(bytes) ? (size_t)left : sizeof(bytes), output->offset);
	if (n > 0)
		n = write(carom_run_output_fd(output), bytes, (size_t)n);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	output->offset += n;
	if (n == 0) /* cut short by a process that was left behind */
		place->sizes[output->stream] = output->offset;
	settle(output);
	return 0;
}

void carom_run_output_discard(struct carom_run_output *output)
{
	for (size_t i = 0; i < output->capacity; i++) {
		output->places[i].sizes[0] = output->places[i].sizes[1] = 0;
		carom_run_spool_close(&output->places[i].spool);
		free(output->places[i].note);
		output->places[i].note = NULL;
	}
	settle(output);
}

/* --- its life ---------------------------------------------------------- */

int carom_run_output_init(struct carom_run_output *output, size_t capacity)
{
	*output = (struct carom_run_output){ .capacity = capacity };
	output->places = calloc(capacity, sizeof(*output->places));
	if (!output->places)
		return -ENOMEM;
	for (size_t i = 0; i < capacity; i++)
		output->places[i].spool = CAROM_RUN_SPOOL_NONE;
	return 0;
}

static void close_place(struct carom_run_output_place *place)
{
	carom_run_spool_close(&place->spool);
	free(place->note);
}

void carom_run_output_deinit(struct carom_run_output *output)
{
	for (size_t i = 0; output->places && i < output->capacity; i++)
		close_place(&output->places[i]);
	free(output->places);
	output->places = NULL;
}

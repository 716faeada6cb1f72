/*
 * Door
 *
 * A simplex pair of sockets through which descriptors go (ipc/passing.c), each of them an end of
 * a pipe. Deadlines, threads and children are those of connections; so is what happens when a
 * client dies on its way: who takes its end out finds it closed.
 */
#include "ipc/door.h"

#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "ipc/passing.h"
#include "ipc/pipe.h"

struct carom_door {
	struct carom_connection *inside;
	struct carom_connection *outside;
};

int carom_door_new(struct carom_door **ret_door)
{
	struct carom_door *door = calloc(1, sizeof(*door));
	int r;

	if (!door)
		return -ENOMEM;
	r = carom_pipe_new(&CAROM_PIPE_OPTIONS(.is_socket = true, .is_simplex = true),
			   &door->inside, &door->outside);
	if (r < 0)
		free(door);
	else
		*ret_door = door;
	return r;
}

struct carom_door *carom_door_free(struct carom_door *door)
{
	if (!door)
		return NULL;
	carom_connection_free(door->inside);
	carom_connection_free(door->outside);
	free(door);
	return NULL;
}

int carom_door_fd(const struct carom_door *door)
{
	return carom_connection_fd(door->inside);
}

int carom_door_enter(struct carom_door *door, uint64_t message_max, uint64_t deadline_ns,
		     struct carom_connection **ret_connection)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *mine = NULL;
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *theirs = NULL;
	int r = carom_pipe_new(&CAROM_PIPE_OPTIONS(.message_max = message_max), &mine, &theirs);

	if (r == 0)
		r = carom_connection_send_fd(door->outside, carom_connection_fd(theirs),
					     deadline_ns);
	if (r == 0)
		*ret_connection = carom_take_ptr(mine);
	return r;
}

int carom_door_open(struct carom_door *door, const struct carom_connection_options *options,
		    uint64_t deadline_ns, struct carom_connection **ret_connection)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r = carom_connection_recv_fd(door->inside, deadline_ns, &fd);

	if (r == 0)
		r = carom_connection_new_take(fd, options, ret_connection);
	if (r == 0)
		fd = -1;
	return r;
}

/* What children of every start method do with a pipe; in the suite and in tests/ipc/child.c. */
#ifndef TESTS_IPC_ANSWER_H
#define TESTS_IPC_ANSWER_H

#include <stddef.h>

#include "core/process.h"
#include "core/time.h"
#include "ipc/connection.h"

/* Its first descriptor is the pipe's. The manual's example. */
static int answer_by_pipe(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(20));
	char text[16];

	if (fd_count != 1 || carom_connection_new_take(fds[0], NULL, &connection) < 0)
		return 1;
	if (!carom_connection_is_shared_memory(connection))
		return 2;
	if (carom_connection_recv_bytes_into(connection, text, sizeof(text), deadline_ns, &size) <
	    0)
		return 3;
	return carom_connection_send_bytes(connection, text, size, deadline_ns) < 0 ? 4 : 0;
}
CAROM_REGISTER(answer_by_pipe);

#endif

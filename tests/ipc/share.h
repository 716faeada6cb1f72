/* What children of every start method do with a queue; in the suite and in tests/pool/child.c. */
#ifndef TESTS_IPC_SHARE_H
#define TESTS_IPC_SHARE_H

#include <errno.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/process.h"
#include "core/time.h"
#include "ipc/queue.h"

/* Its first descriptor is a queue of numbers; one more than each goes into the second one. */
static int answer_numbers(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *questions = NULL;
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *answers = NULL;
	int64_t number;
	size_t length;
	int r;

	if (carom_queue_attach_dup(fds[0], &questions) < 0 ||
	    carom_queue_attach_dup(fds[1], &answers) < 0)
		return 1;
	while ((r = carom_queue_get(questions, &number, sizeof(number), CAROM_NO_DEADLINE,
				    &length)) == 0) {
		number++;
		if (carom_queue_put(answers, &number, sizeof(number), CAROM_NO_DEADLINE) < 0)
			return 2;
	}
	return r == -EPIPE ? 0 : 3;
}
CAROM_REGISTER(answer_numbers);

#endif

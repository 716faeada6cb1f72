/**
 * DOC: exit_code
 *
 * With which status a worker's process ends. Billiard's numbers.
 *
 * What a task exits with by itself is its own: exit(7) in a task gives 7, and the task
 * is lost. Only a worker that runs no task at the time ends in one of these ways.
 */
#ifndef CAROM_POOL_EXIT_CODE_H
#define CAROM_POOL_EXIT_CODE_H

/**
 * enum carom_worker_exit_code - exit statuses of workers
 * @CAROM_WORKER_EXIT_OK:       in good order: there is no more work. Row WK-01
 * @CAROM_WORKER_EXIT_FAILURE:  it could not begin: its initializer failed, or there was no
 *                              memory. Row WK-02
 * @CAROM_WORKER_EXIT_SOFTWARE: a second, other signal came while it was ending. Row WK-04
 * @CAROM_WORKER_EXIT_RECYCLE:  it has had max_tasks_per_child or
 *                              max_memory_per_child_bytes. Row WK-03
 *
 * One that was told to end by a signal ends by that signal. Row WK-05.
 */
enum carom_worker_exit_code {
	CAROM_WORKER_EXIT_OK = 0,
	CAROM_WORKER_EXIT_FAILURE = 1,
	CAROM_WORKER_EXIT_SOFTWARE = 70,
	CAROM_WORKER_EXIT_RECYCLE = 155,
};

#endif

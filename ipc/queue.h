/**
 * DOC: queue
 *
 * Messages from any number of processes and threads to any number of others, each to one of
 * them, in one order:
 *
 *	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *jobs = NULL;
 *
 *	r = carom_queue_new(&CAROM_QUEUE_OPTIONS(.size_max = 100), &jobs);
 *	...					// children by fork() have it, others attach
 *	r = carom_queue_put(jobs, &job, sizeof(job), CAROM_NO_DEADLINE);
 *
 *	while ((r = carom_queue_get(jobs, &job, sizeof(job), CAROM_NO_DEADLINE, &size)) == 0)
 *		work(&job);			// in another process; ends with -EPIPE
 *
 * A message is in shared memory when carom_queue_put() returns: its producer may end at once,
 * no thread carries it on, and nobody has to be joined or flushed before anybody else. It may
 * have any size, 0 included, as long as it fits in the queue.
 *
 * A death costs the message that was being put or that had just been got, and nothing else: no
 * other one is lost, none comes twice, and nobody waits for the dead. What is to become of
 * those that a consumer had got and not yet done, a queue with tasks decides, which knows
 * carom_queue_task_done() and carom_queue_join().
 *
 * A process is a producer from its first put, or carom_queue_add_producer(), until it closes its
 * side, or ends. When the last one is gone and the queue is empty, getting says -EPIPE. That is
 * what is so now: it works again if another producer comes. Where producers come one after
 * the other, say how many will: producer_count.
 *
 * A deadline is kept even where somebody was stopped inside a call, within a tenth of a second.
 *
 * Of a process, not of a thread: a thread that ends changes nothing. execve(2) and the end of
 * the handle count as a death. All users live in one PID namespace and trust each other.
 */
#ifndef CAROM_IPC_QUEUE_H
#define CAROM_IPC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/time.h"

CAROM_BEGIN_DECLS

struct carom_queue;

/* The most messages a queue can hold, and the most bytes it can be made for. */
#define CAROM_QUEUE_SIZE_MAX  INT32_MAX
#define CAROM_QUEUE_BYTES_MAX CAROM_GIB(32)

/**
 * enum carom_queue_tasks - are messages tasks, that somebody has to finish after getting them?
 * @CAROM_QUEUE_NO_TASKS:      no; carom_queue_task_done() and carom_queue_join() are not for it
 * @CAROM_QUEUE_TASKS_REQUEUE: yes; those of a consumer that died are got again by others
 * @CAROM_QUEUE_TASKS_DONE:    yes; those of a consumer that died count as done
 * @CAROM_QUEUE_TASKS_KEEP:    yes; those of a consumer that died stay unfinished until others
 *                             say that they are done
 */
enum carom_queue_tasks {
	CAROM_QUEUE_NO_TASKS,
	CAROM_QUEUE_TASKS_REQUEUE,
	CAROM_QUEUE_TASKS_DONE,
	CAROM_QUEUE_TASKS_KEEP,
};

/**
 * struct carom_queue_options - what carom_queue_new() makes
 * @size_bytes:     size of this struct; CAROM_QUEUE_OPTIONS() fills it in
 * @name:           shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "queue"
 * @bytes_max:      room for messages: each takes its size, rounded up to 16, and 16 more; 0 means
 *                  64 MiB. Memory is taken as it is needed, and kept for later messages. Tasks
 *                  that are not done keep their room
 * @size_max:       messages there can be; 0 means CAROM_QUEUE_SIZE_MAX
 * @process_max:    processes that can use it at one time; 0 means 1024; at most 16383
 * @producer_count: so many producers come at least before they can all be gone; 0 means 1
 * @tasks:          whether messages are tasks
 * @needs_consumers: putting says -EPIPE once there have been consumers and all are gone
 * @carries_fds: documents in it (exchange.h) may have descriptors. What it costs is five descriptors
 *                  in each process. Not with CAROM_QUEUE_TASKS_REQUEUE
 */
struct carom_queue_options {
	size_t size_bytes;
	const char *name;
	uint64_t bytes_max;
	uint32_t size_max;
	uint32_t process_max;
	uint32_t producer_count;
	enum carom_queue_tasks tasks;
	bool needs_consumers;
	bool carries_fds;
	uint8_t reserved[6]; /* 0 */
};
#define CAROM_QUEUE_OPTIONS(...) CAROM_OPTIONS(carom_queue_options, __VA_ARGS__)

/**
 * carom_queue_new() - make a queue
 * @options:   read during the call only; NULL for all defaults
 * @ret_queue: the caller owns it and ends it with carom_queue_free(); in a forked child, the
 *             child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_queue untouched,
 *	-EINVAL  bytes_max, size_max or process_max is too large, tasks is unknown, or do not go
 *	         with carries_fds, or reserved is not 0; or @options was not made by
 *	         CAROM_QUEUE_OPTIONS()
 *	-E2BIG   @options sets a field newer than this library
 *	-EOPNOTSUPP  the C library's list of held locks has an unknown layout; or, with
 *	         carries_fds, this kernel keeps no descriptors in a socket
 *	-ENOMEM  also: the machine or a control group has no memory left for it
 *	-EMFILE, -ENFILE, -EFBIG  from memfd_create(2)
 */
CAROM_API int carom_queue_new(const struct carom_queue_options *options,
			      struct carom_queue **ret_queue);

/**
 * carom_queue_attach_dup() - use a queue that another process made
 * @fd:        what carom_queue_fd() gave there; stays the caller's
 * @ret_queue: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_queue untouched, -EBADF, -EBADMSG (no queue), -EOPNOTSUPP, -ENOMEM,
 * -EMFILE.
 */
CAROM_API int carom_queue_attach_dup(int fd, struct carom_queue **ret_queue);

/**
 * carom_queue_free() - unmap and close; other processes keep theirs
 * @queue: NULL is allowed. No thread of this process is inside a call for it. It closes both
 *         sides; tasks that this process has got by this handle and not done are as those of
 *         one who died
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_queue *carom_queue_free(struct carom_queue *queue);
CAROM_API void carom_queue_freep(struct carom_queue **queue);

/** carom_queue_fd() - its descriptor, CLOEXEC; stays the queue's. MT-Safe, AS-Safe. */
CAROM_API int carom_queue_fd(const struct carom_queue *queue);

/**
 * carom_queue_put() - put a message
 * @data:        @size bytes, copied; may be NULL if @size is 0
 * @deadline_ns: how long to wait for room; CAROM_PASSED only looks
 *
 * A signal does not end the wait. A large message may wait for its room while smaller ones pass.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that has it, forked children included. Blocks.
 * A process's first call starts a thread if the process has none for this yet.
 * Return: 0, or, and nothing was put,
 *	-EAGAIN     no room, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT  no room by @deadline_ns
 *	-EMSGSIZE   it would not fit in the empty queue
 *	-EINVAL     no @data
 *	-ENOMEM     the machine or a control group has no memory left for it, or no thread could
 *	            be started
 *	-ESHUTDOWN  carom_queue_shutdown(), by anybody; or carom_queue_close() by this process
 *	-ECANCELED  carom_queue_abort()
 *	-EPIPE      it needs consumers, and all are gone. No signal is sent
 *	-EUSERS     as many processes as its maker allowed use it already
 */
CAROM_API int carom_queue_put(struct carom_queue *queue, const void *data, size_t size,
			      uint64_t deadline_ns);

/**
 * carom_queue_get() - get the first message
 * @buffer:   where it goes; NULL if @capacity is 0. Overwritten even by what fails
 * @capacity: room in @buffer; a longer message stays where it is
 * @ret_size: its length; also with -EMSGSIZE; may be NULL
 *
 * A signal does not end the wait.
 *
 * Context: as carom_queue_put().
 * Return: 0, or
 *	-EAGAIN     there is none, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT  there is none by @deadline_ns
 *	-EMSGSIZE   it is longer than @capacity, and still the first
 *	-EPIPE      it is empty, and all producers are gone; and no task is at work that could
 *	            still be returned by a death, unless this process has one itself
 *	-ESHUTDOWN  it is shut down, and likewise; or carom_queue_close_consumer() by this process
 *	-ECANCELED, -EUSERS, -ENOMEM  as above
 */
CAROM_API int carom_queue_get(struct carom_queue *queue, void *buffer, size_t capacity,
			      uint64_t deadline_ns, size_t *ret_size);

/**
 * carom_queue_get_bytes() - the same, into memory that is as large as the message
 * @size_max: a longer one stays where it is; 0: no limit
 * @ret_data: the message, and a NUL behind it; the caller's, to be freed with free(3)
 * @ret_size: its length; also with -EMSGSIZE; may be NULL
 *
 * Context: as carom_queue_get(); AS-Unsafe heap.
 * Return: as carom_queue_get(), with *@ret_data untouched on failure; -ENOMEM: the message stays.
 */
CAROM_API int carom_queue_get_bytes(struct carom_queue *queue, size_t size_max,
				    uint64_t deadline_ns, void **ret_data, size_t *ret_size);

/**
 * carom_queue_qsize() - how many messages there are
 *
 * Exactly as many as there were at one moment of the call. The same in every process.
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 */
CAROM_API uint32_t carom_queue_qsize(const struct carom_queue *queue);

/** carom_queue_is_empty() - are there none? As above. */
CAROM_API bool carom_queue_is_empty(const struct carom_queue *queue);

/** carom_queue_is_full() - are there size_max of them? As above; bytes do not count. */
CAROM_API bool carom_queue_is_full(const struct carom_queue *queue);

/**
 * carom_queue_add_producer() - this process is a producer from now on, before its first put
 *
 * Context: as carom_queue_put(); waits for nobody but another call that is at work.
 * Return: 0, -ESHUTDOWN, -ECANCELED, -EUSERS, -ENOMEM as above.
 */
CAROM_API int carom_queue_add_producer(struct carom_queue *queue);

/**
 * carom_queue_close() - this process puts nothing more
 *
 * Nor do children that it forks from now on. All that it has put is there and stays. What
 * other handles of this process do is not told by this one.
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 */
CAROM_API void carom_queue_close(struct carom_queue *queue);

/** carom_queue_close_consumer() - this process gets nothing more. As carom_queue_close(). */
CAROM_API void carom_queue_close_consumer(struct carom_queue *queue);

/**
 * carom_queue_shutdown() - nobody puts anything more, and who waits is told
 * @is_immediate: nor does anybody get anything: what is in the queue is discarded, and counts as
 *                done. What was got already is not done by that
 *
 * For good, by whoever has it. Otherwise what is in the queue can still be got. A process that
 * is killed in the call has shut it down, and who waits is told, or has not.
 *
 * Context: as carom_queue_close(); a process that is stopped inside a call holds it up.
 */
CAROM_API void carom_queue_shutdown(struct carom_queue *queue, bool is_immediate);

/**
 * carom_queue_abort() - every call that waits or comes says -ECANCELED, for good
 *
 * For when it is broken what the messages were for. May have to be called again if a process is
 * killed in the call that has neither put nor got anything before: who waits may not be told.
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 */
CAROM_API void carom_queue_abort(struct carom_queue *queue);

/**
 * carom_queue_task_done() - a task that was got is finished
 *
 * The one that this process has had longest; if it has none, of those that others have.
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 * Return: 0, or
 *	-EINVAL     nobody has a task, or it is a queue without tasks
 *	-ECANCELED, -EUSERS, -ENOMEM  as above
 */
CAROM_API int carom_queue_task_done(struct carom_queue *queue);

/**
 * carom_queue_join() - wait until all that was put is got and done
 *
 * Context: as carom_queue_put().
 * Return: 0, or
 *	-EAGAIN     not yet, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT  not by @deadline_ns
 *	-EINVAL     it is a queue without tasks
 *	-ECANCELED, -EUSERS, -ENOMEM  as above
 */
CAROM_API int carom_queue_join(struct carom_queue *queue, uint64_t deadline_ns);

/** carom_queue_unfinished() - tasks that are put and not done; 0 without tasks. MT-Safe, AS-Unsafe lock. */
CAROM_API uint32_t carom_queue_unfinished(struct carom_queue *queue);

struct carom_waitable;

/**
 * carom_queue_waitable() - to wait for what is to be got, beside other things: see ipc/wait.h
 *
 * The first such wait of a process starts a thread for this queue, which sleeps until others that
 * use it die.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: what stays the queue's.
 */
CAROM_API struct carom_waitable *carom_queue_waitable(struct carom_queue *queue);

/**
 * carom_queue_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL
 *
 *	<Queue size=3 max=100 producers=2 consumers=1>
 *
 * Context: MT-Safe, AS-Safe.
 * Return: @text.
 */
CAROM_API char *carom_queue_describe(const struct carom_queue *queue, char *text, size_t size);

CAROM_END_DECLS

#endif

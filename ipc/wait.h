/**
 * DOC: wait
 *
 * Wait for the first of several things: messages, clients, results, the ends of processes,
 * whatever has a descriptor:
 *
 *	struct carom_wait_item items[] = {
 *		CAROM_WAIT_FOR_CONNECTION(connection),
 *		CAROM_WAIT_FOR_LISTENER(listener),
 *		CAROM_WAIT_FOR_QUEUE(jobs),
 *		CAROM_WAIT_FOR_RESULT(result),		// pool/result.h
 *		CAROM_WAIT_FOR_FD(carom_process_sentinel(process)),
 *	};
 *
 *	r = carom_wait(items, 5, carom_deadline_after(CAROM_SECONDS(1)));
 *	if (r > 0 && items[0].is_ready)
 *		r = carom_connection_recv_bytes(connection, ...);
 *
 * It is what Python's multiprocessing.connection.wait() does, and it does so for what has no
 * descriptor, too. Of such things, up to 128 that are all of this kind cost one system call; beside
 * descriptors, or where there is no futex_waitv(2), they cost a thread or more for as long as
 * the wait lasts.
 */
#ifndef CAROM_IPC_WAIT_H
#define CAROM_IPC_WAIT_H

#include "connection.h"
#include "listener.h"
#include "queue.h"

CAROM_BEGIN_DECLS

struct carom_waitable;

/**
 * struct carom_wait_item - one thing to wait for; made by one of the macros below
 * @connection: something can be received, or it is the end; or NULL
 * @listener:   carom_listener_accept() has work; or NULL
 * @waitable:   what carom_queue_waitable() and carom_result_waitable() say; or NULL
 * @fd:         readable, hung up or in error; with none of the others
 * @is_ready:   set by carom_wait()
 */
struct carom_wait_item {
	struct carom_connection *connection;
	const struct carom_listener *listener;
	struct carom_waitable *waitable;
	int32_t fd;
	bool is_ready;
	uint8_t reserved[3]; /* 0 */
};
#define CAROM_WAIT_FOR_CONNECTION(c) ((struct carom_wait_item){ .connection = (c), .fd = -1 })
#define CAROM_WAIT_FOR_LISTENER(l)   ((struct carom_wait_item){ .listener = (l), .fd = -1 })
#define CAROM_WAIT_FOR(w)            ((struct carom_wait_item){ .waitable = (w), .fd = -1 })
#define CAROM_WAIT_FOR_QUEUE(q)      CAROM_WAIT_FOR(carom_queue_waitable(q))
#define CAROM_WAIT_FOR_FD(number)    ((struct carom_wait_item){ .fd = (number) })

/**
 * carom_wait() - until one of them at least is ready
 * @items: @count of them; @is_ready of each is set. The same thing may be among them twice
 *
 * A queue is ready when carom_queue_get() would not wait: there is a message, or none comes any
 * more, also because the last producer has died. A result is ready when it has ended.
 *
 * Another thread, or process, may be faster, so receive with a deadline. A deadline is kept to the
 * nanosecond, as far as the kernel does; a signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: how many are ready; or, with @items as they were,
 *	-EAGAIN     none, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT  none by @deadline_ns
 *	-EBADF      one is not open
 *	-EINVAL     @count is 0, or descriptors are more than the process may have open
 *	-EUSERS     as many processes use a queue already as its maker allowed
 *	-ECHILD     a result is from before fork()
 *	-ENOMEM     also: no thread could be started
 *	-EMFILE, -ENFILE
 */
CAROM_API int carom_wait(struct carom_wait_item *items, size_t count, uint64_t deadline_ns);

CAROM_END_DECLS

#endif

/*
 * Duct
 *
 * One end of a pipe through shared memory, as a connection uses it: messages to and from
 * the other end, of any length, through a pair of rings. Its handle is one descriptor, a
 * socket with a letter in it (ipc/letter.h), from which any process attaches.
 *
 * Each direction has a lock that all processes of the end share. Begin takes it, end gives
 * it back; all else is done in between, by the same thread.
 */
#ifndef CAROM_IPC_DUCT_H
#define CAROM_IPC_DUCT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/patience.h"
#include "ipc/porter.h"
#include "ipc/ring_private.h"

struct carom_duct_end;

/**
 * struct carom_duct - a handle of an end
 * @end:        what all processes of this end share; of no other's
 * @rings:      what both ends share
 * @socket:     the handle; stays open as long as this is there; not this file's to close
 * @passing_fd, @bell_fd: of the letter, once they were needed; -1
 * @sends, @receives: some thread of this process has begun to
 * @pause_ns:   for how long a receiver leaves messages to gather, and
 * @sent:       what had been sent then: see ipc/duct_receive.c
 * @offset:     bytes of the record at hand that were read
 * @left:       bytes of the message at hand that were not
 * @is_within:  some were
 * @ask_ns:     @is_within, and nothing more is there: when it is asked whether its sender lives;
 *              0: that is yet to be said
 */
struct carom_duct {
	struct carom_duct_end *end;
	uint64_t end_size;
	void *rings;
	uint64_t rings_size;
	struct carom_ring out;
	struct carom_ring in;
	struct carom_patience out_patience;
	struct carom_patience in_patience;
	struct carom_porter_watch watch;
	int socket;
	_Atomic int passing_fd;
	_Atomic int bell_fd;
	_Atomic bool sends;
	_Atomic bool receives;
	uint32_t pause_ns;
	uint64_t sent;
	uint64_t offset;
	uint64_t left;
	uint64_t ask_ns;
	bool is_within;
};

/**
 * carom_duct_new_pair() - make a pipe
 * @capacity:  of each direction, in bytes; 0: the default
 * @spin_ns:   how long a wait may look before it sleeps
 * @ret_fds:   both ends' sockets; the caller's, CLOEXEC
 *
 * Return: 0, or why there is none: -ENOMEM, -EMFILE, -ETOOMANYREFS, ...
 */
int carom_duct_new_pair(uint64_t capacity, uint64_t spin_ns, bool is_simplex, int ret_fds[2]);

/**
 * carom_duct_attach() - use the end whose handle @socket is
 * Return: 0, -ENOENT (it is no such handle), -EBADMSG, -ENOMEM, -EMFILE.
 */
int carom_duct_attach(int socket, struct carom_duct **ret_duct);

/** carom_duct_free() - and what this thread has of it it gives back; before @socket is closed */
struct carom_duct *carom_duct_free(struct carom_duct *duct);

bool carom_duct_may_send(const struct carom_duct *duct);
bool carom_duct_may_receive(const struct carom_duct *duct);

/** carom_duct_passing_fd() - a socket for descriptors. Return: it, which stays the duct's; -EMFILE, ... */
int carom_duct_passing_fd(struct carom_duct *duct);

/* ---- sending ---- */

/**
 * carom_duct_begin_send() - nobody else sends at this end until carom_duct_end_send()
 * Return: 0 (also if this thread has begun before), -EAGAIN, -ETIMEDOUT, -EPIPE, -EBUSY (a
 * process that shares this end has not sent the rest of a message), -EBADMSG, ...
 */
int carom_duct_begin_send(struct carom_duct *duct, uint64_t deadline_ns);
void carom_duct_end_send(struct carom_duct *duct);

/** carom_duct_has_begun_send() - this thread. */
bool carom_duct_has_begun_send(const struct carom_duct *duct);

/**
 * carom_duct_send() - a message
 * @ret_sent: how much of it went, if not all of it; untouched else
 *
 * Return: 0, or why not all of it is sent: -EAGAIN, -ETIMEDOUT, -EPIPE, -EBADMSG, ...
 */
int carom_duct_send(struct carom_duct *duct, const void *data, size_t size, uint64_t deadline_ns,
		    size_t *ret_sent);

/** carom_duct_send_rest() - the same with what is left of a message of which some was sent */
int carom_duct_send_rest(struct carom_duct *duct, const void *data, size_t size,
			 uint64_t deadline_ns, size_t *ret_sent);

/** carom_duct_reserve() - room for a message that is a record. 0, -EMSGSIZE, -EAGAIN, ... */
int carom_duct_reserve(struct carom_duct *duct, size_t size, uint64_t deadline_ns, void **ret_data);

/** carom_duct_commit() - it is told of by carom_duct_end_send(). 0, -EINVAL */
int carom_duct_commit(struct carom_duct *duct, size_t size);

/* ---- receiving ---- */

/** carom_duct_begin_receive() - as carom_duct_begin_send() */
int carom_duct_begin_receive(struct carom_duct *duct, uint64_t deadline_ns);
void carom_duct_end_receive(struct carom_duct *duct);
bool carom_duct_has_begun_receive(const struct carom_duct *duct);

/**
 * carom_duct_look() - wait for a message
 * @ret_size: how long it is
 * @ret_data: all of it, in place; or NULL: it comes in parts
 *
 * Return: 0, -EAGAIN, -ETIMEDOUT, -EPIPE, -EBADMSG; -EAGAIN, -ENOMEM (no thread to be had
 * for the wait).
 */
int carom_duct_look(struct carom_duct *duct, uint64_t deadline_ns, uint64_t *ret_size,
		    const void **ret_data);

/**
 * carom_duct_read() - bytes of the message that was looked at
 * Return: how many; 0: the end; -ECONNABORTED: its sender died, it ends here; as above.
 */
ssize_t carom_duct_read(struct carom_duct *duct, void *buffer, size_t size, uint64_t deadline_ns);

/**
 * carom_duct_take() - a whole message, if it is known to be there, in one piece, and not too long
 * @ret_size: may be NULL
 *
 * Return: false: nothing has happened; carom_duct_look() tells more
 */
bool carom_duct_take(struct carom_duct *duct, void *buffer, size_t size, size_t *ret_size);

/** carom_duct_release() - the message in place is received. 0, -EINVAL (there is none) */
int carom_duct_release(struct carom_duct *duct);

/** carom_duct_is_within() - has this process received part of a message? */
static inline bool carom_duct_is_within(const struct carom_duct *duct)
{
	return duct->is_within;
}

/* ---- waiting beside other things ---- */

/**
 * carom_duct_poll_fd() - readable while there is something to receive, or the end
 *
 * It may be readable for nothing, until carom_duct_settle() has been called, or a message
 * has been waited for in vain.
 *
 * Return: a descriptor that stays the duct's; -EMFILE, -ENFILE.
 */
int carom_duct_poll_fd(struct carom_duct *duct);

/** carom_duct_settle() - Return: is there something to receive, or the end? Any thread */
bool carom_duct_settle(struct carom_duct *duct);

#endif

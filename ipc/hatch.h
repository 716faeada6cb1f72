/*
 * Hatch
 *
 * How descriptors go from who puts a message into a queue to who gets it: beside the queue,
 * through a socket that all users of the queue have both ends of. The kernel keeps what lies in
 * it, also when its sender has ended, and closes it when the last user of the queue is gone.
 *
 * Its handle is one descriptor, a socket with a letter (ipc/letter.h) in which the queue's own
 * is, too: so a queue with a hatch is handed on as any other.
 */
#ifndef CAROM_IPC_HATCH_H
#define CAROM_IPC_HATCH_H

#include <stddef.h>
#include <stdint.h>

#include "core/cleanup.h"

struct carom_hatch;

/**
 * carom_hatch_new() - make one
 * @queue_fd:    the queue's own descriptor; stays the caller's
 * @process_max: that can use it at a time
 *
 * Return: 0, -EMFILE, -ENFILE, -ENOMEM, -EOPNOTSUPP (this kernel shows no letters), ...
 */
int carom_hatch_new(int queue_fd, uint32_t process_max, struct carom_hatch **ret_hatch);

/**
 * carom_hatch_attach() - the one whose handle @fd is
 * @fd:           stays the caller's
 * @ret_queue_fd: the queue's own; the caller's
 *
 * Return: 0, -ENOENT (it is none), -EMFILE, -ENOMEM, ...
 */
int carom_hatch_attach(int fd, int *ret_queue_fd, struct carom_hatch **ret_hatch);

/** carom_hatch_free() - NULL is allowed. Return: NULL */
struct carom_hatch *carom_hatch_free(struct carom_hatch *hatch);
void carom_hatch_freep(struct carom_hatch **hatch);

/** carom_hatch_fd() - its handle, which stays its own */
int carom_hatch_fd(const struct carom_hatch *hatch);

/* ---- putting: one process at a time, with a number that is higher each time ---- */

/** carom_hatch_begin_put() - 0, -EAGAIN, -ETIMEDOUT, -EUSERS, -ENOMEM */
int carom_hatch_begin_put(struct carom_hatch *hatch, uint64_t deadline_ns);
void carom_hatch_end_put(struct carom_hatch *hatch);

/** carom_hatch_await_room() - for descriptors. 0, -EAGAIN, -ETIMEDOUT */
int carom_hatch_await_room(struct carom_hatch *hatch, uint64_t deadline_ns);

/** carom_hatch_push() - after a carom_hatch_await_room(). 0, -ETOOMANYREFS, -EBADF, ... */
int carom_hatch_push(struct carom_hatch *hatch, uint64_t number, const int *fds, size_t count);

/* ---- getting: one process at a time, in the order of the numbers ---- */

/** carom_hatch_begin_get() - 0, -EAGAIN, -ETIMEDOUT, -EUSERS, -ENOMEM */
int carom_hatch_begin_get(struct carom_hatch *hatch, uint64_t deadline_ns);
void carom_hatch_end_get(struct carom_hatch *hatch);

/**
 * carom_hatch_pull() - what was pushed with @number, and nothing is left of what was before
 * @deadline_ns: until when it may come still
 * @ret_fds:     room for @count; the caller's, CLOEXEC
 *
 * Return: 0, -ENODATA (it is gone, or never comes), -EBADMSG (others than @count), -EMFILE.
 */
int carom_hatch_pull(struct carom_hatch *hatch, uint64_t number, size_t count, uint64_t deadline_ns,
		     int *ret_fds);

/** carom_hatch_clear() - nobody will pull what lies in it */
void carom_hatch_clear(struct carom_hatch *hatch);

#endif

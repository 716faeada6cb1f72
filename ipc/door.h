/*
 * Door: where threads of a program connect to each other
 *
 * A client makes a pipe and hands one end of it in; who listens takes it out. On their way the
 * ends lie in a socket that has no name, so nobody comes in but who has the door: threads of
 * this process, and children by fork().
 */
#ifndef CAROM_IPC_DOOR_H
#define CAROM_IPC_DOOR_H

#include "ipc/connection.h"

struct carom_door;
struct carom_listener;

/** carom_door_new() - Return: 0, -EMFILE, -ENFILE, -ENOMEM */
int carom_door_new(struct carom_door **ret_door);

/** carom_door_free() - who was handed in and not taken out is refused. Return: NULL */
struct carom_door *carom_door_free(struct carom_door *door);

/** carom_door_fd() - readable when there is somebody */
int carom_door_fd(const struct carom_door *door);

/**
 * carom_door_enter() - a pipe, whose other end is handed in
 * @message_max: of this end
 *
 * MT-Safe. Return: 0, -EAGAIN, -ETIMEDOUT (no room), -ETOOMANYREFS, -EMFILE, -ENFILE, -ENOMEM
 */
int carom_door_enter(struct carom_door *door, uint64_t message_max, uint64_t deadline_ns,
		     struct carom_connection **ret_connection);

/**
 * carom_door_open() - take the next end out
 * @options: what it becomes
 *
 * Return: 0, -EAGAIN, -ETIMEDOUT (nobody has come), -EMFILE, -ENFILE, -ENOMEM: it is lost
 */
int carom_door_open(struct carom_door *door, const struct carom_connection_options *options,
		    uint64_t deadline_ns, struct carom_connection **ret_connection);

/** carom_listener_door() - of CAROM_FAMILY_THREADS; NULL: closed. -EINVAL: another family */
int carom_listener_door(const struct carom_listener *listener, struct carom_door **ret_door);

#endif

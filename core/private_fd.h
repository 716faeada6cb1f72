/*
 * Private descriptors
 *
 * Descriptors that are of no use in a copy of this process, and are closed there before
 * fork() returns: a host program that forks does not hand them on. (exec closes them
 * anyway: all are CLOEXEC.)
 */
#ifndef CAROM_CORE_PRIVATE_FD_H
#define CAROM_CORE_PRIVATE_FD_H

/** struct carom_private_fd - part of what owns the descriptor; its content is private */
struct carom_private_fd {
	int fd;
	struct carom_private_fd *next;
	struct carom_private_fd **link;
};

/** carom_private_fd_add() - from now on; @owner stays where it is until it is removed. MT-Safe. */
void carom_private_fd_add(struct carom_private_fd *owner, int fd);

/** carom_private_fd_remove() - before the descriptor is closed. Nothing if it was not added. MT-Safe. */
void carom_private_fd_remove(struct carom_private_fd *owner);

#endif

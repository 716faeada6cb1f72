/**
 * DOC: peer
 *
 * Who is at the other end of a connection: a process of this machine, as the kernel knows
 * it, or an address.
 */
#ifndef CAROM_IPC_PEER_H
#define CAROM_IPC_PEER_H

#include "connection.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_peer - the other end
 * @family: AF_UNIX, AF_INET or AF_INET6
 * @port:   of AF_INET and AF_INET6
 * @pid:    of AF_UNIX: the process that connected, or listened, or made the pair, at that
 *          time; 0 if it cannot be seen from here. Another family: 0
 * @uid:    and its user; another family: (uid_t)-1
 * @gid:    and its group; another family: (gid_t)-1
 * @host:   of AF_INET and AF_INET6, in digits; else ""
 *
 * A pid may be another process's by now: see carom_connection_peer_pidfd().
 */
struct carom_peer {
	int family;
	uint16_t port;
	uint16_t reserved;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	char host[64];
};

/**
 * carom_connection_peer() - who is at the other end
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADF (closed), -ENOTSOCK (a pipe), -ENOTCONN (gone already).
 */
CAROM_API int carom_connection_peer(const struct carom_connection *connection,
				    struct carom_peer *ret_peer);

/**
 * carom_connection_peer_pidfd() - a descriptor of the process that is struct carom_peer's pid
 * @ret_fd: the caller's to close; CLOEXEC; readable when the process has ended
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, or, with *@ret_fd untouched,
 *	-EOPNOTSUPP  before Linux 6.5, or no AF_UNIX socket
 *	-ESRCH       that process is gone
 *	-EBADF, -ENOTSOCK, -EMFILE
 */
CAROM_API int carom_connection_peer_pidfd(const struct carom_connection *connection, int *ret_fd);

CAROM_END_DECLS

#endif

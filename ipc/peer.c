/*
 * Peer
 */
#include "ipc/peer.h"

#include <errno.h>
#include <sys/socket.h>

#include "ipc/connection_private.h"
#include "ipc/endpoint.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int take_credentials(int fd, struct carom_peer *peer)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	peer->pid = credentials.pid;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	return 0;
}

int carom_connection_peer(const struct carom_connection *connection, struct carom_peer *ret_peer)
{
	struct carom_peer peer = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	int fd = connection->stream.fd, r;
	union carom_address address;
	socklen_t size = sizeof(address);

	if (getpeername(fd, &address.any, &size) < 0)
		return -errno;
	peer.family = address.any.sa_family;
	r = peer.family == AF_UNIX
		    ? take_credentials(fd, &peer)
		    : carom_address_spell(&address, &peer.port, peer.host, sizeof(peer.host));
	if (r == 0)
		*ret_peer = peer;
	return r;
}

int carom_connection_peer_pidfd(const struct carom_connection *connection, int *ret_fd)
{
	int pidfd;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(connection->stream.fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
		*ret_fd = pidfd;
		return 0;
	}
	if (errno == EINVAL) /* what older kernels say of a process that was reaped */
		return -ESRCH;
	return errno == ENOPROTOOPT || errno == ENODATA ? -EOPNOTSUPP : -errno;
}

/*
 * Endpoint: where a listener listens and a client connects to, as the kernel wants it
 */
#ifndef CAROM_IPC_ENDPOINT_H
#define CAROM_IPC_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/**
 * struct carom_place - as a program says it
 * @path: of AF_UNIX; with an @ in front, the name of an abstract one; NULL
 * @host: of AF_INET or AF_INET6; NULL: the loopback
 * @family: 0: whatever @path and @host mean
 */
struct carom_place {
	const char *path;
	const char *host;
	uint16_t port;
	int family;
};

/** union carom_address - of a socket of any of the families */
union carom_address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/**
 * struct carom_endpoint - as the kernel wants it
 * @directory_fd: of a path: its directory, O_PATH; else -1. carom_endpoint_end() closes it
 * @file: of a path: what stands in that directory; part of the place's path
 */
struct carom_endpoint {
	union carom_address address;
	socklen_t size;
	int directory_fd;
	const char *file;
};

/**
 * carom_place_family() - AF_UNIX, AF_INET or AF_INET6; -EINVAL: @place means none, or two;
 * -EAFNOSUPPORT: another family
 */
int carom_place_family(const struct carom_place *place);

/**
 * carom_endpoint_begin() - find it
 *
 * A path that is too long for an address is said by way of its directory. Looks up a host's
 * name, which may block.
 *
 * Return: 0, -EINVAL, -EAFNOSUPPORT, -ENAMETOOLONG, -ENOENT, -ENOTDIR, -EACCES, -EMFILE,
 * -EADDRNOTAVAIL (no such host), -ENOMEM, ...
 */
int carom_endpoint_begin(const struct carom_place *place, struct carom_endpoint *ret_endpoint);

void carom_endpoint_end(struct carom_endpoint *endpoint);

/** carom_endpoint_socket() - a stream socket for it, CLOEXEC; or a negative errno */
int carom_endpoint_socket(const struct carom_endpoint *endpoint);

/**
 * carom_address_spell() - of AF_INET and AF_INET6: the port, and the host in digits
 * @host: at least INET6_ADDRSTRLEN bytes
 *
 * Return: 0, -EOPNOTSUPP: it is of another family.
 */
int carom_address_spell(const union carom_address *address, uint16_t *ret_port, char *host,
			size_t size);

#endif

/*
 * Endpoint
 *
 * The kernel's address has room for a path of 107 bytes. A longer one is
 * /proc/self/fd/N/FILE, where N is its directory: the same file, and the same for whoever
 * looks it up by its real path.
 *
 * Two backslashes in front are the name of a pipe of Windows, which nobody means as a path.
 */
#include "ipc/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define PATH_ROOM sizeof(((struct sockaddr_un *)0)->sun_path)

/* ---- which family ---- */

static int family_of_host(const char *host)
{
	return strchr(host, ':') ? AF_INET6 : AF_INET;
}

static int meant_family(const struct carom_place *place)
{
	if (place->path)
		return AF_UNIX;
	if (place->family)
		return place->family;
	if (place->host)
		return family_of_host(place->host);
	return place->port ? AF_INET : AF_UNIX;
}

int carom_place_family(const struct carom_place *place)
{
	int family = meant_family(place);

	if ((place->path && (place->host || place->port)) ||
	    (place->family && place->family != family) ||
	    (family == AF_UNIX && (place->host || place->port)))
		return -EINVAL;
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 ? family
									    : -EAFNOSUPPORT;
}

/* ---- paths ---- */

static int find_abstract(const char *name, struct carom_endpoint *endpoint)
{
	struct sockaddr_un *un = &endpoint->address.un;
	size_t size = strlen(name);

	if (size == 0)
		return -EINVAL;
	if (size > PATH_ROOM - 1)
		return -ENAMETOOLONG;
	memcpy(un->sun_path + 1, name, size);
	endpoint->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
	return 0;
}

static int open_directory(const char *path, const char *slash)
{
	char directory[PATH_MAX];
	size_t size = slash ? (size_t)(slash - path) + 1 : 1;
	int fd;

	if (size >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, slash ? path : ".", size);
	directory[size] = '\0';
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int find_path(const char *path, struct carom_endpoint *endpoint)
{
	struct sockaddr_un *un = &endpoint->address.un;
	const char *slash = strrchr(path, '/');
	int n;

	endpoint->file = slash ? slash + 1 : path;
	if (*endpoint->file == '\0' || strncmp(path, "\\\\", 2) == 0)
		return -EINVAL;
	endpoint->directory_fd = open_directory(path, slash);
	if (endpoint->directory_fd < 0)
		return endpoint->directory_fd;
	if (strlen(path) < PATH_ROOM)
		n = snprintf(un->sun_path, PATH_ROOM, "%s", path);
	else
		n = snprintf(un->sun_path, PATH_ROOM, "/proc/self/fd/%d/%s", endpoint->directory_fd,
			     endpoint->file);
	endpoint->size = sizeof(*un);
	return n < (int)PATH_ROOM ? 0 : -ENAMETOOLONG;
}

static int find_unix(const char *path, struct carom_endpoint *endpoint)
{
	endpoint->address.un.sun_family = AF_UNIX;
	if (!path)
		return -EINVAL;
	return path[0] == '@' ? find_abstract(path + 1, endpoint) : find_path(path, endpoint);
}

/* ---- hosts ---- */

static int as_errno(int error)
{
	switch (error) {
	case EAI_SYSTEM:
		return -errno;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EHOSTUNREACH; /* whom to ask */
	default:
		return -EADDRNOTAVAIL;
	}
}

static int find_host(const struct carom_place *place, int family, struct carom_endpoint *endpoint)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *found;
	int error = getaddrinfo(place->host, "0", &hints, &found); /* no host: the loopback */

	if (error)
		return as_errno(error);
	memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
	endpoint->size = found->ai_addrlen;
	freeaddrinfo(found);
	if (family == AF_INET)
		endpoint->address.in.sin_port = htons(place->port);
	else
		endpoint->address.in6.sin6_port = htons(place->port);
	return 0;
}

int carom_endpoint_begin(const struct carom_place *place, struct carom_endpoint *ret_endpoint)
{
	struct carom_endpoint endpoint = { .directory_fd = -1 };
	int family = carom_place_family(place), r;

	if (family < 0)
		return family;
	r = family == AF_UNIX ? find_unix(place->path, &endpoint)
			      : find_host(place, family, &endpoint);
	if (r < 0)
		carom_endpoint_end(&endpoint);
	else
		*ret_endpoint = endpoint;
	return r;
}

void carom_endpoint_end(struct carom_endpoint *endpoint)
{
	carom_closep(&endpoint->directory_fd);
}

int carom_endpoint_socket(const struct carom_endpoint *endpoint)
{
	int family = endpoint->address.any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -errno;
	if (family != AF_UNIX) /* a message is worth a packet; who accepts has it from here */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

int carom_address_spell(const union carom_address *address, uint16_t *ret_port, char *host,
			size_t size)
{
	bool is_in = address->any.sa_family == AF_INET;

	if (!is_in && address->any.sa_family != AF_INET6)
		return -EOPNOTSUPP;
	*ret_port = ntohs(is_in ? address->in.sin_port : address->in6.sin6_port);
	inet_ntop(address->any.sa_family,
		  is_in ? (const void *)&address->in.sin_addr : &address->in6.sin6_addr, host,
		  (socklen_t)size);
	return 0;
}

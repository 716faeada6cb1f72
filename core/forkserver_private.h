/*
 * Fork server: what the program and the server say to each other
 *
 * Both are the same program image, one a fork of the other, so structs and
 * function addresses travel as they are. Descriptors travel beside them, the
 * cgroup last. Each packet begins with the key that only the two have: the program's end of
 * the socket is copied into whatever it forks, the page that the key stands in is not.
 */
#ifndef CAROM_CORE_FORKSERVER_PRIVATE_H
#define CAROM_CORE_FORKSERVER_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/forkserver.h"

#define CAROM_FORKSERVER_SLOT_COUNT 64

/* What the server sends first, when it has passed its self-test. */
#define CAROM_FORKSERVER_READY UINT32_C(0x79646572)

/** struct carom_server_key - random; equal in what comes from the other one */
struct carom_server_key {
	uint64_t words[2];
};

static inline bool carom_server_key_is(const struct carom_server_key *key,
				       const struct carom_server_key *other)
{
	return key->words[0] == other->words[0] && key->words[1] == other->words[1];
}

/**
 * struct carom_born - the page that program and server share
 * @pids: for each open request, 0 or the child the kernel has made for it
 * @key:  of these two; the page is in no process that either of them forks
 */
struct carom_born {
	_Atomic int32_t pids[CAROM_FORKSERVER_SLOT_COUNT];
	struct carom_server_key key;
};

/**
 * struct carom_server_request - one packet; @argument is cut to its size
 * @slot: of the request, among the 64 that may be open
 */
struct carom_server_request {
	struct carom_server_key key;
	carom_child_fn *function;
	uint32_t slot;
	uint32_t size;
	uint32_t fd_count;
	uint32_t has_cgroup;
	uint64_t namespaces;
	_Alignas(64) unsigned char argument[CAROM_FORKSERVER_ARGUMENT_MAX];
};

/** struct carom_server_reply - one packet, with the pidfd beside it if there is a child */
struct carom_server_reply {
	struct carom_server_key key;
	uint32_t slot;
	int32_t pid;
	int32_t error;
};

/**
 * carom_forkserver_serve() - what the server runs; it does not return
 * @socket_fd:   its end
 * @born:        shared with @program_pid
 *
 * Called right after fork(), with every signal blocked.
 */
_Noreturn void carom_forkserver_serve(int socket_fd, struct carom_born *born, pid_t program_pid);

/** carom_forkserver_try_locks() - use what another thread may have held at the fork */
void carom_forkserver_try_locks(void);

/*
 * One packet with descriptors beside it, both ways. Room for all of a request's,
 * and its cgroup.
 */
#define CAROM_PACKET_FDS_MAX (CAROM_FORKSERVER_FDS_MAX + 1)

/** carom_packet_send() - 0 or -errno of sendmsg(2). Never SIGPIPE. */
int carom_packet_send(int socket_fd, const void *packet, size_t size, const int *fds,
		      size_t fd_count, int flags);

/**
 * carom_packet_receive() - take one packet
 * @ret_fds:      CAROM_PACKET_FDS_MAX of them; CLOEXEC, the caller's
 * @ret_fd_count: how many there are
 * @ret_is_cut:   descriptors were sent that this process had no room for
 *
 * One with nothing in it, which is nobody's here, is passed over.
 * Return: its size; 0 when the other end is closed; -EAGAIN, or -errno of recvmsg(2).
 */
ssize_t carom_packet_receive(int socket_fd, void *packet, size_t size, int flags, int *ret_fds,
			     size_t *ret_fd_count, bool *ret_is_cut);

/** carom_packet_drop() - close what came with a packet that is not wanted */
void carom_packet_drop(const int *fds, size_t fd_count);

#endif

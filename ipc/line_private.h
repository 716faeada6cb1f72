/* The inside of a line: see ipc/line.c; and which way its messages go: ipc/line_way.c. */
#ifndef CAROM_IPC_LINE_PRIVATE_H
#define CAROM_IPC_LINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "ipc/cbor.h"
#include "ipc/chute.h"
#include "ipc/connection.h"
#include "ipc/line.h"
#include "ipc/turn.h"

/**
 * struct carom_way - how messages go to and fro
 * @chute:    NULL: through the connection alone
 * @patience: of who reads
 * @is_asked: the server was asked for a chute
 * @is_due:   and gives one: the next thing to come is its descriptor
 * @taken:    how many messages have come through the connection since there is one
 * @detour:   0; or all goes through the connection, until the answer to this call, or a later one
 */
struct carom_way {
	struct carom_chute *_Atomic chute;
	struct carom_patience patience;
	bool is_asked;
	bool is_due;
	uint32_t taken;
	_Atomic uint64_t detour;
};

struct waiter;

/**
 * struct carom_line - @lock is for what follows it, but for @cbor, which is whose turn it is
 * @options:  where to; what it points to is in @memory
 * @gate:     of who connects
 * @origin:   the process that @connection is of
 * @number:   of the connection
 * @turn:     of who sends
 * @buffer:   of who reads
 */
struct carom_line {
	_Atomic uint32_t owner_count;
	struct carom_client_options options;
	char *path;
	char *host;
	unsigned char *key;
	uint32_t depth_max;
	uint64_t silence_ns;
	struct carom_turn gate;
	_Atomic uint64_t origin;
	uint64_t number;
	struct carom_connection *connection;
	struct carom_way way;
	uint64_t send_max;
	struct carom_turn turn;
	struct carom_cbor cbor;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int error;
	uint64_t next_call;
	bool has_reader;
	struct waiter *waiters;
	unsigned char *buffer;
};

#define CAROM_LINE_BUFFER_SIZE ((size_t)CAROM_KIB(16))

/* What the server is asked for a chute with: no call has this number. */
#define CAROM_LINE_CHUTE_CALL ((uint64_t)INT64_MAX)

/** carom_way_begin_anew() - with another connection */
void carom_way_begin_anew(struct carom_way *way);

/** carom_way_may_ask() - with the turn: is it time for a chute? Says so once */
bool carom_way_may_ask(struct carom_line *line, uint64_t call);

/** carom_way_send() - with the turn: what is in the line's cbor. 0, or why it did not go */
int carom_way_send(struct carom_line *line, uint64_t call, uint64_t until_ns);

/** carom_way_look_out() - with the lock: a call is going to be made, and nobody reads */
void carom_way_look_out(struct carom_line *line);

/**
 * carom_way_receive() - who reads: a message
 * @ret_memory: NULL, or to be freed
 */
int carom_way_receive(struct carom_line *line, uint64_t until_ns, void **ret_memory,
		      const void **ret_data, size_t *ret_size);

/** carom_way_unanswered() - with the lock: a call is given up, which may be on its way yet */
void carom_way_unanswered(struct carom_line *line);

/** carom_way_answered() - who reads: this call's answer has come */
void carom_way_answered(struct carom_line *line, uint64_t call);

#endif

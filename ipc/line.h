/*
 * Line: a client's connection to a manager's server, and the calls that are under way on it
 *
 * Any number of threads call at the same time; each gets the answer to its own. A child by fork()
 * that calls gets a connection of its own first, and is another client to the server.
 */
#ifndef CAROM_IPC_LINE_H
#define CAROM_IPC_LINE_H

#include "ipc/client.h"
#include "ipc/object.h"

struct carom_line;

/** struct carom_answered - what came of a call: a value, or a proxy's number and type */
struct carom_answered {
	struct carom_document *document;
	const struct carom_object *value;
	uint64_t id;
	const char *type;
};

/**
 * struct carom_line_limits - what a server may do to this side
 * @depth_max:  how deep values may stand in each other
 * @silence_ns: see ipc/silence.h
 */
struct carom_line_limits {
	uint64_t silence_ns;
	uint32_t depth_max;
};

/**
 * carom_line_new() - connect
 * @options: where to, and with which key; copied
 *
 * Return: as carom_client_connect(); -EPROTO: the server speaks another version.
 */
int carom_line_new(const struct carom_client_options *options,
		   const struct carom_line_limits *limits, uint64_t deadline_ns,
		   struct carom_line **ret_line);
struct carom_line *carom_line_ref(struct carom_line *line);
struct carom_line *carom_line_unref(struct carom_line *line);
void carom_line_unrefp(struct carom_line **line);

/** carom_line_place() - where to, and with which key; the line's */
const struct carom_client_options *carom_line_place(const struct carom_line *line);

/**
 * carom_line_ready() - be connected in this process
 * @ret_connection_number: another one where it had to connect: nothing of what the server counted
 *                         for the other connection is this one's
 *
 * Return: 0, or as carom_line_new().
 */
int carom_line_ready(struct carom_line *line, uint64_t deadline_ns,
		     uint64_t *ret_connection_number);

/**
 * carom_line_call() - call a method, and wait for the answer
 * @object:     its number; 0: the server itself
 * @type:       of the object, for people
 * @arguments:  a tuple
 * @ret_answer: the document is the caller's
 *
 * Return: see ipc/proxy.h.
 */
int carom_line_call(struct carom_line *line, uint64_t object, const char *type, const char *method,
		    uint64_t deadline_ns, const struct carom_object *arguments,
		    struct carom_answered *ret_answer);

/** carom_line_tell() - call a method of the server's with a number, and want no answer */
void carom_line_tell(struct carom_line *line, const char *method, uint64_t number);

/** carom_line_tell_if() - if this is the connection that is in use */
void carom_line_tell_if(struct carom_line *line, uint64_t connection_number, const char *method,
			uint64_t number);

/** carom_line_error() - see carom_proxy_error() */
size_t carom_line_error(char *text, size_t size);

#endif

/**
 * DOC: request
 *
 * A call of a client's, as the method sees it that answers it (ipc/server.h). It is the method's
 * until that returns; one that has to wait for something keeps it, and answers later:
 *
 *	static int pop(void *object, struct carom_request *request)
 *	{
 *		struct pile *pile = object;
 *
 *		if (pile->count == 0) {
 *			append(&pile->waiting, request);
 *			return carom_request_defer(request, CAROM_NO_DEADLINE, forget, pile);
 *		}
 *		...
 *	}
 *
 * and when there is something, in another client's call:
 *
 *	carom_request_reply(first, "O", value);
 *	carom_request_finish(first, 0);
 *
 * while forget() takes one out of the pile whose client has gone, or has waited long enough. All
 * of this is for the server's thread.
 */
#ifndef CAROM_IPC_REQUEST_H
#define CAROM_IPC_REQUEST_H

#include "document.h"

CAROM_BEGIN_DECLS

struct carom_request;
struct carom_server;

/* what a method returns that will answer later */
#define CAROM_REQUEST_LATER 1

/*
 * Context of all that follow, down to carom_server_drop(): the server's thread alone, in a method
 * or where it answers later; AS-Unsafe heap. They never block. What they hand out is the
 * request's, unless they say otherwise.
 */

/** carom_request_arguments() - a tuple; the request's */
CAROM_API const struct carom_object *carom_request_arguments(const struct carom_request *request);

/** carom_request_argument() - one of them; NULL: there are not so many */
CAROM_API const struct carom_object *carom_request_argument(const struct carom_request *request,
							    size_t index);
CAROM_API size_t carom_request_argument_count(const struct carom_request *request);

/** carom_request_method() - the name that was called; of a make(), that of the type; the request's */
CAROM_API const char *carom_request_method(const struct carom_request *request);

/** carom_request_server() - which has it; stays its own */
CAROM_API struct carom_server *carom_request_server(const struct carom_request *request);

/**
 * struct carom_caller - who has called
 * @session: a client's connection: never 0, and never used again
 * @thread:  of the client's, by a number of its own
 */
struct carom_caller {
	uint64_t session;
	uint64_t thread;
};

/** carom_request_caller() - for what is owned: a lock is one thread's, and free when its client goes */
CAROM_API struct carom_caller carom_request_caller(const struct carom_request *request);

/**
 * carom_request_reply() - the result, as carom_document_build() makes it
 *
 * Return: 0, or as carom_document_build(): then there is none. Again: instead of the one before.
 */
CAROM_API int carom_request_reply(struct carom_request *request, const char *format, ...);

/** carom_request_reply_value() - the result is a copy of @value. 0, -EMSGSIZE, -ENOMEM */
CAROM_API int carom_request_reply_value(struct carom_request *request,
					const struct carom_object *value);

/**
 * carom_request_reply_object() - the result is a proxy of an object
 * @type:   registered in this server
 * @object: the server's from now on, which ends it by the type's end(); of one that it has
 *          already under this type, another reference
 *
 * Return: 0; -ENXIO: no such type; -ENOMEM. Then @object is still the caller's.
 */
CAROM_API int carom_request_reply_object(struct carom_request *request, const char *type,
					 void *object);

/**
 * carom_request_fail() - why it fails, for the caller to read
 * @error:  a negative errno value
 * @format: as printf(3)'s
 *
 * What the caller reads has the way to here, too. Return: @error.
 */
CAROM_API int carom_request_fail(struct carom_request *request, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * typedef carom_request_cancel_fn - a request is answered no more by who has deferred it
 * @reason: -ETIMEDOUT: its deadline passed; -EPIPE: its client has gone; -ECANCELED: the object,
 *          or the server, ends
 *
 * It forgets @request, which is finished with what it returns: @reason, or 0 with a reply. It may
 * not finish it itself.
 */
typedef int carom_request_cancel_fn(struct carom_request *request, void *userdata, int reason);

/**
 * carom_request_defer() - it is answered later, by carom_request_finish()
 * @deadline_ns: cancelled then, or earlier where the caller does not wait as long
 * @cancelled:   called once unless it is finished before
 *
 * Return: CAROM_REQUEST_LATER, for the method to return; or, where the time has passed already,
 * -ETIMEDOUT, and the request was not deferred; -ENOMEM.
 */
CAROM_API int carom_request_defer(struct carom_request *request, uint64_t deadline_ns,
				  carom_request_cancel_fn *cancelled, void *userdata);

/**
 * carom_request_finish() - answer a request that was deferred
 * @result: 0: what was replied, or None; or a negative errno value
 *
 * @request is gone.
 */
CAROM_API void carom_request_finish(struct carom_request *request, int result);

/**
 * carom_request_keep() - a copy of a value, for as long as the object likes
 * @ret_value: ended by carom_server_drop()
 *
 * Objects of this server that stand in it by their proxies live as long as it does.
 * Return: 0, -EMSGSIZE, -ENOMEM.
 */
CAROM_API int carom_request_keep(struct carom_request *request, const struct carom_object *value,
				 struct carom_document **ret_value);

/** carom_server_drop() - end a copy made by carom_request_keep(). NULL is allowed. Return: NULL */
CAROM_API struct carom_document *carom_server_drop(struct carom_server *server,
						   struct carom_document *value);

CAROM_END_DECLS

#endif

/**
 * DOC: proxy
 *
 * An object that a server has (ipc/server.h), and its methods, by name:
 *
 *	r = carom_manager_create(manager, "dict", deadline_ns, &dict, "");
 *	r = carom_proxy_call(dict, "__setitem__", deadline_ns, NULL, "si", "answer", 42);
 *	r = carom_proxy_call(dict, "get", deadline_ns, &document, "s", "answer");
 *	if (r == 0)
 *		r = carom_object_int(carom_document_root(document), &answer);
 *
 * What goes there is described as for carom_document_build() (ipc/document.h), and what comes back
 * is a copy: to change it changes nothing there. Proxies go there as well ("P"), also into lists
 * and dicts, which keep their objects alive.
 *
 * A method that fails there fails here, with the same errno value, and
 * carom_proxy_error() has what was said about it. These say something about the call itself:
 *
 *	-EPIPE      the server is gone, and with it the object: at once, and for each call; of one
 *	            on another machine also if nothing was heard from there for 30 s, or what
 *	            silence_ns of the manager says
 *	-ETIMEDOUT  no answer by the deadline, or a little later where the network is cut
 *	            (CAROM_PROXY_GRACE_NS): the call may have had its effect
 *	-EACCES     the type has that method, but not for clients
 *	-ENOSYS     it has no such method
 *	-ESTALE     there is no such object any more
 *	-ENXIO      there is no such type
 *	-EINVAL     arguments of the wrong number or kind, there; or here, of @format
 *	-EMSGSIZE   too long, or too deep, for the server or for this side
 *	-EBADMSG    the server speaks nonsense
 *	-EMFILE, -ENFILE, ...  in a child by fork(), whose first call connects: see
 *	            carom_client_connect()
 *
 * Any number of threads may use a proxy, at the same time: a call that waits holds up no other.
 * In a child by fork() proxies go on, over a connection of the child's own. One that is a
 * thread's lock there (ipc/request.h) is that thread's alone.
 */
#ifndef CAROM_IPC_PROXY_H
#define CAROM_IPC_PROXY_H

#include "document.h"

CAROM_BEGIN_DECLS

struct carom_proxy;

/* how much later than by its deadline a call says that there is no answer */
#define CAROM_PROXY_GRACE_NS CAROM_MILLISECONDS(100)

/**
 * carom_proxy_call() - call a method
 * @deadline_ns:  how long the server may take, and it is told so; CAROM_PASSED: what would wait
 *                there does not
 * @ret_document: the result; the caller's; NULL if nobody wants it
 * @format:       the arguments, each of them, as carom_document_build() has it; "" for none
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child. Blocks.
 * Return: 0, or, with *@ret_document untouched, what the method says; see above; -EISNAM: the
 * result is a proxy: see carom_proxy_call_proxy(); -ENOMEM.
 */
CAROM_API int carom_proxy_call(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
			       struct carom_document **ret_document, const char *format, ...);
CAROM_API int carom_proxy_vcall(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
				struct carom_document **ret_document, const char *format,
				va_list arguments);

/**
 * carom_proxy_call_proxy() - call a method whose result is an object that stays there
 * @ret_proxy: the caller's; ended with carom_proxy_free()
 *
 * Return: as carom_proxy_call(); -ENOTUNIQ: the result is a value.
 */
CAROM_API int carom_proxy_call_proxy(struct carom_proxy *proxy, const char *method,
				     uint64_t deadline_ns, struct carom_proxy **ret_proxy,
				     const char *format, ...);

/**
 * carom_proxy_error() - what a server said of this thread's last call that failed there
 * @text: cut at @size bytes, always with a NUL
 *
 * A line with the type, the method and the reason, and, if the method has said why, that and the
 * way to there, between two lines of 75 dashes.
 *
 * Context: MT-Safe.
 * Return: its full length; 0: nothing.
 */
CAROM_API size_t carom_proxy_error(char *text, size_t size);

/** carom_proxy_snapshot() - a copy of all that the object holds; as carom_proxy_call() */
CAROM_API int carom_proxy_snapshot(struct carom_proxy *proxy, uint64_t deadline_ns,
				   struct carom_document **ret_document);

/**
 * carom_proxy_text() - as the object itself is written there
 * @text: cut at @size bytes, always with a NUL
 *
 * What cannot be said is carom_proxy_describe()'s, with "; '__str__()' failed>" at its end.
 * Context: as carom_proxy_call(). Return: the full length.
 */
CAROM_API size_t carom_proxy_text(struct carom_proxy *proxy, uint64_t deadline_ns, char *text,
				  size_t size);

/**
 * carom_proxy_describe() - "<DictProxy object, typeid 'dict' at 0x7f>"
 * @text: cut at @size bytes, always with a NUL
 *
 * Context: MT-Safe. Return: the full length.
 */
CAROM_API size_t carom_proxy_describe(const struct carom_proxy *proxy, char *text, size_t size);

/** carom_proxy_methods() - the names of what can be called, a list of texts; as carom_proxy_call() */
CAROM_API int carom_proxy_methods(struct carom_proxy *proxy, uint64_t deadline_ns,
				  struct carom_document **ret_document);

/**
 * carom_proxy_of() - of one that stands in a value that came from the same server
 * @neighbour: any proxy of that server
 * @object:    what carom_object_proxy() is about
 *
 * Return: 0, or as carom_proxy_call(); -EBADMSG: @object is no proxy; -ESTALE: what it was in has
 * gone meanwhile, and it with that, or it is another server's.
 */
CAROM_API int carom_proxy_of(struct carom_proxy *neighbour, const struct carom_object *object,
			     uint64_t deadline_ns, struct carom_proxy **ret_proxy);

/**
 * carom_proxy_token() - what says which object it is, for another process
 * @ret_token: a tuple of texts and numbers, without a key; the caller's
 *
 * It keeps nothing alive: whoever gets it opens it while there is a proxy here.
 * Context: MT-Safe, AS-Unsafe heap. Return: 0, -ENOMEM.
 */
CAROM_API int carom_proxy_token(const struct carom_proxy *proxy, struct carom_document **ret_token);

/**
 * struct carom_proxy_options - how carom_proxy_open() gets in
 * @authkey: @authkey_size bytes; NULL: this process's own, see carom_process_authkey()
 */
struct carom_proxy_options {
	size_t size_bytes;
	const void *authkey;
	size_t authkey_size;
};
#define CAROM_PROXY_OPTIONS(...) CAROM_OPTIONS(carom_proxy_options, __VA_ARGS__)

/**
 * carom_proxy_open() - a proxy of what a token says, over a connection of its own
 * @options: read during the call only; NULL for all defaults
 *
 * carom_proxy_of() makes more over the same connection.
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, as carom_manager_connect(), or -EBADMSG: it is no token; -ESTALE: the object is
 * gone; -EINVAL, -E2BIG: the options.
 */
CAROM_API int carom_proxy_open(const struct carom_object *token,
			       const struct carom_proxy_options *options, uint64_t deadline_ns,
			       struct carom_proxy **ret_proxy);

/**
 * carom_proxy_next() - the next of an iterator
 *
 * Return: as carom_proxy_call(); -ENODATA: there is none.
 */
CAROM_API int carom_proxy_next(struct carom_proxy *iterator, uint64_t deadline_ns,
			       struct carom_document **ret_document);

/** carom_proxy_same() - do they stand for the same object? MT-Safe, AS-Safe. */
CAROM_API bool carom_proxy_same(const struct carom_proxy *a, const struct carom_proxy *b);

/** carom_proxy_id() - the object's number in its server. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_proxy_id(const struct carom_proxy *proxy);

/** carom_proxy_type() - the name of its type; the proxy's. MT-Safe, AS-Safe. */
CAROM_API const char *carom_proxy_type(const struct carom_proxy *proxy);

/** carom_proxy_ref() - one owner more: another carom_proxy_free() ends it. MT-Safe. Return: @proxy */
CAROM_API struct carom_proxy *carom_proxy_ref(struct carom_proxy *proxy);

/**
 * carom_proxy_free() - give it up; the server ends an object that nobody has
 * @proxy: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap. Does not wait for an answer. Return: NULL.
 */
CAROM_API struct carom_proxy *carom_proxy_free(struct carom_proxy *proxy);
CAROM_API void carom_proxy_freep(struct carom_proxy **proxy);

CAROM_END_DECLS

#endif

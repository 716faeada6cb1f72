/**
 * DOC: offer
 *
 * A manager's server (ipc/manager.h) may have pools, which its clients, near and far, give work
 * by the names of functions. What a program does for them it offers:
 *
 *	static int double_it(struct carom_call *call)
 *	...							// as in pool/typed.h
 *	CAROM_OFFER(double_it);
 *
 * and who has a manager, or is connected to a server whose program offers it:
 *
 *	r = carom_manager_create(manager, "Pool", deadline_ns, &pool, "i", 4);
 *	if (r == 0)
 *		r = carom_proxy_call(pool, "map", deadline_ns, &list, "s[iii]", "double_it", 1, 2, 3);
 *	if (r == 0)
 *		r = carom_proxy_call_proxy(pool, "apply_async", deadline_ns, &result, "s(i)",
 *					   "double_it", 21);
 *	if (r == 0)
 *		r = carom_proxy_call(result, "get", deadline_ns, &answer, "d", 2.5);	// in 2.5 s
 *
 * The types and their methods are multiprocessing's. What stands in brackets may be left out, or
 * be None:
 *
 *	Pool(processes, initializer, initargs, maxtasksperchild, context, limits)
 *			as many workers as there are CPUs where nothing else is said; the name of a
 *			start method but "thread"; limits for each task, in seconds:
 *			{"soft_limit": 1, "hard_limit": 2.5}. All of these may be left out
 *	apply(function, [arguments])
 *	map(function, items, [chunksize]), starmap(function, rows, [chunksize])
 *			wait for the value, or the list of values
 *	apply_async(...), map_async(...), starmap_async(...)
 *			do not wait: an AsyncResult
 *	imap(function, items, [chunksize]), imap_unordered(...)
 *			an Iterator, over values in order, or as they come
 *	close()		no more work is accepted
 *	terminate()	nor is any done: returns when the workers have ended
 *	join()		wait for their end. -EINVAL: neither closed nor terminated
 *
 *	AsyncResult	get([seconds]), wait([seconds]), ready(), successful()
 *	Iterator	__next__([seconds]), close()
 *
 * The argument of a task, and its value, are documents. Of one argument alone the function gets
 * that; of several, or none, a tuple: apply("f", (21,)), map("f", [21]) and starmap("f", [(21,)])
 * all call it with 21, and starmap("f", [(1, 2)]) with (1, 2). Items are a list or a tuple, or a
 * dict, whose keys are meant; proxies do not go to workers. Each item is a task of its own,
 * whatever the chunksize. The initializer gets bytes that are made of its arguments likewise, by
 * the serializer that is its default context's (ipc/serializer.h); without arguments, none.
 *
 * Beside what any call may say (ipc/proxy.h):
 *
 *	-EREMOTEIO   a task has ended without a value; of a map, the first by index. carom_proxy_error()
 *	             has how, as carom_outcome_describe(): "lost: ...", "hard limit: ...", "failed: ..."
 *	-ENOENT      no task, or no initializer, is offered by that name
 *	-ESHUTDOWN   the pool was closed or terminated
 *	-ENOTRECOVERABLE the pool is broken
 *	-ETIMEDOUT   get(), __next__(): not by then, and nothing is lost
 *	-EINPROGRESS successful(): it has not ended
 *	-ENODATA     __next__(): that was all
 *	-EOPNOTSUPP  Pool(): of threads
 *
 * The server's loop has the pool's descriptor in it: no call waits for another one, and a client
 * that waits for a value holds up nobody. Only making a pool takes the server some milliseconds,
 * with the fork server that each has for itself.
 *
 * What was accepted is done, also where nobody has its AsyncResult any more, as long as somebody
 * has the Pool, or a result of it that is still to come. A pool that nobody has, because its
 * clients have given it up or have died, is terminated; values that nobody has fetched are freed
 * with their AsyncResult or Iterator. Workers end with their server, however that ends.
 */
#ifndef CAROM_POOL_OFFER_H
#define CAROM_POOL_OFFER_H

#include "call.h"
#include "pool_options.h"

CAROM_BEGIN_DECLS

/**
 * carom_offer_task() - clients of this program's servers may have it called, by this name
 * @name: copied; registered for @function as carom_register() does it
 *
 * In every program that is to run it, as with carom_register(); before the server is made.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, also of one that is offered already; -EEXIST, -EINVAL, -ENAMETOOLONG, -ENOMEM, as
 * carom_register().
 */
CAROM_API int carom_offer_task(const char *name, carom_task_fn *function);

/**
 * carom_offer_initializer() - likewise, as the initializer of pools that they make
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: as carom_offer_task().
 */
CAROM_API int carom_offer_initializer(const char *name, carom_initializer_fn *function);

/** CAROM_OFFER() - at file level: offers a task function by its own name, before main() */
#define CAROM_OFFER(function)                                                 \
	__attribute__((constructor)) static void carom_offer_##function(void) \
	{                                                                     \
		carom_offer_task(#function, function);                        \
	}                                                                     \
	struct carom_offer_needs_a_semicolon

CAROM_END_DECLS

#endif

/*
 * Types: what the types that are always there have in common
 *
 * An answer that holds much is a view: a list or dict in the server's scratch memory that points
 * to values where they stand, so that nothing is copied but onto the wire. A view is good until
 * the method returns.
 */
#ifndef CAROM_IPC_TYPES_H
#define CAROM_IPC_TYPES_H

#include "ipc/object_map.h"
#include "ipc/server.h"

extern const struct carom_type carom_type_array;
extern const struct carom_type carom_type_barrier;
extern const struct carom_type carom_type_bounded_semaphore;
extern const struct carom_type carom_type_cell;
extern const struct carom_type carom_type_condition;
extern const struct carom_type carom_type_dict;
extern const struct carom_type carom_type_event;
extern const struct carom_type carom_type_iterator;
extern const struct carom_type carom_type_joinable_queue;
extern const struct carom_type carom_type_list;
extern const struct carom_type carom_type_lock;
extern const struct carom_type carom_type_namespace;
extern const struct carom_type carom_type_queue;
extern const struct carom_type carom_type_rlock;
extern const struct carom_type carom_type_semaphore;
extern const struct carom_type carom_type_set;

/**
 * carom_types_add() - a type that every server is to have which is made from now on
 *
 * For the layers above, before main(). Of a few.
 */
void carom_types_add(const struct carom_type *type);

/** CAROM_METHOD() - a row of a table of methods */
#define CAROM_METHOD(name_, function_, min, max)                                                \
	{                                                                                       \
		.name = name_, .function = function_, .argument_min = min, .argument_max = max, \
	}
#define CAROM_METHOD_COUNT(methods) (sizeof(methods) / sizeof(*(methods)))

/** carom_view_begin() - an empty one; of one at a time. 0, -ENOMEM */
int carom_view_begin(struct carom_request *request, enum carom_object_kind kind,
		     struct carom_object **ret_view);

/** carom_view_add() - @value to a list or tuple. 0, -ENOMEM, -EMSGSIZE */
int carom_view_add(struct carom_request *request, struct carom_object *view,
		   const struct carom_object *value);

/** carom_view_add_pair() - to a dict */
int carom_view_add_pair(struct carom_request *request, struct carom_object *view,
			const struct carom_object *key, const struct carom_object *value);

/** carom_view_map() - a dict, of all that is in @map. 0, -ENOMEM, -EMSGSIZE */
int carom_view_map(struct carom_request *request, const struct carom_object_map *map,
		   struct carom_object **ret_view);

/** carom_view_new() - another, to be added to one. 0, -ENOMEM, -EMSGSIZE */
int carom_view_new(struct carom_request *request, enum carom_object_kind kind,
		   struct carom_object **ret_view);

/** carom_view_fn - views an object as a whole. 0, -ENOMEM, -EMSGSIZE */
typedef int carom_view_fn(const void *object, struct carom_request *request,
			  struct carom_object **ret_view);

/** carom_reply_fn - what is said of a view */
typedef int carom_reply_fn(struct carom_request *request, const struct carom_object *view);

/** carom_reply_view() - the result is what @reply makes of all of @object */
int carom_reply_view(struct carom_request *request, const void *object, carom_view_fn *view,
		     carom_reply_fn *reply);

/** carom_reply_text_of() - the result is what carom_object_describe() says of @value */
int carom_reply_text_of(struct carom_request *request, const struct carom_object *value);

/** carom_reply_braced_text() - the result is a text: {FIRST, SECOND}, of a list that is not empty */
int carom_reply_braced_text(struct carom_request *request, const struct carom_object *list);

/** carom_reply_call_text() - the result is a text: NAME(FIRST, SECOND) */
int carom_reply_call_text(struct carom_request *request, const char *name,
			  const struct carom_object *first, const struct carom_object *second);

/** carom_reply_iterator() - the result is a proxy of an Iterator, over a copy of a list */
int carom_reply_iterator(struct carom_request *request, const struct carom_object *items);

/**
 * struct carom_iteration - what else an Iterator may go over
 * @next: as a method, with one argument at most, for how long it waits: None, or seconds;
 *        -ENODATA: there is nothing more
 * @end:  nothing more is wanted of it: frees it
 */
struct carom_iteration {
	carom_method_fn *next;
	void (*end)(void *object);
};

/**
 * carom_reply_iteration() - the result is a proxy of an Iterator over @object
 *
 * Return: 0, and @object is the Iterator's; -ENOMEM.
 */
int carom_reply_iteration(struct carom_request *request, const struct carom_iteration *iteration,
			  void *object);

/** carom_may_be_key() - of a dict or set */
bool carom_may_be_key(const struct carom_object *object);

/** carom_is_sequence() - a list or a tuple, or a dict, whose keys are meant */
bool carom_is_sequence(const struct carom_object *object);

/** carom_sequence_item() - of one; NULL behind its end */
const struct carom_object *carom_sequence_item(const struct carom_object *sequence, size_t index);

/** carom_take_index() - an int as an index of one of @count; below 0 from the end. 0, -EINVAL, -ERANGE */
int carom_take_index(const struct carom_object *object, size_t count, size_t *ret_index);

/**
 * carom_take_slice() - a tuple (start, stop) or (start, stop, step) with None for what is not said
 * @ret_first: the first that is meant
 * @ret_count: how many are
 *
 * Return: 0, -EINVAL: it is none, or a step of 0.
 */
int carom_take_slice(const struct carom_object *object, size_t count, size_t *ret_first,
		     int64_t *ret_step, size_t *ret_count);

#endif

/*
 * Type: set
 *
 * Members are copies, in the order in which they came. A result that is a set again comes as a list
 * of its members, since values have no sets.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "ipc/object_map.h"
#include "ipc/object_private.h"
#include "ipc/types.h"

struct set {
	struct carom_server *server;
	struct carom_object_map map;
};

/* ---- members ---- */

static void clear(struct set *set)
{
	struct carom_object_map_entry *entry;

	for (size_t i = 0; (entry = carom_object_map_next(&set->map, &i));)
		carom_server_drop(set->server, carom_object_map_remove(&set->map, entry).key);
	carom_object_map_free(&set->map);
}

static bool has(const struct set *set, const struct carom_object *member)
{
	return carom_object_map_find(&set->map, member) != NULL;
}

static int add(struct set *set, struct carom_request *request, const struct carom_object *member)
{
	struct carom_document *copy;
	int r;

	if (!carom_may_be_key(member))
		return -EINVAL;
	if (has(set, member))
		return 0;
	r = carom_request_keep(request, member, &copy);
	if (r < 0)
		return r;
	r = carom_object_map_add(&set->map, copy, NULL);
	if (r < 0)
		carom_server_drop(set->server, copy);
	return r;
}

static bool remove_it(struct set *set, const struct carom_object *member)
{
	struct carom_object_map_entry *entry = carom_object_map_find(&set->map, member);

	if (!entry)
		return false;
	carom_server_drop(set->server, carom_object_map_remove(&set->map, entry).key);
	return true;
}

static int add_all(struct set *set, struct carom_request *request,
		   const struct carom_object *members)
{
	int r = carom_is_sequence(members) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < carom_object_count(members); i++)
		r = add(set, request, carom_sequence_item(members, i));
	return r;
}

static int add_members(struct set *set, struct carom_request *request, const struct set *other)
{
	struct carom_object_map_entry *entry;
	int r = 0;

	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(&other->map, &i));)
		r = add(set, request, carom_document_root(entry->key));
	return r;
}

/* ---- beginning and end ---- */

static void end_set(void *object)
{
	clear(object);
	free(object);
}

static int make_set(struct carom_request *request, void **ret_object)
{
	struct set *set;
	int r = 0;

	if (carom_request_argument_count(request) > 1)
		return -EINVAL;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->server = carom_request_server(request);
	if (carom_request_argument_count(request) == 1)
		r = add_all(set, request, carom_request_argument(request, 0));
	if (r < 0)
		end_set(set);
	else
		*ret_object = set;
	return r;
}

/* ---- views ---- */

static int view_members(const void *object, struct carom_request *request,
			struct carom_object **ret_view)
{
	const struct set *set = object;
	struct carom_object_map_entry *entry;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, ret_view);

	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(&set->map, &i));)
		r = carom_view_add(request, *ret_view, carom_document_root(entry->key));
	return r;
}

static int do_copy(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_members, carom_request_reply_value);
}

static int do_iter(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_members, carom_reply_iterator);
}

static int do_str(void *object, struct carom_request *request)
{
	const struct set *set = object;

	if (set->map.count == 0)
		return carom_request_reply(request, "s", "set()");
	return carom_reply_view(request, set, view_members, carom_reply_braced_text);
}

/* ---- one member ---- */

static int check(const struct carom_request *request)
{
	return carom_may_be_key(carom_request_argument(request, 0)) ? 0 : -EINVAL;
}

static int do_add(void *object, struct carom_request *request)
{
	return add(object, request, carom_request_argument(request, 0));
}

static int do_contains(void *object, struct carom_request *request)
{
	int r = check(request);

	return r < 0 ? r
		     : carom_request_reply(request, "p",
					   has(object, carom_request_argument(request, 0)));
}

static int do_discard(void *object, struct carom_request *request)
{
	int r = check(request);

	if (r == 0)
		remove_it(object, carom_request_argument(request, 0));
	return r;
}

static int do_remove(void *object, struct carom_request *request)
{
	int r = check(request);

	if (r < 0)
		return r;
	return remove_it(object, carom_request_argument(request, 0)) ? 0 : -ENOENT;
}

static int do_pop(void *object, struct carom_request *request)
{
	struct set *set = object;
	struct carom_object_map_entry *entry = carom_object_map_last(&set->map);
	int r;

	if (!entry)
		return -ENOENT;
	r = carom_request_reply_value(request, carom_document_root(entry->key));
	if (r == 0)
		carom_server_drop(set->server, carom_object_map_remove(&set->map, entry).key);
	return r;
}

static int do_len(void *object, struct carom_request *request)
{
	const struct set *set = object;

	return carom_request_reply(request, "L", (int64_t)set->map.count);
}

static int do_clear(void *object, struct carom_request *request)
{
	(void)request;
	clear(object);
	return 0;
}

/* ---- with others ---- */

/* Of @from, those that are in @other, or are not. */
static int add_those(struct set *to, struct carom_request *request, const struct set *from,
		     const struct set *other, bool in_other)
{
	struct carom_object_map_entry *entry;
	int r = 0;

	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(&from->map, &i));)
		if (has(other, carom_document_root(entry->key)) == in_other)
			r = add(to, request, carom_document_root(entry->key));
	return r;
}

static int unite(struct set *to, struct carom_request *request, const struct set *a,
		 const struct set *b)
{
	int r = add_members(to, request, a);

	return r < 0 ? r : add_members(to, request, b);
}

static int intersect(struct set *to, struct carom_request *request, const struct set *a,
		     const struct set *b)
{
	return add_those(to, request, a, b, true);
}

static int subtract(struct set *to, struct carom_request *request, const struct set *a,
		    const struct set *b)
{
	return add_those(to, request, a, b, false);
}

static int subtract_from(struct set *to, struct carom_request *request, const struct set *a,
			 const struct set *b)
{
	return subtract(to, request, b, a);
}

static int separate(struct set *to, struct carom_request *request, const struct set *a,
		    const struct set *b)
{
	int r = subtract(to, request, a, b);

	return r < 0 ? r : subtract(to, request, b, a);
}

typedef int combine_fn(struct set *to, struct carom_request *request, const struct set *a,
		       const struct set *b);

/* @set becomes what comes of it and @members. */
static int combine_one(struct set *set, struct carom_request *request, combine_fn *combine,
		       const struct carom_object *members)
{
	struct set other = { .server = set->server }, result = { .server = set->server };
	struct carom_object_map map;
	int r = add_all(&other, request, members);

	if (r == 0)
		r = combine(&result, request, set, &other);
	if (r == 0) {
		map = set->map;
		set->map = result.map;
		result.map = map;
	}
	clear(&result);
	clear(&other);
	return r;
}

/* With each argument in turn, in a set of this call's own. */
static int combine_all(const struct set *set, struct carom_request *request, combine_fn *combine,
		       struct set *ret_result)
{
	struct set result = { .server = set->server };
	int r = add_members(&result, request, set);

	for (size_t i = 0; r == 0 && i < carom_request_argument_count(request); i++)
		r = combine_one(&result, request, combine, carom_request_argument(request, i));
	if (r < 0)
		clear(&result);
	else
		*ret_result = result;
	return r;
}

static int reply_combined(const struct set *set, struct carom_request *request, combine_fn *combine)
{
	struct set result;
	int r = combine_all(set, request, combine, &result);

	if (r < 0)
		return r;
	r = do_copy(&result, request);
	clear(&result);
	return r;
}

static int become_combined(struct set *set, struct carom_request *request, combine_fn *combine)
{
	struct set result;
	int r = combine_all(set, request, combine, &result);

	if (r < 0)
		return r;
	clear(set);
	set->map = result.map;
	return 0;
}

static int do_union(void *object, struct carom_request *request)
{
	return reply_combined(object, request, unite);
}

static int do_intersection(void *object, struct carom_request *request)
{
	return reply_combined(object, request, intersect);
}

static int do_difference(void *object, struct carom_request *request)
{
	return reply_combined(object, request, subtract);
}

static int do_rsub(void *object, struct carom_request *request)
{
	return reply_combined(object, request, subtract_from);
}

static int do_symmetric(void *object, struct carom_request *request)
{
	return reply_combined(object, request, separate);
}

static int do_update(void *object, struct carom_request *request)
{
	return become_combined(object, request, unite);
}

static int do_intersection_update(void *object, struct carom_request *request)
{
	return become_combined(object, request, intersect);
}

static int do_difference_update(void *object, struct carom_request *request)
{
	return become_combined(object, request, subtract);
}

static int do_symmetric_update(void *object, struct carom_request *request)
{
	return become_combined(object, request, separate);
}

/* ---- comparisons ---- */

static bool has_all_of(const struct set *set, const struct set *other)
{
	struct carom_object_map_entry *entry;

	for (size_t i = 0; (entry = carom_object_map_next(&other->map, &i));)
		if (!has(set, carom_document_root(entry->key)))
			return false;
	return true;
}

static bool has_none_of(const struct set *set, const struct set *other)
{
	struct carom_object_map_entry *entry;

	for (size_t i = 0; (entry = carom_object_map_next(&other->map, &i));)
		if (has(set, carom_document_root(entry->key)))
			return false;
	return true;
}

static bool is_within(const struct set *set, const struct set *other)
{
	return has_all_of(other, set);
}

static bool is_truly_within(const struct set *set, const struct set *other)
{
	return has_all_of(other, set) && set->map.count < other->map.count;
}

static bool truly_has_all_of(const struct set *set, const struct set *other)
{
	return is_truly_within(other, set);
}

static bool is_same(const struct set *set, const struct set *other)
{
	return has_all_of(other, set) && set->map.count == other->map.count;
}

static bool is_other(const struct set *set, const struct set *other)
{
	return !is_same(set, other);
}

static int reply_compared(const struct set *set, struct carom_request *request,
			  bool (*compare)(const struct set *set, const struct set *other))
{
	struct set other = { .server = set->server };
	int r = add_all(&other, request, carom_request_argument(request, 0));

	if (r == 0)
		r = carom_request_reply(request, "p", compare(set, &other));
	clear(&other);
	return r;
}

static int do_isdisjoint(void *object, struct carom_request *request)
{
	return reply_compared(object, request, has_none_of);
}

static int do_le(void *object, struct carom_request *request)
{
	return reply_compared(object, request, is_within);
}

static int do_lt(void *object, struct carom_request *request)
{
	return reply_compared(object, request, is_truly_within);
}

static int do_ge(void *object, struct carom_request *request)
{
	return reply_compared(object, request, has_all_of);
}

static int do_gt(void *object, struct carom_request *request)
{
	return reply_compared(object, request, truly_has_all_of);
}

static int do_eq(void *object, struct carom_request *request)
{
	return reply_compared(object, request, is_same);
}

static int do_ne(void *object, struct carom_request *request)
{
	return reply_compared(object, request, is_other);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__and__", do_intersection, 1, 1),
	CAROM_METHOD("__contains__", do_contains, 1, 1),
	CAROM_METHOD("__eq__", do_eq, 1, 1),
	CAROM_METHOD("__ge__", do_ge, 1, 1),
	CAROM_METHOD("__gt__", do_gt, 1, 1),
	CAROM_METHOD("__iand__", do_intersection_update, 1, 1),
	CAROM_METHOD("__ior__", do_update, 1, 1),
	CAROM_METHOD("__isub__", do_difference_update, 1, 1),
	CAROM_METHOD("__iter__", do_iter, 0, 0),
	CAROM_METHOD("__ixor__", do_symmetric_update, 1, 1),
	CAROM_METHOD("__le__", do_le, 1, 1),
	CAROM_METHOD("__len__", do_len, 0, 0),
	CAROM_METHOD("__lt__", do_lt, 1, 1),
	CAROM_METHOD("__ne__", do_ne, 1, 1),
	CAROM_METHOD("__or__", do_union, 1, 1),
	CAROM_METHOD("__rand__", do_intersection, 1, 1),
	CAROM_METHOD("__ror__", do_union, 1, 1),
	CAROM_METHOD("__rsub__", do_rsub, 1, 1),
	CAROM_METHOD("__rxor__", do_symmetric, 1, 1),
	CAROM_METHOD("__sub__", do_difference, 1, 1),
	CAROM_METHOD("__xor__", do_symmetric, 1, 1),
	CAROM_METHOD("add", do_add, 1, 1),
	CAROM_METHOD("clear", do_clear, 0, 0),
	CAROM_METHOD("copy", do_copy, 0, 0),
	CAROM_METHOD("difference", do_difference, 0, UINT32_MAX),
	CAROM_METHOD("difference_update", do_difference_update, 0, UINT32_MAX),
	CAROM_METHOD("discard", do_discard, 1, 1),
	CAROM_METHOD("intersection", do_intersection, 0, UINT32_MAX),
	CAROM_METHOD("intersection_update", do_intersection_update, 0, UINT32_MAX),
	CAROM_METHOD("isdisjoint", do_isdisjoint, 1, 1),
	CAROM_METHOD("issubset", do_le, 1, 1),
	CAROM_METHOD("issuperset", do_ge, 1, 1),
	CAROM_METHOD("pop", do_pop, 0, 0),
	CAROM_METHOD("remove", do_remove, 1, 1),
	CAROM_METHOD("symmetric_difference", do_symmetric, 1, 1),
	CAROM_METHOD("symmetric_difference_update", do_symmetric_update, 1, 1),
	CAROM_METHOD("union", do_union, 0, UINT32_MAX),
	CAROM_METHOD("update", do_update, 0, UINT32_MAX),
	CAROM_METHOD("__str__", do_str, 0, 0),
	CAROM_METHOD("__repr__", do_str, 0, 0),
	CAROM_METHOD("#GETVALUE", do_copy, 0, 0),
};

const struct carom_type carom_type_set = {
	.name = "set",
	.make = make_set,
	.end = end_set,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

/*
 * Referent: an object of a server, and who has it
 *
 *   I1  @count is one for each reference of each session, for each time that it stands in a value
 *       that is kept, and for each request that is under way with it.
 *   I2  At 0 it is dead, which ends nothing yet: that happens when no method runs. What has it
 *       again by then, a client that was told of it in the very answer, keeps it.
 *   I3  The dead are ended one after the other, whatever they held: a chain of containers of any
 *       length takes no more stack than one.
 *   I4  Numbers begin somewhere by chance, so that an object of a server that was here before is
 *       not mistaken for one of this.
 *   I5  A number may be a client's invention, and some object's later: who has not counted one
 *       in does not count it out. At the end of the server some may be gone by then.
 *
 * Containers that hold each other's proxies are never ended but with the server.
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/object_private.h"
#include "ipc/server_private.h"

struct carom_referent *carom_referent_find(const struct carom_server *server, uint64_t id)
{
	uint64_t *place = carom_id_map_find(&server->referents, id);

	return place ? (struct carom_referent *)(uintptr_t)*place : NULL;
}

void carom_referent_ref(struct carom_referent *referent)
{
	referent->count++;
}

void carom_referent_unref(struct carom_server *server, struct carom_referent *referent)
{
	if (referent->count > 0)
		referent->count--;
	if (referent->count > 0 || referent->is_dead)
		return;
	referent->is_dead = true;
	referent->next_dead = server->dead;
	server->dead = referent;
}

static void link_first(struct carom_server *server, struct carom_referent *referent)
{
	referent->next = server->first_referent;
	if (referent->next)
		referent->next->previous = referent;
	server->first_referent = referent;
}

static void unlink_it(struct carom_server *server, struct carom_referent *referent)
{
	if (referent->previous)
		referent->previous->next = referent->next;
	else
		server->first_referent = referent->next;
	if (referent->next)
		referent->next->previous = referent->previous;
}

static int enter(struct carom_server *server, struct carom_referent *referent)
{
	int r = carom_id_map_add(&server->referents, referent->id, (uintptr_t)referent);

	if (r == 0)
		r = carom_id_map_add(&server->by_object, (uintptr_t)referent->object,
				     (uintptr_t)referent);
	if (r < 0)
		carom_id_map_remove(&server->referents, referent->id);
	else
		link_first(server, referent);
	return r;
}

/* One object is of one type. */
static struct carom_referent *find_by_object(const struct carom_server *server, const void *object)
{
	uint64_t *place = carom_id_map_find(&server->by_object, (uintptr_t)object);

	return place ? (struct carom_referent *)(uintptr_t)*place : NULL;
}

int carom_referent_share(struct carom_server *server, struct carom_kind *kind, void *object,
			 bool is_borrowed, struct carom_referent **ret_referent)
{
	struct carom_referent *referent = find_by_object(server, object);
	int r = 0;

	if (!referent) {
		referent = calloc(1, sizeof(*referent));
		if (!referent)
			return -ENOMEM;
		*referent = (struct carom_referent){ .id = server->next_id,
						     .kind = kind,
						     .object = object,
						     .is_borrowed = is_borrowed };
		r = enter(server, referent);
	}
	if (r < 0) {
		free(referent);
		return r;
	}
	if (referent->id == server->next_id)
		server->next_id++;
	referent->count++;
	*ret_referent = referent;
	return 0;
}

static void bury(struct carom_server *server, struct carom_referent *referent)
{
	carom_id_map_remove(&server->referents, referent->id);
	carom_id_map_remove(&server->by_object, (uintptr_t)referent->object);
	unlink_it(server, referent);
	if (!referent->is_borrowed && referent->kind->type->end)
		referent->kind->type->end(referent->object);
	free(referent);
}

/* I2, I3 */
void carom_referents_bury(struct carom_server *server)
{
	while (server->dead) {
		struct carom_referent *referent = server->dead;

		server->dead = referent->next_dead;
		referent->is_dead = false;
		if (referent->count == 0)
			bury(server, referent);
	}
}

/* Whoever still has them. */
void carom_referents_free(struct carom_server *server)
{
	carom_referents_bury(server);
	while (server->first_referent) {
		struct carom_referent *referent = server->first_referent;

		referent->count = 1;
		carom_referent_unref(server, referent);
		carom_referents_bury(server);
	}
	carom_id_map_free(&server->referents);
	carom_id_map_free(&server->by_object);
}

/* ---- values that are kept ---- */

/* Calls @function for each proxy in @value, which is a copy of this server's own. */
static void visit_proxies(struct carom_server *server, const struct carom_object *value,
			  void (*function)(struct carom_server *server, struct carom_object *proxy))
{
	if (!value->has_proxy)
		return;
	if (value->kind == CAROM_OBJECT_PROXY) {
		function(server, (struct carom_object *)value);
		return;
	}
	for (size_t i = 0; i < value->items.count; i++)
		visit_proxies(server, value->items.data[i], function);
}

/* One of another server's stays what it is: I5 */
static void count_in(struct carom_server *server, struct carom_object *proxy)
{
	struct carom_referent *referent = carom_referent_find(server, proxy->proxy.id);

	if (!referent)
		return;
	carom_referent_ref(referent);
	proxy->proxy.is_counted = true;
}

static void count_out(struct carom_server *server, struct carom_object *proxy)
{
	struct carom_referent *referent = carom_referent_find(server, proxy->proxy.id);

	if (referent && proxy->proxy.is_counted)
		carom_referent_unref(server, referent);
}

int carom_request_keep(struct carom_request *request, const struct carom_object *value,
		       struct carom_document **ret_value)
{
	int r = carom_object_clone(value, ret_value);

	if (r == 0)
		visit_proxies(request->server, carom_document_root(*ret_value), count_in);
	return r;
}

struct carom_document *carom_server_drop(struct carom_server *server, struct carom_document *value)
{
	if (value)
		visit_proxies(server, carom_document_root(value), count_out);
	return carom_document_free(value);
}

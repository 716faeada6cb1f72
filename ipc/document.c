/*
 * Document
 *
 * The memory, and what may hold what, are those of ipc/object.c. What is added here is the
 * error that sticks.
 *
 *   I1  After an error, and once it is finished, a document is not changed any more.
 */
#include "ipc/document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/time.h"
#include "core/utf8.h"
#include "ipc/object_private.h"

#define MEMORY_DEFAULT CAROM_MIB(256)
#define DEPTH_DEFAULT  32

int carom_document_take_limits(const struct carom_document_limits *limits, size_t size,
			       struct carom_document_limits *ret_limits)
{
	int r = carom_options_take(limits, ret_limits, sizeof(*ret_limits));

	if (r < 0)
		return r;
	if (ret_limits->depth_max > CAROM_DOCUMENT_DEPTH_MAX || ret_limits->reserved)
		return -EINVAL;
	if (ret_limits->depth_max == 0)
		ret_limits->depth_max = DEPTH_DEFAULT;
	if (ret_limits->memory_max == 0)
		ret_limits->memory_max = MEMORY_DEFAULT + 2 * (uint64_t)size;
	return 0;
}

int carom_document_new(const struct carom_document_limits *limits,
		       struct carom_document **ret_document)
{
	struct carom_document_limits l;
	int r = carom_document_take_limits(limits, 0, &l);

	if (r < 0)
		return r;
	r = carom_document_make(l.memory_max, ret_document);
	if (r == 0)
		(*ret_document)->depth_max = l.depth_max;
	return r;
}

void *carom_document_fail(struct carom_document *document, int error)
{
	if (document->error == 0)
		document->error = error;
	return NULL;
}

/* What a peer may not send, a caller may not ask for. */
static void *judge(struct carom_document *document, struct carom_object *object, int r)
{
	return r < 0 ? carom_document_fail(document, r == -EBADMSG ? -EINVAL : r) : object;
}

/* I1 */
static bool may_change(struct carom_document *document)
{
	if (document->root)
		carom_document_fail(document, -EINVAL);
	return document->error == 0;
}

/* ---- plain objects ---- */

static struct carom_object *make(struct carom_document *document, enum carom_object_kind kind)
{
	struct carom_object *object = NULL;
	int r;

	if (!may_change(document))
		return NULL;
	r = carom_object_new(document, kind, &object);
	return judge(document, object, r);
}

struct carom_object *carom_document_none(struct carom_document *document)
{
	return make(document, CAROM_OBJECT_NONE);
}

struct carom_object *carom_document_bool(struct carom_document *document, bool value)
{
	struct carom_object *object = make(document, CAROM_OBJECT_BOOL);

	if (object)
		object->truth = value;
	return object;
}

struct carom_object *carom_document_int(struct carom_document *document, int64_t value)
{
	struct carom_object *object = make(document, CAROM_OBJECT_INT);

	if (object)
		object->integer = value;
	return object;
}

struct carom_object *carom_document_float(struct carom_document *document, double value)
{
	struct carom_object *object = make(document, CAROM_OBJECT_FLOAT);

	if (object)
		object->real = value;
	return object;
}

static struct carom_object *make_bytes(struct carom_document *document, enum carom_object_kind kind,
				       const void *data, size_t size)
{
	struct carom_object *object;

	if (!data && size > 0)
		return carom_document_fail(document, -EINVAL);
	object = make(document, kind);
	if (!object)
		return NULL;
	return judge(document, object, carom_object_set_bytes(document, object, data, size));
}

struct carom_object *carom_document_bytes(struct carom_document *document, const void *data,
					  size_t size)
{
	return make_bytes(document, CAROM_OBJECT_BYTES, data, size);
}

struct carom_object *carom_document_text_sized(struct carom_document *document, const char *text,
					       size_t size)
{
	if (text && !carom_utf8_is_valid(text, size))
		return carom_document_fail(document, -EILSEQ);
	return make_bytes(document, CAROM_OBJECT_TEXT, text, size);
}

struct carom_object *carom_document_text(struct carom_document *document, const char *text)
{
	if (!text)
		return carom_document_fail(document, -EINVAL);
	return carom_document_text_sized(document, text, strlen(text));
}

/* ---- what holds others ---- */

struct carom_object *carom_document_list(struct carom_document *document)
{
	return make(document, CAROM_OBJECT_LIST);
}

struct carom_object *carom_document_tuple(struct carom_document *document)
{
	return make(document, CAROM_OBJECT_TUPLE);
}

struct carom_object *carom_document_dict(struct carom_document *document)
{
	return make(document, CAROM_OBJECT_DICT);
}

static struct carom_object *add(struct carom_document *document, struct carom_object *holder,
				struct carom_object *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!items[i])
			return carom_document_fail(document, -EINVAL);
	if (!may_change(document))
		return NULL;
	return judge(document, holder,
		     carom_object_add(document, holder, items, count, document->depth_max));
}

static bool is_row(const struct carom_object *object)
{
	return object && (object->kind == CAROM_OBJECT_LIST || object->kind == CAROM_OBJECT_TUPLE);
}

struct carom_object *carom_document_append(struct carom_document *document,
					   struct carom_object *list, struct carom_object *item)
{
	return is_row(list) ? add(document, list, &item, 1)
			    : carom_document_fail(document, -EINVAL);
}

struct carom_object *carom_document_set(struct carom_document *document, struct carom_object *dict,
					struct carom_object *key, struct carom_object *value)
{
	struct carom_object *pair[] = { key, value };

	if (!dict || dict->kind != CAROM_OBJECT_DICT)
		return carom_document_fail(document, -EINVAL);
	return add(document, dict, pair, 2);
}

struct carom_object *carom_document_tagged(struct carom_document *document, uint32_t tag,
					   struct carom_object *content)
{
	struct carom_object *object;

	if (!content || tag == 0 || tag > CAROM_TAG_MAX)
		return carom_document_fail(document, -EINVAL);
	object = make(document, CAROM_OBJECT_TAGGED);
	if (!object)
		return NULL;
	object->tagged.tag = tag;
	return judge(document, object,
		     carom_object_set_content(object, content, document->depth_max));
}

/* ---- descriptors ---- */

/* A place for one more. */
static int make_room(struct carom_document *document)
{
	int *fds;

	if (document->fd_count == CAROM_DOCUMENT_FDS_MAX)
		return -EMFILE;
	fds = realloc(document->fds, (document->fd_count + 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	document->fds = fds;
	return 0;
}

static int keep(struct carom_document *document, int fd)
{
	int r = make_room(document);

	if (r < 0)
		return r;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	document->fds[document->fd_count++] = fd;
	return 0;
}

struct carom_object *carom_document_fd(struct carom_document *document, int fd)
{
	struct carom_object *object = make(document, CAROM_OBJECT_FD);
	int r;

	if (!object)
		return NULL;
	r = keep(document, fd);
	if (r == 0)
		r = carom_object_set_place(document, object, document->fd_count - 1);
	return judge(document, object, r);
}

struct carom_object *carom_document_fd_at(struct carom_document *document, uint32_t index)
{
	struct carom_object *object = make(document, CAROM_OBJECT_FD);

	if (!object)
		return NULL;
	return judge(document, object, carom_object_set_place(document, object, index));
}

/* ---- copies ---- */

/* An empty one of the same kind, which takes no more memory than @object. */
static struct carom_object *make_room_for(struct carom_document *document,
					  const struct carom_object *object)
{
	struct carom_object *copy = make(document, (enum carom_object_kind)object->kind);

	if (!copy || object->items.count == 0)
		return copy;
	return judge(document, copy, carom_object_reserve(document, copy, object->items.count));
}

static struct carom_object *copy_pairs(struct carom_document *document,
				       const struct carom_object *object)
{
	struct carom_object *dict = make_room_for(document, object);

	for (size_t i = 0; dict && i < carom_object_count(object); i++) {
		struct carom_object *key =
			carom_document_copy(document, carom_object_key(object, i));

		dict = carom_document_set(
			document, dict, key,
			carom_document_copy(document, carom_object_item(object, i)));
	}
	return dict;
}

static struct carom_object *copy_items(struct carom_document *document,
				       const struct carom_object *object)
{
	struct carom_object *list = make_room_for(document, object);

	for (size_t i = 0; list && i < carom_object_count(object); i++)
		list = carom_document_append(
			document, list,
			carom_document_copy(document, carom_object_item(object, i)));
	return list;
}

static struct carom_object *copy_proxy(struct carom_document *document,
				       const struct carom_object *object)
{
	struct carom_object *proxy = make(document, CAROM_OBJECT_PROXY);

	if (!proxy)
		return NULL;
	return judge(document, proxy,
		     carom_object_set_proxy(document, proxy, object->proxy.type,
					    strlen(object->proxy.type), object->proxy.id));
}

static struct carom_object *copy_fd(struct carom_document *document,
				    const struct carom_object *object)
{
	int fd = -1, r = carom_object_fd(object, &fd);

	return r < 0 ? carom_document_fail(document, -EBADF) : carom_document_fd(document, fd);
}

struct carom_object *carom_document_copy(struct carom_document *document,
					 const struct carom_object *object)
{
	if (!object)
		return carom_document_fail(document, -EINVAL);
	switch ((enum carom_object_kind)object->kind) {
	case CAROM_OBJECT_NONE:
		return carom_document_none(document);
	case CAROM_OBJECT_BOOL:
		return carom_document_bool(document, object->truth);
	case CAROM_OBJECT_INT:
		return carom_document_int(document, object->integer);
	case CAROM_OBJECT_FLOAT:
		return carom_document_float(document, object->real);
	case CAROM_OBJECT_BYTES:
	case CAROM_OBJECT_TEXT:
		return make_bytes(document, (enum carom_object_kind)object->kind,
				  object->bytes.data, object->bytes.size);
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
		return copy_items(document, object);
	case CAROM_OBJECT_DICT:
		return copy_pairs(document, object);
	case CAROM_OBJECT_TAGGED:
		return carom_document_tagged(document, object->tagged.tag,
					     carom_document_copy(document, object->tagged.content));
	case CAROM_OBJECT_FD:
		return copy_fd(document, object);
	case CAROM_OBJECT_PROXY:
		return copy_proxy(document, object);
	}
	return carom_document_fail(document, -EINVAL);
}

/* ---- the end ---- */

int carom_document_finish(struct carom_document *document, struct carom_object *root)
{
	if (document->error == 0 && (!root || document->root))
		carom_document_fail(document, -EINVAL);
	if (document->error)
		return document->error;
	carom_document_set_root(document, root);
	return 0;
}

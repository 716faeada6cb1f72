/*
 * CBOR
 *
 * libcbor takes the bytes apart, an item at a time, and puts numbers together; what items make
 * of each other stands here. A level is an array or a map that is not complete yet. A complete
 * object goes into the level above, and may complete that.
 *
 *   I1  No more is read than there is, and nothing is made room for that cannot be there: each
 *       item takes a byte at least.
 *   I2  What is made takes memory of the document, which has a limit.
 *   I3  A level is added to the one above when it is complete, so its depth is final then.
 */
#include "ipc/cbor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "ipc/annex_cbor.h"
#include "ipc/object_private.h"

#define TAG_TUPLE    0xca70
#define TAG_NAMED    27
#define PROXY_NAME   "carom.proxy"
#define HEAD_MAX     9 /* bytes before what an item holds */
#define FIRST_ROOM   ((size_t)256)
#define ROOM_TO_KEEP ((size_t)CAROM_KIB(64))

/* ---- reading ---- */

/**
 * struct level - an array or a map
 * @left:  items that are still to come; of a map, keys and values
 * @key:   of the value that comes next; NULL: a key comes next
 * @is_named: it is tagged to be a proxy
 */
struct level {
	struct carom_object *object;
	struct carom_object *key;
	uint64_t left;
	bool is_named;
};

/** struct reader - @tag: of the next item; 0: none. @left: bytes that were not read yet */
struct reader {
	struct carom_document *document;
	struct carom_object *root;
	int error;
	uint32_t depth;
	uint32_t depth_max;
	uint64_t tag;
	size_t left;
	struct level levels[CAROM_CBOR_DEPTH_MAX];
};

static void fail(struct reader *reader, int error)
{
	if (reader->error == 0)
		reader->error = error;
}

static bool is_text(const struct carom_object *object, const char *text)
{
	return object->kind == CAROM_OBJECT_TEXT && object->bytes.size == strlen(text) &&
	       memcmp(object->bytes.data, text, object->bytes.size) == 0;
}

/* Of ["carom.proxy", type, id]. */
static int make_proxy(struct reader *reader, struct carom_object **object)
{
	const struct carom_object *const *items = (*object)->items.data;
	struct carom_object *proxy;
	int r;

	if ((*object)->items.count != 3 || !is_text(items[0], PROXY_NAME) ||
	    items[1]->kind != CAROM_OBJECT_TEXT || items[2]->kind != CAROM_OBJECT_INT ||
	    items[2]->integer < 0 || strlen(items[1]->bytes.data) != items[1]->bytes.size)
		return -EBADMSG;
	r = carom_object_new(reader->document, CAROM_OBJECT_PROXY, &proxy);
	if (r == 0)
		r = carom_object_set_proxy(reader->document, proxy, items[1]->bytes.data,
					   items[1]->bytes.size, (uint64_t)items[2]->integer);
	if (r == 0)
		*object = proxy;
	return r;
}

static int add_to_level(struct reader *reader, struct level *level, struct carom_object *object)
{
	struct carom_object *items[2] = { object, NULL };
	bool is_dict = level->object->kind == CAROM_OBJECT_DICT;

	level->left--;
	if (is_dict && !level->key) {
		level->key = object;
		return 0;
	}
	if (is_dict) {
		items[0] = carom_take_ptr(level->key);
		items[1] = object;
	}
	return carom_object_add(reader->document, level->object, items, is_dict ? 2 : 1,
				reader->depth_max);
}

/* A complete one, which may complete those above. */
static void complete(struct reader *reader, struct carom_object *object)
{
	while (reader->depth > 0) {
		struct level *level = &reader->levels[reader->depth - 1];
		int r = add_to_level(reader, level, object);

		if (r == 0 && level->left > 0)
			return;
		object = level->object;
		if (r == 0 && level->is_named)
			r = make_proxy(reader, &object);
		if (r < 0) {
			fail(reader, r);
			return;
		}
		reader->depth--;
	}
	reader->root = object;
}

static struct carom_object *make(struct reader *reader, enum carom_object_kind kind)
{
	struct carom_object *object = NULL;
	int r = reader->tag ? -EBADMSG : carom_object_new(reader->document, kind, &object);

	if (r < 0)
		fail(reader, r);
	return object;
}

static void read_integer(struct reader *reader, uint64_t number, bool is_negative)
{
	struct carom_object *object = make(reader, CAROM_OBJECT_INT);

	if (number > INT64_MAX)
		fail(reader, -EOVERFLOW);
	if (reader->error)
		return;
	object->integer = is_negative ? -1 - (int64_t)number : (int64_t)number;
	complete(reader, object);
}

static void on_uint8(void *reader, uint8_t number)
{
	read_integer(reader, number, false);
}

static void on_uint16(void *reader, uint16_t number)
{
	read_integer(reader, number, false);
}

static void on_uint32(void *reader, uint32_t number)
{
	read_integer(reader, number, false);
}

static void on_uint64(void *reader, uint64_t number)
{
	read_integer(reader, number, false);
}

static void on_negint8(void *reader, uint8_t number)
{
	read_integer(reader, number, true);
}

static void on_negint16(void *reader, uint16_t number)
{
	read_integer(reader, number, true);
}

static void on_negint32(void *reader, uint32_t number)
{
	read_integer(reader, number, true);
}

static void on_negint64(void *reader, uint64_t number)
{
	read_integer(reader, number, true);
}

static void on_double(void *userdata, double number)
{
	struct reader *reader = userdata;
	struct carom_object *object = make(reader, CAROM_OBJECT_FLOAT);

	if (!object)
		return;
	object->real = number;
	complete(reader, object);
}

static void on_float(void *reader, float number)
{
	on_double(reader, number);
}

static void on_null(void *userdata)
{
	struct carom_object *object = make(userdata, CAROM_OBJECT_NONE);

	if (object)
		complete(userdata, object);
}

static void on_boolean(void *userdata, bool truth)
{
	struct carom_object *object = make(userdata, CAROM_OBJECT_BOOL);

	if (!object)
		return;
	object->truth = truth;
	complete(userdata, object);
}

static void read_bytes(struct reader *reader, enum carom_object_kind kind, const void *data,
		       size_t size)
{
	struct carom_object *object = make(reader, kind);
	int r = object ? carom_object_set_bytes(reader->document, object, data, size) : 0;

	if (r < 0)
		fail(reader, r);
	if (!reader->error)
		complete(reader, object);
}

static void on_bytes(void *reader, cbor_data data, size_t size)
{
	read_bytes(reader, CAROM_OBJECT_BYTES, data, size);
}

static void on_text(void *reader, cbor_data data, size_t size)
{
	if (!carom_utf8_is_valid(data, size))
		fail(reader, -EBADMSG);
	else
		read_bytes(reader, CAROM_OBJECT_TEXT, data, size);
}

/* @count: items; I1 */
static void begin_level(struct reader *reader, enum carom_object_kind kind, uint64_t count,
			bool is_named)
{
	struct carom_object *object = make(reader, kind);
	int r = 0;

	if (!object)
		return;
	if (count > reader->left)
		r = -EBADMSG;
	else if (reader->depth == reader->depth_max)
		r = -EMSGSIZE;
	else if (count > 0)
		r = carom_object_reserve(reader->document, object, count);
	if (r < 0)
		fail(reader, r);
	else if (count == 0 && !is_named)
		complete(reader, object);
	else if (count == 0)
		fail(reader, -EBADMSG);
	else
		reader->levels[reader->depth++] =
			(struct level){ .object = object, .left = count, .is_named = is_named };
}

static void on_array(void *userdata, size_t count)
{
	struct reader *reader = userdata;
	uint64_t tag = reader->tag;

	reader->tag = 0;
	begin_level(reader, tag == TAG_TUPLE ? CAROM_OBJECT_TUPLE : CAROM_OBJECT_LIST, count,
		    tag == TAG_NAMED);
}

static void on_map(void *reader, size_t count)
{
	begin_level(reader, CAROM_OBJECT_DICT, count > SIZE_MAX / 2 ? SIZE_MAX : 2 * count, false);
}

static void on_tag(void *userdata, uint64_t tag)
{
	struct reader *reader = userdata;

	if (reader->tag || (tag != TAG_TUPLE && tag != TAG_NAMED))
		fail(reader, -EBADMSG);
	reader->tag = tag;
}

/* What has no length in front, and what means nothing here. */
static void on_other(void *reader)
{
	fail(reader, -EBADMSG);
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string_start = on_other,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = on_other,
	.indef_array_start = on_other,
	.array_start = on_array,
	.indef_map_start = on_other,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_other,
	.null = on_null,
	.boolean = on_boolean,
	.indef_break = on_other,
};

int carom_cbor_load(const void *data, size_t size, uint32_t depth_max,
		    struct carom_document *document)
{
	struct reader reader = { .document = document, .depth_max = depth_max, .left = size };
	const struct carom_libcbor *libcbor = carom_libcbor();
	const unsigned char *bytes = data;

	if (!libcbor)
		return carom_annex_error();
	if (depth_max > CAROM_CBOR_DEPTH_MAX)
		reader.depth_max = CAROM_CBOR_DEPTH_MAX;
	while (!reader.root && !reader.error) {
		struct cbor_decoder_result result;

		result = libcbor->cbor_stream_decode(bytes, reader.left, &callbacks, &reader);
		if (result.status != CBOR_DECODER_FINISHED)
			fail(&reader, -EBADMSG);
		bytes += result.read;
		reader.left -= result.read;
	}
	if (!reader.error && reader.left > 0)
		reader.error = -EBADMSG;
	if (reader.error)
		return reader.error;
	carom_document_set_root(document, reader.root);
	return 0;
}

/* ---- writing ---- */

void carom_cbor_clear(struct carom_cbor *cbor)
{
	cbor->size = 0;
	cbor->error = 0;
	if (cbor->room <= ROOM_TO_KEEP)
		return;
	free(carom_take_ptr(cbor->data));
	cbor->room = 0;
}

void carom_cbor_free(struct carom_cbor *cbor)
{
	free(carom_take_ptr(cbor->data));
	cbor->room = 0;
	cbor->size = 0;
}

static void fail_writing(struct carom_cbor *cbor, int error)
{
	if (cbor->error == 0)
		cbor->error = error;
}

/* For @size bytes more. Return: where; NULL: there is an error */
static unsigned char *make_room(struct carom_cbor *cbor, size_t size)
{
	size_t room = cbor->room ? cbor->room : FIRST_ROOM;
	unsigned char *data;

	if (cbor->size_max && size > cbor->size_max - cbor->size)
		fail_writing(cbor, -EMSGSIZE);
	if (cbor->error)
		return NULL;
	if (size <= cbor->room - cbor->size)
		return cbor->data + cbor->size;
	while (room - cbor->size < size)
		room *= 2;
	data = realloc(cbor->data, room);
	if (!data) {
		fail_writing(cbor, -ENOMEM);
		return NULL;
	}
	cbor->data = data;
	cbor->room = room;
	return data + cbor->size;
}

typedef size_t encode_fn(const struct carom_libcbor *libcbor, uint64_t number, unsigned char *data,
			 size_t size);

static void put_head(struct carom_cbor *cbor, encode_fn *encode, uint64_t number)
{
	const struct carom_libcbor *libcbor = carom_libcbor();
	unsigned char head[HEAD_MAX], *place;
	size_t size;

	if (!libcbor) {
		fail_writing(cbor, carom_annex_error());
		return;
	}
	size = encode(libcbor, number, head, sizeof(head));
	place = make_room(cbor, size);
	if (!place)
		return;
	memcpy(place, head, size);
	cbor->size += size;
}

static void put_bytes(struct carom_cbor *cbor, encode_fn *encode, const void *data, size_t size)
{
	unsigned char *place;

	put_head(cbor, encode, size);
	place = make_room(cbor, size);
	if (!place)
		return;
	memcpy(place, data, size);
	cbor->size += size;
}

/* libcbor's own have other types on machines whose size_t is no uint64_t */
static size_t encode_array(const struct carom_libcbor *libcbor, uint64_t count, unsigned char *data,
			   size_t size)
{
	return libcbor->cbor_encode_array_start((size_t)count, data, size);
}

static size_t encode_map(const struct carom_libcbor *libcbor, uint64_t count, unsigned char *data,
			 size_t size)
{
	return libcbor->cbor_encode_map_start((size_t)count, data, size);
}

static size_t encode_text(const struct carom_libcbor *libcbor, uint64_t count, unsigned char *data,
			  size_t size)
{
	return libcbor->cbor_encode_string_start((size_t)count, data, size);
}

static size_t encode_bytes(const struct carom_libcbor *libcbor, uint64_t count, unsigned char *data,
			   size_t size)
{
	return libcbor->cbor_encode_bytestring_start((size_t)count, data, size);
}

static size_t encode_uint(const struct carom_libcbor *libcbor, uint64_t number, unsigned char *data,
			  size_t size)
{
	return libcbor->cbor_encode_uint(number, data, size);
}

static size_t encode_negint(const struct carom_libcbor *libcbor, uint64_t number,
			    unsigned char *data, size_t size)
{
	return libcbor->cbor_encode_negint(number, data, size);
}

static size_t encode_tag(const struct carom_libcbor *libcbor, uint64_t tag, unsigned char *data,
			 size_t size)
{
	return libcbor->cbor_encode_tag(tag, data, size);
}

static size_t encode_none(const struct carom_libcbor *libcbor, uint64_t nothing,
			  unsigned char *data, size_t size)
{
	(void)nothing;
	return libcbor->cbor_encode_null(data, size);
}

static size_t encode_bool(const struct carom_libcbor *libcbor, uint64_t truth, unsigned char *data,
			  size_t size)
{
	return libcbor->cbor_encode_bool(truth, data, size);
}

static size_t encode_real(const struct carom_libcbor *libcbor, uint64_t bits, unsigned char *data,
			  size_t size)
{
	double real;

	memcpy(&real, &bits, sizeof(real));
	return libcbor->cbor_encode_double(real, data, size);
}

void carom_cbor_array(struct carom_cbor *cbor, size_t count)
{
	put_head(cbor, encode_array, count);
}

void carom_cbor_none(struct carom_cbor *cbor)
{
	put_head(cbor, encode_none, 0);
}

void carom_cbor_number(struct carom_cbor *cbor, uint64_t number)
{
	put_head(cbor, encode_uint, number);
}

void carom_cbor_text(struct carom_cbor *cbor, const char *text)
{
	put_bytes(cbor, encode_text, text, strlen(text));
}

static void put_integer(struct carom_cbor *cbor, int64_t number)
{
	if (number >= 0)
		put_head(cbor, encode_uint, (uint64_t)number);
	else
		put_head(cbor, encode_negint, (uint64_t)(-1 - number));
}

static void put_real(struct carom_cbor *cbor, double real)
{
	uint64_t bits;

	memcpy(&bits, &real, sizeof(bits));
	put_head(cbor, encode_real, bits);
}

static void put_proxy(struct carom_cbor *cbor, const struct carom_object *object)
{
	put_head(cbor, encode_tag, TAG_NAMED);
	carom_cbor_array(cbor, 3);
	carom_cbor_text(cbor, PROXY_NAME);
	carom_cbor_text(cbor, object->proxy.type);
	carom_cbor_number(cbor, object->proxy.id);
}

static void put_items(struct carom_cbor *cbor, const struct carom_object *object)
{
	bool is_dict = object->kind == CAROM_OBJECT_DICT;

	if (object->kind == CAROM_OBJECT_TUPLE)
		put_head(cbor, encode_tag, TAG_TUPLE);
	put_head(cbor, is_dict ? encode_map : encode_array, carom_object_count(object));
	for (size_t i = 0; cbor->error == 0 && i < object->items.count; i++)
		carom_cbor_object(cbor, object->items.data[i]);
}

void carom_cbor_object(struct carom_cbor *cbor, const struct carom_object *object)
{
	switch ((enum carom_object_kind)object->kind) {
	case CAROM_OBJECT_NONE:
		carom_cbor_none(cbor);
		break;
	case CAROM_OBJECT_BOOL:
		put_head(cbor, encode_bool, object->truth);
		break;
	case CAROM_OBJECT_INT:
		put_integer(cbor, object->integer);
		break;
	case CAROM_OBJECT_FLOAT:
		put_real(cbor, object->real);
		break;
	case CAROM_OBJECT_BYTES:
		put_bytes(cbor, encode_bytes, object->bytes.data, object->bytes.size);
		break;
	case CAROM_OBJECT_TEXT:
		put_bytes(cbor, encode_text, object->bytes.data, object->bytes.size);
		break;
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
	case CAROM_OBJECT_DICT:
		put_items(cbor, object);
		break;
	case CAROM_OBJECT_PROXY:
		put_proxy(cbor, object);
		break;
	default:
		fail_writing(cbor, -EINVAL);
	}
}

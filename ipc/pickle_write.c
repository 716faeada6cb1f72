/*
 * Pickle: writing
 *
 * The bytes of protocol 4, without what a reader can do without: frames, and a memo of objects
 * that stand in several places. A list is begun with a mark and ended by taking what stands
 * above it, so nothing has to be known beforehand.
 *
 *   I1  @levels says of each object that is begun what it is, and how many it has.
 *   I2  Within a key everything is part of the key: lists and dicts are refused.
 *   I3  The first error sticks, and nothing is added after it.
 */
#include "ipc/pickle.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/utf8.h"
#include "ipc/object_private.h"
#include "ipc/pickle_opcode.h"

#define PROTOCOL         4
#define SIZE_MAX_DEFAULT CAROM_MIB(64)
#define DUMP_MAX         CAROM_GIB(1)

/** struct level - an object that is begun; @is_key: it is in a key */
struct level {
	unsigned char kind;
	bool is_key;
	uint64_t count;
};

struct carom_pickle {
	int error;
	bool is_finished;
	unsigned char *data;
	size_t size;
	size_t room;
	uint64_t size_max;
	uint32_t depth;
	bool has_root;
	struct level levels[CAROM_PICKLE_DEPTH_MAX];
};

/* ---- bytes ---- */

/* I3 */
static int fail(struct carom_pickle *pickle, int error)
{
	if (pickle->error == 0)
		pickle->error = error;
	return pickle->error;
}

static int make_room(struct carom_pickle *pickle, size_t size)
{
	size_t room = pickle->room ? pickle->room * 2 : 256;
	void *data;

	if (size > pickle->size_max - pickle->size)
		return fail(pickle, -EMSGSIZE);
	if (size <= pickle->room - pickle->size)
		return 0;
	if (room < pickle->size + size)
		room = pickle->size + size;
	data = realloc(pickle->data, room);
	if (!data)
		return fail(pickle, -ENOMEM);
	pickle->data = data;
	pickle->room = room;
	return 0;
}

static int put(struct carom_pickle *pickle, const void *data, size_t size)
{
	int r = pickle->error ? pickle->error : make_room(pickle, size);

	if (r == 0 && size > 0) {
		memcpy(pickle->data + pickle->size, data, size);
		pickle->size += size;
	}
	return r;
}

/* An opcode, and the @size lowest bytes of @number. */
static int put_opcode(struct carom_pickle *pickle, unsigned char opcode, uint64_t number,
		      size_t size)
{
	unsigned char bytes[9] = { opcode };

	number = htole64(number);
	memcpy(bytes + 1, &number, size);
	return put(pickle, bytes, size + 1);
}

/* ---- beginning and end ---- */

int carom_pickle_new(const struct carom_pickle_options *options, struct carom_pickle **ret_pickle)
{
	CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *pickle = NULL;
	struct carom_pickle_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	pickle = calloc(1, sizeof(*pickle));
	if (!pickle)
		return -ENOMEM;
	if (o.size_max == 0)
		o.size_max = SIZE_MAX_DEFAULT;
	pickle->size_max = o.size_max < PTRDIFF_MAX ? o.size_max : PTRDIFF_MAX;
	r = put_opcode(pickle, OP_PROTO, PROTOCOL, 1);
	if (r == -ENOMEM)
		return r;
	*ret_pickle = carom_take_ptr(pickle);
	return 0;
}

struct carom_pickle *carom_pickle_free(struct carom_pickle *pickle)
{
	if (!pickle)
		return NULL;
	free(pickle->data);
	free(pickle);
	return NULL;
}

void carom_pickle_freep(struct carom_pickle **pickle)
{
	*pickle = carom_pickle_free(*pickle);
}

/* ---- places ---- */

/* I2: is what comes next a key, or in one? */
static bool is_in_key(const struct carom_pickle *pickle)
{
	const struct level *level = pickle->depth > 0 ? &pickle->levels[pickle->depth - 1] : NULL;

	return level &&
	       (level->is_key || (level->kind == CAROM_OBJECT_DICT && level->count % 2 == 0));
}

/* There is a place for one object more, which is taken. */
static int take_place(struct carom_pickle *pickle)
{
	if (pickle->error)
		return pickle->error;
	if (pickle->is_finished || (pickle->depth == 0 && pickle->has_root))
		return fail(pickle, -EINVAL);
	if (pickle->depth > 0)
		pickle->levels[pickle->depth - 1].count++;
	pickle->has_root = true;
	return 0;
}

static int enter(struct carom_pickle *pickle, enum carom_object_kind kind, bool is_key)
{
	if (pickle->depth == CAROM_PICKLE_DEPTH_MAX)
		return fail(pickle, -EMSGSIZE);
	pickle->levels[pickle->depth++] = (struct level){ .kind = kind, .is_key = is_key };
	return 0;
}

static int begin(struct carom_pickle *pickle, enum carom_object_kind kind)
{
	bool is_key = is_in_key(pickle);
	int r = take_place(pickle);

	if (r < 0)
		return r;
	if (is_key && kind != CAROM_OBJECT_TUPLE)
		return fail(pickle, -EINVAL);
	r = enter(pickle, kind, is_key);
	if (r < 0)
		return r;
	if (kind == CAROM_OBJECT_LIST)
		put_opcode(pickle, OP_EMPTY_LIST, 0, 0);
	else if (kind == CAROM_OBJECT_DICT)
		put_opcode(pickle, OP_EMPTY_DICT, 0, 0);
	return put_opcode(pickle, OP_MARK, 0, 0);
}

int carom_pickle_begin_list(struct carom_pickle *pickle)
{
	return begin(pickle, CAROM_OBJECT_LIST);
}

int carom_pickle_begin_tuple(struct carom_pickle *pickle)
{
	return begin(pickle, CAROM_OBJECT_TUPLE);
}

int carom_pickle_begin_dict(struct carom_pickle *pickle)
{
	return begin(pickle, CAROM_OBJECT_DICT);
}

int carom_pickle_begin_tagged(struct carom_pickle *pickle, uint32_t tag)
{
	bool is_key = is_in_key(pickle);
	int r = take_place(pickle);

	if (r < 0)
		return r;
	if (tag == 0 || tag > CAROM_TAG_MAX)
		return fail(pickle, -EINVAL);
	if (tag <= UINT8_MAX)
		r = put_opcode(pickle, OP_EXT1, tag, 1);
	else if (tag <= UINT16_MAX)
		r = put_opcode(pickle, OP_EXT2, tag, 2);
	else
		r = put_opcode(pickle, OP_EXT4, tag, 4);
	return r < 0 ? r : enter(pickle, CAROM_OBJECT_TAGGED, is_key);
}

int carom_pickle_end(struct carom_pickle *pickle)
{
	static const unsigned char enders[] = { [CAROM_OBJECT_LIST] = OP_APPENDS,
						[CAROM_OBJECT_TUPLE] = OP_TUPLE,
						[CAROM_OBJECT_DICT] = OP_SETITEMS };
	const struct level *level;

	if (pickle->error)
		return pickle->error;
	if (pickle->depth == 0)
		return fail(pickle, -EINVAL);
	level = &pickle->levels[pickle->depth - 1];
	if (level->kind == CAROM_OBJECT_DICT && level->count % 2 != 0)
		return fail(pickle, -EINVAL);
	if (level->kind == CAROM_OBJECT_TAGGED && level->count != 1)
		return fail(pickle, -EINVAL);
	pickle->depth--;
	if (level->kind == CAROM_OBJECT_TAGGED) {
		put_opcode(pickle, OP_TUPLE1, 0, 0);
		return put_opcode(pickle, OP_REDUCE, 0, 0);
	}
	return put_opcode(pickle, enders[level->kind], 0, 0);
}

/* ---- plain objects ---- */

static int put_plain(struct carom_pickle *pickle, unsigned char opcode, uint64_t number,
		     size_t size)
{
	int r = take_place(pickle);

	return r < 0 ? r : put_opcode(pickle, opcode, number, size);
}

int carom_pickle_none(struct carom_pickle *pickle)
{
	return put_plain(pickle, OP_NONE, 0, 0);
}

int carom_pickle_bool(struct carom_pickle *pickle, bool value)
{
	return put_plain(pickle, value ? OP_NEWTRUE : OP_NEWFALSE, 0, 0);
}

int carom_pickle_int(struct carom_pickle *pickle, int64_t value)
{
	unsigned char bytes[8];
	uint64_t number = htole64((uint64_t)value);
	int r;

	if (value >= 0 && value <= UINT8_MAX)
		return put_plain(pickle, OP_BININT1, (uint64_t)value, 1);
	if (value >= 0 && value <= UINT16_MAX)
		return put_plain(pickle, OP_BININT2, (uint64_t)value, 2);
	if (value >= INT32_MIN && value <= INT32_MAX)
		return put_plain(pickle, OP_BININT, (uint64_t)value, 4);
	memcpy(bytes, &number, sizeof(bytes));
	r = put_plain(pickle, OP_LONG1, sizeof(bytes), 1);
	return r < 0 ? r : put(pickle, bytes, sizeof(bytes));
}

int carom_pickle_float(struct carom_pickle *pickle, double value)
{
	uint64_t number;

	memcpy(&number, &value, sizeof(number));
	/* the highest byte first */
	return put_plain(pickle, OP_BINFLOAT, le64toh(htobe64(number)), sizeof(number));
}

/* By the length of the length. */
static int put_bytes(struct carom_pickle *pickle, const unsigned char opcodes[3], const void *data,
		     size_t size)
{
	int r;

	if (size <= UINT8_MAX)
		r = put_plain(pickle, opcodes[0], size, 1);
	else if (size <= UINT32_MAX)
		r = put_plain(pickle, opcodes[1], size, 4);
	else
		r = put_plain(pickle, opcodes[2], size, 8);
	return r < 0 ? r : put(pickle, data, size);
}

int carom_pickle_bytes(struct carom_pickle *pickle, const void *data, size_t size)
{
	static const unsigned char opcodes[] = { OP_SHORT_BINBYTES, OP_BINBYTES, OP_BINBYTES8 };

	if (!data && size > 0)
		return fail(pickle, -EINVAL);
	return put_bytes(pickle, opcodes, data, size);
}

static int put_text(struct carom_pickle *pickle, const char *text, size_t size)
{
	static const unsigned char opcodes[] = { OP_SHORT_BINUNICODE, OP_BINUNICODE,
						 OP_BINUNICODE8 };

	if (!carom_utf8_is_valid(text, size))
		return fail(pickle, -EILSEQ);
	return put_bytes(pickle, opcodes, text, size);
}

int carom_pickle_text(struct carom_pickle *pickle, const char *text)
{
	return text ? put_text(pickle, text, strlen(text)) : fail(pickle, -EINVAL);
}

static int put_fd(struct carom_pickle *pickle, uint32_t index)
{
	int r = carom_pickle_int(pickle, index);

	return r < 0 ? r : put_opcode(pickle, OP_BINPERSID, 0, 0);
}

/* ---- objects that were read ---- */

static int put_items(struct carom_pickle *pickle, const struct carom_object *object)
{
	size_t count = carom_object_count(object);
	int r = begin(pickle, (enum carom_object_kind)carom_object_kind(object));

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (carom_object_kind(object) == CAROM_OBJECT_DICT)
			r = carom_pickle_object(pickle, carom_object_key(object, i));
		if (r == 0)
			r = carom_pickle_object(pickle, carom_object_item(object, i));
	}
	return r < 0 ? r : carom_pickle_end(pickle);
}

static int put_tagged(struct carom_pickle *pickle, const struct carom_object *object)
{
	uint32_t tag = 0;
	int r;

	carom_object_tag(object, &tag);
	r = carom_pickle_begin_tagged(pickle, tag);
	if (r == 0)
		r = carom_pickle_object(pickle, carom_object_content(object));
	return r < 0 ? r : carom_pickle_end(pickle);
}

static int put_number(struct carom_pickle *pickle, const struct carom_object *object)
{
	double real = 0;
	int64_t integer;
	bool truth;

	if (carom_object_bool(object, &truth) == 0)
		return carom_pickle_bool(pickle, truth);
	if (carom_object_int(object, &integer) == 0)
		return carom_pickle_int(pickle, integer);
	carom_object_float(object, &real);
	return carom_pickle_float(pickle, real);
}

int carom_pickle_object(struct carom_pickle *pickle, const struct carom_object *object)
{
	const void *data = NULL;
	const char *text = "";
	size_t size = 0;

	switch (carom_object_kind(object)) {
	case CAROM_OBJECT_NONE:
		return carom_pickle_none(pickle);
	case CAROM_OBJECT_BOOL:
	case CAROM_OBJECT_INT:
	case CAROM_OBJECT_FLOAT:
		return put_number(pickle, object);
	case CAROM_OBJECT_BYTES:
		carom_object_bytes(object, &data, &size);
		return carom_pickle_bytes(pickle, data, size);
	case CAROM_OBJECT_TEXT:
		carom_object_text(object, &text, &size);
		return put_text(pickle, text, size);
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
	case CAROM_OBJECT_DICT:
		return put_items(pickle, object);
	case CAROM_OBJECT_TAGGED:
		return put_tagged(pickle, object);
	case CAROM_OBJECT_FD:
		return put_fd(pickle, object->place.index);
	default:
		return fail(pickle, -EINVAL);
	}
}

/* ---- the whole ---- */

int carom_pickle_data(struct carom_pickle *pickle, const void **ret_data, size_t *ret_size)
{
	static const unsigned char stop = OP_STOP;

	if (pickle->error == 0 && (pickle->depth > 0 || !pickle->has_root))
		fail(pickle, -EINVAL);
	if (!pickle->is_finished)
		put(pickle, &stop, 1);
	if (pickle->error)
		return pickle->error;
	pickle->is_finished = true;
	*ret_data = pickle->data;
	*ret_size = pickle->size;
	return 0;
}

int carom_pickle_dump(const struct carom_object *object, void **ret_data, size_t *ret_size)
{
	CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *pickle = NULL;
	const void *data;
	size_t size = 0; /* for gcc -O3 */
	int r = carom_pickle_new(&CAROM_PICKLE_OPTIONS(.size_max = DUMP_MAX), &pickle);

	if (r < 0)
		return r;
	carom_pickle_object(pickle, object);
	r = carom_pickle_data(pickle, &data, &size);
	if (r < 0)
		return r;
	*ret_data = carom_take_ptr(pickle->data);
	*ret_size = size;
	return 0;
}

int carom_connection_send_pickle(struct carom_connection *connection, struct carom_pickle *pickle,
				 uint64_t deadline_ns)
{
	const void *data = NULL;
	size_t size = 0;
	int r = carom_pickle_data(pickle, &data, &size);

	return r < 0 ? r : carom_connection_send_bytes(connection, data, size, deadline_ns);
}

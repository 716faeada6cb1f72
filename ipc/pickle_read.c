/*
 * Pickle: reading
 *
 * A pickle is a program for a machine with a stack and a memo. Those of its instructions that
 * make data are done here, one function each; any other is -EBADMSG.
 *
 *   I1  What is left of the input is checked before anything is taken from it, and lengths
 *       before memory is asked for: they are never above what is left.
 *   I2  Each instruction is at least a byte and puts at most one object on the stack and one
 *       into the memo, so that both are bounded by the length of the input. The document's
 *       limit bounds its objects, and by itself each of the two.
 *   I3  A mark is a place of the stack, and only what stands above it is taken with it.
 *   I4  The memo is filled in order, as Python does: no number in the input asks for memory.
 *   I5  What Python calls an extension's code is a tag here, and the call of one with one
 *       argument is an object with that tag: nothing is called. A tag alone stands on the stack
 *       and in the memo only. What Python calls a persistent id is a descriptor's number.
 */
#include "ipc/pickle.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "ipc/object_private.h"
#include "ipc/pickle_opcode.h"

/* What is pushed for a mark; compared by address. */
static struct carom_object mark;

struct pile {
	struct carom_object **data;
	size_t count;
	size_t room;
	uint64_t count_max;
};

/** struct reader - @left bytes from @next on are still to be read */
struct reader {
	const unsigned char *next;
	size_t left;
	uint32_t depth_max;
	struct pile stack;
	struct pile memo;
	struct carom_document *document;
};

/* ---- piles ---- */

static int push_onto(struct pile *pile, struct carom_object *object)
{
	size_t room = pile->room ? pile->room * 2 : 64;
	void *data;

	if (pile->count >= pile->count_max)
		return -EMSGSIZE;
	if (pile->count == pile->room) {
		if (room > pile->count_max)
			room = (size_t)pile->count_max;
		data = realloc(pile->data, room * sizeof(*pile->data));
		if (!data)
			return -ENOMEM;
		pile->data = data;
		pile->room = room;
	}
	pile->data[pile->count++] = object;
	return 0;
}

static int push(struct reader *reader, struct carom_object *object)
{
	return push_onto(&reader->stack, object);
}

/* The object @depth below the top; NULL: there is none, or a mark is above it */
static struct carom_object *look(const struct reader *reader, size_t depth)
{
	const struct pile *stack = &reader->stack;

	for (size_t i = 0; i <= depth; i++)
		if (i >= stack->count || stack->data[stack->count - 1 - i] == &mark)
			return NULL;
	return stack->data[stack->count - 1 - depth];
}

/* How many stand above the mark that is next; -EBADMSG: there is no mark */
static ssize_t count_above_mark(const struct reader *reader)
{
	const struct pile *stack = &reader->stack;

	for (size_t i = stack->count; i-- > 0;)
		if (stack->data[i] == &mark)
			return (ssize_t)(stack->count - 1 - i);
	return -EBADMSG;
}

/* ---- input ---- */

/* I1 */
static int take_bytes(struct reader *reader, uint64_t size, const unsigned char **ret_bytes)
{
	if (size > reader->left)
		return -EBADMSG;
	*ret_bytes = reader->next;
	reader->next += size;
	reader->left -= (size_t)size;
	return 0;
}

/* A number of @size bytes, up to 8, the lowest first. */
static int take_number(struct reader *reader, size_t size, uint64_t *ret_number)
{
	const unsigned char *bytes;
	uint64_t number = 0;
	int r = take_bytes(reader, size, &bytes);

	if (r < 0)
		return r;
	memcpy(&number, bytes, size);
	*ret_number = le64toh(number);
	return 0;
}

/* ---- plain objects ---- */

static int push_new(struct reader *reader, enum carom_object_kind kind,
		    struct carom_object **ret_object)
{
	int r = carom_object_new(reader->document, kind, ret_object);

	return r < 0 ? r : push(reader, *ret_object);
}

static int push_empty(struct reader *reader, enum carom_object_kind kind)
{
	struct carom_object *object;

	return push_new(reader, kind, &object);
}

static int push_truth(struct reader *reader, bool truth)
{
	struct carom_object *object;
	int r = push_new(reader, CAROM_OBJECT_BOOL, &object);

	if (r == 0)
		object->truth = truth;
	return r;
}

static int push_integer(struct reader *reader, int64_t value)
{
	struct carom_object *object;
	int r = push_new(reader, CAROM_OBJECT_INT, &object);

	if (r == 0)
		object->integer = value;
	return r;
}

static int read_unsigned(struct reader *reader, size_t size)
{
	uint64_t number;
	int r = take_number(reader, size, &number);

	return r < 0 ? r : push_integer(reader, (int64_t)number);
}

static int read_int(struct reader *reader)
{
	uint64_t number;
	int r = take_number(reader, 4, &number);

	return r < 0 ? r : push_integer(reader, (int32_t)(uint32_t)number);
}

/* Is @bytes[8..] nothing but the sign of what stands before? */
static bool is_sign(const unsigned char *bytes, size_t size)
{
	unsigned char sign = bytes[7] & 0x80 ? 0xff : 0;

	for (size_t i = 8; i < size; i++)
		if (bytes[i] != sign)
			return false;
	return true;
}

/* Two's complement, the lowest byte first, of any length; none is 0. */
static int read_long(struct reader *reader, size_t length_size)
{
	const unsigned char *bytes = NULL;
	uint64_t size, value;
	int r = take_number(reader, length_size, &size);

	if (r == 0)
		r = take_bytes(reader, size, &bytes);
	if (r < 0)
		return r;
	if (size > INT32_MAX) /* of four bytes: it is negative */
		return -EBADMSG;
	if (size > 8 && !is_sign(bytes, (size_t)size))
		return -EOVERFLOW;
	value = size > 0 && bytes[size - 1] & 0x80 ? UINT64_MAX : 0;
	value = htole64(value);
	memcpy(&value, bytes, size < 8 ? (size_t)size : 8);
	return push_integer(reader, (int64_t)le64toh(value));
}

static int read_float(struct reader *reader)
{
	struct carom_object *object;
	uint64_t number;
	int r = take_number(reader, 8, &number);

	if (r == 0)
		r = push_new(reader, CAROM_OBJECT_FLOAT, &object);
	if (r < 0)
		return r;
	number = be64toh(htole64(number)); /* the highest byte was first */
	memcpy(&object->real, &number, sizeof(number));
	return 0;
}

static int read_bytes(struct reader *reader, enum carom_object_kind kind, size_t length_size)
{
	const unsigned char *bytes = NULL;
	struct carom_object *object;
	uint64_t size;
	int r = take_number(reader, length_size, &size);

	if (r == 0)
		r = take_bytes(reader, size, &bytes);
	if (r < 0)
		return r;
	if (kind == CAROM_OBJECT_TEXT && !carom_utf8_is_valid(bytes, (size_t)size))
		return -EBADMSG;
	r = push_new(reader, kind, &object);
	return r < 0 ? r : carom_object_set_bytes(reader->document, object, bytes, (size_t)size);
}

/* ---- what holds others ---- */

static int add_top(struct reader *reader, struct carom_object *object, size_t count)
{
	struct carom_object **items = reader->stack.data + reader->stack.count - count;

	return carom_object_add(reader->document, object, items, count, reader->depth_max);
}

/* The @count objects on top, and @mark_count marks below them, become a tuple. */
static int make_tuple(struct reader *reader, size_t count, size_t mark_count)
{
	struct carom_object *tuple;
	int r = carom_object_new(reader->document, CAROM_OBJECT_TUPLE, &tuple);

	if (r == 0)
		r = add_top(reader, tuple, count);
	if (r < 0)
		return r;
	reader->stack.count -= count + mark_count;
	return push(reader, tuple);
}

static int read_tuple(struct reader *reader)
{
	ssize_t count = count_above_mark(reader);

	return count < 0 ? (int)count : make_tuple(reader, (size_t)count, 1);
}

static int read_short_tuple(struct reader *reader, size_t count)
{
	return look(reader, count - 1) ? make_tuple(reader, count, 0) : -EBADMSG;
}

/* The @count objects on top are added to what stands below them, and below @mark_count marks. */
static int add(struct reader *reader, enum carom_object_kind kind, size_t count, size_t mark_count)
{
	struct pile *stack = &reader->stack;
	struct carom_object *object;
	int r;

	if (stack->count < count + mark_count + 1)
		return -EBADMSG;
	object = stack->data[stack->count - count - mark_count - 1];
	if (object == &mark || object->kind != kind)
		return -EBADMSG;
	r = add_top(reader, object, count);
	if (r == 0)
		stack->count -= count + mark_count;
	return r;
}

static int add_above_mark(struct reader *reader, enum carom_object_kind kind)
{
	ssize_t count = count_above_mark(reader);

	return count < 0 ? (int)count : add(reader, kind, (size_t)count, 1);
}

static int add_without_mark(struct reader *reader, enum carom_object_kind kind, size_t count)
{
	return look(reader, count - 1) ? add(reader, kind, count, 0) : -EBADMSG;
}

/* ---- tags and descriptors ---- */

static int read_tag(struct reader *reader, size_t size)
{
	struct carom_object *object;
	uint64_t tag;
	int r = take_number(reader, size, &tag);

	if (r < 0)
		return r;
	if (tag == 0 || tag > CAROM_TAG_MAX)
		return -EBADMSG;
	r = push_new(reader, CAROM_OBJECT_TAGGED, &object);
	if (r == 0)
		object->tagged.tag = (uint32_t)tag;
	return r;
}

/* I5: of a tag and a tuple of one object, on top, one that is tagged */
static int read_reduce(struct reader *reader)
{
	const struct carom_object *tag = look(reader, 1);
	struct carom_object *tuple = look(reader, 0), *object;
	int r;

	if (!tag || !carom_object_is_bare_tag(tag) || tuple->kind != CAROM_OBJECT_TUPLE ||
	    tuple->items.count != 1)
		return -EBADMSG;
	r = carom_object_new(reader->document, CAROM_OBJECT_TAGGED, &object);
	if (r < 0)
		return r;
	object->tagged.tag = tag->tagged.tag;
	r = carom_object_set_content(object, (struct carom_object *)tuple->items.data[0],
				     reader->depth_max);
	if (r < 0)
		return r;
	reader->stack.count -= 2;
	return push(reader, object);
}

/* By its number, which stands on top. */
static int read_fd(struct reader *reader)
{
	const struct carom_object *number = look(reader, 0);
	struct carom_object *object;
	int r;

	if (!number || number->kind != CAROM_OBJECT_INT || number->integer < 0)
		return -EBADMSG;
	r = carom_object_new(reader->document, CAROM_OBJECT_FD, &object);
	if (r == 0)
		r = carom_object_set_place(reader->document, object, (uint64_t)number->integer);
	if (r < 0)
		return r;
	reader->stack.count--;
	return push(reader, object);
}

/* ---- memo ---- */

/* I4 */
static int put(struct reader *reader, uint64_t index)
{
	struct carom_object *object = look(reader, 0);

	if (!object || index > reader->memo.count)
		return -EBADMSG;
	if (index == reader->memo.count)
		return push_onto(&reader->memo, object);
	reader->memo.data[index] = object;
	return 0;
}

static int read_put(struct reader *reader, size_t size)
{
	uint64_t index;
	int r = take_number(reader, size, &index);

	return r < 0 ? r : put(reader, index);
}

static int read_get(struct reader *reader, size_t size)
{
	uint64_t index;
	int r = take_number(reader, size, &index);

	if (r < 0)
		return r;
	return index < reader->memo.count ? push(reader, reader->memo.data[index]) : -EBADMSG;
}

/* ---- the whole ---- */

static int read_protocol(struct reader *reader)
{
	uint64_t version;
	int r = take_number(reader, 1, &version);

	if (r < 0)
		return r;
	return version >= 2 && version <= 5 ? 0 : -EBADMSG;
}

/* A frame says how much may be read at once, which is of no use here. */
static int read_frame(struct reader *reader)
{
	uint64_t size;
	int r = take_number(reader, 8, &size);

	if (r < 0)
		return r;
	return size <= reader->left ? 0 : -EBADMSG;
}

static int do_opcode(struct reader *reader, unsigned char opcode)
{
	switch ((enum carom_pickle_opcode)opcode) {
	case OP_NONE:
		return push_empty(reader, CAROM_OBJECT_NONE);
	case OP_NEWTRUE:
		return push_truth(reader, true);
	case OP_NEWFALSE:
		return push_truth(reader, false);
	case OP_BININT:
		return read_int(reader);
	case OP_BININT1:
		return read_unsigned(reader, 1);
	case OP_BININT2:
		return read_unsigned(reader, 2);
	case OP_LONG1:
		return read_long(reader, 1);
	case OP_LONG4:
		return read_long(reader, 4);
	case OP_BINFLOAT:
		return read_float(reader);
	case OP_SHORT_BINBYTES:
		return read_bytes(reader, CAROM_OBJECT_BYTES, 1);
	case OP_BINBYTES:
		return read_bytes(reader, CAROM_OBJECT_BYTES, 4);
	case OP_BINBYTES8:
		return read_bytes(reader, CAROM_OBJECT_BYTES, 8);
	case OP_SHORT_BINUNICODE:
		return read_bytes(reader, CAROM_OBJECT_TEXT, 1);
	case OP_BINUNICODE:
		return read_bytes(reader, CAROM_OBJECT_TEXT, 4);
	case OP_BINUNICODE8:
		return read_bytes(reader, CAROM_OBJECT_TEXT, 8);
	case OP_EMPTY_LIST:
		return push_empty(reader, CAROM_OBJECT_LIST);
	case OP_EMPTY_DICT:
		return push_empty(reader, CAROM_OBJECT_DICT);
	case OP_EMPTY_TUPLE:
		return push_empty(reader, CAROM_OBJECT_TUPLE);
	case OP_MARK:
		return push(reader, &mark);
	case OP_TUPLE:
		return read_tuple(reader);
	case OP_TUPLE1:
		return read_short_tuple(reader, 1);
	case OP_TUPLE2:
		return read_short_tuple(reader, 2);
	case OP_TUPLE3:
		return read_short_tuple(reader, 3);
	case OP_APPEND:
		return add_without_mark(reader, CAROM_OBJECT_LIST, 1);
	case OP_APPENDS:
		return add_above_mark(reader, CAROM_OBJECT_LIST);
	case OP_SETITEM:
		return add_without_mark(reader, CAROM_OBJECT_DICT, 2);
	case OP_SETITEMS:
		return add_above_mark(reader, CAROM_OBJECT_DICT);
	case OP_MEMOIZE:
		return put(reader, reader->memo.count);
	case OP_BINPUT:
		return read_put(reader, 1);
	case OP_LONG_BINPUT:
		return read_put(reader, 4);
	case OP_BINGET:
		return read_get(reader, 1);
	case OP_LONG_BINGET:
		return read_get(reader, 4);
	case OP_EXT1:
		return read_tag(reader, 1);
	case OP_EXT2:
		return read_tag(reader, 2);
	case OP_EXT4:
		return read_tag(reader, 4);
	case OP_REDUCE:
		return read_reduce(reader);
	case OP_BINPERSID:
		return read_fd(reader);
	case OP_FRAME:
		return read_frame(reader);
	case OP_PROTO:
	case OP_STOP:
		break; /* the first and the last */
	}
	return -EBADMSG;
}

/* What is left on the stack at the end is the object, and nothing follows. */
static int finish(struct reader *reader)
{
	struct carom_object *root = look(reader, 0);

	if (!root || carom_object_is_bare_tag(root) || reader->stack.count != 1 || reader->left > 0)
		return -EBADMSG;
	carom_document_set_root(reader->document, root);
	return 0;
}

static int read_all(struct reader *reader)
{
	const unsigned char *opcode;
	int r = take_bytes(reader, 1, &opcode);

	if (r == 0)
		r = *opcode == OP_PROTO ? read_protocol(reader) : -EBADMSG;
	while (r == 0) {
		r = take_bytes(reader, 1, &opcode);
		if (r == 0 && *opcode == OP_STOP)
			return finish(reader);
		if (r == 0)
			r = do_opcode(reader, *opcode);
	}
	return r;
}

int carom_pickle_load(const void *data, size_t size, const struct carom_document_limits *limits,
		      struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct reader reader = { .next = data, .left = size };
	struct carom_document_limits l;
	int r = carom_document_take_limits(limits, size, &l);

	if (r == 0)
		r = carom_document_make(l.memory_max, &document);
	if (r < 0)
		return r;
	reader.depth_max = l.depth_max;
	reader.stack.count_max = l.memory_max / sizeof(*reader.stack.data);
	reader.memo.count_max = reader.stack.count_max;
	reader.document = document;
	r = read_all(&reader);
	free(reader.stack.data);
	free(reader.memo.data);
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}

/*
 * Shareable list
 *
 * Numbers are little-endian and 64 bits wide; n items:
 *
 *	n | n + 1 offsets into the data | data | n times 8 bytes: format | n bytes: code
 *
 * In Python's layout the format is that of its struct module: "q", "d", "xxxxxxx?",
 * "xxxxxx?x" for none, "16s" for text and bytes, where 16 is the room, which is filled up
 * with zeros; the code tells text (1), bytes (2) and none (3) from what the format says by
 * itself (0). In the exact layout the first number is -1 - n, the format is the length in
 * bytes, and the code is the item's type.
 *
 *   L1  How many items there are, and where, is read and checked once, and does not
 *       change. What stands beside an item is read once for each use, and checked.
 *   L2  Room is a multiple of 8 bytes, and not 0, so that every item can become a number.
 */
#include "shm/shareable_list.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/utf8.h"
#include "shm/index.h"

#define UNIT            8
#define FORMAT_SIZE     8
#define FORMAT_ROOM_MAX 9999999 /* "9999999s" */

enum code {
	CODE_PLAIN,
	CODE_STR,
	CODE_BYTES,
	CODE_NONE,
};

/* what stands beside an item of each type; text and bytes have their room for a format */
static const struct {
	const char *format;
	enum code code;
} beside[] = {
	[CAROM_ELEMENT_NONE] = { "xxxxxx?x", CODE_NONE },
	[CAROM_ELEMENT_BOOL] = { "xxxxxxx?", CODE_PLAIN },
	[CAROM_ELEMENT_INT] = { "q", CODE_PLAIN },
	[CAROM_ELEMENT_FLOAT] = { "d", CODE_PLAIN },
	[CAROM_ELEMENT_STR] = { NULL, CODE_STR },
	[CAROM_ELEMENT_BYTES] = { NULL, CODE_BYTES },
};

/**
 * struct carom_shareable_list
 * @offsets: n + 1 of them, from @data
 */
struct carom_shareable_list {
	struct carom_shared_memory *memory;
	size_t count;
	bool is_exact;
	uint64_t *offsets;
	unsigned char *data;
	unsigned char *formats;
	unsigned char *codes;
};

/* ---- items ---- */

struct carom_element carom_element_str(const char *text)
{
	return carom_element_text(text, strlen(text));
}

static bool has_bytes(const struct carom_element *item)
{
	return item->type == CAROM_ELEMENT_STR || item->type == CAROM_ELEMENT_BYTES;
}

static bool is_number(const struct carom_element *item)
{
	return item->type == CAROM_ELEMENT_BOOL || item->type == CAROM_ELEMENT_INT ||
	       item->type == CAROM_ELEMENT_FLOAT;
}

/* without rounding either */
static bool int_equals_float(int64_t integer, double real)
{
	return real >= -0x1p63 && real < 0x1p63 && (int64_t)real == integer &&
	       (double)(int64_t)real == real;
}

static bool numbers_are_equal(const struct carom_element *a, const struct carom_element *b)
{
	if (a->type == CAROM_ELEMENT_FLOAT && b->type == CAROM_ELEMENT_FLOAT)
		return a->real == b->real;
	if (a->type == CAROM_ELEMENT_FLOAT)
		return int_equals_float(b->integer, a->real);
	if (b->type == CAROM_ELEMENT_FLOAT)
		return int_equals_float(a->integer, b->real);
	return a->integer == b->integer;
}

bool carom_element_equals(const struct carom_element *a, const struct carom_element *b)
{
	if (is_number(a) && is_number(b))
		return numbers_are_equal(a, b);
	if (a->type != b->type)
		return false;
	return !has_bytes(a) ||
	       (a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0));
}

/* would Python read what was written? */
static int check_for_python(const struct carom_element *item)
{
	const unsigned char *data = item->data;

	if (!has_bytes(item) || !item->size)
		return 0;
	if (data[item->size - 1] == 0)
		return -EINVAL;
	return item->type == CAROM_ELEMENT_BYTES || carom_utf8_is_valid(data, item->size) ? 0
											  : -EINVAL;
}

static int check(const struct carom_element *item, bool is_exact)
{
	if (item->type < CAROM_ELEMENT_NONE || item->type > CAROM_ELEMENT_BYTES ||
	    (has_bytes(item) && item->size && !item->data))
		return -EINVAL;
	return is_exact ? 0 : check_for_python(item);
}

/* ---- the layout ---- */

static uint64_t load(const void *place)
{
	uint64_t value;

	memcpy(&value, place, sizeof(value));
	return le64toh(value);
}

static void store(void *place, uint64_t value)
{
	value = htole64(value);
	memcpy(place, &value, sizeof(value));
}

static uint64_t room_of(const struct carom_element *item)
{
	return has_bytes(item) ? UNIT * (item->size / UNIT + 1) : UNIT;
}

static uint64_t room_at(const struct carom_shareable_list *list, size_t index)
{
	return list->offsets[index + 1] - list->offsets[index];
}

static void find_parts(struct carom_shareable_list *list)
{
	unsigned char *begin = carom_shared_memory_data(list->memory);

	list->data = begin + (list->count + 2) * UNIT;
	list->formats = list->data + list->offsets[list->count];
	list->codes = list->formats + list->count * FORMAT_SIZE;
}

/* how much a list of @count items takes beside its data; false: too much */
static bool frame_size(uint64_t count, uint64_t *ret_size)
{
	return !__builtin_mul_overflow(count, UNIT + FORMAT_SIZE + 1, ret_size) &&
	       !__builtin_add_overflow(*ret_size, 2 * UNIT, ret_size);
}

/* ---- one item ---- */

static void write_number(unsigned char *place, const struct carom_element *item)
{
	uint64_t bits = 0;

	if (item->type == CAROM_ELEMENT_INT)
		bits = (uint64_t)item->integer;
	else if (item->type == CAROM_ELEMENT_FLOAT)
		memcpy(&bits, &item->real, sizeof(bits));
	else if (item->type == CAROM_ELEMENT_BOOL)
		bits = (uint64_t)(item->integer != 0) << 56; /* the last of the eight bytes */
	store(place, bits);
}

/* Return: the length of what was written */
static size_t print_format(const struct carom_element *item, uint64_t bytes, char *text,
			   size_t size)
{
	if (has_bytes(item))
		return (size_t)snprintf(text, size, "%llus", (unsigned long long)bytes);
	return (size_t)snprintf(text, size, "%s", beside[item->type].format);
}

static void write_format(struct carom_shareable_list *list, size_t index,
			 const struct carom_element *item)
{
	unsigned char *format = list->formats + index * FORMAT_SIZE;
	char text[24] = "";

	if (list->is_exact) {
		store(format, has_bytes(item) ? item->size : 0);
		list->codes[index] = (unsigned char)item->type;
		return;
	}
	print_format(item, room_at(list, index), text, sizeof(text));
	memcpy(format, text, FORMAT_SIZE);
	list->codes[index] = (unsigned char)beside[item->type].code;
}

static void write_item(struct carom_shareable_list *list, size_t index,
		       const struct carom_element *item)
{
	unsigned char *place = list->data + list->offsets[index];

	write_format(list, index, item);
	if (!has_bytes(item)) {
		write_number(place, item);
		return;
	}
	if (item->size)
		memcpy(place, item->data, item->size);
	memset(place + item->size, 0, room_at(list, index) - item->size);
}

static void read_number(const unsigned char *place, struct carom_element *item)
{
	uint64_t bits = load(place);

	if (item->type == CAROM_ELEMENT_INT)
		item->integer = (int64_t)bits;
	else if (item->type == CAROM_ELEMENT_FLOAT)
		memcpy(&item->real, &bits, sizeof(bits));
	else if (item->type == CAROM_ELEMENT_BOOL)
		item->integer = bits >> 56 != 0;
}

static uint64_t without_padding(const unsigned char *data, uint64_t size)
{
	while (size && data[size - 1] == 0)
		size--;
	return size;
}

/* the number of "16s"; -1: it is none */
static int64_t parse_size(const char *format)
{
	char *end;
	unsigned long size;

	if (format[0] < '0' || format[0] > '9')
		return -1;
	size = strtoul(format, &end, 10);
	return end[0] == 's' && end[1] == '\0' ? (int64_t)size : -1;
}

static bool find_number(const char *format, int64_t *ret_type)
{
	for (int type = CAROM_ELEMENT_BOOL; type <= CAROM_ELEMENT_FLOAT; type++) {
		if (strcmp(format, beside[type].format) != 0)
			continue;
		*ret_type = type;
		return true;
	}
	return false;
}

/* type, and of text and bytes the room that is used, padding and all; -EBADMSG */
static int read_python(const char *format, unsigned char code, struct carom_element *item)
{
	int64_t size = parse_size(format);

	item->size = size < 0 ? 0 : (uint64_t)size;
	if (code == CODE_NONE)
		item->type = CAROM_ELEMENT_NONE;
	else if (size >= 0 && code <= CODE_BYTES)
		item->type = code == CODE_STR ? CAROM_ELEMENT_STR : CAROM_ELEMENT_BYTES;
	else if (code != CODE_PLAIN || !find_number(format, &item->type))
		return -EBADMSG;
	return 0;
}

static int read_exact(uint64_t size, unsigned char code, struct carom_element *item)
{
	item->type = code;
	item->size = has_bytes(item) ? size : 0;
	return code > CAROM_ELEMENT_BYTES ? -EBADMSG : 0;
}

/* text and bytes are not copied */
static int view_item(const struct carom_shareable_list *list, size_t index,
		     struct carom_element *ret_item)
{
	const unsigned char *place = list->data + list->offsets[index];
	unsigned char code = *(volatile unsigned char *)&list->codes[index];
	struct carom_element item = carom_element_none();
	char format[FORMAT_SIZE + 1] = "";
	int r;

	memcpy(format, list->formats + index * FORMAT_SIZE, FORMAT_SIZE);
	r = list->is_exact ? read_exact(load(format), code, &item)
			   : read_python(format, code, &item);
	if (r < 0 || item.size > room_at(list, index))
		return -EBADMSG;
	if (!has_bytes(&item))
		read_number(place, &item);
	else if (!list->is_exact && code != CODE_PLAIN)
		item.size = without_padding(place, item.size);
	item.data = has_bytes(&item) ? place : NULL;
	*ret_item = item;
	return 0;
}

/* ---- making ---- */

static struct carom_shareable_list *new_handle(size_t count, bool is_exact)
{
	struct carom_shareable_list *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->count = count;
	list->is_exact = is_exact;
	list->offsets = calloc(count + 1, sizeof(*list->offsets));
	return list->offsets ? list : carom_shareable_list_free(list);
}

static int lay_out(struct carom_shareable_list *list, const struct carom_element *items)
{
	for (size_t i = 0; i < list->count; i++) {
		int r = check(&items[i], list->is_exact);

		if (r < 0)
			return r;
		if (items[i].size > INT64_MAX / 2 && has_bytes(&items[i]))
			return -EOVERFLOW;
		if (room_of(&items[i]) > FORMAT_ROOM_MAX && !list->is_exact)
			return -EMSGSIZE;
		if (__builtin_add_overflow(list->offsets[i], room_of(&items[i]),
					   &list->offsets[i + 1]))
			return -EOVERFLOW;
	}
	return 0;
}

static void fill(struct carom_shareable_list *list, const struct carom_element *items)
{
	unsigned char *begin = carom_shared_memory_data(list->memory);
	uint64_t count = list->count;

	for (size_t i = 0; i <= count; i++)
		store(begin + (i + 1) * UNIT, list->offsets[i]);
	for (size_t i = 0; i < count; i++)
		write_item(list, i, &items[i]);
	store(begin, list->is_exact ? ~count : count);
}

int carom_shareable_list_new(const struct carom_element *items, size_t count,
			     const struct carom_shareable_list_options *options,
			     struct carom_shareable_list **ret_list)
{
	CAROM_CLEANUP(carom_shareable_list_freep) struct carom_shareable_list *list = NULL;
	struct carom_shareable_list_options o;
	uint64_t size;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (!items && count)
		return -EINVAL;
	if (!frame_size(count, &size))
		return -EOVERFLOW;
	list = new_handle(count, o.exact);
	if (!list)
		return -ENOMEM;
	r = lay_out(list, items);
	if (r < 0)
		return r;
	if (__builtin_add_overflow(size, list->offsets[count], &size))
		return -EOVERFLOW;
	r = carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.name = o.name, .size = size,
								 .untracked = o.untracked),
				    &list->memory);
	if (r < 0)
		return r;
	find_parts(list);
	fill(list, items);
	*ret_list = carom_take_ptr(list);
	return 0;
}

/* ---- attaching ---- */

/* L1, L2: @left bytes are for the data */
static int take_offsets(struct carom_shareable_list *list, uint64_t left)
{
	const unsigned char *begin = carom_shared_memory_data(list->memory);

	for (size_t i = 0; i <= list->count; i++)
		list->offsets[i] = load(begin + (i + 1) * UNIT);
	if (list->offsets[0] != 0 || list->offsets[list->count] > left)
		return -EBADMSG;
	for (size_t i = 0; i < list->count; i++)
		if (list->offsets[i + 1] <= list->offsets[i] || room_at(list, i) % UNIT)
			return -EBADMSG;
	return 0;
}

int carom_shareable_list_attach(const char *name, struct carom_shareable_list **ret_list)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *memory = NULL;
	CAROM_CLEANUP(carom_shareable_list_freep) struct carom_shareable_list *list = NULL;
	uint64_t count, size, frame;
	bool is_exact;
	int r = carom_shared_memory_attach(name, 2 * UNIT, &memory);

	if (r < 0)
		return r;
	size = carom_shared_memory_size(memory);
	count = load(carom_shared_memory_data(memory));
	is_exact = count > INT64_MAX;
	count = is_exact ? ~count : count;
	if (!frame_size(count, &frame) || frame > size)
		return -EBADMSG;
	list = new_handle(count, is_exact);
	if (!list)
		return -ENOMEM;
	list->memory = carom_take_ptr(memory);
	r = take_offsets(list, size - frame);
	if (r < 0)
		return r;
	find_parts(list);
	*ret_list = carom_take_ptr(list);
	return 0;
}

struct carom_shareable_list *carom_shareable_list_free(struct carom_shareable_list *list)
{
	if (!list)
		return NULL;
	carom_shared_memory_free(list->memory);
	free(list->offsets);
	free(list);
	return NULL;
}

void carom_shareable_list_freep(struct carom_shareable_list **list)
{
	*list = carom_shareable_list_free(*list);
}

/* ---- using ---- */

struct carom_shared_memory *carom_shareable_list_memory(const struct carom_shareable_list *list)
{
	return list->memory;
}

size_t carom_shareable_list_len(const struct carom_shareable_list *list)
{
	return list->count;
}

int carom_shareable_list_get(const struct carom_shareable_list *list, int64_t index, void *buffer,
			     size_t size, struct carom_element *ret_item)
{
	struct carom_element item;
	uint64_t i;
	int r = carom_index_find(index, list->count, &i);

	if (r == 0)
		r = view_item(list, i, &item);
	if (r < 0)
		return r;
	if (has_bytes(&item)) {
		if (item.size > size) {
			ret_item->size = item.size;
			return -EMSGSIZE;
		}
		if (item.size)
			memcpy(buffer, item.data, item.size);
		item.data = buffer;
	}
	*ret_item = item;
	return 0;
}

int carom_shareable_list_set(struct carom_shareable_list *list, int64_t index,
			     const struct carom_element *item)
{
	uint64_t i;
	int r = carom_index_find(index, list->count, &i);

	if (r == 0)
		r = check(item, list->is_exact);
	if (r < 0)
		return r;
	if (has_bytes(item) && item->size > room_at(list, i))
		return -EMSGSIZE;
	if (has_bytes(item) && room_at(list, i) > FORMAT_ROOM_MAX && !list->is_exact)
		return -EMSGSIZE; /* Python would have made no such room */
	write_item(list, i, item);
	return 0;
}

int64_t carom_shareable_list_count(const struct carom_shareable_list *list,
				   const struct carom_element *item)
{
	struct carom_element own;
	int64_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (view_item(list, i, &own) < 0)
			return -EBADMSG;
		count += carom_element_equals(&own, item);
	}
	return count;
}

int64_t carom_shareable_list_index(const struct carom_shareable_list *list,
				   const struct carom_element *item)
{
	struct carom_element own;

	for (size_t i = 0; i < list->count; i++) {
		if (view_item(list, i, &own) < 0)
			return -EBADMSG;
		if (carom_element_equals(&own, item))
			return (int64_t)i;
	}
	return -ENOENT;
}

int carom_shareable_list_format(const struct carom_shareable_list *list, char *buffer, size_t size)
{
	size_t length = 0;

	if (size)
		buffer[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		struct carom_element item;
		size_t left = length < size ? size - length : 0;

		if (view_item(list, i, &item) < 0)
			return -EBADMSG;
		length += print_format(&item, list->is_exact ? item.size : room_at(list, i),
				       left ? buffer + length : NULL, left);
		if (length > INT_MAX)
			return -EOVERFLOW;
	}
	return (int)length;
}

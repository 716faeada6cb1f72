/*
 * Object: which are the same, and which comes first
 *
 * As Python has it: numbers are compared by what they say, whatever their kind, texts by their
 * characters, and lists and tuples item by item. UTF-8 has the order of the characters.
 *
 *   I1  What is equal has the same hash: a number that is whole has that of the integer.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "ipc/object_private.h"

/* 2^63: a double from here on is no int64_t */
#define INTEGER_END 9223372036854775808.0

static bool is_number(const struct carom_object *object)
{
	return object->kind == CAROM_OBJECT_BOOL || object->kind == CAROM_OBJECT_INT ||
	       object->kind == CAROM_OBJECT_FLOAT;
}

static int64_t integer_of(const struct carom_object *object)
{
	return object->kind == CAROM_OBJECT_BOOL ? object->truth : object->integer;
}

static int sign(bool is_above, bool is_below)
{
	return (int)is_above - (int)is_below;
}

/* Exactly: an int64_t may have more digits than a double. */
static int compare_mixed(int64_t integer, double real)
{
	int64_t whole;

	if (real >= INTEGER_END || real < -INTEGER_END)
		return real > 0 ? -1 : 1;
	whole = (int64_t)real;
	if (integer != whole)
		return sign(integer > whole, integer < whole);
	return sign(0 > real - (double)whole, 0 < real - (double)whole);
}

static int compare_numbers(const struct carom_object *a, const struct carom_object *b,
			   int *ret_order)
{
	bool a_is_real = a->kind == CAROM_OBJECT_FLOAT, b_is_real = b->kind == CAROM_OBJECT_FLOAT;

	if ((a_is_real && isnan(a->real)) || (b_is_real && isnan(b->real)))
		return -EDOM;
	if (a_is_real && b_is_real)
		*ret_order = sign(a->real > b->real, a->real < b->real);
	else if (b_is_real)
		*ret_order = compare_mixed(integer_of(a), b->real);
	else if (a_is_real)
		*ret_order = -compare_mixed(integer_of(b), a->real);
	else
		*ret_order = sign(integer_of(a) > integer_of(b), integer_of(a) < integer_of(b));
	return 0;
}

static int compare_bytes(const struct carom_object *a, const struct carom_object *b)
{
	size_t size = a->bytes.size < b->bytes.size ? a->bytes.size : b->bytes.size;
	int order = size > 0 ? memcmp(a->bytes.data, b->bytes.data, size) : 0;

	return order ? order : sign(a->bytes.size > b->bytes.size, a->bytes.size < b->bytes.size);
}

/* The first items that are not equal decide. */
static int compare_items(const struct carom_object *a, const struct carom_object *b, int *ret_order)
{
	for (size_t i = 0; i < a->items.count && i < b->items.count; i++)
		if (!carom_object_equal(a->items.data[i], b->items.data[i]))
			return carom_object_compare(a->items.data[i], b->items.data[i], ret_order);
	*ret_order = sign(a->items.count > b->items.count, a->items.count < b->items.count);
	return 0;
}

int carom_object_compare(const struct carom_object *a, const struct carom_object *b, int *ret_order)
{
	if (!a || !b)
		return -EINVAL;
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b, ret_order);
	if (a->kind != b->kind)
		return -EINVAL;
	switch ((enum carom_object_kind)a->kind) {
	case CAROM_OBJECT_BYTES:
	case CAROM_OBJECT_TEXT:
		*ret_order = compare_bytes(a, b);
		return 0;
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
		return compare_items(a, b, ret_order);
	default:
		return -EINVAL;
	}
}

static bool are_items_equal(const struct carom_object *a, const struct carom_object *b)
{
	if (a->items.count != b->items.count)
		return false;
	for (size_t i = 0; i < a->items.count; i++)
		if (!carom_object_equal(a->items.data[i], b->items.data[i]))
			return false;
	return true;
}

/* Of equal keys the last one's value counts, which is how a dict is looked into. */
static const struct carom_object *value_of(const struct carom_object *dict,
					   const struct carom_object *key)
{
	for (size_t i = carom_object_count(dict); i-- > 0;)
		if (carom_object_equal(carom_object_key(dict, i), key))
			return carom_object_item(dict, i);
	return NULL;
}

static bool has_all_of(const struct carom_object *a, const struct carom_object *b)
{
	for (size_t i = 0; i < carom_object_count(b); i++) {
		const struct carom_object *key = carom_object_key(b, i);

		if (!carom_object_equal(value_of(a, key), value_of(b, key)))
			return false;
	}
	return true;
}

bool carom_object_equal(const struct carom_object *a, const struct carom_object *b)
{
	int order;

	if (!a || !b)
		return a == b;
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b, &order) == 0 && order == 0;
	if (a->kind != b->kind)
		return false;
	switch ((enum carom_object_kind)a->kind) {
	case CAROM_OBJECT_BYTES:
	case CAROM_OBJECT_TEXT:
		return a->bytes.size == b->bytes.size && compare_bytes(a, b) == 0;
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
		return are_items_equal(a, b);
	case CAROM_OBJECT_DICT:
		return has_all_of(a, b) && has_all_of(b, a);
	case CAROM_OBJECT_PROXY:
		return a->proxy.id == b->proxy.id;
	default:
		return true; /* None */
	}
}

/* ---- hash ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static uint64_t hash_bytes(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t hash = size, word;

	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, size);
	return mix(hash, word);
}

/* I1 */
static uint64_t hash_real(double real)
{
	uint64_t word;

	if (real < INTEGER_END && real >= -INTEGER_END && (double)(int64_t)real == real)
		return mix(1, (uint64_t)(int64_t)real);
	memcpy(&word, &real, sizeof(word));
	return mix(2, word);
}

static uint64_t hash_items(const struct carom_object *object)
{
	uint64_t hash = object->items.count;

	for (size_t i = 0; i < object->items.count; i++)
		hash = mix(hash, carom_object_hash(object->items.data[i]));
	return hash;
}

uint64_t carom_object_hash(const struct carom_object *object)
{
	switch ((enum carom_object_kind)object->kind) {
	case CAROM_OBJECT_BOOL:
	case CAROM_OBJECT_INT:
		return mix(1, (uint64_t)integer_of(object));
	case CAROM_OBJECT_FLOAT:
		return hash_real(object->real);
	case CAROM_OBJECT_BYTES:
	case CAROM_OBJECT_TEXT:
		return hash_bytes(object->bytes.data, object->bytes.size);
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
		return hash_items(object);
	case CAROM_OBJECT_PROXY:
		return mix(3, object->proxy.id);
	default:
		return 0; /* None; a dict, of which nobody asks */
	}
}

/*
 * Number
 *
 * In between, a number is the widest of its kind.
 */
#include "shm/number.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <wchar.h>

#include "shm/typecode.h"

enum kind {
	KIND_NONE,
	KIND_SIGNED,
	KIND_UNSIGNED,
	KIND_REAL,
};

/**
 * struct number - one of them, by @kind
 */
struct number {
	enum kind kind;
	union {
		int64_t integer;
		uint64_t natural;
		double real;
	};
};

static enum kind kind_of(uint64_t type)
{
	switch (type) {
	case CAROM_TYPE_CHAR:
		return CHAR_MIN < 0 ? KIND_SIGNED : KIND_UNSIGNED;
	case CAROM_TYPE_WCHAR:
		return WCHAR_MIN < 0 ? KIND_SIGNED : KIND_UNSIGNED;
	case CAROM_TYPE_SCHAR:
	case CAROM_TYPE_SHORT:
	case CAROM_TYPE_INT:
	case CAROM_TYPE_LONG:
	case CAROM_TYPE_LLONG:
		return KIND_SIGNED;
	case CAROM_TYPE_UCHAR:
	case CAROM_TYPE_USHORT:
	case CAROM_TYPE_UINT:
	case CAROM_TYPE_ULONG:
	case CAROM_TYPE_ULLONG:
		return KIND_UNSIGNED;
	case CAROM_TYPE_FLOAT:
	case CAROM_TYPE_DOUBLE:
		return KIND_REAL;
	default:
		return KIND_NONE;
	}
}

bool carom_number_is_whole(uint64_t type)
{
	return kind_of(type) == KIND_SIGNED || kind_of(type) == KIND_UNSIGNED;
}

bool carom_number_is_alike(uint64_t type, uint64_t other)
{
	if (kind_of(type) == KIND_NONE || carom_typecode_size(type) != carom_typecode_size(other))
		return false;
	return kind_of(type) == kind_of(other) || type == CAROM_TYPE_CHAR ||
	       other == CAROM_TYPE_CHAR;
}

#define READ(T, place)                                \
	__extension__({                               \
		T read_;                              \
		memcpy(&read_, place, sizeof(read_)); \
		read_;                                \
	})

#define WRITE(T, place, number)                             \
	do {                                                \
		T written_ = (T)(number);                   \
		memcpy(place, &written_, sizeof(written_)); \
	} while (0)

static int64_t read_integer(const void *place, size_t size)
{
	switch (size) {
	case 1:
		return READ(int8_t, place);
	case 2:
		return READ(int16_t, place);
	case 4:
		return READ(int32_t, place);
	default:
		return READ(int64_t, place);
	}
}

static uint64_t read_natural(const void *place, size_t size)
{
	switch (size) {
	case 1:
		return READ(uint8_t, place);
	case 2:
		return READ(uint16_t, place);
	case 4:
		return READ(uint32_t, place);
	default:
		return READ(uint64_t, place);
	}
}

static struct number read_number(uint64_t type, const void *place)
{
	struct number number = { .kind = kind_of(type) };

	if (number.kind == KIND_SIGNED)
		number.integer = read_integer(place, carom_typecode_size(type));
	else if (number.kind == KIND_UNSIGNED)
		number.natural = read_natural(place, carom_typecode_size(type));
	else if (type == CAROM_TYPE_FLOAT)
		number.real = READ(float, place);
	else if (number.kind == KIND_REAL)
		number.real = READ(double, place);
	return number;
}

static double as_real(const struct number *number)
{
	if (number->kind == KIND_SIGNED)
		return (double)number->integer;
	return number->kind == KIND_UNSIGNED ? (double)number->natural : number->real;
}

static bool fits_signed(const struct number *number, size_t size)
{
	int64_t most = INT64_MAX >> (64 - 8 * size);

	if (number->kind == KIND_UNSIGNED)
		return number->natural <= (uint64_t)most;
	return number->integer <= most && number->integer >= -most - 1;
}

static bool fits_unsigned(const struct number *number, size_t size)
{
	if (number->kind == KIND_SIGNED && number->integer < 0)
		return false;
	return number->natural <= UINT64_MAX >> (64 - 8 * size); /* the same bits in both */
}

/* its low bytes are the number, of either sign */
static void write_whole(const struct number *number, void *place, size_t size)
{
	switch (size) {
	case 1:
		WRITE(uint8_t, place, number->natural);
		break;
	case 2:
		WRITE(uint16_t, place, number->natural);
		break;
	case 4:
		WRITE(uint32_t, place, number->natural);
		break;
	default:
		WRITE(uint64_t, place, number->natural);
	}
}

int carom_number_convert(uint64_t from, const void *number, uint64_t to, void *ret_number)
{
	struct number between = read_number(from, number);
	enum kind kind = kind_of(to);
	size_t size = carom_typecode_size(to);

	if (between.kind == KIND_NONE || kind == KIND_NONE)
		return -EINVAL;
	if (kind == KIND_REAL) {
		if (to == CAROM_TYPE_FLOAT)
			WRITE(float, ret_number, as_real(&between));
		else
			WRITE(double, ret_number, as_real(&between));
		return 0;
	}
	if (between.kind == KIND_REAL)
		return -EINVAL;
	if (!(kind == KIND_SIGNED ? fits_signed(&between, size) : fits_unsigned(&between, size)))
		return -ERANGE;
	write_whole(&between, ret_number, size);
	return 0;
}

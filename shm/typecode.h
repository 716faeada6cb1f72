/**
 * DOC: typecode
 *
 * What the items of shared values and arrays are: one of C's numbers, by the letter that
 * Python's array and multiprocessing modules have for it, or a struct of the program's.
 *
 *	CAROM_ITEM(double)		// .type = CAROM_TYPE_DOUBLE, .item_size = 8
 *	CAROM_ITEM(struct point)	// .type = CAROM_TYPE_STRUCT, .item_size = 16
 *
 * in the options of what is made. A type that is neither (a pointer, a bool, a long double)
 * is an error when the program is compiled. Row SC-01
 *
 * A number may be read and written as any type of number: one that does not fit is refused
 * with -ERANGE, and one with a fraction is no whole number: -EINVAL, whatever its fraction.
 * A float or double takes any number, rounded.
 */
#ifndef CAROM_SHM_TYPECODE_H
#define CAROM_SHM_TYPECODE_H

#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <type_traits>
#endif

#include "../core/api.h"

CAROM_BEGIN_DECLS

/* the sizes are those of this machine's C */
enum carom_typecode {
	CAROM_TYPE_STRUCT = 0, /* any bytes; their size is told beside it */
	CAROM_TYPE_CHAR = 'c',
	CAROM_TYPE_WCHAR = 'u', /* wchar_t, which in C is another name for one of the below */
	CAROM_TYPE_SCHAR = 'b',
	CAROM_TYPE_UCHAR = 'B',
	CAROM_TYPE_SHORT = 'h',
	CAROM_TYPE_USHORT = 'H',
	CAROM_TYPE_INT = 'i',
	CAROM_TYPE_UINT = 'I',
	CAROM_TYPE_LONG = 'l',
	CAROM_TYPE_ULONG = 'L',
	CAROM_TYPE_LLONG = 'q',
	CAROM_TYPE_ULLONG = 'Q',
	CAROM_TYPE_FLOAT = 'f',
	CAROM_TYPE_DOUBLE = 'd',
};

/** carom_typecode_size() - bytes of an item; 0: of CAROM_TYPE_STRUCT, and of what is no typecode. MT-Safe, AS-Safe. */
CAROM_API size_t carom_typecode_size(uint64_t type);

CAROM_END_DECLS

/*
 * CAROM_TYPE_OF() - the typecode of an expression, which is not evaluated
 * CAROM_ITEM()    - of a type, with its size: two of the fields of options
 */
#ifdef __cplusplus

template <typename T> struct carom_typecode_of {
	static_assert(std::is_class<T>::value || std::is_union<T>::value,
		      "neither a number that has a typecode, nor a struct");
	static_assert(std::is_trivially_copyable<T>::value, "cannot be shared as bytes");
	static constexpr enum carom_typecode code = CAROM_TYPE_STRUCT;
};

#define CAROM_TYPECODE_OF_(T, letter)                               \
	template <> struct carom_typecode_of<T> {                   \
		static constexpr enum carom_typecode code = letter; \
	}
CAROM_TYPECODE_OF_(char, CAROM_TYPE_CHAR);
CAROM_TYPECODE_OF_(wchar_t, CAROM_TYPE_WCHAR);
CAROM_TYPECODE_OF_(signed char, CAROM_TYPE_SCHAR);
CAROM_TYPECODE_OF_(unsigned char, CAROM_TYPE_UCHAR);
CAROM_TYPECODE_OF_(short, CAROM_TYPE_SHORT);
CAROM_TYPECODE_OF_(unsigned short, CAROM_TYPE_USHORT);
CAROM_TYPECODE_OF_(int, CAROM_TYPE_INT);
CAROM_TYPECODE_OF_(unsigned int, CAROM_TYPE_UINT);
CAROM_TYPECODE_OF_(long, CAROM_TYPE_LONG);
CAROM_TYPECODE_OF_(unsigned long, CAROM_TYPE_ULONG);
CAROM_TYPECODE_OF_(long long, CAROM_TYPE_LLONG);
CAROM_TYPECODE_OF_(unsigned long long, CAROM_TYPE_ULLONG);
CAROM_TYPECODE_OF_(float, CAROM_TYPE_FLOAT);
CAROM_TYPECODE_OF_(double, CAROM_TYPE_DOUBLE);
#undef CAROM_TYPECODE_OF_

#define CAROM_TYPE_OF(item) \
	(carom_typecode_of<std::remove_cv_t<std::remove_reference_t<decltype(item)>>>::code)
#define CAROM_ITEM(T) .type = carom_typecode_of<std::remove_cv_t<T>>::code, .item_size = sizeof(T)

#else

/* clang-format off */
#define CAROM_NUMBER_TYPE_OF_(item) _Generic((item), \
	char: CAROM_TYPE_CHAR,                       \
	signed char: CAROM_TYPE_SCHAR,               \
	unsigned char: CAROM_TYPE_UCHAR,             \
	short: CAROM_TYPE_SHORT,                     \
	unsigned short: CAROM_TYPE_USHORT,           \
	int: CAROM_TYPE_INT,                         \
	unsigned int: CAROM_TYPE_UINT,               \
	long: CAROM_TYPE_LONG,                       \
	unsigned long: CAROM_TYPE_ULONG,             \
	long long: CAROM_TYPE_LLONG,                 \
	unsigned long long: CAROM_TYPE_ULLONG,       \
	float: CAROM_TYPE_FLOAT,                     \
	double: CAROM_TYPE_DOUBLE,                   \
	default: CAROM_TYPE_STRUCT)
/* clang-format on */

/* 12 and 13 are structs and unions: an array of -1 is what the compiler will complain about */
#define CAROM_IS_ITEM_(item)                                 \
	(CAROM_NUMBER_TYPE_OF_(item) != CAROM_TYPE_STRUCT || \
	 __builtin_classify_type(item) == 12 || __builtin_classify_type(item) == 13)
#define CAROM_TYPE_OF(item)            \
	(CAROM_NUMBER_TYPE_OF_(item) + \
	 0 * (unsigned int)sizeof(char[CAROM_IS_ITEM_(item) ? 1 : -1]))
#define CAROM_ITEM(T) .type = CAROM_TYPE_OF(*(T *)0), .item_size = sizeof(T)

#endif

#endif

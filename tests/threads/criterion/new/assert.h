/*
 * Criterion's comparisons, of numbers, pointers and strings; see ../criterion.h
 *
 * Both sides become the type that is named, each once. Where they differ they are kept, for the
 * line that tells of a failure.
 */
#ifndef CAROM_TESTS_CRITERION_NEW_ASSERT_H
#define CAROM_TESTS_CRITERION_NEW_ASSERT_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

/* cr_order_TYPE() is below 0, 0, or above it, as the first side is to the second one */
#define CR_ORDER(name_, type_, kind_, order_)                                                      \
	static inline int cr_order_##name_(type_ a, type_ b)                                       \
	{                                                                                          \
		int order = (order_);                                                              \
                                                                                                   \
		if (order)                                                                         \
			cr_sides = (struct cr_sides){ #kind_[0], { .kind_ = a }, { .kind_ = b } }; \
		return order;                                                                      \
	}
#define CR_NUMBER(name_, type_, kind_) CR_ORDER(name_, type_, kind_, (a > b) - (a < b))

CR_NUMBER(int, int, integer)
CR_NUMBER(long, long, integer)
CR_NUMBER(llong, long long, integer)
CR_NUMBER(i8, int8_t, integer)
CR_NUMBER(i16, int16_t, integer)
CR_NUMBER(i32, int32_t, integer)
CR_NUMBER(i64, int64_t, integer)
CR_NUMBER(chr, char, integer)
CR_NUMBER(uint, unsigned int, unsigned_integer)
CR_NUMBER(ulong, unsigned long, unsigned_integer)
CR_NUMBER(ullong, unsigned long long, unsigned_integer)
CR_NUMBER(u8, uint8_t, unsigned_integer)
CR_NUMBER(u16, uint16_t, unsigned_integer)
CR_NUMBER(u32, uint32_t, unsigned_integer)
CR_NUMBER(u64, uint64_t, unsigned_integer)
CR_NUMBER(sz, size_t, unsigned_integer)
CR_NUMBER(flt, float, real)
CR_NUMBER(dbl, double, real)
CR_NUMBER(ptr, const volatile void *, pointer)
CR_ORDER(str, const char *, text, strcmp(a, b))

#define eq(type, a, b) (cr_order_##type(a, b) == 0)
#define ne(type, a, b) (cr_order_##type(a, b) != 0)
#define lt(type, a, b) (cr_order_##type(a, b) < 0)
#define le(type, a, b) (cr_order_##type(a, b) <= 0)
#define ge(type, a, b) (cr_order_##type(a, b) >= 0)
#define zero(type, a)  (cr_order_##type(a, 0) == 0)
#define not(condition) (!(condition))

#endif

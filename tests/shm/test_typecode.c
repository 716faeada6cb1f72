/* Typecode: C's numbers by Python's letters, and what of one type another one has. */
#include "tests/shm/help.h"
#include "tests/shm/python.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <wchar.h>

#include "shm/number.h"
#include "shm/typecode.h"

static const struct {
	enum carom_typecode code;
	size_t size;
	const char *ctype;
} codes[] = {
	{ CAROM_TYPE_CHAR, sizeof(char), "c_char" },
	{ CAROM_TYPE_WCHAR, sizeof(wchar_t), "c_wchar" },
	{ CAROM_TYPE_SCHAR, sizeof(signed char), "c_byte" },
	{ CAROM_TYPE_UCHAR, sizeof(unsigned char), "c_ubyte" },
	{ CAROM_TYPE_SHORT, sizeof(short), "c_short" },
	{ CAROM_TYPE_USHORT, sizeof(unsigned short), "c_ushort" },
	{ CAROM_TYPE_INT, sizeof(int), "c_int" },
	{ CAROM_TYPE_UINT, sizeof(unsigned int), "c_uint" },
	{ CAROM_TYPE_LONG, sizeof(long), "c_long" },
	{ CAROM_TYPE_ULONG, sizeof(unsigned long), "c_ulong" },
	{ CAROM_TYPE_LLONG, sizeof(long long), "c_longlong" },
	{ CAROM_TYPE_ULLONG, sizeof(unsigned long long), "c_ulonglong" },
	{ CAROM_TYPE_FLOAT, sizeof(float), "c_float" },
	{ CAROM_TYPE_DOUBLE, sizeof(double), "c_double" },
};
#define CODE_COUNT (sizeof(codes) / sizeof(*codes))

/* SC-01 */
Test(typecode, has_the_size_of_its_type, .timeout = 60)
{
	for (size_t i = 0; i < CODE_COUNT; i++)
		cr_expect(eq(sz, carom_typecode_size(codes[i].code), codes[i].size), "%c",
			  codes[i].code);
	cr_expect(zero(sz, carom_typecode_size(CAROM_TYPE_STRUCT)));
	cr_expect(zero(sz, carom_typecode_size('x')));
	cr_expect(zero(sz, carom_typecode_size(UINT64_C(0x100000000) + 'i')));
}

/* SC-01 */
Test(typecode, is_what_python_means_by_it, .timeout = 60)
{
	char code[2048];
	size_t length;

	skip_without_python();
	length = (size_t)sprintf(code, "from multiprocessing.sharedctypes import typecode_to_type\n"
				       "import ctypes\n");
	for (size_t i = 0; i < CODE_COUNT; i++)
		length += (size_t)sprintf(code + length,
					  "t = typecode_to_type['%c']\n"
					  "assert t is ctypes.%s and ctypes.sizeof(t) == %zu\n",
					  codes[i].code, codes[i].ctype, codes[i].size);
	cr_expect(zero(int, python(code)));
}

struct point {
	double x, y;
};

Test(typecode, is_found_by_the_compiler, .timeout = 60)
{
	const unsigned long long constant = 1;
	struct point point = { 0 };
	const struct point *pointer = &point;
	signed char small[3] = { 0 };

	cr_expect(eq(int, CAROM_TYPE_OF(constant), CAROM_TYPE_ULLONG));
	cr_expect(eq(int, CAROM_TYPE_OF(small[1]), CAROM_TYPE_SCHAR));
	cr_expect(eq(int, CAROM_TYPE_OF((char)0), CAROM_TYPE_CHAR));
	cr_expect(eq(int, CAROM_TYPE_OF(small[0] + small[1]), CAROM_TYPE_INT));
	cr_expect(eq(int, CAROM_TYPE_OF(1.0f), CAROM_TYPE_FLOAT));
	cr_expect(eq(int, CAROM_TYPE_OF(point.x), CAROM_TYPE_DOUBLE));
	cr_expect(eq(int, CAROM_TYPE_OF(*pointer), CAROM_TYPE_STRUCT));
}

/* Return: what the conversion said; *@ret_back: the number as it was written */
static int convert(uint64_t from, const void *number, uint64_t to, long long *ret_back)
{
	uint64_t bits = 0;
	int r = carom_number_convert(from, number, to, &bits);

	if (r == 0)
		cr_expect(zero(int, carom_number_convert(to, &bits, CAROM_TYPE_LLONG, ret_back)));
	return r;
}

Test(typecode, whole_number_is_the_same_in_another_type_or_refused, .timeout = 60)
{
	static const struct {
		char code;
		long long least, most;
	} ranges[] = { { 'b', SCHAR_MIN, SCHAR_MAX }, { 'B', 0, UCHAR_MAX },
		       { 'c', CHAR_MIN, CHAR_MAX },   { 'h', SHRT_MIN, SHRT_MAX },
		       { 'H', 0, USHRT_MAX },         { 'i', INT_MIN, INT_MAX },
		       { 'I', 0, UINT_MAX },          { 'q', LLONG_MIN, LLONG_MAX },
		       { 'l', LONG_MIN, LONG_MAX },   { 'u', WCHAR_MIN, WCHAR_MAX } };
	long long number, back;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		long long least = ranges[i].least, most = ranges[i].most;

		back = 0;
		cr_expect(zero(int, convert('q', &least, (uint64_t)ranges[i].code, &back)));
		cr_expect(eq(llong, back, least), "%c", ranges[i].code);
		cr_expect(zero(int, convert('q', &most, (uint64_t)ranges[i].code, &back)));
		cr_expect(eq(llong, back, most), "%c", ranges[i].code);
		if (most == LLONG_MAX)
			continue;
		number = least - 1;
		cr_expect(eq(int, convert('q', &number, (uint64_t)ranges[i].code, &back), -ERANGE));
		number = most + 1;
		cr_expect(eq(int, convert('q', &number, (uint64_t)ranges[i].code, &back), -ERANGE));
		cr_expect(eq(llong, back, most));
	}
}

Test(typecode, number_without_a_sign_may_be_larger, .timeout = 60)
{
	unsigned long long large = ULLONG_MAX, half = (unsigned long long)LLONG_MAX + 1;
	long long signed_number, minus = -1;
	uint64_t bits = 0;
	double real;

	cr_expect(eq(int, carom_number_convert('Q', &large, 'q', &signed_number), -ERANGE));
	cr_expect(eq(int, carom_number_convert('Q', &half, 'q', &signed_number), -ERANGE));
	cr_expect(eq(int, carom_number_convert('q', &minus, 'Q', &bits), -ERANGE));
	cr_expect(eq(int, carom_number_convert('Q', &large, 'I', &bits), -ERANGE));
	cr_expect(zero(int, carom_number_convert('Q', &large, 'L', &bits)));
	cr_expect(eq(u64, bits, ULLONG_MAX));
	cr_expect(zero(int, carom_number_convert('Q', &half, 'd', &real)));
	cr_expect(eq(dbl, real, 0x1p63));
}

Test(typecode, number_with_a_fraction_is_rounded_and_no_whole_one, .timeout = 60)
{
	double real = 0.1, back = 0;
	float small = 0;
	int minus = -3;
	long long whole;
	struct point point = { 0 };

	cr_expect(zero(int, carom_number_convert('d', &real, 'f', &small)));
	cr_expect(eq(flt, small, 0.1f));
	cr_expect(zero(int, carom_number_convert('f', &small, 'd', &back)));
	cr_expect(eq(dbl, back, (double)0.1f));
	cr_expect(zero(int, carom_number_convert('i', &minus, 'f', &small)));
	cr_expect(eq(flt, small, -3.0f));
	real = 2;
	cr_expect(eq(int, carom_number_convert('d', &real, 'q', &whole), -EINVAL));
	cr_expect(eq(int, carom_number_convert(0, &point, 'd', &real), -EINVAL));
	cr_expect(eq(int, carom_number_convert('d', &real, 0, &point), -EINVAL));
	cr_expect(eq(int, carom_number_convert('x', &real, 'd', &real), -EINVAL));
}

Test(typecode, alike_are_those_of_the_same_numbers, .timeout = 60)
{
	cr_expect(carom_number_is_alike('q', 'l') == (sizeof(long) == sizeof(long long)));
	cr_expect(carom_number_is_alike('i', 'i'));
	cr_expect(carom_number_is_alike('c', 'B') && carom_number_is_alike('b', 'c'));
	cr_expect(not(carom_number_is_alike('b', 'B')));
	cr_expect(not(carom_number_is_alike('i', 'I')));
	cr_expect(not(carom_number_is_alike('i', 'f')));
	cr_expect(not(carom_number_is_alike('c', 'h')));
	cr_expect(not(carom_number_is_alike(0, 0)));
	cr_expect(carom_number_is_whole('u') && !carom_number_is_whole('f') &&
		  !carom_number_is_whole(0));
}

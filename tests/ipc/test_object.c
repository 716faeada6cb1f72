/* Values: made here, compared, copied and written. */
#include "ipc/object.h"

#include "tests/shm/help.h"

#include "ipc/object_private.h"

#include "core/time.h"
#include "tests/ipc/managed.h"

TestSuite(object, .timeout = 60);

static char *text_of(const struct carom_document *document)
{
	static char text[512];

	carom_object_describe(carom_document_root(document), text, sizeof(text));
	return text;
}

#define expect_built(expected, ...)                                                  \
	do {                                                                         \
		DOCUMENT document_ = NULL;                                           \
                                                                                     \
		cr_assert(zero(int, carom_document_build(&document_, __VA_ARGS__))); \
		cr_expect(eq(str, text_of(document_), (char *)expected));            \
	} while (0)

Test(object, is_made_from_a_line_that_says_what_follows)
{
	expect_built("{'count': 2, 'data': [0.5, 1.5]}", "{s: i, s: [d, d]}", "count", 2, "data",
		     0.5, 1.5);
	expect_built("(None, True, False, -1, 7, 9007199254740993)", "(n p p i l L)", 1, 0, -1, 7L,
		     INT64_C(9007199254740993));
	expect_built("()", "");
	expect_built("(1,)", "(i)", 1);
	expect_built("1", "i", 1);
	expect_built("(1, 2)", "ii", 1, 2);
	expect_built("None", "s", NULL);
	expect_built("b'a\\x00\\n'", "y", "a\0\n", (size_t)3);
	expect_built("b''", "y", NULL, (size_t)0);
	expect_built("\"it's\"", "s", "it's");
	expect_built("'\\'\"\\\\'", "s", "'\"\\");
}

Test(object, is_written_as_python_writes_it)
{
	expect_built("1e+16", "d", 1e16);
	expect_built("1234567890123456.0", "d", 1234567890123456.0);
	expect_built("0.1", "d", 0.1);
	expect_built("100.0", "d", 100.0);
	expect_built("1e-05", "d", 1e-5);
	expect_built("0.0001", "d", 1e-4);
	expect_built("-0.0", "d", -0.0);
	expect_built("0.30000000000000004", "d", 0.1 + 0.2);
	expect_built("5e-324", "d", 5e-324);
	expect_built("-inf", "d", -1 / 0.0);
	expect_built("'\xc3\xa4\\t\\x7f'", "s", "\xc3\xa4\t\x7f");
}

#define expect_refused(error, ...)                                                        \
	do {                                                                              \
		struct carom_document *document_ = NULL;                                  \
                                                                                          \
		cr_expect(eq(int, carom_document_build(&document_, __VA_ARGS__), error)); \
		cr_expect(eq(ptr, document_, NULL));                                      \
	} while (0)

Test(object, is_not_made_of_nonsense)
{
	char deep[80] = "";

	expect_refused(-EINVAL, "q");
	expect_refused(-EINVAL, "[i", 1);
	expect_refused(-EINVAL, "[i)", 1);
	expect_refused(-EINVAL, "{s}", "key");
	expect_refused(-EINVAL, "{[]: i}", 1);
	expect_refused(-EINVAL, "O", NULL);
	expect_refused(-EINVAL, "P", NULL);
	expect_refused(-EINVAL, "y", NULL, (size_t)1);
	expect_refused(-EILSEQ, "s", "\xff");
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	expect_refused(-EMSGSIZE, deep);
}

static bool are_equal(const char *a_format, int64_t a, const char *b_format, double b)
{
	DOCUMENT first = NULL;
	DOCUMENT second = NULL;

	cr_assert(zero(int, carom_document_build(&first, a_format, a)));
	cr_assert(zero(int, carom_document_build(&second, b_format, b)));
	return carom_object_equal(carom_document_root(first), carom_document_root(second));
}

Test(object, is_the_same_number_whatever_its_kind)
{
	cr_expect(are_equal("L", 1, "d", 1.0));
	cr_expect(not(are_equal("L", 1, "d", 1.5)));
	cr_expect(not(are_equal("L", INT64_C(9007199254740993), "d", 9007199254740992.0)));
	cr_expect(not(are_equal("L", INT64_MAX, "d", 9223372036854775808.0)));
	cr_expect(are_equal("L", INT64_MIN, "d", -9223372036854775808.0));
}

static int order_of(const char *format, ...)
{
	DOCUMENT pair = NULL;
	va_list arguments;
	int order = 7, r;

	va_start(arguments, format);
	cr_assert(zero(int, carom_document_vbuild(&pair, format, arguments)));
	va_end(arguments);
	r = carom_object_compare(carom_object_item(carom_document_root(pair), 0),
				 carom_object_item(carom_document_root(pair), 1), &order);
	return r < 0 ? r : order < 0 ? 1 : order > 0 ? 2 : 0;
}

enum { SAME, BELOW, ABOVE };

Test(object, has_the_order_that_python_gives_it)
{
	cr_expect(eq(int, order_of("id", 1, 1.5), BELOW));
	cr_expect(eq(int, order_of("di", 1.5, 1), ABOVE));
	cr_expect(eq(int, order_of("pi", 1, 1), SAME));
	cr_expect(eq(int, order_of("ss", "a", "ab"), BELOW));
	cr_expect(eq(int, order_of("ss", "b", "ab"), ABOVE));
	cr_expect(eq(int, order_of("[ii][iii]", 1, 2, 1, 2, 0), BELOW));
	cr_expect(eq(int, order_of("[is][is]", 1, "b", 1, "a"), ABOVE));
	cr_expect(eq(int, order_of("is", 1, "a"), -EINVAL));
	cr_expect(eq(int, order_of("nn"), -EINVAL));
	cr_expect(eq(int, order_of("{}{}"), -EINVAL));
	cr_expect(eq(int, order_of("di", 0.0 / 0.0, 1), -EDOM));
}

Test(object, that_is_a_dict_has_no_order_of_its_keys)
{
	DOCUMENT a = NULL;
	DOCUMENT b = NULL;

	cr_assert(zero(int, carom_document_build(&a, "{si si}", "x", 1, "y", 2)));
	cr_assert(zero(int, carom_document_build(&b, "{si sd}", "y", 2, "x", 1.0)));
	cr_expect(carom_object_equal(carom_document_root(a), carom_document_root(b)));
}

Test(object, is_copied_with_all_it_holds)
{
	DOCUMENT document = NULL;
	DOCUMENT copy = NULL;

	cr_assert(zero(int, carom_document_build(&document, "{s[i(dn)] s{} sy}", "a", 1, 2.5, "b",
						 "c", "x", (size_t)1)));
	cr_assert(zero(int, carom_object_clone(carom_document_root(document), &copy)));
	document = carom_document_free(document);
	cr_expect(eq(str, text_of(copy), (char *)"{'a': [1, (2.5, None)], 'b': {}, 'c': b'x'}"));
}

Test(object, of_which_little_is_wanted_is_cut)
{
	DOCUMENT document = NULL;
	char text[6] = "xxxxx";

	cr_assert(zero(int, carom_document_build(&document, "[ii]", 123, 456)));
	cr_expect(eq(sz, carom_object_describe(carom_document_root(document), text, sizeof(text)),
		     10));
	cr_expect(eq(str, text, (char *)"[123,"));
	cr_expect(eq(sz, carom_object_describe(carom_document_root(document), NULL, 0), 10));
}

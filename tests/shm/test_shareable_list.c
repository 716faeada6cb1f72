/* A list in shared memory, in Python's layout and in one that keeps every byte. */
#include "tests/shm/help.h"
#include "tests/shm/python.h"

#include <inttypes.h>

#include "shm/shareable_list.h"

#define OPTIONS(...) CAROM_SHAREABLE_LIST_OPTIONS(__VA_ARGS__)

/* unlinks it, too */
static void endp(struct carom_shareable_list **list)
{
	if (*list)
		carom_shared_memory_unlink(carom_shareable_list_memory(*list));
	carom_shareable_list_freep(list);
}
#define OURS CAROM_CLEANUP(endp) struct carom_shareable_list *

static const char *own_name(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "carom-list-%d", (int)getpid());
	return name;
}

static struct carom_shareable_list *new_list(const struct carom_element *items, size_t count,
					     bool exact)
{
	struct carom_shareable_list *list = NULL;
	int r = carom_shareable_list_new(items, count, &OPTIONS(.name = own_name(), .exact = exact),
					 &list);

	cr_assert(zero(int, r), "%d", r);
	return list;
}

static struct carom_element get(const struct carom_shareable_list *list, int64_t index)
{
	static char buffers[4][128];
	static int next;
	struct carom_element item;
	int r = carom_shareable_list_get(list, index, buffers[next++ % 4], sizeof(*buffers), &item);

	cr_assert(zero(int, r), "item %" PRId64 ": %d", index, r);
	return item;
}

static void expect(const struct carom_shareable_list *list, int64_t index,
		   struct carom_element expected)
{
	struct carom_element item = get(list, index);

	cr_expect(eq(i64, item.type, expected.type), "item %" PRId64, index);
	cr_expect(carom_element_equals(&item, &expected), "item %" PRId64, index);
}

static int set(struct carom_shareable_list *list, int64_t index, struct carom_element item)
{
	return carom_shareable_list_set(list, index, &item);
}

static size_t make_sample(struct carom_element items[6])
{
	items[0] = carom_element_int(1);
	items[1] = carom_element_float(2.5);
	items[2] = carom_element_bool(true);
	items[3] = carom_element_none();
	items[4] = carom_element_str("ab");
	items[5] = carom_element_bytes("xyz12345", 8);
	return 6;
}

/* ---- the layout ---- */

/* SM-12 */
Test(shareable_list, is_laid_out_as_pythons, .timeout = 60)
{
	static const uint64_t offsets[] = { 6, 0, 8, 16, 24, 32, 40, 56 };
	static const unsigned char data[] = {
		1,   0,   0,   0,   0,   0,   0,   0,    /* 1 */
		0,   0,   0,   0,   0,   0,   4,   0x40, /* 2.5 */
		0,   0,   0,   0,   0,   0,   0,   1,    /* True */
		0,   0,   0,   0,   0,   0,   0,   0,    /* None */
		'a', 'b', 0,   0,   0,   0,   0,   0,    /* 'ab' */
		'x', 'y', 'z', '1', '2', '3', '4', '5',  /* b'xyz12345' */
		0,   0,   0,   0,   0,   0,   0,   0,
	};
	static const char formats[6][8] = { "q",
					    "d",
					    { 'x', 'x', 'x', 'x', 'x', 'x', 'x', '?' },
					    { 'x', 'x', 'x', 'x', 'x', 'x', '?', 'x' },
					    "8s",
					    "16s" };
	static const unsigned char codes[] = { 0, 0, 0, 3, 1, 2 };
	struct carom_element items[6];
	OURS list = new_list(items, make_sample(items), false);
	const unsigned char *begin = carom_shared_memory_data(carom_shareable_list_memory(list));

	cr_expect(eq(u64, carom_shared_memory_size(carom_shareable_list_memory(list)), 174));
	cr_expect(zero(int, memcmp(begin, offsets, sizeof(offsets))));
	cr_expect(zero(int, memcmp(begin + 64, data, sizeof(data))));
	cr_expect(zero(int, memcmp(begin + 120, formats, sizeof(formats))));
	cr_expect(zero(int, memcmp(begin + 168, codes, sizeof(codes))));
}

static int python_with(const char *before, const char *code)
{
	char all[2048];

	snprintf(all, sizeof(all),
		 "from multiprocessing import shared_memory, resource_tracker\n"
		 "%s\n"
		 "l = shared_memory.ShareableList(%s name='%s')\n"
		 "resource_tracker.unregister(l.shm._name, 'shared_memory')\n"
		 "%s\n",
		 "", before, own_name(), code);
	return python(all);
}

/* SM-11 */
Test(shareable_list, is_read_and_written_by_python, .timeout = 60)
{
	struct carom_element items[6];
	OURS list = NULL;

	skip_without_python();
	list = new_list(items, make_sample(items), false);
	cr_expect(zero(int,
		       python_with("", "assert list(l) == [1, 2.5, True, None, 'ab', b'xyz12345']\n"
				       "assert l.format == 'qdxxxxxxx?xxxxxx?x8s16s'\n"
				       "l[0] = -7; l[1] = None; l[2] = 'eight by'; l[3] = 0.25\n"
				       "l[4] = b'\\xff'; l[5] = 'h\\u00e9'")));
	expect(list, 0, carom_element_int(-7));
	expect(list, 1, carom_element_none());
	expect(list, 2, carom_element_str("eight by"));
	expect(list, 3, carom_element_float(0.25));
	expect(list, 4, carom_element_bytes("\xff", 1));
	expect(list, 5, carom_element_str("h\xc3\xa9"));
}

Test(shareable_list, that_python_made_is_read_and_written, .timeout = 60)
{
	OURS list = NULL;

	skip_without_python();
	cr_assert(zero(int, python_with("[10, -0.5, False, None, 'text', b'', 'x' * 100],", "")));
	cr_assert(zero(int, carom_shareable_list_attach(own_name(), &list)));
	cr_expect(eq(sz, carom_shareable_list_len(list), 7));
	expect(list, 0, carom_element_int(10));
	expect(list, 1, carom_element_float(-0.5));
	expect(list, 2, carom_element_bool(false));
	expect(list, 3, carom_element_none());
	expect(list, 4, carom_element_str("text"));
	expect(list, 5, carom_element_bytes("", 0));
	cr_expect(eq(u64, get(list, 6).size, 100));
	cr_expect(zero(int, set(list, 0, carom_element_str("12345678"))));
	cr_expect(zero(int, set(list, 6, carom_element_bool(true))));
	cr_expect(zero(int, set(list, 4, carom_element_bytes("\x80", 1))));
	cr_expect(zero(int, python_with("", "assert l[0] == '12345678' and l[6] is True\n"
					    "assert l[4] == b'\\x80' and len(l) == 7")));
}

/* Python counts characters, where text takes bytes: two of these are written as 4 */
Test(shareable_list, has_room_for_the_bytes_of_text, .timeout = 60)
{
	const char *text = "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9";
	struct carom_element items[2] = { carom_element_str(text), carom_element_int(5) };
	OURS list = new_list(items, 2, false);

	expect(list, 0, carom_element_str(text));
	expect(list, 1, carom_element_int(5));
}

/* ---- what cannot be kept ---- */

/* PAINS 21: text and bytes come back as they were, or are refused */
Test(shareable_list, pain_21_keeps_zero_bytes_or_refuses_them, .timeout = 60)
{
	struct carom_element bytes = carom_element_bytes("\0\1\0", 3);
	struct carom_element items[] = { bytes, carom_element_text("a\0", 2),
					 carom_element_str("") };
	struct carom_shareable_list *untouched = NULL;

	cr_expect(eq(int,
		     carom_shareable_list_new(items, 3, &OPTIONS(.name = own_name()), &untouched),
		     -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
	{
		OURS list = new_list(items, 3, true);

		expect(list, 0, bytes);
		expect(list, 1, items[1]);
		expect(list, 2, items[2]);
	}
	{
		struct carom_element fits = carom_element_bytes("\0\1", 2);
		OURS list = new_list(&fits, 1, false);

		expect(list, 0, fits);
		cr_expect(eq(int, set(list, 0, bytes), -EINVAL));
		expect(list, 0, fits);
	}
}

Test(shareable_list, takes_as_text_what_is_utf_8, .timeout = 60)
{
	static const char *const good[] = { "", "a", "\xc2\x80", "\xe2\x82\xac",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",         "\xc3",         "\xc0\x81",
					   "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					   "\xff",         "a\xe2\x82" };
	struct carom_element room = carom_element_str("01234567");
	OURS list = new_list(&room, 1, false);

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		cr_expect(zero(int, set(list, 0, carom_element_str(good[i]))));
		expect(list, 0, carom_element_str(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect(eq(int, set(list, 0, carom_element_str(bad[i])), -EINVAL), "%zu", i);
}

Test(shareable_list, of_exact_values_is_nothing_to_python, .timeout = 60)
{
	struct carom_element items[6];
	OURS list = NULL;
	char code[512];

	skip_without_python();
	list = new_list(items, make_sample(items), true);
	snprintf(code, sizeof(code),
		 "from multiprocessing import shared_memory\n"
		 "try:\n"
		 " shared_memory.ShareableList(name='%s')[0]\n"
		 " raise SystemExit(1)\n"
		 "except (ValueError, IndexError):\n"
		 " pass\n",
		 own_name());
	cr_expect(zero(int, python(code)));
	expect(list, 4, carom_element_str("ab"));
}

/* ---- using it ---- */

/* SM-13 */
Test(shareable_list, is_indexed_counted_and_searched, .timeout = 60)
{
	struct carom_element items[] = { carom_element_int(1),        carom_element_bool(true),
					 carom_element_float(1.0),    carom_element_str("1"),
					 carom_element_bytes("1", 1), carom_element_none() };
	struct carom_element one = carom_element_int(1), two = carom_element_int(2);
	struct carom_element untouched = carom_element_int(9);
	char format[64];

	for (int exact = 0; exact < 2; exact++) {
		OURS list = new_list(items, 6, exact);

		expect(list, -1, carom_element_none());
		expect(list, -6, carom_element_int(1));
		cr_expect(eq(int, carom_shareable_list_get(list, 6, NULL, 0, &untouched), -ERANGE));
		cr_expect(
			eq(int, carom_shareable_list_get(list, -7, NULL, 0, &untouched), -ERANGE));
		cr_expect(eq(int, set(list, 6, one), -ERANGE));
		cr_expect(eq(i64, untouched.integer, 9));
		cr_expect(eq(i64, carom_shareable_list_count(list, &one), 3));
		cr_expect(eq(i64, carom_shareable_list_index(list, &items[4]), 4));
		cr_expect(eq(i64, carom_shareable_list_index(list, &two), -ENOENT));
		cr_expect(eq(int, carom_shareable_list_format(list, format, sizeof(format)),
			     exact ? 22 : 22));
		cr_expect(zero(int, strcmp(format, exact ? "qxxxxxxx?d1s1sxxxxxx?x"
							 : "qxxxxxxx?d8s8sxxxxxx?x")));
		cr_expect(eq(int, carom_shareable_list_format(list, format, 3), 22));
		cr_expect(zero(int, strcmp(format, "qx")));
	}
}

Test(shareable_list, compares_numbers_by_what_they_amount_to, .timeout = 60)
{
	struct carom_element large = carom_element_int(INT64_MAX),
			     small = carom_element_int(INT64_MIN);
	struct carom_element above = carom_element_float(0x1p63),
			     below = carom_element_float(-0x1p63);
	struct carom_element half = carom_element_float(0.5), zero = carom_element_int(0);
	struct carom_element nan = carom_element_float(__builtin_nan(""));

	cr_expect(not(carom_element_equals(&large, &above)));
	cr_expect(carom_element_equals(&below, &small));
	cr_expect(not(carom_element_equals(&half, &zero)));
	cr_expect(not(carom_element_equals(&nan, &nan)));
	cr_expect(not(carom_element_equals(&nan, &zero)));
}

Test(shareable_list, takes_what_it_has_room_for, .timeout = 60)
{
	struct carom_element items[] = { carom_element_int(1), carom_element_str("01234567") };
	struct carom_element item;
	char buffer[8];

	for (int exact = 0; exact < 2; exact++) {
		OURS list = new_list(items, 2, exact);

		cr_expect(zero(int, set(list, 0, carom_element_str("12345678"))));
		cr_expect(eq(int, set(list, 0, carom_element_str("123456789")), -EMSGSIZE));
		expect(list, 0, carom_element_str("12345678"));
		cr_expect(zero(int, set(list, 1, carom_element_str("0123456789abcdef"))));
		cr_expect(eq(int, set(list, 1, carom_element_str("0123456789abcdefg")), -EMSGSIZE));
		cr_expect(eq(int, carom_shareable_list_get(list, 1, buffer, 8, &item), -EMSGSIZE));
		cr_expect(eq(u64, item.size, 16));
		cr_expect(zero(int, set(list, 1, carom_element_str("a"))));
		expect(list, 1, carom_element_str("a"));
		cr_expect(zero(int, set(list, 1, carom_element_float(-1))));
		expect(list, 1, carom_element_float(-1));
	}
}

Test(shareable_list, may_be_empty, .timeout = 60)
{
	for (int exact = 0; exact < 2; exact++) {
		OURS list = new_list(NULL, 0, exact);
		CAROM_CLEANUP(carom_shareable_list_freep) struct carom_shareable_list *other = NULL;
		char format[4] = "?";

		cr_assert(zero(int, carom_shareable_list_attach(own_name(), &other)));
		cr_expect(zero(sz, carom_shareable_list_len(other)));
		cr_expect(zero(int, carom_shareable_list_format(other, format, sizeof(format))));
		cr_expect(zero(int, strcmp(format, "")));
		cr_expect(eq(int, set(other, 0, carom_element_none()), -ERANGE));
	}
}

Test(shareable_list, refuses_what_makes_no_sense, .timeout = 60)
{
	struct carom_shareable_list *untouched = NULL;
	struct carom_element strange = { .type = 17 }, nowhere = carom_element_bytes(NULL, 4);
	struct carom_element huge = carom_element_bytes("x", UINT64_MAX);

	cr_expect(eq(int, carom_shareable_list_new(NULL, 1, NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shareable_list_new(&strange, 1, NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shareable_list_new(&nowhere, 1, NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shareable_list_new(&huge, 1, &OPTIONS(.exact = 1), &untouched),
		     -EOVERFLOW));
	cr_expect(eq(ptr, untouched, NULL));
}

/* ---- nonsense ---- */

static int attach_to(const void *bytes, size_t size)
{
	struct carom_shared_memory *memory = NULL;
	struct carom_shareable_list *list = NULL;
	int r = carom_shared_memory_new(
		&CAROM_SHARED_MEMORY_OPTIONS(.name = own_name(), .size = size), &memory);

	cr_assert(zero(int, r));
	memcpy(carom_shared_memory_data(memory), bytes, size);
	r = carom_shareable_list_attach(own_name(), &list);
	carom_shareable_list_free(list);
	carom_shared_memory_unlink(memory);
	carom_shared_memory_free(memory);
	return r;
}

Test(shareable_list, does_not_attach_to_what_is_none, .timeout = 60)
{
	static const struct {
		uint64_t words[8];
		size_t size;
		int r;
	} cases[] = {
		{ { 0, 0 }, 8, -EBADMSG },
		{ { 0, 0 }, 16, 0 },
		{ { 1, 0, 8 }, 40, -EBADMSG }, /* too short by a byte */
		{ { 1, 0, 8 }, 41, 0 },
		{ { 1, 8, 16 }, 64, -EBADMSG }, /* does not begin at 0 */
		{ { 1, 0, 4 }, 64, -EBADMSG },  /* no room for a number */
		{ { 1, 0, 0 }, 64, -EBADMSG },
		{ { 2, 0, 16, 8 }, 64, -EBADMSG }, /* backwards */
		{ { 1, 0, UINT64_MAX - 7 }, 64, -EBADMSG },
		{ { UINT64_MAX / 17, 0, 8 }, 64, -EBADMSG },
		{ { INT64_MAX, 0, 8 }, 64, -EBADMSG },
		{ { (uint64_t)INT64_MIN, 0, 8 }, 64, -EBADMSG },
		{ { UINT64_MAX, 0 }, 16, 0 }, /* exact, and empty */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect(eq(int, attach_to(cases[i].words, cases[i].size), cases[i].r), "case %zu",
			  i);
}

Test(shareable_list, believes_nothing_that_stands_beside_an_item, .timeout = 60)
{
	static const char *const formats[] = { "17s", "99999999", "s", "-1s", "8", "8ss", "z", "" };
	struct carom_element items[] = { carom_element_str("01234567"), carom_element_int(1) };
	OURS list = new_list(items, 2, false);
	unsigned char *begin = carom_shared_memory_data(carom_shareable_list_memory(list));
	unsigned char *format = begin + 4 * 8 + 24, *code = format + 2 * 8;
	struct carom_element item = carom_element_int(9);
	char buffer[64];

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		memset(format, 0, 8);
		memcpy(format, formats[i], strlen(formats[i]));
		cr_expect(eq(int, carom_shareable_list_get(list, 0, buffer, 64, &item), -EBADMSG),
			  "%s", formats[i]);
		cr_expect(eq(i64, carom_shareable_list_count(list, &item), -EBADMSG));
		cr_expect(eq(int, carom_shareable_list_format(list, buffer, 64), -EBADMSG));
	}
	cr_expect(eq(i64, item.integer, 9));
	memcpy(format, "16s\0\0\0\0\0", 8);
	code[0] = 4;
	cr_expect(eq(int, carom_shareable_list_get(list, 0, buffer, 64, &item), -EBADMSG));
	cr_expect(zero(int, set(list, 0, carom_element_int(3))), "and can be put right");
	expect(list, 0, carom_element_int(3));
	expect(list, 1, carom_element_int(1));
}

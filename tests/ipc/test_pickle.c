/* The part of Python's pickles that is data. */
#include "ipc/exchange.h"
#include "ipc/pickle.h"

#include "tests/ipc/ends.h"

#include <math.h>

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define PICKLE   CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *

/* A pickle in hexadecimal; blanks are passed over. */
static size_t unhex(const char *text, unsigned char *ret_bytes)
{
	size_t size = 0;

	for (; *text; text += *text == ' ' ? 1 : 2)
		if (*text != ' ')
			sscanf(text, "%2hhx", &ret_bytes[size++]);
	return size;
}

static int load_hex(const char *text, const struct carom_document_limits *limits,
		    struct carom_document **ret_document)
{
	unsigned char bytes[4096];

	return carom_pickle_load(bytes, unhex(text, bytes), limits, ret_document);
}

/* ---- what an object is, as Python writes it ---- */

static void write_object(FILE *file, const struct carom_object *object);

static void write_items(FILE *file, const struct carom_object *object, const char *parentheses)
{
	fputc(parentheses[0], file);
	for (size_t i = 0; i < carom_object_count(object); i++) {
		if (i > 0)
			fputs(", ", file);
		if (carom_object_kind(object) == CAROM_OBJECT_DICT) {
			write_object(file, carom_object_key(object, i));
			fputs(": ", file);
		}
		write_object(file, carom_object_item(object, i));
	}
	if (carom_object_kind(object) == CAROM_OBJECT_TUPLE && carom_object_count(object) == 1)
		fputc(',', file);
	fputc(parentheses[1], file);
}

static void write_object(FILE *file, const struct carom_object *object)
{
	const void *data;
	const char *text;
	double real = 0;
	int64_t integer = 0;
	bool truth = false;
	size_t size;

	switch (carom_object_kind(object)) {
	case CAROM_OBJECT_NONE:
		fputs("None", file);
		return;
	case CAROM_OBJECT_BOOL:
		cr_assert(zero(int, carom_object_bool(object, &truth)));
		fputs(truth ? "True" : "False", file);
		return;
	case CAROM_OBJECT_INT:
		cr_assert(zero(int, carom_object_int(object, &integer)));
		fprintf(file, "%lld", (long long)integer);
		return;
	case CAROM_OBJECT_FLOAT:
		cr_assert(zero(int, carom_object_float(object, &real)));
		fprintf(file, "%g", real);
		return;
	case CAROM_OBJECT_BYTES:
		cr_assert(zero(int, carom_object_bytes(object, &data, &size)));
		fprintf(file, "b'%.*s'", (int)size, (const char *)data);
		return;
	case CAROM_OBJECT_TEXT:
		cr_assert(zero(int, carom_object_text(object, &text, &size)));
		fprintf(file, "'%.*s'", (int)size, text);
		return;
	case CAROM_OBJECT_LIST:
		write_items(file, object, "[]");
		return;
	case CAROM_OBJECT_TUPLE:
		write_items(file, object, "()");
		return;
	case CAROM_OBJECT_DICT:
		write_items(file, object, "{}");
		return;
	default:
		fputs("?", file);
	}
}

static void expect_repr(const struct carom_document *document, const char *expected)
{
	char text[1024] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	write_object(file, carom_document_root(document));
	fclose(file);
	cr_expect(zero(int, strcmp(text, expected)), "%s, not %s", text, expected);
}

/* ---- reading ---- */

static const struct {
	const char *hex, *repr;
} vectors[] = {
	/* as Python 3.13 sends them */
	{ "8004 4e 2e", "None" },
	{ "8004 88 2e", "True" },
	{ "8004 4b01 2e", "1" },
	{ "8004 95 0600000000000000 4a ffffffff 2e", "-1" },
	{ "8004 95 0400000000000000 4d 2c01 2e", "300" },
	{ "8004 95 0a00000000000000 47 4004000000000000 2e", "2.5" },
	{ "8004 95 0500000000000000 43 0178 94 2e", "b'x'" },
	{ "8004 95 0600000000000000 8c 026162 94 2e", "'ab'" },
	{ "8004 95 0a00000000000000 4b01 8c0161 94 4e 87 94 2e", "(1, 'a', None)" },
	{ "8004 95 0900000000000000 5d 94 28 4b01 4b02 65 2e", "[1, 2]" },
	{ "8004 95 0a00000000000000 7d 94 8c0161 94 4b01 73 2e", "{'a': 1}" },
	{ "8004 95 1000000000000000 28 4e 8c0564756d6d79 94 29 7d 94 74 94 2e",
	  "(None, 'dummy', (), {})" },
	{ "8004 95 0e00000000000000 8c072352455455524e 94 4e 86 94 2e", "('#RETURN', None)" },
	/* other protocols: [1, (2,), 'a', False], {'k': -3, 'l': [1.5]} */
	{ "8002 5d 7100 28 4b01 4b02 85 7101 58 01000000 61 7102 89 65 2e",
	  "[1, (2,), 'a', False]" },
	{ "8003 7d 7100 28 58 01000000 6b 7101 4a fdffffff 58 01000000 6c 7102 5d 7103 47 "
	  "3ff8000000000000 61 75 2e",
	  "{'k': -3, 'l': [1.5]}" },
	{ "8003 43 02 7879 7100 2e", "b'xy'" },
	{ "8005 95 0300000000000000 4b05 2e", "5" },
	/* numbers of all lengths */
	{ "8004 8a 00 2e", "0" },
	{ "8004 8a 01 ff 2e", "-1" },
	{ "8004 8a 08 ffffffffffffff7f 2e", "9223372036854775807" },
	{ "8004 8a 08 0000000000000080 2e", "-9223372036854775808" },
	{ "8004 8a 09 ffffffffffffff7f00 2e", "9223372036854775807" },
	{ "8004 8b 02000000 0001 2e", "256" },
	/* and bytes and texts */
	{ "8004 42 01000000 78 2e", "b'x'" },
	{ "8004 8e 0100000000000000 78 2e", "b'x'" },
	{ "8004 8d 0200000000000000 c3a9 2e", "'\xc3\xa9'" },
	/* what stands in two places */
	{ "8004 5d 94 28 5d 94 4b01 61 68 01 65 2e", "[[1], [1]]" },
	{ "8002 8c0161 7100 6a 00000000 86 2e", "('a', 'a')" },
	{ "8002 8c0161 72 00000000 6800 86 2e", "('a', 'a')" },
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* WA-05 */
Test(pickle, is_read_as_python_writes_it)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		DOCUMENT document = NULL;

		cr_assert(zero(int, load_hex(vectors[i].hex, NULL, &document)), "%s",
			  vectors[i].repr);
		expect_repr(document, vectors[i].repr);
	}
}

/* Every prefix of each is not all of one; so is one with a byte more. */
Test(pickle, that_is_cut_or_goes_on_is_refused)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		unsigned char bytes[128];
		size_t size = unhex(vectors[i].hex, bytes);
		struct carom_document *document = NULL;

		for (size_t cut = 0; cut < size; cut++) {
			void *exact = malloc(cut ? cut : 1); /* who reads beyond it is seen */

			memcpy(exact, bytes, cut);
			cr_expect(eq(int, carom_pickle_load(exact, cut, NULL, &document), -EBADMSG),
				  "%s cut to %zu", vectors[i].repr, cut);
			free(exact);
		}
		bytes[size] = '.';
		cr_expect(eq(int, carom_pickle_load(bytes, size + 1, NULL, &document), -EBADMSG));
		cr_expect(eq(ptr, document, NULL));
	}
}

/* CN-09 */
Test(pickle, runs_no_code_and_finds_no_names)
{
	static const struct {
		const char *hex;
		int error;
	} wrong[] = {
		{ "", -EBADMSG },
		{ "2e", -EBADMSG },
		{ "8004 2e", -EBADMSG },
		{ "8001 4e 2e", -EBADMSG },
		{ "8006 4e 2e", -EBADMSG },
		{ "4e 2e", -EBADMSG },
		{ "8004 8004 4e 2e", -EBADMSG },
		/* cos\nsystem\n(S'id'\ntR. in protocol 2, and its parts */
		{ "8002 63 6f730a 73797374656d0a 28 53 276964270a 74 52 2e", -EBADMSG },
		{ "8004 8c026f73 94 8c0673797374656d 94 93 94 8c026964 94 85 94 52 94 2e",
		  -EBADMSG },
		{ "8004 29 52 2e", -EBADMSG },          /* REDUCE */
		{ "8004 7d 7d 62 2e", -EBADMSG },       /* BUILD */
		{ "8004 29 81 2e", -EBADMSG },          /* NEWOBJ */
		{ "8004 29 7d 92 2e", -EBADMSG },       /* NEWOBJ_EX */
		{ "8004 28 69 610a620a 2e", -EBADMSG }, /* INST */
		{ "8004 28 4e 6f 2e", -EBADMSG },       /* OBJ */
		{ "8004 50 300a 2e", -EBADMSG },        /* PERSID */
		{ "8004 4e 51 2e", -EBADMSG },          /* BINPERSID */
		{ "8004 82 01 2e", -EBADMSG },          /* EXT1 */
		{ "8004 83 0100 2e", -EBADMSG },
		{ "8004 84 01000000 2e", -EBADMSG },
		{ "8005 97 2e", -EBADMSG },                     /* NEXT_BUFFER */
		{ "8005 96 0100000000000000 78 2e", -EBADMSG }, /* bytearray */
		{ "8004 8f 2e", -EBADMSG },                     /* set */
		{ "8004 28 91 2e", -EBADMSG },                  /* frozenset */
		{ "8004 4e 30 4e 2e", -EBADMSG },               /* POP */
		{ "8004 28 31 4e 2e", -EBADMSG },               /* POP_MARK */
		{ "8004 4e 32 86 2e", -EBADMSG },               /* DUP */
		/* the stack and the memo */
		{ "8004 4e 4e 2e", -EBADMSG },
		{ "8004 28 2e", -EBADMSG },
		{ "8004 28 4e 2e", -EBADMSG },
		{ "8004 85 2e", -EBADMSG },
		{ "8004 4e 86 2e", -EBADMSG },
		{ "8004 4e 28 4e 86 2e", -EBADMSG },
		{ "8004 74 2e", -EBADMSG },
		{ "8004 4e 61 2e", -EBADMSG },
		{ "8004 4e 4e 61 2e", -EBADMSG },
		{ "8004 7d 4e 61 2e", -EBADMSG },
		{ "8004 5d 28 61 2e", -EBADMSG },
		{ "8004 28 65 2e", -EBADMSG },
		{ "8004 28 28 65 2e", -EBADMSG },
		{ "8004 5d 65 2e", -EBADMSG },
		{ "8004 29 28 4e 65 2e", -EBADMSG },
		{ "8004 7d 28 4e 75 2e", -EBADMSG },
		{ "8004 5d 28 4e 4e 75 2e", -EBADMSG },
		{ "8004 7d 4e 73 2e", -EBADMSG },
		{ "8004 68 00 2e", -EBADMSG },
		{ "8004 94 2e", -EBADMSG },
		{ "8004 28 94 2e", -EBADMSG },
		{ "8004 4e 71 01 2e", -EBADMSG },
		{ "8004 4e 72 ffffffff 2e", -EBADMSG },
		{ "8004 4e 94 6a ffffffff 2e", -EBADMSG },
		/* keys that cannot be */
		{ "8004 7d 5d 4e 73 2e", -EBADMSG },
		{ "8004 7d 7d 4e 73 2e", -EBADMSG },
		{ "8004 7d 5d 85 85 4e 73 2e", -EBADMSG },
		/* what holds itself */
		{ "8004 5d 94 68 00 61 2e", -EBADMSG },
		{ "8004 5d 94 28 5d 94 68 00 61 65 2e", -EBADMSG },
		{ "8004 5d 94 28 68 00 85 65 2e", -EBADMSG },
		{ "8004 7d 94 4e 68 00 73 2e", -EBADMSG },
		/* lengths */
		{ "8004 95 ffffffffffffffff 4e 2e", -EBADMSG },
		{ "8004 95 0300000000000000 4e 2e", -EBADMSG },
		{ "8004 43 05 78 2e", -EBADMSG },
		{ "8004 42 ffffffff 78 2e", -EBADMSG },
		{ "8004 8e ffffffffffffffff 78 2e", -EBADMSG },
		{ "8004 8d 0000000000000080 78 2e", -EBADMSG },
		{ "8004 58 ffffff7f 78 2e", -EBADMSG },
		{ "8004 8b ffffffff 01 2e", -EBADMSG },
		{ "8004 8a 09 78 2e", -EBADMSG },
		/* texts that are none */
		{ "8004 8c 01 80 2e", -EBADMSG },
		{ "8004 8c 01 c3 2e", -EBADMSG },
		{ "8004 8c 02 c080 2e", -EBADMSG },
		{ "8004 8c 03 eda080 2e", -EBADMSG },
		{ "8004 8c 04 f4908080 2e", -EBADMSG },
		/* numbers that do not fit */
		{ "8004 8a 09 000000000000008000 2e", -EOVERFLOW },
		{ "8004 8a 09 ffffffffffffff7fff 2e", -EOVERFLOW },
		{ "8004 8b 0a000000 00000000000000000001 2e", -EOVERFLOW },
	};
	struct carom_document *document = NULL;

	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_expect(eq(int, load_hex(wrong[i].hex, NULL, &document), wrong[i].error), "%s",
			  wrong[i].hex);
	cr_expect(eq(ptr, document, NULL));
}

/* ---- limits ---- */

static int load_deep(size_t depth, uint32_t depth_max)
{
	DOCUMENT document = NULL;
	size_t size = 2 * depth + 2;
	unsigned char *bytes = malloc(size);
	int r;

	memcpy(bytes, "\x80\4", 2);
	memset(bytes + 2, ']', depth);
	memset(bytes + 2 + depth, 'a', depth - 1);
	bytes[size - 1] = '.';
	r = carom_pickle_load(bytes, size, &CAROM_DOCUMENT_LIMITS(.depth_max = depth_max),
			      &document);
	free(bytes);
	return r;
}

Test(pickle, is_no_deeper_than_allowed)
{
	struct carom_document *document = NULL;

	cr_expect(zero(int, load_deep(32, 0)));
	cr_expect(eq(int, load_deep(33, 0), -EMSGSIZE));
	cr_expect(eq(int, load_deep(1000000, 0), -EMSGSIZE));
	cr_expect(zero(int, load_deep(1000, 1000)));
	cr_expect(eq(int, load_deep(1001, 1000), -EMSGSIZE));
	cr_expect(eq(int, load_deep(1, 1001), -EINVAL));
	cr_expect(eq(int, load_hex("8004 4e 2e", &CAROM_DOCUMENT_LIMITS(.reserved = 1), &document),
		     -EINVAL));
}

Test(pickle, takes_no_more_memory_than_allowed)
{
	struct carom_document_limits limits = CAROM_DOCUMENT_LIMITS(.memory_max = 1000);
	struct carom_document *document = NULL;
	size_t size = 1000000;
	unsigned char *bytes = malloc(size);

	/* a million lists; a text; a list that grows */
	memset(bytes, ']', size);
	memcpy(bytes, "\x80\4", 2);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EMSGSIZE));
	memcpy(bytes, "\x80\4X\x40\x42\x0f\0", 7);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EBADMSG));
	memcpy(bytes, "\x80\4X\x00\x42\x0f\0", 7);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EMSGSIZE));
	memcpy(bytes, "\x80\4]\x94(h\0h\0h\0", 11);
	cr_expect(eq(int, carom_pickle_load(bytes, 11, &limits, &document), -EBADMSG));
	/* marks, which are no objects; one object again and again, on the stack and in the memo */
	memset(bytes, '(', size);
	memcpy(bytes, "\x80\4", 2);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EMSGSIZE));
	memcpy(bytes, "\x80\4]\x94", 4);
	for (size_t i = 4; i < size; i += 2)
		memcpy(bytes + i, "h\0", 2);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EMSGSIZE));
	memset(bytes + 4, '\x94', size - 4);
	cr_expect(eq(int, carom_pickle_load(bytes, size, &limits, &document), -EMSGSIZE));
	free(bytes);
}

/* What one message could not be is gone with it, and no more is. */
Test(pickle, that_asks_for_too_much_is_gone, .timeout = 20)
{
	DOCUMENT document = NULL;
	struct carom_document_limits limits = CAROM_DOCUMENT_LIMITS(.depth_max = 1);
	PIPE(first, second, );

	cr_assert(zero(int, carom_connection_send_bytes(first, "\x80\4]]a.", 6, soon())));
	cr_assert(zero(int, carom_connection_send_bytes(first, "\x80\4].", 4, soon())));
	cr_expect(eq(int, carom_connection_recv_document(second, &limits, soon(), &document),
		     -EBADMSG));
	cr_expect(zero(int, carom_connection_recv_document(second, &limits, soon(), &document)));
}

/* Lists of two that are the same, 30 deep, would be 2^30 in a row. */
Test(pickle, that_repeats_itself_is_small_here_and_bounded_when_written)
{
	DOCUMENT document = NULL;
	PICKLE pickle = NULL;
	char hex[2048] = "8004 4e 94";
	struct carom_document_limits limits = CAROM_DOCUMENT_LIMITS(.memory_max = 4096);

	for (int i = 0; i < 30; i++)
		sprintf(hex + strlen(hex), " 68%02x 86 94", i);
	strcat(hex, " 2e");
	/* each instruction: get the last, make a pair of both, remember it */
	cr_assert(zero(int, load_hex(hex, &limits, &document)));
	cr_assert(zero(int, carom_pickle_new(&CAROM_PICKLE_OPTIONS(.size_max = 1 << 20), &pickle)));
	cr_expect(eq(int, carom_pickle_object(pickle, carom_document_root(document)), -EMSGSIZE));
}

/* ---- looking ---- */

Test(pickle, objects_say_what_they_are_and_nothing_else)
{
	DOCUMENT document = NULL;
	const struct carom_object *root, *none;
	const void *data = NULL;
	const char *text = NULL;
	int64_t integer = 7;
	double real = 7;
	bool truth = true;
	size_t size = 7;

	/* {'a': 1, 'n': 'x\0y', 'a': None, 2: b''} */
	cr_assert(zero(int, load_hex("8004 7d 28 8c0161 4b01 8c016e 8c03780079 8c0161 4e 4b02 4300 "
				     "75 2e",
				     NULL, &document)));
	root = carom_document_root(document);
	cr_expect(eq(int, carom_object_kind(root), CAROM_OBJECT_DICT));
	cr_expect(eq(sz, carom_object_count(root), 4));
	cr_expect(eq(int, carom_object_kind(carom_object_find(root, "a")), CAROM_OBJECT_NONE));
	cr_expect(zero(int, carom_object_int(carom_object_item(root, 0), &integer)));
	cr_expect(eq(i64, integer, 1));
	cr_expect(zero(int, carom_object_float(carom_object_item(root, 0), &real)));
	cr_expect(eq(dbl, real, 1));
	cr_expect(eq(int, carom_object_text(carom_object_find(root, "n"), &text, NULL), -EBADMSG));
	cr_expect(eq(ptr, (void *)text, NULL));
	cr_expect(zero(int, carom_object_text(carom_object_find(root, "n"), &text, &size)));
	cr_expect(eq(sz, size, 3));
	cr_expect(zero(int, carom_object_bytes(carom_object_item(root, 3), &data, &size)));
	cr_expect(zero(sz, size));

	none = carom_object_find(root, "z");
	cr_expect(eq(ptr, (void *)none, NULL));
	cr_expect(eq(ptr, (void *)carom_object_item(root, 4), NULL));
	cr_expect(eq(ptr, (void *)carom_object_key(root, 4), NULL));
	cr_expect(eq(ptr, (void *)carom_object_key(carom_object_item(root, 0), 0), NULL));
	cr_expect(eq(ptr, (void *)carom_object_find(carom_object_item(root, 0), "a"), NULL));
	cr_expect(eq(int, carom_object_kind(none), -EBADMSG));
	cr_expect(zero(sz, carom_object_count(none)));
	cr_expect(eq(int, carom_object_int(root, &integer), -EBADMSG));
	cr_expect(eq(int, carom_object_int(none, &integer), -EBADMSG));
	cr_expect(eq(int, carom_object_bool(root, &truth), -EBADMSG));
	cr_expect(eq(int, carom_object_float(root, &real), -EBADMSG));
	cr_expect(eq(int, carom_object_bytes(root, &data, &size), -EBADMSG));
	cr_expect(eq(int, carom_object_text(root, &text, &size), -EBADMSG));
	cr_expect(eq(ptr, carom_document_free(NULL), NULL));
}

/* ---- writing ---- */

static void begin(struct carom_pickle **ret_pickle)
{
	cr_assert(zero(int, carom_pickle_new(NULL, ret_pickle)));
}

/* The header's example, and back. */
Test(pickle, goes_through_a_connection, .timeout = 20)
{
	PIPE(first, second, );
	PICKLE pickle = NULL;
	DOCUMENT document = NULL;
	const struct carom_object *list;
	const char *text = "";
	int64_t number = 0;

	begin(&pickle);
	carom_pickle_begin_list(pickle);
	carom_pickle_int(pickle, 1);
	carom_pickle_text(pickle, "a");
	carom_pickle_end(pickle);
	cr_assert(zero(int, carom_connection_send_pickle(first, pickle, soon())));
	cr_assert(zero(int, carom_connection_recv_document(second, NULL, soon(), &document)));
	list = carom_document_root(document);
	cr_expect(zero(int, carom_object_int(carom_object_item(list, 0), &number)));
	cr_expect(zero(int, carom_object_text(carom_object_item(list, 1), &text, NULL)));
	cr_expect(eq(i64, number, 1));
	cr_expect(zero(int, strcmp(text, "a")));

	cr_assert(zero(int, give(first, "no pickle", 9)));
	cr_expect(
		eq(int, carom_connection_recv_document(second, NULL, soon(), &document), -EBADMSG));
	carom_connection_close(first);
	cr_expect(eq(int, carom_connection_recv_document(second, NULL, soon(), &document), -EPIPE));
}

static void expect_round_trip(struct carom_pickle *pickle, const char *repr)
{
	DOCUMENT document = NULL;
	PICKLE again = NULL;
	const void *data, *data_again;
	size_t size, size_again;

	cr_assert(zero(int, carom_pickle_data(pickle, &data, &size)));
	cr_assert(zero(int, carom_pickle_load(data, size, NULL, &document)));
	expect_repr(document, repr);
	begin(&again);
	cr_assert(zero(int, carom_pickle_object(again, carom_document_root(document))));
	cr_assert(zero(int, carom_pickle_data(again, &data_again, &size_again)));
	cr_expect(eq(sz, size, size_again));
	cr_expect(zero(int, memcmp(data, data_again, size)));
}

Test(pickle, is_read_as_it_was_written)
{
	PICKLE pickle = NULL;
	static const int64_t numbers[] = { 0,
					   255,
					   256,
					   65535,
					   65536,
					   -1,
					   INT32_MAX,
					   INT32_MIN,
					   (int64_t)INT32_MAX + 1,
					   (int64_t)INT32_MIN - 1,
					   INT64_MAX,
					   INT64_MIN };

	begin(&pickle);
	carom_pickle_begin_tuple(pickle);
	for (size_t i = 0; i < COUNT(numbers); i++)
		carom_pickle_int(pickle, numbers[i]);
	carom_pickle_none(pickle);
	carom_pickle_bool(pickle, true);
	carom_pickle_bool(pickle, false);
	carom_pickle_float(pickle, -0.5);
	carom_pickle_bytes(pickle, NULL, 0);
	carom_pickle_bytes(pickle, "xyz", 3);
	carom_pickle_begin_dict(pickle);
	carom_pickle_begin_tuple(pickle);
	carom_pickle_int(pickle, 1);
	carom_pickle_end(pickle);
	carom_pickle_begin_list(pickle);
	carom_pickle_end(pickle);
	carom_pickle_text(pickle, "\xc3\xa9");
	carom_pickle_begin_dict(pickle);
	carom_pickle_end(pickle);
	carom_pickle_end(pickle);
	cr_expect(zero(int, carom_pickle_end(pickle)));
	expect_round_trip(pickle, "(0, 255, 256, 65535, 65536, -1, 2147483647, -2147483648, "
				  "2147483648, -2147483649, 9223372036854775807, "
				  "-9223372036854775808, None, True, False, -0.5, b'', b'xyz', "
				  "{(1,): [], '\xc3\xa9': {}})");
}

Test(pickle, of_long_bytes_and_many_items_is_read_as_it_was_written)
{
	static char bytes[100000];
	PICKLE pickle = NULL;
	DOCUMENT document = NULL;
	const void *data;
	const struct carom_object *root;
	size_t size;

	memset(bytes, 'x', sizeof(bytes) - 1);
	begin(&pickle);
	carom_pickle_begin_list(pickle);
	carom_pickle_bytes(pickle, bytes, sizeof(bytes));
	carom_pickle_text(pickle, bytes);
	for (int i = 0; i < 100000; i++)
		carom_pickle_int(pickle, i);
	carom_pickle_end(pickle);
	cr_assert(zero(int, carom_pickle_data(pickle, &data, &size)));
	cr_assert(zero(int, carom_pickle_load(data, size, NULL, &document)));
	root = carom_document_root(document);
	cr_expect(eq(sz, carom_object_count(root), 100002));
	cr_assert(zero(int, carom_object_bytes(carom_object_item(root, 0), &data, &size)));
	cr_expect(eq(sz, size, sizeof(bytes)));
	cr_expect(zero(int, memcmp(data, bytes, size)));
	for (int i = 0; i < 100000; i++) {
		int64_t value = -1;

		carom_object_int(carom_object_item(root, (size_t)i + 2), &value);
		cr_assert(value == i);
	}
}

Test(pickle, floats_keep_every_bit)
{
	static const double values[] = { 0.0, -0.0, 1e308, 5e-324, INFINITY, -INFINITY, NAN };

	for (size_t i = 0; i < COUNT(values); i++) {
		PICKLE pickle = NULL;
		DOCUMENT document = NULL;
		const void *data;
		double value;
		size_t size;

		begin(&pickle);
		carom_pickle_float(pickle, values[i]);
		cr_assert(zero(int, carom_pickle_data(pickle, &data, &size)));
		cr_assert(zero(int, carom_pickle_load(data, size, NULL, &document)));
		cr_assert(zero(int, carom_object_float(carom_document_root(document), &value)));
		cr_expect(zero(int, memcmp(&value, &values[i], sizeof(value))));
	}
}

/* @steps: [ ( { begin, e ends, 1 is a number */
static int write_steps(const char *steps)
{
	PICKLE pickle = NULL;
	const void *data;
	size_t size;

	begin(&pickle);
	for (; *steps; steps++) {
		if (*steps == '[')
			carom_pickle_begin_list(pickle);
		else if (*steps == '(')
			carom_pickle_begin_tuple(pickle);
		else if (*steps == '{')
			carom_pickle_begin_dict(pickle);
		else if (*steps == 'e')
			carom_pickle_end(pickle);
		else
			carom_pickle_int(pickle, 1);
	}
	return carom_pickle_data(pickle, &data, &size);
}

Test(pickle, that_makes_no_sense_cannot_be_written)
{
	static const char *wrong[] = { "",    "[",     "e",     "[ee",     "11", "[e1",
				       "{1e", "{[e1e", "{{e1e", "{([ee1e", "[1" };
	static const char *right[] = { "1", "[e", "(e", "{e", "{11e", "{(1e[ee", "{1[ee" };
	PICKLE pickle = NULL;
	PICKLE small = NULL;
	PICKLE deep = NULL;
	const void *data;
	size_t size;

	for (size_t i = 0; i < COUNT(wrong); i++)
		cr_expect(eq(int, write_steps(wrong[i]), -EINVAL), "%s", wrong[i]);
	for (size_t i = 0; i < COUNT(right); i++)
		cr_expect(zero(int, write_steps(right[i])), "%s", right[i]);

	begin(&pickle);
	cr_expect(eq(int, carom_pickle_text(pickle, "\xff"), -EILSEQ));
	cr_expect(eq(int, carom_pickle_none(pickle), -EILSEQ), "it sticks");
	cr_expect(eq(int, carom_pickle_data(pickle, &data, &size), -EILSEQ));
	carom_pickle_freep(&pickle);
	begin(&pickle);
	cr_expect(eq(int, carom_pickle_bytes(pickle, NULL, 1), -EINVAL));
	carom_pickle_freep(&pickle);
	begin(&pickle);
	cr_expect(eq(int, carom_pickle_text(pickle, NULL), -EINVAL));
	carom_pickle_freep(&pickle);
	begin(&pickle);
	cr_expect(eq(int, carom_pickle_object(pickle, NULL), -EINVAL));
	carom_pickle_freep(&pickle);
	begin(&pickle);
	carom_pickle_none(pickle);
	cr_expect(zero(int, carom_pickle_data(pickle, &data, &size)));
	cr_expect(zero(int, carom_pickle_data(pickle, &data, &size)), "again");
	cr_expect(eq(sz, size, 4));
	cr_expect(eq(int, carom_pickle_none(pickle), -EINVAL), "it is finished");

	cr_assert(zero(int, carom_pickle_new(&CAROM_PICKLE_OPTIONS(.size_max = 8), &small)));
	cr_expect(zero(int, carom_pickle_bytes(small, "abc", 3)));
	cr_expect(zero(int, carom_pickle_data(small, &data, &size)));
	cr_expect(eq(sz, size, 8));
	carom_pickle_freep(&small);
	cr_assert(zero(int, carom_pickle_new(&CAROM_PICKLE_OPTIONS(.size_max = 8), &small)));
	cr_expect(eq(int, carom_pickle_bytes(small, "abcde", 5), -EMSGSIZE));

	begin(&deep);
	for (int i = 0; i < CAROM_PICKLE_DEPTH_MAX; i++)
		cr_assert(zero(int, carom_pickle_begin_list(deep)));
	cr_expect(eq(int, carom_pickle_begin_list(deep), -EMSGSIZE));
}

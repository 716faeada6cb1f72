/* Objects as bytes between a manager's server and its clients. */
#include "ipc/cbor.h"

#include "tests/shm/help.h"

#include "ipc/object_private.h"
#include "tests/ipc/managed.h"

TestSuite(cbor, .timeout = 60);

static int load(const void *data, size_t size, uint32_t depth_max, uint64_t memory_max,
		struct carom_document **ret_document)
{
	struct carom_document *document;
	int r = carom_document_make(memory_max, &document);

	if (r == 0)
		r = carom_cbor_load(data, size, depth_max, document);
	if (r < 0)
		carom_document_free(document);
	else
		*ret_document = document;
	return r;
}

static void expect_there_and_back(const char *format, ...)
{
	DOCUMENT document = NULL;
	DOCUMENT again = NULL;
	struct carom_cbor cbor = { 0 };
	char text[256], text_again[256];
	va_list arguments;

	va_start(arguments, format);
	cr_assert(zero(int, carom_document_vbuild(&document, format, arguments)));
	va_end(arguments);
	carom_cbor_object(&cbor, carom_document_root(document));
	cr_assert(zero(int, cbor.error));
	cr_assert(zero(int, load(cbor.data, cbor.size, 32, UINT64_MAX, &again)));
	carom_object_describe(carom_document_root(document), text, sizeof(text));
	carom_object_describe(carom_document_root(again), text_again, sizeof(text_again));
	cr_expect(eq(str, text_again, text));
	carom_cbor_free(&cbor);
}

Test(cbor, brings_objects_there_with_their_kinds)
{
	expect_there_and_back("n");
	expect_there_and_back("(pp)", 1, 0);
	expect_there_and_back("[LLLL]", INT64_MIN, INT64_MAX, INT64_C(-1), INT64_C(256));
	expect_there_and_back("[ddd]", 0.1, -1 / 0.0, 1e300);
	expect_there_and_back("(s y [] () {})", "\xc3\xa4", "\0\xff", (size_t)2);
	expect_there_and_back("{(ii): [(i)] s: {i: n}}", 1, 2, 3, "x", 4);
}

static int load_hex(const char *hex, uint32_t depth_max, uint64_t memory_max)
{
	DOCUMENT document = NULL;
	unsigned char bytes[64];
	size_t size = 0;

	for (; *hex; hex += 2, size++) {
		unsigned int byte;

		cr_assert(eq(int, sscanf(hex, "%2x", &byte), 1));
		bytes[size] = (unsigned char)byte;
	}
	return load(bytes, size, depth_max, memory_max, &document);
}

Test(cbor, takes_nothing_that_is_not_data)
{
	static const char *const nonsense[] = {
		"",                     /* nothing */
		"0000",                 /* two */
		"8201",                 /* an array that ends early */
		"9b7fffffffffffffff00", /* one that is too long for anybody */
		"bbffffffffffffffff00", /* and a map */
		"5b7fffffffffffffff",   /* and bytes */
		"61ff",                 /* no UTF-8 */
		"9fff",                 /* no length in front */
		"5fff",
		"7fff",
		"bfff",
		"ff",
		"f7",   /* undefined */
		"f8ff", /* who knows */
		"1c",
		"c100",           /* a time */
		"d9ca7000",       /* a tuple that is a number */
		"d9ca70d9ca7080", /* a tuple of what? */
		"d9ca70",
		"a18000", /* a list that is a key */
		"d81b80", /* an object without a name */
		"d81b83000000",
		"d81b836b6361726f6d2e70726f7879616120", /* its number is -1 */
		"d81b836b6361726f6d2e70726f787941610a", /* its type are bytes */
	};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++)
		cr_expect(eq(int, load_hex(nonsense[i], 32, 4096), -EBADMSG), "%s", nonsense[i]);
	cr_expect(zero(int, load_hex("d81b836b6361726f6d2e70726f787961610a", 32, 4096)));
}

Test(cbor, takes_nothing_that_is_too_much)
{
	cr_expect(eq(int, load_hex("1b8000000000000000", 32, 4096), -EOVERFLOW));
	cr_expect(eq(int, load_hex("3b8000000000000000", 32, 4096), -EOVERFLOW));
	cr_expect(zero(int, load_hex("3b7fffffffffffffff", 32, 4096)));
	cr_expect(zero(int, load_hex("818180", 3, 4096)));
	cr_expect(eq(int, load_hex("818180", 2, 4096), -EMSGSIZE));
	cr_expect(eq(int, load_hex("81818100", 3, 4096), -EMSGSIZE));
	cr_expect(eq(int, load_hex("8a00000000000000000000", 3, 200), -EMSGSIZE));
}

Test(cbor, writes_no_more_than_is_allowed)
{
	struct carom_cbor cbor = { .size_max = 5 };

	carom_cbor_text(&cbor, "four");
	cr_expect(zero(int, cbor.error));
	carom_cbor_none(&cbor);
	cr_expect(eq(int, cbor.error, -EMSGSIZE));
	carom_cbor_clear(&cbor);
	carom_cbor_text(&cbor, "fiver");
	cr_expect(eq(int, cbor.error, -EMSGSIZE));
	carom_cbor_free(&cbor);
}

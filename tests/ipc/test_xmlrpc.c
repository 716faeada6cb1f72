/* Values as XML-RPC writes them. */
#include "ipc/exchange.h"
#include "ipc/serializer.h"
#include "ipc/xmlrpc.h"

#include "tests/ipc/ends.h"

#include <locale.h>
#include <math.h>

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *

#define HEAD        "<params>\n<param>\n"
#define TAIL        "</param>\n</params>\n"
#define ONE(value)  HEAD "<value>" value "</value>\n" TAIL
#define LIST(value) ONE("<array><data>\n" value "</data></array>")

static bool is_built(void)
{
	DOCUMENT document = NULL;

	return carom_xmlrpc_load("", 0, NULL, &document) != -EOPNOTSUPP;
}

#define skip_without_expat()                               \
	do {                                               \
		if (!is_built())                           \
			cr_skip_test("skipped: no expat"); \
	} while (0)

static int load(const char *text, const struct carom_document_limits *limits,
		struct carom_document **ret_document)
{
	return carom_xmlrpc_load(text, strlen(text), limits, ret_document);
}

static const struct carom_object *root_of(const char *text, struct carom_document **document)
{
	*document = carom_document_free(*document);
	cr_assert(zero(int, load(text, NULL, document)), "%s", text);
	return carom_document_root(*document);
}

static void expect_written(const struct carom_object *object, const char *text)
{
	size_t size = 0;
	void *data = NULL;

	cr_assert(zero(int, carom_xmlrpc_dump(object, &data, &size)), "%s", text);
	cr_expect(eq(sz, size, strlen(text)), "%s", text);
	cr_expect(zero(int, memcmp(data, text, size)), "%.*s\nis not\n%s", (int)size,
		  (const char *)data, text);
	free(data);
}

/* ---- there and back ---- */

/* What Python's xmlrpc.client.dumps((object,), None, None, None, 1) writes. */
static const char *const as_python_writes[] = {
	HEAD "<value><nil/></value>" TAIL,
	ONE("<boolean>1</boolean>"),
	ONE("<boolean>0</boolean>"),
	ONE("<int>0</int>"),
	ONE("<int>2147483647</int>"),
	ONE("<int>-2147483648</int>"),
	ONE("<double>1.5</double>"),
	ONE("<double>-0.0</double>"),
	ONE("<double>1e+300</double>"),
	ONE("<double>0.1</double>"),
	ONE("<double>0.30000000000000004</double>"),
	ONE("<double>nan</double>"),
	ONE("<double>-inf</double>"),
	ONE("<string></string>"),
	ONE("<string>a &lt;b&gt; &amp; \"c\"\n\t</string>"),
	ONE("<string>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</string>"),
	ONE("<base64>\n</base64>"),
	ONE("<base64>\nAAEC/w==\n</base64>"),
	ONE("<base64>\n"
	    "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\neA==\n"
	    "</base64>"),
	LIST(""),
	LIST("<value><int>1</int></value>\n<value><nil/></value><value><string>a</string></"
	     "value>\n"),
	ONE("<struct>\n</struct>"),
	ONE("<struct>\n"
	    "<member>\n<name>a&amp;</name>\n<value><int>1</int></value>\n</member>\n"
	    "<member>\n<name></name>\n<value><struct>\n</struct></value>\n</member>\n"
	    "</struct>"),
};

/* LC-15 */
Test(xmlrpc, reads_and_writes_the_bytes_that_python_does, .timeout = 10)
{
	DOCUMENT document = NULL;

	skip_without_expat();
	for (size_t i = 0; i < sizeof(as_python_writes) / sizeof(*as_python_writes); i++)
		expect_written(root_of(as_python_writes[i], &document), as_python_writes[i]);
}

Test(xmlrpc, gives_values_their_types, .timeout = 10)
{
	DOCUMENT document = NULL;
	const struct carom_object *root;
	const void *data = NULL;
	const char *text = NULL;
	int64_t number = 0;
	double real = 0;
	bool truth = false;
	size_t size = 0;

	skip_without_expat();
	root = root_of(
		"<params><param><value><array><data>"
		"<value><i4> +7 </i4></value><value><i8>-9223372036854775808</i8></value>"
		"<value><double> 2.5</double></value><value><boolean>1</boolean></value>"
		"<value><base64>YQ Bi\n</base64></value><value>bare &#65;<![CDATA[<]]></value>"
		"<value> <nil/> </value><value/>"
		"</data></array></value></param></params>",
		&document);
	cr_assert(eq(sz, carom_object_count(root), 8));
	cr_assert(zero(int, carom_object_int(carom_object_item(root, 0), &number)));
	cr_expect(eq(i64, number, 7));
	cr_assert(zero(int, carom_object_int(carom_object_item(root, 1), &number)));
	cr_expect(eq(i64, number, INT64_MIN));
	cr_expect(zero(int, carom_object_float(carom_object_item(root, 2), &real)));
	cr_expect(eq(dbl, real, 2.5));
	cr_expect(zero(int, carom_object_bool(carom_object_item(root, 3), &truth)));
	cr_expect(truth);
	cr_assert(zero(int, carom_object_bytes(carom_object_item(root, 4), &data, &size)));
	cr_expect(eq(sz, size, 3));
	cr_expect(zero(int, memcmp(data, "a\0b", 3)));
	cr_assert(zero(int, carom_object_text(carom_object_item(root, 5), &text, NULL)));
	cr_expect(zero(int, strcmp(text, "bare A<")));
	cr_expect(eq(int, carom_object_kind(carom_object_item(root, 6)), CAROM_OBJECT_NONE));
	cr_assert(zero(int, carom_object_text(carom_object_item(root, 7), &text, NULL)));
	cr_expect(zero(int, strcmp(text, "")));
}

Test(xmlrpc, of_two_members_of_a_name_the_later_counts, .timeout = 10)
{
	DOCUMENT document = NULL;
	const struct carom_object *root;
	const char *text = "";

	skip_without_expat();
	root = root_of("<params><param><value><struct>"
		       "<member><name>a</name><value>1</value></member>"
		       "<member><name>a</name><value>2</value></member>"
		       "</struct></value></param></params>",
		       &document);
	cr_assert(zero(int, carom_object_text(carom_object_find(root, "a"), &text, NULL)));
	cr_expect(zero(int, strcmp(text, "2")));
}

static struct carom_object *all_kinds(struct carom_document *document)
{
	struct carom_object *dict = carom_document_dict(document);
	struct carom_object *tuple = carom_document_tuple(document);

	carom_document_append(document, tuple, carom_document_int(document, INT64_MAX));
	carom_document_append(document, tuple, carom_document_text(document, "\r\n"));
	carom_document_append(document, tuple, carom_document_bytes(document, "\0", 1));
	return carom_document_set(document, dict, carom_document_text(document, "t"), tuple);
}

Test(xmlrpc, writes_what_python_has_no_bytes_for, .timeout = 10)
{
	DOCUMENT document = NULL;
	DOCUMENT again = NULL;
	static const char text[] = ONE("<struct>\n<member>\n<name>t</name>\n<value><array><data>\n"
				       "<value><i8>9223372036854775807</i8></"
				       "value>\n<value><string>&#13;\n</string></value>\n"
				       "<value><base64>\nAA==\n</base64></value>\n"
				       "</data></array></value>\n</member>\n</struct>");

	skip_without_expat();
	cr_assert(zero(int, carom_document_new(NULL, &document)));
	cr_assert(zero(int, carom_document_finish(document, all_kinds(document))));
	expect_written(carom_document_root(document), text);
	expect_written(root_of(text, &again), text);
}

Test(xmlrpc, has_points_in_its_numbers_wherever_it_runs, .timeout = 10)
{
	DOCUMENT document = NULL;

	skip_without_expat();
	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
		cr_skip_test("skipped: no locale with a decimal comma");
	expect_written(root_of(ONE("<double>1.5</double>"), &document),
		       ONE("<double>1.5</double>"));
}

/* ---- what is refused ---- */

static const char *const refused[] = {
	"",
	" ",
	"x",
	"<params>",
	"<params/>",
	"<params></params>",
	"<params><param/></params>",
	"<params><param></param></params>",
	"<param><value/></param>",
	"<value/>",
	"<methodCall><methodName>a</methodName></methodCall>",
	"<params><param><value/></param><param><value/></param></params>",
	"<params><param><value/><value/></param></params>",
	"<params><param><value/></param></params>x",
	"<params>x<param><value/></param></params>",
	"<params><param><value/>x</param></params>",
	"<params><param><value></param></value></params>",
	"<params a='1'><param><value/></param></params>",
	ONE("x<int>1</int>"),
	ONE("<int>1</int>x"),
	ONE("<int>1</int><int>1</int>"),
	ONE("<int><int>1</int></int>"),
	ONE("<int></int>"),
	ONE("<int>1 1</int>"),
	ONE("<int>1.5</int>"),
	ONE("<int>0x1</int>"),
	ONE("<boolean></boolean>"),
	ONE("<boolean>2</boolean>"),
	ONE("<boolean>10</boolean>"),
	ONE("<double></double>"),
	ONE("<double>1,5</double>"),
	ONE("<double>0x1p3</double>"),
	ONE("<double>nan(1)</double>"),
	ONE("<nil>x</nil>"),
	ONE("<base64>A</base64>"),
	ONE("<base64>A?==</base64>"),
	ONE("<base64>AA==A</base64>"),
	ONE("<array></array>"),
	ONE("<array><data/><data/></array>"),
	ONE("<array><value/></array>"),
	ONE("<array><data>x</data></array>"),
	ONE("<data></data>"),
	ONE("<struct><value/></struct>"),
	ONE("<struct><member></member></struct>"),
	ONE("<struct><member><name>a</name></member></struct>"),
	ONE("<struct><member><value/></member></struct>"),
	ONE("<struct><member><value/><name>a</name></member></struct>"),
	ONE("<struct><member><name>a</name><name>b</name></member></struct>"),
	ONE("<struct><member><name>a</name><value/><value/></member></struct>"),
	ONE("<struct><member><name>a<int>1</int></name><value/></member></struct>"),
	ONE("<dateTime.iso8601>20200102T00:00:00</dateTime.iso8601>"),
	ONE("<bigdecimal>1</bigdecimal>"),
	ONE("<unheard-of/>"),
	ONE("\xff"),
	ONE("\xed\xa0\x80"),
	ONE("\x01"),
	ONE("&#1;"),
	ONE("&unheard;"),
};

Test(xmlrpc, refuses_what_is_no_such_message, .timeout = 10)
{
	skip_without_expat();
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		DOCUMENT document = NULL;

		cr_expect(eq(int, load(refused[i], NULL, &document), -EBADMSG), "%s", refused[i]);
		cr_expect(eq(ptr, document, NULL));
	}
}

Test(xmlrpc, refuses_every_part_of_a_message, .timeout = 10)
{
	static const char text[] = ONE("<struct>\n<member>\n<name>t</name>\n<value><array><data>\n"
				       "<value><base64>\nAA==\n</base64></value>\n"
				       "</data></array></value>\n</member>\n</struct>");

	skip_without_expat();
	for (size_t i = 0; i < sizeof(text) - 2; i++) {
		DOCUMENT document = NULL;

		cr_expect(eq(int, carom_xmlrpc_load(text, i, NULL, &document), -EBADMSG), "%zu", i);
	}
}

#define ENTITY(definition, use) "<!DOCTYPE p [" definition "]>" ONE("<string>" use "</string>")

Test(xmlrpc, expands_no_entities, .timeout = 10)
{
	static const char *const hostile[] = {
		"<!DOCTYPE params>" ONE("a"),
		"<!DOCTYPE params SYSTEM 'file:///etc/passwd'>" ONE("a"),
		ENTITY("<!ENTITY a 'x'>", "&a;"),
		ENTITY("<!ENTITY a SYSTEM 'file:///etc/passwd'>", "&a;"),
		ENTITY("<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a;", ""),
		ENTITY("<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
		       "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>",
		       "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"),
	};

	skip_without_expat();
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		DOCUMENT document = NULL;

		cr_expect(eq(int, load(hostile[i], NULL, &document), -EBADMSG), "%s", hostile[i]);
	}
}

Test(xmlrpc, has_no_int_of_more_than_64_bits, .timeout = 10)
{
	DOCUMENT document = NULL;

	skip_without_expat();
	cr_expect(
		eq(int, load(ONE("<int>9223372036854775808</int>"), NULL, &document), -EOVERFLOW));
	cr_expect(eq(int, load(ONE("<i8>-9223372036854775809</i8>"), NULL, &document), -EOVERFLOW));
}

/* ---- limits ---- */

/* @depth lists in each other; and with no end if @is_torn */
static char *nested(size_t depth, bool is_torn)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	fputs("<params><param>", file);
	for (size_t i = 0; i < depth; i++)
		fputs("<value><array><data>", file);
	for (size_t i = 0; i < depth && !is_torn; i++)
		fputs("</data></array></value>", file);
	fputs("</param></params>", file);
	fclose(file);
	return text;
}

static int load_nested(size_t depth, bool is_torn, uint32_t depth_max)
{
	DOCUMENT document = NULL;
	char *text = nested(depth, is_torn);
	int r = load(text, &CAROM_DOCUMENT_LIMITS(.depth_max = depth_max), &document);

	free(text);
	return r;
}

Test(xmlrpc, is_bounded_by_the_limits, .timeout = 60)
{
	struct carom_document_limits small = CAROM_DOCUMENT_LIMITS(.memory_max = 300);
	struct carom_document_limits unknown = CAROM_DOCUMENT_LIMITS(.reserved = 1);
	DOCUMENT document = NULL;

	skip_without_expat();
	cr_expect(zero(int, load_nested(32, false, 0)));
	cr_expect(eq(int, load_nested(33, false, 0), -EMSGSIZE));
	cr_expect(zero(int, load_nested(1000, false, 1000)));
	cr_expect(eq(int, load_nested(1001, false, 1000), -EMSGSIZE));
	cr_expect(eq(int, load_nested(100000, true, 0), -EMSGSIZE), "before its end is seen");
	cr_expect(zero(int, load(ONE("<int>1</int>"), &small, &document)));
	document = carom_document_free(document);
	cr_expect(eq(int,
		     load(LIST("<value/><value/><value/><value/><value/><value/><value/><value/>"),
			  &small, &document),
		     -EMSGSIZE));
	cr_expect(eq(int, load(ONE(""), &unknown, &document), -EINVAL));
}

/* ---- what cannot be written ---- */

static int dump_made(struct carom_object *(*make)(struct carom_document *document))
{
	DOCUMENT document = NULL;
	void *data = NULL;
	size_t size = 77;
	int r;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	cr_assert(zero(int, carom_document_finish(document, make(document))));
	r = carom_xmlrpc_dump(carom_document_root(document), &data, &size);
	cr_expect(eq(ptr, data, NULL));
	cr_expect(eq(sz, size, 77));
	return r;
}

static struct carom_object *with_number_key(struct carom_document *document)
{
	return carom_document_set(document, carom_document_dict(document),
				  carom_document_int(document, 1), carom_document_none(document));
}

static struct carom_object *with_tag(struct carom_document *document)
{
	return carom_document_tagged(document, 5, carom_document_none(document));
}

static struct carom_object *with_fd(struct carom_document *document)
{
	return carom_document_fd(document, STDIN_FILENO);
}

static struct carom_object *with_control(struct carom_document *document)
{
	return carom_document_text(document, "a\x01");
}

static struct carom_object *with_nul(struct carom_document *document)
{
	return carom_document_text_sized(document, "a\0b", 3);
}

static struct carom_object *with_no_character(struct carom_document *document)
{
	return carom_document_text(document, "\xef\xbf\xbf");
}

Test(xmlrpc, refuses_what_it_has_no_bytes_for, .timeout = 10)
{
	void *data = NULL;
	size_t size;

	skip_without_expat();
	cr_expect(eq(int, carom_xmlrpc_dump(NULL, &data, &size), -EINVAL));
	cr_expect(eq(int, dump_made(with_number_key), -EINVAL));
	cr_expect(eq(int, dump_made(with_tag), -EINVAL));
	cr_expect(eq(int, dump_made(with_fd), -EINVAL));
	cr_expect(eq(int, dump_made(with_control), -EILSEQ));
	cr_expect(eq(int, dump_made(with_nul), -EILSEQ));
	cr_expect(eq(int, dump_made(with_no_character), -EILSEQ));
}

/* ---- as a serializer ---- */

Test(xmlrpc, is_a_serializer_by_its_name, .timeout = 20)
{
	PIPE(mine, theirs, );
	DOCUMENT sent = NULL;
	DOCUMENT got = NULL;
	struct carom_context *fork = NULL;
	char buffer[128] = "";

	skip_without_expat();
	root_of(ONE("<int>5</int>"), &sent);
	cr_assert(zero(int, carom_context_get("fork", &fork)));
	cr_assert(zero(int, carom_context_configure(
				    fork, &CAROM_CONTEXT_OPTIONS(.serializer = "xmlrpc"))));
	carom_connection_set_context(mine, fork);
	carom_connection_set_context(theirs, fork);
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_written(carom_document_root(got), ONE("<int>5</int>"));
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_assert(
		eq(long, take(theirs, buffer, sizeof(buffer)), (long)strlen(ONE("<int>5</int>"))));
	cr_expect(zero(int, memcmp(buffer, ONE("<int>5</int>"), strlen(ONE("<int>5</int>")))));
}

Test(xmlrpc, says_so_where_there_is_no_expat, .timeout = 10)
{
	DOCUMENT document = NULL;
	size_t size;
	void *data;

	if (is_built())
		cr_skip_test("skipped: there is expat");
	cr_expect(eq(int, load(ONE("a"), NULL, &document), -EOPNOTSUPP));
	cr_expect(eq(int, carom_xmlrpc_dump(NULL, &data, &size), -EOPNOTSUPP));
}

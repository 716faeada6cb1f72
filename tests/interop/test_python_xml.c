/* Python's XmlListener and XmlClient as the peer. */
#include "tests/interop/python.h"

#include "ipc/exchange.h"
#include "ipc/listener.h"
#include "ipc/xmlrpc.h"

#define KEY      "a key of both"
#define KEY_SIZE (sizeof(KEY) - 1)

static char path[64];

static void choose_path(void)
{
	snprintf(path, sizeof(path), "/tmp/carom-test-xml-%d", (int)getpid());
}

static void remove_path(void)
{
	unlink(path);
}

TestSuite(python_xml, .init = choose_path, .fini = remove_path, .timeout = 100);

#define skip_without_expat()                                                 \
	do {                                                                 \
		CAROM_CLEANUP(carom_document_freep)                          \
		struct carom_document *nothing = NULL;                       \
                                                                             \
		if (carom_xmlrpc_load("", 0, NULL, &nothing) == -EOPNOTSUPP) \
			cr_skip_test("skipped: no expat");                   \
	} while (0)

/* what is sent, and comes back; a tuple as a list */
#define OBJECTS                                                                                \
	"objects = [None, True, False, 0, 1, -1, 2**31-1, -2**31, 0.0, -0.0, 1.5, 0.1,\n"      \
	"  1e308, 5e-324, float('inf'), float('-inf'), '', 'a', '<&>', '\\u00e9\\u20ac',\n"    \
	"  '\\U0001f600', 'a\\tb\\nc', 'x'*70000, [], [1, 'a', None], {}, {'a': 1, '': {}},\n" \
	"  {'<k>': [{'deep': [[[1]]]}]}, list(range(2500)),\n"                                 \
	"  {str(i): i for i in range(2500)}, b'', b'x', bytes(range(256)) * 300, [b'a']]\n"    \
	"def talk(c):\n"                                                                       \
	"    for o in objects:\n"                                                              \
	"        c.send(o)\n"                                                                  \
	"        r = c.recv()\n"                                                               \
	"        assert r == o and (type(r) is type(o) or type(o) is bytes), (r, o)\n"         \
	"    c.send((1, (2,)))\n"                                                              \
	"    assert c.recv() == [1, [2]]\n"                                                    \
	"    c.send('end')\n"                                                                  \
	"    assert c.recv() == 'end'\n"                                                       \
	"    assert c.recv() == 2**62\n"                                                       \
	"    import datetime\n"                                                                \
	"    c.send(datetime.datetime(2020, 1, 2))\n"                                          \
	"    c.close()\n"

static bool is_end(const struct carom_document *document)
{
	const char *text = "";

	return carom_object_text(carom_document_root(document), &text, NULL) == 0 &&
	       strcmp(text, "end") == 0;
}

/* Sends back what comes. Return: whether more will */
static bool send_back(struct carom_connection *connection)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;

	cr_assert(zero(int, carom_connection_recv_document(connection, NULL, soon(), &document)));
	cr_assert(zero(int, carom_connection_send_document(connection, document, soon())));
	return !is_end(document);
}

static void send_number(struct carom_connection *connection, int64_t number)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	cr_assert(zero(int, carom_document_finish(document, carom_document_int(document, number))));
	cr_assert(zero(int, carom_connection_send_document(connection, document, soon())));
}

static void talk(struct carom_connection *connection)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *date = NULL;
	struct carom_context *context = NULL;

	cr_assert(zero(int, carom_context_get("fork", &context)));
	cr_assert(zero(int, carom_context_configure(
				    context, &CAROM_CONTEXT_OPTIONS(.serializer = "xmlrpc"))));
	carom_connection_set_context(connection, context);
	while (send_back(connection))
		;
	send_number(connection, INT64_C(1) << 62);
	cr_expect(
		eq(int, carom_connection_recv_document(connection, NULL, soon(), &date), -EBADMSG));
}

/* LC-15 */
Test(python_xml, client_of_a_carom_listener)
{
	const char *program;

	skip_without_python();
	skip_without_expat();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;

		cr_assert(zero(int, carom_listener_new(
					    &CAROM_LISTENER_OPTIONS(.path = path, .authkey = KEY,
								    .authkey_size = KEY_SIZE),
					    &listener)));
		python = start_python(program,
				      PRELUDE
				      "from multiprocessing.connection import XmlClient\n" OBJECTS
				      "talk(XmlClient(place, authkey=key))\n",
				      path, KEY);
		cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
		talk(connection);
		cr_expect(zero(int, end_python(&python)), "%s", program);
	}
}

/* LC-15 */
Test(python_xml, listener_of_a_carom_client)
{
	const char *program;

	skip_without_python();
	skip_without_expat();
	for (size_t i = 0; (program = python_at(i)); i++) {
		struct carom_client_options options =
			CAROM_CLIENT_OPTIONS(.path = path, .authkey = KEY,
					     .authkey_size = KEY_SIZE);
		CONNECTION connection = NULL;
		struct python python = start_python(
			program,
			PRELUDE "from multiprocessing.connection import XmlListener\n" OBJECTS
				"l = XmlListener(place, authkey=key)\n"
				"print('ready', flush=True)\n"
				"talk(l.accept())\n"
				"l.close()\n",
			path, KEY);
		char line[64];

		read_line(&python, line, sizeof(line));
		cr_assert(zero(int, carom_client_connect(&options, soon(), &connection)));
		talk(connection);
		cr_expect(zero(int, end_python(&python)), "%s", program);
	}
}

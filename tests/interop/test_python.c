/* Connections to and from real Python programs. */
#include "tests/interop/python.h"

#include <fcntl.h>

#include "core/finalizer_private.h"
#include "ipc/listener.h"
#include "ipc/passing.h"
#include "ipc/exchange.h"
#include "ipc/pickle.h"

#define KEY      "a key of both"
#define KEY_SIZE (sizeof(KEY) - 1)

static char path[64], name[64];

static void choose_path(void)
{
	snprintf(path, sizeof(path), "/tmp/carom-test-interop-%d", (int)getpid());
	snprintf(name, sizeof(name), "@carom-test-interop-%d", (int)getpid());
}

static void remove_path(void)
{
	unlink(path);
}

TestSuite(python, .init = choose_path, .fini = remove_path, .timeout = 300);

/** struct way - where they meet, and with what key */
struct way {
	const char *name;
	const char *path; /* as Python's scripts take it, too; NULL: of @family */
	int family;
	bool has_key;
};

static const struct way ways[] = {
	{ "path", path, AF_UNIX, false },
	{ "path, with a key", path, AF_UNIX, true },
	{ "abstract, with a key", name, AF_UNIX, true },
	{ "TCP", NULL, AF_INET, false },
	{ "TCP, with a key", NULL, AF_INET, true },
};

#define WAY_COUNT (sizeof(ways) / sizeof(*ways))

static const char *key_of(const struct way *way)
{
	return way->has_key ? KEY : NULL;
}

/* ---- messages there and back ---- */

static void fill(unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 31 + i / 509);
}

static void expect_echo(struct carom_connection *connection, const void *bytes, size_t size)
{
	uint64_t patiently = carom_deadline_after(CAROM_SECONDS(250)); /* it may be much */
	void *data = NULL;
	size_t got = 0;

	cr_assert(zero(int, carom_connection_send_bytes(connection, bytes, size, patiently)),
		  "%zu bytes", size);
	cr_assert(zero(int, carom_connection_recv_bytes(connection, 0, patiently, &data, &got)),
		  "%zu bytes", size);
	cr_expect(eq(sz, got, size));
	cr_expect(zero(int, memcmp(data, bytes, size)), "%zu bytes", size);
	free(data);
}

static void expect_echoes(struct carom_connection *connection)
{
	static const size_t sizes[] = { 0, 1, 4, 255, 16384, 16385, 65536, 1 << 20 };
	static unsigned char bytes[1 << 20];

	fill(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		expect_echo(connection, bytes, sizes[i]);
	/* and many at once, without waiting for each */
	for (size_t i = 0; i < 100; i++)
		cr_assert(zero(int, give(connection, bytes, i)));
	for (size_t i = 0; i < 100; i++)
		cr_assert(eq(long, take(connection, bytes, sizeof(bytes)), (long)i));
}

#define CLIENT(module)                                       \
	PRELUDE "from " module ".connection import Client\n" \
		"echo(Client(place, authkey=key))\n"

#define SERVER(module)                                                             \
	PRELUDE "from " module ".connection import Listener\n"                     \
		"l = Listener(place, authkey=key)\n"                               \
		"print(l.address[1] if type(place) is tuple else 0, flush=True)\n" \
		"echo(l.accept())\n"                                               \
		"l.close()\n"

static void listen_to(const char *program, const char *code, const struct way *way)
{
	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
	CONNECTION connection = NULL;
	struct python python;
	char place[64];

	cr_assert(zero(int,
		       carom_listener_new(
			       &CAROM_LISTENER_OPTIONS(.path = way->path, .family = way->family,
						       .authkey = key_of(way),
						       .authkey_size = way->has_key ? KEY_SIZE : 0),
			       &listener)));
	snprintf(place, sizeof(place), "127.0.0.1:%d", carom_listener_port(listener));
	python =
		start_python(program, code, way->path ? way->path : place, way->has_key ? KEY : "");
	cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)), "%s", way->name);
	expect_echoes(connection);
	carom_connection_close(connection);
	cr_expect(zero(int, end_python(&python)), "%s: %s", program, way->name);
}

static void connect_to(const char *program, const char *code, const struct way *way)
{
	CONNECTION connection = NULL;
	struct python python = start_python(program, code, way->path ? way->path : "127.0.0.1:0",
					    way->has_key ? KEY : "");
	struct carom_client_options options =
		CAROM_CLIENT_OPTIONS(.path = way->path, .authkey = key_of(way),
				     .authkey_size = way->has_key ? KEY_SIZE : 0);
	char line[64];

	read_line(&python, line, sizeof(line));
	options.port = (uint16_t)atoi(line);
	cr_assert(zero(int, carom_client_connect(&options, soon(), &connection)), "%s: %s", program,
		  way->name);
	expect_echoes(connection);
	carom_connection_close(connection);
	cr_expect(zero(int, end_python(&python)), "%s: %s", program, way->name);
}

/* CN-11 */
Test(python, client_of_a_carom_listener)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++)
		for (size_t k = 0; k < WAY_COUNT; k++)
			listen_to(program, CLIENT("multiprocessing"), &ways[k]);
}

/* CN-11 */
Test(python, listener_of_a_carom_client)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++)
		for (size_t k = 0; k < WAY_COUNT; k++)
			connect_to(program, SERVER("multiprocessing"), &ways[k]);
}

Test(python, billiard_on_either_side)
{
	struct python python;

	skip_without_python();
	python = start_python(PYTHON, "import billiard", "", "");
	if (end_python(&python) != 0)
		cr_skip_test("skipped: billiard is not installed for " PYTHON);
	for (size_t k = 0; k < WAY_COUNT; k++) {
		/* it takes a name that begins with NUL for a path */
		if (ways[k].path && ways[k].path[0] == '@')
			continue;
		listen_to(PYTHON, CLIENT("billiard"), &ways[k]);
		connect_to(PYTHON, SERVER("billiard"), &ways[k]);
	}
}

Test(python, gives_back_100_mib)
{
	size_t size = (size_t)100 << 20;
	unsigned char *bytes = malloc(size);
	struct carom_client_options options =
		CAROM_CLIENT_OPTIONS(.path = path, .message_max = UINT64_MAX);
	CONNECTION connection = NULL;
	struct python python;
	char line[64];

	skip_without_python();
	fill(bytes, size);
	python = start_python(PYTHON, SERVER("multiprocessing"), path, "");
	read_line(&python, line, sizeof(line));
	cr_assert(zero(int, carom_client_connect(&options, soon(), &connection)));
	expect_echo(connection, bytes, size);
	carom_connection_close(connection);
	cr_expect(zero(int, end_python(&python)));
	free(bytes);
}

/* ---- other keys ---- */

#define EXPECT_REJECTION(module, statement)                                                       \
	PRELUDE "from " module ".connection import Client, Listener\n"                            \
		"from " module " import AuthenticationError\n"                                    \
		"l = Listener(place, authkey=key) if '" statement "' == 'l.accept()' else None\n" \
		"print('ready', flush=True)\n"                                                    \
		"try: " statement "\n"                                                            \
		"except AuthenticationError: sys.exit(3)\n"

Test(python, client_with_another_key_is_rejected)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;

		cr_assert(zero(int, carom_listener_new(
					    &CAROM_LISTENER_OPTIONS(.path = path, .authkey = KEY,
								    .authkey_size = KEY_SIZE),
					    &listener)));
		python = start_python(
			program, EXPECT_REJECTION("multiprocessing", "Client(place, authkey=key)"),
			path, "another");
		while (carom_listener_refused(listener) == 0)
			cr_assert(eq(int,
				     carom_listener_accept(listener, carom_deadline_after(10000000),
							   &connection),
				     -ETIMEDOUT));
		cr_expect(eq(int, end_python(&python), 3));
	}
}

Test(python, listener_with_another_key_rejects)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CONNECTION connection = NULL;
		struct carom_client_options options =
			CAROM_CLIENT_OPTIONS(.path = path, .authkey = KEY,
					     .authkey_size = KEY_SIZE);
		struct python python =
			start_python(program, EXPECT_REJECTION("multiprocessing", "l.accept()"),
				     path, "another");
		char line[64];

		read_line(&python, line, sizeof(line));
		cr_expect(eq(int, carom_client_connect(&options, soon(), &connection),
			     -EKEYREJECTED));
		cr_expect(eq(int, end_python(&python), 3));
	}
}

/* ---- torn ---- */

Test(python, that_ends_within_a_message_is_an_error)
{
	const char *program;
	static const char code[] = PRELUDE "from multiprocessing.connection import Client\n"
					   "c = Client(place, authkey=key)\n"
					   "c.send_bytes(b'whole')\n"
					   "os.write(c.fileno(), b'\\0\\0\\1\\0' + b'half')\n"
					   "os.kill(os.getpid(), 9)\n";

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;
		char buffer[256];

		cr_assert(zero(
			int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener)));
		python = start_python(program, code, path, "");
		cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
		expect_message(connection, "whole");
		cr_expect(eq(long, take(connection, buffer, sizeof(buffer)), -ECONNRESET));
		cr_expect(eq(int, end_python(&python), -SIGKILL));
	}
}

Test(python, is_told_when_we_end_within_a_message)
{
	const char *program;
	static const char code[] = PRELUDE "from multiprocessing.connection import Client\n"
					   "c = Client(place, authkey=key)\n"
					   "assert c.recv_bytes() == b'whole'\n"
					   "try: c.recv_bytes()\n"
					   "except EOFError: sys.exit(4)\n"
					   "except OSError: sys.exit(5)\n";

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;

		cr_assert(zero(
			int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener)));
		python = start_python(program, code, path, "");
		cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
		cr_assert(zero(int, give(connection, "whole", 5)));
		cr_assert(
			eq(int,
			   (int)carom_connection_write_some(connection, "\0\0\1\0half", 8, soon()),
			   8));
		carom_connection_close(connection);
		cr_expect(eq(int, end_python(&python), 5));
	}
}

/* ---- descriptors ---- */

Test(python, passes_descriptors_and_takes_them)
{
	const char *program;
	static const char code[] =
		PRELUDE "from multiprocessing.connection import Client\n"
			"from multiprocessing.reduction import send_handle, recv_handle\n"
			"c = Client(place, authkey=key)\n"
			"fd = recv_handle(c)\n"
			"os.write(fd, b'from python')\n"
			"r, w = os.pipe()\n"
			"send_handle(c, r, None)\n"
			"os.write(w, b'through its pipe')\n";

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;
		char text[32] = "";
		int fds[2], got;

		cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
		cr_assert(zero(
			int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener)));
		python = start_python(program, code, path, "");
		cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
		cr_assert(zero(int, carom_connection_send_fd(connection, fds[1], soon())));
		close(fds[1]);
		cr_expect(eq(int, (int)read(fds[0], text, sizeof(text)), 11));
		cr_expect(zero(int, strncmp(text, "from python", 11)));
		close(fds[0]);
		cr_assert(zero(int, carom_connection_recv_fd(connection, soon(), &got)));
		cr_expect(eq(int, (int)read(got, text, sizeof(text)), 16));
		cr_expect(zero(int, strncmp(text, "through its pipe", 16)));
		close(got);
		cr_expect(zero(int, end_python(&python)));
	}
}

/* ---- objects ---- */

/* Sends each object back as it was read, and what cannot be read as its error's name. */
static int send_back(struct carom_connection *connection)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *pickle = NULL;
	int r = carom_connection_recv_document(connection, NULL, soon(), &document);

	if (r < 0 && r != -EBADMSG && r != -EOVERFLOW)
		return r;
	cr_assert(zero(int, carom_pickle_new(NULL, &pickle)));
	if (r == 0)
		carom_pickle_object(pickle, carom_document_root(document));
	else
		carom_pickle_text(pickle, strerrorname_np(-r));
	return carom_connection_send_pickle(connection, pickle, soon());
}

#define OBJECTS                                                                                 \
	"import pickle\n"                                                                       \
	"from multiprocessing.connection import Client\n"                                       \
	"from collections import OrderedDict\n"                                                 \
	"c = Client(place, authkey=key)\n"                                                      \
	"x = [1]\n"                                                                             \
	"deep = []\n"                                                                           \
	"for i in range(28): deep = [deep]\n"                                                   \
	"objects = [None, True, False, 0, 1, -1, 255, 256, 65535, 65536, 2**31-1, 2**31,\n"     \
	"  -2**31, -2**31-1, 2**63-1, -2**63, 0.0, -0.0, 1.5, 1e308, 5e-324, float('inf'),\n"   \
	"  float('nan'), '', 'a', '\\u00e9\\u20ac\\U0001f600', 'x\\0y', 'x'*255, 'x'*256,\n"    \
	"  'y'*70000, [], [1, 'a'], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {'a': 1},\n" \
	"  {1: 'x', None: 2.5, (1, (2,)): [{}], 'k': True}, list(range(2500)),\n"               \
	"  {i: str(i) for i in range(2500)}, [x, x, (x,), {'x': x}], deep]\n"                   \
	"data = [b'', b'x', b'y'*255, b'y'*256, b'z'*70000, [b'a', (b'b',)], {b'k': b'v'}]\n"   \
	"for o in objects + data:\n"                                                            \
	"    c.send(o)\n"                                                                       \
	"    r = c.recv()\n"                                                                    \
	"    assert repr(r) == repr(o), (r, o)\n"                                               \
	"for p in range(2, pickle.HIGHEST_PROTOCOL + 1):\n"                                     \
	"    for o in objects + (data if p > 2 else []):\n"                                     \
	"        c.send_bytes(pickle.dumps(o, p))\n"                                            \
	"        r = c.recv()\n"                                                                \
	"        assert repr(r) == repr(o), (p, r, o)\n"                                        \
	"class C: pass\n"                                                                       \
	"loop = []; loop.append(loop)\n"                                                        \
	"for o in (set(), frozenset([1]), bytearray(b'x'), 1j, C(), C, os.system, len,\n"       \
	"          ValueError('x'), OrderedDict(), range(3), loop, '\\ud800'):\n"               \
	"    c.send(o)\n"                                                                       \
	"    assert c.recv() == 'EBADMSG', o\n"                                                 \
	"for o in (2**63, -2**63-1, 2**64, 10**100):\n"                                         \
	"    c.send(o)\n"                                                                       \
	"    assert c.recv() == 'EOVERFLOW', o\n"                                               \
	"for p in (0, 1):\n"                                                                    \
	"    c.send_bytes(pickle.dumps([1], p))\n"                                              \
	"    assert c.recv() == 'EBADMSG'\n"

/* By the same number, Python and a C program mean the same type. */
#define OF_A_CLASS                                                                 \
	"import copyreg\n"                                                         \
	"from multiprocessing.connection import Client\n"                          \
	"class Point:\n"                                                           \
	"    def __init__(self, xy): self.xy = xy\n"                               \
	"    def __reduce__(self): return Point, (self.xy,)\n"                     \
	"    def __repr__(self): return 'Point(%r)' % (self.xy,)\n"                \
	"for code in (100, 1000, 100000):\n"                                       \
	"    copyreg.add_extension('__main__', 'Point', code)\n"                   \
	"    c = Client(place, authkey=key)\n"                                     \
	"    for o in (Point((1, 2)), [Point([])] * 2, {Point(1): Point('x')}):\n" \
	"        c.send(o)\n"                                                      \
	"        r = c.recv()\n"                                                   \
	"        assert repr(r) == repr(o), (r, o)\n"                              \
	"    copyreg.remove_extension('__main__', 'Point', code)\n"                \
	"    c.close()\n"

Test(python, has_types_by_the_same_tags)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		struct python python;

		cr_assert(zero(
			int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener)));
		python = start_python(program, PRELUDE OF_A_CLASS, path, "");
		for (int round = 0; round < 3; round++) {
			CONNECTION connection = NULL;

			cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
			while (send_back(connection) == 0)
				;
		}
		cr_expect(zero(int, end_python(&python)), "%s", program);
	}
}

/* CN-09 */
/* WA-05 */
Test(python, objects_arrive_with_their_types_and_come_back)
{
	const char *program;

	skip_without_python();
	for (size_t i = 0; (program = python_at(i)); i++) {
		CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
		CONNECTION connection = NULL;
		struct python python;

		cr_assert(zero(
			int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = path), &listener)));
		python = start_python(program, PRELUDE OBJECTS, path, "");
		cr_assert(zero(int, carom_listener_accept(listener, soon(), &connection)));
		while (send_back(connection) == 0)
			;
		cr_expect(zero(int, end_python(&python)), "%s", program);
	}
}

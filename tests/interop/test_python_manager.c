/* A server of this library's, and real Python programs that have proxies of its objects. */
#include "tests/interop/python.h"

#include "core/finalizer_private.h"
#include "ipc/manager.h"
#include "tests/ipc/managed.h"

#define KEY "a key of both"

static char path[64];

static void choose_path(void)
{
	snprintf(path, sizeof(path), "/tmp/carom-test-python-manager-%d", (int)getpid());
}

TestSuite(python_manager, .init = choose_path, .timeout = 120);

#define CONNECT                                                                   \
	PRELUDE "from multiprocessing.managers import BaseManager, SyncManager\n" \
		"def said(f, *args):\n"                                           \
		"    try: return f(*args)\n"                                      \
		"    except Exception as e: return type(e).__name__\n"            \
		"m = SyncManager(address=place, authkey=key)\n"                   \
		"m.connect()\n"

static void expect_printed(struct carom_manager *manager, const char *code, const char *expected)
{
	struct python python = start_python(PYTHON, code, carom_manager_path(manager), KEY);
	char line[512];

	read_line(&python, line, sizeof(line));
	cr_expect(eq(str, line, (char *)expected));
	cr_expect(zero(int, end_python(&python)));
}

#define STARTED(manager)                                                                          \
	MANAGER manager = NULL;                                                                   \
	skip_without_python();                                                                    \
	cr_assert(zero(int,                                                                       \
		       carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path, .authkey = KEY,     \
								.authkey_size = sizeof(KEY) - 1), \
					 &manager)));                                             \
	cr_assert(zero(int, carom_manager_start(manager)))

/* MG-12 */
Test(python_manager, has_dicts_and_lists_of_a_server_of_ours)
{
	STARTED(manager);

	expect_printed(
		manager,
		CONNECT "d = m.dict()\n"
			"d['a'] = 1; d[(1, 'x')] = [None, True, 2.5, b'y', {'k': ()}]\n"
			"l = m.list([3, 1, 2]); l.append('z'); l.pop(); l.sort()\n"
			"print(d['a'], d[(1, 'x')], len(d), d.copy(), l[0], list(l), str(l))\n",
		"1 [None, True, 2.5, b'y', {'k': ()}] 2 "
		"{'a': 1, (1, 'x'): [None, True, 2.5, b'y', {'k': ()}]} 1 [1, 2, 3] [1, 2, 3]");
}

/* MG-13 */
Test(python_manager, is_answered_in_every_kind)
{
	STARTED(manager);

	expect_printed(manager,
		       CONNECT "d = m.dict(a=1) if 0 else m.dict([('a', 1), ('b', 2)])\n"
			       "l = m.list()\n"
			       "print(sorted(d), said(d.__getitem__, 'c'), said(l.pop),\n"
			       "      said(l.remove, 1), said(d.update, 1),\n"
			       "      said(d._callmethod, 'nothing'))\n",
		       "['a', 'b'] KeyError IndexError ValueError TypeError AttributeError");
}

/* MG-14 */
Test(python_manager, calls_the_functions_of_the_server)
{
	STARTED(manager);

	expect_printed(manager,
		       CONNECT "n = m._number_of_objects\n"
			       "before = n(); d = m.dict(); l = m.list(); v = m.Value('i', 7)\n"
			       "v.value += 1\n"
			       "during = n(); info = '<dict object>' in m._debug_info()\n"
			       "value = v.value; del d, l, v\n"
			       "print(before, during, n(), info, value)\n",
		       "0 3 0 True 8");
}

Test(python_manager, ends_the_server)
{
	STARTED(manager);

	expect_printed(manager,
		       CONNECT "from multiprocessing.managers import dispatch\n"
			       "c = m._Client(m.address, authkey=key)\n"
			       "print(dispatch(c, None, 'shutdown'))\n",
		       "None");
	cr_expect(zero(int, carom_manager_join(manager, in_time())));
}

/* Objects in a server process, and proxies of them. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

TestSuite(manager, .timeout = 60);

/* ---- a value ---- */

static int set_text(struct carom_proxy *dict, const char *key, int64_t value)
{
	return carom_proxy_call(dict, "__setitem__", in_time(), NULL, "sL", key, value);
}

static int get_number(struct carom_proxy *dict, const char *key, int64_t *ret_value)
{
	DOCUMENT document = NULL;
	int r = carom_proxy_call(dict, "__getitem__", in_time(), &document, "s", key);

	return r < 0 ? r : carom_object_int(carom_document_root(document), ret_value);
}

/* MG-48 */
Test(manager, one_call_gives_a_working_dict)
{
	MANAGER manager = NULL;
	PROXY dict = NULL;
	int64_t value = 0;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	cr_assert(zero(int, carom_manager_create(manager, "dict", in_time(), &dict, "")));
	cr_expect(zero(int, set_text(dict, "answer", 42)));
	cr_expect(zero(int, get_number(dict, "answer", &value)));
	cr_expect(eq(i64, value, 42));
	cr_expect(eq(int, get_number(dict, "question", &value), -ENOENT));
}

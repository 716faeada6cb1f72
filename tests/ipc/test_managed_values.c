/* The types that hold values, method by method. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

static struct carom_manager *manager;

static void start(void)
{
	if (carom_manager_sync(&manager) < 0)
		abort();
}

static void end(void)
{
	manager = carom_manager_free(manager);
}

TestSuite(managed_values, .init = start, .fini = end, .timeout = 60);

#define CREATED(proxy, type, ...) \
	PROXY proxy = NULL;       \
	cr_assert(zero(int, carom_manager_create(manager, type, in_time(), &proxy, __VA_ARGS__)))

/* What a call gives, as Python writes it; or the name of its error. */
static char *said(struct carom_proxy *proxy, const char *method, const char *format, ...)
{
	static char text[1024];
	DOCUMENT document = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = carom_proxy_vcall(proxy, method, in_time(), &document, format, arguments);
	va_end(arguments);
	if (r < 0)
		snprintf(text, sizeof(text), "-%s", strerrorname_np(-r));
	else
		carom_object_describe(carom_document_root(document), text, sizeof(text));
	return text;
}

#define expect_said(expected, ...) cr_expect(eq(str, said(__VA_ARGS__), (char *)expected))

#define expect_is(proxy, expected)                                        \
	do {                                                              \
		char text_[512];                                          \
                                                                          \
		carom_proxy_text(proxy, in_time(), text_, sizeof(text_)); \
		cr_expect(eq(str, text_, (char *)expected));              \
	} while (0)

/* MG-37 */
Test(managed_values, list_has_every_method)
{
	CREATED(list, "list", "[iii]", 3, 1, 2);

	expect_said("None", list, "append", "i", 4);
	expect_said("[3, 1, 2, 4, 5]", list, "__add__", "[i]", 5);
	expect_said("-EINVAL", list, "__add__", "(i)", 5);
	expect_said("True", list, "__contains__", "d", 4.0);
	expect_said("False", list, "__contains__", "s", "4");
	expect_said("4", list, "__len__", "");
	expect_said("4", list, "__getitem__", "i", -1);
	expect_said("-ERANGE", list, "__getitem__", "i", 4);
	expect_said("-EINVAL", list, "__getitem__", "s", "0");
	expect_said("[1, 2]", list, "__getitem__", "(ii)", 1, 3);
	expect_said("[4, 2, 1, 3]", list, "__getitem__", "(nni)", -1);
	expect_said("[3, 2]", list, "__getitem__", "(nni)", 2);
	expect_said("[]", list, "__getitem__", "(ii)", 3, 1);
	expect_said("[3, 1, 2, 4]", list, "__getitem__", "(ii)", -99, 99);
	expect_said("-EINVAL", list, "__getitem__", "(iii)", 0, 1, 0);
	expect_said("[4, 2, 1, 3]", list, "__reversed__", "");
	expect_said("[3, 1, 2, 4, 3, 1, 2, 4]", list, "__mul__", "i", 2);
	expect_said("[]", list, "__rmul__", "i", -1);
	expect_said("1", list, "count", "i", 2);
	expect_said("2", list, "index", "i", 2);
	expect_said("-ENOENT", list, "index", "iii", 2, 0, 2);
	expect_said("-ENOENT", list, "remove", "i", 9);
	expect_said("None", list, "extend", "(ii)", 8, 9);
	expect_said("-EINVAL", list, "extend", "i", 8);
	expect_said("None", list, "__iadd__", "[i]", 10);
	expect_said("None", list, "insert", "is", 0, "first");
	expect_said("None", list, "insert", "is", 99, "last");
	expect_is(list, "['first', 3, 1, 2, 4, 8, 9, 10, 'last']");
	expect_said("'last'", list, "pop", "");
	expect_said("'first'", list, "pop", "i", 0);
	expect_said("None", list, "remove", "i", 10);
	expect_said("None", list, "sort", "");
	expect_is(list, "[1, 2, 3, 4, 8, 9]");
	expect_said("None", list, "sort", "p", 1);
	expect_is(list, "[9, 8, 4, 3, 2, 1]");
	expect_said("None", list, "reverse", "");
	expect_said("None", list, "__setitem__", "id", 0, 0.5);
	expect_said("None", list, "__setitem__", "(ii)[s]", 1, 5, "x");
	expect_is(list, "[0.5, 'x', 9]");
	expect_said("-EINVAL", list, "sort", "");
	expect_is(list, "[0.5, 'x', 9]");
	expect_said("-EINVAL", list, "__setitem__", "(nni)[i]", 2, 1);
	expect_said("None", list, "__setitem__", "(nni)[ii]", 2, 7, 8);
	expect_is(list, "[7, 'x', 8]");
	expect_said("None", list, "__delitem__", "i", 1);
	expect_said("None", list, "__imul__", "i", 3);
	expect_is(list, "[7, 8, 7, 8, 7, 8]");
	expect_said("None", list, "__delitem__", "(nni)", 2);
	expect_said("[8, 8, 8]", list, "copy", "");
	expect_said("None", list, "__imul__", "i", 0);
	expect_said("-ERANGE", list, "pop", "");
	expect_said("None", list, "clear", "");
	expect_is(list, "[]");
	expect_said("-EINVAL", list, "append", "");
}

Test(managed_values, list_sorts_many_and_keeps_what_is_equal_in_its_order)
{
	CREATED(list, "list", "");

	for (int i = 0; i < 200; i++)
		cr_assert(zero(int, carom_proxy_call(list, "append", in_time(), NULL, "(ii)",
						     i * 7919 % 10, i)));
	expect_said("None", list, "sort", "");
	for (int i = 1; i < 200; i++) {
		DOCUMENT pair = NULL;
		int order;

		cr_assert(zero(int, carom_proxy_call(list, "__getitem__", in_time(), &pair, "(ii)",
						     i - 1, i + 1)));
		cr_assert(zero(int,
			       carom_object_compare(carom_object_item(carom_document_root(pair), 0),
						    carom_object_item(carom_document_root(pair), 1),
						    &order)));
		cr_expect(lt(int, order, 0));
	}
}

/* MG-38 */
Test(managed_values, dict_has_every_method)
{
	CREATED(dict, "dict", "{si}", "a", 1);
	CREATED(pairs, "dict", "[(si)(si)]", "x", 1, "y", 2);
	PROXY iterator = NULL;
	DOCUMENT key = NULL;
	DOCUMENT none = NULL;

	expect_is(pairs, "{'x': 1, 'y': 2}");
	expect_said("True", dict, "__contains__", "s", "a");
	expect_said("False", dict, "has_key", "s", "b");
	expect_said("-EINVAL", dict, "__contains__", "[]");
	expect_said("None", dict, "__setitem__", "(ii)s", 1, 2, "tuple");
	expect_said("-EINVAL", dict, "__setitem__", "[]s", "x");
	expect_said("'tuple'", dict, "__getitem__", "(ii)", 1, 2);
	expect_said("-ENOENT", dict, "__getitem__", "(ii)", 2, 1);
	expect_said("1", dict, "get", "s", "a");
	expect_said("None", dict, "get", "s", "b");
	expect_said("7", dict, "get", "si", "b", 7);
	expect_said("2", dict, "__len__", "");
	expect_said("[('a', 1), ((1, 2), 'tuple')]", dict, "items", "");
	expect_said("['a', (1, 2)]", dict, "keys", "");
	expect_said("[1, 'tuple']", dict, "values", "");
	expect_said("5", dict, "setdefault", "si", "c", 5);
	expect_said("5", dict, "setdefault", "s", "c");
	expect_said("None", dict, "setdefault", "s", "d");
	expect_said("('d', None)", dict, "popitem", "");
	expect_said("5", dict, "pop", "s", "c");
	expect_said("-ENOENT", dict, "pop", "s", "c");
	expect_said("0", dict, "pop", "si", "c", 0);
	expect_said("None", dict, "update", "{sidi}", "a", 2, 1.0, 3);
	expect_said("3", dict, "__getitem__", "i", 1);
	expect_said("None", dict, "update", "[[si]]", "z", 26);
	expect_said("-EINVAL", dict, "update", "[i]", 1);
	expect_said("None", dict, "__delitem__", "(ii)", 1, 2);
	expect_said("-ENOENT", dict, "__delitem__", "(ii)", 1, 2);
	expect_is(dict, "{'a': 2, 1.0: 3, 'z': 26}");
	expect_said("{'a': 2, 1.0: 3, 'z': 0}", dict, "__or__", "{si}", "z", 0);
	expect_said("{'z': 26, 'a': 2, 1.0: 3}", dict, "__ror__", "{si}", "z", 0);
	expect_said("-EINVAL", dict, "__or__", "[]");
	expect_said("{'k': 0, 'l': 0}", dict, "fromkeys", "[ss]i", "k", "l", 0);
	expect_said("{1: None}", dict, "fromkeys", "[i]", 1);
	expect_said("None", dict, "__ior__", "{si}", "n", 1);
	expect_said("{'a': 2, 1.0: 3, 'z': 26, 'n': 1}", dict, "copy", "");
	cr_assert(
		zero(int, carom_proxy_call_proxy(dict, "__reversed__", in_time(), &iterator, "")));
	cr_assert(zero(int, carom_proxy_next(iterator, in_time(), &key)));
	expect_said("None", dict, "clear", "");
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, carom_proxy_call(iterator, "__next__", in_time(), NULL, "")));
	cr_expect(eq(int, carom_proxy_next(iterator, in_time(), &none), -ENODATA));
	expect_is(dict, "{}");
	expect_said("-ENOENT", dict, "popitem", "");
}

Test(managed_values, dict_stays_in_order_through_many_changes)
{
	CREATED(dict, "dict", "");
	char text[64];

	for (int i = 0; i < 500; i++)
		cr_assert(zero(int,
			       carom_proxy_call(dict, "__setitem__", in_time(), NULL, "ii", i, i)));
	for (int i = 0; i < 500; i++)
		if (i % 100 != 3)
			cr_assert(zero(int, carom_proxy_call(dict, "__delitem__", in_time(), NULL,
							     "i", i)));
	cr_assert(zero(int, carom_proxy_call(dict, "__setitem__", in_time(), NULL, "ii", 0, 0)));
	snprintf(text, sizeof(text), "[3, 103, 203, 303, 403, 0]");
	expect_said(text, dict, "keys", "");
	expect_said("203", dict, "get", "i", 203);
}

Test(managed_values, iterators_go_over_what_there_was)
{
	CREATED(dict, "dict", "{sisi}", "a", 1, "b", 2);
	PROXY iterator = NULL;

	cr_assert(zero(int, carom_proxy_call_proxy(dict, "__iter__", in_time(), &iterator, "")));
	cr_expect(eq(str, (char *)carom_proxy_type(iterator), (char *)"Iterator"));
	expect_said("-EISNAM", dict, "__iter__", "");
	expect_said("'a'", iterator, "__next__", "");
	expect_said("None", iterator, "close", "");
	expect_said("-ENODATA", iterator, "__next__", "");
}

/* MG-39 */
Test(managed_values, set_has_every_method)
{
	CREATED(set, "set", "[iii]", 1, 2, 2);

	expect_is(set, "{1, 2}");
	expect_said("None", set, "add", "i", 3);
	expect_said("-EINVAL", set, "add", "[]");
	expect_said("3", set, "__len__", "");
	expect_said("True", set, "__contains__", "d", 3.0);
	expect_said("None", set, "discard", "i", 9);
	expect_said("-ENOENT", set, "remove", "i", 9);
	expect_said("[1, 2, 3, 4, 5]", set, "union", "[i][i]", 4, 5);
	expect_said("[1, 2, 3, 4]", set, "__or__", "[i]", 4);
	expect_said("[2, 3]", set, "intersection", "[iii]", 2, 3, 4);
	expect_said("[2]", set, "__and__", "[i]", 2);
	expect_said("[1]", set, "difference", "[i](i)", 2, 3);
	expect_said("[1, 3]", set, "__sub__", "[i]", 2);
	expect_said("[7]", set, "__rsub__", "[ii]", 1, 7);
	expect_said("[1, 3, 7]", set, "symmetric_difference", "[ii]", 2, 7);
	expect_said("[1, 3]", set, "__xor__", "[i]", 2);
	expect_said("True", set, "isdisjoint", "[i]", 9);
	expect_said("True", set, "issubset", "[iiii]", 1, 2, 3, 4);
	expect_said("False", set, "__lt__", "[iii]", 1, 2, 3);
	expect_said("True", set, "__le__", "[iii]", 1, 2, 3);
	expect_said("True", set, "issuperset", "[i]", 1);
	expect_said("True", set, "__gt__", "[i]", 1);
	expect_said("True", set, "__ge__", "[i]", 1);
	expect_said("True", set, "__eq__", "[iii]", 3, 2, 1);
	expect_said("False", set, "__ne__", "[iii]", 3, 2, 1);
	expect_said("None", set, "update", "[i](s)", 4, "x");
	expect_said("None", set, "difference_update", "[s]", "x");
	expect_said("None", set, "symmetric_difference_update", "[ii]", 4, 5);
	expect_is(set, "{1, 2, 3, 5}");
	expect_said("None", set, "intersection_update", "[iii]", 5, 1, 9);
	expect_said("[1, 5]", set, "copy", "");
	expect_said("None", set, "__ior__", "[i]", 6);
	expect_said("None", set, "__isub__", "[i]", 1);
	expect_said("None", set, "__ixor__", "[i]", 7);
	expect_said("None", set, "__iand__", "[ii]", 5, 6);
	expect_said("6", set, "pop", "");
	expect_said("None", set, "remove", "i", 5);
	expect_said("-ENOENT", set, "pop", "");
	expect_said("None", set, "clear", "");
	expect_is(set, "set()");
	expect_said("-EINVAL", set, "union", "i", 1);
}

/* MG-34 */
Test(managed_values, namespace_has_values_under_names)
{
	CREATED(namespace, "Namespace", "{si}", "x", 1);

	expect_said("None", namespace, "__setattr__", "ss", "y", "why");
	expect_said("'why'", namespace, "__getattribute__", "s", "y");
	expect_is(namespace, "Namespace(x=1, y='why')");
	expect_said("None", namespace, "__delattr__", "s", "x");
	expect_said("-ENOENT", namespace, "__getattribute__", "s", "x");
	expect_said("-ENOENT", namespace, "__delattr__", "s", "x");
	expect_said("-EACCES", namespace, "__setattr__", "si", "_private", 1);
	expect_said("-EINVAL", namespace, "__setattr__", "ii", 1, 1);
	expect_said("{'y': 'why'}", namespace, "#GETVALUE", "");
}

/* MG-35 */
Test(managed_values, value_is_set_and_got_from_everywhere)
{
	MANAGER other = NULL;
	PROXY same = NULL;
	DOCUMENT document = NULL;
	CREATED(cell, "Value", "sip", "i", 7, 1);
	CREATED(holder, "list", "[P]", cell);

	cr_assert(zero(
		int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager)),
				       &other)));
	cr_assert(zero(int, carom_manager_connect(other, in_time())));
	{
		PROXY elsewhere = NULL;

		cr_assert(
			zero(int, carom_manager_create(other, "list", in_time(), &elsewhere, "")));
		cr_assert(zero(int, carom_proxy_call(holder, "__getitem__", in_time(), &document,
						     "i", 0)));
		cr_assert(zero(int, carom_proxy_of(elsewhere, carom_document_root(document),
						   in_time(), &same)));
	}
	expect_said("None", same, "set", "i", 8);
	expect_said("8", cell, "get", "");
	expect_is(cell, "Value('i', 8)");
	expect_said("None", cell, "set", "s", "whatever");
	expect_said("'whatever'", same, "get", "");
}

/* MG-36 */
Test(managed_values, array_has_numbers_of_one_type)
{
	CREATED(array, "Array", "s[iii]", "h", 1, 2, 3);
	CREATED(zeros, "Array", "si", "d", 2);
	PROXY none = NULL;

	expect_said("3", array, "__len__", "");
	expect_said("3", array, "__getitem__", "i", -1);
	expect_said("-ERANGE", array, "__getitem__", "i", 3);
	expect_said("[2, 3]", array, "__getitem__", "(in)", 1);
	expect_said("None", array, "__setitem__", "ii", 0, -5);
	expect_said("-ERANGE", array, "__setitem__", "ii", 0, 40000);
	expect_said("-EINVAL", array, "__setitem__", "id", 0, 1.5);
	expect_said("None", array, "__setitem__", "(nni)[ii]", 2, 10, 30);
	expect_said("-EINVAL", array, "__setitem__", "(nni)[i]", 2, 10);
	expect_said("-ERANGE", array, "__setitem__", "(nn)[iii]", 1, 2, 99999);
	expect_is(array, "array('h', [10, 2, 30])");
	expect_said("None", zeros, "__setitem__", "id", 1, 0.5);
	expect_said("[0.0, 0.5]", zeros, "#GETVALUE", "");
	cr_expect(eq(int, carom_manager_create(manager, "Array", in_time(), &none, "s[i]", "?", 1),
		     -EINVAL));
	cr_expect(eq(int, carom_manager_create(manager, "Array", in_time(), &none, "si", "d", -1),
		     -EINVAL));
}

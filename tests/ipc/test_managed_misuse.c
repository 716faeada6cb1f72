/* What a manager's objects are given that is none of theirs: an error, and they live on. */
#include "ipc/manager.h"

#include "tests/ipc/managed_calls.h"

#define METHODS_MAX   64
#define ARGUMENTS_MAX 4

TestSuite(managed_misuse, .init = start_manager, .fini = end_manager, .timeout = 120);

/** struct kind - a type, and what an object of it is made of: of one that wants it, two, or text */
struct kind {
	const char *type;
	const char *format;
};

static const struct kind kinds[] = {
	{ "list", "" },
	{ "dict", "" },
	{ "set", "" },
	{ "Namespace", "" },
	{ "Queue", "" },
	{ "JoinableQueue", "" },
	{ "Event", "" },
	{ "Lock", "" },
	{ "RLock", "" },
	{ "Semaphore", "i" },
	{ "BoundedSemaphore", "i" },
	{ "Condition", "" },
	{ "Barrier", "i" },
	{ "Value", "si" },
	{ "Array", "s[ii]" },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static int make(const struct kind *kind, struct carom_proxy **ret_proxy)
{
	return kind->format[0] == 's' ? carom_manager_create(manager, kind->type, in_time(),
							     ret_proxy, kind->format, "i", 1, 2)
				      : carom_manager_create(manager, kind->type, in_time(),
							     ret_proxy, kind->format, 2);
}

/* One value of each sort, and numbers that are at no place. */
static struct carom_document *make_values(void)
{
	struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_build(&document, "[npsiLLd[][i]{}{si}y]", true, "text",
						 -1, INT64_MIN, INT64_MAX, 1e300, 1, "key", 1,
						 "bytes", (size_t)5)));
	return document;
}

static int misuse(struct carom_proxy *proxy, const char *method, const struct carom_object *value,
		  int count)
{
	static const char *const formats[] = { "", "O", "OO", "OOO", "OOOO" };

	return carom_proxy_call(proxy, method, CAROM_PASSED, NULL, formats[count], value, value,
				value, value);
}

static void misuse_method(const struct kind *kind, struct carom_proxy *proxy, const char *method,
			  const struct carom_object *values)
{
	for (size_t i = 0; i < carom_object_count(values); i++)
		for (int count = 0; count <= ARGUMENTS_MAX; count++) {
			int r = misuse(proxy, method, carom_object_item(values, i), count);

			cr_expect(r != -EPIPE && r != -EBADMSG && r != -EPROTO,
				  "%s.%s, %d of %zu: %d", kind->type, method, count, i, r);
		}
}

static void misuse_object(const struct kind *kind, const struct carom_object *values)
{
	PROXY proxy = NULL;
	DOCUMENT methods = NULL;
	const struct carom_object *names;
	const char *name;
	char text[64];

	cr_assert(zero(int, make(kind, &proxy)), "%s", kind->type);
	cr_assert(zero(int, carom_proxy_methods(proxy, in_time(), &methods)));
	names = carom_document_root(methods);
	cr_expect(lt(sz, 0, carom_object_count(names)), "%s", kind->type);
	for (size_t i = 0; i < carom_object_count(names); i++) {
		cr_assert(zero(int, carom_object_text(carom_object_item(names, i), &name, NULL)));
		misuse_method(kind, proxy, name, values);
	}
	carom_proxy_text(proxy, in_time(), text, sizeof(text));
	cr_expect(eq(ptr, strstr(text, "failed>"), NULL), "%s: %s", kind->type, text);
}

/* MG-21 */
Test(managed_misuse, every_method_of_every_type_bears_whatever_it_is_given)
{
	DOCUMENT values = make_values();
	size_t count = 0;

	for (size_t i = 0; i < KINDS; i++)
		misuse_object(&kinds[i], carom_document_root(values));
	cr_expect(zero(int, carom_manager_count(manager, in_time(), &count)));
	cr_expect(zero(sz, count));
}

Test(managed_misuse, every_type_bears_whatever_it_is_made_of)
{
	static const char *const formats[] = { "", "O", "OO", "OOO", "OOOO" };
	DOCUMENT values = make_values();
	const struct carom_object *all = carom_document_root(values), *value;
	size_t left = 0;

	for (size_t i = 0; i < KINDS; i++)
		for (size_t k = 0; k < carom_object_count(all); k++)
			for (int count = 0; count <= ARGUMENTS_MAX; count++) {
				PROXY proxy = NULL;
				int r;

				value = carom_object_item(all, k);
				r = carom_manager_create(manager, kinds[i].type, in_time(), &proxy,
							 formats[count], value, value, value,
							 value);
				cr_expect(r == 0 || r == -EINVAL || r == -EMSGSIZE || r == -ERANGE,
					  "%s, %d of %zu: %d", kinds[i].type, count, k, r);
			}
	cr_expect(zero(int, carom_manager_count(manager, in_time(), &left)));
	cr_expect(zero(sz, left));
}

Test(managed_misuse, what_is_wrong_is_said)
{
	CREATED(list, "list", "");
	CREATED(dict, "dict", "");
	CREATED(lock, "Lock", "");
	CREATED(queue, "Queue", "i", 1);

	expect_call(-EINVAL, list, "append", "");
	expect_call(-EINVAL, list, "append", "ii", 1, 2);
	expect_call(-EINVAL, list, "__getitem__", "s", "text");
	expect_call(-ERANGE, list, "__getitem__", "i", 0);
	expect_call(-ENOSYS, list, "no such", "");
	expect_call(-EINVAL, dict, "__setitem__", "[]i", 1);
	expect_call(-ENOENT, dict, "__getitem__", "s", "key");
	expect_call(-EOVERFLOW, lock, "release", "");
	expect_call(-EINVAL, lock, "acquire", "ss", "text", "text");
	expect_call(-EAGAIN, queue, "get_nowait", "");
}

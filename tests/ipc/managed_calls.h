/* Calls of objects that are waited for: a manager for each test, and results that are numbers. */
#ifndef CAROM_TESTS_IPC_MANAGED_CALLS_H
#define CAROM_TESTS_IPC_MANAGED_CALLS_H

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

static struct carom_manager *manager;

static void start_manager(void)
{
	if (carom_manager_sync(&manager) < 0)
		abort();
}

static void end_manager(void)
{
	manager = carom_manager_free(manager);
}

#define CREATED(proxy, type, ...) \
	PROXY proxy = NULL;       \
	cr_assert(zero(int, carom_manager_create(manager, type, in_time(), &proxy, __VA_ARGS__)))

/* An int or a bool that a call gives; or its error. */
static inline int64_t call(struct carom_proxy *proxy, const char *method, const char *format, ...)
{
	DOCUMENT document = NULL;
	va_list arguments;
	int64_t number = 0;
	bool yes;
	int r;

	va_start(arguments, format);
	r = carom_proxy_vcall(proxy, method, in_time(), &document, format, arguments);
	va_end(arguments);
	if (r < 0)
		return r;
	if (carom_object_bool(carom_document_root(document), &yes) == 0)
		return yes;
	carom_object_int(carom_document_root(document), &number);
	return number;
}

#define expect_call(expected, ...) cr_expect(eq(i64, call(__VA_ARGS__), expected))

static inline int64_t joined(pthread_t thread)
{
	void *result;

	cr_assert(zero(int, pthread_join(thread, &result)));
	return (intptr_t)result;
}

#endif

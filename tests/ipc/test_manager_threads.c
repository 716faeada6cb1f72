/* A server in one thread, and proxies used by many. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <pthread.h>

static void *serve(void *server)
{
	return (void *)(intptr_t)carom_server_serve(server, CAROM_NO_DEADLINE);
}

struct hammer {
	struct carom_proxy *list;
	int count;
	int result;
};

static void *hammer(void *userdata)
{
	struct hammer *hammer = userdata;

	for (int i = 0; i < hammer->count && hammer->result == 0; i++)
		hammer->result = carom_proxy_call(hammer->list, "append", in_time(), NULL, "i", i);
	return NULL;
}

static void expect_hammered(struct carom_manager *manager)
{
	enum { THREADS = 8, CALLS = 500 };
	PROXY list = NULL;
	struct hammer hammers[THREADS];
	pthread_t threads[THREADS];
	DOCUMENT length = NULL;
	int64_t count = 0;

	cr_assert(zero(int, carom_manager_create(manager, "list", in_time(), &list, "")));
	for (int i = 0; i < THREADS; i++) {
		hammers[i] = (struct hammer){ list, CALLS, 0 };
		cr_assert(zero(int, pthread_create(&threads[i], NULL, hammer, &hammers[i])));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect(zero(int, hammers[i].result));
	}
	cr_assert(zero(int, carom_proxy_call(list, "__len__", in_time(), &length, "")));
	carom_object_int(carom_document_root(length), &count);
	cr_expect(eq(i64, count, THREADS * CALLS));
}

/* MG-25 */
Test(manager_threads, use_a_proxy_at_the_same_time, .timeout = 60)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	MANAGER manager = NULL;
	pthread_t thread;

	cr_assert(zero(int, carom_server_new(&CAROM_SERVER_OPTIONS(.host = "127.0.0.1"), &server)));
	cr_assert(zero(int, pthread_create(&thread, NULL, serve, server)));
	cr_assert(zero(int,
		       carom_manager_new(&CAROM_MANAGER_OPTIONS(.host = "127.0.0.1",
								.port = carom_server_port(server)),
					 &manager)));
	cr_assert(zero(int, carom_manager_connect(manager, in_time())));
	expect_hammered(manager);
	cr_expect(zero(int, carom_manager_shutdown(manager)));
	pthread_join(thread, NULL);
}

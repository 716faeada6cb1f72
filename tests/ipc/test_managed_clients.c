/* Many clients of one manager's server. */
#include "ipc/manager.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <stdio.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLIENTS        100 /* each takes longer, and memory is not what it is elsewhere */
#define BYTES_EACH_MAX UINT64_MAX
#else
#define CLIENTS        1000
#define BYTES_EACH_MAX (uint64_t) CAROM_KIB(8)
#endif
#define FIRST 10

TestSuite(managed_clients, .timeout = 60);

static void need_descriptors(rlim_t count)
{
	struct rlimit limit;

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
	if (limit.rlim_max < count)
		cr_skip_test("skipped: so many descriptors are not allowed here");
	limit.rlim_cur = limit.rlim_max;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}

/* Bytes that the process alone has, and has written to. */
static uint64_t own_memory(pid_t pid)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	file = fopen(path, "re");
	cr_assert(ne(ptr, file, NULL));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Private_Dirty: %lu", &kib) == 1)
			break;
	fclose(file);
	return CAROM_KIB((uint64_t)kib);
}

static void add_client(struct carom_manager *manager, struct carom_manager **ret_client,
		       struct carom_proxy **ret_dict)
{
	cr_assert(zero(
		int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = carom_manager_path(manager)),
				       ret_client)));
	cr_assert(zero(int, carom_manager_connect(*ret_client, in_time())));
	cr_assert(zero(int, carom_manager_create(*ret_client, "dict", in_time(), ret_dict, "")));
}

Test(managed_clients, a_thousand_take_little_each_and_are_all_served)
{
	static struct carom_manager *clients[CLIENTS];
	static struct carom_proxy *dicts[CLIENTS];
	uint64_t before = 0, after;
	MANAGER manager = NULL;
	size_t count = 0;

	need_descriptors(CLIENTS + 100);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	for (int i = 0; i < CLIENTS; i++) {
		if (i == FIRST)
			before = own_memory(carom_manager_pid(manager));
		add_client(manager, &clients[i], &dicts[i]);
	}
	after = own_memory(carom_manager_pid(manager));
	cr_expect(lt(u64, (after - before) / (CLIENTS - FIRST), BYTES_EACH_MAX));
	for (int i = 0; i < CLIENTS; i++)
		cr_expect(zero(int, carom_proxy_call(dicts[i], "__setitem__", in_time(), NULL, "si",
						     "key", i)));
	cr_assert(zero(int, carom_manager_count(manager, in_time(), &count)));
	cr_expect(eq(sz, count, CLIENTS));
	for (int i = 0; i < CLIENTS; i++) {
		carom_proxy_free(dicts[i]);
		carom_manager_free(clients[i]);
	}
}

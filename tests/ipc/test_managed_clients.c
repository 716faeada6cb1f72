/* Many clients of one manager's server. */
#include "ipc/manager.h"

#include "tests/ipc/chutes.h"
#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CLIENTS        100 /* each takes longer, and memory is not what it is elsewhere */
#define BYTES_EACH_MAX UINT64_MAX
#else
#define CLIENTS        1000
#define BYTES_EACH_MAX (uint64_t) CAROM_KIB(8)
#endif
#define FIRST      10
#define CHUTES     1024 /* as many as a server has, see ipc/server_chute.c */
#define TOO_MANY   100
#define ROOM       5 /* descriptors, for so many clients more */
#define NOT_LET_IN CAROM_MILLISECONDS(500)

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

/* MG-11 */
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

/* ---- more than there is room for ---- */

Test(managed_clients, more_than_have_a_short_way_are_all_served)
{
	static struct carom_manager *clients[CHUTES + TOO_MANY];
	static struct carom_proxy *dicts[CHUTES + TOO_MANY];
	MANAGER manager = NULL;
	size_t count = 0;

	if (BYTES_EACH_MAX == UINT64_MAX)
		cr_skip_test("skipped: so many take too long under a sanitizer");
	setenv("CAROM_MANAGER", "chute", 1);
	need_descriptors(CHUTES + TOO_MANY + 100);
	cr_assert(zero(int, carom_manager_sync(&manager)));
	for (int i = 0; i < CHUTES + TOO_MANY; i++)
		add_client(manager, &clients[i], &dicts[i]);
	for (int i = 0; i < CHUTES + TOO_MANY; i++)
		for (int k = 0; k < 3; k++)
			cr_expect(zero(int, carom_proxy_call(dicts[i], "__setitem__", in_time(),
							     NULL, "si", "key", k)));
	cr_expect(eq(int, count_chutes(carom_manager_pid(manager)), CHUTES));
	cr_assert(zero(int, carom_manager_count(manager, in_time(), &count)));
	cr_expect(eq(sz, count, CHUTES + TOO_MANY));
	for (int i = 0; i < CHUTES + TOO_MANY; i++) {
		carom_proxy_free(dicts[i]);
		carom_manager_free(clients[i]);
	}
}

static int count_descriptors(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	cr_assert(ne(ptr, directory, NULL));
	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void leave_room(pid_t pid, int count)
{
	struct rlimit limit;

	limit.rlim_cur = limit.rlim_max = (rlim_t)(count_descriptors(pid) + count);
	cr_assert(zero(int, prlimit(pid, RLIMIT_NOFILE, &limit, NULL)));
}

/* Return: how many came in, before one did not; and why that did not */
static int fill(const char *path, struct carom_manager **clients, int *ret_error)
{
	int count = 0, r = 0;

	while (r == 0) {
		cr_assert(lt(int, count, TOO_MANY));
		cr_assert(zero(int, carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = path),
						      &clients[count])));
		r = carom_manager_connect(clients[count], carom_deadline_after(NOT_LET_IN));
		if (r == 0)
			count++;
	}
	*ret_error = r;
	return count;
}

/* MG-11 */
Test(managed_clients, one_too_many_is_told_by_its_deadline_and_the_others_go_on)
{
	struct carom_manager *clients[TOO_MANY];
	MANAGER manager = NULL;
	int count, error = 0;
	size_t object_count;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	leave_room(carom_manager_pid(manager), ROOM);
	count = fill(carom_manager_path(manager), clients, &error);
	cr_expect(lt(int, 0, count));
	cr_expect(eq(int, error, -ETIMEDOUT));
	cr_expect(zero(int, carom_manager_count(manager, in_time(), &object_count)));
	for (int i = 0; i < count; i++)
		cr_expect(zero(int, carom_manager_count(clients[i], in_time(), &object_count)));
	clients[0] = carom_manager_free(clients[0]);
	cr_expect(zero(int, carom_manager_connect(clients[count], in_time())));
	for (int i = 0; i <= count; i++)
		carom_manager_free(clients[i]);
}

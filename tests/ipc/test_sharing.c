/*
 * Sharing: every primitive is for children of every start method, whether it was there when
 * they were started, or is handed to them later.
 */
#include "tests/core/methods.h"
#include "tests/ipc/ends.h"
#include "tests/ipc/kit.h"

#include <fcntl.h>

#include "shm/shared_memory.h"

static void begin(struct kit *kit, int fds[KIT_PARTS])
{
	int64_t number = 41;

	cr_assert(zero(int, kit_make(kit)));
	kit_get_fds(kit, fds);
	cr_assert(zero(int, carom_lock_acquire(kit->lock, soon())));
	cr_assert(zero(int, carom_queue_put(kit->queue, &number, sizeof(number), soon())));
}

/* The maker's part. */
static void meet_child(struct kit *kit)
{
	bool notified = false;

	cr_assert(zero(int, carom_event_wait(&kit->table->is_there, soon())));
	cr_expect(zero(int, carom_lock_acquire(kit->lock, soon())), "the child has released it");
	while (!notified) {
		cr_assert(zero(int, carom_condition_acquire(kit->condition, soon())));
		notified = kit->table->waits && carom_condition_notify(kit->condition, 1) == 1;
		cr_assert(zero(int, carom_condition_release(kit->condition)));
		sched_yield();
	}
	cr_expect(ge(int, carom_barrier_wait(kit->barrier, soon()), 0));
}

/* After the child's death. */
static void expect_used(struct kit *kit, const char *method)
{
	int64_t number = 0;
	int value = 0;
	size_t size;

	cr_expect(eq(int, kit->table->count, 2), "%s", method);
	cr_expect(eq(int, carom_semaphore_value(kit->semaphore), 2), "%s", method);
	cr_expect(eq(int, carom_semaphore_value(kit->bounded), 1), "%s", method);
	cr_expect(eq(str, kit->table->text, (char *)"hello"), "%s", method);
	cr_expect(zero(int, carom_heap_dealloc(kit->heap, kit->table->text)), "%s", method);
	cr_expect(zero(int, carom_queue_get(kit->queue, &number, sizeof(number), soon(), &size)));
	cr_expect(eq(i64, number, 42), "%s", method);
	cr_expect(zero(int, carom_value_get(kit->value, &value)));
	cr_expect(eq(int, value, 7), "%s", method);
	cr_expect(zero(int, carom_array_get(kit->array, 2, &value)));
	cr_expect(eq(int, value, 8), "%s", method);
	kit_free(kit);
}

static void expect_died_at_its_end(struct carom_process *process, const char *method)
{
	cr_expect(eq(int, exitcode_of(process), -SIGKILL), "%s", method);
	carom_process_free(process);
}

/* SY-25 */
Test(sharing, everything_is_for_children_of_every_method, .timeout = 120)
{
	struct carom_context *context;

	need_robust_lists();
	EACH_METHOD(context)
	{
		struct carom_process *process;
		int fds[KIT_PARTS];
		struct kit kit;

		begin(&kit, fds);
		process = START(.context = context, .function = use_what_it_was_started_with,
				.fds = fds, .fd_count = KIT_PARTS);
		meet_child(&kit);
		expect_died_at_its_end(process, methods[each_]);
		expect_used(&kit, methods[each_]);
	}
}

/* SY-25 */
Test(sharing, everything_goes_to_children_of_every_method_that_run, .timeout = 120)
{
	struct carom_context *context;

	need_robust_lists();
	EACH_METHOD(context)
	{
		PIPE(mine, theirs, );
		struct carom_process *process;
		int fds[KIT_PARTS], fd = carom_connection_fd(theirs);
		struct kit kit;

		process = START(.context = context, .function = use_what_it_is_sent, .fds = &fd,
				.fd_count = 1);
		expect_message(mine, "!");
		begin(&kit, fds); /* the child was there before */
		cr_assert(zero(int, carom_connection_send_fds(mine, fds, KIT_PARTS, soon())));
		meet_child(&kit);
		expect_died_at_its_end(process, methods[each_]);
		expect_used(&kit, methods[each_]);
	}
}

/* ---- without names ---- */

/* What is mapped that has a name there, or had one. */
static int mapped_of_dev_shm(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char text[4096];
	int count = 0;

	cr_assert(ne(ptr, file, NULL));
	while (fgets(text, sizeof(text), file))
		count += strstr(text, "/dev/shm/") != NULL;
	fclose(file);
	return count;
}

static int open_of_dev_shm(void)
{
	DIR *directory = opendir("/proc/self/fd");
	char path[64], target[4096];
	struct dirent *entry;
	int count = 0;

	cr_assert(ne(ptr, directory, NULL));
	while ((entry = readdir(directory))) {
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
		size = readlink(path, target, sizeof(target) - 1);
		target[size < 0 ? 0 : size] = '\0';
		count += strncmp(target, "/dev/shm/", 9) == 0;
	}
	closedir(directory);
	return count;
}

/* SY-26 */
Test(sharing, nothing_has_an_entry_in_dev_shm, .timeout = 60)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *named = NULL;
	int mapped = mapped_of_dev_shm(), opened = open_of_dev_shm();
	struct kit kit;

	need_robust_lists();
	cr_assert(zero(int, kit_make(&kit)));
	cr_assert(zero(int, carom_lock_acquire(kit.lock, soon())));
	cr_expect(eq(int, mapped_of_dev_shm(), mapped));
	cr_expect(eq(int, open_of_dev_shm(), opened));
	/* what has one is seen */
	cr_assert(zero(int,
		       carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.size = 1), &named)));
	cr_expect(zero(int, carom_shared_memory_unlink(named)));
	cr_expect(eq(int, mapped_of_dev_shm(), mapped + 1));
	kit_free(&kit);
}

/* ---- where nobody is told of a death ---- */

#define EXPECT_REFUSED(call) cr_expect(eq(int, (call), -EOPNOTSUPP))

/* Whoever can be left stuck is not made; the rest works, as far as the C library sees to it. */
static void expect_refusals(void)
{
	struct kit kit = { 0 };
	struct kit_table table = { 0 };
	int r = kit_make_locks(&kit);

	EXPECT_REFUSED(r);
	cr_expect(eq(ptr, kit.lock, NULL));
	EXPECT_REFUSED(carom_semaphore_new(1, NULL, &kit.semaphore));
	EXPECT_REFUSED(carom_condition_new(NULL, &kit.condition));
	EXPECT_REFUSED(carom_barrier_new(2, NULL, &kit.barrier));
	EXPECT_REFUSED(carom_queue_new(NULL, &kit.queue));
	cr_expect(zero(int, carom_mutex_init(&table.mutex)));
	cr_expect(zero(int, carom_mutex_acquire(&table.mutex, soon())));
	cr_expect(zero(int, carom_mutex_release(&table.mutex)));
	cr_expect(zero(int, carom_rlock_init(&table.rlock)));
	cr_expect(zero(int, carom_rlock_acquire(&table.rlock, soon())));
	cr_expect(zero(int, carom_rlock_release(&table.rlock)));
	carom_event_set(&table.is_there);
	cr_expect(zero(int, carom_event_wait(&table.is_there, CAROM_PASSED)));
	cr_expect(zero(int, carom_heap_new(NULL, &kit.heap)));
	cr_expect(zero(int, carom_heap_alloc(kit.heap, 100, (void **)&table.text)));
	cr_expect(zero(int, carom_value_new(&CAROM_VALUE_OPTIONS(CAROM_ITEM(int)), &kit.value)));
	cr_expect(zero(int, carom_value_add(kit.value, 1, NULL)));
	kit_free(&kit);
}

Test(sharing, what_needs_to_be_told_of_deaths_is_refused_where_nobody_is, .timeout = 60)
{
	if (denial_of("get_robust_list") == 0)
		setenv("CAROM_DENY", "robust_list", 1);
	expect_refusals();
}

static void expect_no_attaching(const int *fds)
{
	struct kit kit = { 0 };

	EXPECT_REFUSED(carom_lock_attach_dup(fds[KIT_LOCK], &kit.lock));
	EXPECT_REFUSED(carom_semaphore_attach_dup(fds[KIT_SEMAPHORE], &kit.semaphore));
	EXPECT_REFUSED(carom_condition_attach_dup(fds[KIT_CONDITION], NULL, &kit.condition));
	EXPECT_REFUSED(carom_barrier_attach_dup(fds[KIT_BARRIER], &kit.barrier));
	EXPECT_REFUSED(carom_queue_attach_dup(fds[KIT_QUEUE], &kit.queue));
}

static int open_of(pid_t pid, int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(le(int, 0, fd));
	return fd;
}

/** struct offer - of another process, which is told of deaths; in shared memory */
struct offer {
	_Atomic uint32_t is_made;
	int fds[KIT_PARTS];
};

Test(sharing, what_needs_to_be_told_of_deaths_is_not_attached_to_either, .timeout = 60)
{
	struct offer *offer = share(sizeof(*offer));
	struct kit kit;
	pid_t pid;

	need_robust_lists();
	pid = child();
	if (pid == 0) {
		if (kit_make(&kit) < 0)
			_exit(1);
		kit_get_fds(&kit, offer->fds);
		hold_until_killed(&offer->is_made);
	}
	await_held(&offer->is_made);
	setenv("CAROM_DENY", "robust_list", 1); /* and this process has not asked yet */
	for (int part = 0; part < KIT_PARTS; part++)
		offer->fds[part] = open_of(pid, offer->fds[part]);
	expect_no_attaching(offer->fds);
	killed(pid);
}

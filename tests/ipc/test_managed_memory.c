/* Shared memory that ends with a manager's server. */
#include "ipc/manager_memory.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/managed.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_OF CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *
#define LIST_OF   CAROM_CLEANUP(carom_shareable_list_freep) struct carom_shareable_list *
#define NAME_SIZE (CAROM_SHARED_MEMORY_NAME_MAX + 1)

TestSuite(managed_memory, .timeout = 60);

static struct carom_manager *started(void)
{
	struct carom_manager *manager = NULL;

	cr_assert(zero(int, carom_manager_sync(&manager)));
	return manager;
}

static int attach(const char *name)
{
	MEMORY_OF memory = NULL;

	return carom_shared_memory_attach(name, 0, &memory);
}

static void take_name(char *name, const struct carom_shared_memory *memory)
{
	snprintf(name, NAME_SIZE, "%s", carom_shared_memory_name(memory));
}

static void expect_gone(const char *name)
{
	uint64_t deadline_ns = in_time();

	while (attach(name) == 0 && carom_now() < deadline_ns)
		usleep(1000);
	cr_expect(eq(int, attach(name), -ENOENT));
}

/* MG-43 */
/* SM-14 */
Test(managed_memory, is_shared_and_gone_after_the_shutdown)
{
	MANAGER manager = started();
	MEMORY_OF memory = NULL;
	MEMORY_OF elsewhere = NULL;
	char name[NAME_SIZE];

	cr_assert(zero(int, carom_manager_shared_memory(manager, 4097, in_time(), &memory)));
	take_name(name, memory);
	cr_expect(eq(u64, carom_shared_memory_size(memory), 4097));
	strcpy(carom_shared_memory_data(memory), "shared");
	cr_assert(zero(int, carom_shared_memory_attach(name, 0, &elsewhere)));
	cr_expect(zero(int, strcmp(carom_shared_memory_data(elsewhere), "shared")));
	elsewhere = carom_shared_memory_free(elsewhere);
	cr_expect(zero(int, attach(name)), "it is there for others, whoever lets go of it");
	cr_assert(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, attach(name), -ENOENT));
	cr_expect(zero(int, strcmp(carom_shared_memory_data(memory), "shared")));
}

/* MG-43 */
Test(managed_memory, may_be_a_list)
{
	struct carom_element items[] = {
		carom_element_int(7), carom_element_float(0.5),   carom_element_bool(true),
		carom_element_none(), carom_element_str("seven"), carom_element_bytes("\1x", 2)
	};
	size_t count = sizeof(items) / sizeof(*items);
	MANAGER manager = started();
	LIST_OF list = NULL;
	char name[NAME_SIZE], buffer[16];

	cr_assert(zero(int, carom_manager_shareable_list(manager, items, count, in_time(), &list)));
	take_name(name, carom_shareable_list_memory(list));
	cr_assert(eq(sz, carom_shareable_list_len(list), count));
	for (size_t i = 0; i < count; i++) {
		struct carom_element item;

		cr_assert(zero(int, carom_shareable_list_get(list, (int64_t)i, buffer,
							     sizeof(buffer), &item)));
		cr_expect(eq(i64, item.type, items[i].type));
		cr_expect(carom_element_equals(&item, &items[i]), "item %zu", i);
	}
	cr_assert(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, attach(name), -ENOENT));
}

/* MG-43 */
Test(managed_memory, is_gone_when_the_server_is_killed)
{
	MANAGER manager = started();
	MEMORY_OF memory = NULL;
	char name[NAME_SIZE];

	cr_assert(zero(int, carom_manager_shared_memory(manager, 1, in_time(), &memory)));
	take_name(name, memory);
	cr_expect(zero(int, attach(name)));
	cr_assert(zero(int, kill(carom_manager_pid(manager), SIGKILL)));
	expect_gone(name);
}

/* The program: says the name, and waits for its end. */
static void be_a_program(int fd)
{
	MANAGER manager = NULL;
	MEMORY_OF memory = NULL;
	char name[NAME_SIZE] = "";

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (carom_manager_sync(&manager) == 0 &&
	    carom_manager_shared_memory(manager, 1, in_time(), &memory) == 0)
		take_name(name, memory);
	if (write(fd, name, sizeof(name)) == sizeof(name))
		pause();
	_exit(1);
}

/* MG-43 */
Test(managed_memory, is_gone_when_the_program_is_killed)
{
	char name[NAME_SIZE] = "";
	int ends[2];
	pid_t pid;

	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	pid = fork();
	if (pid == 0)
		be_a_program(ends[1]);
	close(ends[1]);
	cr_expect(eq(int, (int)read(ends[0], name, sizeof(name)), (int)sizeof(name)));
	cr_expect(zero(int, attach(name)));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_gone(name);
	close(ends[0]);
}

Test(managed_memory, that_cannot_be_is_an_error_and_the_server_goes_on)
{
	struct carom_element unknown = { .type = 99 };
	struct carom_element cut_off = carom_element_bytes("a\0", 2);
	MANAGER manager = started();
	MEMORY_OF memory = NULL;
	LIST_OF list = NULL;
	int r;

	cr_expect(eq(int, carom_manager_shared_memory(manager, 0, in_time(), &memory), -EINVAL));
	cr_expect(eq(int, carom_manager_shared_memory(manager, UINT64_MAX, in_time(), &memory),
		     -EFBIG));
	r = carom_manager_shared_memory(manager, UINT64_C(1) << 60, in_time(), &memory);
	cr_expect(r == -ENOSPC || r == -ENOMEM || r == -EFBIG, "%d", r);
	cr_expect(eq(int, carom_manager_shareable_list(manager, &unknown, 1, in_time(), &list),
		     -EINVAL));
	cr_expect(eq(int, carom_manager_shareable_list(manager, &cut_off, 1, in_time(), &list),
		     -EINVAL));
	cr_expect(zero(int, carom_manager_shareable_list(manager, NULL, 0, in_time(), &list)));
	cr_expect(zero(int, carom_manager_shutdown(manager)));
	cr_expect(eq(int, carom_manager_shared_memory(manager, 1, in_time(), &memory), -ESHUTDOWN));
}

/* Registry: functions by name. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/registry.h"

static int first(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 1;
}

static int second(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 2;
}

static int third(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 3;
}
CAROM_REGISTER(third);

Test(registry, knows_before_main_what_stands_at_file_level)
{
	cr_expect(carom_registered("third") == third);
	cr_expect(strcmp(carom_registered_name(third), "third") == 0);
}

Test(registry, finds_functions_and_names)
{
	cr_expect(carom_registered("first") == NULL);
	cr_expect(carom_registered_name(first) == NULL);
	cr_assert(carom_register("first", first) == 0);
	cr_assert(carom_register("second", second) == 0);
	cr_expect(carom_registered("first") == first);
	cr_expect(carom_registered("second") == second);
	cr_expect(strcmp(carom_registered_name(second), "second") == 0);
}

Test(registry, a_name_is_one_functions_and_a_function_may_have_several)
{
	cr_assert(carom_register("one", first) == 0);
	cr_expect(carom_register("one", first) == 0);
	cr_expect(carom_register("one", second) == -EEXIST);
	cr_expect(carom_registered("one") == first);
	cr_expect(carom_register("uno", first) == 0);
	cr_expect(carom_registered("uno") == first);
}

Test(registry, copies_the_name)
{
	char name[] = "written";

	cr_assert(carom_register(name, first) == 0);
	memset(name, 'x', sizeof(name) - 1);
	cr_expect(carom_registered("written") == first);
	cr_expect(carom_registered(name) == NULL);
}

Test(registry, refuses_what_is_no_name_and_no_function)
{
	char name[CAROM_FUNCTION_NAME_MAX + 1];

	cr_expect(carom_register(NULL, first) == -EINVAL);
	cr_expect(carom_register("", first) == -EINVAL);
	cr_expect(carom_register("nothing", NULL) == -EINVAL);
	memset(name, 'n', sizeof(name));
	name[CAROM_FUNCTION_NAME_MAX] = '\0';
	cr_expect(carom_register(name, first) == -ENAMETOOLONG);
	name[CAROM_FUNCTION_NAME_MAX - 1] = '\0';
	cr_expect(carom_register(name, first) == 0);
	cr_expect(carom_registered(name) == first);
	cr_expect(carom_registered(NULL) == NULL);
	cr_expect(carom_registered("nothing") == NULL);
}

/* --- several threads, and forks ----------------------------------------- */

enum { THREADS = 4, NAMES = 500 };

static void *register_many(void *unused)
{
	char name[32];

	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %d", i);
		if (carom_register(name, first) < 0 || carom_registered(name) != first)
			return (void *)"failed";
	}
	return NULL;
}

/* Each name is registered by all of them, and stands there once: a child finds each, too. */
Test(registry, serves_many_threads_while_others_fork, .timeout = 30)
{
	pthread_t threads[THREADS];
	void *failure;
	int status;

	for (int i = 0; i < THREADS; i++)
		cr_assert(pthread_create(&threads[i], NULL, register_many, NULL) == 0);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(carom_register("of a child", second) != 0 ||
			      carom_registered("of a child") != second);
		cr_assert(waitpid(pid, &status, 0) == pid);
		cr_expect(zero(int, status));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failure);
		cr_expect(failure == NULL);
	}
	cr_expect(carom_registered("name 0") == first);
	cr_expect(carom_registered("of a child") == NULL);
}

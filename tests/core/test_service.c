/* The service without a thread: whoever has it drives it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/pidfd.h"
#include "core/service.h"
#include "core/time.h"

static int count_entries(const char *folder)
{
	DIR *directory = opendir(folder);
	int count = -3; /* ".", "..", and the one this is */

	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int thread_count(void)
{
	return count_entries("/proc/self/task") + 1;
}

struct child {
	struct carom_birth birth;
	struct carom_child_reply reply;
	int count;
};

static int seven(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 7;
}

static void born(struct carom_birth *birth, const struct carom_child_reply *reply)
{
	struct child *child = birth->userdata;

	child->reply = *reply;
	child->count++;
}

static void bear(struct carom_service *service, struct child *child)
{
	*child = (struct child){
		.birth = { .request.function = seven, .born = born, .userdata = child },
	};
	carom_service_bear(service, &child->birth);
}

/* drives only when the descriptor says so */
static void drive_by_descriptor(struct carom_service *service)
{
	struct pollfd pollfd = { .fd = carom_service_fd(service), .events = POLLIN };

	cr_assert(eq(int, poll(&pollfd, 1, -1), 1));
	carom_service_drive(service, CAROM_PASSED);
}

Test(service, without_a_thread_bears_children, .timeout = 20)
{
	int threads = thread_count();
	struct carom_service *service;
	struct carom_exit exit;
	struct child child;

	cr_assert(zero(int, carom_service_new_polled(&service)));
	bear(service, &child);
	while (!child.count)
		drive_by_descriptor(service);
	cr_assert(zero(int, child.reply.error));
	cr_expect(eq(int, thread_count(), threads));
	cr_assert(zero(int, carom_pidfd_wait(child.reply.pidfd, CAROM_NO_DEADLINE, &exit)));
	cr_expect(eq(int, exit.status, 7));
	close(child.reply.pidfd);
	carom_service_free_polled(service);
}

static void count_call(void *userdata)
{
	++*(int *)userdata;
}

static void count_poke(struct carom_poke *poke)
{
	++*(int *)poke->userdata;
}

Test(service, without_a_thread_runs_at_once_and_is_poked_when_driven, .timeout = 20)
{
	struct carom_service *service;
	int run_count = 0, poke_count = 0;
	struct carom_poke poke = { .function = count_poke, .userdata = &poke_count };

	cr_assert(zero(int, carom_service_new_polled(&service)));
	carom_service_run(service, count_call, &run_count);
	cr_expect(eq(int, run_count, 1));
	carom_service_poke(service, &poke);
	carom_service_poke(service, &poke);
	cr_expect(eq(int, poke_count, 0));
	drive_by_descriptor(service);
	cr_expect(eq(int, poke_count, 1));
	cr_expect(eq(int, carom_service_drive(service, CAROM_PASSED), 0));
	carom_service_free_polled(service);
}

Test(service, without_a_thread_leaves_nothing, .timeout = 20)
{
	int before;

	for (int i = 0; i < 20; i++) {
		struct carom_service *service;
		struct child child;

		if (i == 1)
			before = count_entries("/proc/self/fd");
		cr_assert(zero(int, carom_service_new_polled(&service)));
		bear(service, &child);
		while (!child.count)
			carom_service_drive(service, CAROM_NO_DEADLINE);
		cr_assert(zero(int, child.reply.error));
		cr_assert(zero(int, carom_pidfd_wait(child.reply.pidfd, CAROM_NO_DEADLINE,
						     &(struct carom_exit){ 0 })));
		close(child.reply.pidfd);
		carom_service_free_polled(service);
	}
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
	cr_expect(lt(int, waitpid(-1, NULL, WNOHANG), 0)); /* no child, no zombie */
}

/* Else a server outlived the program as long as a child that was forked does. */
Test(service, without_a_thread_has_no_descriptors_in_a_forked_child, .timeout = 20)
{
	int before = count_entries("/proc/self/fd"), status;
	struct carom_service *first, *second;
	struct child child;
	pid_t pid;

	cr_assert(zero(int, carom_service_new_polled(&first)));
	cr_assert(zero(int, carom_service_new_polled(&second)));
	bear(second, &child);
	while (!child.count)
		carom_service_drive(second, CAROM_NO_DEADLINE);
	close(child.reply.pidfd);
	pid = fork();
	if (pid == 0)
		_exit(count_entries("/proc/self/fd") - before);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, status, 0));
	waitpid(child.reply.pid, NULL, 0);
	carom_service_free_polled(first);
	carom_service_free_polled(second);
}

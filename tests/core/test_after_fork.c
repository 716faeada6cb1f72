/* After fork: functions that run in each child once, and locks that none inherits held. */
#include "core/after_fork.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/after_fork_private.h"
#include "core/clone.h"
#include "core/fork_lock.h"
#include "tests/core/apart.h"

static char order[64];

/* Notes the letter at @userdata. */
static int note(void *userdata)
{
	strncat(order, userdata, 1);
	return 0;
}

static bool noted(const char *letters)
{
	return strcmp(order, letters) == 0;
}

static int fail(void *userdata)
{
	note(userdata);
	return -EIO;
}

static void add(carom_after_fork_fn *function, const char *letter)
{
	CHECK(carom_after_fork_add(function, (void *)letter) == 0);
}

static void expect_abc(void)
{
	CHECK(noted("abc"));
}

/* UT-05 */
Test(after_fork, functions_run_in_the_child_in_order_and_not_in_the_parent)
{
	add(note, "a");
	add(fail, "b");
	add(note, "c");
	cr_expect(zero(int, apart(expect_abc)));
	cr_expect(noted(""));
	carom_after_fork_run();
	cr_expect(noted(""));
}

static void expect_once(void)
{
	CHECK(noted("a"));
	carom_after_fork_run();
	CHECK(noted("a"));
}

Test(after_fork, functions_run_once_though_both_fork_and_its_caller_run_them)
{
	add(note, "a");
	cr_expect(zero(int, apart(expect_once)));
}

static int status_of_clone(void (*body)(void))
{
	int pidfd = -1, status = -1;
	pid_t pid = carom_clone(NULL, &pidfd);

	if (pid == 0) {
		carom_after_fork_run();
		body();
		_exit(EXIT_SUCCESS);
	}
	CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid);
	close(pidfd);
	return status;
}

Test(after_fork, functions_run_in_a_child_by_a_bare_clone)
{
	add(note, "a");
	cr_expect(zero(int, status_of_clone(expect_once)));
	cr_expect(noted(""));
}

static void expect_ab(void)
{
	CHECK(noted("ab"));
}

static void have_children(void)
{
	CHECK(noted("a"));
	add(note, "b");
	order[0] = '\0';
	CHECK(apart(expect_ab) == 0);
	CHECK(status_of_clone(expect_ab) == 0);
	CHECK(order[0] == '\0');
}

Test(after_fork, functions_run_in_the_children_of_children)
{
	add(note, "a");
	cr_expect(zero(int, apart(have_children)));
	cr_expect(zero(int, status_of_clone(have_children)));
}

static void be_spared(void)
{
	CHECK(noted(""));
	carom_after_fork_run();
	CHECK(noted(""));
	CHECK(status_of_clone(expect_once) == 0);
}

Test(after_fork, functions_leave_out_a_process_of_the_library_but_not_its_children)
{
	int status;

	add(note, "a");
	carom_after_fork_spare(true);
	status = apart(be_spared);
	carom_after_fork_spare(false);
	cr_expect(zero(int, status));
	cr_expect(zero(int, apart(expect_once)));
}

Test(after_fork, function_that_was_removed_does_not_run)
{
	add(note, "x");
	add(note, "a");
	add(note, "b");
	add(note, "c");
	add(note, "x");
	cr_expect(zero(int, carom_after_fork_remove(note, (void *)"x")));
	cr_expect(zero(int, carom_after_fork_remove(note, (void *)"x")));
	cr_expect(eq(int, carom_after_fork_remove(note, (void *)"x"), -ENOENT));
	cr_expect(eq(int, carom_after_fork_remove(fail, (void *)"a"), -ENOENT));
	cr_expect(zero(int, apart(expect_abc)));
}

static int remove_next_and_add(void *userdata)
{
	note(userdata);
	CHECK(carom_after_fork_remove(note, (void *)"x") == 0);
	CHECK(carom_after_fork_remove(remove_next_and_add, userdata) == 0);
	add(note, "d");
	return 0;
}

Test(after_fork, function_may_remove_the_next_one_and_add_one_for_later)
{
	add(note, "a");
	add(remove_next_and_add, "b");
	add(note, "x");
	add(note, "c");
	cr_expect(zero(int, apart(expect_abc)));
}

Test(after_fork, function_is_needed)
{
	cr_expect(eq(int, carom_after_fork_add(NULL, NULL), -EINVAL));
}

/* ---- locks ---- */

static CAROM_FORK_LOCK(lock);
static _Atomic bool is_over;

static void *contend(void *userdata)
{
	while (!is_over) {
		carom_fork_lock_acquire(&lock);
		carom_after_fork_add(note, userdata);
		carom_after_fork_remove(note, userdata);
		carom_fork_lock_release(&lock);
	}
	return NULL;
}

/* What a bare clone may: without memory, whose locks are the C library's. */
static void use_locks(void)
{
	carom_fork_lock_acquire(&lock);
	CHECK(carom_after_fork_remove(note, order) == -ENOENT);
	carom_fork_lock_release(&lock);
}

static __attribute__((unused)) void use_locks_and_memory(void)
{
	use_locks();
	add(note, "c");
}

/* AddressSanitizer's own locks are inherited as they are, and its children cost more. */
#ifdef __SANITIZE_ADDRESS__
#define FORK_COUNT           200
#define use_locks_after_fork use_locks
#else
#define FORK_COUNT           10000
#define use_locks_after_fork use_locks_and_memory
#endif

/* UT-07 */
/* SY-27 */
Test(after_fork, locks_are_free_in_children_whoever_holds_them_in_the_parent, .timeout = 120)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, contend, &lock);
	for (int i = 0; i < FORK_COUNT; i++)
		cr_assert(zero(int,
			       i % 2 ? apart(use_locks_after_fork) : status_of_clone(use_locks)));
	is_over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void need_the_lock(void)
{
	carom_fork_lock_acquire(&lock);
	carom_fork_lock_release(&lock);
}

Test(after_fork, lock_that_is_held_is_free_in_the_child_alone)
{
	carom_fork_lock_acquire(&lock);
	cr_expect(zero(int, apart(need_the_lock)));
	cr_expect(zero(int, status_of_clone(need_the_lock)));
	cr_expect(eq(int, pthread_mutex_trylock(&lock.mutex), EBUSY));
	carom_fork_lock_release(&lock);
}

static void hold_through_another_renewal(void)
{
	carom_fork_lock_acquire(&lock);
	carom_after_fork_run();
	CHECK(pthread_mutex_trylock(&lock.mutex) == EBUSY);
}

Test(after_fork, locks_are_freed_once_in_each_child)
{
	cr_expect(zero(int, apart(hold_through_another_renewal)));
}

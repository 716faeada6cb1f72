/* A process tree: held, signalled, killed. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/pidfd.h"
#include "core/process_tree.h"

enum { ROOT, CHILD, GRANDCHILD, MEMBERS };

static _Atomic pid_t *pids;
static _Atomic int *terms;
static int fds[MEMBERS];

static void note_term(int signal_number)
{
	atomic_fetch_add(terms, 1);
}

static _Noreturn void be_a_tree(int which)
{
	struct sigaction action = { .sa_handler = note_term };

	sigaction(SIGTERM, &action, NULL);
	while (which + 1 < MEMBERS && fork() == 0)
		which++;
	if (which == CHILD)
		setsid();
	atomic_store(&pids[which], getpid());
	for (;;)
		pause();
}

static void *share(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void begin(void)
{
	pids = share(MEMBERS * sizeof(*pids));
	terms = share(sizeof(*terms));
	if (fork() == 0)
		be_a_tree(ROOT);
	for (int i = 0; i < MEMBERS; i++) {
		while (!atomic_load(&pids[i]))
			poll(NULL, 0, 1);
		fds[i] = carom_pidfd_pin(atomic_load(&pids[i]));
		cr_assert(ge(int, fds[i], 0));
	}
}

static bool has_ended(int which, int within_ms)
{
	while (!carom_pidfd_has_ended(fds[which]) && within_ms-- > 0)
		poll(NULL, 0, 1);
	return carom_pidfd_has_ended(fds[which]);
}

static void expect_all_ended(void)
{
	for (int i = 0; i < MEMBERS; i++)
		cr_expect(has_ended(i, 5000), "number %d", i);
}

Test(process_tree, is_killed_as_a_whole, .timeout = 20)
{
	begin();
	carom_process_tree_kill_now(pids[ROOT], fds[ROOT]);
	expect_all_ended();
}

Test(process_tree, is_stopped_and_held_and_goes_on, .timeout = 20)
{
	struct carom_process_tree *tree;
	siginfo_t info;

	begin();
	cr_assert(zero(int, carom_process_tree_hold(pids[ROOT], fds[ROOT], &tree)));
	cr_expect(zero(int, waitid(P_PID, (id_t)pids[ROOT], &info, WSTOPPED)));
	carom_process_tree_signal(tree, SIGTERM);
	cr_expect(zero(int, atomic_load(terms)));
	carom_process_tree_signal(tree, SIGCONT);
	while (atomic_load(terms) < MEMBERS)
		poll(NULL, 0, 1);
	cr_expect(carom_process_tree_is_there(tree));
	cr_expect(not(has_ended(ROOT, 0)));
	cr_expect(eq(ptr, carom_process_tree_kill(tree), NULL));
	expect_all_ended();
}

/* the one between is gone, and what it had started is nobody's child any more that could be found */
Test(process_tree, that_falls_apart_is_still_held, .timeout = 20)
{
	struct carom_process_tree *tree;

	begin();
	cr_assert(zero(int, carom_process_tree_hold(pids[ROOT], fds[ROOT], &tree)));
	kill(pids[ROOT], SIGKILL);
	kill(pids[CHILD], SIGKILL);
	cr_expect(has_ended(ROOT, 5000));
	waitpid(pids[ROOT], NULL, 0);
	carom_process_tree_signal(tree, SIGCONT);
	cr_expect(carom_process_tree_is_there(tree));
	cr_expect(not(has_ended(GRANDCHILD, 0)));
	carom_process_tree_kill(tree);
	expect_all_ended();
}

Test(process_tree, that_is_gone_is_no_error, .timeout = 20)
{
	struct carom_process_tree *tree;

	begin();
	carom_process_tree_kill_now(pids[ROOT], fds[ROOT]);
	expect_all_ended();
	waitpid(pids[ROOT], NULL, 0);
	carom_process_tree_kill_now(pids[ROOT], fds[ROOT]);
	cr_assert(zero(int, carom_process_tree_hold(pids[ROOT], fds[ROOT], &tree)));
	cr_expect(not(carom_process_tree_is_there(tree)));
	carom_process_tree_signal(tree, SIGTERM);
	carom_process_tree_kill(tree);
	cr_expect(eq(ptr, carom_process_tree_kill(NULL), NULL));
}

static int visited[MEMBERS];

static void note_visit(pid_t pid, void *userdata)
{
	int *others = userdata;

	for (int i = 0; i < MEMBERS; i++)
		if (pids[i] == pid) {
			visited[i]++;
			return;
		}
	++*others;
}

Test(process_tree, is_visited_without_being_touched, .timeout = 20)
{
	int others = 0;

	begin();
	carom_process_tree_visit(pids[ROOT], note_visit, &others);
	cr_expect(zero(int, visited[ROOT]));
	cr_expect(eq(int, visited[CHILD], 1));
	cr_expect(eq(int, visited[GRANDCHILD], 1));
	cr_expect(zero(int, others));
	kill(pids[CHILD], SIGTERM);
	while (atomic_load(terms) < 1) /* it runs */
		poll(NULL, 0, 1);
	carom_process_tree_kill_now(pids[ROOT], fds[ROOT]);
	expect_all_ended();
}

Test(process_tree, of_the_caller_spares_the_caller, .timeout = 20)
{
	begin();
	carom_process_tree_kill_own();
	expect_all_ended();
}

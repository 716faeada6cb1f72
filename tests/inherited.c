/*
 * Inherited: what every suite's program leaves behind that it was started with
 *
 * nohup(1), and a shell that runs something in the background, leave signals ignored; a
 * test runner may leave some blocked. Programs inherit both, and so do the processes that
 * tests make: a test that sends itself SIGHUP would see nothing happen. Here all is as in a
 * program that was started by hand. What is done about signals that are ignored has tests
 * that ignore them.
 */
#include <signal.h>
#include <stddef.h>

#ifdef INSTEAD_OF_GIT2 /* the linker leaves out what no program asks for */
int git_libgit2_init(void);
__attribute__((used)) static int (*const asked_for)(void) = git_libgit2_init;
#endif

__attribute__((constructor)) static void begin_as_by_hand(void)
{
	struct sigaction action;
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

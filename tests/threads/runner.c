/*
 * The runner of criterion/criterion.h
 *
 * A test is a forked child; what it has to tell stands in a page shared with it.
 */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#define SKIPPED 77
#define HOOKED  "CAROM_TEST_HOOKED"

struct cr_test *cr_tests;
struct cr_suite *cr_suites;
struct cr_hook *cr_hooks;
_Thread_local struct cr_sides cr_sides;

/** struct told - by the running test */
static struct told {
	int failures;
	char reason[256];
} * told;

static void print_side(char kind, union cr_side side)
{
	if (kind == 'i')
		printf("%jd", side.integer);
	else if (kind == 'u')
		printf("%ju", side.unsigned_integer);
	else if (kind == 'r')
		printf("%g", side.real);
	else if (kind == 'p')
		printf("%p", (void *)side.pointer);
	else
		printf("\"%s\"", side.text);
}

void cr_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list arguments;

	__atomic_add_fetch(&told->failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: %s", file, line, what);
	if (cr_sides.kind) {
		printf(" (");
		print_side(cr_sides.kind, cr_sides.a);
		printf(", ");
		print_side(cr_sides.kind, cr_sides.b);
		putchar(')');
	}
	putchar(':');
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void cr_end(void)
{
	exit(told->failures != 0);
}

void cr_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(told->reason, sizeof(told->reason), format, arguments);
	va_end(arguments);
	exit(SKIPPED);
}

static const struct cr_suite *suite_of(const struct cr_test *test)
{
	static const struct cr_suite none;
	const struct cr_suite *suite = cr_suites;

	while (suite && strcmp(suite->name, test->suite) != 0)
		suite = suite->next;
	return suite ? suite : &none;
}

static void call(void (*function)(void))
{
	if (function)
		function();
}

static void call_hooks(enum cr_when when)
{
	for (struct cr_hook *hook = cr_hooks; hook; hook = hook->next)
		if (hook->when == when)
			hook->function();
}

/* Places that one test has armed would be the next one's: they share the page. */
extern void carom_point_disarm_all(void) __attribute__((weak));

static void run_here(const struct cr_test *test)
{
	const struct cr_suite *suite = suite_of(test);

	call(carom_point_disarm_all);
	call(suite->options.init);
	call(test->options.init);
	test->function();
	call(test->options.fini);
	call(suite->options.fini);
	cr_end();
}

/* From outside, as a test may have an alarm of its own. Returns its status. */
static int wait_for(pid_t pid, double seconds)
{
	struct pollfd end = { (int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0 };
	int status = -1;

	if (end.fd >= 0 && poll(&end, 1, (int)(10000 * seconds)) == 0) {
		snprintf(told->reason, sizeof(told->reason), "its time is over");
		kill(pid, SIGKILL);
	}
	close(end.fd);
	waitpid(pid, &status, 0);
	return status;
}

static double seconds_for(const struct cr_test *test)
{
	const struct cr_suite *suite = suite_of(test);

	if (test->options.timeout > 0)
		return test->options.timeout;
	return suite->options.timeout > 0 ? suite->options.timeout : 60;
}

static int status_of(const struct cr_test *test)
{
	pid_t pid;

	*told = (struct told){ 0 };
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_here(test);
	return wait_for(pid, seconds_for(test));
}

/* Returns whether the test has failed. */
static bool run(const struct cr_test *test)
{
	int status = test->options.disabled ? 0 : status_of(test);

	if (test->options.disabled || (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)) {
		printf("ok - %s::%s # SKIP %s\n", test->suite, test->name,
		       test->options.disabled ? "disabled" : told->reason);
		return false;
	}
	printf("%s - %s::%s", status == 0 ? "ok" : "not ok", test->suite, test->name);
	if (WIFSIGNALED(status))
		printf(" signal %d %s", WTERMSIG(status), told->reason);
	else if (status != 0 && told->failures == 0)
		printf(" status %d", WEXITSTATUS(status));
	putchar('\n');
	return status != 0;
}

/* What a hook has asked the library is known to it from then on: no test begins like that. */
static void call_hooks_elsewhere(char **words)
{
	if (!cr_hooks)
		return;
	if (!getenv(HOOKED)) {
		call_hooks(PRE_ALL);
		setenv(HOOKED, "", 1);
		execv("/proc/self/exe", words);
	}
	unsetenv(HOOKED);
}

int main(int count_of_words, char **words)
{
	int count = 0, failed = 0;

	(void)count_of_words;
	call_hooks_elsewhere(words);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		return EXIT_FAILURE;
	for (struct cr_test *test = cr_tests; test; test = test->next)
		count++;
	printf("1..%d\n", count);
	for (struct cr_test *test = cr_tests; test; test = test->next)
		failed += run(test);
	call_hooks(POST_ALL);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * The runner of criterion/criterion.h
 *
 * A test is a forked child; what it has to tell stands in a page shared with it.
 */
#include <criterion/criterion.h>

#define SKIPPED 77

struct cr_test *cr_tests;
struct cr_suite *cr_suites;

/** struct told - by the running test */
static struct told {
	int failures;
	char reason[256];
} * told;

void cr_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list arguments;

	told->failures++;
	printf("# %s:%d: %s:", file, line, what);
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

static void run_here(const struct cr_test *test)
{
	const struct cr_suite *suite = suite_of(test);
	double seconds = test->options.timeout > 0 ? test->options.timeout : 60;

	alarm((unsigned int)(10 * seconds));
	call(suite->options.init);
	call(test->options.init);
	test->function();
	call(test->options.fini);
	call(suite->options.fini);
	cr_end();
}

static int status_of(const struct cr_test *test)
{
	int status = -1;
	pid_t pid;

	*told = (struct told){ 0 };
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_here(test);
	waitpid(pid, &status, 0);
	return status;
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
		printf(" signal %d", WTERMSIG(status));
	else if (status != 0 && told->failures == 0)
		printf(" status %d", WEXITSTATUS(status));
	putchar('\n');
	return status != 0;
}

int main(void)
{
	int count = 0, failed = 0;

	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		return EXIT_FAILURE;
	for (struct cr_test *test = cr_tests; test; test = test->next)
		count++;
	printf("1..%d\n", count);
	for (struct cr_test *test = cr_tests; test; test = test->next)
		failed += run(test);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

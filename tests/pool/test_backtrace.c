/* Where a task has failed or crashed. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <sys/resource.h>

#include "tests/pool/ends.h"

#define EXPORTED __attribute__((visibility("default"), noinline))

static volatile int depth_wanted;

int fail_by_name(struct carom_call *call);
int crash_by_name(struct carom_call *call);
int abort_by_name(struct carom_call *call);
int fail_in_the_depth(struct carom_call *call);
int overflow_by_name(struct carom_call *call);

EXPORTED int fail_by_name(struct carom_call *call)
{
	int r = carom_call_fail(call, -ENOENT, "no user %s", "nobody");

	return depth_wanted ? 0 : r;
}

EXPORTED int crash_by_name(struct carom_call *call)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 1;
	return depth_wanted;
}

EXPORTED int abort_by_name(struct carom_call *call)
{
	abort();
	return depth_wanted;
}

static __attribute__((noinline)) int descend(struct carom_call *call, int depth)
{
	int r = depth ? descend(call, depth - 1) : carom_call_fail(call, -EDOM, "so deep");

	return depth_wanted ? depth : r; /* volatile: there is something to do after the call */
}

EXPORTED int fail_in_the_depth(struct carom_call *call)
{
	return descend(call, 10000);
}

static __attribute__((noinline)) int descend_for_ever(volatile char *above)
{
	volatile char bytes[4096];

	bytes[0] = above ? above[0] : 0;
	return depth_wanted == 77 ? 0 : descend_for_ever(bytes) + bytes[0];
}

EXPORTED int overflow_by_name(struct carom_call *call)
{
	return descend_for_ever(NULL);
}

static struct carom_pool *pool_with_backtraces(void)
{
	struct carom_pool *pool = NULL;
	struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 4,
							       .backtraces = 1),
					   &pool)));
	return pool;
}

static struct carom_result *submit(struct carom_pool *pool, carom_task_fn *function)
{
	struct carom_result *result = NULL;

	cr_assert(zero(int, carom_pool_apply_async(pool, function, NULL, 0, NULL, &result)));
	carom_result_wait(result, CAROM_NO_DEADLINE);
	return result;
}

static bool has_backtrace_with(struct carom_result *result, const char *word)
{
	const char *text = NULL;
	size_t size = 0;

	if (carom_result_backtrace(result, &text, &size) < 0)
		return false;
	if (strlen(text) == size && strstr(text, word))
		return true;
	fprintf(stderr, "%s", text);
	return false;
}

/* RS-23 */
Test(backtrace, of_a_failure_has_the_name_of_the_function, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with_backtraces();
	struct carom_result *results[20];
	struct carom_outcome outcome;

	for (int i = 0; i < 20; i++) /* more than slots: most are moved to their handles */
		results[i] = submit(pool, fail_by_name);
	for (int i = 0; i < 20; i++) {
		carom_result_outcome(results[i], &outcome);
		cr_expect(zero(int, strcmp(outcome.message, "no user nobody")));
		cr_expect(has_backtrace_with(results[i], "#0 fail_by_name+"));
		carom_result_free(results[i]);
	}
}

/* RS-24 */
Test(backtrace, of_a_deep_stack_is_cut_and_says_so, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with_backtraces();
	CAROM_CLEANUP(carom_result_freep)
	struct carom_result *result = submit(pool, fail_in_the_depth);
	const char *text;
	size_t size;

	cr_assert(zero(int, carom_result_backtrace(result, &text, &size)));
	cr_expect(le(sz, size, 4096));
	cr_expect(zero(int, strcmp(text + size - 30, "[rest of backtrace truncated]\n")), "%s",
		  text);
}

#if !defined(__SANITIZE_ADDRESS__) /* which has handlers of its own */
static void expect_crash(carom_task_fn *function, const char *name, int signal_number)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with_backtraces();
	struct carom_result *results[6];
	struct carom_outcome outcome;

	for (int i = 0; i < 6; i++)
		results[i] = submit(pool, function);
	for (int i = 0; i < 6; i++) {
		carom_result_outcome(results[i], &outcome);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		cr_expect(eq(int, outcome.signal, signal_number));
		cr_expect(has_backtrace_with(results[i], name));
		cr_expect(has_backtrace_with(results[i], name));
		carom_result_free(results[i]);
	}
}

Test(backtrace, of_a_crash_has_the_name_of_the_function, .timeout = 20)
{
	expect_crash(crash_by_name, "#0 crash_by_name+", SIGSEGV);
	expect_crash(abort_by_name, " abort_by_name+", SIGABRT);
	expect_crash(overflow_by_name, "[rest of backtrace truncated]", SIGSEGV);
}
#endif

Test(backtrace, is_none_where_nobody_asked_or_nothing_went_wrong, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with_backtraces();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *plain = new_pool(1);
	const char *text = "kept";
	struct carom_result *results[] = { submit(pool, own_pid), submit(pool, kill_self),
					   submit(pool, exit_7), submit(plain, fail_by_name),
					   submit(plain, kill_self) };
	size_t size = 77;

	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
		cr_expect(eq(int, carom_result_backtrace(results[i], &text, &size), -ENODATA));
		carom_result_free(results[i]);
	}
	cr_expect(zero(int, strcmp(text, "kept")));
	cr_expect(eq(sz, size, 77));
}

static int fail_in_a_pool_of_its_own(struct carom_call *call)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with_backtraces();
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = submit(pool, fail_by_name);
	const char *text;
	size_t size;
	int r = carom_result_backtrace(result, &text, &size);

	return r < 0 ? r : carom_reply(call, text, size + 1);
}

/* ER-16 */
Test(backtrace, survives_a_second_hop_as_text, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	char text[8192];

	cr_assert(zero(int, carom_pool_apply(pool, fail_in_a_pool_of_its_own, NULL, 0, text,
					     sizeof(text), NULL, NULL)));
	cr_expect(ne(ptr, strstr(text, "fail_by_name+"), NULL));
}

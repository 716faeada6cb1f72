/*
 * Criterion, as much of it as the suites use
 *
 * Criterion starts its program anew for each test, which under AddressSanitizer takes longer than
 * most tests do; and under ThreadSanitizer it gives up, for it keeps its tests at addresses that
 * are wanted there. So a build with a sanitizer compiles the suites with this header in Criterion's
 * place: each test runs in a forked child, and the result is TAP. A sanitizer's report ends the
 * child with a status of its own, which is a failure.
 */
#ifndef CAROM_TESTS_CRITERION_H
#define CAROM_TESTS_CRITERION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/**
 * struct cr_test - a test that registered itself before main()
 * @timeout: seconds; 0 means its suite's, or 60. A sanitizer is slow, so it gets ten times that
 */
struct cr_test {
	const char *suite, *name;
	void (*function)(void);
	struct {
		bool disabled;
		double timeout;
		void (*init)(void);
		void (*fini)(void);
	} options;
	struct cr_test *next;
};

extern struct cr_test *cr_tests;

/** struct cr_suite - what is done around each test of a suite, and how long one may take */
struct cr_suite {
	const char *name;
	struct {
		double timeout;
		void (*init)(void);
		void (*fini)(void);
	} options;
	struct cr_suite *next;
};

extern struct cr_suite *cr_suites;

enum cr_when { PRE_ALL, POST_ALL };

/** struct cr_hook - what is done before all tests, or after them */
struct cr_hook {
	enum cr_when when;
	void (*function)(void);
	struct cr_hook *next;
};

extern struct cr_hook *cr_hooks;

/** struct cr_sides - of this thread's last comparison whose sides differed
 * @kind: the letter that the member of the sides begins with, or 0
 */
struct cr_sides {
	char kind;
	union cr_side {
		intmax_t integer;
		uintmax_t unsigned_integer;
		double real;
		const volatile void *pointer;
		const char *text;
	} a, b;
};

extern _Thread_local struct cr_sides cr_sides;

/* Counts a failure of the running test, and says where it was. */
void cr_failed(const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Ends the running test. */
void cr_end(void) __attribute__((noreturn));
void cr_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define Test(suite_, name_, ...)                                                   \
	static void suite_##_##name_(void);                                        \
	static void __attribute__((constructor)) suite_##_##name_##_register(void) \
	{                                                                          \
		static struct cr_test test = { .suite = #suite_,                   \
					       .name = #name_,                     \
					       .function = suite_##_##name_,       \
					       .options = { __VA_ARGS__ } };       \
		test.next = cr_tests;                                              \
		cr_tests = &test;                                                  \
	}                                                                          \
	static void suite_##_##name_(void)

#define TestSuite(suite_, ...)                                                                  \
	static void __attribute__((constructor)) suite_##_register(void)                        \
	{                                                                                       \
		static struct cr_suite suite = { .name = #suite_, .options = { __VA_ARGS__ } }; \
		suite.next = cr_suites;                                                         \
		cr_suites = &suite;                                                             \
	}                                                                                       \
	struct cr_suite

#define CR_CHECK(end, condition, ...)                                               \
	do {                                                                        \
		cr_sides.kind = 0;                                                  \
		if (!(condition)) {                                                 \
			cr_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
			end;                                                        \
		}                                                                   \
	} while (0)
#define cr_assert(condition, ...) CR_CHECK(cr_end(), condition, __VA_ARGS__)
#define cr_expect(condition, ...) CR_CHECK((void)0, condition, __VA_ARGS__)
#define cr_skip_test(...)         cr_skip(__VA_ARGS__)
#define cr_log_info(...)          (printf("# " __VA_ARGS__), putchar('\n'))
#define cr_log_warn               cr_log_info

#define cr_expect_eq(a, b)     cr_expect((a) == (b))
#define cr_expect_leq(a, b)    cr_expect((a) <= (b))
#define cr_expect_geq(a, b)    cr_expect((a) >= (b))
#define cr_expect_str_eq(a, b) cr_expect(strcmp(a, b) == 0)

#endif

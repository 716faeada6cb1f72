/*
 * Criterion, as much of it as runs under ThreadSanitizer
 *
 * Criterion keeps its tests in an arena at addresses that ThreadSanitizer wants for
 * itself, and gives up. So a build with -Db_sanitize=thread compiles the suites that
 * are tagged `threads` with this header in Criterion's place: each test runs in a
 * forked child, as there, and the result is TAP. A report of ThreadSanitizer ends
 * the child with a status of its own, which is a failure.
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
 * @timeout: seconds; 0 means 60. ThreadSanitizer is slow, so it gets ten times that
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

/** struct cr_suite - what is done around each test of a suite */
struct cr_suite {
	const char *name;
	struct {
		void (*init)(void);
		void (*fini)(void);
	} options;
	struct cr_suite *next;
};

extern struct cr_suite *cr_suites;

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
		if (!(condition)) {                                                 \
			cr_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
			end;                                                        \
		}                                                                   \
	} while (0)
#define cr_assert(condition, ...) CR_CHECK(cr_end(), condition, __VA_ARGS__)
#define cr_expect(condition, ...) CR_CHECK((void)0, condition, __VA_ARGS__)
#define cr_skip_test(...)         cr_skip(__VA_ARGS__)
#define cr_log_info(...)          (printf("# " __VA_ARGS__), putchar('\n'))

#endif

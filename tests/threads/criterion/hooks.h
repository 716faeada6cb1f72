/* Criterion's hooks around all tests; see criterion.h. They are told nothing here. */
#ifndef CAROM_TESTS_CRITERION_HOOKS_H
#define CAROM_TESTS_CRITERION_HOOKS_H

#include <criterion/criterion.h>

#define CR_TOLD_PRE_ALL  struct criterion_test_set
#define CR_TOLD_POST_ALL struct criterion_global_stats

struct criterion_test_set;
struct criterion_global_stats;

#define ReportHook(when_)                                                            \
	static void cr_hook_##when_(CR_TOLD_##when_ *);                              \
	static void cr_hook_##when_##_call(void)                                     \
	{                                                                            \
		cr_hook_##when_(NULL);                                               \
	}                                                                            \
	static void __attribute__((constructor)) cr_hook_##when_##_register(void)    \
	{                                                                            \
		static struct cr_hook hook = { .when = (when_),                      \
					       .function = cr_hook_##when_##_call }; \
		hook.next = cr_hooks;                                                \
		cr_hooks = &hook;                                                    \
	}                                                                            \
	static void cr_hook_##when_

#endif

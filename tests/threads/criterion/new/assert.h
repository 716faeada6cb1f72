/* Criterion's comparisons, for numbers, pointers and strings; see ../criterion.h. */
#ifndef CAROM_TESTS_CRITERION_NEW_ASSERT_H
#define CAROM_TESTS_CRITERION_NEW_ASSERT_H

#include <stdint.h>
#include <string.h>

static inline int cr_same_text(uintptr_t a, uintptr_t b)
{
	return strcmp((const char *)a, (const char *)b) == 0;
}

/* the type's name decides; each side is evaluated once */
#define CR_SAME(type, a, b) \
	(strcmp(type, "str") == 0 ? cr_same_text((uintptr_t)(a), (uintptr_t)(b)) : (a) == (b))

#define eq(type, a, b) CR_SAME(#type, a, b)
#define ne(type, a, b) (!CR_SAME(#type, a, b))
#define lt(type, a, b) ((a) < (b))
#define le(type, a, b) ((a) <= (b))
#define ge(type, a, b) ((a) >= (b))
#define zero(type, a)  ((a) == 0)
#define not(condition) (!(condition))

#endif

/* Criterion's comparisons, for numbers and pointers; see ../criterion.h. */
#ifndef CAROM_TESTS_CRITERION_NEW_ASSERT_H
#define CAROM_TESTS_CRITERION_NEW_ASSERT_H

#define eq(type, a, b) ((a) == (b))
#define ne(type, a, b) ((a) != (b))
#define lt(type, a, b) ((a) < (b))
#define le(type, a, b) ((a) <= (b))
#define gt(type, a, b) ((a) > (b))
#define ge(type, a, b) ((a) >= (b))
#define zero(type, a)  ((a) == 0)
#define not(condition) (!(condition))

#endif

/**
 * DOC: time
 *
 * Points in time are nanoseconds of CLOCK_MONOTONIC and are called `deadline_ns`
 * where something waits for them; lengths of time are nanoseconds too and are
 * called `..._ns` after what they measure. A wait takes a deadline, so that a
 * caller who waits again after an interruption does not wait longer:
 *
 *	r = carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(50)));
 *
 * Setting the wall clock has no effect on any of this.
 */
#ifndef CAROM_CORE_TIME_H
#define CAROM_CORE_TIME_H

#include <stdint.h>

#include "api.h"

CAROM_BEGIN_DECLS

#define CAROM_NS_PER_SEC      UINT64_C(1000000000)
#define CAROM_SECONDS(n)      ((uint64_t)(n)*CAROM_NS_PER_SEC)
#define CAROM_MILLISECONDS(n) ((uint64_t)(n)*UINT64_C(1000000))
#define CAROM_MICROSECONDS(n) ((uint64_t)(n)*UINT64_C(1000))

/* A deadline that never comes, and one that has passed: wait for ever, only look. */
#define CAROM_NO_DEADLINE UINT64_MAX
#define CAROM_PASSED      UINT64_C(0)

/* For spin_ns: go to sleep at once. */
#define CAROM_SPIN_NEVER UINT64_MAX

#define CAROM_KIB(n) ((uint64_t)(n) << 10)
#define CAROM_MIB(n) ((uint64_t)(n) << 20)
#define CAROM_GIB(n) ((uint64_t)(n) << 30)

/**
 * carom_now() - the time now, in ns of CLOCK_MONOTONIC
 *
 * Context: MT-Safe, AS-Safe (keeps errno). Never blocks.
 */
CAROM_API uint64_t carom_now(void);

/**
 * carom_deadline_after() - the point in time @ns from now
 * @ns: a length of time; one too long to express gives CAROM_NO_DEADLINE
 *
 * Context: MT-Safe, AS-Safe (keeps errno). Never blocks.
 */
CAROM_API uint64_t carom_deadline_after(uint64_t ns);

CAROM_END_DECLS

#endif

/*
 * Duration
 *
 * A length of time as people write it: 30, 0.5, 30s, 500ms, 2m, 1h. Without a
 * unit it is seconds.
 */
#ifndef CAROM_TOOLS_DURATION_H
#define CAROM_TOOLS_DURATION_H

#include <stdint.h>

/**
 * carom_duration_parse() - read a duration
 *
 * Digits below a nanosecond are dropped. Return: 0, -EINVAL (not a duration; no
 * sign, no exponent, no blanks), -ERANGE (does not fit 64 bits of ns).
 */
int carom_duration_parse(const char *text, uint64_t *ret_ns);

#endif

/*
 * Decimal: a number as people write it, read without a rounding in between
 */
#ifndef CAROM_TOOLS_DECIMAL_H
#define CAROM_TOOLS_DECIMAL_H

#include <stdint.h>

/**
 * carom_decimal_read() - digits, and perhaps a point and more of them
 * @text:   where they begin; then what stands behind them
 * @places: how many digits of the fraction count; those beyond are dropped
 * @ret_fraction: in units of the last place that counts
 *
 * Return: 0, or, with all untouched, -EINVAL (no digit), -ERANGE (64 bits do not hold it).
 */
int carom_decimal_read(const char **text, int places, uint64_t *ret_whole, uint64_t *ret_fraction);

#endif

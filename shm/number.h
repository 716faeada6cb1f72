/*
 * Number
 *
 * A number of one typecode as a number of another: the same, or not at all.
 */
#ifndef CAROM_SHM_NUMBER_H
#define CAROM_SHM_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/** carom_number_is_whole() - has this typecode whole numbers, of either sign? */
bool carom_number_is_whole(uint64_t type);

/** carom_number_is_alike() - have both the same size, and the same numbers? A char is any byte. */
bool carom_number_is_alike(uint64_t type, uint64_t other);

/**
 * carom_number_convert() - write a number as another type has it
 * @number:     of type @from; neither needs to be aligned
 * @ret_number: of type @to; rounded, if that is a float or double
 *
 * Return: 0, -EINVAL (not both are numbers; from a float or double to a whole number),
 * -ERANGE.
 */
int carom_number_convert(uint64_t from, const void *number, uint64_t to, void *ret_number);

#endif

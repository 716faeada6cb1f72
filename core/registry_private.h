/* Registry: functions by a number, for where a name is too long to travel. */
#ifndef CAROM_CORE_REGISTRY_PRIVATE_H
#define CAROM_CORE_REGISTRY_PRIVATE_H

#include <stdint.h>

#include "core/registry.h"

/* Set in every number, and in no address of a function. */
#define CAROM_REGISTRY_NUMBER (UINT64_C(1) << 63)

/**
 * carom_registered_number() - of a name of that function: the same in every program
 * Return: 0 if it has no name. MT-Safe.
 */
uint64_t carom_registered_number(carom_process_fn *function);

/** carom_registered_as() - the function of the name with that number, or NULL. MT-Safe. */
carom_process_fn *carom_registered_as(uint64_t number);

#endif

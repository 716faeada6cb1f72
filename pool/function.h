/*
 * Function: how a task names what is to be called
 *
 * To a worker that is a copy of the program, or a thread of it, by its address. To one
 * that was made by "spawn" by the number of its registered name (core/registry.h). One
 * word holds either, and tells which: no address has the bit CAROM_REGISTRY_NUMBER.
 */
#ifndef CAROM_POOL_FUNCTION_H
#define CAROM_POOL_FUNCTION_H

#include <stdint.h>

#include "core/registry_private.h"
#include "pool/call.h"

#define CAROM_FUNCTIONS_KNOWN 64

/** struct carom_functions - what was looked up before; zeroed at first */
struct carom_functions {
	struct {
		uint64_t from;
		uint64_t to;
	} known[CAROM_FUNCTIONS_KNOWN];
};

/**
 * carom_function_number() - for a program that is another image than this one
 * Return: 0, -ENOENT (not registered here). Not MT-Safe for one @memory.
 */
int carom_function_number(struct carom_functions *memory, carom_task_fn *function,
			  uint64_t *ret_word);

/**
 * carom_function_numbered() - what is to be called for a word that is no address
 *
 * For the main thread of a worker's process.
 * Return: never NULL: where nothing is registered as that, a function that fails and says so.
 */
carom_task_fn *carom_function_numbered(uint64_t word);

/** carom_function_of() - what is to be called for any word */
static inline carom_task_fn *carom_function_of(uint64_t word)
{
	if (word & CAROM_REGISTRY_NUMBER)
		return carom_function_numbered(word);
	return (carom_task_fn *)(uintptr_t)word;
}

#endif

/*
 * Function
 *
 * The registry is a list under a lock. Who submits, and who is called, looks there once
 * for each function: what it found stands in a table of its own, in the place that the
 * word itself gives. Two functions with the same place take turns in it.
 *
 * Cost for a task of a worker that shares the program's image: one branch.
 */
#include "pool/function.h"

#include <errno.h>

/* as good as any: the middle bits of an address, the middle bits of a hash */
static uint32_t place_of(uint64_t word)
{
	return (uint32_t)((word >> 4 ^ word >> 13) % CAROM_FUNCTIONS_KNOWN);
}

int carom_function_number(struct carom_functions *memory, carom_task_fn *function,
			  uint64_t *ret_word)
{
	uint64_t from = (uint64_t)(uintptr_t)function;
	uint32_t place = place_of(from);
	uint64_t to = memory->known[place].to;

	if (memory->known[place].from != from || !to) {
		to = carom_registered_number((carom_process_fn *)(void (*)(void))function);
		if (!to)
			return -ENOENT;
		memory->known[place].from = from;
		memory->known[place].to = to;
	}
	*ret_word = to;
	return 0;
}

static int not_registered(struct carom_call *call)
{
	return carom_call_fail(call, -ENOENT,
			       "its function is not registered in the worker's program");
}

carom_task_fn *carom_function_numbered(uint64_t word)
{
	static struct carom_functions memory;
	uint32_t place = place_of(word);
	carom_process_fn *function;

	if (memory.known[place].from == word)
		return (carom_task_fn *)(uintptr_t)memory.known[place].to;
	function = carom_registered_as(word);
	if (!function)
		return not_registered;
	memory.known[place].from = word;
	memory.known[place].to = (uint64_t)(uintptr_t)function;
	return (carom_task_fn *)(void (*)(void))function;
}

/*
 * Shepherd's memory: how much all processes of its job have, looked at now and then
 *
 * What stands in for a limit of memory where the kernel keeps none. A job may have more
 * between two looks.
 */
#ifndef CAROM_TOOLS_SHEPHERD_MEMORY_H
#define CAROM_TOOLS_SHEPHERD_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct carom_shepherd_memory - of one job
 * @limit_bytes: 0: nobody looks
 * @peak_bytes:  the most that was seen
 * @due_ns:      when to look next
 */
struct carom_shepherd_memory {
	uint64_t limit_bytes;
	uint64_t peak_bytes;
	uint64_t due_ns;
};

void carom_shepherd_memory_init(struct carom_shepherd_memory *memory, uint64_t limit_bytes);

/** carom_shepherd_memory_rest_ms() - until the next look, rounded up; -1: there is none */
int carom_shepherd_memory_rest_ms(const struct carom_shepherd_memory *memory);

/**
 * carom_shepherd_memory_look() - if it is time: at all that descend from this process
 *
 * Return: is it too much?
 */
bool carom_shepherd_memory_look(struct carom_shepherd_memory *memory);

#endif

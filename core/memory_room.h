/*
 * Memory room: how much memory this process could still be given
 */
#ifndef CAROM_CORE_MEMORY_ROOM_H
#define CAROM_CORE_MEMORY_ROOM_H

#include <stdint.h>

/**
 * carom_memory_room() - bytes that the machine and all control groups around it have left
 * @root: "", or a tree made for a test
 *
 * What they could win back from files, and swap, is counted as left. An estimate, for what
 * would else end in the kernel killing somebody: others take memory at the same time.
 *
 * Context: MT-Safe. Costs some ten microseconds and a few reads a group.
 * Return: UINT64_MAX where nothing can be learned.
 */
uint64_t carom_memory_room(const char *root);

#endif

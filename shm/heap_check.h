/*
 * Heap check
 */
#ifndef CAROM_SHM_HEAP_CHECK_H
#define CAROM_SHM_HEAP_CHECK_H

struct carom_heap;

/**
 * carom_heap_check() - walk the heap and compare everything with everything
 *
 * For tests: takes the heap's lock, finishes what a dead process began, and looks
 * at each block once.
 * Return: what is wrong, in words, or NULL.
 */
const char *carom_heap_check(struct carom_heap *heap);

#endif

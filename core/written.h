/*
 * Written: what every child writes to
 *
 * A page that a child writes to becomes its own, whole: 4 KiB of memory for each worker. So
 * variables that each of them sets when it begins stand together, in .data, of which
 * each of them writes to some anyway, and not wherever in .bss the linker has put them:
 *
 *	static uint64_t renewed_in CAROM_WRITTEN;
 */
#ifndef CAROM_CORE_WRITTEN_H
#define CAROM_CORE_WRITTEN_H

#define CAROM_WRITTEN __attribute__((section(".data")))

#endif

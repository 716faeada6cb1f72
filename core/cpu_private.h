/*
 * Cpu: what its tests need to know.
 */
#ifndef CAROM_CORE_CPU_PRIVATE_H
#define CAROM_CORE_CPU_PRIVATE_H

#include "core/cpu.h"

/** carom_cpu_count_below() - the same, of the files below @root; "" for those of the system */
int carom_cpu_count_below(const char *root, enum carom_cpu_kind kind);

#endif

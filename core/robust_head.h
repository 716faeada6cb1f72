/*
 * Robust head
 *
 * Where glibc keeps the list of robust mutexes that the calling thread holds, found
 * by looking at how it links one; for where get_robust_list(2) is denied, and to
 * check what that says.
 */
#ifndef CAROM_CORE_ROBUST_HEAD_H
#define CAROM_CORE_ROBUST_HEAD_H

#include <linux/futex.h>

/* The kernel finds the futex word so many bytes before a node, in glibc's mutex. */
#define CAROM_ROBUST_DISTANCE 32

/** carom_robust_head() - NULL: another C library, or a layout that is not known. MT-Safe. */
struct robust_list_head *carom_robust_head(void);

#endif

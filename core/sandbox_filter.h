/*
 * Sandbox filter: a program for the kernel's filter machine, made shorter
 */
#ifndef CAROM_CORE_SANDBOX_FILTER_H
#define CAROM_CORE_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

/** carom_sandbox_shorten() - leave out tests that cannot fail; in place. Return: the new length. */
size_t carom_sandbox_shorten(struct sock_filter *program, size_t length);

#endif

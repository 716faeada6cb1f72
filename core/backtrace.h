/*
 * Backtrace: where a thread is
 *
 * Addresses first, which may be taken in a signal handler; names later, where there is
 * time. Names are those that the dynamic linker knows: exported functions, and those of
 * a program that is linked with -rdynamic. What has none is told by file and offset, for
 * addr2line(1).
 */
#ifndef CAROM_CORE_BACKTRACE_H
#define CAROM_CORE_BACKTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAROM_BACKTRACE_FRAMES_MAX 64
#define CAROM_BACKTRACE_TEXT_MAX   4096

/**
 * struct carom_backtrace - the callers, the innermost first
 * @anchor: the address of a function of the library: what has another one is another image
 * @is_cut: there were more
 */
struct carom_backtrace {
	uint64_t anchor;
	uint32_t count;
	uint32_t is_cut;
	uint64_t frames[CAROM_BACKTRACE_FRAMES_MAX];
};

/** carom_backtrace_prepare() - load what a capture needs. Before the first one in a signal handler. */
void carom_backtrace_prepare(void);

/**
 * carom_backtrace_capture() - the callers of the caller
 * @first: begin with this address, if it is among them; 0: with the caller
 *
 * AS-Safe after carom_backtrace_prepare(), where carom_backtrace_is_safe() says so.
 */
void carom_backtrace_capture(struct carom_backtrace *ret_backtrace, uint64_t first);

/** carom_backtrace_is_safe() - may it be captured in a signal handler, whatever was interrupted? */
bool carom_backtrace_is_safe(void);

/**
 * carom_backtrace_format() - a line for each
 * @backtrace: may come from another process: it is checked
 * @text:      always with a NUL; a last line tells that something was cut
 * @size:      at least 64
 *
 * Takes the dynamic linker's lock.
 * Return: the length of @text.
 */
size_t carom_backtrace_format(const struct carom_backtrace *backtrace, char *text, size_t size);

#endif

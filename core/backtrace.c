/*
 * Backtrace
 *
 * By backtrace(3), which is the unwinder of libgcc. That finds the tables of a function by
 * _dl_find_object() of glibc 2.35, which takes no lock; before, it took one of the dynamic
 * linker's, and a handler that interrupted its holder would have waited for ever.
 */
#include "core/backtrace.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

static const char rest[] = "[rest of backtrace truncated]\n";

void carom_backtrace_prepare(void)
{
	void *frame;

	backtrace(&frame, 1); /* opens libgcc_s the first time */
}

bool carom_backtrace_is_safe(void)
{
#if defined(__GLIBC_PREREQ) && defined(__GNUC__) && !defined(__clang__)
	return __GLIBC_PREREQ(2, 35) && __GNUC__ >= 12;
#else
	return false;
#endif
}

/* where the caller's own frames begin: after this file's */
static uint32_t find_first(void *const *frames, uint32_t count, uint64_t first)
{
	for (uint32_t i = 0; first && i < count; i++)
		if ((uint64_t)(uintptr_t)frames[i] == first)
			return i;
	return count > 1 ? 1 : 0;
}

__attribute__((noinline)) void carom_backtrace_capture(struct carom_backtrace *ret_backtrace,
						       uint64_t first)
{
	void *frames[CAROM_BACKTRACE_FRAMES_MAX + 8];
	int max = (int)(sizeof(frames) / sizeof(frames[0]));
	int taken = backtrace(frames, max);
	uint32_t all = taken > 0 ? (uint32_t)taken : 0;
	uint32_t begin = find_first(frames, all, first);
	uint32_t count = all - begin;

	if (count > CAROM_BACKTRACE_FRAMES_MAX)
		count = CAROM_BACKTRACE_FRAMES_MAX;
	for (uint32_t i = 0; i < count; i++)
		ret_backtrace->frames[i] = (uint64_t)(uintptr_t)frames[begin + i];
	ret_backtrace->is_cut = taken == max || begin + count < all;
	ret_backtrace->anchor = (uint64_t)(uintptr_t)carom_backtrace_format;
	ret_backtrace->count = count;
}

/* a return address is behind the call, and perhaps behind its function: so one byte before */
static int format_frame(uint32_t number, uint64_t address, bool is_ours, char *text, size_t size)
{
	const void *place = (const void *)(uintptr_t)(address - 1);
	Dl_info info = { .dli_fname = NULL };

	if (!is_ours || !dladdr(place, &info) || !info.dli_fname)
		return snprintf(text, size, "#%u 0x%llx\n", number, (unsigned long long)address);
	if (!info.dli_sname)
		return snprintf(text, size, "#%u %s+0x%llx\n", number, basename(info.dli_fname),
				(unsigned long long)(address - (uintptr_t)info.dli_fbase));
	return snprintf(text, size, "#%u %s+0x%llx (%s+0x%llx)\n", number, info.dli_sname,
			(unsigned long long)(address - (uintptr_t)info.dli_saddr),
			basename(info.dli_fname),
			(unsigned long long)(address - (uintptr_t)info.dli_fbase));
}

size_t carom_backtrace_format(const struct carom_backtrace *backtrace, char *text, size_t size)
{
	uint32_t count = *(const volatile uint32_t *)&backtrace->count;
	bool is_ours = backtrace->anchor == (uint64_t)(uintptr_t)carom_backtrace_format;
	bool is_cut = backtrace->is_cut || count > CAROM_BACKTRACE_FRAMES_MAX;
	size_t room = size - sizeof(rest);
	size_t used = 0;

	if (count > CAROM_BACKTRACE_FRAMES_MAX)
		count = CAROM_BACKTRACE_FRAMES_MAX;
	for (uint32_t i = 0; i < count; i++) {
		int n = format_frame(i, backtrace->frames[i], is_ours, text + used, room - used);

		if (n < 0 || (size_t)n >= room - used) {
			is_cut = true;
			break;
		}
		used += (size_t)n;
	}
	memcpy(text + used, is_cut ? rest : "", is_cut ? sizeof(rest) : 1);
	return used + (is_cut ? sizeof(rest) - 1 : 0);
}

/*
 * Filter machine: what the kernel does with a seccomp filter, step by step
 *
 * The instructions that there are in such filters, and nothing else: another one is a
 * failure of the test.
 */
#ifndef TESTS_CORE_FILTER_MACHINE_H
#define TESTS_CORE_FILTER_MACHINE_H

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>

static inline bool holds(const struct sock_filter *at, uint32_t accumulator)
{
	switch (at->code) {
	case BPF_JMP | BPF_JEQ | BPF_K:
		return accumulator == at->k;
	case BPF_JMP | BPF_JGT | BPF_K:
		return accumulator > at->k;
	case BPF_JMP | BPF_JGE | BPF_K:
		return accumulator >= at->k;
	case BPF_JMP | BPF_JSET | BPF_K:
		return accumulator & at->k;
	default:
		cr_assert(false, "instruction %#x", at->code);
		return false;
	}
}

/* What the filter answers: an action in the upper half, its data in the lower. */
static inline uint32_t run_filter(const struct sock_filter *program, size_t length,
				  const struct seccomp_data *data)
{
	uint32_t accumulator = 0;

	for (size_t pc = 0; pc < length; pc++) {
		const struct sock_filter *at = &program[pc];

		switch (BPF_CLASS(at->code)) {
		case BPF_LD:
			cr_assert(at->code == (BPF_LD | BPF_W | BPF_ABS) && at->k % 4 == 0 &&
				  at->k < sizeof(*data));
			memcpy(&accumulator, (const char *)data + at->k, sizeof(accumulator));
			break;
		case BPF_ALU:
			cr_assert(at->code == (BPF_ALU | BPF_AND | BPF_K));
			accumulator &= at->k;
			break;
		case BPF_JMP:
			if (at->code == (BPF_JMP | BPF_JA))
				pc += at->k;
			else
				pc += holds(at, accumulator) ? at->jt : at->jf;
			break;
		case BPF_RET:
			cr_assert(at->code == (BPF_RET | BPF_K));
			return at->k;
		default:
			cr_assert(false, "instruction %#x", at->code);
		}
	}
	cr_assert(false, "the filter does not end");
	return 0;
}

#endif

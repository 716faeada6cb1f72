/*
 * Sandbox filter
 *
 * What libseccomp makes of a list is right, and longer than it has to be. Two things are
 * made shorter, because the kernel goes through the whole of it for each system call there
 * is when it is loaded, and on old ones for each call that is made:
 *
 *	arguments   are compared in two halves, also where the mask is 0 in the upper one:
 *	            ld [upper half]; and #0; jeq #0, next, never. Nearly all are of this kind.
 *	numbers     that are allowed without a condition stand in a row, one test for each,
 *	            all with the same end: their order does not matter. Of those that follow
 *	            each other two tests do, and in what room that gives half of them are
 *	            passed over by one test, and half of that half by the next.
 *
 * Only what is entered at its beginning is touched. Programs only jump forwards, and what is
 * left out lies between a jump and its target: so no distance grows.
 */
#include "core/sandbox_filter.h"

#include <linux/bpf_common.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LOAD   (BPF_LD | BPF_W | BPF_ABS)
#define AND    (BPF_ALU | BPF_AND | BPF_K)
#define JEQ    (BPF_JMP | BPF_JEQ | BPF_K)
#define JGE    (BPF_JMP | BPF_JGE | BPF_K)
#define JGT    (BPF_JMP | BPF_JGT | BPF_K)
#define ALWAYS (BPF_JMP | BPF_JA)

/** struct range - numbers that follow each other */
struct range {
	uint32_t first;
	uint32_t count;
};

/**
 * struct draft - a program at work
 * @is_target: somebody comes there by another way than from the one before
 * @is_gone:   is left out
 * @ranges:    room for one of each
 */
struct draft {
	struct sock_filter *program;
	size_t length;
	bool *is_target;
	bool *is_gone;
	uint16_t *places;
	struct range *ranges;
};

static bool is_test(const struct sock_filter *at)
{
	return BPF_CLASS(at->code) == BPF_JMP && at->code != ALWAYS;
}

static void find_targets(struct draft *draft)
{
	for (size_t i = 0; i < draft->length; i++) {
		const struct sock_filter *at = &draft->program[i];

		if (is_test(at) && at->jt)
			draft->is_target[i + 1 + at->jt] = true;
		if (is_test(at) && at->jf)
			draft->is_target[i + 1 + at->jf] = true;
		if (at->code == ALWAYS)
			draft->is_target[i + 1 + at->k] = true;
	}
}

/* --- halves that cannot differ ----------------------------------------- */

static bool cannot_fail(const struct draft *draft, size_t i)
{
	const struct sock_filter *at = &draft->program[i];

	return i + 3 < draft->length && at[0].code == LOAD && at[1].code == AND && at[1].k == 0 &&
	       at[2].code == JEQ && at[2].k == 0 && at[2].jt == 0 && at[3].code == LOAD &&
	       !draft->is_target[i + 1] && !draft->is_target[i + 2];
}

static void drop_halves(struct draft *draft)
{
	for (size_t i = 0; i < draft->length; i++)
		if (cannot_fail(draft, i))
			draft->is_gone[i] = draft->is_gone[i + 1] = draft->is_gone[i + 2] = true;
}

/* --- numbers in a row -------------------------------------------------- */

static bool is_number(const struct draft *draft, size_t i)
{
	return draft->program[i].code == JEQ && draft->program[i].jf == 0;
}

/* the tests from @begin on that lead to the same end, and are only come to one by one */
static size_t row_end(const struct draft *draft, size_t begin)
{
	size_t end = begin;

	while (end < draft->length && is_number(draft, end) &&
	       end + draft->program[end].jt == begin + draft->program[begin].jt &&
	       (end == begin || !draft->is_target[end]))
		end++;
	return end;
}

static int compare_numbers(const void *one, const void *other)
{
	const struct sock_filter *a = one, *b = other;

	return a->k < b->k ? -1 : a->k > b->k;
}

/**
 * struct row - what takes the place of one
 * @to:     where the next instruction goes
 * @end:    where it has ended, and who is in no range goes
 * @target: where the others go
 * @leaf:   of so many ranges each is looked at
 */
struct row {
	struct sock_filter *program;
	size_t to;
	size_t end;
	size_t target;
	size_t leaf;
};

static uint8_t distance(const struct row *row, size_t target)
{
	return (uint8_t)(target - row->to - 1);
}

/* @is_last: there is nobody to ask after it */
static void write_range(struct row *row, struct range range, bool is_last)
{
	uint32_t last = range.first + range.count - 1;
	size_t next = is_last ? row->end : row->to + (range.count > 1 ? 2 : 1);

	if (range.count > 1) {
		row->program[row->to] =
			(struct sock_filter){ JGE, 0, distance(row, next), range.first };
		row->to++;
		row->program[row->to] = (struct sock_filter){ JGT, distance(row, next),
							      distance(row, row->target), last };
	} else {
		row->program[row->to] = (struct sock_filter){ JEQ, distance(row, row->target),
							      distance(row, next), last };
	}
	row->to++;
}

/* Halves, and halves of them, until few are left. */
static void write_ranges(struct row *row, const struct range *ranges, size_t count)
{
	size_t fork = row->to, half = count / 2;

	if (count <= row->leaf) {
		for (size_t i = 0; i < count; i++)
			write_range(row, ranges[i], i + 1 == count);
		return;
	}
	row->to++;
	write_ranges(row, ranges, half);
	row->program[fork] =
		(struct sock_filter){ JGE, (uint8_t)(row->to - fork - 1), 0, ranges[half].first };
	write_ranges(row, ranges + half, count - half);
}

static size_t fork_count(size_t count, size_t leaf)
{
	if (count <= leaf)
		return 0;
	return 1 + fork_count(count / 2, leaf) + fork_count(count - count / 2, leaf);
}

/* Of sorted numbers; no range stands before the numbers that it is of. Return: how many. */
static size_t find_ranges(const struct sock_filter *numbers, size_t count, struct range *ranges)
{
	size_t range_count = 0;

	for (size_t i = 0; i < count; i++)
		if (range_count > 0 &&
		    numbers[i].k == ranges[range_count - 1].first + ranges[range_count - 1].count)
			ranges[range_count - 1].count++;
		else
			ranges[range_count++] = (struct range){ numbers[i].k, 1 };
	return range_count;
}

static size_t test_count(const struct range *ranges, size_t count)
{
	size_t tests = 0;

	for (size_t i = 0; i < count; i++)
		tests += ranges[i].count > 1 ? 2 : 1;
	return tests;
}

static void join_row(struct draft *draft, size_t begin, size_t end)
{
	struct row row = { .program = draft->program, .to = begin, .end = end, .leaf = 2 };
	struct range *ranges = draft->ranges;
	size_t count, room;

	row.target = begin + 1 + draft->program[begin].jt;
	qsort(draft->program + begin, end - begin, sizeof(*draft->program), compare_numbers);
	count = find_ranges(draft->program + begin, end - begin, ranges);
	room = end - begin - test_count(ranges, count);
	while (fork_count(count, row.leaf) > room)
		row.leaf++;
	write_ranges(&row, ranges, count);
	while (row.to < end)
		draft->is_gone[row.to++] = true;
}

static void join_numbers(struct draft *draft)
{
	for (size_t i = 0; i < draft->length; i++) {
		size_t end = row_end(draft, i);

		if (end - i > 2) {
			join_row(draft, i, end);
			i = end - 1;
		}
	}
}

/* --- without what is gone ---------------------------------------------- */

/* what is left out has the place of the next one that is not */
static size_t find_places(struct draft *draft)
{
	size_t place = 0;

	for (size_t i = 0; i < draft->length; i++) {
		draft->places[i] = (uint16_t)place;
		place += !draft->is_gone[i];
	}
	return place;
}

static void move(struct draft *draft, size_t from)
{
	struct sock_filter moved = draft->program[from];
	size_t to = draft->places[from];

	if (is_test(&moved)) {
		moved.jt = (uint8_t)(draft->places[from + 1 + moved.jt] - to - 1);
		moved.jf = (uint8_t)(draft->places[from + 1 + moved.jf] - to - 1);
	} else if (moved.code == ALWAYS) {
		moved.k = (uint32_t)(draft->places[from + 1 + moved.k] - to - 1);
	}
	draft->program[to] = moved;
}

static size_t close_gaps(struct draft *draft)
{
	size_t count = find_places(draft);

	for (size_t i = 0; i < draft->length; i++)
		if (!draft->is_gone[i])
			move(draft, i);
	return count;
}

size_t carom_sandbox_shorten(struct sock_filter *program, size_t length)
{
	struct draft draft = {
		.program = program,
		.length = length,
		.is_target = calloc(length + 1, sizeof(bool)),
		.is_gone = calloc(length + 1, sizeof(bool)),
		.places = calloc(length + 1, sizeof(uint16_t)),
		.ranges = calloc(length + 1, sizeof(struct range)),
	};

	if (draft.is_target && draft.is_gone && draft.places && draft.ranges) {
		find_targets(&draft);
		drop_halves(&draft);
		join_numbers(&draft);
		length = close_gaps(&draft);
	}
	free(draft.is_target);
	free(draft.is_gone);
	free(draft.places);
	free(draft.ranges);
	return length;
}

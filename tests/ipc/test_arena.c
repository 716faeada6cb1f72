/* Arena: room for payloads, allocated by one process, given back by any. */
#include "tests/shm/help.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "ipc/arena.h"
#include "shm/segment.h"

#define PAGE UINT64_C(4096)

/**
 * struct field - an arena that takes up a whole segment
 * @returned: shared, outside of the segment
 */
struct field {
	struct carom_segment *segment;
	unsigned char *base;
	_Atomic uint64_t *returned;
	struct carom_arena arena;
};

static void field_deinit(struct field *field)
{
	carom_segment_free(field->segment);
}

static struct field field_of(uint64_t size)
{
	struct field field = { .returned = share(sizeof(*field.returned)) };

	cr_assert(
		zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = size), &field.segment)));
	field.base = carom_segment_data(field.segment);
	carom_arena_init(&field.arena, field.base, 0, size, field.returned);
	return field;
}

static uint64_t alloc(struct field *field, uint64_t size)
{
	uint64_t offset = 0;

	cr_assert(zero(int, carom_arena_alloc(&field->arena, size, &offset)));
	return offset;
}

static void give(struct field *field, uint64_t offset, uint64_t size)
{
	carom_arena_return(field->base, field->returned, offset, size);
}

static uint64_t memory_held(const struct field *field)
{
	struct stat file;

	cr_assert(zero(int, fstat(carom_segment_fd(field->segment), &file)));
	return (uint64_t)file.st_blocks * 512;
}

Test(arena, a_block_is_used_by_another_process_and_comes_back, .timeout = 5)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	static const char text[] = "a payload of more than thirty-two bytes, read in place";
	uint64_t offset, again;
	pid_t pid;

	cr_assert(zero(int, carom_arena_alloc(&field.arena, sizeof(text), &offset)));
	memcpy(field.base + offset, text, sizeof(text));
	pid = child();
	if (pid == 0) {
		int differs = memcmp(field.base + offset, text, sizeof(text)) != 0;

		carom_arena_return(field.base, field.returned, offset, sizeof(text));
		_exit(differs);
	}
	cr_expect(zero(int, ended(pid)));

	cr_assert(zero(int, carom_arena_alloc(&field.arena, sizeof(text), &again)));
	cr_expect(eq(u64, again, offset));
}

/* ---- sizes ---- */

Test(arena, room_is_the_next_power_of_two)
{
	static const struct {
		uint64_t size, room;
	} cases[] = {
		{ 0, 64 },
		{ 1, 64 },
		{ 64, 64 },
		{ 65, 128 },
		{ 4096, 4096 },
		{ 4097, 8192 },
		{ CAROM_GIB(16), CAROM_GIB(16) },
		{ UINT64_C(64) << (CAROM_ARENA_CLASSES - 1), UINT64_C(64)
								     << (CAROM_ARENA_CLASSES - 1) },
		{ (UINT64_C(64) << (CAROM_ARENA_CLASSES - 1)) + 1, 0 },
		{ UINT64_MAX, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect(eq(u64, carom_arena_room(cases[i].size), cases[i].room), "size %llu",
			  (unsigned long long)cases[i].size);
}

Test(arena, offset_zero_is_never_handed_out)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(PAGE);
	uint64_t offset, count = 0;

	while (carom_arena_alloc(&field.arena, 1, &offset) == 0) {
		cr_expect(ne(u64, offset, 0));
		count++;
	}
	cr_expect(eq(u64, count, PAGE / 64 - 1));
}

Test(arena, blocks_are_aligned_to_a_line_and_large_ones_to_a_page)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_GIB(1));

	for (uint64_t size = 1; size < CAROM_MIB(64); size = size * 3 + 1) {
		uint64_t room = carom_arena_room(size);
		uint64_t offset = alloc(&field, size);

		cr_expect(zero(u64, offset % (room < PAGE ? room : PAGE)), "size %llu",
			  (unsigned long long)size);
		alloc(&field, 1); /* so that the next one does not begin where it ought to anyway */
	}
}

Test(arena, a_class_is_reused_by_its_own_sizes_only)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	uint64_t small = alloc(&field, 100), large = alloc(&field, 1000);

	carom_arena_free(&field.arena, small, 100);
	carom_arena_free(&field.arena, large, 1000);
	cr_expect(eq(u64, alloc(&field, 513), large));
	cr_expect(eq(u64, alloc(&field, 128), small));
}

/* ---- running short ---- */

Test(arena, says_when_there_is_no_room_and_goes_on_when_there_is)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	uint64_t untouched = 12345, offset = alloc(&field, CAROM_KIB(512));

	cr_expect(eq(int, carom_arena_alloc(&field.arena, CAROM_KIB(512), &untouched), -ENOMEM));
	cr_expect(eq(int, carom_arena_alloc(&field.arena, UINT64_MAX, &untouched), -ENOMEM));
	cr_expect(eq(u64, untouched, 12345));
	carom_arena_free(&field.arena, offset, CAROM_KIB(512));
	cr_expect(eq(u64, alloc(&field, CAROM_KIB(300)), offset));
}

Test(arena, a_range_that_is_empty_or_backwards_has_no_room)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	uint64_t offset;

	carom_arena_init(&field.arena, field.base, 8192, 8192, NULL);
	cr_expect(eq(int, carom_arena_alloc(&field.arena, 1, &offset), -ENOMEM));
	carom_arena_init(&field.arena, field.base, 8192, 4096, NULL);
	cr_expect(eq(int, carom_arena_alloc(&field.arena, 1, &offset), -ENOMEM));
}

/* The next owner's range: what holders still have lies outside of it. */
Test(arena, stays_inside_its_range)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	uint64_t begin = 3 * PAGE + 8, end = 9 * PAGE, offset;

	carom_arena_init(&field.arena, field.base, begin, end, NULL);
	for (uint64_t size = 64; size <= 4 * PAGE; size *= 2)
		while (carom_arena_alloc(&field.arena, size, &offset) == 0) {
			cr_expect(ge(u64, offset, begin));
			cr_expect(le(u64, offset + carom_arena_room(size), end));
			if (size > 1024)
				break;
		}
}

/* ---- giving back from elsewhere ---- */

Test(arena, returned_blocks_of_every_class_are_found)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(4));
	uint64_t offsets[14];

	for (int i = 0; i < 14; i++)
		offsets[i] = alloc(&field, UINT64_C(64) << i);
	for (int i = 0; i < 14; i++)
		give(&field, offsets[i], UINT64_C(64) << i);
	for (int i = 0; i < 14; i++)
		cr_expect(eq(u64, alloc(&field, UINT64_C(64) << i), offsets[i]));
	cr_expect(eq(u64, atomic_load(field.returned), 0));
}

/* Three processes give back while the owner allocates: no block is lost or there twice. */
Test(arena, many_return_at_once, .timeout = 30)
{
	enum { GIVERS = 3, BLOCKS = 64, ROUNDS = 3000 };
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));
	/* a block travels through the cell of its giver: 0 is an empty cell */
	_Atomic uint64_t *cells = share(GIVERS * sizeof(*cells));
	uint64_t total = 0, offset;
	pid_t givers[GIVERS];

	carom_arena_init(&field.arena, field.base, 0, 64 * (BLOCKS + 1), field.returned);
	for (int i = 0; i < GIVERS; i++) {
		givers[i] = child();
		if (givers[i] == 0)
			for (;;) {
				offset = atomic_exchange(&cells[i], 0);
				if (offset == UINT64_MAX)
					_exit(0);
				if (offset)
					give(&field, offset, 64);
				else
					sched_yield();
			}
	}
	while (total < GIVERS * ROUNDS) {
		uint64_t empty = 0;

		/* out of blocks: they are on their way back */
		if (carom_arena_alloc(&field.arena, 64, &offset) < 0) {
			sched_yield();
			continue;
		}
		memset(field.base + offset, 0xaa, 64);
		await(atomic_compare_exchange_strong(&cells[total % GIVERS], &empty, offset) ||
		      (empty = 0));
		total++;
	}
	for (int i = 0; i < GIVERS; i++) {
		await(!atomic_load(&cells[i]));
		atomic_store(&cells[i], UINT64_MAX);
		cr_expect(zero(int, ended(givers[i])));
	}
	for (uint64_t count = 0; count < BLOCKS; count++)
		cr_expect(zero(int, carom_arena_alloc(&field.arena, 64, &offset)));
	cr_expect(eq(int, carom_arena_alloc(&field.arena, 64, &offset), -ENOMEM));
}

/* ---- memory ---- */

Test(arena, costs_memory_only_where_it_is_used)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_GIB(16));
	uint64_t offset = alloc(&field, CAROM_GIB(4));

	memset(field.base + offset, 1, PAGE * 3);
	cr_expect(le(u64, memory_held(&field), PAGE * 3));
	carom_arena_free(&field.arena, offset, CAROM_GIB(4));
	cr_expect(le(u64, memory_held(&field), PAGE));
}

Test(arena, a_burst_of_large_payloads_gives_its_memory_back, .timeout = 20)
{
	enum { BURST = 32 };
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_GIB(1));
	uint64_t offsets[BURST];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < BURST; i++) {
			offsets[i] = alloc(&field, CAROM_MIB(1) - 5);
			memset(field.base + offsets[i], 1, CAROM_MIB(1) - 5);
		}
		cr_expect(ge(u64, memory_held(&field), CAROM_MIB(BURST) - PAGE));
		/* one way or the other */
		for (int i = 0; i < BURST; i++)
			if (i % 2)
				give(&field, offsets[i], CAROM_MIB(1) - 5);
			else
				carom_arena_free(&field.arena, offsets[i], CAROM_MIB(1) - 5);
		/* small ones only from now on, and never short of them */
		for (int i = 0; i < 64; i++)
			carom_arena_free(&field.arena, alloc(&field, 64), 64);
		cr_expect(le(u64, memory_held(&field), CAROM_MIB(16) + (BURST + 2) * PAGE),
			  "round %d", round);
	}
}

/* else each map faults them in anew, which takes longer than to write them */
Test(arena, blocks_of_a_large_map_keep_their_memory, .timeout = 20)
{
	enum { BLOCKS = 5 };
	const uint64_t size = 1500032; /* a value and a code each for 125,000 items */
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_GIB(1));
	uint64_t offsets[BLOCKS];
	uint64_t held;

	for (int i = 0; i < BLOCKS; i++) {
		offsets[i] = alloc(&field, size);
		memset(field.base + offsets[i], 1, size);
	}
	held = memory_held(&field);
	for (int i = 0; i < BLOCKS; i++)
		give(&field, offsets[i], size);
	for (int i = 0; i < BLOCKS; i++)
		offsets[i] = alloc(&field, size);
	cr_expect(eq(u64, memory_held(&field), held));
}

Test(arena, discarding_keeps_what_shares_a_page_with_the_neighbours)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(CAROM_MIB(1));

	memset(field.base, 7, 8 * PAGE);
	carom_arena_discard(field.base, PAGE + 100, 4 * PAGE);
	cr_expect(eq(u8, field.base[PAGE], 7));
	cr_expect(eq(u8, field.base[2 * PAGE - 1], 7));
	cr_expect(eq(u8, field.base[2 * PAGE], 0));
	cr_expect(eq(u8, field.base[5 * PAGE - 1], 0));
	cr_expect(eq(u8, field.base[5 * PAGE], 7));
	carom_arena_discard(field.base, 6 * PAGE + 1, PAGE - 2); /* no whole page */
	cr_expect(eq(u8, field.base[6 * PAGE + 1], 7));
}

/* ---- against a model ---- */

#define MODEL_SIZE CAROM_MIB(8)
#define HELD_MAX   400

/**
 * struct model - what must hold, written down naively
 * @taken: which lines of 64 bytes a holder has
 */
struct model {
	struct {
		uint64_t offset, size;
		unsigned char mark;
	} held[HELD_MAX];
	uint32_t held_count;
	bool taken[MODEL_SIZE / 64];
};

static void mark_lines(struct model *model, uint64_t offset, uint64_t room, bool taken)
{
	for (uint64_t line = offset / 64; line < (offset + room) / 64; line++) {
		cr_assert(ne(int, model->taken[line], taken), "line %llu",
			  (unsigned long long)line);
		model->taken[line] = taken;
	}
}

static void take_one(struct field *field, struct model *model, uint64_t *seed)
{
	uint64_t size = chance(seed) % (UINT64_C(1) << (chance(seed) % 17));
	uint64_t offset = 0;

	if (carom_arena_alloc(&field->arena, size, &offset) < 0)
		return;
	cr_assert(le(u64, offset + carom_arena_room(size), MODEL_SIZE));
	mark_lines(model, offset, carom_arena_room(size), true);
	memset(field->base + offset, (int)(model->held_count & 0xff), size);
	model->held[model->held_count].offset = offset;
	model->held[model->held_count].size = size;
	model->held[model->held_count].mark = model->held_count & 0xff;
	model->held_count++;
}

static void give_one(struct field *field, struct model *model, uint64_t *seed)
{
	uint32_t which = chance(seed) % model->held_count;
	uint64_t offset = model->held[which].offset, size = model->held[which].size;

	for (uint64_t i = 0; i < size; i++)
		if (field->base[offset + i] != model->held[which].mark)
			cr_assert(false, "byte %llu of a block changed", (unsigned long long)i);
	mark_lines(model, offset, carom_arena_room(size), false);
	if (chance(seed) % 2)
		carom_arena_free(&field->arena, offset, size);
	else
		give(field, offset, size);
	model->held[which] = model->held[--model->held_count];
}

Test(arena, never_hands_out_what_somebody_holds, .timeout = 30)
{
	CAROM_CLEANUP(field_deinit) struct field field = field_of(MODEL_SIZE);
	struct model *model = calloc(1, sizeof(*model));
	uint64_t seed = new_seed();

	cr_assert(ne(ptr, model, NULL));
	for (int step = 0; step < 50000; step++) {
		bool full = model->held_count == HELD_MAX;

		if (!full && (!model->held_count || chance(&seed) % 2))
			take_one(&field, model, &seed);
		else
			give_one(&field, model, &seed);
	}
	free(model);
}

/* Array: many items that processes share, where they lie, and who comes to them. */
#include "tests/shm/help.h"
#include "tests/shm/python.h"

#include <fcntl.h>

#include "core/points.h"
#include "shm/array.h"
#include "shm/segment.h"
#include "shm/shared_memory.h"
#include "shm/value.h"

#define NEW(...) CAROM_ARRAY_OPTIONS(__VA_ARGS__)
#define ARRAY    CAROM_CLEANUP(carom_array_freep) struct carom_array *

static struct carom_array *new_array(const struct carom_array_options *options)
{
	struct carom_array *array = NULL;
	int r = carom_array_new(options, &array);

	cr_assert(zero(int, r), "%d", r);
	return array;
}

static int64_t get(struct carom_array *array, int64_t index)
{
	int64_t item = -99;

	cr_expect(zero(int, carom_array_get(array, index, &item)), "item %d", (int)index);
	return item;
}

Test(array, is_one_for_parent_and_child, .timeout = 60)
{
	ARRAY counts = new_array(&NEW(CAROM_ITEM(int64_t), .count = 26));
	int64_t copy[26], sum = 0;
	pid_t pid = child();

	if (pid == 0)
		_exit(carom_array_set(counts, 3, 5) < 0 ||
		      carom_array_add(counts, -1, 2, &sum) < 0 || sum != 2);
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(i64, get(counts, 3), 5));
	cr_expect(zero(int, carom_array_read(counts, 0, 26, copy)));
	cr_expect(eq(i64, copy[25], 2));
}

/* SC-03 */
Test(array, is_of_a_length_or_of_a_sequence, .timeout = 60)
{
	static const short sequence[] = { 4, -5, 6 };
	ARRAY zeroed = new_array(&NEW(CAROM_ITEM(double), .count = 1000, .raw = 1));
	ARRAY told = new_array(&NEW(CAROM_ITEM(short), .count = 3, .items = sequence, .raw = 1));
	double real = 1;

	cr_expect(eq(u64, carom_array_len(zeroed), 1000));
	for (int i = 0; i < 1000; i++) {
		cr_expect(zero(int, carom_array_get(zeroed, i, &real)));
		cr_expect(eq(dbl, real, 0));
	}
	cr_expect(eq(u64, carom_array_len(told), 3));
	cr_expect(eq(u64, carom_array_type(told), CAROM_TYPE_SHORT));
	cr_expect(eq(u64, carom_array_item_size(told), sizeof(short)));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(i64, get(told, i), sequence[i]));
	cr_expect(eq(ptr, carom_array_get_lock(told), NULL));
	cr_expect(ne(ptr, carom_array_data(told), (void *)sequence));
}

Test(array, is_indexed_from_both_ends, .timeout = 60)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 3));
	int item = 7;

	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, carom_array_set(array, i, i)));
	cr_expect(eq(i64, get(array, -1), 2));
	cr_expect(eq(i64, get(array, -3), 0));
	cr_expect(eq(int, carom_array_get(array, 3, &item), -ERANGE));
	cr_expect(eq(int, carom_array_get(array, -4, &item), -ERANGE));
	cr_expect(eq(int, carom_array_get(array, INT64_MIN, &item), -ERANGE));
	cr_expect(eq(int, carom_array_set(array, 3, 1), -ERANGE));
	cr_expect(eq(int, carom_array_add(array, INT64_MAX, 1, NULL), -ERANGE));
	cr_expect(eq(int, item, 7));
}

/* SC-08 */
Test(array, has_slices, .timeout = 60)
{
	static const int sequence[] = { 0, 1, 2, 3, 4 };
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 5, .items = sequence));
	const int two[] = { 8, 9 };
	int copy[5] = { 0 };
	unsigned other[5];
	double real[5];

	cr_expect(zero(int, carom_array_read(array, -4, 3, copy)));
	cr_expect(eq(int, copy[0], 1));
	cr_expect(eq(int, copy[2], 3));
	cr_expect(zero(int, carom_array_write(array, 3, 2, two)));
	cr_expect(eq(i64, get(array, 3), 8));
	cr_expect(eq(i64, get(array, 4), 9));
	cr_expect(eq(int, carom_array_write(array, 4, 2, two), -ERANGE));
	cr_expect(eq(i64, get(array, 4), 9));
	cr_expect(eq(int, carom_array_read(array, 0, 6, copy), -ERANGE));
	cr_expect(eq(int, carom_array_read(array, 1, UINT64_MAX, copy), -ERANGE));
	cr_expect(eq(int, carom_array_read(array, 6, 0, copy), -ERANGE));
	cr_expect(zero(int, carom_array_read(array, 5, 0, (int *)NULL)));
	cr_expect(eq(int, carom_array_read(array, 0, 5, other), -EINVAL));
	cr_expect(eq(int, carom_array_write(array, 0, 5, real), -EINVAL));
}

/* SC-08 */
Test(array, slices_are_read_whole_while_others_write, .timeout = 240)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 1000));
	int items[1000];
	pid_t pid = child();

	if (pid == 0) {
		for (int turn = 0; turn < 2000; turn++) {
			for (int i = 0; i < 1000; i++)
				items[i] = turn;
			if (carom_array_write(array, 0, 1000, items) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int turn = 0; turn < 2000; turn++) {
		cr_assert(zero(int, carom_array_read(array, 0, 1000, items)));
		for (int i = 1; i < 1000; i++)
			if (items[i] != items[0])
				cr_assert(eq(int, items[i], items[0]));
	}
	cr_expect(zero(int, ended(pid)));
}

/* SC-05 */
Test(array, of_chars_has_text_that_ends_with_a_nul_and_bytes_that_do_not, .timeout = 60)
{
	ARRAY chars = new_array(&NEW(CAROM_ITEM(char), .count = 8, .items = "ab\0cdefg"));
	char text[9], raw[8];
	unsigned char bytes[8];
	size_t length = 0;

	cr_expect(zero(int, carom_array_get_text(chars, text, sizeof(text), &length)));
	cr_expect(eq(sz, length, 2));
	cr_expect(zero(int, strcmp(text, "ab")));
	cr_expect(zero(int, carom_array_read(chars, 0, 8, raw)));
	cr_expect(zero(int, memcmp(raw, "ab\0cdefg", 8)));
	cr_expect(zero(int, carom_array_read(chars, 0, 8, bytes)));

	cr_expect(zero(int, carom_array_set_text(chars, "xyz")));
	cr_expect(zero(int, carom_array_read(chars, 0, 8, raw)));
	cr_expect(zero(int, memcmp(raw, "xyz\0defg", 8)), "what stands behind it stays");
	cr_expect(zero(int, carom_array_set_text(chars, "12345678")));
	cr_expect(zero(int, carom_array_get_text(chars, text, sizeof(text), NULL)));
	cr_expect(zero(int, strcmp(text, "12345678")), "all of it, where no NUL has room");

	cr_expect(eq(int, carom_array_set_text(chars, "123456789"), -ERANGE));
	cr_expect(eq(int, carom_array_write(chars, 0, 9, "123456789"), -ERANGE));
	cr_expect(eq(int, carom_array_get_text(chars, text, 8, &length), -EMSGSIZE));
	cr_expect(eq(sz, length, 8));
}

Test(array, of_anything_else_has_no_text, .timeout = 60)
{
	ARRAY bytes = new_array(&NEW(CAROM_ITEM(unsigned char), .count = 8));
	char text[9];

	cr_expect(eq(int, carom_array_set_text(bytes, "a"), -EINVAL));
	cr_expect(eq(int, carom_array_get_text(bytes, text, 9, NULL), -EINVAL));
}

/* SC-05 */
Test(array, text_is_as_pythons_value_and_raw, .timeout = 60)
{
	static const char code[] = "from multiprocessing import Array\n"
				   "a = Array('c', b'ab\\0cdefg')\n"
				   "assert a.value == b'ab' and a.raw == b'ab\\0cdefg'\n"
				   "a.value = b'xyz'\n"
				   "assert a.raw == b'xyz\\0defg'\n"
				   "a.value = b'12345678'\n"
				   "assert a.value == b'12345678'\n"
				   "try: a.value = b'123456789'\n"
				   "except ValueError: pass\n"
				   "else: assert False\n";

	skip_without_python();
	cr_expect(zero(int, python(code)));
}

struct point {
	double x, y;
};

/* SC-09 */
Test(array, of_structs_is_changed_by_a_child, .timeout = 60)
{
	ARRAY path = new_array(&NEW(CAROM_ITEM(struct point), .count = 10));
	struct point *points = carom_array_data(path), point = { 0 };
	int r = 0;
	pid_t pid = child();

	if (pid == 0) {
		CAROM_HOLDING(r, carom_array_get_lock(path)) {
			points[0].x = 1;
			points[9].y = -1;
		}
		_exit(r < 0 || carom_array_set(path, 4, (struct point){ 3, 4 }) < 0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, carom_array_get(path, 4, &point)));
	cr_expect(eq(dbl, point.x, 3));
	cr_expect(eq(dbl, point.y, 4));
	cr_expect(zero(int, carom_array_get(path, 0, &point)));
	cr_expect(eq(dbl, point.x, 1));
	cr_expect(zero(int, carom_array_get(path, -1, &point)));
	cr_expect(eq(dbl, point.y, -1));
}

/* SC-07 */
Test(array, copy_is_another_array, .timeout = 60)
{
	static const int sequence[] = { 1, 2, 3 };
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 3, .items = sequence));
	ARRAY copy = NULL;
	struct carom_array *untouched = NULL;

	cr_expect(zero(int, carom_array_copy(array, NULL, &copy)));
	cr_expect(zero(int, carom_array_set(array, 0, 9)));
	cr_expect(eq(i64, get(copy, 0), 1));
	cr_expect(eq(u64, carom_array_len(copy), 3));
	cr_expect(eq(int, carom_array_copy(array, &NEW(.count = 2), &untouched), -EINVAL));
	cr_expect(eq(int, carom_array_copy(array, &NEW(.items = sequence), &untouched), -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
}

/* SC-07 */
Test(array, is_synchronized_once, .timeout = 60)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 3, .raw = 1));
	ARRAY other = NULL;

	cr_expect(zero(int, carom_array_synchronize(array, NULL)));
	cr_expect(eq(int, carom_array_synchronize(array, NULL), -EINVAL));
	cr_expect(zero(int, carom_array_attach_dup(carom_array_fd(array), NULL, &other)));
	cr_expect(ne(ptr, carom_array_get_lock(other), NULL), "who attaches has it, too");
}

/* ---- deaths ---- */

#define ITEM_COUNT 8
#define TOTAL      1000

/* All items together are TOTAL, whenever nobody says that a holder died. */
static int64_t total_of(struct carom_array *array)
{
	const int64_t *items = carom_array_data(array);
	int64_t total = 0;

	for (int i = 0; i < ITEM_COUNT; i++)
		total += items[i];
	return total;
}

static void move_for_ever(struct carom_array *array, _Atomic uint64_t *moves, uint64_t seed)
{
	struct carom_value_lock *lock = carom_array_get_lock(array);
	volatile int64_t *items = carom_array_data(array);

	for (;;) {
		uint32_t from = chance(&seed) % ITEM_COUNT, to = chance(&seed) % ITEM_COUNT;
		int r = carom_value_lock_acquire(lock, CAROM_NO_DEADLINE);

		if (r == -EOWNERDEAD) {
			items[0] += TOTAL - total_of(array);
			carom_value_lock_consistent(lock);
		} else if (r < 0) {
			_exit(1);
		}
		if (total_of(array) != TOTAL)
			_exit(2);
		items[from]--;
		items[to]++;
		carom_value_lock_release(lock);
		++*moves;
	}
}

Test(array, loses_nothing_in_a_storm_of_kills, .timeout = 120)
{
	int64_t items[ITEM_COUNT] = { TOTAL };
	ARRAY array = new_array(&NEW(CAROM_ITEM(int64_t), .count = ITEM_COUNT, .items = items));
	_Atomic uint64_t *moves = share(sizeof(*moves));
	uint64_t seed = new_seed();
	pid_t pids[3] = { 0 };

	for (int turn = 0; turn < 300; turn++) {
		uint32_t which = chance(&seed) % 3;
		uint64_t enough = *moves + chance(&seed) % 200;

		if (pids[which])
			cr_assert(eq(int, killed(pids[which]), -SIGKILL), "turn %d", turn);
		pids[which] = child();
		if (pids[which] == 0)
			move_for_ever(array, moves, seed);
		await(*moves > enough); /* somebody always gets on */
	}
	for (int i = 0; i < 3; i++)
		if (pids[i])
			cr_expect(eq(int, killed(pids[i]), -SIGKILL));
	if (carom_array_read(array, 0, ITEM_COUNT, items) == 0)
		cr_expect(eq(i64, total_of(array), TOTAL));
}

/* ---- where it lies ---- */

/* SC-12 */
Test(array, is_attached_by_its_descriptor, .timeout = 60)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 3));
	ARRAY other = NULL;

	cr_assert(zero(int, carom_array_attach_dup(carom_array_fd(array), NULL, &other)));
	cr_expect(ne(ptr, carom_array_data(other), carom_array_data(array)));
	cr_expect(eq(u64, carom_array_len(other), 3));
	cr_expect(eq(u64, carom_array_type(other), CAROM_TYPE_INT));
	cr_expect(zero(int, carom_array_set(other, 2, 5)));
	cr_expect(eq(i64, get(array, 2), 5));
	array = carom_array_free(array);
	cr_expect(eq(i64, get(other, 2), 5));
}

static uint64_t block_count(struct carom_heap *heap)
{
	struct carom_heap_stats stats;

	cr_assert(zero(int, carom_heap_stats(heap, &stats)));
	return stats.used_count;
}

/* SC-13 */
Test(array, in_a_heap_gives_its_block_back, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
	struct carom_array *array;
	uint64_t before;
	pid_t pid;

	cr_assert(zero(int, carom_heap_new(NULL, &heap)));
	before = block_count(heap);
	array = new_array(&NEW(CAROM_ITEM(int), .count = 300, .heap = heap));
	cr_expect(eq(u64, block_count(heap), before + 1));
	cr_expect(eq(int, carom_array_fd(array), -EBADF));
	pid = child();
	if (pid == 0) {
		struct carom_array *own = NULL;
		int r = carom_array_attach_at(carom_array_storage(array),
					      carom_array_storage_size(sizeof(int), 300), NULL,
					      &own);

		if (r == 0)
			r = carom_array_set(own, 299, 5);
		carom_array_free(own);
		carom_array_free(array); /* not its own to give back */
		_exit(r < 0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(u64, block_count(heap), before + 1));
	cr_expect(eq(i64, get(array, -1), 5));
	carom_array_free(array);
	cr_expect(eq(u64, block_count(heap), before));
}

/* SC-13 */
Test(array, in_a_heap_is_reclaimed_after_its_maker_s_death, .timeout = 60)
{
	static const char *const points[] = { "value.placed", "value.locked" };
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
	uint64_t before, count;

	cr_assert(zero(int, carom_heap_new(NULL, &heap)));
	before = block_count(heap);
	for (int i = 0; i < 2; i++) {
		int r = carom_point_arm_once(points[i], 1, SIGKILL);
		pid_t pid;

		if (r == -EOPNOTSUPP)
			cr_skip_test("built without points");
		pid = child();
		if (pid == 0) {
			struct carom_array *array =
				new_array(&NEW(CAROM_ITEM(int), .count = 300, .heap = heap));

			_exit(carom_array_set(array, 0, 1) == 0);
		}
		cr_expect(eq(int, ended(pid), -SIGKILL), "%s", points[i]);
		cr_expect(eq(u64, block_count(heap), before + 1), "%s", points[i]);
		cr_expect(zero(int, carom_heap_reclaim(heap, pid, &count)));
		cr_expect(eq(u64, count, 1), "%s", points[i]);
		cr_expect(eq(u64, block_count(heap), before), "%s", points[i]);
		carom_point_disarm_all();
	}
}

Test(array, lies_in_memory_of_the_callers, .timeout = 60)
{
	uint64_t size = carom_array_storage_size(sizeof(int), 4);
	char *storage = share(2 * size + 16);
	ARRAY array = NULL;
	ARRAY other = NULL;
	struct carom_array *untouched = NULL;

	memset(storage, 0xff, 2 * size);
	array = new_array(
		&NEW(CAROM_ITEM(int), .count = 4, .storage = storage, .storage_size = size));
	cr_expect(eq(ptr, carom_array_storage(array), storage));
	cr_expect(zero(i64, get(array, 3)));
	cr_expect(eq(int, (unsigned char)storage[size], 0xff), "and no further");
	cr_expect(zero(int, carom_array_attach_at(storage, size, NULL, &other)));
	cr_expect(zero(int, carom_array_set(other, 3, 8)));
	cr_expect(eq(i64, get(array, 3), 8));

	cr_expect(eq(int, carom_array_attach_at(storage, size - 1, NULL, &untouched), -EBADMSG));
	cr_expect(eq(int, carom_array_attach_at(storage, 7, NULL, &untouched), -EBADMSG));
	cr_expect(eq(int, carom_array_attach_at(storage + 8, size, NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_array_attach_at(NULL, size, NULL, &untouched), -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
}

Test(array, whose_lock_lies_elsewhere_is_attached_with_it, .timeout = 60)
{
	struct carom_value_lock *lock = share(sizeof(*lock));
	ARRAY array = NULL;
	ARRAY own = new_array(&NEW(CAROM_ITEM(int), .count = 1));
	ARRAY other = NULL;
	struct carom_array *untouched = NULL;

	cr_assert(zero(int, carom_value_lock_init(lock)));
	array = new_array(&NEW(CAROM_ITEM(int), .count = 1, .lock = lock));
	cr_expect(
		eq(int, carom_array_attach_dup(carom_array_fd(array), NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_array_attach_dup(carom_array_fd(own), lock, &untouched), -EINVAL));
	cr_expect(eq(ptr, untouched, NULL));
	cr_expect(zero(int, carom_array_attach_dup(carom_array_fd(array), lock, &other)));
	cr_expect(eq(ptr, carom_array_get_lock(other), lock));
}

Test(array, is_refused_if_it_makes_no_sense, .timeout = 60)
{
	struct carom_value_lock lock = { 0 };
	char storage[4096] __attribute__((aligned(16)));
	struct carom_array *untouched = NULL;
	const struct {
		struct carom_array_options options;
		int r;
	} cases[] = {
		{ NEW(.type = 'x', .count = 1), -EINVAL },
		{ NEW(.type = CAROM_TYPE_STRUCT, .count = 1), -EINVAL },
		{ NEW(.type = CAROM_TYPE_INT, .item_size = 8, .count = 1), -EINVAL },
		{ NEW(CAROM_ITEM(int), .count = 1, .raw = 1, .lock = &lock), -EINVAL },
		{ NEW(CAROM_ITEM(int), .count = UINT64_MAX / 2), -EOVERFLOW },
		{ NEW(CAROM_ITEM(int), .count = INT64_MAX / 4), -EOVERFLOW },
		{ NEW(CAROM_ITEM(int), .count = 1, .storage = storage), -ENOSPC },
		{ NEW(CAROM_ITEM(int), .count = 4096, .storage = storage,
		      .storage_size = sizeof(storage)),
		  -ENOSPC },
		{ NEW(CAROM_ITEM(int), .count = 1, .storage = storage + 1, .storage_size = 4000),
		  -EINVAL },
		{ NEW(CAROM_ITEM(int), .count = 1, .storage = storage,
		      .storage_size = sizeof(storage), .heap = (struct carom_heap *)storage),
		  -EINVAL },
	};
	struct {
		struct carom_array_options known;
		uint64_t unknown;
	} newer = { NEW(CAROM_ITEM(int), .count = 1), 1 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect(eq(int, carom_array_new(&cases[i].options, &untouched), cases[i].r),
			  "case %zu", i);
	cr_expect(eq(int, carom_array_new(NULL, &untouched), -EINVAL));
	newer.known.size_bytes = sizeof(newer);
	cr_expect(eq(int, carom_array_new(&newer.known, &untouched), -E2BIG));
	cr_expect(eq(ptr, untouched, NULL));
	cr_expect(zero(u64, carom_array_storage_size(UINT64_MAX, 2)));
}

Test(array, may_be_empty, .timeout = 60)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 0));
	ARRAY chars = new_array(&NEW(CAROM_ITEM(char), .count = 0));
	char text[1] = "x";
	int item;

	cr_expect(zero(u64, carom_array_len(array)));
	cr_expect(eq(int, carom_array_get(array, 0, &item), -ERANGE));
	cr_expect(eq(int, carom_array_get(array, -1, &item), -ERANGE));
	cr_expect(zero(int, carom_array_read(array, 0, 0, &item)));
	cr_expect(zero(int, carom_array_set_text(chars, "")));
	cr_expect(zero(int, carom_array_get_text(chars, text, 1, NULL)));
	cr_expect(zero(int, text[0]));
}

/* ---- nonsense ---- */

Test(array, does_not_attach_to_what_is_none, .timeout = 60)
{
	static const struct {
		int word;
		uint64_t content;
		int r;
	} cases[] = {
		{ 0, 0, -EBADMSG }, /* magic */
		{ 1, 'x', -EBADMSG },
		{ 1, 'h', -EBADMSG }, /* another size */
		{ 1, 'I', 0 },
		{ 2, 0, -EBADMSG },
		{ 2, 8, -EBADMSG },
		{ 3, 5, -EBADMSG }, /* one too many */
		{ 3, UINT64_MAX, -EBADMSG },
		{ 3, UINT64_MAX / 4 + 2, -EBADMSG },
		{ 3, 0, 0 },
		{ 4, 0, -EBADMSG },
		{ 5, 3, -EBADMSG },
	};
	uint64_t size = carom_array_storage_size(sizeof(int), 4), *words = share(size);

	carom_array_free(new_array(
		&NEW(CAROM_ITEM(int), .count = 4, .storage = words, .storage_size = size)));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t was = words[cases[i].word];
		ARRAY other = NULL;

		words[cases[i].word] = cases[i].content;
		cr_expect(eq(int, carom_array_attach_at(words, size, NULL, &other), cases[i].r),
			  "case %zu", i);
		words[cases[i].word] = was;
	}
}

Test(array, goes_by_what_it_once_was_told, .timeout = 60)
{
	ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 4));
	uint64_t *words = carom_array_storage(array);
	int item;

	for (int i = 0; i < 5; i++)
		words[i] = UINT64_MAX;
	cr_expect(zero(int, carom_array_set(array, 3, 7)));
	cr_expect(eq(i64, get(array, 3), 7));
	cr_expect(eq(int, carom_array_get(array, 4, &item), -ERANGE));
	cr_expect(eq(u64, carom_array_len(array), 4));
}

Test(array, in_a_segment_of_something_else_is_none, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct carom_array *array = NULL;
	struct carom_value *value = NULL;
	ARRAY two = new_array(&NEW(CAROM_ITEM(int), .count = 2));
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 4096), &segment)));
	cr_expect(
		eq(int, carom_array_attach_dup(carom_segment_fd(segment), NULL, &array), -EBADMSG));
	cr_expect(eq(int, carom_array_attach_dup(fd, NULL, &array), -EBADMSG));
	cr_expect(eq(int, carom_array_attach_dup(-1, NULL, &array), -EBADF));
	cr_expect(eq(int, carom_value_attach_dup(carom_array_fd(two), NULL, &value), -EBADMSG));
	cr_expect(eq(int, carom_value_attach_at(carom_array_storage(two), 4096, NULL, &value),
		     -EBADMSG));
	cr_expect(eq(ptr, array, NULL));
	cr_expect(eq(ptr, value, NULL));
	close(fd);
}

Test(array, leaves_nothing_behind, .timeout = 60)
{
	int before = open_fd_count();

	for (int i = 0; i < 100; i++) {
		ARRAY array = new_array(&NEW(CAROM_ITEM(int), .count = 4));
		ARRAY other = NULL;
		struct carom_array *untouched = NULL;

		cr_expect(zero(int, carom_array_attach_dup(carom_array_fd(array), NULL, &other)));
		*(uint64_t *)carom_array_storage(array) = 0;
		cr_expect(eq(int, carom_array_attach_dup(carom_array_fd(array), NULL, &untouched),
			     -EBADMSG));
	}
	cr_expect(eq(int, open_fd_count(), before));
	cr_expect(eq(ptr, carom_array_free(NULL), NULL));
}

/* ---- Python ---- */

/* It finds the items by the words that they begin with. */
static const char find_items[] =
	"import struct\n"
	"def items_of(buf):\n"
	"  magic, code, size, count, offset = struct.unpack_from('@8sQQQQ', buf)\n"
	"  assert magic == b'carom-v1'\n"
	"  return memoryview(buf)[offset:offset + size * count].cast(chr(code))\n";

/* SC-01 */
Test(array, of_every_type_is_read_and_written_by_python, .timeout = 120)
{
	static const char types[] = "bBhHiIlLqQfd";
	char code[4096];
	size_t length;
	struct carom_array *arrays[sizeof(types) - 1];

	skip_without_python();
	length = (size_t)sprintf(code, "import mmap, os\n%s", find_items);
	for (size_t i = 0; i < sizeof(types) - 1; i++) {
		arrays[i] = new_array(&NEW(.type = (uint64_t)types[i], .count = 3));
		cr_assert(zero(int, carom_array_set(arrays[i], 0, 7)));
		length += (size_t)sprintf(code + length,
					  "m = items_of(mmap.mmap(os.open('/proc/%d/fd/%d', "
					  "os.O_RDWR), 0))\n"
					  "assert list(m) == [7, 0, 0] and m.format == '%c'\n"
					  "m[2] = 100\n",
					  (int)getpid(), carom_array_fd(arrays[i]), types[i]);
	}
	cr_expect(zero(int, python(code)));
	for (size_t i = 0; i < sizeof(types) - 1; i++) {
		double real = 0;

		cr_expect(zero(int, carom_array_get(arrays[i], 2, &real)));
		cr_expect(eq(dbl, real, 100), "%c", types[i]);
		carom_array_free(arrays[i]);
	}
}

Test(array, in_shared_memory_with_a_name_is_shared_with_python, .timeout = 60)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *memory = NULL;
	uint64_t size = carom_array_storage_size(sizeof(double), 2);
	char code[1024];
	ARRAY array = NULL;
	double real = 0;

	skip_without_python();
	cr_assert(zero(
		int, carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.size = size), &memory)));
	array = new_array(&NEW(CAROM_ITEM(double), .count = 2,
			       .storage = carom_shared_memory_data(memory), .storage_size = size));
	snprintf(code, sizeof(code),
		 "%s"
		 "from multiprocessing import shared_memory, resource_tracker\n"
		 "s = shared_memory.SharedMemory(name='%s')\n"
		 "resource_tracker.unregister(s._name, 'shared_memory')\n"
		 "m = items_of(s.buf)\n"
		 "m[1] = 0.5\n"
		 "m.release()\n",
		 find_items, carom_shared_memory_name(memory));
	cr_expect(zero(int, python(code)));
	cr_expect(zero(int, carom_array_get(array, 1, &real)));
	cr_expect(eq(dbl, real, 0.5));
	array = carom_array_free(array);
	cr_expect(zero(int, carom_shared_memory_unlink(memory)));
}

/* What travels: large, garbled, or not at all. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <sys/mman.h>

#include "pool/call_private.h"
#include "tests/pool/isolated.h"
#include "tests/pool/work.h"

/* ---- large ---- */

#define LARGE      (CAROM_GIB(2) + CAROM_MIB(1)) /* beyond what 31 bits can say */
#define LARGE_STEP CAROM_MIB(64)
#define LARGE_MARK UINT64_C(0x1000000000000)

static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kib * 1024;
}

/* a mark at each step, so that no byte need be looked at in between */
static bool is_marked(const unsigned char *data)
{
	for (uint64_t at = 0; at < LARGE; at += LARGE_STEP)
		if (*(const uint64_t *)(const void *)(data + at) != (LARGE_MARK | at))
			return false;
	return true;
}

static uint64_t peak_memory(void)
{
	struct carom_memory_usage usage;

	return carom_memory_usage(&usage) == 0 ? usage.peak : UINT64_MAX;
}

struct large_end {
	uint64_t peak;
	uint64_t marked;
};

/* gives back what it was given, and at its end what that took this worker */
static int give_back(struct carom_call *call)
{
	size_t size;
	const unsigned char *data = carom_call_data(call, &size);
	struct large_end *end;
	void *room;
	int r = carom_reply_reserve(call, size + sizeof(*end), &room);

	if (r < 0)
		return r;
	memcpy(room, data, size);
	end = (void *)((unsigned char *)room + size);
	end->marked = is_marked(data);
	end->peak = peak_memory();
	return carom_reply_commit(call, size + sizeof(*end));
}

/* PM-35 */
/* once there and once back, and nowhere else: neither side holds a copy of its own */
Test(payload, pain_19_beyond_2_gib_without_a_copy_too_many, .timeout = 300)
{
	uint64_t both = 2 * LARGE, limit = both + both / 20;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct large_end end;
	unsigned char *argument;
	const void *value;
	size_t size;

	SKIP_IF_ISOLATED("no value is larger than half a GiB");
	if (available_memory() < 3 * both)
		cr_skip_test("needs %d GiB of free memory", (int)(3 * both >> 30));
	pool = new_pool(1);
	/* what is not written to is the zero page, again and again: it takes no memory */
	argument = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert(argument != MAP_FAILED);
	madvise(argument, LARGE, MADV_NOHUGEPAGE);
	for (uint64_t at = 0; at < LARGE; at += LARGE_STEP)
		*(uint64_t *)(void *)(argument + at) = LARGE_MARK | at;
	cr_assert(
		zero(int, carom_pool_apply_async(pool, give_back, argument, LARGE, NULL, &result)));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_result_data(result, &value, &size)));
	cr_assert(eq(sz, size, LARGE + sizeof(end)));
	memcpy(&end, (const unsigned char *)value + LARGE, sizeof(end));
	cr_expect(eq(u64, end.marked, 1));
	cr_expect(is_marked(value));
	cr_expect(lt(u64, end.peak, limit), "the worker had %lu MiB", end.peak >> 20);
	cr_expect(lt(u64, peak_memory(), limit), "the parent had %lu MiB", peak_memory() >> 20);
	munmap(argument, LARGE);
}

static uint64_t resident_memory(void)
{
	struct carom_memory_usage usage;

	return carom_memory_usage(&usage) == 0 ? usage.current : UINT64_MAX;
}

Test(payload, gives_large_memory_back_with_the_result, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	unsigned char *data = calloc(1, CAROM_MIB(64));
	uint64_t before;

	cr_assert(zero(int,
		       carom_pool_apply(pool, echo, data, 1000, data, CAROM_MIB(64), NULL, NULL)));
	before = resident_memory();
	for (int i = 0; i < 3; i++) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		const void *value;
		size_t size;

		cr_assert(zero(int, carom_pool_apply_async(pool, echo, data, CAROM_MIB(64), NULL,
							   &result)));
		cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
		cr_assert(zero(int, carom_result_data(result, &value, &size)));
		cr_assert(zero(int, memcmp(value, data, size)));
	}
	/* what was read from is the zero page, again and again */
	cr_expect(lt(u64, resident_memory(), before + CAROM_MIB(16)));
	free(data);
}

/* ---- what cannot be sent, or not be read ---- */

/* PM-14 */
Test(payload, that_cannot_be_sent_is_refused_at_once, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_result *result = NULL;
	int64_t x = 3, y = 0;

	cr_expect(eq(int, carom_pool_apply_async(pool, square, NULL, 8, NULL, &result), -EINVAL));
	cr_expect(eq(int, carom_pool_apply_async(pool, NULL, &x, 8, NULL, &result), -EINVAL));
	cr_expect(eq(int, carom_pool_apply_async(pool, square, &x, SIZE_MAX, NULL, &result),
		     -ENOMEM));
	cr_expect(eq(int, carom_pool_apply_async(pool, square, &x, SIZE_MAX / 4, NULL, &result),
		     -ENOMEM));
	cr_expect(eq(ptr, result, NULL));
	cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 9));
}

static int reply_beyond_all_memory(struct carom_call *call)
{
	int r = carom_reply(call, "", SIZE_MAX / 4);

	return r < 0 ? carom_call_fail(call, r, "a value of %zu bytes", SIZE_MAX / 4) : 0;
}

/* PM-15 */
Test(payload, of_a_value_that_cannot_be_sent_fails_its_task_alone, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;
	int64_t before = 0, after = 0;

	carom_pool_apply(pool, own_pid, NULL, 0, &before, 8, NULL, NULL);
	cr_expect(eq(
		int,
		carom_pool_apply(pool, reply_beyond_all_memory, NULL, 0, NULL, 0, NULL, &outcome),
		-EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ENOMEM));
	cr_expect(zero(int, strcmp(outcome.message, "a value of 4611686018427387903 bytes")));
	carom_pool_apply(pool, own_pid, NULL, 0, &after, 8, NULL, NULL);
	cr_expect(eq(i64, before, after)); /* the worker goes on */
}

/* its value is said to be where no value can be */
static int leave_garbage(struct carom_call *call)
{
	void *room;
	int r = carom_reply_reserve(call, 100, &room);

	if (r < 0)
		return r;
	call->offset = UINT64_MAX / 2;
	return carom_reply_commit(call, 100);
}

/* PM-16 */
Test(payload, pain_7_a_garbled_value_costs_its_own_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int64_t x = 3, y = 0;

	SKIP_IF_ISOLATED("such a worker is killed");
	for (int i = 0; i < 10; i++) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		const void *data;
		size_t size;

		cr_assert(zero(
			int, carom_pool_apply_async(pool, leave_garbage, NULL, 0, NULL, &result)));
		cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL),
			     -EBADMSG));
		cr_expect(eq(int, carom_result_data(result, &data, &size), -EBADMSG));
		cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
		cr_assert(eq(i64, y, 9));
	}
}

/* of item 5 on, its chunk says it is elsewhere, or that more of it has ended than it has */
static int garble_the_chunk(struct carom_call *call)
{
	if (carom_call_index(call) == 5)
		call->slot->value.offset = UINT64_MAX / 2;
	return square(call);
}

static int overstate_the_chunk(struct carom_call *call)
{
	if (carom_call_index(call) == 5) {
		atomic_store(&call->slot->value.progress, UINT64_MAX);
		kill(getpid(), SIGKILL);
	}
	return square(call);
}

static void expect_chunk_lost(struct carom_pool *pool, carom_task_fn *function,
			      enum carom_outcome_kind kind)
{
	struct carom_outcome outcomes[12];
	int64_t in[12], out[12];

	for (int64_t i = 0; i < 12; i++)
		in[i] = i;
	cr_assert(eq(int,
		     carom_pool_map(pool, function, in, 12, 8, out, 8,
				    &CAROM_MAP_OPTIONS(.chunk_size = 4, .outcomes = outcomes)),
		     -EREMOTEIO));
	for (int i = 0; i < 12; i++) {
		bool garbled = i / 4 == 1;

		cr_expect(eq(int, outcomes[i].kind, garbled ? (int)kind : CAROM_OUTCOME_OK));
		cr_expect(eq(i64, out[i], garbled ? 0 : i * i));
		if (garbled && kind == CAROM_OUTCOME_FAILED)
			cr_expect(eq(int, outcomes[i].code, -EBADMSG));
	}
}

Test(payload, of_a_garbled_chunk_costs_that_chunk, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	SKIP_IF_ISOLATED("such a worker is killed");
	expect_chunk_lost(pool, garble_the_chunk, CAROM_OUTCOME_FAILED);
	expect_chunk_lost(pool, overstate_the_chunk, CAROM_OUTCOME_LOST);
	expect_chunk_lost(pool, garble_the_chunk, CAROM_OUTCOME_FAILED);
}

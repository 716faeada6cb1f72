/* Functions of several arguments: starmap, in chunks and one by one. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/pool/work.h"

#define COUNT 1000

struct inputs {
	int64_t a[COUNT];
	char letter[COUNT];
	double factor[COUNT];
};

static void fill(struct inputs *inputs)
{
	for (int i = 0; i < COUNT; i++) {
		inputs->a[i] = i;
		inputs->letter[i] = (char)('a' + i % 26);
		inputs->factor[i] = i / 2.0;
	}
}

#define COLUMNS(inputs)                                                            \
	((struct carom_column[]){ { (inputs)->a, sizeof(*(inputs)->a) },           \
				  { (inputs)->letter, sizeof(*(inputs)->letter) }, \
				  { (inputs)->factor, sizeof(*(inputs)->factor) } })

static int combine(struct carom_call *call)
{
	size_t sizes[3] = { 0 };
	const int64_t *a = carom_call_argument(call, 0, &sizes[0]);
	const char *letter = carom_call_argument(call, 1, &sizes[1]);
	const double *factor = carom_call_argument(call, 2, &sizes[2]);
	double value;

	if (sizes[0] != 8 || sizes[1] != 1 || sizes[2] != 8 || carom_call_argument(call, 3, NULL) ||
	    carom_call_argument_count(call) != 3 || carom_call_data(call, NULL) != a)
		return -EIO;
	value = (double)*a + *letter * *factor;
	return carom_reply(call, &value, sizeof(value));
}

static void expect_combined(const struct inputs *inputs, const double *out)
{
	for (int i = 0; i < COUNT; i++)
		cr_assert(eq(dbl, out[i],
			     (double)inputs->a[i] + inputs->letter[i] * inputs->factor[i]));
}

/* PM-06 */
Test(starmap, hands_the_elements_of_each_row_to_one_call, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static struct inputs inputs;
	static double out[COUNT];

	fill(&inputs);
	for (size_t chunk = 0; chunk < 1500; chunk = chunk * 6 + 1) {
		memset(out, 0xff, sizeof(out));
		cr_assert(zero(int, carom_pool_starmap(pool, combine, COLUMNS(&inputs), 3, COUNT,
						       out, sizeof(*out),
						       &CAROM_MAP_OPTIONS(.chunk_size = chunk))));
		expect_combined(&inputs, out);
	}
	cr_expect(zero(int,
		       carom_pool_starmap(pool, combine, COLUMNS(&inputs), 3, 0, NULL, 8, NULL)));
}

Test(starmap, can_be_waited_for_later, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	static struct inputs inputs, copy;
	static double out[COUNT];

	fill(&inputs);
	fill(&copy);
	cr_assert(zero(int, carom_pool_starmap_async(pool, combine, COLUMNS(&copy), 3, COUNT, out,
						     sizeof(*out), NULL, &result)));
	memset(&copy, 0, sizeof(copy)); /* copied by now */
	cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL)));
	expect_combined(&inputs, out);
}

static int die_in_the_middle(struct carom_call *call)
{
	if (*(const int64_t *)carom_call_argument(call, 0, NULL) % 300 == 150)
		kill(getpid(), SIGKILL);
	return combine(call);
}

Test(starmap, loses_only_the_row_that_a_dying_worker_was_at, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static struct carom_outcome outcomes[COUNT];
	static struct inputs inputs;
	static double out[COUNT];

	fill(&inputs);
	for (size_t chunk = 1; chunk < 1000; chunk *= 30) {
		cr_assert(eq(int,
			     carom_pool_starmap(
				     pool, die_in_the_middle, COLUMNS(&inputs), 3, COUNT, out,
				     sizeof(*out),
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int i = 0; i < COUNT; i++) {
			bool dead = i % 300 == 150;

			cr_assert(eq(int, outcomes[i].kind,
				     dead ? CAROM_OUTCOME_LOST : CAROM_OUTCOME_OK));
			if (dead)
				cr_assert(zero(dbl, out[i]));
		}
	}
}

static int sum_all(struct carom_call *call)
{
	int64_t sum = 0;

	for (size_t i = 0; i < carom_call_argument_count(call); i++)
		sum += *(const int64_t *)carom_call_argument(call, i, NULL);
	return carom_reply(call, &sum, sizeof(sum));
}

Test(starmap, takes_from_one_column_to_the_most, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_column columns[CAROM_COLUMNS_MAX];
	static struct inputs inputs;
	static int64_t out[COUNT];

	fill(&inputs);
	for (int i = 0; i < CAROM_COLUMNS_MAX; i++)
		columns[i] = (struct carom_column){ inputs.a, sizeof(*inputs.a) };
	for (size_t count = 1; count <= CAROM_COLUMNS_MAX; count++) {
		for (size_t chunk = 0; chunk < 2; chunk++)
			cr_assert(zero(
				int, carom_pool_starmap(pool, sum_all, columns, count, COUNT, out,
							sizeof(*out),
							&CAROM_MAP_OPTIONS(.chunk_size = chunk))));
		for (int i = 0; i < COUNT; i++)
			cr_assert(eq(i64, out[i], i * (int64_t)count));
	}
}

static int count_arguments(struct carom_call *call)
{
	int64_t count = (int64_t)carom_call_argument_count(call);

	if (carom_call_argument(call, 0, NULL) != carom_call_data(call, NULL) ||
	    carom_call_argument(call, 1, NULL))
		return -EIO;
	return carom_reply(call, &count, sizeof(count));
}

Test(starmap, of_other_tasks_is_one_argument, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int64_t x[4] = { 0 }, out[4] = { 0 };

	cr_assert(zero(int, carom_pool_apply(pool, count_arguments, x, 8, out, 8, NULL, NULL)));
	cr_expect(eq(i64, out[0], 1));
	cr_assert(zero(int, carom_pool_map(pool, count_arguments, x, 4, 8, out, 8, NULL)));
	cr_expect(eq(i64, out[3], 1));
}

Test(starmap, refuses_what_it_cannot_do, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_result *result = NULL;
	struct carom_column columns[CAROM_COLUMNS_MAX + 1];
	int64_t x = 0, out;

	for (int i = 0; i <= CAROM_COLUMNS_MAX; i++)
		columns[i] = (struct carom_column){ &x, sizeof(x) };
	cr_expect(
		eq(int, carom_pool_starmap(pool, sum_all, columns, 0, 1, &out, 8, NULL), -EINVAL));
	cr_expect(eq(
		int,
		carom_pool_starmap(pool, sum_all, columns, CAROM_COLUMNS_MAX + 1, 1, &out, 8, NULL),
		-EINVAL));
	cr_expect(eq(int, carom_pool_starmap(pool, sum_all, NULL, 1, 1, &out, 8, NULL), -EINVAL));
	cr_expect(eq(int, carom_pool_starmap(pool, NULL, columns, 1, 1, &out, 8, NULL), -EINVAL));
	cr_expect(
		eq(int, carom_pool_starmap(pool, sum_all, columns, 1, 1, NULL, 8, NULL), -EINVAL));
	cr_expect(eq(int,
		     carom_pool_starmap_async(pool, sum_all, columns, 1, 1, &out, 8, NULL, NULL),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_pool_starmap(pool, sum_all, columns, 2, SIZE_MAX / 16, &out, 8, NULL),
		     -EOVERFLOW));
	columns[1].size = 0;
	cr_expect(
		eq(int, carom_pool_starmap(pool, sum_all, columns, 2, 1, &out, 8, NULL), -EINVAL));
	columns[1] = (struct carom_column){ NULL, 8 };
	cr_expect(eq(int,
		     carom_pool_starmap_async(pool, sum_all, columns, 2, 1, &out, 8, NULL, &result),
		     -EINVAL));
	cr_expect(eq(ptr, result, NULL));
}

/* Tasks whose argument and value are documents. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "ipc/exchange.h"
#include "tests/pool/methods.h"
#include "tests/pool/mirror.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define POOL     CAROM_CLEANUP(carom_pool_freep) struct carom_pool *

static struct carom_pool *pool_of(struct carom_context *context)
{
	struct carom_pool *pool = NULL;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context),
					 &pool)));
	return pool;
}

static struct carom_document *begin(void)
{
	struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	return document;
}

static struct carom_document *point_at(int64_t x, int64_t y)
{
	struct carom_document *document = begin();
	struct point point = { x, y };

	cr_assert(zero(int, carom_document_finish(
				    document, carom_document_item(document, POINT_TAG, &point))));
	return document;
}

static struct carom_document *number(int64_t value)
{
	struct carom_document *document = begin();

	cr_assert(zero(int, carom_document_finish(document, carom_document_int(document, value))));
	return document;
}

static void expect_point(const struct carom_document *document, int64_t x, int64_t y)
{
	struct point *point = NULL;

	cr_assert(zero(int, carom_object_item_of(carom_document_root(document), POINT_TAG,
						 (void **)&point)));
	cr_expect(point->x == x && point->y == y, "%d, %d", (int)point->x, (int)point->y);
	free(point);
}

Test(typed, tasks_take_and_give_values_with_their_types, .timeout = 60)
{
	POOL pool = pool_of(NULL);
	DOCUMENT point = point_at(1, -2);
	DOCUMENT mirrored = NULL;

	cr_assert(zero(int, carom_pool_apply_document(pool, mirror_point, point, NULL, NULL, NULL,
						      &mirrored)));
	expect_point(mirrored, -2, 1);
}

/* The same one goes through a queue of that context. */
static void expect_through_a_queue(struct carom_context *context,
				   const struct carom_document *document)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	DOCUMENT got = NULL;
	void *data = NULL;
	size_t size;

	if (carom_queue_new(NULL, &queue) == -EOPNOTSUPP)
		return;
	carom_queue_set_context(queue, context);
	cr_assert(zero(int, carom_queue_put_document(queue, document, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_queue_put_document(queue, document, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_queue_get_document(queue, NULL, CAROM_NO_DEADLINE, &got)));
	expect_point(got, -2, 1);
	got = carom_document_free(got);
	cr_assert(zero(int, carom_queue_get_bytes(queue, 0, CAROM_NO_DEADLINE, &data, &size)));
	cr_expect(carom_pickle_load(data, size, NULL, &got) == -EBADMSG, "it is scrambled");
	free(data);
}

/* RD-09 */
Test(typed, pools_and_queues_use_the_serializer_of_their_context, .timeout = 120)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		DOCUMENT point = point_at(1, -2);
		DOCUMENT mirrored = NULL;
		DOCUMENT pickled = NULL;
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		const void *data = NULL;
		size_t size = 0;

		cr_assert(zero(
			int, carom_context_configure(
				     context, &CAROM_CONTEXT_OPTIONS(.serializer = "scrambled"))));
		POOL pool = pool_of(context);
		cr_assert(zero(int, carom_pool_apply_document(pool, mirror_point, point, NULL, NULL,
							      NULL, &mirrored)),
			  "%s", THE_METHOD);
		expect_point(mirrored, -2, 1);
		expect_through_a_queue(context, mirrored);

		/* and what the worker has left is no pickle */
		cr_assert(zero(int, carom_pool_apply_document_async(pool, mirror_point, point, NULL,
								    &result)));
		cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
		cr_assert(zero(int, carom_result_data(result, &data, &size)));
		cr_expect(carom_pickle_load(data, size, NULL, &pickled) == -EBADMSG, "%s",
			  THE_METHOD);
		result = carom_result_free(result);
		cr_assert(zero(int, carom_context_configure(context, NULL)));
	}
}

Test(typed, values_have_any_length, .timeout = 60)
{
	static const int64_t sizes[] = { 0, 400, 500, 600, 5000, 1 << 20 };
	POOL pool = pool_of(NULL);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		DOCUMENT argument = number(sizes[i]);
		DOCUMENT value = NULL;
		const char *text;
		size_t size = 0;

		cr_assert(zero(int, carom_pool_apply_document(pool, lengthen, argument, NULL, NULL,
							      NULL, &value)));
		cr_assert(zero(int, carom_object_text(carom_document_root(value), &text, &size)));
		cr_expect(eq(sz, size, (size_t)sizes[i]));
	}
}

Test(typed, tasks_are_not_submitted_with_what_has_no_bytes, .timeout = 60)
{
	POOL pool = pool_of(NULL);
	DOCUMENT unfinished = begin();
	DOCUMENT descriptor = begin();
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;

	cr_expect(eq(int,
		     carom_pool_apply_document_async(pool, mirror_point, unfinished, NULL, &result),
		     -EINVAL));
	cr_assert(zero(int, carom_document_finish(descriptor, carom_document_fd(descriptor, 0))));
	cr_expect(eq(int,
		     carom_pool_apply_document_async(pool, mirror_point, descriptor, NULL, &result),
		     -EPERM));
}

Test(typed, tells_what_is_no_document, .timeout = 60)
{
	POOL pool = pool_of(NULL);
	DOCUMENT wrong = number(3);
	DOCUMENT value = NULL;
	struct carom_outcome outcome;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t three = 3;

	cr_expect(eq(
		int,
		carom_pool_apply_document(pool, mirror_point, wrong, NULL, NULL, &outcome, &value),
		-EREMOTEIO));
	cr_expect(eq(int, outcome.code, -EBADMSG));
	cr_assert(zero(int,
		       carom_pool_apply_async(pool, square, &three, sizeof(three), NULL, &result)));
	cr_expect(eq(int, carom_result_get_document(result, NULL, CAROM_NO_DEADLINE, &value),
		     -EBADMSG));
}

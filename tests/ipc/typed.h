/* What children of every start method do with documents; in the suites, and in what "spawn" runs. */
#ifndef TESTS_IPC_TYPED_H
#define TESTS_IPC_TYPED_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/process.h"
#include "core/time.h"
#include "ipc/codec.h"
#include "ipc/exchange.h"
#include "ipc/pickle.h"
#include "ipc/serializer.h"

#define POINT_TAG 100

/* ---- a type of the program's ---- */

struct point {
	int64_t x, y;
};

static struct carom_object *write_point(struct carom_document *document, const void *item)
{
	const struct point *point = item;
	struct carom_object *pair = carom_document_tuple(document);

	carom_document_append(document, pair, carom_document_int(document, point->x));
	return carom_document_append(document, pair, carom_document_int(document, point->y));
}

static int read_point(const struct carom_object *content, void **ret_item)
{
	struct point point, *copy;
	int r = carom_object_int(carom_object_item(content, 0), &point.x);

	if (r == 0)
		r = carom_object_int(carom_object_item(content, 1), &point.y);
	if (r < 0)
		return r;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = point;
	*ret_item = copy;
	return 0;
}

/* ---- a serializer of the program's: pickles that nobody can read ---- */

static void scramble(unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] ^= 0x55;
}

static int dump_scrambled(const struct carom_object *object, void **ret_data, size_t *ret_size)
{
	int r = carom_pickle_dump(object, ret_data, ret_size);

	if (r == 0)
		scramble(*ret_data, *ret_size);
	return r;
}

static int load_scrambled(const void *data, size_t size, const struct carom_document_limits *limits,
			  struct carom_document **ret_document)
{
	unsigned char *copy = malloc(size + 1);
	int r;

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < size; i++)
		copy[i] = ((const unsigned char *)data)[i];
	scramble(copy, size);
	r = carom_pickle_load(copy, size, limits, ret_document);
	free(copy);
	return r;
}

static const struct carom_serializer scrambled =
	CAROM_SERIALIZER(.name = "scrambled", .dump = dump_scrambled, .load = load_scrambled);

__attribute__((constructor)) static void register_types(void)
{
	carom_codec_register(POINT_TAG, &CAROM_CODEC(.write = write_point, .read = read_point));
	carom_serializer_register(&scrambled);
}

/* ---- what a child does ---- */

/* The point that comes by the one queue goes mirrored into the other. */
static inline int mirror(struct carom_queue *questions, struct carom_queue *answers)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *question = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *answer = NULL;
	struct point *point, mirrored;
	int r = carom_queue_get_document(questions, NULL, CAROM_NO_DEADLINE, &question);

	if (r == 0)
		r = carom_object_item_of(carom_document_root(question), POINT_TAG, (void **)&point);
	if (r == 0)
		r = carom_document_new(NULL, &answer);
	if (r < 0)
		return r;
	mirrored = (struct point){ point->y, point->x };
	free(point);
	r = carom_document_finish(answer, carom_document_item(answer, POINT_TAG, &mirrored));
	return r < 0 ? r : carom_queue_put_document(answers, answer, CAROM_NO_DEADLINE);
}

static int mirror_points(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *questions = NULL;
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *answers = NULL;
	int r;

	if (fd_count != 2 || carom_queue_attach_dup(fds[0], &questions) < 0 ||
	    carom_queue_attach_dup(fds[1], &answers) < 0)
		return 1;
	while ((r = mirror(questions, answers)) == 0)
		;
	return r == -EPIPE ? 0 : -r;
}
CAROM_REGISTER(mirror_points);

#endif

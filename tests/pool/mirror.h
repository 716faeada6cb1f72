/* What workers of every start method do with documents; in the suite and in tests/pool/child.c. */
#ifndef CAROM_TESTS_POOL_MIRROR_H
#define CAROM_TESTS_POOL_MIRROR_H

#include "pool/typed.h"
#include "tests/ipc/typed.h"

/* The argument is a point; the value is the same one, mirrored. */
static int mirror_point(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *question = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *answer = NULL;
	struct point *point, mirrored;
	int r = carom_call_document(call, NULL, &question);

	if (r == 0)
		r = carom_object_item_of(carom_document_root(question), POINT_TAG, (void **)&point);
	if (r == 0)
		r = carom_document_new(NULL, &answer);
	if (r < 0)
		return r;
	mirrored = (struct point){ point->y, point->x };
	free(point);
	r = carom_document_finish(answer, carom_document_item(answer, POINT_TAG, &mirrored));
	return r < 0 ? r : carom_reply_document(call, answer);
}
CAROM_REGISTER(mirror_point);

/* The value is a text as long as the argument says. */
static int lengthen(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *question = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *answer = NULL;
	int64_t size = 0;
	char *text;
	int r = carom_call_document(call, NULL, &question);

	if (r == 0)
		r = carom_object_int(carom_document_root(question), &size);
	if (r == 0)
		r = carom_document_new(NULL, &answer);
	if (r < 0)
		return r;
	text = calloc(1, (size_t)size + 1);
	r = carom_document_finish(answer, carom_document_text_sized(answer, text, (size_t)size));
	free(text);
	return r < 0 ? r : carom_reply_document(call, answer);
}
CAROM_REGISTER(lengthen);

#endif

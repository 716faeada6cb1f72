/* Documents that are made piece by piece. */
#include "ipc/document.h"
#include "ipc/pickle.h"

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <sys/stat.h>

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define PICKLE   CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *

static struct carom_document *begin(void)
{
	struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	return document;
}

/* @document through a pickle, without its descriptors. */
static struct carom_document *again(const struct carom_document *document)
{
	PICKLE pickle = NULL;
	struct carom_document *copy = NULL;
	const void *data;
	size_t size;

	cr_assert(zero(int, carom_pickle_new(NULL, &pickle)));
	cr_assert(zero(int, carom_pickle_object(pickle, carom_document_root(document))));
	cr_assert(zero(int, carom_pickle_data(pickle, &data, &size)));
	cr_assert(zero(int, carom_pickle_load(data, size, NULL, &copy)));
	return copy;
}

static int64_t int_of(const struct carom_object *object)
{
	int64_t value = -1;

	cr_assert(zero(int, carom_object_int(object, &value)));
	return value;
}

Test(document, is_made_from_the_inside_out, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *list = carom_document_list(document);
	const char *text;
	double real;

	carom_document_append(document, list, carom_document_int(document, 1));
	carom_document_append(document, list, carom_document_text(document, "a"));
	carom_document_append(document, list, carom_document_float(document, 0.5));
	cr_assert(zero(int, carom_document_finish(document, list)));

	cr_assert(eq(sz, carom_object_count(list), 3));
	cr_expect(eq(i64, int_of(carom_object_item(list, 0)), 1));
	cr_assert(zero(int, carom_object_text(carom_object_item(list, 1), &text, NULL)));
	cr_expect(eq(str, (char *)text, (char *)"a"));
	cr_assert(zero(int, carom_object_float(carom_object_item(list, 2), &real)));
	cr_expect(eq(dbl, real, 0.5));
}

Test(document, has_dictionaries_whose_keys_are_anything_that_does_not_change, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *dict = carom_document_dict(document);
	struct carom_object *pair = carom_document_tuple(document);

	carom_document_append(document, pair, carom_document_bool(document, true));
	carom_document_set(document, dict, pair, carom_document_int(document, 1));
	carom_document_set(document, dict, carom_document_text(document, "k"),
			   carom_document_int(document, 2));
	carom_document_set(document, dict, carom_document_text(document, "k"),
			   carom_document_int(document, 3));
	cr_assert(zero(int, carom_document_finish(document, dict)));
	cr_expect(eq(sz, carom_object_count(dict), 3));
	cr_expect(eq(i64, int_of(carom_object_find(dict, "k")), 3));
}

Test(document, refuses_a_key_that_may_change, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *dict = carom_document_dict(document);

	cr_expect(eq(ptr,
		     carom_document_set(document, dict, carom_document_list(document),
					carom_document_none(document)),
		     NULL));
	cr_expect(eq(int, carom_document_finish(document, dict), -EINVAL));
}

Test(document, keeps_its_first_error, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *list = carom_document_list(document);

	cr_expect(eq(ptr, carom_document_text(document, "\xff"), NULL));
	cr_expect(eq(ptr, carom_document_append(document, list, NULL), NULL));
	cr_expect(eq(ptr, carom_document_none(document), NULL));
	cr_expect(eq(int, carom_document_finish(document, list), -EILSEQ));
}

Test(document, says_what_cannot_be_made, .timeout = 20)
{
	static const struct {
		int error;
		int what;
	} cases[] = { { -EINVAL, 0 }, { -EINVAL, 1 }, { -EINVAL, 2 }, { -EINVAL, 3 },
		      { -EINVAL, 4 }, { -EBADF, 5 },  { -EINVAL, 6 }, { -EINVAL, 7 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		DOCUMENT d = begin();
		struct carom_object *list = carom_document_list(d), *one = carom_document_int(d, 1);

		switch (cases[i].what) {
		case 0:
			carom_document_bytes(d, NULL, 1);
			break;
		case 1:
			carom_document_text(d, NULL);
			break;
		case 2:
			carom_document_tagged(d, 0, one);
			break;
		case 3:
			carom_document_tagged(d, CAROM_TAG_MAX + 1, one);
			break;
		case 4:
			carom_document_append(d, one, list);
			break;
		case 5:
			carom_document_fd(d, -1);
			break;
		case 6:
			carom_document_copy(d, NULL);
			break;
		case 7:
			carom_document_append(d, list, list);
			break;
		}
		cr_expect(eq(int, carom_document_finish(d, list), cases[i].error), "case %zu", i);
	}
}

Test(document, that_stands_in_another_takes_nothing_more, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *inner = carom_document_list(document);
	struct carom_object *outer = carom_document_list(document);

	carom_document_append(document, outer, inner);
	carom_document_append(document, outer, inner); /* several places are fine */
	cr_expect(eq(ptr, carom_document_append(document, inner, carom_document_none(document)),
		     NULL));
	cr_expect(eq(int, carom_document_finish(document, outer), -EINVAL));
}

Test(document, is_finished_once, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *list = carom_document_list(document);

	cr_assert(zero(int, carom_document_finish(document, list)));
	cr_expect(eq(ptr, carom_document_none(document), NULL));
	cr_expect(eq(int, carom_document_finish(document, list), -EINVAL));
	cr_expect(eq(ptr, (void *)carom_document_root(document), list));
}

Test(document, has_limits, .timeout = 20)
{
	DOCUMENT document = NULL;
	DOCUMENT deep = NULL;
	struct carom_object *list;
	int i;

	cr_assert(zero(int,
		       carom_document_new(&CAROM_DOCUMENT_LIMITS(.memory_max = 4096), &document)));
	for (i = 0; i < 4096 && carom_document_none(document); i++)
		;
	cr_expect(lt(int, i, 200));
	cr_expect(eq(int, carom_document_finish(document, NULL), -EMSGSIZE));

	cr_assert(zero(int, carom_document_new(&CAROM_DOCUMENT_LIMITS(.depth_max = 5), &deep)));
	list = carom_document_list(deep);
	for (i = 1; i < 5; i++)
		list = carom_document_append(deep, carom_document_list(deep), list);
	cr_assert(ne(ptr, list, NULL));
	cr_expect(eq(ptr, carom_document_tagged(deep, 1, list), NULL));
	cr_expect(eq(int, carom_document_finish(deep, list), -EMSGSIZE));

	cr_expect(eq(int, carom_document_new(&CAROM_DOCUMENT_LIMITS(.depth_max = 1001), &document),
		     -EINVAL));
	cr_expect(eq(int, carom_document_new(&CAROM_DOCUMENT_LIMITS(.reserved = 1), &document),
		     -EINVAL));
}

Test(document, has_objects_under_tags_that_pickles_keep, .timeout = 20)
{
	static const uint32_t tags[] = { 1, 100, 256, 65536, CAROM_TAG_MAX };

	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		DOCUMENT document = begin();
		DOCUMENT copy = NULL;
		const struct carom_object *root;
		uint32_t tag = 0;
		int64_t number;

		cr_assert(zero(int, carom_document_finish(
					    document, carom_document_tagged(
							      document, tags[i],
							      carom_document_int(document, 7)))));
		copy = again(document);
		root = carom_document_root(copy);
		cr_assert(zero(int, carom_object_tag(root, &tag)));
		cr_expect(eq(u32, tag, tags[i]));
		cr_expect(eq(i64, int_of(carom_object_content(root)), 7));
		cr_expect(eq(int, carom_object_int(root, &number), -EBADMSG));
		cr_expect(eq(ptr, (void *)carom_object_content(carom_object_content(root)), NULL));
	}
}

Test(document, owns_duplicates_of_its_descriptors, .timeout = 20)
{
	DOCUMENT document = begin();
	struct carom_object *object;
	struct stat theirs, ours;
	int fd = -1, end[2];
	char byte;

	cr_assert(zero(int, pipe(end)));
	object = carom_document_fd(document, end[1]);
	cr_assert(zero(int, fstat(end[1], &ours)));
	close(end[1]);
	cr_assert(zero(int, carom_document_finish(document, object)));
	cr_assert(zero(int, carom_object_fd(object, &fd)));
	cr_assert(zero(int, fstat(fd, &theirs)));
	cr_expect(eq(u64, theirs.st_ino, ours.st_ino));
	document = carom_document_free(document);
	cr_expect(eq(i64, read(end[0], &byte, 1), 0), "the last writer is gone");
	close(end[0]);
}

Test(document, of_bytes_alone_has_no_descriptors, .timeout = 20)
{
	DOCUMENT document = begin();
	DOCUMENT copy = NULL;
	int fd;

	cr_assert(zero(int, carom_document_finish(document, carom_document_fd(document, 0))));
	copy = again(document);
	cr_expect(eq(int, carom_object_kind(carom_document_root(copy)), CAROM_OBJECT_FD));
	cr_expect(eq(int, carom_object_fd(carom_document_root(copy), &fd), -EBADMSG));
}

Test(document, is_copied_into_another, .timeout = 20)
{
	DOCUMENT document = begin();
	DOCUMENT copy = begin();
	struct carom_object *dict = carom_document_dict(document), *tuple, *root;
	const void *data;
	size_t size;
	int fd;

	tuple = carom_document_append(document, carom_document_tuple(document),
				      carom_document_bytes(document, "x\0y", 3));
	carom_document_append(document, tuple, carom_document_fd(document, 0));
	carom_document_append(document, tuple, carom_document_float(document, 1.5));
	carom_document_append(document, tuple, carom_document_bool(document, false));
	carom_document_set(document, dict, carom_document_text(document, "t"),
			   carom_document_tagged(document, 3, tuple));
	cr_assert(zero(int, carom_document_finish(document, dict)));

	root = carom_document_copy(copy, dict);
	document = carom_document_free(document);
	cr_assert(zero(int, carom_document_finish(copy, root)));
	tuple = (struct carom_object *)carom_object_content(carom_object_find(root, "t"));
	cr_assert(eq(sz, carom_object_count(tuple), 4));
	cr_assert(zero(int, carom_object_bytes(carom_object_item(tuple, 0), &data, &size)));
	cr_expect(eq(sz, size, 3));
	cr_assert(zero(int, carom_object_fd(carom_object_item(tuple, 1), &fd)));
	cr_expect(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
}

/* A tag alone, or one that is called with more than one object, is no data. */
Test(document, has_no_tag_without_content, .timeout = 20)
{
	static const struct {
		const char *bytes;
		size_t size;
	} pickles[] = {
		{ "\x80\x04\x82\x64.", 5 },                /* 100 */
		{ "\x80\x04\x82\x64)R.", 7 },              /* 100() */
		{ "\x80\x04\x82\x64K\1K\2\x86R.", 11 },    /* 100(1, 2) */
		{ "\x80\x04\x82\x64\x82\x64\x85R.", 9 },   /* 100(100) */
		{ "\x80\x04\x82\x64\x85.", 6 },            /* (100,) */
		{ "\x80\x04\x82\0K\1\x85R.", 9 },          /* 0(1) */
		{ "\x80\x04\x84\0\0\0\x80K\1\x85R.", 12 }, /* 2^31(1) */
		{ "\x80\x04K\1K\1\x85R.", 9 },             /* 1(1) */
		{ "\x80\x04K\1\x85R.", 7 },                /* (1) */
		{ "\x80\x04J\xff\xff\xff\xffQ.", 9 },      /* descriptor -1 */
		{ "\x80\x04K\xfdQ.", 6 },                  /* descriptor 253 */
		{ "\x80\x04NQ.", 5 },                      /* descriptor None */
	};
	DOCUMENT document = NULL;

	for (size_t i = 0; i < sizeof(pickles) / sizeof(*pickles); i++)
		cr_expect(eq(int,
			     carom_pickle_load(pickles[i].bytes, pickles[i].size, NULL, &document),
			     -EBADMSG),
			  "pickle %zu", i);
}

Test(document, that_is_written_needs_one_object_under_a_tag, .timeout = 20)
{
	for (int count = 0; count < 3; count++) {
		PICKLE pickle = NULL;

		cr_assert(zero(int, carom_pickle_new(NULL, &pickle)));
		cr_assert(zero(int, carom_pickle_begin_tagged(pickle, 100)));
		for (int i = 0; i < count; i++)
			carom_pickle_none(pickle);
		cr_expect(eq(int, carom_pickle_end(pickle), count == 1 ? 0 : -EINVAL));
	}
}

/*
 * XML-RPC: reading
 *
 * Expat says what begins, what ends and what text is between; here it is said which element
 * may stand where, and what is made of it.
 *
 *   I1  No entity but the five of XML itself: a document type, without which there are no
 *       others, ends the reading. So there is never more text than input.
 *   I2  @levels are the elements that are open. They are bounded by the depth of what is read,
 *       so deep input ends the reading at once. An object is added to what holds it when its
 *       <value> ends, so when it takes nothing more.
 *   I3  Text is gathered from one tag to the next. Where it means nothing it is blank: before
 *       another element begins, and at the end of one that holds others.
 *   I4  The first error sticks; expat may call once or twice more before it stops.
 */
#include "ipc/xmlrpc.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "core/utf8.h"
#include "ipc/object_private.h"

#if CAROM_HAVE_EXPAT

#include "ipc/annex_expat.h"
#include "ipc/annex_nettle.h"

#define CHUNK_MAX        CAROM_GIB(1) /* expat counts by int */
#define LEVELS_PER_DEPTH 3            /* such as <array><data><value> */
#define LEVELS_OUTSIDE   5 /* with <params><param><value>, and the one that is a plain object */

/* The elements there are, and what is around all of them. */
enum element {
	OUTSIDE,
	PARAMS,
	PARAM,
	VALUE,
	NIL,
	BOOLEAN,
	INT,
	I4,
	I8,
	DOUBLE,
	STRING,
	BASE64,
	ARRAY,
	DATA,
	STRUCT,
	MEMBER,
	NAME,
	ELEMENT_COUNT,
};

/**
 * struct level - an element that is open
 * @count:  of elements in it
 * @object: what it is, as far as it is known
 * @key:    of a <member>
 */
struct level {
	enum element element;
	size_t count;
	struct carom_object *object;
	struct carom_object *key;
};

/** struct reader - @text ends with a NUL, once there has been any */
struct reader {
	const struct carom_expat *expat;
	XML_Parser parser;
	struct carom_document *document;
	int error;
	uint32_t depth_max;
	char *text;
	size_t size;
	size_t room;
	size_t level_count;
	size_t level_max;
	struct level levels[];
};

/* I4 */
static void fail(struct reader *reader, int error)
{
	if (reader->error == 0)
		reader->error = error;
	reader->expat->XML_StopParser(reader->parser, XML_FALSE);
}

static struct level *top(struct reader *reader)
{
	return &reader->levels[reader->level_count - 1];
}

/* ---- text ---- */

static const char *text_of(const struct reader *reader)
{
	return reader->size > 0 ? reader->text : "";
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int gather(struct reader *reader, const char *text, size_t size)
{
	size_t room = reader->room ? reader->room * 2 : 256;
	char *data;

	if (room < reader->size + size + 1)
		room = reader->size + size + 1;
	if (reader->room < reader->size + size + 1) {
		data = realloc(reader->text, room);
		if (!data)
			return -ENOMEM;
		reader->text = data;
		reader->room = room;
	}
	memcpy(reader->text + reader->size, text, size);
	reader->size += size;
	reader->text[reader->size] = '\0';
	return 0;
}

/* ---- plain objects ---- */

static int make(struct reader *reader, enum carom_object_kind kind)
{
	return carom_object_new(reader->document, kind, &top(reader)->object);
}

static int end_nil(struct reader *reader)
{
	return is_blank(text_of(reader)) ? make(reader, CAROM_OBJECT_NONE) : -EBADMSG;
}

static int end_boolean(struct reader *reader)
{
	const char *text = text_of(reader) + strspn(text_of(reader), " \t\r\n");
	int r;

	if ((*text != '0' && *text != '1') || !is_blank(text + 1))
		return -EBADMSG;
	r = make(reader, CAROM_OBJECT_BOOL);
	if (r == 0)
		top(reader)->object->truth = *text == '1';
	return r;
}

static int end_int(struct reader *reader)
{
	const char *text = text_of(reader);
	long long value;
	char *end;
	int r;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || !is_blank(end))
		return -EBADMSG;
	if (errno == ERANGE)
		return -EOVERFLOW;
	r = make(reader, CAROM_OBJECT_INT);
	if (r == 0)
		top(reader)->object->integer = value;
	return r;
}

static int end_double(struct reader *reader)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	const char *text = text_of(reader);
	char *end;
	double value = strtod_l(text, &end, plain);
	int r;

	freelocale(plain);
	if (end == text || !is_blank(end) || strpbrk(text, "xX(")) /* which are C's alone */
		return -EBADMSG;
	r = make(reader, CAROM_OBJECT_FLOAT);
	if (r == 0)
		top(reader)->object->real = value;
	return r;
}

static int end_string(struct reader *reader)
{
	int r;

	if (!carom_utf8_is_valid(text_of(reader), reader->size))
		return -EBADMSG;
	r = make(reader, CAROM_OBJECT_TEXT);
	return r < 0 ? r
		     : carom_object_set_bytes(reader->document, top(reader)->object,
					      text_of(reader), reader->size);
}

static int decode(const char *text, size_t size, uint8_t *ret_data, size_t *ret_size)
{
	const struct carom_nettle *nettle = carom_nettle();
	struct base64_decode_ctx context;

	if (!nettle)
		return carom_annex_error();
	nettle->nettle_base64_decode_init(&context);
	if (!nettle->nettle_base64_decode_update(&context, ret_size, ret_data, size, text) ||
	    !nettle->nettle_base64_decode_final(&context))
		return -EBADMSG;
	return 0;
}

static int end_base64(struct reader *reader)
{
	size_t size = BASE64_DECODE_LENGTH(reader->size);
	uint8_t *data = malloc(size + 1);
	int r = data ? decode(text_of(reader), reader->size, data, &size) : -ENOMEM;

	if (r == 0)
		r = make(reader, CAROM_OBJECT_BYTES);
	if (r == 0)
		r = carom_object_set_bytes(reader->document, top(reader)->object, data, size);
	free(data);
	return r;
}

/* ---- what holds others ---- */

static int begin_array(struct reader *reader)
{
	return make(reader, CAROM_OBJECT_LIST);
}

static int begin_struct(struct reader *reader)
{
	return make(reader, CAROM_OBJECT_DICT);
}

/* Without an element in it, it is a text. */
static int end_value(struct reader *reader)
{
	return top(reader)->count == 0 ? end_string(reader) : 0;
}

static int add(struct reader *reader, struct carom_object *object,
	       struct carom_object *const *items, size_t count)
{
	return carom_object_add(reader->document, object, items, count, reader->depth_max);
}

/* What has ended goes to where it stands. */
static int hand_up(struct reader *reader)
{
	struct level *level = top(reader), *parent = level - 1;

	switch (level->element) {
	case NAME:
		parent->key = level->object;
		return 0;
	case MEMBER:
		return add(reader, parent->object,
			   (struct carom_object *[]){ level->key, level->object }, 2);
	case DATA:
		return 0; /* the <array> has its values already */
	case VALUE:
		if (parent->element == DATA)
			return add(reader, parent[-1].object, &level->object, 1);
		/* fall through */
	default:
		parent->object = level->object;
		return 0;
	}
}

/* ---- which element may stand where ---- */

/**
 * struct rule - about an element
 * @parents:   where it may stand, a bit for each
 * @count_min, @count_max: of elements in it
 * @begin:     makes what is filled while it is open; NULL: nothing
 * @end:       makes something of its text; NULL: it has none
 */
struct rule {
	const char *name;
	uint32_t parents;
	size_t count_min;
	size_t count_max;
	int (*begin)(struct reader *reader);
	int (*end)(struct reader *reader);
};

#define IN(element) (UINT32_C(1) << (element))

static const struct rule rules[ELEMENT_COUNT] = {
	[OUTSIDE] = { "", 0, 1, 1, NULL, NULL },
	[PARAMS] = { "params", IN(OUTSIDE), 1, 1, NULL, NULL },
	[PARAM] = { "param", IN(PARAMS), 1, 1, NULL, NULL },
	[VALUE] = { "value", IN(PARAM) | IN(DATA) | IN(MEMBER), 0, 1, NULL, end_value },
	[NIL] = { "nil", IN(VALUE), 0, 0, NULL, end_nil },
	[BOOLEAN] = { "boolean", IN(VALUE), 0, 0, NULL, end_boolean },
	[INT] = { "int", IN(VALUE), 0, 0, NULL, end_int },
	[I4] = { "i4", IN(VALUE), 0, 0, NULL, end_int },
	[I8] = { "i8", IN(VALUE), 0, 0, NULL, end_int },
	[DOUBLE] = { "double", IN(VALUE), 0, 0, NULL, end_double },
	[STRING] = { "string", IN(VALUE), 0, 0, NULL, end_string },
	[BASE64] = { "base64", IN(VALUE), 0, 0, NULL, end_base64 },
	[ARRAY] = { "array", IN(VALUE), 1, 1, begin_array, NULL },
	[DATA] = { "data", IN(ARRAY), 0, SIZE_MAX, NULL, NULL },
	[STRUCT] = { "struct", IN(VALUE), 0, SIZE_MAX, begin_struct, NULL },
	[MEMBER] = { "member", IN(STRUCT), 2, 2, NULL, NULL },
	[NAME] = { "name", IN(MEMBER), 0, 0, NULL, end_string },
};

static enum element element_named(const char *name)
{
	for (int i = PARAMS; i < ELEMENT_COUNT; i++)
		if (strcmp(rules[i].name, name) == 0)
			return (enum element)i;
	return OUTSIDE;
}

static bool may_begin(const struct level *parent, enum element element)
{
	if (!(rules[element].parents & IN(parent->element)))
		return false;
	if (parent->element == MEMBER && (parent->count == 0) != (element == NAME))
		return false;
	return parent->count < rules[parent->element].count_max;
}

/* I3 */
static bool has_no_text(struct reader *reader)
{
	bool is_none = is_blank(text_of(reader));

	reader->size = 0;
	return is_none;
}

static int begin(struct reader *reader, enum element element)
{
	if (!may_begin(top(reader), element) || !has_no_text(reader))
		return -EBADMSG;
	if (reader->level_count == reader->level_max)
		return -EMSGSIZE;
	top(reader)->count++;
	reader->levels[reader->level_count++] = (struct level){ .element = element };
	return rules[element].begin ? rules[element].begin(reader) : 0;
}

/* A <value> has either a text or an element. */
static int end(struct reader *reader)
{
	const struct level *level = top(reader);
	const struct rule *rule = &rules[level->element];
	int r = 0;

	if (level->count < rule->count_min)
		return -EBADMSG;
	if ((!rule->end || level->count > 0) && !has_no_text(reader))
		return -EBADMSG;
	if (rule->end)
		r = rule->end(reader);
	if (r == 0)
		r = hand_up(reader);
	reader->size = 0;
	reader->level_count--;
	return r;
}

/* ---- what expat calls ---- */

static void on_begin(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = data;
	int r = reader->error;

	if (r == 0)
		r = *attributes ? -EBADMSG : begin(reader, element_named(name));
	if (r < 0)
		fail(reader, r);
}

static void on_end(void *data, const XML_Char *name)
{
	struct reader *reader = data;
	int r = reader->error ? reader->error : end(reader);

	if (r < 0)
		fail(reader, r);
}

static void on_text(void *data, const XML_Char *text, int size)
{
	struct reader *reader = data;
	int r = reader->error ? reader->error : gather(reader, text, (size_t)size);

	if (r < 0)
		fail(reader, r);
}

/* I1 */
static void on_document_type(void *data, const XML_Char *name, const XML_Char *system,
			     const XML_Char *public, int has_subset)
{
	fail(data, -EBADMSG);
}

/* ---- the whole ---- */

static int parse(struct reader *reader, const char *data, size_t size)
{
	bool is_last;

	do {
		size_t part = size < CHUNK_MAX ? size : CHUNK_MAX;

		is_last = part == size;
		if (reader->expat->XML_Parse(reader->parser, data, (int)part, is_last) !=
		    XML_STATUS_OK)
			return reader->expat->XML_GetErrorCode(reader->parser) ==
					       XML_ERROR_NO_MEMORY
				       ? -ENOMEM
				       : -EBADMSG;
		data += part;
		size -= part;
	} while (!is_last);
	return 0;
}

static int read_all(struct reader *reader, const char *data, size_t size)
{
	int r;

	reader->expat = carom_expat();
	if (!reader->expat)
		return carom_annex_error();
	/* whatever the input says of itself */
	reader->parser = reader->expat->XML_ParserCreate("UTF-8");
	if (!reader->parser)
		return -ENOMEM;
	reader->expat->XML_SetUserData(reader->parser, reader);
	reader->expat->XML_SetElementHandler(reader->parser, on_begin, on_end);
	reader->expat->XML_SetCharacterDataHandler(reader->parser, on_text);
	reader->expat->XML_SetStartDoctypeDeclHandler(reader->parser, on_document_type);
	r = parse(reader, data, size);
	reader->expat->XML_ParserFree(reader->parser);
	return reader->error ? reader->error : r;
}

static int read_document(struct reader *reader, const char *data, size_t size)
{
	int r;

	reader->levels[0].element = OUTSIDE;
	reader->level_count = 1;
	r = read_all(reader, data, size);
	if (r == 0)
		carom_document_set_root(reader->document, reader->levels[0].object);
	return r;
}

int carom_xmlrpc_load(const void *data, size_t size, const struct carom_document_limits *limits,
		      struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_document_limits l;
	struct reader *reader;
	size_t level_max;
	int r = carom_document_take_limits(limits, size, &l);

	if (r == 0)
		r = carom_document_make(l.memory_max, &document);
	if (r < 0)
		return r;
	level_max = LEVELS_PER_DEPTH * (size_t)l.depth_max + LEVELS_OUTSIDE;
	reader = calloc(1, sizeof(*reader) + level_max * sizeof(*reader->levels));
	if (!reader)
		return -ENOMEM;
	reader->document = document;
	reader->depth_max = l.depth_max;
	reader->level_max = level_max;
	r = read_document(reader, data, size);
	free(reader->text);
	free(reader);
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}

#else

int carom_xmlrpc_load(const void *data, size_t size, const struct carom_document_limits *limits,
		      struct carom_document **ret_document)
{
	return -EOPNOTSUPP;
}

#endif

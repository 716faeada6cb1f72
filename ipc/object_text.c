/*
 * Object: as Python writes it
 *
 * Numbers as repr() does: a double by as few digits as bring it back. A text has single quotes,
 * and double ones where that saves escapes. What is not ASCII stays as it is: it is valid UTF-8,
 * and Python escapes of it only what cannot be printed.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/object_private.h"

/** struct page - what is written, of which the first @size - 1 bytes are kept */
struct page {
	char *text;
	size_t size;
	size_t length;
};

static void put(struct page *page, const char *text, size_t length)
{
	size_t room = page->length < page->size ? page->size - page->length : 0;

	if (room > 0)
		memcpy(page->text + page->length, text, length < room ? length : room);
	page->length += length;
}

static void put_text(struct page *page, const char *text)
{
	put(page, text, strlen(text));
}

static void put_escaped(struct page *page, unsigned char byte, char quote, bool is_text)
{
	static const char names[] = "\\\\\nn\rr\tt";
	char text[8];

	for (const char *name = names; *name; name += 2)
		if (byte == (unsigned char)*name) {
			put(page, (char[]){ '\\', name[1] }, 2);
			return;
		}
	if (byte == (unsigned char)quote)
		put(page, (char[]){ '\\', quote }, 2);
	else if ((byte >= 0x20 && byte < 0x7f) || (is_text && byte >= 0x80))
		put(page, (char *)&byte, 1);
	else
		put(page, text, (size_t)snprintf(text, sizeof(text), "\\x%02x", byte));
}

static void put_quoted(struct page *page, const struct carom_object *object)
{
	const char *data = object->bytes.data;
	size_t size = object->bytes.size;
	char quote = memchr(data, '\'', size) && !memchr(data, '"', size) ? '"' : '\'';

	if (object->kind == CAROM_OBJECT_BYTES)
		put_text(page, "b");
	put(page, &quote, 1);
	for (size_t i = 0; i < size; i++)
		put_escaped(page, (unsigned char)data[i], quote, object->kind == CAROM_OBJECT_TEXT);
	put(page, &quote, 1);
}

/* repr() has an exponent below 1e-4 and from 1e16 on, and says of a whole number that it is real. */
static void put_real(struct page *page, double real)
{
	char text[40];
	int digits = 1;

	if (isnan(real) || isinf(real)) {
		put_text(page, isnan(real) ? "nan" : real > 0 ? "inf" : "-inf");
		return;
	}
	do
		snprintf(text, sizeof(text), "%.*e", digits - 1, real);
	while (strtod(text, NULL) != real && ++digits <= 17);
	if (real == 0 || (fabs(real) >= 1e-4 && fabs(real) < 1e16)) {
		int decimals = digits - 1 - atoi(strchr(text, 'e') + 1);

		snprintf(text, sizeof(text), "%.*f", decimals > 0 ? decimals : 1, real);
	} else {
		snprintf(text, sizeof(text), "%.*e", digits - 1, real);
	}
	put_text(page, text);
}

static void put_object(struct page *page, const struct carom_object *object);

static void put_items(struct page *page, const struct carom_object *object, const char *brackets)
{
	size_t count = carom_object_count(object);

	put(page, brackets, 1);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			put_text(page, ", ");
		if (object->kind == CAROM_OBJECT_DICT) {
			put_object(page, carom_object_key(object, i));
			put_text(page, ": ");
		}
		put_object(page, carom_object_item(object, i));
	}
	if (object->kind == CAROM_OBJECT_TUPLE && count == 1)
		put_text(page, ",");
	put(page, brackets + 1, 1);
}

static void put_other(struct page *page, const struct carom_object *object)
{
	char text[40];

	switch ((enum carom_object_kind)object->kind) {
	case CAROM_OBJECT_BOOL:
		put_text(page, object->truth ? "True" : "False");
		break;
	case CAROM_OBJECT_INT:
		snprintf(text, sizeof(text), "%" PRId64, object->integer);
		put_text(page, text);
		break;
	case CAROM_OBJECT_FLOAT:
		put_real(page, object->real);
		break;
	case CAROM_OBJECT_PROXY:
		put_text(page, "<proxy of '");
		put_text(page, object->proxy.type);
		snprintf(text, sizeof(text), "' at 0x%" PRIx64 ">", object->proxy.id);
		put_text(page, text);
		break;
	default:
		put_text(page, "None");
	}
}

static void put_object(struct page *page, const struct carom_object *object)
{
	switch ((enum carom_object_kind)object->kind) {
	case CAROM_OBJECT_BYTES:
	case CAROM_OBJECT_TEXT:
		put_quoted(page, object);
		break;
	case CAROM_OBJECT_LIST:
		put_items(page, object, "[]");
		break;
	case CAROM_OBJECT_TUPLE:
		put_items(page, object, "()");
		break;
	case CAROM_OBJECT_DICT:
		put_items(page, object, "{}");
		break;
	default:
		put_other(page, object);
	}
}

size_t carom_object_describe(const struct carom_object *object, char *text, size_t size)
{
	struct page page = { .text = text, .size = size > 0 ? size - 1 : 0 };

	if (object)
		put_object(&page, object);
	if (size > 0)
		text[page.length < page.size ? page.length : page.size] = '\0';
	return page.length;
}

/*
 * XML-RPC: writing
 *
 * The same bytes as Python's, for all that Python writes, but for two things: the shortest
 * digits of a double may be others, and a carriage return is written as a reference, as any
 * reader would make a line feed of it else.
 *
 *   I1  The first error sticks, and nothing is written after it.
 *   I2  What stands in many places of a document is written in each, so the length is counted
 *       while it grows.
 */
#include "ipc/xmlrpc.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "core/utf8.h"

#define DUMP_MAX    CAROM_GIB(1)
#define LINE_SIZE   57 /* bytes that make a line of base64, as Python breaks it */
#define DOUBLE_SIZE 40

#if CAROM_HAVE_EXPAT

#include "ipc/annex_nettle.h"

struct writer {
	FILE *file;
	uint64_t size;
	int error;
};

static void write_object(struct writer *writer, const struct carom_object *object);

/* I1 */
static void fail(struct writer *writer, int error)
{
	if (writer->error == 0)
		writer->error = error;
}

/* I2 */
static void put(struct writer *writer, const char *text, size_t size)
{
	if (writer->error)
		return;
	writer->size += size;
	if (writer->size > DUMP_MAX)
		fail(writer, -EMSGSIZE);
	else if (fwrite(text, 1, size, writer->file) < size)
		fail(writer, -ENOMEM);
}

static void put_text(struct writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

/* ---- texts ---- */

/* How a character that does not stand for itself is written; NULL: it does. */
static const char *reference(char character)
{
	switch (character) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

/* No control characters but tab, line feed and carriage return; no U+FFFE, no U+FFFF. */
static bool is_xml(const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;

	if (!carom_utf8_is_valid(text, size))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] < ' ' && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r')
			return false;
		if (bytes[i] == 0xef && bytes[i + 1] == 0xbf && bytes[i + 2] >= 0xbe)
			return false;
	}
	return true;
}

static void put_escaped(struct writer *writer, const struct carom_object *object)
{
	const char *text = "";
	size_t size = 0, done = 0;

	carom_object_text(object, &text, &size);
	if (!is_xml(text, size))
		return fail(writer, -EILSEQ);
	for (size_t i = 0; i < size; i++)
		if (reference(text[i])) {
			put(writer, text + done, i - done);
			put_text(writer, reference(text[i]));
			done = i + 1;
		}
	put(writer, text + done, size - done);
}

/* ---- plain objects ---- */

static void write_text(struct writer *writer, const struct carom_object *object)
{
	put_text(writer, "<string>");
	put_escaped(writer, object);
	put_text(writer, "</string>");
}

static void write_bool(struct writer *writer, const struct carom_object *object)
{
	bool truth = false;

	carom_object_bool(object, &truth);
	put_text(writer, truth ? "<boolean>1</boolean>" : "<boolean>0</boolean>");
}

static void write_int(struct writer *writer, const struct carom_object *object)
{
	int64_t value = 0;
	char text[64];
	const char *tag;

	carom_object_int(object, &value);
	tag = value >= INT32_MIN && value <= INT32_MAX ? "int" : "i8";
	snprintf(text, sizeof(text), "<%s>%" PRId64 "</%s>", tag, value, tag);
	put_text(writer, text);
}

/* The shortest digits that mean this number, with a point that is one everywhere. */
static void print_double(double value, char text[DOUBLE_SIZE])
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t before = uselocale(plain);

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, DOUBLE_SIZE, "%.*g", digits, value);
		if (!(strtod(text, NULL) < value) && !(strtod(text, NULL) > value))
			break;
	}
	uselocale(before);
	freelocale(plain);
	if (!strpbrk(text, ".en"))
		strcat(text, ".0");
}

static void write_float(struct writer *writer, const struct carom_object *object)
{
	char text[DOUBLE_SIZE];
	double value = 0;

	carom_object_float(object, &value);
	print_double(value, text);
	put_text(writer, "<double>");
	put_text(writer, isnan(value) ? "nan" : text);
	put_text(writer, "</double>");
}

static void write_bytes(struct writer *writer, const struct carom_object *object)
{
	const struct carom_nettle *nettle = carom_nettle();
	char line[BASE64_ENCODE_RAW_LENGTH(LINE_SIZE)];
	const void *data = NULL;
	size_t size = 0;

	if (!nettle)
		return fail(writer, carom_annex_error());
	carom_object_bytes(object, &data, &size);
	put_text(writer, "<base64>\n");
	for (size_t done = 0; done < size && writer->error == 0; done += LINE_SIZE) {
		size_t part = size - done < LINE_SIZE ? size - done : LINE_SIZE;

		nettle->nettle_base64_encode_raw(line, part, (const uint8_t *)data + done);
		put(writer, line, BASE64_ENCODE_RAW_LENGTH(part));
		put_text(writer, "\n");
	}
	put_text(writer, "</base64>");
}

/* ---- what holds others ---- */

static void write_items(struct writer *writer, const struct carom_object *list)
{
	put_text(writer, "<array><data>\n");
	for (size_t i = 0; i < carom_object_count(list) && writer->error == 0; i++)
		write_object(writer, carom_object_item(list, i));
	put_text(writer, "</data></array>");
}

static void write_member(struct writer *writer, const struct carom_object *key,
			 const struct carom_object *value)
{
	if (carom_object_kind(key) != CAROM_OBJECT_TEXT)
		return fail(writer, -EINVAL);
	put_text(writer, "<member>\n<name>");
	put_escaped(writer, key);
	put_text(writer, "</name>\n");
	write_object(writer, value);
	put_text(writer, "</member>\n");
}

static void write_members(struct writer *writer, const struct carom_object *dict)
{
	put_text(writer, "<struct>\n");
	for (size_t i = 0; i < carom_object_count(dict) && writer->error == 0; i++)
		write_member(writer, carom_object_key(dict, i), carom_object_item(dict, i));
	put_text(writer, "</struct>");
}

static void write_content(struct writer *writer, const struct carom_object *object)
{
	switch (carom_object_kind(object)) {
	case CAROM_OBJECT_BOOL:
		return write_bool(writer, object);
	case CAROM_OBJECT_INT:
		return write_int(writer, object);
	case CAROM_OBJECT_FLOAT:
		return write_float(writer, object);
	case CAROM_OBJECT_BYTES:
		return write_bytes(writer, object);
	case CAROM_OBJECT_TEXT:
		return write_text(writer, object);
	case CAROM_OBJECT_LIST:
	case CAROM_OBJECT_TUPLE:
		return write_items(writer, object);
	case CAROM_OBJECT_DICT:
		return write_members(writer, object);
	default:
		return fail(writer, -EINVAL);
	}
}

static void write_object(struct writer *writer, const struct carom_object *object)
{
	if (carom_object_kind(object) == CAROM_OBJECT_NONE) {
		put_text(writer, "<value><nil/></value>"); /* Python ends this line nowhere */
		return;
	}
	put_text(writer, "<value>");
	write_content(writer, object);
	put_text(writer, "</value>\n");
}

/* ---- the whole ---- */

int carom_xmlrpc_dump(const struct carom_object *object, void **ret_data, size_t *ret_size)
{
	struct writer writer = { 0 };
	char *data = NULL;
	size_t size = 0;

	writer.file = open_memstream(&data, &size);
	if (!writer.file)
		return -ENOMEM;
	put_text(&writer, "<params>\n<param>\n");
	write_object(&writer, object);
	put_text(&writer, "</param>\n</params>\n");
	if (fclose(writer.file) != 0)
		fail(&writer, -ENOMEM);
	if (writer.error) {
		free(data);
		return writer.error;
	}
	*ret_data = data;
	*ret_size = size;
	return 0;
}

#else

int carom_xmlrpc_dump(const struct carom_object *object, void **ret_data, size_t *ret_size)
{
	return -EOPNOTSUPP;
}

#endif

/*
 * Tracker: messages
 *
 * One line, one message, in one of three forms:
 *
 *	REGISTER:name:type		Python; UNREGISTER and PROBE the same way
 *	{"cmd":"REGISTER","rtype":"type","base64_name":"bmFtZQ=="}	newer Python
 *	REGISTER:name			billiard, which knows semaphores only
 *
 * A name may hold colons in the first form: the command ends at the first, the type
 * begins after the last. The JSON is an object of strings, in any order and with blanks
 * anywhere; no writer has anything to escape, so an escape is refused. Keys that are not
 * known are passed over. The name is base64 in the alphabet for URLs; the common one
 * is understood.
 *
 * Reading is AS-Safe. Whatever comes out holds:
 *
 *   I1  type and command are those of the table; a name is 1 to 255 bytes without NUL,
 *       but for PROBE, which has none.
 *   I2  What comes out of carom_tracker_format() reads back as what went in.
 */
#include "core/tracker_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
	[CAROM_TRACKER_NOOP] = "noop",
	[CAROM_TRACKER_DUMMY] = "dummy",
	[CAROM_TRACKER_SEMAPHORE] = "semaphore",
	[CAROM_TRACKER_SHARED_MEMORY] = "shared_memory",
};

static const char *const command_names[] = {
	[CAROM_TRACKER_REGISTER] = "REGISTER",
	[CAROM_TRACKER_UNREGISTER] = "UNREGISTER",
	[CAROM_TRACKER_PROBE] = "PROBE",
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const char *carom_tracker_type_name(enum carom_tracker_type type)
{
	return type_names[type];
}

/* --- reading ----------------------------------------------------------- */

/* Some bytes of the line; of a field that is not there, NULL. */
struct span {
	const char *bytes;
	size_t size;
};

/* A message as it was written. */
struct fields {
	struct span command;
	struct span type;
	struct span name;
	bool is_base64;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span strip(const char *bytes, size_t size)
{
	while (size && is_blank(bytes[size - 1]))
		size--;
	for (; size && is_blank(*bytes); bytes++)
		size--;
	return (struct span){ bytes, size };
}

/* The index of @word in @words, or -1. */
static int find_word(struct span word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i]) == word.size && memcmp(words[i], word.bytes, word.size) == 0)
			return (int)i;
	return -1;
}

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.bytes[i] > 0x7f)
			return false;
	return true;
}

static bool split_colons(struct span line, bool billiard, struct fields *fields)
{
	const char *end = line.bytes + line.size;
	const char *first = memchr(line.bytes, ':', line.size);
	const char *last = memrchr(line.bytes, ':', line.size);

	if (!first || (first == last && !billiard) || !is_ascii(line))
		return false;
	fields->command = (struct span){ line.bytes, (size_t)(first - line.bytes) };
	if (first == last) {
		fields->name = (struct span){ first + 1, (size_t)(end - first - 1) };
		fields->type = (struct span){ "semaphore", strlen("semaphore") };
		return true;
	}
	fields->name = (struct span){ first + 1, (size_t)(last - first - 1) };
	fields->type = (struct span){ last + 1, (size_t)(end - last - 1) };
	return true;
}

/* The next byte that is not blank, if it is @wanted. */
static bool take(struct span *rest, char wanted)
{
	while (rest->size && is_blank(*rest->bytes))
		*rest = (struct span){ rest->bytes + 1, rest->size - 1 };
	if (!rest->size || *rest->bytes != wanted)
		return false;
	*rest = (struct span){ rest->bytes + 1, rest->size - 1 };
	return true;
}

static bool take_string(struct span *rest, struct span *ret_string)
{
	size_t size = 0;

	if (!take(rest, '"'))
		return false;
	for (; size < rest->size && rest->bytes[size] != '"'; size++)
		if (rest->bytes[size] == '\\' || (unsigned char)rest->bytes[size] - 0x20U > 0x5e)
			return false;
	*ret_string = (struct span){ rest->bytes, size };
	*rest = (struct span){ rest->bytes + size, rest->size - size };
	return take(rest, '"');
}

static bool take_member(struct span *rest, struct fields *fields)
{
	static const char *const keys[] = { "cmd", "rtype", "base64_name" };
	struct span unknown;
	struct span *const values[] = { &fields->command, &fields->type, &fields->name };
	struct span key;
	int i;

	if (!take_string(rest, &key) || !take(rest, ':'))
		return false;
	i = find_word(key, keys, COUNT(keys));
	return take_string(rest, i < 0 ? &unknown : values[i]);
}

static bool split_json(struct span line, struct fields *fields)
{
	fields->is_base64 = true;
	if (!take(&line, '{'))
		return false;
	do
		if (!take_member(&line, fields))
			return false;
	while (take(&line, ','));
	return take(&line, '}') && line.size == 0 && fields->command.bytes && fields->type.bytes;
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-' || c == '+')
		return 62;
	return c == '_' || c == '/' ? 63 : -1;
}

/* Padding included, as every encoder writes it; bits that say nothing must be 0. */
static bool decode_base64(struct span text, char *bytes, size_t room, size_t *ret_size)
{
	uint32_t bits = 0;
	size_t size = 0;
	int bit_count = 0;

	if (text.size % 4 != 0)
		return false;
	for (int i = 0; i < 2 && text.size && text.bytes[text.size - 1] == '='; i++)
		text.size--;
	for (size_t i = 0; i < text.size; i++) {
		int value = sextet(text.bytes[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count < 8)
			continue;
		if (size == room)
			return false;
		bit_count -= 8;
		bytes[size++] = (char)(bits >> bit_count);
		bits &= (UINT32_C(1) << bit_count) - 1;
	}
	*ret_size = size;
	return bits == 0 && bit_count < 6;
}

static bool read_name(const struct fields *fields, struct carom_tracker_message *message)
{
	if (fields->is_base64) {
		if (!decode_base64(fields->name, message->name, CAROM_TRACKER_NAME_MAX,
				   &message->name_size))
			return false;
	} else {
		if (fields->name.size > CAROM_TRACKER_NAME_MAX)
			return false;
		memcpy(message->name, fields->name.bytes, fields->name.size);
		message->name_size = fields->name.size;
	}
	message->name[message->name_size] = '\0';
	return message->name_size > 0 && strlen(message->name) == message->name_size;
}

/* What is wrong with the fields; NULL if nothing is. */
static const char *read_fields(const struct fields *fields, struct carom_tracker_message *message)
{
	int command = find_word(fields->command, command_names, COUNT(command_names));
	int type = find_word(fields->type, type_names, COUNT(type_names));

	if (command < 0)
		return "unrecognized command";
	if (type < 0)
		return "unknown resource type";
	message->command = (enum carom_tracker_command)command;
	message->type = (enum carom_tracker_type)type;
	message->name_size = 0;
	message->name[0] = '\0';
	if (command == CAROM_TRACKER_PROBE)
		return NULL;
	return read_name(fields, message) ? NULL : "malformed name";
}

int carom_tracker_parse(const char *line, size_t size, bool billiard,
			struct carom_tracker_message *ret_message, const char **ret_why)
{
	struct carom_tracker_message message;
	struct span text = strip(line, size);
	struct fields fields = { 0 };
	bool is_json = text.size && *text.bytes == '{';
	const char *why = "malformed message";

	if (is_json ? split_json(text, &fields) : split_colons(text, billiard, &fields))
		why = read_fields(&fields, &message);
	if (why) {
		*ret_why = why;
		return -EBADMSG;
	}
	*ret_message = message;
	return 0;
}

/* --- writing ----------------------------------------------------------- */

static bool fits_in_line(const char *name)
{
	for (; *name; name++)
		if (*name < ' ' || *name > '~' || *name == ':')
			return false;
	return true;
}

static void encode_base64(const char *bytes, size_t size, char *text)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = (uint32_t)(unsigned char)bytes[i] << 16;

		if (i + 1 < size)
			bits |= (uint32_t)(unsigned char)bytes[i + 1] << 8;
		if (i + 2 < size)
			bits |= (unsigned char)bytes[i + 2];
		*text++ = alphabet[bits >> 18];
		*text++ = alphabet[bits >> 12 & 63];
		*text++ = i + 1 < size ? alphabet[bits >> 6 & 63] : '=';
		*text++ = i + 2 < size ? alphabet[bits & 63] : '=';
	}
	*text = '\0';
}

static int print_json(const struct carom_tracker_message *message, char *line, size_t size)
{
	char base64[4 * ((CAROM_TRACKER_NAME_MAX + 2) / 3) + 1];

	encode_base64(message->name, message->name_size, base64);
	return snprintf(line, size, "{\"cmd\":\"%s\",\"rtype\":\"%s\",\"base64_name\":\"%s\"}\n",
			command_names[message->command], type_names[message->type], base64);
}

ssize_t carom_tracker_format(const struct carom_tracker_message *message,
			     enum carom_tracker_dialect dialect,
			     char ret_line[CAROM_TRACKER_MESSAGE_MAX])
{
	const char *command = command_names[message->command];
	const size_t room = CAROM_TRACKER_MESSAGE_MAX;

	if (dialect == CAROM_TRACKER_AUTO)
		dialect = fits_in_line(message->name) ? CAROM_TRACKER_LINES : CAROM_TRACKER_JSON;
	if (dialect == CAROM_TRACKER_JSON)
		return print_json(message, ret_line, room);
	if (!fits_in_line(message->name))
		return -EINVAL;
	if (dialect == CAROM_TRACKER_LINES)
		return snprintf(ret_line, room, "%s:%s:%s\n", command, message->name,
				type_names[message->type]);
	if (message->type != CAROM_TRACKER_SEMAPHORE || strchr(message->name, ' '))
		return -EINVAL; /* a blank at its end would be taken for the line's */
	return snprintf(ret_line, room, "%s:%s\n", command, message->name);
}

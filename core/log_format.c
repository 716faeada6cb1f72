/*
 * Log format
 *
 * Every attribute is spelled into a small text first, and then laid out with what
 * the format asks for between "%(name)" and the letter. System calls and locks are
 * left out, time zones with them: a forked child may be about to say why it ends.
 */
#include "core/log_format.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"

#define SECONDS_PER_DAY 86400

/**
 * struct pen - where the line is written
 * @at:  the next byte
 * @end: none beyond this
 */
struct pen {
	char *at;
	char *end;
};

static void put(struct pen *pen, const char *text, size_t length)
{
	size_t room = (size_t)(pen->end - pen->at);

	if (length > room)
		length = room;
	memcpy(pen->at, text, length);
	pen->at += length;
}

static void fill(struct pen *pen, char with, size_t length)
{
	for (; length && pen->at < pen->end; length--)
		*pen->at++ = with;
}

/* --- what an attribute says -------------------------------------------- */

/* The day @days after 1970-01-01, by the proleptic Gregorian calendar; years begin in March. */
static void date_of(long days, int *ret_year, int *ret_month, int *ret_day)
{
	long since = days + 719468; /* 0000-03-01 */
	long era = (since >= 0 ? since : since - 146096) / 146097;
	long day = since - era * 146097;
	long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	long month;

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	*ret_day = (int)(day - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = (int)(year + era * 400 + (*ret_month <= 2));
}

static void spell_time(const struct carom_log_record *record, long utc_offset_s, char *text,
		       size_t size)
{
	long seconds = (long)(record->time_ns / CAROM_NS_PER_SEC) + utc_offset_s;
	long days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
	int rest = (int)(seconds - days * SECONDS_PER_DAY);
	int year, month, day;

	date_of(days, &year, &month, &day);
	snprintf(text, size, "%04d-%02d-%02d %02d:%02d:%02d,%03d", year, month, day, rest / 3600,
		 rest / 60 % 60, rest % 60, (int)(record->time_ns / 1000000 % 1000));
}

static const char *text_of(const char *name, const struct carom_log_record *record)
{
	if (strcmp(name, "message") == 0)
		return record->text;
	if (strcmp(name, "levelname") == 0)
		return carom_log_level_name(record->level);
	if (strcmp(name, "processName") == 0)
		return record->process_name;
	if (strcmp(name, "name") == 0)
		return "carom";
	if (strcmp(name, "pathname") == 0)
		return record->file;
	if (strcmp(name, "filename") == 0)
		return basename(record->file);
	if (strcmp(name, "funcName") == 0)
		return record->function;
	return NULL;
}

static bool number_of(const char *name, const struct carom_log_record *record, int *ret_number)
{
	if (strcmp(name, "process") == 0)
		*ret_number = record->pid;
	else if (strcmp(name, "levelno") == 0)
		*ret_number = record->level;
	else if (strcmp(name, "lineno") == 0)
		*ret_number = record->line;
	else if (strcmp(name, "msecs") == 0)
		*ret_number = (int)(record->time_ns / 1000000 % 1000);
	else
		return false;
	return true;
}

/* What @name says in this record; spelled into @text if it stands nowhere yet. NULL: unknown. */
static const char *say(const char *name, const struct carom_log_record *record, long utc_offset_s,
		       char *text, size_t size)
{
	const char *said = text_of(name, record);
	int number;

	if (said)
		return said;
	if (strcmp(name, "asctime") == 0)
		spell_time(record, utc_offset_s, text, size);
	else if (number_of(name, record, &number))
		snprintf(text, size, "%d", number);
	else
		return NULL;
	return text;
}

/* --- the format -------------------------------------------------------- */

/**
 * struct field - one "%(name)-8.3s" of a format
 * @name:      cut to what any known one fits in
 * @precision: -1 if there is none
 * @is_text:   the letter is "s"
 * @after:     what follows it in the format
 */
struct field {
	char name[16];
	bool is_left;
	bool is_zero;
	int width;
	int precision;
	bool is_text;
	const char *after;
};

static int take_number(const char **at)
{
	int number = 0;

	for (; isdigit((unsigned char)**at); ++*at)
		if (number < 100000)
			number = number * 10 + **at - '0';
	return number;
}

/* @at points behind "%("; false if no field stands there. */
static bool parse_field(const char *at, struct field *ret_field)
{
	struct field field = { .precision = -1 };
	size_t length = strcspn(at, ")");

	if (at[length] == '\0' || length >= sizeof(field.name))
		return false;
	memcpy(field.name, at, length);
	for (at += length + 1; *at == '-' || *at == '0'; at++)
		*(*at == '-' ? &field.is_left : &field.is_zero) = true;
	field.width = take_number(&at);
	if (*at == '.') {
		at++;
		field.precision = take_number(&at);
	}
	if (*at != 's' && *at != 'd')
		return false;
	field.is_text = *at == 's';
	field.after = at + 1;
	*ret_field = field;
	return true;
}

static void lay_out(struct pen *pen, const struct field *field, const char *text)
{
	size_t length = strlen(text);
	size_t gap;

	if (field->is_text && field->precision >= 0 && length > (size_t)field->precision)
		length = (size_t)field->precision;
	gap = (size_t)field->width > length ? (size_t)field->width - length : 0;
	if (!field->is_left)
		fill(pen, field->is_zero && !field->is_text ? '0' : ' ', gap);
	put(pen, text, length);
	if (field->is_left)
		fill(pen, ' ', gap);
}

/* @at points to a "%"; returns what follows that which it stands for. */
static const char *expand(struct pen *pen, const char *at, const struct carom_log_record *record,
			  long utc_offset_s)
{
	struct field field;
	char text[80];
	const char *said = NULL;

	if (at[1] == '(' && parse_field(at + 2, &field))
		said = say(field.name, record, utc_offset_s, text, sizeof(text));
	if (said) {
		lay_out(pen, &field, said);
		return field.after;
	}
	put(pen, "%", 1);
	return at + 1 + (at[1] == '%');
}

size_t carom_log_format(const char *format, const struct carom_log_record *record,
			long utc_offset_s, char *line, size_t size)
{
	struct pen pen = { line, line + size - 1 };

	while (*format && pen.at < pen.end) {
		size_t plain = strcspn(format, "%");

		put(&pen, format, plain);
		format += plain;
		if (*format)
			format = expand(&pen, format, record, utc_offset_s);
	}
	*pen.at++ = '\n';
	return (size_t)(pen.at - line);
}

/*
 * Log format
 *
 * A record as one line of text, by a format as Python's `logging` has them:
 * %(message)s, %(levelname)s, %(levelno)s, %(processName)s, %(process)d, %(asctime)s,
 * %(msecs)d, %(name)s, %(pathname)s, %(filename)s, %(lineno)d, %(funcName)s and %%, each
 * with the flags "-" and "0", a width and a precision. Anything else stands in the line
 * as it stands in the format.
 */
#ifndef CAROM_CORE_LOG_FORMAT_H
#define CAROM_CORE_LOG_FORMAT_H

#include <stddef.h>

#include "core/log.h"

#define CAROM_LOG_FORMAT_DEFAULT "[%(levelname)s/%(processName)s] %(message)s"

/**
 * carom_log_format() - write the line, with a newline at its end and no NUL
 * @utc_offset_s: from UTC to the time that %(asctime)s is to show
 * @size:         of @line, at least 1; what does not fit is cut
 *
 * Return: its length, newline included. AS-Safe.
 */
size_t carom_log_format(const char *format, const struct carom_log_record *record,
			long utc_offset_s, char *line, size_t size);

#endif

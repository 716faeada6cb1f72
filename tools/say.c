/*
 * Say
 *
 * A line is put together first and written at once, so that lines of programs
 * that share a terminal or a log do not run into each other.
 */
#include "tools/say.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 1000

static const char *speaker = "carom";

void carom_say_as(const char *name)
{
	speaker = name;
}

static int end_fd = -1;

void carom_say_until(int fd)
{
	end_fd = fd;
}

static bool is_to_end(void)
{
	struct pollfd fds[] = {
		{ .fd = STDERR_FILENO, .events = POLLOUT },
		{ .fd = end_fd, .events = POLLIN },
	};

	return end_fd >= 0 && poll(fds, 2, -1) > 0 && !fds[0].revents;
}

static __attribute__((format(printf, 3, 0))) void say(const char *name, const char *separator,
						      const char *format, va_list arguments)
{
	char line[LINE_BYTES + 1]; /* room for the newline where snprintf() puts its NUL */
	size_t length;

	snprintf(line, LINE_BYTES, "%s%s", name, separator);
	length = strlen(line);
	vsnprintf(line + length, LINE_BYTES - length, format, arguments);
	length = strlen(line);
	line[length++] = '\n';
	if (is_to_end())
		return;
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nobody is left to be told */
}

void carom_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(speaker, ": ", format, arguments);
	va_end(arguments);
}

void carom_say_more(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("", "", format, arguments);
	va_end(arguments);
}

int carom_say_why(const char *what, int error)
{
	carom_say("%s: %s", what, strerrordesc_np(-error));
	return CAROM_EXIT_ERROR;
}

int carom_usage_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(speaker, ": ", format, arguments);
	va_end(arguments);
	carom_say_more("'%s --help' shows how it is used", speaker);
	return CAROM_EXIT_ERROR;
}

int carom_option_error(const char *word, int code)
{
	/* getopt leaves 0 in optopt for a long option that it does not know */
	if (strncmp(word, "--", 2) == 0 && code == ':')
		return carom_usage_error("option '%s' needs a value", word);
	if (strncmp(word, "--", 2) == 0 && optopt != 0)
		return carom_usage_error("option '%s' takes no value", word);
	if (strncmp(word, "--", 2) == 0)
		return carom_usage_error("there is no option '%s'", word);
	if (code == ':')
		return carom_usage_error("option '-%c' needs a value", optopt);
	return carom_usage_error("there is no option '-%c'", optopt);
}

int carom_print(const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	while (left > 0) {
		n = write(STDOUT_FILENO, text, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return carom_say_why("standard output", -errno);
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

/*
 * Say
 *
 * What a program of these tools tells its user: results on standard output,
 * checked, and everything else as single lines on standard error.
 */
#ifndef CAROM_TOOLS_SAY_H
#define CAROM_TOOLS_SAY_H

/* The exit status for errors of carom's own, as env(1) and timeout(1) have it. */
#define CAROM_EXIT_ERROR 125

/** carom_say_as() - begin lines with @name from now on; not copied. At first it is "carom". */
void carom_say_as(const char *name);

/**
 * carom_say_until() - from now on wait for a reader of standard error only until @fd can be read
 * @fd: kept; -1, as at first: as long as it takes
 *
 * Then lines that nobody takes are dropped.
 */
void carom_say_until(int fd);

/** carom_say() - "NAME: ..." on standard error, in one write(2); cut at 1000 bytes */
void carom_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** carom_say_more() - a line that belongs to the one before: without the name */
void carom_say_more(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** carom_say_why() - "NAME: WHAT: why", of a negative errno. Return: CAROM_EXIT_ERROR. */
int carom_say_why(const char *what, int error);

/** carom_usage_error() - as carom_say(), followed by where help is. Return: CAROM_EXIT_ERROR. */
int carom_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * carom_option_error() - the same, of what getopt_long(3) does not take, its string beginning with ':'
 * @word: the one that it looked at
 * @code: '?' or ':'
 */
int carom_option_error(const char *word, int code);

/** carom_print() - @text on standard output. Return: 0, or CAROM_EXIT_ERROR after saying why. */
int carom_print(const char *text);

#endif

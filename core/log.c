/*
 * Log
 *
 * The level is one atomic word, looked at before anything is formatted. The
 * lock keeps two lines apart; a fork while another thread holds it would leave
 * it held for ever in the child, so the child makes it anew.
 */
#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEVEL_UNSET (-1)

static _Atomic int current_level = LEVEL_UNSET;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t atfork_once = PTHREAD_ONCE_INIT;
static carom_log_fn *sink;
static void *sink_userdata;

static const char *const level_names[] = { "none", "error", "warning", "info", "debug" };

static void renew_lock(void)
{
	pthread_mutex_init(&lock, NULL);
}

static void register_atfork(void)
{
	pthread_atfork(NULL, NULL, renew_lock);
}

static int level_from_environment(void)
{
	const char *name = getenv("CAROM_LOG");

	for (int level = CAROM_LOG_NONE; name && level <= CAROM_LOG_DEBUG; level++)
		if (strcmp(name, level_names[level]) == 0)
			return level;
	return CAROM_LOG_WARNING;
}

enum carom_log_level carom_log_level(void)
{
	/* relaxed: one independent word; who reads the old level says one line more or less */
	int level = atomic_load_explicit(&current_level, memory_order_relaxed);

	if (level == LEVEL_UNSET) {
		level = level_from_environment();
		atomic_store_explicit(&current_level, level, memory_order_relaxed);
	}
	return (enum carom_log_level)level;
}

void carom_log_set_level(enum carom_log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

void carom_log_to(carom_log_fn *function, void *userdata)
{
	pthread_once(&atfork_once, register_atfork);
	pthread_mutex_lock(&lock);
	sink = function;
	sink_userdata = userdata;
	pthread_mutex_unlock(&lock);
}

static void to_stderr(enum carom_log_level level, const char *line)
{
	char text[640];
	int n = snprintf(text, sizeof(text), "carom: %s: %s\n", level_names[level], line);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return; /* nobody is left to be told */
}

void carom_log(enum carom_log_level level, const char *format, ...)
{
	char line[512];
	int saved_errno = errno;
	va_list arguments;

	if (level == CAROM_LOG_NONE || level > carom_log_level())
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);

	pthread_once(&atfork_once, register_atfork);
	pthread_mutex_lock(&lock);
	if (sink)
		sink(level, line, sink_userdata);
	else
		to_stderr(level, line);
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

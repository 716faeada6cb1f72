/*
 * Log
 *
 * One word, the threshold, says whether a record goes anywhere; it is all that is
 * looked at while nothing does. The settings stand in two versions of which one is
 * current. The lock is held by who makes the other one, and by who gives a record to
 * its takers.
 *
 * A child may be forked from any thread at any instruction, also while another one
 * holds the lock, and in it that other thread never goes on:
 *
 *   I1  The current version is not written to. A change is complete in the other one
 *       before `current` turns to it, so the child has the settings from before or
 *       from after a change, never half of one.
 *   I2  The threshold is made from the current version, in the child again: the fork
 *       may have come between the two stores.
 *   I3  The lock is made anew in the child, and taken again if the thread that forked
 *       held it: a sink may fork.
 *
 * The thread that holds the lock may come here a second time, from a sink or from a
 * signal handler. It is marked before it waits for the lock; what it says then is
 * dropped.
 */
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log_format.h"
#include "core/log_private.h"
#include "core/pid_namespace.h"
#include "core/time.h"

#define PROCESS_NAME_SIZE 64
#define THRESHOLD_OFF     INT_MAX

/**
 * struct settings
 * @path:   lines go to the end of this file; NULL: to none. Never freed
 * @format: of lines, on standard error too. Never freed
 */
struct settings {
	int level;
	bool to_stderr;
	carom_log_sink *sink;
	void *userdata;
	const char *path;
	const char *format;
	char process_name[PROCESS_NAME_SIZE];
};

static struct settings versions[2] = {
	{ .format = CAROM_LOG_FORMAT_DEFAULT, .process_name = "MainProcess" },
};
static _Atomic unsigned int current;
int carom_log_threshold = THRESHOLD_OFF;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local volatile bool is_inside; /* this thread holds the lock, or waits for it */
static bool is_forked;

/* --- the lock ---------------------------------------------------------- */

/* False if this thread has it already; else *ret_state is for release(). */
static bool acquire(int *ret_state)
{
	if (is_inside)
		return false;
	is_inside = true;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, ret_state); /* write(2) is such a place */
	pthread_mutex_lock(&lock);
	return true;
}

static void release(int state)
{
	pthread_mutex_unlock(&lock);
	is_inside = false;
	pthread_setcancelstate(state, NULL);
}

/* --- the settings ------------------------------------------------------ */

static const struct settings *settings_now(void)
{
	/* acquire: what carom_log_after_clone() sees was made by another thread; pairs with R1 */
	return &versions[atomic_load_explicit(&current, memory_order_acquire)];
}

static int threshold_of(const struct settings *settings)
{
	if (!settings->to_stderr && !settings->path && !settings->sink)
		return THRESHOLD_OFF;
	if (settings->level >= CAROM_LOG_NONE)
		return THRESHOLD_OFF;
	return settings->level == CAROM_LOG_NOTSET ? CAROM_LOG_WARNING : settings->level;
}

static void set_threshold(void)
{
	/* relaxed: see carom_log_enabled() */
	__atomic_store_n(&carom_log_threshold, threshold_of(settings_now()), __ATOMIC_RELAXED);
}

/**
 * struct change - settings that are being made
 * @next:   the version to write to
 * @locked: the lock was taken for it
 * @state:  for release()
 */
struct change {
	struct settings *next;
	bool locked;
	int state;
};

static struct change begin_change(void)
{
	struct change change = { 0 };

	change.locked = acquire(&change.state);
	/* relaxed: only who holds the lock stores it */
	change.next = &versions[!atomic_load_explicit(&current, memory_order_relaxed)];
	*change.next = *settings_now();
	return change;
}

static void end_change(const struct change *change)
{
	/* R1, I1: the version is whole; pairs with settings_now() */
	atomic_store_explicit(&current, (unsigned int)(change->next - versions),
			      memory_order_release);
	set_threshold();
	if (change->locked)
		release(change->state);
}

void carom_log_to(carom_log_sink *sink, void *userdata)
{
	struct change change = begin_change();

	change.next->sink = sink;
	change.next->userdata = userdata;
	end_change(&change);
}

static void write_to_stderr(struct settings *settings, int level)
{
	settings->to_stderr = level < CAROM_LOG_NONE;
	if (level != CAROM_LOG_NOTSET && level < CAROM_LOG_NONE)
		settings->level = level;
}

void carom_log_to_stderr(enum carom_log_level level)
{
	struct change change = begin_change();

	write_to_stderr(change.next, (int)level);
	end_change(&change);
}

void carom_log_set_level(enum carom_log_level level)
{
	struct change change = begin_change();

	change.next->level = (int)level;
	end_change(&change);
}

static void copy_settings(struct settings *ret_settings)
{
	int state;
	bool locked = acquire(&state);

	*ret_settings = *settings_now();
	if (locked)
		release(state);
}

enum carom_log_level carom_log_level(void)
{
	struct settings settings;

	copy_settings(&settings);
	return (enum carom_log_level)settings.level;
}

void carom_log_process_name_set(const char *name)
{
	struct change change = begin_change();

	memset(change.next->process_name, 0, PROCESS_NAME_SIZE);
	memcpy(change.next->process_name, name, strnlen(name, PROCESS_NAME_SIZE - 1));
	end_change(&change);
}

/* --- levels and their names -------------------------------------------- */

static const struct {
	int level;
	const char *name;
} levels[] = {
	{ CAROM_LOG_NONE, "NONE" },         { CAROM_LOG_ERROR, "ERROR" },
	{ CAROM_LOG_WARNING, "WARNING" },   { CAROM_LOG_SUBWARNING, "SUBWARNING" },
	{ CAROM_LOG_INFO, "INFO" },         { CAROM_LOG_DEBUG, "DEBUG" },
	{ CAROM_LOG_SUBDEBUG, "SUBDEBUG" }, { CAROM_LOG_NOTSET, "NOTSET" },
};
#define LEVEL_COUNT (sizeof(levels) / sizeof(*levels))

const char *carom_log_level_name(int level)
{
	size_t i = 0;

	while (i < LEVEL_COUNT - 1 && level < levels[i].level)
		i++;
	return levels[i].name;
}

/* A name in any case, or a number; -EINVAL for anything else. */
static int level_of(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	for (size_t i = 0; i < LEVEL_COUNT; i++)
		if (strcasecmp(text, levels[i].name) == 0)
			return levels[i].level;
	if (end == text || *end || number < 0)
		return -EINVAL;
	return number < CAROM_LOG_NONE ? (int)number : CAROM_LOG_NONE;
}

/* --- a record and its takers ------------------------------------------- */

static ssize_t write_patiently(int fd, const char *line, size_t length)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	do
		n = write(fd, line, length);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && poll(&poll_fd, 1, -1) >= 0)));
	return n;
}

/* A reader who went away is no reason to end the program: its SIGPIPE is taken back. */
static void write_line(int fd, const char *line, size_t length)
{
	sigset_t pipe_signal, before, pending;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	sigpending(&pending);
	if (write_patiently(fd, line, length) < 0 && errno == EPIPE &&
	    !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_signal, NULL, &(struct timespec){ 0 });
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/*
 * The file is opened for each line: a descriptor that is kept would be closed in a child
 * that keeps only what it is given, and its number would soon be another file's.
 */
static void append_line(const char *path, const char *line, size_t length)
{
	CAROM_CLEANUP(carom_closep)
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0666);

	write_line(fd < 0 ? STDERR_FILENO : fd, line, length);
}

/* The C library's time zone has a lock that a fork does not renew: a forked child has its parent's. */
static long utc_offset(uint64_t time_ns)
{
	static long offset;
	time_t seconds = (time_t)(time_ns / CAROM_NS_PER_SEC);
	struct tm local;

	if (!is_forked && localtime_r(&seconds, &local))
		offset = local.tm_gmtoff;
	return offset;
}

static void write_lines(const struct settings *settings, const struct carom_log_record *record)
{
	char line[PIPE_BUF];
	long offset = settings->path ? utc_offset(record->time_ns) : 0;
	size_t length = carom_log_format(settings->format, record, offset, line, sizeof(line));

	if (settings->to_stderr)
		write_line(STDERR_FILENO, line, length);
	if (settings->path)
		append_line(settings->path, line, length);
}

static void deliver(struct carom_log_record *record)
{
	struct settings settings;
	int state;

	if (!acquire(&state))
		return;
	settings = *settings_now(); /* a sink may change them twice */
	record->process_name = settings.process_name;
	if (record->level >= threshold_of(&settings)) {
		if (settings.to_stderr || settings.path)
			write_lines(&settings, record);
		if (settings.sink)
			settings.sink(record, settings.userdata);
	}
	release(state);
}

static uint64_t time_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * CAROM_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

void carom_log_at(int level, int event, const char *file, int line, const char *function,
		  const char *format, ...)
{
	struct carom_log_record record = {
		.level = level,
		.event = event,
		.line = line,
		.file = file,
		.function = function,
	};
	char text[PIPE_BUF];
	int saved_errno = errno;
	va_list arguments;

	if (!carom_log_enabled(level) || is_inside)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	record.text = text;
	record.pid = carom_pid_outside();
	record.time_ns = time_now();
	deliver(&record);
	errno = saved_errno;
}

/* --- where a process begins -------------------------------------------- */

void carom_log_export(struct carom_log_settings *ret_settings)
{
	struct settings settings;

	copy_settings(&settings);
	ret_settings->level = settings.level;
	ret_settings->to_stderr = settings.to_stderr;
}

void carom_log_import(const struct carom_log_settings *theirs)
{
	struct change change = begin_change();

	change.next->sink = NULL;
	change.next->userdata = NULL;
	change.next->level = theirs->level;
	change.next->to_stderr = theirs->to_stderr;
	end_change(&change);
}

/* It stays the same file wherever the process goes. NULL: there is no memory, or no folder. */
static char *absolute(const char *path)
{
	char *folder, *whole;

	if (*path == '/')
		return strdup(path);
	folder = getcwd(NULL, 0);
	if (!folder || asprintf(&whole, "%s/%s", folder, path) < 0)
		whole = NULL;
	free(folder);
	return whole;
}

void carom_log_import_environment(void)
{
	const char *level = secure_getenv("_MP_FORK_LOGLEVEL_");
	const char *path = secure_getenv("_MP_FORK_LOGFILE_");
	const char *format = secure_getenv("_MP_FORK_LOGFORMAT_");
	struct change change;

	if (!level || level_of(level) < 0)
		return;
	change = begin_change();
	change.next->level = level_of(level);
	if (path && *path)
		change.next->path = absolute(path);
	if (!change.next->path)
		change.next->to_stderr = true;
	if (format && *format && (format = strdup(format)))
		change.next->format = format;
	utc_offset(time_now()); /* for processes that are forked before they say anything */
	end_change(&change);
}

static void renew(void)
{
	pthread_mutex_init(&lock, NULL);
	if (is_inside)
		pthread_mutex_lock(&lock);
	is_forked = true;
	set_threshold();
}

void carom_log_after_clone(void)
{
	renew();
}

/* Early, so that other constructors can say something; it is also before any thread. */
static void __attribute__((constructor(500))) begin(void)
{
	const char *text = getenv("CAROM_LOG");
	int level = text && *text ? level_of(text) : CAROM_LOG_NONE;

	pthread_atfork(NULL, NULL, renew);
	if (level < 0) {
		carom_log_to_stderr(CAROM_LOG_NOTSET);
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_LEVEL_UNKNOWN,
				"CAROM_LOG: no level is called \"%s\"", text);
	}
	if (level >= 0 && level < CAROM_LOG_NONE)
		carom_log_to_stderr((enum carom_log_level)level);
}

/**
 * DOC: log
 *
 * What the library has to say goes to one function of the program's choice, or
 * to standard error. Nothing is said below the level that was set; the default
 * is warnings and errors, or what CAROM_LOG in the environment names ("error",
 * "warning", "info", "debug", "none"). Workers inherit the setting as it was
 * when their fork server was made.
 */
#ifndef CAROM_CORE_LOG_H
#define CAROM_CORE_LOG_H

#include "api.h"

CAROM_BEGIN_DECLS

enum carom_log_level {
	CAROM_LOG_NONE,
	CAROM_LOG_ERROR,
	CAROM_LOG_WARNING,
	CAROM_LOG_INFO,
	CAROM_LOG_DEBUG,
};

/**
 * typedef carom_log_fn - takes one line
 * @level:    how serious it is
 * @line:     NUL-terminated, without a newline; valid during the call only
 * @userdata: what was given to carom_log_to()
 *
 * Called by any thread, never by two at once. It must not call back into the
 * library.
 */
typedef void carom_log_fn(enum carom_log_level level, const char *line, void *userdata);

/**
 * carom_log_to() - choose where lines go
 * @function: takes each line from now on; NULL means standard error
 * @userdata: handed to @function
 *
 * Context: MT-Safe, AS-Unsafe lock. In a forked child the setting is kept.
 */
CAROM_API void carom_log_to(carom_log_fn *function, void *userdata);

/**
 * carom_log_set_level() - say this much and what is more serious
 * @level: CAROM_LOG_NONE for silence
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API void carom_log_set_level(enum carom_log_level level);

/**
 * carom_log_level() - what is being said now
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API enum carom_log_level carom_log_level(void);

/**
 * carom_log() - say one line
 * @level:  below what is being said now, nothing happens
 * @format: as printf(3), without a newline; cut at 500 bytes
 *
 * Context: MT-Safe, AS-Unsafe lock. Keeps errno.
 */
CAROM_API void carom_log(enum carom_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

CAROM_END_DECLS

#endif

/*
 * Log, as the rest of the library sees it
 *
 * What a child's beginning does to the log. The settings go to a child that does not
 * have them from its parent's memory by carom_log_export() and carom_log_import().
 */
#ifndef CAROM_CORE_LOG_PRIVATE_H
#define CAROM_CORE_LOG_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

/**
 * struct carom_log_settings - what of the log is carried to such a child
 * @level:     what was set; CAROM_LOG_NOTSET if nothing was
 * @to_stderr: 1 if lines go to standard error
 */
struct carom_log_settings {
	int32_t level;
	uint32_t to_stderr;
};

/** carom_log_export() - what is set now. MT-Safe. */
void carom_log_export(struct carom_log_settings *ret_settings);

/**
 * carom_log_import() - go on as @settings say
 *
 * In a child of the fork server or a spawned one. The sink is given up.
 */
void carom_log_import(const struct carom_log_settings *settings);

/**
 * carom_log_import_environment() - do as billiard's variables say
 *
 * In a spawned child, after carom_log_import(). _MP_FORK_LOGLEVEL_, a number or a name,
 * becomes the level and turns on lines: to the end of the file _MP_FORK_LOGFILE_ (to
 * standard error if that is not set, or cannot be opened), in the format
 * _MP_FORK_LOGFORMAT_ (see core/log_format.h). Without a level nothing happens. All of
 * them are ignored where secure_getenv(3) does so.
 */
void carom_log_import_environment(void);

/** carom_log_process_name_set() - what records call this process; cut at 63 bytes. MT-Safe. */
void carom_log_process_name_set(const char *name);

/**
 * carom_log_after_clone() - in a child made without fork(3), before it says anything
 *
 * Does what the handler given to pthread_atfork(3) does in a forked one. AS-Safe.
 */
void carom_log_after_clone(void);

#endif

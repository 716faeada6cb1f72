/**
 * DOC: signal_name
 *
 * Names of signals for people and for configuration files.
 */
#ifndef CAROM_CORE_SIGNAL_NAME_H
#define CAROM_CORE_SIGNAL_NAME_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_signal_name() - what signal @number is called: "SIGTERM", "SIGRTMIN+3"
 *
 * Of several names the usual one: SIGABRT, not SIGIOT.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: static; NULL if there is no such signal.
 */
CAROM_API const char *carom_signal_name(int number);

/**
 * carom_signal_number() - the number of a signal by any of its names
 * @name: with or without SIG, in capitals: "SIGTERM", "TERM", "IOT", "RTMIN+3", "RTMAX-1"
 *
 * Context: MT-Safe.
 * Return: the number, or -EINVAL: no signal is called that.
 */
CAROM_API int carom_signal_number(const char *name);

CAROM_END_DECLS

#endif

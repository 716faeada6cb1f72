/*
 * Notify: what a service tells systemd of itself, sd_notify(3) without its library
 *
 *	notify("READY=1\nSTATUS=4 workers");
 *
 * One datagram to the socket that NOTIFY_SOCKET names; nothing where nobody listens.
 */
#ifndef EXAMPLES_NOTIFY_H
#define EXAMPLES_NOTIFY_H

#include <stdint.h>

/* printf-like. Return: 1, 0 (there is nobody to tell), or a negative errno value. */
int notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* how often WATCHDOG=1 is to be said, in ns: twice as often as it must be; 0: never */
uint64_t notify_watchdog_ns(void);

#endif

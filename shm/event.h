/**
 * DOC: event
 *
 * A flag between processes that can be waited for:
 *
 *	struct shared { struct carom_event ready; ... };
 *
 *	carom_event_set(&shared->ready);			// one process; all who wait go on
 *	r = carom_event_wait(&shared->ready, deadline);		// any others
 *
 * It stands in storage of the caller's, in memory mapped with MAP_SHARED by all who use it
 * (at any address), and between threads of one process just as well. It takes nothing else,
 * so nothing ends it: memory in which nobody waits may be used for something else.
 *
 * Nobody's death leaves it stuck: who dies while it waits is forgotten by the kernel, and
 * who dies while it sets the event has woken all who slept, or nobody and not set it. One
 * who was to set it and died before is not noticed: give waits a deadline.
 */
#ifndef CAROM_SHM_EVENT_H
#define CAROM_SHM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/** struct carom_event - storage of one event; its content is private. Zeroed, it is not set. */
struct carom_event {
	uint32_t opaque[2];
};

/**
 * carom_event_init() - make @event an event that is not set
 *
 * Context: before any other process or thread uses it.
 */
CAROM_API void carom_event_init(struct carom_event *event);

/**
 * carom_event_set() - set it, and wake all who wait
 *
 * Whoever sees it set also sees all that was written before this call. Without anybody
 * who waits it is no system call.
 *
 * Context: MT-Safe, AS-Safe (keeps errno). Any process that maps @event. Never blocks.
 */
CAROM_API void carom_event_set(struct carom_event *event);

/**
 * carom_event_clear() - it is not set any more
 *
 * Who waited when it was set goes on all the same, even if it has not woken up yet.
 *
 * Context: as carom_event_set().
 */
CAROM_API void carom_event_clear(struct carom_event *event);

/** carom_event_is_set() - as it is at this moment. Context: as carom_event_set(). */
CAROM_API bool carom_event_is_set(const struct carom_event *event);

/**
 * carom_event_wait() - until it is set, or @deadline_ns
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever
 *
 * An event that is set needs no wait, whatever the deadline. A signal does not end it.
 *
 * Context: MT-Safe, AS-Safe (keeps errno). Any process that maps @event. Blocks.
 * Return: 0: it is set, or was since the call began; or -ETIMEDOUT.
 */
CAROM_API int carom_event_wait(struct carom_event *event, uint64_t deadline_ns);

/**
 * carom_event_wait_interruptible() - the same, and a signal ends the wait
 *
 * Any signal whose handler runs in this thread, SA_RESTART or not. One that is handled right
 * before the thread falls asleep comes too early: a handler that sets the event does not.
 *
 * Context: as carom_event_wait().
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
CAROM_API int carom_event_wait_interruptible(struct carom_event *event, uint64_t deadline_ns);

/**
 * carom_event_describe() - "<Event set>", "<Event not set>"
 * @text: cut at @size bytes, always with a NUL
 *
 * Context: MT-Safe. Return: @text.
 */
CAROM_API char *carom_event_describe(const struct carom_event *event, char *text, size_t size);

CAROM_END_DECLS

#endif

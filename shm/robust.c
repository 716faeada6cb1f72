/*
 * Robust
 */
#include "shm/robust.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/pid_namespace.h"
#include "core/probe.h"

_Static_assert(offsetof(struct carom_robust_link, next) == sizeof(void *),
	       "`previous` stands right before `next`");

static const int32_t no_tid = -1; /* what no thread has */

_Thread_local struct carom_robust carom_robust_list = { .tid = &no_tid };

static const int32_t *find_tid(void)
{
	int32_t *address = NULL;

	if (!carom_probe(CAROM_FEATURE_TID_ADDRESS))
		return &no_tid;
	if (prctl(PR_GET_TID_ADDRESS, &address) < 0 || !address || *address != gettid())
		return &no_tid;
	return address;
}

static const struct carom_robust *find_list(void)
{
	struct robust_list_head *head;
	size_t size;

	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0 || !head)
		return NULL;
	if (size != sizeof(*head) || head->futex_offset != -CAROM_ROBUST_DISTANCE)
		return NULL;
	carom_robust_list.tid = find_tid();
	carom_robust_list.head = head;
	return &carom_robust_list;
}

const struct carom_robust *carom_robust_self(void)
{
	return carom_robust_list.head ? &carom_robust_list : find_list();
}

/* @self is the calling thread's, and nobody else's */
uint32_t carom_robust_tid(const struct carom_robust *self)
{
	if (self->tid == &no_tid)
		return (uint32_t)gettid();
	if (carom_is_inside()) /* never known in one load: shm/mutex.c has to ask */
		return (uint32_t)*self->tid;
	carom_robust_list.seen_tid = (uint32_t)*self->tid;
	return carom_robust_list.seen_tid;
}

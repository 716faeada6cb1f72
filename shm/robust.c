/*
 * Robust
 */
#include "shm/robust.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/probe.h"

_Static_assert(offsetof(struct carom_robust_link, next) == sizeof(void *),
	       "`previous` stands right before `next`");

/* initial-exec: one instruction instead of a call, and 16 bytes are always to be had */
static _Thread_local struct carom_robust list __attribute__((tls_model("initial-exec")));

static const int32_t *find_tid(void)
{
	int32_t *address = NULL;

	if (!carom_probe(CAROM_FEATURE_TID_ADDRESS))
		return NULL;
	if (prctl(PR_GET_TID_ADDRESS, &address) < 0 || !address || *address != gettid())
		return NULL;
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
	list.tid = find_tid();
	list.head = head;
	return &list;
}

const struct carom_robust *carom_robust_self(void)
{
	return list.head ? &list : find_list();
}

uint32_t carom_robust_tid(const struct carom_robust *self)
{
	return (uint32_t)(self->tid ? *self->tid : gettid());
}

/*
 * Waitable
 *
 * What carom_wait() waits for without knowing what it is: whoever has such a thing, in this
 * layer or one to its right, has one of these in it, and says here how it is asked, and what
 * tells of it. A queue is one, and so is a pool's result.
 */
#ifndef CAROM_IPC_WAITABLE_H
#define CAROM_IPC_WAITABLE_H

#include <stdint.h>

#include "ipc/wait.h"
#include "ipc/wait_set.h"

/**
 * struct carom_waitable_kind - of what sort one is; any thread calls these
 * @look:  is it ready? Return: 1, 0, or why it cannot be waited for. Waits for nobody
 * @begin: put what tells of it into @set: from now on, whatever makes it ready changes a word
 *         of these, or makes a descriptor readable. So it looks once more, behind that.
 *         Return: 0; 1: it is ready, and nothing is to be undone; or why it cannot be
 *         waited for, likewise
 * @end:   once for each @begin that said 0; @how: what that has left in *@ret_how
 */
struct carom_waitable_kind {
	int (*look)(struct carom_waitable *waitable);
	int (*begin)(struct carom_waitable *waitable, struct carom_wait_set *set,
		     uint32_t *ret_how);
	void (*end)(struct carom_waitable *waitable, uint32_t how);
};

/** struct carom_waitable - part of what can be waited for */
struct carom_waitable {
	const struct carom_waitable_kind *kind;
};

#endif

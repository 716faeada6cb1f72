/*
 * Life
 *
 * The order is nptl's for taking a robust mutex: name the node as pending, set
 * the word, link the node, clear pending. Killed between any two of these, the
 * kernel finds the word by the one way or the other, or the process had not yet
 * begun to live and its pidfd tells.
 *
 * FUTEX_WAITERS is set from the start, so that the kernel wakes without having
 * to be asked.
 */
#include "shm/life.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(offsetof(struct carom_life, next) == 32, "futex_offset of glibc on 64-bit Linux");

static int robust_list(struct robust_list_head **ret_head)
{
	struct robust_list_head *head;
	size_t size;

	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0 || !head)
		return -EOPNOTSUPP;
	if (size != sizeof(*head) || head->futex_offset != -(long)offsetof(struct carom_life, next))
		return -EOPNOTSUPP;
	*ret_head = head;
	return 0;
}

/* glibc's own nodes are linked both ways, `previous` standing right before `next` */
static void link_first(struct robust_list_head *head, struct carom_life *life)
{
	struct robust_list *first = head->list.next;

	life->next = first;
	life->previous = &head->list;
	if (first != &head->list)
		((void **)first)[-1] = &life->next;
	atomic_signal_fence(memory_order_seq_cst); /* the kernel may look at any instruction */
	head->list.next = (struct robust_list *)&life->next;
}

int carom_life_begin(struct carom_life *life)
{
	struct robust_list_head *head;
	int r = robust_list(&head);

	if (r < 0)
		return r;
	head->list_op_pending = (struct robust_list *)&life->next;
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store(&life->word, carom_life_word((pid_t)syscall(SYS_gettid)));
	atomic_signal_fence(memory_order_seq_cst);
	link_first(head, life);
	atomic_signal_fence(memory_order_seq_cst);
	head->list_op_pending = NULL;
	return 0;
}

uint32_t carom_life_word(pid_t pid)
{
	return (uint32_t)pid | FUTEX_WAITERS;
}

bool carom_life_ended(const struct carom_life *life)
{
	return atomic_load(&life->word) & FUTEX_OWNER_DIED;
}

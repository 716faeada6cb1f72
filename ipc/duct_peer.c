/*
 * Duct: the other end
 *
 * Where nobody has it any more its socket is hung up. Who has slept, or sent, in a process is told
 * by its porter, by way of the rings; who finds nothing asks.
 */
#include <poll.h>
#include <stddef.h>

#include "ipc/duct_private.h"

/* In this order: who has been told by receiving is told by sending, too. */
static void close_rings(struct carom_duct *duct)
{
	carom_ring_close(&duct->out, CAROM_RING_CONSUMER);
	carom_ring_close(&duct->in, CAROM_RING_PRODUCER);
}

void carom_duct_peer_has_gone(struct carom_porter_watch *watch)
{
	close_rings((struct carom_duct *)((char *)watch - offsetof(struct carom_duct, watch)));
}

/* Where there is no porter to be had, each message is preceded by the question. */
void carom_duct_attend(struct carom_duct *duct)
{
	carom_porter_watch(&duct->watch);
	carom_duct_is_over(duct);
}

bool carom_duct_is_over(struct carom_duct *duct)
{
	struct pollfd poll_fd = { .fd = duct->socket, .events = POLLRDHUP };

	if (carom_ring_is_closed(&duct->in, CAROM_RING_PRODUCER))
		return true;
	if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		return false;
	close_rings(duct);
	return true;
}

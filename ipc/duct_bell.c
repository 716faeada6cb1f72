/*
 * Duct: the bell
 *
 * Who waits for other things, too, waits for a byte in a socket. The level to hold is: while
 * something can be received, there is a byte. Three states, by CAROM_RING_BELL of the ring
 * (armed or not) and the bytes in the socket:
 *
 *	armed, none      the next record that is told rings: clears the bit, sends a byte
 *	rung, one        from the beginning, and after each ringing
 *	rung, none       the byte is on its way, for an instant; or its sender died on it
 *
 *   I5  Bytes are taken out by carom_duct_settle() alone, under the bell lock, one for one
 *       that is known to be too many. So none is taken that somebody needs.
 *
 * To settle with one byte there, and rung: arm, then look at the ring.
 *
 *	empty                            the byte is taken. If the bell was rung since, there
 *	                                 were two, and one is left: rung, one.
 *	something, and disarmed by us    rung, one, as before
 *	something, and it was rung       two bytes, or one and another to come: one is taken
 *
 * A byte while it is armed (a renewal rings whatever the bit says) is one too many as well:
 * it is seen first, and the bit after it, so it is not from a ringing that cleared that.
 */
#include <sys/socket.h>

#include "core/points.h"
#include "ipc/duct_private.h"

/* Where its socket is full there is a byte, and another one tells nothing. */
void carom_duct_ring_bell(void *userdata)
{
	struct carom_duct *duct = userdata;
	int fd = carom_duct_fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);

	CAROM_POINT("duct.ringing");
	if (fd >= 0)
		(void)!send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int carom_duct_poll_fd(struct carom_duct *duct)
{
	int fd = carom_duct_fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);

	if (fd >= 0)
		atomic_store(&duct->end->is_polled, true);
	return fd;
}

static bool has_byte(int fd, int flags)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | flags) == 1;
}

/* Rung, and the byte has come: see above. */
static void arm(struct carom_duct *duct, int fd)
{
	bool is_empty = carom_ring_arm(&duct->in);

	CAROM_POINT("duct.armed");
	if (is_empty || !carom_ring_disarm(&duct->in))
		has_byte(fd, 0);
}

void carom_duct_settle_bell(struct carom_duct *duct)
{
	int fd = carom_duct_fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);
	int r = carom_mutex_try(&duct->end->bell_lock);

	if (r == -EOWNERDEAD)
		carom_mutex_consistent(&duct->end->bell_lock);
	else if (r < 0)
		return; /* somebody else is at it */
	if (has_byte(fd, MSG_PEEK)) {
		if (carom_ring_is_armed(&duct->in))
			has_byte(fd, 0);
		else
			arm(duct, fd);
	}
	carom_mutex_release(&duct->end->bell_lock);
}

bool carom_duct_settle(struct carom_duct *duct)
{
	if (!carom_ring_is_empty(&duct->in) || carom_duct_is_over(duct))
		return true;
	carom_duct_settle_bell(duct);
	return !carom_ring_is_empty(&duct->in);
}

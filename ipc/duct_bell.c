/*
 * Duct: the bell
 *
 * Who waits for other things, too, waits for a byte in a socket. The level to hold is: while
 * something can be received, there is a byte. `armed` of the ring says whether it
 * is:
 *
 *	armed         who tells next rings: sends a byte, then disarms
 *	not armed     there is a byte; from the beginning, and after each ringing
 *	armed again   there is a byte, and who tells next disarms, and sends one more
 *
 * A sender may die at any step, and others share its end and send nothing: nobody comes then to
 * make up for what it has not done. So it rings before it tells. But who is woken that early
 * finds nothing; and may not take the byte out, or nobody would ring again. Therefore a sender
 * says that it is about to tell, and who, in a word that the kernel marks when that dies (D1 of
 * ipc/ring.c; T1 is P2 there, T3 is P3, T4 is P4):
 *
 *	T1  word := this thread              S1  arm
 *	T2  armed? then ring, disarm         S2  is somebody telling who lives?
 *	T3  the index                        S3  still armed?
 *	T5  armed again? then disarm, ring   S4  is the ring empty?
 *	T4  word := 0                        nobody, armed, and empty: take the byte
 *	                                     somebody: arm again
 *	                                     S5  is the ring empty?
 *
 * Whoever tells one that sleeps does the same steps, polled or not; T2 is vain then. If a mark
 * has come into the index meanwhile T3 fails, and T2 is done again: it may have been armed since.
 *
 *   I5  Bytes are taken out by who settles alone, under the bell lock, one at a time. All steps
 *       are sequentially consistent. If S2 finds nobody, then whoever was telling before is
 *       through, or dead: what it has told S4 finds, and if it saw that it was armed, S3 does. And
 *       whoever is at T1 later sees at T2 that it is armed, and sends a byte of its own.
 *   I6  Between T2 and T4 nothing stays armed by who settles: it disarms, or arms again. So what a
 *       sender disarms at T2 is what it has rung for: it compares.
 *   I7  Not armed, or armed again, there is a byte: ringing sends before it disarms, and who settles
 *       does so only where it has seen one that it does not take. T5 may disarm first: its byte is
 *       one more.
 *   I9  Edges (EPOLLET): who finds nothing in S5 sees a byte come behind all that is told later.
 *       If S2 found nobody, T2 of that sender sends one; if who settles then comes before T3 it
 *       finds somebody, and arms again. If S2 found somebody, S5 comes before its T3, whose T5 sees
 *       that it is armed again. Who settles leaves one byte at most, so there is room for it.
 *
 * The deaths:
 *
 *	before T2                nothing was told, and nobody was told of it
 *	rung, not told           woken for nothing: S2 finds one who is dead, the byte is taken
 *	told                     the byte is there; but for who goes by edges none may have come
 *	                         behind T3. Who takes over rings, in any case; where nobody does, and
 *	                         others have that end open, that one receives it when it next looks
 *	settling                 armed with a byte, which is too many: the next one settles
 *
 * Who sends the first time that it is polled for does not know yet, and rings for nobody; but then
 * it fails to tell, and learns it (P1 of ipc/ring.c).
 *
 * tests/model/bell.pml is all of this, searched. One who is stopped between T1 and T4 makes the
 * descriptor readable for nothing until it goes on; and so does one who died there, as long as the
 * kernel has not marked its word.
 */
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/pidfd.h"
#include "core/points.h"
#include "ipc/duct_private.h"
#include "shm/spin.h"

/* At whether somebody is telling, before it is asked whether that lives: some 100 ns usually do. */
#define LOOKS 64

/* Bytes that one may find too many; a peer that means no good sends them for ever. */
#define ROUNDS 64

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

	if (fd >= 0 && !atomic_load(&duct->end->is_polled)) {
		carom_ring_poll(&duct->in);
		atomic_store(&duct->end->is_polled, true);
	}
	return fd;
}

static bool has_byte(int fd, int flags)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | flags) == 1;
}

/* S2 */
static bool is_being_told(const struct carom_duct *duct)
{
	uint32_t teller = carom_ring_teller(&duct->in);

	for (int i = 0; teller != 0 && i < LOOKS; i++) {
		carom_spin_relax();
		teller = carom_ring_teller(&duct->in);
	}
	if (teller == 0)
		return false;
	/* no list of locks: nobody is marked */
	if (!duct->in.is_missed && !carom_pid_lives((pid_t)teller, 0))
		return false;
	sched_yield();
	return true;
}

/* Nobody else takes any out: one stays. Of many, which no honest peer sends, some are taken. */
static void leave_one(int fd)
{
	char bytes[64];
	int count = 0;

	if (ioctl(fd, FIONREAD, &count) < 0 || count <= 1)
		return;
	count = count > (int)sizeof(bytes) ? (int)sizeof(bytes) : count - 1;
	(void)!recv(fd, bytes, (size_t)count, MSG_DONTWAIT);
}

static void arm_again(struct carom_duct *duct, int fd)
{
	leave_one(fd);
	carom_ring_arm(&duct->in, CAROM_RING_AGAIN);
}

/* There is a byte. Return: there may be one more that is too many */
static bool take_byte(struct carom_duct *duct, int fd)
{
	carom_ring_arm(&duct->in, CAROM_RING_ARMED); /* S1 */
	CAROM_POINT("duct.armed");
	if (is_being_told(duct)) {
		arm_again(duct, fd);
		return false;
	}
	if (!carom_ring_is_armed(&duct->in)) /* S3 */
		return true;
	if (carom_ring_is_empty(&duct->in)) /* S4 */
		return has_byte(fd, 0);
	carom_ring_arm(&duct->in, 0);
	return false;
}

void carom_duct_settle_bell(struct carom_duct *duct)
{
	int fd = carom_duct_fetch(duct, &duct->bell_fd, CAROM_LETTER_BELL);
	int r = carom_mutex_try(&duct->end->bell_lock), rounds = 0;

	if (r == -EOWNERDEAD)
		carom_mutex_consistent(&duct->end->bell_lock);
	else if (r < 0)
		return; /* somebody else is at it */
	while (has_byte(fd, MSG_PEEK) && take_byte(duct, fd))
		if (++rounds == ROUNDS) {
			arm_again(duct, fd);
			break;
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

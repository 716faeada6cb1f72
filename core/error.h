/**
 * DOC: error
 *
 * Every function that can fail returns 0 or a count on success and a negative
 * errno value on failure; errno itself is never the channel. One word has one
 * meaning throughout:
 *
 *	-EAGAIN          would block            -ETIMEDOUT  the deadline passed
 *	-EREMOTEIO       the task ended without a value; its outcome says how
 *	-ECANCELED       cancelled              -ESHUTDOWN  the pool is closed
 *	-EPIPE           the peer closed        -ESRCH      that process is gone
 *	-ECONNRESET      the peer is gone, and tore what it was sending
 *	-EINPROGRESS     sent in part; the rest is kept
 *	-EKEYREJECTED    a peer did not show that it has the key, or says so of us
 *	-EOWNERDEAD      the holder died, the state is yours to repair
 *	-ENOTRECOVERABLE nobody can repair it
 *	-EBADMSG         a peer wrote nonsense  -EMSGSIZE   does not fit
 *	-ECHILD          a handle from before fork()
 *	-E2BIG           an option newer than this library
 *	-EOPNOTSUPP      this kernel or this version lacks it
 */
#ifndef CAROM_CORE_ERROR_H
#define CAROM_CORE_ERROR_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_strerror() - what a return value means, and what to do about it
 * @error: what a function of this library returned; the sign does not matter
 *
 * Context: MT-Safe, AS-Safe for the values listed above, MT-Safe for others.
 * Return: a sentence without a full stop, never NULL; static, do not free.
 */
CAROM_API const char *carom_strerror(int error);

/**
 * carom_complain() - tell the user on standard error, for short programs
 * @what:  what failed, for instance "pool"
 * @error: what the function returned
 *
 * Writes "PROGRAM: WHAT: SENTENCE" in one write(2). The library itself never
 * calls this.
 *
 * Context: MT-Safe.
 * Return: EXIT_FAILURE, so that `return carom_complain("pool", r);` ends main().
 */
CAROM_API int carom_complain(const char *what, int error);

CAROM_END_DECLS

#endif

/**
 * DOC: death_signal
 *
 * The signal that the kernel sends to this process when its parent ends (prctl(2),
 * PR_SET_PDEATHSIG). Children that the library makes get SIGKILL that way, or an
 * equivalent; see what the process object says of it.
 */
#ifndef CAROM_CORE_DEATH_SIGNAL_H
#define CAROM_CORE_DEATH_SIGNAL_H

#include "api.h"

CAROM_BEGIN_DECLS

/** carom_death_signal() - its number; 0 for none. MT-Safe, AS-Safe. */
CAROM_API int carom_death_signal(void);

/**
 * carom_death_signal_set() - have it sent
 * @number: which; 0 for none
 *
 * It goes out when the thread ends that made this process, even if the parent goes on,
 * and not for a parent that has ended before: compare getppid(2) afterwards. Children do
 * not inherit it. A change of credentials, or an exec that brings one, takes it away.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, or -EINVAL: there is no such signal.
 */
CAROM_API int carom_death_signal_set(int number);

CAROM_END_DECLS

#endif

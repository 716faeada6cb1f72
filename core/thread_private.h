/* Threads: what the end of a process calls. */
#ifndef CAROM_CORE_THREAD_PRIVATE_H
#define CAROM_CORE_THREAD_PRIVATE_H

/** carom_threads_join() - wait until those of carom_thread_start() have ended; but for this one */
void carom_threads_join(void);

#endif

/* Mutex: what the locks that are built on it use beside its header. */
#ifndef CAROM_SHM_MUTEX_PRIVATE_H
#define CAROM_SHM_MUTEX_PRIVATE_H

#include <stdbool.h>

#include "shm/mutex.h"

/** carom_mutex_is_mine() - does the calling thread hold it? */
bool carom_mutex_is_mine(const struct carom_mutex *mutex);

/** carom_mutex_describe_holder() - "owner=nobody", without the brackets. Return: @text. */
char *carom_mutex_describe_holder(const struct carom_mutex *mutex, char *text, size_t size);

#endif

/*
 * Robust head
 *
 * glibc puts a mutex that was just taken first in the list, and lets it point back to
 * the head. That it points to one shows in the way from there: first node, distance,
 * and there is the mutex again.
 */
#include "core/robust_head.h"

#include <pthread.h>
#include <stddef.h>

#if defined(__GLIBC__) && __PTHREAD_MUTEX_HAVE_PREV

static void make_robust(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static struct robust_list_head *head_behind(const pthread_mutex_t *held)
{
	struct robust_list_head *head = (void *)held->__data.__list.__prev;

	if (!head || head->futex_offset != -CAROM_ROBUST_DISTANCE)
		return NULL;
	return (char *)head->list.next + head->futex_offset == (const char *)held ? head : NULL;
}

struct robust_list_head *carom_robust_head(void)
{
	struct robust_list_head *head;
	pthread_mutex_t mutex;

	make_robust(&mutex);
	pthread_mutex_lock(&mutex);
	head = head_behind(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_mutex_destroy(&mutex);
	return head;
}

#else

struct robust_list_head *carom_robust_head(void)
{
	return NULL;
}

#endif

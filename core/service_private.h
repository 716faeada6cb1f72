/* Service: what its sources share. */
#ifndef CAROM_CORE_SERVICE_PRIVATE_H
#define CAROM_CORE_SERVICE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/service.h"

struct errand;

struct carom_service {
	uint64_t origin;
	struct carom_loop *loop;
	struct carom_loop_fd pidfds; /* an epoll set of carom_service_pidfd; polled: none */
	struct carom_forkserver *server;
	struct carom_loop_fd server_watches[2];
	struct carom_birth *waiting;
	uint32_t sent_count;  /* births that the fork server has */
	uint64_t image_count; /* of libraries loaded so far, when it was forked */
	bool server_unwanted; /* by carom_stop_forkserver() */
	bool server_has_made; /* a child */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct errand *errands;
	struct carom_poke *pokes;
	int start_error; /* 1 while the thread has not said */
	uint32_t user_count;

	pthread_t thread;
	bool is_over;

	bool is_lost;                     /* with the lock; broken */
	struct carom_service_user *users; /* of the loop's thread */
	struct carom_service *next_lost;

	bool is_polled; /* no thread */
	struct carom_service *next_polled;
};

/** carom_service_drop_server() - end the fork server, if there is one; in the loop's thread */
void carom_service_drop_server(struct carom_service *service);

/**
 * carom_service_lose_births() - the service is lost: each birth is answered
 *
 * What the fork server had made by then is handed over, and ended by who gets it.
 */
void carom_service_lose_births(struct carom_service *service);

/** carom_service_there() - the program's, if there is one; none is made */
struct carom_service *carom_service_there(void);

#endif

/*
 * Self
 */
#include "core/self.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/log_private.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct carom_self self = { .name = "MainProcess" };
static _Atomic uint32_t child_count;
static char directory[PATH_MAX];

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void let_go(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void begin(void)
{
	pthread_atfork(hold, let_go, let_go);
	if (!getcwd(directory, sizeof(directory)))
		directory[0] = '\0';
}

/* made up when it is first asked for: a program without children needs none */
static void need_authkey(void)
{
	if (self.authkey.size)
		return;
	if (getrandom(self.authkey.bytes, CAROM_AUTHKEY_SIZE, 0) != CAROM_AUTHKEY_SIZE)
		abort(); /* a guessable key is worse: before the first entropy the call waits */
	self.authkey.size = CAROM_AUTHKEY_SIZE;
}

void carom_self_copy(struct carom_self *ret_self)
{
	pthread_mutex_lock(&lock);
	need_authkey();
	*ret_self = self;
	pthread_mutex_unlock(&lock);
}

void carom_self_become(const struct carom_self *other)
{
	pthread_mutex_lock(&lock);
	self = *other;
	pthread_mutex_unlock(&lock);
	atomic_store(&child_count, 0);
	carom_log_process_name_set(other->name);
}

void carom_self_rename(const char *name)
{
	pthread_mutex_lock(&lock);
	snprintf(self.name, sizeof(self.name), "%s", name);
	pthread_mutex_unlock(&lock);
	carom_log_process_name_set(name);
}

void carom_self_rekey(const struct carom_authkey *key)
{
	pthread_mutex_lock(&lock);
	self.authkey = *key;
	pthread_mutex_unlock(&lock);
}

uint32_t carom_self_count_child(void)
{
	return atomic_fetch_add(&child_count, 1) + 1;
}

const char *carom_self_directory(void)
{
	return directory;
}

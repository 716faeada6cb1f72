/*
 * Self
 */
#include "core/self.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/fork_lock.h"
#include "core/log_private.h"
#include "core/written.h"

static CAROM_FORK_LOCK(lock);
static struct carom_self self = { .name = "MainProcess" };
static _Atomic uint32_t child_count CAROM_WRITTEN;
static const char *directory; /* not among what children write to, whose pages become their own */

__attribute__((constructor)) static void begin(void)
{
	directory = getcwd(NULL, 0);
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
	carom_fork_lock_acquire(&lock);
	need_authkey();
	*ret_self = self;
	carom_fork_lock_release(&lock);
}

void carom_self_become(const struct carom_self *other)
{
	carom_fork_lock_acquire(&lock);
	self = *other;
	carom_fork_lock_release(&lock);
	atomic_store(&child_count, 0);
	carom_log_process_name_set(other->name);
}

void carom_self_rename(const char *name)
{
	carom_fork_lock_acquire(&lock);
	snprintf(self.name, sizeof(self.name), "%s", name);
	carom_fork_lock_release(&lock);
	carom_log_process_name_set(name);
}

void carom_self_rekey(const struct carom_authkey *key)
{
	carom_fork_lock_acquire(&lock);
	self.authkey = *key;
	carom_fork_lock_release(&lock);
}

int carom_self_child(struct carom_self *ret_child, const char *type, const char *name)
{
	uint32_t ordinal = atomic_fetch_add(&child_count, 1) + 1;
	size_t length;
	int n;

	carom_self_copy(ret_child);
	ret_child->parent_pid = getpid();
	memcpy(ret_child->parent_name, ret_child->name, sizeof(ret_child->name));
	length = strlen(ret_child->identity);
	n = snprintf(ret_child->identity + length, sizeof(ret_child->identity) - length, "%s%u",
		     length ? ":" : "", ordinal);
	if (n >= (int)(sizeof(ret_child->identity) - length))
		return -ENAMETOOLONG;
	n = name ? snprintf(ret_child->name, sizeof(ret_child->name), "%s", name)
		 : snprintf(ret_child->name, sizeof(ret_child->name), "%s-%s", type,
			    ret_child->identity);
	return n >= (int)sizeof(ret_child->name) ? -ENAMETOOLONG : 0;
}

const char *carom_self_directory(void)
{
	return directory ? directory : "";
}

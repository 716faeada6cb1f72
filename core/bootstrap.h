/*
 * Bootstrap: the beginning and the end of a child, the same for every start method
 *
 *	who it is        name, authkey, context, log, as its parent had them
 *	where it is      directory, the null device as standard input
 *	what is not its  finalizers of its parent; handlers of atexit(3)
 *	after-fork hooks in the order of their registration
 *	its sandbox      if it is to be in one
 *	the function
 *	its end          core/leave.h; the streams are flushed; _exit()
 */
#ifndef CAROM_CORE_BOOTSTRAP_H
#define CAROM_CORE_BOOTSTRAP_H

#include "core/parcel.h"

/** carom_bootstrap() - become the child that @parcel describes, run it, end */
_Noreturn void carom_bootstrap(const struct carom_parcel *parcel);

/**
 * carom_bootstrap_thread() - run what @parcel says in the calling thread, as a child would
 *
 * A failure is told on standard error, as a child's is. The thread has nothing else of a child.
 */
void carom_bootstrap_thread(const struct carom_parcel *parcel);

/**
 * struct carom_delivery - the fork server's request for a process
 * @fd_count:    descriptors in the request that are the child's
 * @more_count:  those that come through the channel
 * @has_file:    the parcel is in a memfd, after these; else it follows this struct
 * @has_channel: then comes the channel
 * @has_sandbox: and then the page of its sandbox
 */
struct carom_delivery {
	uint32_t fd_count;
	uint32_t more_count;
	uint32_t has_file;
	uint32_t has_channel;
	uint32_t has_sandbox;
	_Alignas(64) unsigned char parcel[];
};

/** carom_bootstrap_delivery() - a carom_child_fn: unpack and become it */
int carom_bootstrap_delivery(const void *argument, size_t size, const int *fds, size_t fd_count);

/** carom_bootstrap_is_due() - this program was started as a child, and main_hook was not called yet */
bool carom_bootstrap_is_due(void);

/** carom_bootstrap_is_ready() - carom_main_hook() was called in this program, so it may start itself */
bool carom_bootstrap_is_ready(void);

/* argv[1] of a program that is started as a child; the descriptor of its parcel follows. */
#define CAROM_CHILD_MARKER "--carom-child="

/* The exit status of a child whose program ends without having called carom_main_hook(). */
#define CAROM_EXIT_NO_HOOK 70

#endif

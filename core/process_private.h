/* Process: what its sources share. */
#ifndef CAROM_CORE_PROCESS_PRIVATE_H
#define CAROM_CORE_PROCESS_PRIVATE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/context_private.h"
#include "core/loop.h"
#include "core/parcel.h"
#include "core/process.h"
#include "core/process_limits.h"
#include "core/sandbox_private.h"
#include "core/self.h"
#include "core/service.h"

#define PROCESS_TEXT_MAX 512

enum process_state {
	PROCESS_INITIAL,
	PROCESS_STARTING,
	PROCESS_STARTED,
	PROCESS_ENDED,
};

/**
 * struct carom_process
 * @is_special:    this process's own handle, or its parent's
 * @is_controlled: its end is no news
 * @is_told:       was sent to its end when this process left
 * @is_watched:    by the library's thread, or about to be
 * @is_cancelled:  a thread: carom_process_cancel()
 * @creator:       a thread: the number of the one that made the handle
 * @limits:         NULL: it has none
 * @sandbox, @page: NULL: it is in none; the page from its start on
 * @pid, @pidfd, @exit: as @state has them; a thread has neither pid nor pidfd
 * @pidfd_user_count: the library's thread while it watches, and threads that wait
 * @next, @link:   in the list of those with a pidfd, and of threads that run
 * @service, @watch: of the library's thread, while it watches; NULL for a thread
 */
struct carom_process {
	uint64_t origin;
	uint32_t reference_count;
	enum process_state state;
	bool is_special;
	bool is_closed;
	bool is_controlled;
	bool is_told;
	bool is_watched;
	_Atomic bool is_cancelled;
	uint32_t pidfd_user_count;
	uint64_t creator;
	const char *type;
	struct carom_context_settings settings;
	struct carom_self self;
	carom_process_fn *function;
	char *function_name;
	carom_process_fn *run;
	const void *argument;
	size_t argument_size;
	int *fds;
	size_t fd_count;
	struct carom_sandbox *sandbox;
	struct carom_sandbox_page *page;
	struct carom_process_limits *limits;
	pid_t pid;
	pid_t parent_pid;
	int pidfd;
	struct carom_exit exit;
	struct carom_process *next;
	struct carom_process **link;
	struct carom_service *service;
	struct carom_service_pidfd watch;
};

/** carom_process_access() - call @function with the lock; -ECHILD */
typedef int process_access_fn(struct carom_process *process, void *userdata);
int carom_process_access(struct carom_process *process, process_access_fn *function,
			 void *userdata);

/** carom_process_text() - carom_process_describe() with the lock held */
void carom_process_text(const struct carom_process *process, char *text, size_t size);

/** carom_process_is_thread() - is it of the context "thread"? */
static inline bool carom_process_is_thread(const struct carom_process *process)
{
	return process->settings.method == CAROM_START_THREAD;
}

/** carom_process_parcel() - what it is told, as its handle has it; points into the handle */
void carom_process_parcel(const struct carom_process *process, struct carom_parcel *ret_parcel);

/** carom_process_birth() - by the method of its context; the pid, or a negative errno value */
pid_t carom_process_birth(struct carom_process *process, int *ret_pidfd);

/** carom_term_signal() - SIGTERM, or what REMAP_SIGTERM names */
int carom_term_signal(void);

/** carom_term_signal_settle() - in a new child: where it is another, SIGTERM is ignored */
void carom_term_signal_settle(void);

/** carom_thread_number() - of the calling thread; no other ever has it. MT-Safe. */
uint64_t carom_thread_number(void);

/** carom_thread_process() - the calling thread's handle; NULL: it is none of the context "thread" */
struct carom_process *carom_thread_process(void);

/** carom_thread_is_daemon() - is the calling thread one of the context "thread", and daemonic? */
bool carom_thread_is_daemon(void);

/** carom_thread_birth() - a thread for @process. 0, -ENOMEM, -EAGAIN. */
int carom_thread_birth(struct carom_process *process);

/** carom_thread_begun() - its first act: wait until its start is over */
void carom_thread_begun(struct carom_process *process);

/** carom_thread_ended() - its last act; the handle may be gone then */
void carom_thread_ended(struct carom_process *process);

int carom_special_join(struct carom_process *process, uint64_t deadline_ns);
int carom_special_is_alive(struct carom_process *process);

#endif

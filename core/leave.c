/*
 * Leave
 *
 * In the root it is the last of what atexit(3) runs, because the library registers it
 * before main(). In a child it has to be the first after the child's own handlers:
 * registered at the child's beginning, and it ends there (on_exit(3) tells the status).
 */
#include "core/leave.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/children.h"
#include "core/finalizer_private.h"
#include "core/guard.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/process.h"
#include "core/service.h"
#include "core/streams.h"
#include "core/thread_private.h"
#include "core/time.h"
#include "core/tracker.h"
#include "core/written.h"

static _Atomic uint64_t leaving; /* the origin of the process that is; 0 none */

bool carom_is_exiting(void)
{
	uint64_t origin = atomic_load(&leaving);

	return origin && carom_origin_is(origin);
}

static bool waits_for_nobody CAROM_WRITTEN;
static bool is_prepared;
static bool is_child CAROM_WRITTEN;

static _Atomic uint64_t limit_ns = CAROM_NO_DEADLINE;

void carom_set_exit_limit(uint64_t ns)
{
	atomic_store(&limit_ns, ns);
}

static void end_everything(uint64_t patience_ns)
{
	carom_finalizers_run(0);
	carom_children_terminate_daemons();
	if (!waits_for_nobody) {
		uint64_t deadline_ns = carom_deadline_after(patience_ns);

		carom_children_join(deadline_ns);
		carom_threads_join(deadline_ns);
	}
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	carom_tracker_stop(); /* the last: what finalizers have left is unlinked now; a second at most */
}

void carom_leave(void)
{
	uint64_t origin = carom_origin();

	if (atomic_exchange(&leaving, origin) != origin)
		end_everything(atomic_load(&limit_ns));
}

int carom_reset_for_tests(void)
{
	if (carom_service_is_used())
		return -EBUSY;
	end_everything(CAROM_NO_DEADLINE);
	carom_children_unwatch();
	carom_service_end();
	carom_guard_forget();
	return 0;
}

__attribute__((constructor)) static void begin(void)
{
	atexit(carom_leave);
}

static void end_child(int status, void *unused)
{
	if (!is_child)
		return;
	CAROM_POINT("child.returned");
	carom_leave();
	carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_PROCESS_EXITS,
			"process %d exiting with exitcode %d", (int)getpid(), status & 0xff);
	carom_streams_flush();
	CAROM_POINT("child.left");
	_exit(status);
}

void carom_leave_prepare(void)
{
	on_exit(end_child, NULL);
	is_prepared = true;
}

/* Who was forked by a child has that one's handlers, and needs an end before them. */
void carom_leave_as_child(void)
{
	waits_for_nobody = false;
	if (!is_prepared || is_child)
		on_exit(end_child, NULL);
	is_child = true;
}

void carom_leave_waits_for_nobody(void)
{
	waits_for_nobody = true;
}

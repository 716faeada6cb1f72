/*
 * Probe
 *
 * One answer for each feature, found once: 0, or how the kernel refused. How it is asked
 * stands in core/probe_ask.c.
 */
#include "core/probe.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/probe_ask.h"

#define NEEDS_NONE CAROM_FEATURE_COUNT

/**
 * struct feature - what is known of one beforehand
 * @ask:      0, or how the kernel refuses
 * @needs:    one that it is a part of, and that stands before it
 * @use:      what is done with it, for people
 * @fallback: what is done without it; NULL: there is no way without it
 */
static const struct feature {
	const char *name;
	int (*ask)(void);
	enum carom_feature needs;
	const char *use;
	const char *fallback;
} features[CAROM_FEATURE_COUNT] = {
	[CAROM_FEATURE_CLONE3] = {
		"clone3", carom_ask_clone3, NEEDS_NONE,
		"children are made by clone3(2), in a cgroup of their own if that is wanted",
		"children are made by clone(2), in their parent's cgroup",
	},
	[CAROM_FEATURE_CLONE_PIDFD] = {
		"clone_pidfd", carom_ask_clone_pidfd, NEEDS_NONE,
		"a child's pidfd is there when the child is, also without clone3",
		"without clone3 too, children are made by fork(2), and there are no pools",
	},
	[CAROM_FEATURE_TID_ADDRESS] = {
		"tid_address", carom_ask_tid_address, NEEDS_NONE,
		"the thread id that the C library keeps is set right in a cloned child",
		"children are made by fork(2), which repairs it, and there are no pools",
	},
	[CAROM_FEATURE_ROBUST_LIST] = {
		"robust_list", carom_ask_robust_list, NEEDS_NONE,
		"the kernel marks the locks of a dying process, before it takes it down",
		"a worker's death is noticed at its pidfd, late for large processes; mutexes are the "
		"pthread library's, and there are no other locks nor queues between processes",
	},
	[CAROM_FEATURE_IO_URING] = {
		"io_uring", carom_ask_io_uring, NEEDS_NONE,
		"loops use io_uring",
		"loops use epoll",
	},
	[CAROM_FEATURE_IO_URING_FUTEX] = {
		"io_uring_futex", carom_ask_io_uring_futex, CAROM_FEATURE_IO_URING,
		"loops wait for words in the ring",
		"a helper thread waits for words",
	},
	[CAROM_FEATURE_FUTEX_WAITV] = {
		"futex_waitv", carom_ask_futex_waitv, NEEDS_NONE,
		"one thread waits for many words, where the ring does not",
		"without io_uring_futex too, there is a thread for each word",
	},
	[CAROM_FEATURE_PIDFD_OPEN] = {
		"pidfd_open", carom_ask_pidfd_open, NEEDS_NONE,
		"a child that is known by its pid is held by a pidfd",
		"children are held from birth or not at all, by fork(2) through another process",
	},
	[CAROM_FEATURE_PIDFD_SIGNAL] = {
		"pidfd_signal", carom_ask_pidfd_signal, NEEDS_NONE,
		"signals go to a process and never to another that has got its number",
		"signals go by number, which another process may have got an instant before",
	},
	[CAROM_FEATURE_PIDFD_WAIT] = {
		"pidfd_wait", carom_ask_pidfd_wait, NEEDS_NONE,
		"waitid(2) takes the exit status of a child by its pidfd",
		NULL,
	},
	[CAROM_FEATURE_PIDFD_INFO] = {
		"pidfd_info", carom_ask_pidfd_info, NEEDS_NONE,
		"an exit status that the program reaped itself is still known",
		"an exit status that the program reaped itself is lost",
	},
	[CAROM_FEATURE_CLOSE_RANGE] = {
		"close_range", carom_ask_close_range, NEEDS_NONE,
		"descriptors that a child shall not have are closed by ranges",
		"descriptors are closed one by one",
	},
	[CAROM_FEATURE_MEMFD] = {
		"memfd", carom_ask_memfd, NEEDS_NONE,
		"shared memory has no name, and its size is sealed",
		NULL,
	},
	[CAROM_FEATURE_MEMFD_NOEXEC] = {
		"memfd_noexec", carom_ask_memfd_noexec, NEEDS_NONE,
		"shared memory can never be made executable",
		"shared memory could be executed by who has its descriptor",
	},
	[CAROM_FEATURE_WIPE_ON_FORK] = {
		"wipe_on_fork", carom_ask_wipe_on_fork, NEEDS_NONE,
		"a forked child notices that it is one, and leaves its parent's objects alone",
		NULL,
	},
	[CAROM_FEATURE_MADV_POPULATE] = {
		"madv_populate", carom_ask_madv_populate, NEEDS_NONE,
		"pages are made at once",
		"pages are touched one by one",
	},
	[CAROM_FEATURE_MEMBARRIER] = {
		"membarrier", carom_ask_membarrier, NEEDS_NONE,
		"parts of a map are claimed without a barrier each",
		"parts of a map are claimed with a barrier each",
	},
	[CAROM_FEATURE_CGROUP_V2] = {
		"cgroup_v2", carom_ask_cgroup_v2, NEEDS_NONE,
		"the own cgroup v2 is delegated: others can be made in it",
		"memory is limited by rlimits and by sampling",
	},
	[CAROM_FEATURE_CGROUP_KILL] = {
		"cgroup_kill", carom_ask_cgroup_kill, CAROM_FEATURE_CGROUP_V2,
		"all processes of a cgroup are killed at once",
		"a cgroup is frozen, and its processes are killed one by one",
	},
	[CAROM_FEATURE_SECCOMP] = {
		"seccomp", carom_ask_seccomp, NEEDS_NONE,
		"what sandboxed processes do not need of the kernel is denied to them",
		"there are no sandboxes",
	},
	[CAROM_FEATURE_LANDLOCK] = {
		"landlock", carom_ask_landlock, NEEDS_NONE,
		"files, and other processes' memory, are closed to sandboxed processes",
		"there are sandboxes only by CAROM_SANDBOX_PARENT, and without files",
	},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int answers[CAROM_FEATURE_COUNT];
static _Atomic uint32_t found;

static int feature_by_name(const char *name, size_t length)
{
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++)
		if (strlen(features[i].name) == length &&
		    strncmp(features[i].name, name, length) == 0)
			return i;
	return -1;
}

/* What is done in any case is not said to be denied. */
static uint32_t deny(const char *name, size_t length)
{
	int feature = feature_by_name(name, length);

	if (feature >= 0 && features[feature].fallback)
		return UINT32_C(1) << feature;
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FEATURE_UNKNOWN,
			feature < 0 ? "CAROM_DENY: no feature is called \"%.*s\""
				    : "CAROM_DENY: there is no way without \"%.*s\"",
			(int)length, name);
	return 0;
}

static uint32_t denied_by_environment(void)
{
	const char *name = getenv("CAROM_DENY");
	uint32_t denied = 0;

	while (name && *name) {
		size_t length = strcspn(name, ",");

		if (length)
			denied |= deny(name, length);
		name += length;
		name += *name == ',';
	}
	return denied;
}

static int answer_of(const struct feature *feature, bool is_denied)
{
	if (feature->needs != NEEDS_NONE && answers[feature->needs] < 0)
		return answers[feature->needs];
	return is_denied ? -ECANCELED : feature->ask();
}

static void say_missing(const struct feature *feature, int error)
{
	const char *reason = error == -ECANCELED ? "CAROM_DENY" : strerrorname_np(-error);

	carom_log_event(feature->fallback ? CAROM_LOG_INFO : CAROM_LOG_WARNING,
			CAROM_LOG_EVENT_FEATURE_MISSING, "no %s (%s): %s; see `carom doctor`",
			feature->name, reason ? reason : "?",
			feature->fallback ? feature->fallback : "there is no way without it");
}

static void probe_all(void)
{
	uint32_t denied = denied_by_environment();
	int saved_errno = errno;

	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		answers[i] = answer_of(&features[i], denied & (UINT32_C(1) << i));
		/* relaxed: pthread_once() publishes them */
		if (answers[i] == 0)
			atomic_fetch_or_explicit(&found, UINT32_C(1) << i, memory_order_relaxed);
		else
			say_missing(&features[i], answers[i]);
	}
	errno = saved_errno;
}

bool carom_probe(enum carom_feature feature)
{
	pthread_once(&once, probe_all);
	/* relaxed: see probe_all() */
	return atomic_load_explicit(&found, memory_order_relaxed) & (UINT32_C(1) << feature);
}

int carom_probe_error(enum carom_feature feature)
{
	pthread_once(&once, probe_all);
	return answers[feature];
}

const char *carom_feature_name(enum carom_feature feature)
{
	return features[feature].name;
}

const char *carom_feature_use(enum carom_feature feature)
{
	return features[feature].use;
}

const char *carom_feature_fallback(enum carom_feature feature)
{
	return features[feature].fallback;
}

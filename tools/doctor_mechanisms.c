/*
 * Mechanisms
 *
 * The library's own answers (carom_feature_next()), never a second probing. What each
 * costs when it is missing, and what would give it, is known here; one that is not in
 * the table is shown all the same, with what the library says of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/annex.h"
#include "core/clone.h"
#include "core/features.h"
#include "core/loop.h"
#include "core/probe.h"
#include "tools/doctor_files.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

/* What would give a feature beyond what gives any; false: nothing of its own. */
typedef bool suggest_fn(const struct carom_doctor_place *place, int error,
			struct carom_doctor_finding *finding);

static bool suggest_group(const struct carom_doctor_place *place, int error,
			  struct carom_doctor_finding *finding)
{
	carom_doctor_delegate_cgroup(place, finding, error);
	return true;
}

static bool suggest_landlock(const struct carom_doctor_place *place, int error,
			     struct carom_doctor_finding *finding)
{
	if (error == -EOPNOTSUPP)
		carom_doctor_enable_landlock(finding);
	return error == -EOPNOTSUPP;
}

/* Whether the administrator has switched rings off, for all or for who is not in a group. */
static bool is_ring_disabled(const struct carom_doctor_place *place)
{
	uint64_t disabled = 0;

	carom_doctor_read_number(place->root, "/proc/sys/kernel/io_uring_disabled", &disabled);
	return disabled != 0;
}

static bool suggest_ring(const struct carom_doctor_place *place, int error,
			 struct carom_doctor_finding *finding)
{
	if (error == -EOPNOTSUPP || !is_ring_disabled(place))
		return false;
	carom_doctor_set_sysctl(place, finding, "kernel.io_uring_disabled=0");
	return true;
}

/**
 * struct mechanism - what is known of a feature beforehand
 * @since_major, @since_minor: the first kernel that has it
 * @calls: system calls that a container has to allow for it
 * @part_of: a feature whose lack is the cause, if that lacks too
 * @cost:  what is worse without it
 * @library: that this one may have been built without, and then lacks the feature
 */
static const struct mechanism {
	const char *name;
	enum carom_doctor_group group;
	unsigned since_major, since_minor;
	const char *calls;
	const char *part_of;
	const char *cost;
	const char *library;
	suggest_fn *suggest;
} mechanisms[] = {
	{ "clone3", CAROM_DOCTOR_PROCESSES, 5, 7, "clone3", NULL,
	  "a child is put into its cgroup after it has begun, not before" },
	{ "clone_pidfd", CAROM_DOCTOR_PROCESSES, 5, 2, "clone", NULL,
	  "nothing, as long as there is clone3" },
	{ "tid_address", CAROM_DOCTOR_PROCESSES, 3, 5, "prctl", NULL,
	  "there are no pools of processes; pools of threads work" },
	{ "pidfd_open", CAROM_DOCTOR_PROCESSES, 5, 3, "pidfd_open", NULL,
	  "each child by fork(2) takes another process to make; its parent cannot be waited for" },
	{ "pidfd_signal", CAROM_DOCTOR_PROCESSES, 5, 1, "pidfd_send_signal", NULL,
	  "a signal can hit another process that has just got the number" },
	{ "pidfd_wait", CAROM_DOCTOR_PROCESSES, 5, 4, "waitid", NULL,
	  "processes and pools cannot be used" },
	{ "pidfd_info", CAROM_DOCTOR_PROCESSES, 6, 15, "ioctl", NULL,
	  "if the program calls waitpid(-1) itself, how a child ended can get lost" },
	{ "close_range", CAROM_DOCTOR_PROCESSES, 5, 9, "close_range", NULL,
	  "children start slower, the more descriptors may be open" },
	{ "wipe_on_fork", CAROM_DOCTOR_PROCESSES, 4, 14, "madvise", NULL,
	  "a program that forks itself can damage its pools" },
	{ "io_uring", CAROM_DOCTOR_WAITING, 5, 1, "io_uring_setup io_uring_enter io_uring_register",
	  NULL, "a few more system calls for each event that is waited for", "liburing",
	  suggest_ring },
	{ "io_uring_futex", CAROM_DOCTOR_WAITING, 6, 7, NULL, "io_uring",
	  "one more thread while processes are watched" },
	{ "futex_waitv", CAROM_DOCTOR_WAITING, 5, 16, "futex_waitv", NULL,
	  "a sleeping thread for each worker, where the ring does not wait for words" },
	{ "robust_list", CAROM_DOCTOR_WAITING, 2, 6, "get_robust_list set_robust_list", NULL,
	  "deaths of large workers are noticed some milliseconds later" },
	{ "memfd", CAROM_DOCTOR_MEMORY, 3, 17, "memfd_create", NULL,
	  "there is no shared memory, and there are no pools of processes" },
	{ "memfd_noexec", CAROM_DOCTOR_MEMORY, 6, 3, "memfd_create", NULL,
	  "a worker that was taken over finds memory it can make executable" },
	{ "madv_populate", CAROM_DOCTOR_MEMORY, 5, 14, "madvise", NULL,
	  "large payloads are placed a little slower" },
	{ "membarrier", CAROM_DOCTOR_MEMORY, 4, 16, "membarrier", NULL,
	  "maps of small items are a little slower" },
	{ "cgroup_v2", CAROM_DOCTOR_LIMITS, 4, 5, NULL, NULL,
	  "a task over its memory limit is noticed late, and alone, without its children", NULL,
	  suggest_group },
	{ "cgroup_kill", CAROM_DOCTOR_LIMITS, 5, 14, NULL, "cgroup_v2",
	  "a worker that starts processes all the time is ended a little later" },
	{ "seccomp", CAROM_DOCTOR_SANDBOX, 4, 14, "seccomp", NULL,
	  "code that nobody vouches for cannot be run in workers", "libseccomp" },
	{ "landlock", CAROM_DOCTOR_SANDBOX, 5, 13,
	  "landlock_create_ruleset landlock_add_rule landlock_restrict_self", NULL,
	  "sandboxed workers open no files, and the program's own memory must be closed", NULL,
	  suggest_landlock },
};

static const struct mechanism *find_mechanism(const char *name)
{
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
		if (strcmp(mechanisms[i].name, name) == 0)
			return &mechanisms[i];
	return NULL;
}

static const struct carom_feature_info *find_feature(const char *name)
{
	const struct carom_feature_info *feature = NULL;

	while ((feature = carom_feature_next(feature)))
		if (strcmp(feature->name, name) == 0)
			break;
	return feature;
}

/* --- what would give it ------------------------------------------------- */

static void suggest_kernel(struct carom_doctor_finding *finding, const struct mechanism *mechanism)
{
	carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "Linux %u.%u or newer",
			     mechanism->since_major, mechanism->since_minor);
}

static void suggest(const struct carom_doctor_place *place, const struct mechanism *mechanism,
		    int error, struct carom_doctor_finding *finding)
{
	if (error == -ECANCELED)
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "unset CAROM_DENY");
	else if (carom_doctor_is_before(place, mechanism->since_major, mechanism->since_minor))
		suggest_kernel(finding, mechanism);
	else if (mechanism->suggest && mechanism->suggest(place, error, finding))
		return;
	else if (error == -EOPNOTSUPP && mechanism->library)
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "carom built with %s",
				     mechanism->library);
	else if (error == -EOPNOTSUPP && !mechanism->calls)
		suggest_kernel(finding, mechanism);
	else if (error == -EOPNOTSUPP)
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED,
				     "the GNU C library, or another version of it");
	else if (error == -EPERM || error == -ENOSYS || place->is_filtered)
		carom_doctor_allow_calls(place, finding, mechanism->calls);
	else
		suggest_kernel(finding, mechanism);
}

/* --- one of them -------------------------------------------------------- */

static void explain(const struct carom_doctor_place *place, const struct mechanism *mechanism,
		    const struct carom_feature_info *feature, struct carom_doctor_finding *finding)
{
	const struct mechanism *cause = mechanism;

	carom_doctor_set(finding->cost, "%s", mechanism->cost);
	if (mechanism->part_of && find_feature(mechanism->part_of)->error)
		cause = find_mechanism(mechanism->part_of);
	suggest(place, cause, feature->error, finding);
}

static void add(const struct carom_doctor_place *place, const struct carom_feature_info *feature,
		struct carom_doctor_report *report)
{
	const struct mechanism *mechanism = find_mechanism(feature->name);
	struct carom_doctor_finding *finding;
	enum carom_doctor_state state = CAROM_DOCTOR_OK;

	if (feature->error)
		state = feature->fallback ? CAROM_DOCTOR_LESS : CAROM_DOCTOR_BROKEN;
	finding = carom_doctor_add(report, mechanism ? mechanism->group : CAROM_DOCTOR_OTHER,
				   feature->name, state, "%s",
				   state == CAROM_DOCTOR_OK     ? feature->use
				   : state == CAROM_DOCTOR_LESS ? feature->fallback
								: "there is no way without it");
	finding->is_mechanism = true;
	finding->is_brief = true;
	if (!feature->error)
		return;
	carom_doctor_set(finding->reason, "%s", feature->reason);
	if (mechanism)
		explain(place, mechanism, feature, finding);
}

/* --- what is done with them --------------------------------------------- */

/* How a variable that forces a choice is mentioned beside it. */
static const char *forced_by(const char *variable, const char *mention)
{
	const char *value = getenv(variable);

	return value && *value ? mention : "";
}

static void tell_processes(char *text)
{
	static const char *const ways[] = {
		[CAROM_CLONE_BY_CLONE3] = "made by clone3",
		[CAROM_CLONE_BY_CLONE] = "made by clone",
		[CAROM_CLONE_BY_FORK] = "made by fork, no pools",
	};

	carom_doctor_set(text, "%s, held by pidfd%s", ways[carom_clone_way()],
			 forced_by("CAROM_CLONE", " (CAROM_CLONE)"));
}

static void on_ring(void *unused)
{
	(void)unused;
}

static const char *word_way(bool has_ring)
{
	if (!carom_probe(CAROM_FEATURE_ROBUST_LIST))
		return "deaths by pidfd";
	if (has_ring && carom_probe(CAROM_FEATURE_IO_URING_FUTEX))
		return "deaths by robust futex in the ring";
	return carom_probe(CAROM_FEATURE_FUTEX_WAITV) ? "deaths by robust futex, futex_waitv"
						      : "deaths by robust futex, a thread for each";
}

/* The loop that a pool would have, not what it should be. */
static void tell_waiting(struct carom_doctor_report *report)
{
	struct carom_loop *loop;
	struct carom_doctor_finding *finding;
	char *text = report->in_force[CAROM_DOCTOR_WAITING];
	int r = carom_loop_new(CAROM_LOOP_AUTO, on_ring, NULL, &loop);

	if (r < 0) {
		finding = carom_doctor_add(report, CAROM_DOCTOR_WAITING, "loop",
					   CAROM_DOCTOR_BROKEN, "no loop can be made");
		carom_doctor_set(finding->reason, "%s", strerrordesc_np(-r));
		carom_doctor_set(finding->cost, "processes and pools cannot be used");
		if (getenv("CAROM_LOOP"))
			carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "unset CAROM_LOOP");
		return;
	}
	carom_doctor_set(text, "%s%s, %s", carom_loop_backend_name(loop),
			 forced_by("CAROM_LOOP", " (CAROM_LOOP)"),
			 word_way(strcmp(carom_loop_backend_name(loop), "io_uring") == 0));
	carom_loop_free(loop);
}

/* Only what is missing: what is there is no mechanism, and of no interest. */
static void look_at_libraries(struct carom_doctor_report *report)
{
	struct carom_annex *annex = NULL;
	struct carom_doctor_finding *finding;

	while ((annex = carom_annex_next(annex))) {
		if (carom_annex_symbols(annex))
			continue;
		finding = carom_doctor_add(report, CAROM_DOCTOR_OTHER, annex->soname,
					   CAROM_DOCTOR_LESS, "done without: %s", annex->purpose);
		carom_doctor_set(finding->reason, "it cannot be loaded");
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "%s, or carom built without it",
				     annex->soname);
	}
}

void carom_doctor_look_at_mechanisms(const struct carom_doctor_place *place,
				     struct carom_doctor_report *report)
{
	const struct carom_feature_info *feature = NULL;

	while ((feature = carom_feature_next(feature)))
		add(place, feature, report);
	look_at_libraries(report);
	tell_processes(report->in_force[CAROM_DOCTOR_PROCESSES]);
	tell_waiting(report);
	carom_doctor_set(report->in_force[CAROM_DOCTOR_MEMORY], "memfd, sealed, without a name");
}

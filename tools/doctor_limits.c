/*
 * Limits
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/doctor_files.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

/* What a pool takes of the program's descriptors. */
#define FDS_PER_WORKER 3
#define FDS_PER_POOL   8

/* Below these, pools of a usual size are not to be had. */
#define ENOUGH_FDS       256
#define ENOUGH_PROCESSES 128

static void name_limit(rlim_t limit, char text[24])
{
	if (limit == RLIM_INFINITY)
		strcpy(text, "unlimited");
	else
		snprintf(text, 24, "%" PRIu64, (uint64_t)limit);
}

static void add_limit(struct carom_doctor_finding *finding, const char *key, rlim_t limit)
{
	if (limit == RLIM_INFINITY)
		carom_doctor_add_nothing(finding, key);
	else
		carom_doctor_add_number(finding, key, limit);
}

/* A finding about a resource limit, good until somebody says otherwise. */
static struct carom_doctor_finding *add(struct carom_doctor_report *report, const char *id,
					const struct rlimit *limit, const char *unit)
{
	struct carom_doctor_finding *finding;
	char soft[24], hard[24];

	name_limit(limit->rlim_cur, soft);
	name_limit(limit->rlim_max, hard);
	if (limit->rlim_cur == limit->rlim_max)
		finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, id, CAROM_DOCTOR_OK, "%s%s",
					   soft, unit);
	else
		finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, id, CAROM_DOCTOR_OK,
					   "%s%s, %s at most", soft, unit, hard);
	add_limit(finding, "soft", limit->rlim_cur);
	add_limit(finding, "hard", limit->rlim_max);
	return finding;
}

static void look_at_descriptors(const struct carom_doctor_place *place,
				struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	struct rlimit limit;
	rlim_t workers;

	getrlimit(RLIMIT_NOFILE, &limit);
	finding = add(report, "nofile", &limit, " descriptors");
	if (limit.rlim_cur >= ENOUGH_FDS)
		return;
	workers = limit.rlim_cur > FDS_PER_POOL ? (limit.rlim_cur - FDS_PER_POOL) / FDS_PER_WORKER
						: 0;
	finding->state = CAROM_DOCTOR_LESS;
	carom_doctor_set(finding->reason, "RLIMIT_NOFILE is below %d", ENOUGH_FDS);
	carom_doctor_set(finding->cost, "a program's pools have room for %" PRIu64 " workers",
			 (uint64_t)workers);
	carom_doctor_raise_limit(place, finding, 'n', "nofile", "LimitNOFILE", 65536,
				 limit.rlim_max >= 65536);
}

static void look_at_processes(const struct carom_doctor_place *place,
			      struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	struct rlimit limit;

	getrlimit(RLIMIT_NPROC, &limit);
	finding = add(report, "nproc", &limit, " processes of this user");
	if (limit.rlim_cur >= ENOUGH_PROCESSES || place->user == 0) /* root is not held to it */
		return;
	finding->state = CAROM_DOCTOR_LESS;
	carom_doctor_set(finding->reason, "RLIMIT_NPROC is below %d", ENOUGH_PROCESSES);
	carom_doctor_set(finding->cost, "workers cannot be made (EAGAIN) once the user has so many "
					"processes and threads in all");
	carom_doctor_raise_limit(place, finding, 'u', "nproc", "LimitNPROC", 4096,
				 limit.rlim_max >= 4096);
}

/* Rings were counted as locked memory until Linux 5.12. */
static void look_at_locked_memory(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	finding = add(report, "memlock", &limit, limit.rlim_cur == RLIM_INFINITY ? "" : " bytes");
	if (!carom_doctor_is_before(place, 5, 12) || limit.rlim_cur >= 512 * 1024 ||
	    place->user == 0) {
		finding->state = CAROM_DOCTOR_INFO;
		return;
	}
	finding->state = CAROM_DOCTOR_LESS;
	carom_doctor_set(finding->reason, "before Linux 5.12 rings count as locked memory");
	carom_doctor_set(finding->cost, "loops use epoll where there is no room for a ring");
	carom_doctor_raise_limit(place, finding, 'l', "memlock", "LimitMEMLOCK", 8388608, false);
}

static void look_at_core_files(struct carom_doctor_report *report)
{
	struct rlimit limit;

	getrlimit(RLIMIT_CORE, &limit);
	add(report, "core", &limit, limit.rlim_cur == RLIM_INFINITY ? "" : " bytes")->state =
		CAROM_DOCTOR_INFO;
}

/* --- cgroups ------------------------------------------------------------ */

static void suggest_more_pids(const struct carom_doctor_place *place,
			      struct carom_doctor_finding *finding)
{
	if (place->container == CAROM_DOCTOR_DOCKER || place->container == CAROM_DOCTOR_PODMAN)
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "%s run --pids-limit 4096 IMAGE",
				     carom_doctor_container_name(place->container));
	else if (place->container == CAROM_DOCTOR_KUBERNETES)
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "podPidsLimit: 4096");
	else
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "TasksMax=4096");
	if (finding->remedy == CAROM_DOCTOR_SET)
		carom_doctor_set(finding->note, place->container == CAROM_DOCTOR_KUBERNETES
							? "in the kubelet's configuration"
							: "in the systemd unit");
}

static void look_at_pids(const struct carom_doctor_place *place, struct carom_doctor_report *report)
{
	uint64_t limit = carom_doctor_tightest(place->root, "pids", "/pids.max", "/pids.max");
	struct carom_doctor_finding *finding;

	if (limit == UINT64_MAX) {
		finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, "pids", CAROM_DOCTOR_OK,
					   "no cgroup limits the number of processes");
		carom_doctor_add_nothing(finding, "limit");
		return;
	}
	finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, "pids", CAROM_DOCTOR_OK,
				   "a cgroup allows %" PRIu64 " processes and threads", limit);
	carom_doctor_add_number(finding, "limit", limit);
	if (limit >= ENOUGH_PROCESSES)
		return;
	finding->state = CAROM_DOCTOR_LESS;
	carom_doctor_set(finding->reason, "pids.max is below %d", ENOUGH_PROCESSES);
	carom_doctor_set(finding->cost, "workers cannot be made (EAGAIN) beyond that");
	suggest_more_pids(place, finding);
}

void carom_doctor_look_at_limits(const struct carom_doctor_place *place,
				 struct carom_doctor_report *report)
{
	look_at_descriptors(place, report);
	look_at_processes(place, report);
	look_at_pids(place, report);
	look_at_locked_memory(place, report);
	look_at_core_files(report);
}

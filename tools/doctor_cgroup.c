/*
 * Cgroups
 *
 * Where the library would make groups, and what they could limit. Nothing is tried out:
 * that would move this process and take controllers from others. What is looked at is
 * what makes carom_cgroup_new() succeed or fail: a place of one's own, the controllers
 * there, and whether it has processes that are not the program's own, in which case the
 * kernel does not let memory be handed on (the no-internal-process rule).
 */
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/probe.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

static const struct {
	const char *id;
	const char *name;
	uint32_t bit;
	const char *value;
	const char *instead;
	const char *cost;
} controllers[CAROM_CGROUP_CONTROLLER_COUNT] = {
	{ "cgroup_memory", "memory", CAROM_CGROUP_MEMORY,
	  "the kernel holds workers to their memory limit",
	  "memory is looked at while limited tasks run",
	  "a task can have more than its limit until somebody looks" },
	{ "cgroup_pids", "pids", CAROM_CGROUP_PIDS,
	  "the kernel limits how many processes a worker has",
	  "nothing limits how many processes a worker starts",
	  "a limit of processes is an error when the pool is made" },
	{ "cgroup_cpu", "cpu", CAROM_CGROUP_CPU, "the kernel limits the CPU time of workers",
	  "nothing limits the CPU time of workers",
	  "a limit of CPU time is an error when the pool is made" },
};

/* --- controllers ---------------------------------------------------------- */

static void suggest_controller(const struct carom_doctor_place *place,
			       struct carom_doctor_finding *finding, const char *name)
{
	if (carom_cgroup_is_on_v1(place->root, name)) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET,
				     "systemd.unified_cgroup_hierarchy=1");
		carom_doctor_set(finding->note, "on the command line of the host's kernel");
	} else {
		carom_doctor_delegate_cgroup(place, finding, -EACCES);
	}
}

static void look_at_controller(const struct carom_doctor_place *place,
			       struct carom_doctor_report *report, uint32_t number, uint32_t there,
			       const char *path)
{
	bool is_there = there & controllers[number].bit;
	struct carom_doctor_finding *finding = carom_doctor_add(
		report, CAROM_DOCTOR_LIMITS, controllers[number].id,
		is_there ? CAROM_DOCTOR_OK : CAROM_DOCTOR_LESS, "%s",
		is_there ? controllers[number].value : controllers[number].instead);

	if (is_there)
		return;
	carom_doctor_set(finding->reason, "no %s controller in %s", controllers[number].name, path);
	carom_doctor_set(finding->cost, "%s", controllers[number].cost);
	suggest_controller(place, finding, controllers[number].name);
}

/* --- who else is there ------------------------------------------------------ */

static int see_stranger(pid_t pid, void *unused)
{
	return pid != getpid();
}

static void look_at_company(const struct carom_doctor_place *place,
			    struct carom_doctor_report *report,
			    const struct carom_cgroup_base *base, uint32_t there)
{
	struct carom_doctor_finding *finding;
	uint32_t handed_on = 0;

	carom_cgroup_controllers_read(base->fd, "cgroup.subtree_control", &handed_on);
	if (base->is_root || (there & ~handed_on) == 0 ||
	    carom_cgroup_file_members(base->fd, see_stranger, NULL) != 1)
		return;
	finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, "cgroup_company", CAROM_DOCTOR_LESS,
				   "groups are made only by who is alone in its own");
	carom_doctor_set(finding->reason, "other processes are in %s", base->path);
	carom_doctor_set(finding->cost, "a program that is started beside them has no groups with "
					"limits");
	if (place->container) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED,
				     "to be the first process of the container");
	} else {
		carom_doctor_delegate_cgroup(place, finding, -EACCES);
	}
}

/* --- all of it -------------------------------------------------------------- */

/* Return: what limits memory here. */
static const char *look_at_base(const struct carom_doctor_place *place,
				struct carom_doctor_report *report,
				const struct carom_cgroup_base *base)
{
	uint32_t there = 0;

	carom_cgroup_controllers_read(base->fd, "cgroup.controllers", &there);
	for (uint32_t i = 0; i < CAROM_CGROUP_CONTROLLER_COUNT; i++)
		look_at_controller(place, report, i, there, base->path);
	look_at_company(place, report, base, there);
	return there & CAROM_CGROUP_MEMORY ? "memory by cgroup v2" : "memory by sampling";
}

void carom_doctor_look_at_cgroups(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup_base base = { .fd = -1 };
	struct carom_doctor_finding *finding;
	const char *in_force = "memory by sampling, without cgroups";
	int r = carom_cgroup_base_open(place->root, reason, &base);

	if (r == 0) {
		in_force = look_at_base(place, report, &base);
	} else if (carom_probe(CAROM_FEATURE_CGROUP_V2)) {
		/* it is there, and of no use all the same */
		finding = carom_doctor_add(report, CAROM_DOCTOR_LIMITS, "cgroup_base",
					   CAROM_DOCTOR_LESS, "no groups can be made");
		carom_doctor_set(finding->reason, "%s", reason);
		carom_doctor_set(finding->cost, "as without cgroup_v2");
		carom_doctor_delegate_cgroup(place, finding, r);
	}
	carom_doctor_set(report->in_force[CAROM_DOCTOR_LIMITS], "%s", in_force);
	carom_closep(&base.fd);
}

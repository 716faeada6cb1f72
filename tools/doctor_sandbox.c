/*
 * Sandbox
 *
 * Whether namespaces may be made is asked of the parameters that forbid it: making one
 * would change this process.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/doctor_files.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

/* Who must not see other processes of the same user's memory. */
static void look_at_ptrace(const struct carom_doctor_place *place,
			   struct carom_doctor_report *report)
{
	static const char *const scopes[] = {
		"0: a user's processes can read each other",
		"1: a process can read its descendants",
		"2: only root can read other processes",
		"3: nobody can read other processes",
	};
	struct carom_doctor_finding *finding;
	uint64_t scope;

	if (!carom_doctor_read_number(place->root, "/proc/sys/kernel/yama/ptrace_scope", &scope) ||
	    scope > 3) {
		carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "ptrace_scope", CAROM_DOCTOR_INFO,
				 "no Yama: %s", scopes[0] + 3);
		return;
	}
	finding = carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "ptrace_scope", CAROM_DOCTOR_INFO,
				   "%s", scopes[scope]);
	carom_doctor_add_number(finding, "scope", scope);
}

static void look_at_filter(const struct carom_doctor_place *place,
			   struct carom_doctor_report *report)
{
	carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "own_filter", CAROM_DOCTOR_INFO, "%s",
			 place->is_filtered ? "a seccomp filter is in force on this process"
					    : "no seccomp filter is in force on this process");
}

/* A parameter that forbids namespaces to users, as distributions have them, and its better value. */
static const struct parameter {
	const char *path;
	uint64_t bad;
	const char *setting;
} parameters[] = {
	{ "/proc/sys/user/max_user_namespaces", 0, "user.max_user_namespaces=10000" },
	{ "/proc/sys/kernel/unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone=1" },
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
	  "kernel.apparmor_restrict_unprivileged_userns=0" },
};

static void look_at_namespaces(const struct carom_doctor_place *place,
			       struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	uint64_t value;

	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++) {
		if (!carom_doctor_read_number(place->root, parameters[i].path, &value) ||
		    value != parameters[i].bad)
			continue;
		finding = carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "user_namespaces",
					   CAROM_DOCTOR_LESS, "users may not make namespaces");
		carom_doctor_set(finding->reason, "%s is %" PRIu64,
				 parameters[i].path + strlen("/proc/sys/"), value);
		carom_doctor_set(finding->cost,
				 "sandboxed workers have no namespaces of their own");
		carom_doctor_set_sysctl(place, finding, parameters[i].setting);
		return;
	}
	carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "user_namespaces", CAROM_DOCTOR_OK,
			 "no parameter of the kernel forbids them");
}

void carom_doctor_look_at_sandbox(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report)
{
	look_at_namespaces(place, report);
	look_at_ptrace(place, report);
	look_at_filter(place, report);
}

/*
 * Sandbox
 *
 * A sandbox of all layers is made, in which any of them may be missing; the library tries
 * it in a child of its own, and tells of each why it is not there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/probe.h"
#include "core/sandbox_private.h"
#include "tools/doctor_files.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

/* Those that are mechanisms have their lines already (doctor_mechanisms.c). */
#define NAMESPACES (CAROM_SANDBOX_NAMESPACES | CAROM_SANDBOX_PID_NAMESPACE)
#define LAYERS \
	((CAROM_SANDBOX_MANDATORY | NAMESPACES) & ~(CAROM_SANDBOX_LANDLOCK | CAROM_SANDBOX_SECCOMP))

/* --- layers ---------------------------------------------------------------- */

static void name_layer(enum carom_sandbox_layer layer, char name[32])
{
	snprintf(name, 32, "%s", carom_sandbox_layer_name(layer));
	for (char *blank = name; (blank = strchr(blank, ' '));)
		*blank = '_';
}

static void suggest_layer(const struct carom_doctor_place *place, enum carom_sandbox_layer layer,
			  struct carom_doctor_finding *finding)
{
	if (layer & NAMESPACES) {
		carom_doctor_allow_calls(place, finding, "unshare mount umount2 pivot_root");
	} else {
		carom_doctor_allow_calls(place, finding, "prctl setrlimit close_range");
	}
}

static const char *cost_of(enum carom_sandbox_layer layer)
{
	if (layer & NAMESPACES)
		return "a sandbox that asks for it cannot be made, unless it may be missing";
	return "sandboxes cannot be made, unless it may be missing";
}

static void look_at_layer(const struct carom_doctor_place *place,
			  const struct carom_sandbox *sandbox, enum carom_sandbox_layer layer,
			  struct carom_doctor_report *report)
{
	bool is_there = carom_sandbox_layers(sandbox) & layer;
	struct carom_doctor_finding *finding;
	char name[32];
	int error;

	name_layer(layer, name);
	finding = carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, name,
				   is_there ? CAROM_DOCTOR_OK : CAROM_DOCTOR_LESS, "%s",
				   is_there ? "sandboxed workers can be put into it"
					    : "sandboxed workers have none");
	finding->is_brief = true;
	if (is_there)
		return;
	error = carom_sandbox_layer_error(sandbox, layer);
	carom_doctor_set(finding->reason, "%s", strerrordesc_np(-error));
	carom_doctor_set(finding->cost, "%s", cost_of(layer));
	suggest_layer(place, layer, finding);
}

static void tell_in_force(uint64_t layers, char *text)
{
	char landlock[32] = "no Landlock";

	if (layers & CAROM_SANDBOX_LANDLOCK)
		snprintf(landlock, sizeof(landlock), "Landlock (ABI %d)",
			 carom_sandbox_landlock_abi());
	carom_doctor_set(text, "%s, %s, %s",
			 layers & CAROM_SANDBOX_SECCOMP ? "seccomp" : "no seccomp", landlock,
			 (layers & NAMESPACES) == NAMESPACES ? "namespaces"
			 : layers & NAMESPACES               ? "some namespaces"
							     : "no namespaces");
}

static void look_at_layers(const struct carom_doctor_place *place,
			   struct carom_doctor_report *report)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	const struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT, .layers = NAMESPACES,
				      .optional = CAROM_SANDBOX_MANDATORY | NAMESPACES);
	struct carom_doctor_finding *finding;
	char why[CAROM_DOCTOR_TEXT_BYTES];

	carom_doctor_set(report->in_force[CAROM_DOCTOR_SANDBOX], "none");
	if (!carom_probe(CAROM_FEATURE_SECCOMP))
		return;
	if (carom_sandbox_new(&options, &sandbox) < 0) {
		carom_sandbox_check(&options, why, sizeof(why));
		finding = carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "sandbox",
					   CAROM_DOCTOR_LESS, "no sandbox can be made");
		carom_doctor_set(finding->reason, "%s", why);
		carom_doctor_set(finding->cost, "a pool that asks for one is an error");
		return;
	}
	for (int i = 0; i < CAROM_SANDBOX_LAYER_COUNT; i++)
		if (LAYERS & (1 << i))
			look_at_layer(place, sandbox, 1 << i, report);
	tell_in_force(carom_sandbox_layers(sandbox), report->in_force[CAROM_DOCTOR_SANDBOX]);
}

/* --- what stands around it --------------------------------------------------- */

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
		finding = carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "namespace_limits",
					   CAROM_DOCTOR_LESS, "users may not make namespaces");
		carom_doctor_set(finding->reason, "%s is %" PRIu64,
				 parameters[i].path + strlen("/proc/sys/"), value);
		carom_doctor_set(finding->cost,
				 "sandboxed workers have no namespaces of their own");
		carom_doctor_set_sysctl(place, finding, parameters[i].setting);
		return;
	}
	carom_doctor_add(report, CAROM_DOCTOR_SANDBOX, "namespace_limits", CAROM_DOCTOR_OK,
			 "no parameter of the kernel forbids namespaces");
}

void carom_doctor_look_at_sandbox(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report)
{
	look_at_layers(place, report);
	look_at_namespaces(place, report);
	look_at_ptrace(place, report);
	look_at_filter(place, report);
}

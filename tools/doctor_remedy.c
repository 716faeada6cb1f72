/*
 * Remedy
 *
 * The same thing is given by another line under each runtime. Where nothing short of
 * full privileges would give it, the line says so and not more than that.
 */
#include "tools/doctor_remedy.h"

#include <errno.h>
#include <inttypes.h>

void carom_doctor_allow_calls(const struct carom_doctor_place *place,
			      struct carom_doctor_finding *finding, const char *calls)
{
	switch (place->container) {
	case CAROM_DOCTOR_DOCKER:
	case CAROM_DOCTOR_PODMAN:
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "%s run --security-opt seccomp=PROFILE IMAGE",
				     carom_doctor_container_name(place->container));
		carom_doctor_set(finding->note, "PROFILE: the runtime's own, with %s allowed",
				 calls);
		break;
	case CAROM_DOCTOR_KUBERNETES:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET,
				     "seccompProfile: { type: Localhost, localhostProfile: "
				     "PROFILE }");
		carom_doctor_set(finding->note,
				 "in the pod's securityContext; PROFILE: the runtime's own, with "
				 "%s allowed",
				 calls);
		break;
	case CAROM_DOCTOR_LXC:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "lxc.seccomp.profile = PROFILE");
		carom_doctor_set(finding->note, "PROFILE: the present one, with %s allowed", calls);
		break;
	case CAROM_DOCTOR_NSPAWN:
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "systemd-nspawn --system-call-filter=\"%s\" ...", calls);
		break;
	case CAROM_DOCTOR_GVISOR:
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "another runtime than gVisor");
		break;
	case CAROM_DOCTOR_SOME_CONTAINER:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "allow %s", calls);
		carom_doctor_set(finding->note, "in the seccomp profile of the container");
		break;
	case CAROM_DOCTOR_NO_CONTAINER:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "SystemCallFilter=%s", calls);
		carom_doctor_set(finding->note, "in the [Service] section, if a service of "
						"systemd filters its calls");
		break;
	}
}

static void delegate_on_host(const struct carom_doctor_place *place,
			     struct carom_doctor_finding *finding, int error)
{
	if (error == -ENOENT && place->user == 0) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "mount -t cgroup2 none /sys/fs/cgroup");
		carom_doctor_set(finding->note, "where nothing else is mounted there");
	} else if (error == -ENOENT) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "cgroup_no_v1=all");
		carom_doctor_set(finding->note, "on the command line of the kernel");
	} else {
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "systemd-run --user --scope -p Delegate=yes COMMAND");
	}
}

void carom_doctor_delegate_cgroup(const struct carom_doctor_place *place,
				  struct carom_doctor_finding *finding, int error)
{
	switch (place->container) {
	case CAROM_DOCTOR_DOCKER:
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "docker run --security-opt writable-cgroups=true IMAGE");
		carom_doctor_set(finding->note, "since Docker 28; before, only --privileged");
		break;
	case CAROM_DOCTOR_PODMAN:
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "podman run --security-opt unmask=/sys/fs/cgroup IMAGE");
		break;
	case CAROM_DOCTOR_KUBERNETES:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "cgroup_writable = true");
		carom_doctor_set(finding->note, "in containerd's configuration of the pod's "
						"runtime class, since containerd 2.1");
		break;
	case CAROM_DOCTOR_LXC:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "lxc.mount.auto = cgroup:rw:force");
		break;
	case CAROM_DOCTOR_NSPAWN:
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "systemd-run --scope -p Delegate=yes COMMAND");
		carom_doctor_set(finding->note, "in a container that was started with --boot");
		break;
	case CAROM_DOCTOR_GVISOR:
		carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "another runtime than gVisor");
		break;
	case CAROM_DOCTOR_SOME_CONTAINER:
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "mount /sys/fs/cgroup writable");
		carom_doctor_set(finding->note, "in the configuration of the container");
		break;
	case CAROM_DOCTOR_NO_CONTAINER:
		delegate_on_host(place, finding, error);
		break;
	}
}

void carom_doctor_enable_landlock(struct carom_doctor_finding *finding)
{
	carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "lsm=landlock,...");
	carom_doctor_set(finding->note, "on the command line of the kernel, before those in "
					"/sys/kernel/security/lsm");
}

void carom_doctor_set_sysctl(const struct carom_doctor_place *place,
			     struct carom_doctor_finding *finding, const char *setting)
{
	carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "sysctl -w %s", setting);
	carom_doctor_set(finding->note, place->container ? "as root, on the host" : "as root");
}

void carom_doctor_raise_limit(const struct carom_doctor_place *place,
			      struct carom_doctor_finding *finding, char letter, const char *name,
			      const char *property, uint64_t value, bool can_raise)
{
	if (can_raise) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "ulimit -S%c %" PRIu64, letter,
				     value);
	} else if (place->container == CAROM_DOCTOR_DOCKER ||
		   place->container == CAROM_DOCTOR_PODMAN) {
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN,
				     "%s run --ulimit %s=%" PRIu64 ":%" PRIu64 " IMAGE",
				     carom_doctor_container_name(place->container), name, value,
				     value);
	} else {
		carom_doctor_suggest(finding, CAROM_DOCTOR_SET, "%s=%" PRIu64, property, value);
		carom_doctor_set(finding->note, "in the systemd unit of %s",
				 place->container ? "the container's runtime" : "the program");
	}
}

/*
 * Container
 *
 * Nothing tells for certain; what is looked at stands in the order of how much it
 * tells. gVisor comes first, as it runs below other runtimes and is what answers
 * system calls. Kubernetes comes before the runtime it uses, since what can be
 * changed is written in a pod and not on a command line. Traces that an image can
 * carry with it (/.dockerenv) come after those it cannot, and count only where there
 * is a namespace at all.
 */
#include "tools/doctor_container.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor_files.h"

/* On every machine: PROC_PID_INIT_INO and PROC_CGROUP_INIT_INO of the kernel. */
#define FIRST_PID_NAMESPACE    "pid:[4026531836]"
#define FIRST_CGROUP_NAMESPACE "cgroup:[4026531835]"

const char *carom_doctor_container_name(enum carom_doctor_container container)
{
	static const char *const names[] = {
		[CAROM_DOCTOR_NO_CONTAINER] = "none", [CAROM_DOCTOR_DOCKER] = "docker",
		[CAROM_DOCTOR_PODMAN] = "podman",     [CAROM_DOCTOR_KUBERNETES] = "kubernetes",
		[CAROM_DOCTOR_LXC] = "lxc",           [CAROM_DOCTOR_NSPAWN] = "systemd-nspawn",
		[CAROM_DOCTOR_GVISOR] = "gvisor",     [CAROM_DOCTOR_SOME_CONTAINER] = "unknown",
	};

	return names[container];
}

/* The words that runtimes say of themselves: in $container, and to systemd. */
static enum carom_doctor_container container_by_word(const char *word)
{
	if (strstr(word, "docker"))
		return CAROM_DOCTOR_DOCKER;
	if (strstr(word, "podman") || strstr(word, "oci"))
		return CAROM_DOCTOR_PODMAN;
	if (strstr(word, "kube"))
		return CAROM_DOCTOR_KUBERNETES;
	if (strstr(word, "lxc"))
		return CAROM_DOCTOR_LXC;
	if (strstr(word, "systemd-nspawn"))
		return CAROM_DOCTOR_NSPAWN;
	return *word ? CAROM_DOCTOR_SOME_CONTAINER : CAROM_DOCTOR_NO_CONTAINER;
}

/* The sentry of gVisor says it was built on a certain day of 2016, whatever its version. */
static bool is_gvisor(const char *root)
{
	return carom_doctor_mentions(root, "/proc/version", "gVisor") ||
	       carom_doctor_mentions(root, "/proc/version", "gvisor") ||
	       carom_doctor_mentions(root, "/proc/version", "Sun Jan 10 15:06:54 PST 2016");
}

static bool is_kubernetes(const char *root)
{
	return carom_doctor_mentions(root, "/proc/self/cgroup", "/kubepods") ||
	       carom_doctor_mentions(root, "/proc/self/mountinfo", "/kubelet/pods/") ||
	       carom_doctor_exists(root, "/run/secrets/kubernetes.io") ||
	       carom_doctor_exists(root, "/var/run/secrets/kubernetes.io");
}

/* What the first process was given: by systemd's rules each runtime says its name there. */
static enum carom_doctor_container container_by_init(const char *root)
{
	char text[8192], word[64];

	if (carom_doctor_read(root, "/run/host/container-manager", word, sizeof(word)) ||
	    carom_doctor_read(root, "/run/systemd/container", word, sizeof(word)))
		return container_by_word(word);
	if (carom_doctor_read(root, "/proc/1/environ", text, sizeof(text))) {
		/* the NUL bytes between the variables were made '?' */
		const char *at =
			strncmp(text, "container=", 10) == 0 ? text : strstr(text, "?container=");

		if (at && sscanf(strchr(at, '=') + 1, "%63[^?\n]", word) == 1)
			return container_by_word(word);
	}
	return CAROM_DOCTOR_NO_CONTAINER;
}

/* A path below which a runtime keeps its containers, and the file that shows it. */
struct trace {
	const char *mark;
	enum carom_doctor_container container;
};

static enum carom_doctor_container container_by_trace(const char *root, const char *path,
						      const struct trace *traces)
{
	for (; traces->mark; traces++)
		if (carom_doctor_mentions(root, path, traces->mark))
			return traces->container;
	return CAROM_DOCTOR_NO_CONTAINER;
}

static enum carom_doctor_container container_by_group(const char *root)
{
	static const struct trace traces[] = {
		{ "/docker-", CAROM_DOCTOR_DOCKER }, { "/docker/", CAROM_DOCTOR_DOCKER },
		{ "/libpod", CAROM_DOCTOR_PODMAN },  { "/lxc.payload", CAROM_DOCTOR_LXC },
		{ "/lxc/", CAROM_DOCTOR_LXC },       { NULL, 0 },
	};

	return container_by_trace(root, "/proc/self/cgroup", traces);
}

/* Only what a runtime puts over the files of the image. */
static enum carom_doctor_container container_by_mounts(const char *root)
{
	static const struct trace traces[] = {
		{ "/docker/containers/", CAROM_DOCTOR_DOCKER },
		{ "/containers/storage/", CAROM_DOCTOR_PODMAN },
		{ " - fuse.lxcfs ", CAROM_DOCTOR_LXC },
		{ NULL, 0 },
	};

	return container_by_trace(root, "/proc/self/mountinfo", traces);
}

/* Is it the namespace that the machine began with? false also: nothing tells. */
static bool is_first(const char *root, const char *kind, const char *first)
{
	char path[PATH_MAX], name[64];
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/proc/self/ns/%s", root, kind) >= (int)sizeof(path))
		return false;
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return false;
	name[n] = '\0';
	return strcmp(name, first) == 0;
}

/* A machine whose disk was made from an image has files that were made for containers. */
static bool is_on_bare_machine(const char *root)
{
	return is_first(root, "pid", FIRST_PID_NAMESPACE) &&
	       is_first(root, "cgroup", FIRST_CGROUP_NAMESPACE);
}

static enum carom_doctor_container container_by_image(const char *root)
{
	const char *said = getenv("container");

	if (carom_doctor_exists(root, "/run/.containerenv"))
		return CAROM_DOCTOR_PODMAN;
	if (carom_doctor_exists(root, "/.dockerenv"))
		return CAROM_DOCTOR_DOCKER;
	return said ? container_by_word(said) : CAROM_DOCTOR_NO_CONTAINER;
}

enum carom_doctor_container carom_doctor_container(const char *root)
{
	enum carom_doctor_container container;

	if (is_gvisor(root))
		return CAROM_DOCTOR_GVISOR;
	if (is_kubernetes(root))
		return CAROM_DOCTOR_KUBERNETES;
	container = container_by_init(root);
	if (!container)
		container = container_by_group(root);
	if (!container)
		container = container_by_mounts(root);
	if (container || is_on_bare_machine(root))
		return container;
	container = container_by_image(root);
	return container                                           ? container
	       : carom_doctor_exists(root, "/proc/self/ns/cgroup") ? CAROM_DOCTOR_SOME_CONTAINER
								   : CAROM_DOCTOR_NO_CONTAINER;
}

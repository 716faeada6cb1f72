/*
 * Machine
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/cpu_private.h"
#include "tools/doctor_files.h"
#include "tools/doctor_look.h"
#include "tools/doctor_remedy.h"

#define OLDEST_MAJOR 5
#define OLDEST_MINOR 10

static struct carom_doctor_finding *add(struct carom_doctor_report *report, const char *id,
					enum carom_doctor_state state, const char *value)
{
	return carom_doctor_add(report, CAROM_DOCTOR_MACHINE, id, state, "%s", value);
}

/* --- kernel and container ------------------------------------------------- */

static void look_at_kernel(const struct carom_doctor_place *place,
			   struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	char value[160];

	snprintf(value, sizeof(value), "Linux %s, %s", place->release, place->machine);
	if (!carom_doctor_is_before(place, OLDEST_MAJOR, OLDEST_MINOR)) {
		add(report, "kernel", CAROM_DOCTOR_OK, value);
		return;
	}
	finding = add(report, "kernel", CAROM_DOCTOR_LESS, value);
	carom_doctor_set(finding->reason, "older than %d.%d", OLDEST_MAJOR, OLDEST_MINOR);
	carom_doctor_set(finding->cost, "the library was never tried on it");
	carom_doctor_suggest(finding, CAROM_DOCTOR_NEED, "Linux %d.%d or newer", OLDEST_MAJOR,
			     OLDEST_MINOR);
}

/* --- CPUs --------------------------------------------------------------- */

static void add_count(struct carom_doctor_finding *finding, const char *key, int count)
{
	if (count > 0)
		carom_doctor_add_number(finding, key, (uint64_t)count);
	else
		carom_doctor_add_nothing(finding, key);
}

static void look_at_cpus(const struct carom_doctor_place *place, struct carom_doctor_report *report)
{
	int usable = carom_cpu_count_below(place->root, CAROM_CPU_USABLE);
	int system = carom_cpu_count_below(place->root, CAROM_CPU_SYSTEM);
	int affinity = carom_cpu_count_below(place->root, CAROM_CPU_AFFINITY);
	int quota = carom_cpu_count_below(place->root, CAROM_CPU_QUOTA);
	struct carom_doctor_finding *finding;
	char quota_text[32] = "no quota seen", value[160];

	if (quota > 0)
		snprintf(quota_text, sizeof(quota_text), "time for %d", quota);
	else if (quota == -ENODATA)
		strcpy(quota_text, "no quota");
	snprintf(value, sizeof(value), "%d usable: %d in the machine, %d by affinity, %s", usable,
		 system, affinity > 0 ? affinity : system, quota_text);
	finding = add(report, "cpus", CAROM_DOCTOR_OK, value);
	add_count(finding, "usable", usable);
	add_count(finding, "system", system);
	add_count(finding, "affinity", affinity);
	add_count(finding, "quota", quota);
}

/* --- memory ------------------------------------------------------------- */

static uint64_t memory_total(const char *root)
{
	char text[512];
	uint64_t kib = 0;

	if (carom_doctor_read(root, "/proc/meminfo", text, sizeof(text)) &&
	    sscanf(text, "MemTotal: %" SCNu64, &kib) != 1)
		kib = 0;
	return kib <= UINT64_MAX / 1024 ? kib * 1024 : 0;
}

#define MIB (1024 * 1024)

static void look_at_memory(const struct carom_doctor_place *place,
			   struct carom_doctor_report *report)
{
	uint64_t total = memory_total(place->root);
	/* v1 says a huge number where there is none */
	uint64_t limit = carom_doctor_tightest(place->root, "memory", "/memory.max",
					       "/memory.limit_in_bytes");
	struct carom_doctor_finding *finding;
	char value[160] = "unknown", limit_text[64] = "no cgroup's limit";

	if (limit < total)
		snprintf(limit_text, sizeof(limit_text), "a cgroup allows %" PRIu64 " MiB",
			 limit / MIB);
	if (total)
		snprintf(value, sizeof(value), "%" PRIu64 " MiB, %s", total / MIB, limit_text);
	finding = add(report, "ram", total ? CAROM_DOCTOR_OK : CAROM_DOCTOR_INFO, value);
	if (total)
		carom_doctor_add_number(finding, "total_bytes", total);
	else
		carom_doctor_add_nothing(finding, "total_bytes");
	if (limit < total)
		carom_doctor_add_number(finding, "limit_bytes", limit);
	else
		carom_doctor_add_nothing(finding, "limit_bytes");
}

static void look_at_overcommit(const struct carom_doctor_place *place,
			       struct carom_doctor_report *report)
{
	static const char *const modes[] = { "mode 0: heuristic", "mode 1: always",
					     "mode 2: never" };
	struct carom_doctor_finding *finding;
	uint64_t mode;

	if (!carom_doctor_read_number(place->root, "/proc/sys/vm/overcommit_memory", &mode) ||
	    mode > 2) {
		add(report, "overcommit", CAROM_DOCTOR_INFO, "unknown");
		return;
	}
	finding = add(report, "overcommit", mode == 2 ? CAROM_DOCTOR_LESS : CAROM_DOCTOR_OK,
		      modes[mode]);
	carom_doctor_add_number(finding, "mode", mode);
	if (mode != 2)
		return;
	carom_doctor_set(finding->reason, "vm.overcommit_memory is 2");
	carom_doctor_set(finding->cost, "every child counts with all its parent's private memory, "
					"and may be refused (ENOMEM)");
	carom_doctor_set_sysctl(place, finding, "vm.overcommit_memory=0");
}

/* "always [madvise] never" */
static void look_at_huge_pages(const struct carom_doctor_place *place,
			       struct carom_doctor_report *report)
{
	char text[64], mode[64] = "";

	if (carom_doctor_read(place->root, "/sys/kernel/mm/transparent_hugepage/enabled", text,
			      sizeof(text)) &&
	    strchr(text, '['))
		sscanf(strchr(text, '['), "[%63[a-z]]", mode);
	if (strcmp(mode, "always") == 0)
		strcpy(mode, "always: memory of workers grows by 2 MiB at a time");
	add(report, "huge_pages", CAROM_DOCTOR_INFO, *mode ? mode : "unknown");
}

static void look_at_shm(const struct carom_doctor_place *place, struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	struct statvfs about;
	char path[4096], value[160];

	snprintf(path, sizeof(path), "%s/dev/shm", place->root);
	if (statvfs(path, &about) < 0) {
		add(report, "dev_shm", CAROM_DOCTOR_INFO,
		    "none; the library needs none for itself");
		return;
	}
	snprintf(value, sizeof(value), "%" PRIu64 " MiB; the library's memory is not in it",
		 (uint64_t)about.f_blocks * about.f_frsize / MIB);
	finding = add(report, "dev_shm", CAROM_DOCTOR_INFO, value);
	carom_doctor_add_number(finding, "size_bytes", (uint64_t)about.f_blocks * about.f_frsize);
}

/* Sockets with a path stand in it. */
static void look_at_temporary(const struct carom_doctor_place *place,
			      struct carom_doctor_report *report)
{
	const char *path = getenv("TMPDIR");
	struct carom_doctor_finding *finding;
	int error;

	if (!path || !*path)
		path = "/tmp";
	error = access(path, W_OK | X_OK) < 0 ? errno : 0;
	finding = add(report, "temporary_files", error ? CAROM_DOCTOR_LESS : CAROM_DOCTOR_OK, path);
	if (!error)
		return;
	carom_doctor_set(finding->reason, "%s", strerrordesc_np(error));
	carom_doctor_set(finding->cost, "carom_temp_dir() fails, and with it what needs a path");
	if (place->container == CAROM_DOCTOR_DOCKER || place->container == CAROM_DOCTOR_PODMAN)
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "%s run --tmpfs %s IMAGE",
				     carom_doctor_container_name(place->container), path);
	else
		carom_doctor_suggest(finding, CAROM_DOCTOR_RUN, "export TMPDIR=DIRECTORY");
}

/* --- what measurements need ---------------------------------------------- */

static void look_at_pressure(const struct carom_doctor_place *place,
			     struct carom_doctor_report *report)
{
	char text[64];

	/* where it is switched off (psi=0), opening works and reading does not */
	add(report, "pressure", CAROM_DOCTOR_INFO,
	    carom_doctor_read(place->root, "/proc/pressure/memory", text, sizeof(text))
		    ? "pressure stall information can be read"
		    : "no pressure stall information (psi=1 on the kernel's command line)");
}

static void look_at_perf(const struct carom_doctor_place *place, struct carom_doctor_report *report)
{
	struct carom_doctor_finding *finding;
	char text[32], value[96];
	bool is_there = carom_doctor_read(place->root, "/proc/sys/kernel/perf_event_paranoid", text,
					  sizeof(text));
	long level = strtol(text, NULL, 10);

	if (!is_there) {
		add(report, "perf_events", CAROM_DOCTOR_INFO, "this kernel has none");
		return;
	}
	snprintf(value, sizeof(value), "perf_event_paranoid is %ld: %s", level,
		 level < 2    ? "processes and kernel can be measured"
		 : level == 2 ? "own processes can be measured"
			      : "only root can measure");
	finding = add(report, "perf_events", CAROM_DOCTOR_INFO, value);
	if (level >= 0)
		carom_doctor_add_number(finding, "paranoid", (uint64_t)level);
}

void carom_doctor_look_at_machine(const struct carom_doctor_place *place,
				  struct carom_doctor_report *report)
{
	look_at_kernel(place, report);
	add(report, "container", CAROM_DOCTOR_INFO, carom_doctor_container_name(place->container));
	look_at_cpus(place, report);
	look_at_memory(place, report);
	look_at_overcommit(place, report);
	look_at_huge_pages(place, report);
	look_at_shm(place, report);
	look_at_temporary(place, report);
	look_at_pressure(place, report);
	look_at_perf(place, report);
}

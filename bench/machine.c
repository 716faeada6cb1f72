/*
 * Machine
 *
 * A session's usage is read from /proc and not asked of its processes: an idle
 * process that had to answer would not be idle. CPU time comes from schedstat,
 * in nanoseconds, because a clock tick hides a hundred wake-ups.
 */
#include "bench/machine.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/peer.h"
#include "core/time.h"

#define LINE_ROUND_TRIPS 20000

int bench_cpus(int ret_cpus[2])
{
	cpu_set_t allowed;
	int count = 0;

	ret_cpus[0] = ret_cpus[1] = -1;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			ret_cpus[count++] = cpu;
	return count;
}

static int place(pid_t pid, int first_cpu, int second_cpu)
{
	cpu_set_t set;

	if (first_cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(first_cpu, &set);
	CPU_SET(second_cpu, &set);
	return sched_setaffinity(pid, sizeof(set), &set) < 0 ? -errno : 0;
}

int bench_place(pid_t pid, int cpu)
{
	return place(pid, cpu, cpu);
}

int bench_place_both(int first_cpu, int second_cpu)
{
	return place(0, first_cpu, second_cpu);
}

/* Calls back for every entry of a directory whose name is a number. */
static void for_each_number(const char *path, void (*visit)(int number, void *userdata),
			    void *userdata)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			visit(atoi(entry->d_name), userdata);
	closedir(directory);
}

static void place_thread(int tid, void *userdata)
{
	bench_place(tid, *(int *)userdata);
}

int bench_place_threads(int cpu)
{
	for_each_number("/proc/self/task", place_thread, &cpu);
	return bench_place(0, cpu);
}

struct line {
	_Alignas(128) _Atomic uint32_t there;
	_Alignas(128) _Atomic uint32_t back;
	int cpu;
};

static void *return_line(void *argument)
{
	struct line *line = argument;

	bench_place(0, line->cpu);
	for (uint32_t i = 0; i <= LINE_ROUND_TRIPS; i++) {
		while (atomic_load_explicit(&line->there, memory_order_acquire) != i + 1)
			bench_relax();
		atomic_store_explicit(&line->back, i + 1, memory_order_release);
	}
	return NULL;
}

static void send_line(struct line *line, uint32_t i)
{
	atomic_store_explicit(&line->there, i + 1, memory_order_release);
	while (atomic_load_explicit(&line->back, memory_order_acquire) != i + 1)
		bench_relax();
}

double bench_line_round_trip(int first_cpu, int second_cpu)
{
	struct line line = { .cpu = second_cpu };
	cpu_set_t before;
	pthread_t thread;
	uint64_t begin;

	if (first_cpu < 0 || second_cpu < 0 || sched_getaffinity(0, sizeof(before), &before) < 0 ||
	    pthread_create(&thread, NULL, return_line, &line) != 0)
		return 0;
	bench_place(0, first_cpu);
	send_line(&line, 0); /* the other side is up */
	begin = carom_now();
	for (uint32_t i = 1; i <= LINE_ROUND_TRIPS; i++)
		send_line(&line, i);
	begin = carom_now() - begin;
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(before), &before);
	return (double)begin / LINE_ROUND_TRIPS;
}

double bench_load(void)
{
	double load[1];

	return getloadavg(load, 1) == 1 ? load[0] : 0;
}

/* Finds "NAME   number" in a file of /proc and adds the number up. */
static uint64_t sum_fields(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	char line[256];
	uint64_t sum = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		const char *found = strstr(line, name);

		if (found)
			sum += strtoull(found + strlen(name), NULL, 10);
	}
	fclose(file);
	return sum;
}

uint64_t bench_available_bytes(void)
{
	return CAROM_KIB(sum_fields("/proc/meminfo", "MemAvailable:"));
}

struct session_sum {
	pid_t session;
	pid_t pid;
	struct bench_usage *usage;
};

static void add_thread(int tid, void *userdata)
{
	struct session_sum *sum = userdata;
	char path[64];

	/* matches voluntary_ctxt_switches and nonvoluntary_ctxt_switches */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", sum->pid, tid);
	sum->usage->switches += sum_fields(path, "voluntary_ctxt_switches:");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", sum->pid, tid);
	sum->usage->cpu_ns += sum_fields(path, "");
}

static pid_t session_of(int pid)
{
	char path[64];
	char text[512] = "";
	FILE *file;
	const char *after_name;
	int session = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	after_name = strrchr(text, ')'); /* a name may contain anything */
	if (after_name)
		sscanf(after_name, ") %*c %*d %*d %d", &session);
	return session;
}

static void add_process(int pid, void *userdata)
{
	struct session_sum *sum = userdata;
	char path[64];

	if (session_of(pid) != sum->session)
		return;
	sum->pid = pid;
	sum->usage->process_count++;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	for_each_number(path, add_thread, sum);
}

void bench_session_usage(pid_t session, struct bench_usage *ret_usage)
{
	struct session_sum sum = { .session = session, .usage = ret_usage };

	*ret_usage = (struct bench_usage){ 0 };
	for_each_number("/proc", add_process, &sum);
}

struct session_pss {
	pid_t session;
	uint64_t bytes;
};

static void add_pss(int pid, void *userdata)
{
	struct session_pss *sum = userdata;
	char path[64];

	if (pid == sum->session || session_of(pid) != sum->session)
		return;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	sum->bytes += CAROM_KIB(sum_fields(path, "Pss:"));
}

uint64_t bench_session_pss(pid_t session)
{
	struct session_pss sum = { .session = session };

	for_each_number("/proc", add_pss, &sum);
	return sum.bytes;
}

int bench_syscalls_open(void)
{
	struct perf_event_attr attributes = { .size = sizeof(attributes),
					      .type = PERF_TYPE_TRACEPOINT,
					      .inherit = 1 };
	long fd;

	attributes.config = sum_fields("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", "");
	if (attributes.config == 0)
		return -ENOENT;
	fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

uint64_t bench_syscalls_count(int fd)
{
	uint64_t count = 0;

	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

void bench_allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static char state_of(pid_t tid)
{
	char path[64];
	char line[256];
	char state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return state;
	while (fgets(line, sizeof(line), file) && sscanf(line, "State: %c", &state) != 1)
		;
	fclose(file);
	return state;
}

void bench_await_sleep(pid_t tid)
{
	char state;

	do {
		state = state_of(tid);
		sched_yield();
	} while (state != 'S' && state != '?');
}

void bench_let_pass(uint64_t ns)
{
	struct timespec span = { .tv_sec = (time_t)(ns / CAROM_NS_PER_SEC),
				 .tv_nsec = (long)(ns % CAROM_NS_PER_SEC) };

	while (nanosleep(&span, &span) < 0 && errno == EINTR)
		;
}

int bench_touch(uint64_t bytes)
{
	void *memory;

	if (bytes == 0)
		return 0;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	/* 4 KiB pages, whatever the machine prefers: they are what costs time at death and fork */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	/* in one call if the kernel knows it (5.14), else a fault for each */
	if (madvise(memory, bytes, MADV_POPULATE_WRITE) < 0)
		memset(memory, 1, bytes);
	return 0;
}

/*
 * Machine
 *
 * Where things run, and what else is to be known of the machine to judge a
 * figure: the cache-line round trip between the two CPUs, the load, the memory
 * left, and what the processes of a session have used.
 */
#ifndef CAROM_BENCH_MACHINE_H
#define CAROM_BENCH_MACHINE_H

#include <stdint.h>
#include <sys/types.h>

/**
 * bench_cpus() - the first two CPUs this process may run on
 * Return: how many there are, 1 or 2; the second is -1 if there is only one.
 */
int bench_cpus(int ret_cpus[2]);

/** bench_place() - let a process (0: the calling thread) run on @cpu only; -1 changes nothing */
int bench_place(pid_t pid, int cpu);

/** bench_place_both() - let the calling thread run on either; -1 changes nothing */
int bench_place_both(int first_cpu, int second_cpu);

/** bench_place_threads() - the same for every thread that this process has now, to one CPU */
int bench_place_threads(int cpu);

/** bench_line_round_trip() - ns for a cache line to the other CPU and back, 0 if unknown */
double bench_line_round_trip(int first_cpu, int second_cpu);

/** bench_load() - processes that wanted to run, averaged over the last minute */
double bench_load(void);

/** bench_available_bytes() - memory that can be had without swapping; 0 if unknown */
uint64_t bench_available_bytes(void);

/**
 * struct bench_usage - what some processes have used since they began
 * @switches: context switches, voluntary or not
 * @cpu_ns:   time on a CPU
 */
struct bench_usage {
	uint64_t switches;
	uint64_t cpu_ns;
	uint64_t process_count;
};

/** bench_session_usage() - of all threads of all processes of a session that live now */
void bench_session_usage(pid_t session, struct bench_usage *ret_usage);

/** bench_session_pss() - bytes of all processes of a session but its leader, shared pages by shares */
uint64_t bench_session_pss(pid_t session);

/**
 * bench_syscalls_open() - count the system calls of this process from now on
 *
 * Those of threads and children that it makes later are counted too.
 * Return: a descriptor, or -ENOENT (no tracefs is mounted), or what
 * perf_event_open(2) says.
 */
int bench_syscalls_open(void);

/** bench_syscalls_count() - so many were made; 0 if @fd is -1 */
uint64_t bench_syscalls_count(int fd);

/**
 * bench_allow_descriptors() - as many as the hard limit lets this process have
 * A thousand pidfds are more than the soft limit that is usual.
 */
void bench_allow_descriptors(void);

/** bench_await_sleep() - until a thread of this process is asleep */
void bench_await_sleep(pid_t tid);

/** bench_let_pass() - sleep; only to let things settle, never to wait for one */
void bench_let_pass(uint64_t ns);

/** bench_touch() - @bytes of private memory of this process, resident; never given back */
int bench_touch(uint64_t bytes);

#endif

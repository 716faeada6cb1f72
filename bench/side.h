/*
 * Side
 *
 * A peer at work on one job, in a process of its own: it makes ready when it
 * starts, measures a sample each time it is asked, and sleeps in between. So no
 * side inherits another one's threads, affinity or memory, and what a session
 * of processes used is one side's use.
 */
#ifndef CAROM_BENCH_SIDE_H
#define CAROM_BENCH_SIDE_H

#include <sys/types.h>

#include "bench/peer.h"

/**
 * struct bench_side - one side of a comparison
 * @pid:    its process, which leads a session; 0 before the start and after the end
 * @fd:     one byte each way: "measure", "done"
 * @syscalls_fd: in its process: the counter, -1 if system calls are not counted
 * @sample: shared with it: what it measured last
 */
struct bench_side {
	const struct bench_peer *peer;
	const struct bench_act *act;
	const struct bench_job *job;
	pid_t pid;
	int fd;
	int syscalls_fd;
	struct bench_sample *sample;
};

/**
 * bench_side_start() - start it, and wait until it is ready
 * @job: must live until the end
 *
 * Return: 0, or below 0 with the reason in @side->sample->message. It is to be
 * ended in either case.
 */
int bench_side_start(struct bench_side *side, const struct bench_peer *peer,
		     const struct bench_act *act, const struct bench_job *job);

/** bench_side_measure() - have it measure. Return: as bench_side_start() */
int bench_side_measure(struct bench_side *side);

/** bench_side_end() - have it clear away; kill what is left of its session after 5 s */
void bench_side_end(struct bench_side *side);

#endif

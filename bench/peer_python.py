"""multiprocessing or billiard at work on one job (bench/peer_python.c).

argv: the module's name, and the job as JSON. Says "ready" on standard output,
then answers each line of standard input with a sample, one line of JSON. Ends
with its input. All times are ns of CLOCK_MONOTONIC, as on the other sides.
"""

import collections
import importlib
import json
import logging
import mmap
import os
import signal
import struct
import sys
from time import perf_counter_ns as now

# Shared with the workers: the pid of the one whose task is busy.
busy_pid = mmap.mmap(-1, 8)


def no_op(argument=None):
    return argument


def be_busy():
    busy_pid[:8] = struct.pack("q", os.getpid())
    while True:
        pass


class Work:
    """A pool and the operations on it; each returns ns, or None if no answer came."""

    many = False

    def __init__(self, module, job):
        self.job = job
        self.errors = importlib.import_module(module.__name__ + ".pool")
        self.timeout_error = module.TimeoutError
        self.pool = module.Pool(job["worker_count"])
        place(self.pool, job)

    def answer(self, result):
        """Wait for it. Return: did any answer come?"""
        try:
            result.get(self.job["give_up_ns"] / 1e9)
        except self.timeout_error:
            return False
        except Exception:  # WorkerLostError is an answer too
            pass
        return True


class RoundTrip(Work):
    def operate(self, task_count):
        begin = now()
        self.pool.apply(no_op)
        return now() - begin


class Throughput(Work):
    many = True

    def operate(self, task_count):
        window = self.job["window"]
        flying = collections.deque()
        begin = now()
        for _ in range(task_count):
            if len(flying) == window:
                flying.popleft().get()
            flying.append(self.pool.apply_async(no_op))
        while flying:
            flying.popleft().get()
        return now() - begin


class Batch(Work):
    chunksize = 1

    def operate(self, task_count):
        begin = now()
        self.pool.map(no_op, range(task_count), self.chunksize)
        return now() - begin


class BatchChunked(Batch):
    chunksize = None


class Death(Work):
    def start_busy_worker(self):
        """Return: its result, and its pid."""
        busy_pid[:8] = bytes(8)
        result = self.pool.apply_async(be_busy)
        pid = 0
        while not pid:
            (pid,) = struct.unpack("q", busy_pid[:8])
        return result, pid

    def make_whole(self):
        self.pool.apply_async(no_op).get()
        place(self.pool, self.job)

    def operate(self, task_count):
        result, pid = self.start_busy_worker()
        begin = now()
        os.kill(pid, 9)
        if not self.answer(result):
            return None
        ns = now() - begin
        self.make_whole()
        return ns


class Recovery(Death):
    def operate(self, task_count):
        _, pid = self.start_busy_worker()
        begin = now()
        os.kill(pid, 9)
        if not self.answer(self.pool.apply_async(no_op)):
            return None
        ns = now() - begin
        self.make_whole()
        return ns


class Spawn:
    many = False
    pool = None

    def __init__(self, module, job):
        self.process = module.Process
        if hasattr(module, "set_start_method"):
            module.set_start_method("fork")

    def operate(self, task_count):
        begin = now()
        process = self.process(target=no_op)
        process.start()
        process.join()
        return now() - begin


class Child:
    """A child of the module's fork server; its end is not measured."""

    many = False
    pool = None

    def __init__(self, module, job):
        self.context = module.get_context("forkserver")

    def operate(self, task_count):
        begin = now()
        process = self.context.Process(target=signal.pause)
        process.start()
        ns = now() - begin
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        return ns


WORKS = {
    "round-trip": RoundTrip,
    "throughput": Throughput,
    "batch": Batch,
    "batch-chunked": BatchChunked,
    "death": Death,
    "recovery": Recovery,
    "spawn": Spawn,
    "child": Child,
    "idle": Work,
}


def place(pool, job):
    """The pool's workers to their CPU, this process's threads to the caller's; -1 is anywhere."""
    if job["worker_cpu"] >= 0:
        for worker in pool._pool:
            os.sched_setaffinity(worker.pid, {job["worker_cpu"]})
    if job["caller_cpu"] >= 0:
        for tid in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(tid), {job["caller_cpu"]})


def warm_up(work, job, task_count):
    """Return: ns of the last operation, and how many tasks were done."""
    end = now() + job["warm_ns"]
    done = 0
    while True:
        ns = work.operate(task_count)
        done += task_count
        if ns is None or now() >= end:
            return ns, done


def measure(work, job):
    sample = {"gave_up_ns": 0, "tasks": 0, "warm_tasks": 0, "ns": 0, "values": []}
    task_count = 2 * job["window"] if work.many else job["task_count"]
    if job["warm_ns"]:
        ns, sample["warm_tasks"] = warm_up(work, job, task_count)
        if work.many:  # so many that two operations fill a sample
            task_count = max(task_count, job["sample_ns"] // 2 * task_count // ns)
    end = now() + job["sample_ns"]
    while not sample["values"] or now() < end:
        ns = work.operate(task_count)
        if ns is None:
            sample["gave_up_ns"] = job["give_up_ns"]
            break
        sample["tasks"] += task_count
        sample["ns"] += ns
        sample["values"].append(ns // task_count)
    return sample


def main():
    logging.disable()  # that a worker was killed is no news here
    module = importlib.import_module(sys.argv[1])
    job = json.loads(sys.argv[2])
    work = WORKS[job["workload"]](module, job)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure(work, job)), flush=True)
    if work.pool:
        work.pool.terminate()


if __name__ == "__main__":  # a child of a fork server imports this file as well
    main()

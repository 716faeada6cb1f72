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
from time import perf_counter_ns as now, sleep

# Shared with the workers: the pid of the one whose task is busy, and when it began.
busy_pid = mmap.mmap(-1, 8)
busy_since = mmap.mmap(-1, 8)

# Where tasks meet: each writes a byte to the first pipe and reads one from the second.
arrivals = os.pipe()
departures = os.pipe()


def no_op(argument=None):
    return argument


def attend():
    os.write(arrivals[1], b"a")
    os.read(departures[0], 1)


def be_busy(held_bytes=0):
    held = b"x" * held_bytes
    busy_since[:8] = struct.pack("q", now())
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
        self.pool = module.Pool(job["worker_count"], **self.options())
        place(self.pool._pool, job)
        self.memory = b"x" * job["parent_bytes"]

    def options(self):
        return {}

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


class Imap(Work):
    def operate(self, task_count):
        begin = now()
        for _ in self.pool.imap_unordered(no_op, range(task_count)):
            pass
        return now() - begin


class Echo(Work):
    def operate(self, task_count):
        payload = b"x" * self.job["payload_bytes"]
        begin = now()
        results = [self.pool.apply_async(no_op, (payload,)) for _ in range(task_count)]
        for result in results:
            result.get()
        return now() - begin


class Death(Work):
    def start_busy_worker(self):
        """Return: its result, and its pid."""
        busy_pid[:8] = bytes(8)
        result = self.pool.apply_async(be_busy, (self.job["held_bytes"],))
        pid = 0
        while not pid:
            (pid,) = struct.unpack("q", busy_pid[:8])
        return result, pid

    def make_whole(self):
        self.pool.apply_async(no_op).get()
        place(self.pool._pool, self.job)

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


class Replacement(Death):
    def operate(self, task_count):
        result, pid = self.start_busy_worker()
        os.kill(pid, 9)
        if not self.answer(result):
            return None
        begin = now()
        if not self.answer(self.pool.apply_async(no_op)):
            return None
        ns = now() - begin
        self.make_whole()
        return ns


class Limit(Death):
    def options(self):
        return {"timeout": 3600}  # without any, billiard has nobody to look at them

    def operate(self, task_count):
        limit_ns = self.job["limit_ns"]
        if not self.answer(self.pool.apply_async(be_busy, timeout=limit_ns / 1e9)):
            return None
        (since,) = struct.unpack("q", busy_since[:8])
        ns = now() - since - limit_ns
        self.make_whole()
        return max(ns, 1)


class Start:
    """A pool is made and terminated; only one of that is measured."""

    many = False
    pool = None

    def __init__(self, module, job):
        self.make = module.Pool
        self.worker_count = job["worker_count"]
        self.memory = b"x" * job["parent_bytes"]

    def call_meeting(self, pool):
        """Returns once every worker is in a task."""
        results = [pool.apply_async(attend) for _ in range(self.worker_count)]
        count = 0
        while count < self.worker_count:
            count += len(os.read(arrivals[0], self.worker_count))
        return results

    def end_meeting(self, results):
        os.write(departures[1], b"d" * len(results))
        for result in results:
            result.get()

    def make_idle(self):
        pool = self.make(self.worker_count)
        self.end_meeting(self.call_meeting(pool))
        sleep(0.02)
        return pool

    def operate(self, task_count):
        begin = now()
        pool = self.make(self.worker_count)
        ns = now() - begin
        pool.terminate()
        pool.join()
        return ns


class StartAtWork(Start):
    def operate(self, task_count):
        begin = now()
        pool = self.make(self.worker_count)
        results = self.call_meeting(pool)
        ns = now() - begin
        self.end_meeting(results)
        pool.terminate()
        pool.join()
        return ns


class Drain(Start):
    def operate(self, task_count):
        pool = self.make_idle()
        begin = now()
        pool.close()
        pool.join()
        return now() - begin


class Terminate(Start):
    def operate(self, task_count):
        pool = self.make_idle()
        begin = now()
        pool.terminate()
        pool.join()
        return now() - begin


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
    method = "forkserver"

    def __init__(self, module, job):
        self.context = module.get_context(self.method)
        self.memory = b"x" * job["parent_bytes"]

    def operate(self, task_count):
        begin = now()
        process = self.context.Process(target=signal.pause)
        process.start()
        ns = now() - begin
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        return ns


class SpawnExec(Child):
    method = "spawn"


class Queue:
    """Two processes put, two get; they live all the time, and are told how many it is to be."""

    many = True
    pool = None

    def __init__(self, module, job):
        context = module.get_context("fork")
        self.queue = context.Queue()
        self.payload = b"x" * job["payload_bytes"]
        self.ends = []
        for function in (self.put, self.get) * 2:
            mine, theirs = context.Pipe()
            process = context.Process(target=self.play, args=(function, theirs), daemon=True)
            process.start()
            self.ends.append(mine)

    def put(self):
        self.queue.put(self.payload)

    def get(self):
        self.queue.get()

    def play(self, function, end):
        while True:
            for _ in range(end.recv()):
                function()
            end.send(None)

    def operate(self, task_count):
        begin = now()
        for end in self.ends:
            end.send((task_count + 1) // 2)
        for end in self.ends:
            end.recv()
        return now() - begin


class Players:
    """Processes that live all the time; each plays when it is told to, and says when it has."""

    pool = None

    def __init__(self, module, job):
        self.job = job
        self.many = job["task_count"] == 0
        self.context = module.get_context("fork")
        self.processes = []
        self.ends = []

    def add(self, count, function):
        for _ in range(count):
            mine, theirs = self.context.Pipe()
            process = self.context.Process(target=self.play, args=(function, theirs), daemon=True)
            process.start()
            self.processes.append(process)
            self.ends.append(mine)
        place(self.processes, self.job)

    def play(self, function, end):
        while True:
            function(end.recv())
            end.send(None)


class ManagerDict(Players):
    """Clients of a manager's server, each of which calls and waits for the answer."""

    def __init__(self, module, job):
        super().__init__(module, job)
        self.manager = module.Manager()
        self.object = self.make()
        self.add(job["worker_count"], self.use)

    def make(self):
        return self.manager.dict()

    def use(self, times):
        for i in range(times // 2):
            self.object["key"] = i
            self.object["key"]

    def operate(self, task_count):
        share = task_count // len(self.ends)
        begin = now()
        for end in self.ends:
            end.send(share)
        for end in self.ends:
            end.recv()
        return now() - begin


class ManagerQueue(ManagerDict):
    def make(self):
        return self.manager.Queue()

    def use(self, times):
        for i in range(times // 2):
            self.object.put(i)
            self.object.get()


class Lock(Players):
    """Acquired and released, by several processes at once or by this one alone."""

    kind = "Lock"

    def __init__(self, module, job):
        super().__init__(module, job)
        self.lock = getattr(self.context, self.kind)()
        self.add(job["worker_count"] - 1, self.use)

    def use(self, times):
        acquire, release = self.lock.acquire, self.lock.release
        for _ in range(times):
            acquire()
            release()

    def operate(self, task_count):
        share = task_count // (len(self.ends) + 1)
        begin = now()
        for end in self.ends:
            end.send(share)
        self.use(share)
        for end in self.ends:
            end.recv()
        return now() - begin


class Semaphore(Lock):
    kind = "Semaphore"


class HandOver(Players):
    """As in bench/peer_lock.c: each waits for the lock that the other one has."""

    def __init__(self, module, job):
        super().__init__(module, job)
        self.locks = [self.context.Lock() for _ in range(3)]
        self.mine = 2
        self.locks[1].acquire()
        self.locks[2].acquire()
        self.add(1, self.play_on)
        self.ends[0].send(None)

    def hand_over(self):
        following = (self.mine + 2) % 3
        self.locks[following].acquire()
        self.locks[self.mine].release()
        self.mine = following

    def play_on(self, _):
        self.mine = 1
        while True:
            self.hand_over()

    def operate(self, task_count):
        begin = now()
        self.hand_over()
        return now() - begin


class Condition(Players):
    """Whose turn it is stands in memory that both have."""

    def __init__(self, module, job):
        super().__init__(module, job)
        self.condition = self.context.Condition()
        self.turn = mmap.mmap(-1, 1)
        self.add(1, self.play_on)
        self.ends[0].send(None)

    def pass_on(self, mine, theirs):
        with self.condition:
            while self.turn[0] != mine:
                self.condition.wait()
            self.turn[0] = theirs
            self.condition.notify()

    def play_on(self, _):
        while True:
            self.pass_on(1, 0)

    def operate(self, task_count):
        begin = now()
        self.pass_on(0, 1)
        return now() - begin


class Event(Players):
    """All sleep; then it is set, until all have run."""

    def __init__(self, module, job):
        super().__init__(module, job)
        self.event = self.context.Event()
        self.up = self.context.Semaphore(0)
        self.add(job["child_count"], self.sleep)

    def sleep(self, _):
        self.event.wait()
        self.up.release()

    def operate(self, task_count):
        self.event.clear()
        for end in self.ends:
            end.send(None)
        sleep(0.02)  # nobody tells when the last of them has fallen asleep
        begin = now()
        self.event.set()
        for _ in self.ends:
            self.up.acquire()
        ns = now() - begin
        for end in self.ends:
            end.recv()
        return ns


class Message(Players):
    """There and back through a Pipe."""

    def __init__(self, module, job):
        super().__init__(module, job)
        self.mine, self.theirs = self.context.Pipe()
        self.payload = bytes(job["payload_bytes"])
        self.add(1, self.answer)
        self.ends[0].send(None)

    def answer(self, _):
        while True:
            message = self.theirs.recv_bytes()
            if message[0] == 0:
                self.theirs.send_bytes(message)

    def operate(self, task_count):
        begin = now()
        for _ in range(task_count):
            self.mine.send_bytes(self.payload)
            self.mine.recv_bytes()
        return now() - begin


class OneWay(Message):
    """The last of them is answered."""

    def operate(self, task_count):
        swallow = b"s" * len(self.payload)
        begin = now()
        for _ in range(task_count - 1):
            self.mine.send_bytes(swallow)
        self.mine.send_bytes(self.payload)
        self.mine.recv_bytes()
        return now() - begin


WORKS = {
    "round-trip": RoundTrip,
    "throughput": Throughput,
    "batch": Batch,
    "batch-chunked": BatchChunked,
    "map-1m": BatchChunked,
    "imap": Imap,
    "echo-64k": Echo,
    "echo-64k-many": Echo,
    "echo-1m": Echo,
    "echo-1m-many": Echo,
    "death": Death,
    "death-512m": Death,
    "recovery": Recovery,
    "replacement": Replacement,
    "replacement-512m": Replacement,
    "replacement-4g": Replacement,
    "limit": Limit,
    "start-64": Start,
    "start-64-1g": Start,
    "start-64-first-1g": Start,
    "start-64-at-work": StartAtWork,
    "start-64-at-work-1g": StartAtWork,
    "drain-64": Drain,
    "terminate-64": Terminate,
    "spawn": Spawn,
    "child": Child,
    "child-4g": Child,
    "spawn-exec": SpawnExec,
    "queue": Queue,
    "manager-dict": ManagerDict,
    "manager-dict-8": ManagerDict,
    "manager-queue": ManagerQueue,
    "manager-queue-8": ManagerQueue,
    "lock": Lock,
    "lock-2": Lock,
    "lock-4": Lock,
    "lock-hand-over": HandOver,
    "semaphore": Semaphore,
    "condition": Condition,
    "event-100": Event,
    "message-parked-8": Message,
    "message-parked-64": Message,
    "message-64k": Message,
    "message-1m": Message,
    "stream-64": OneWay,
    "stream-64k": OneWay,
    "stream-1m": OneWay,
    "idle": Work,
    "idle-64": Work,
}


def place(workers, job):
    """The workers to their CPU, this process's threads to the caller's; -1 is anywhere."""
    if job["worker_cpu"] >= 0:
        for worker in workers:
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
        sample["values"].append(ns / task_count)
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

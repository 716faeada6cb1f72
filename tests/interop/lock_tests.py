"""CPython's own tests of locks, on carom's.

Usage: lock_tests.py LIBCAROM. The tests are those of the interpreter that runs this,
test/lock_tests.py; where that is not installed, nothing is tested (exit 77). What stands
here is the binding: Python's constructors and calls, and their errors, for carom's.
"""
import ctypes
import errno
import sys
import threading
import time
import unittest

try:
    from test import lock_tests
except ImportError:
    print('skipped: test.lock_tests is not installed (libpython3.11-testsuite)')
    sys.exit(77)

carom = ctypes.CDLL(sys.argv[1])
NO_DEADLINE = 2 ** 64 - 1

# What is not asked, and why.
REPR = "repr() is Python's; carom_..._describe() has another text"
WEAKREF = 'weak references are to Python objects'
AT_FORK = '_at_fork_reinit() is internal: nothing is to be made new after fork()'
INTERNAL = 'of the internals of threading.RLock'
NOT_ASKED = {
    'LockTests': {
        'test_repr': REPR, 'test_locked_repr': REPR,
        'test_weakref_exists': WEAKREF, 'test_weakref_deleted': WEAKREF,
        'test_at_fork_reinit': AT_FORK,
    },
    'RLockTests': {
        'test_repr': REPR, 'test_locked_repr': REPR,
        'test_weakref_exists': WEAKREF, 'test_weakref_deleted': WEAKREF,
        'test__is_owned': INTERNAL, 'test_recursion_count': INTERNAL,
        'test_release_save_unacquired': INTERNAL,
    },
    'SemaphoreTests': {'test_repr': REPR},
    'BoundedSemaphoreTests': {'test_repr': REPR},
    'EventTests': {'test_repr': REPR, 'test_at_fork_reinit': AT_FORK},
    'ConditionTests': {'test_acquire': "carom's condition has an RLock, not any lock"},
    'BarrierTests': {'test_repr': REPR},
}


def function(name, *argtypes, restype=ctypes.c_int):
    f = carom[name]
    f.argtypes, f.restype = argtypes, restype
    return f


def deadline(timeout):
    if timeout is None or timeout < 0:
        return NO_DEADLINE
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) + int(timeout * 1e9)


def check(r, told=()):
    """told: {errno: exception} of what Python says otherwise"""
    if r < 0:
        raise dict(told).get(-r, OSError(-r, 'carom'))
    return r


class Handle:
    """An object of carom's own making; freed with this one."""

    kind = None

    def take(self, r, pointer):
        check(r, {errno.EINVAL: ValueError()})
        self.pointer = pointer

    def __del__(self):
        pointer = self.__dict__.pop('pointer', None)
        if pointer:
            function('carom_%s_free' % self.kind, ctypes.c_void_p,
                     restype=ctypes.c_void_p)(pointer)

    def call(self, name, *arguments):
        f = function('carom_%s_%s' % (self.kind, name), ctypes.c_void_p,
                     *[ctypes.c_uint64 if name.endswith(('acquire', 'wait')) else ctypes.c_uint32
                       for _ in arguments])
        return f(self.pointer, *arguments)


class Memory(Handle):
    """An object in memory of the caller's."""

    size = 256
    kept = []  # one that is held when its test fails stands on its thread's list for good

    def __init__(self):
        memory = ctypes.create_string_buffer(self.size + 64)
        self.kept.append(memory)
        self.pointer = (ctypes.addressof(memory) + 63) & ~63
        self.call('init')

    def __del__(self):
        pass


class Acquired:
    """acquire(), release() and `with`, as all of Python's locks have them"""

    not_held = RuntimeError

    def acquire(self, blocking=True, timeout=None):
        if not blocking and timeout not in (None, -1):
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout is not None and (timeout < 0 and timeout != -1):
            raise ValueError('timeout must be a non-negative number')
        if timeout is not None and timeout > threading.TIMEOUT_MAX:
            raise OverflowError('timeout value is too large')
        r = self.call('acquire', deadline(timeout)) if blocking else self.call('try')
        if -r in (errno.ETIMEDOUT, errno.EBUSY, errno.EAGAIN):
            return False
        check(r)
        return True

    def release(self):
        check(self.call('release'), {errno.EOVERFLOW: self.not_held(),
                                     errno.EPERM: self.not_held()})

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


class Lock(Acquired, Handle):
    kind = 'lock'

    def __init__(self):
        pointer = ctypes.c_void_p()
        self.take(function('carom_lock_new', ctypes.c_void_p, ctypes.c_void_p)(
            None, ctypes.byref(pointer)), pointer)

    def locked(self):
        return bool(self.call('is_locked'))


class RLock(Acquired, Memory):
    kind = 'rlock'


class SemaphoreOptions(ctypes.Structure):
    _fields_ = [('size_bytes', ctypes.c_size_t), ('name', ctypes.c_char_p),
                ('max', ctypes.c_uint32), ('process_max', ctypes.c_uint32),
                ('is_signal', ctypes.c_uint32), ('reserved', ctypes.c_uint32)]


class Semaphore(Acquired, Handle):
    kind = 'semaphore'
    not_held = ValueError

    def __init__(self, value=1):
        options = SemaphoreOptions(ctypes.sizeof(SemaphoreOptions), max=self.maximum(value))
        pointer = ctypes.c_void_p()
        self.take(function('carom_semaphore_new', ctypes.c_int64, ctypes.c_void_p,
                           ctypes.c_void_p)(value, ctypes.byref(options),
                                            ctypes.byref(pointer)), pointer)

    def maximum(self, value):
        return 0

    def release(self, n=1):
        if n < 1:
            raise ValueError('n must be one or more')
        check(self.call('release', n), {errno.EOVERFLOW: ValueError()})


class BoundedSemaphore(Semaphore):
    def maximum(self, value):
        return max(value, 0)


class Event(Memory):
    kind = 'event'

    def is_set(self):
        return bool(function('carom_event_is_set', ctypes.c_void_p,
                             restype=ctypes.c_bool)(self.pointer))

    def set(self):
        function('carom_event_set', ctypes.c_void_p, restype=None)(self.pointer)

    def clear(self):
        function('carom_event_clear', ctypes.c_void_p, restype=None)(self.pointer)

    def wait(self, timeout=None):
        r = self.call('wait', deadline(timeout))
        if r == -errno.ETIMEDOUT:
            return False
        check(r)
        return True


class ConditionOptions(ctypes.Structure):
    _fields_ = [('size_bytes', ctypes.c_size_t), ('name', ctypes.c_char_p),
                ('rlock', ctypes.c_void_p), ('process_max', ctypes.c_uint32),
                ('reserved', ctypes.c_uint32)]


class Condition(Acquired, Handle):
    """With a lock of its own; carom_condition_try() is its lock's."""

    kind = 'condition'

    def __init__(self):
        pointer = ctypes.c_void_p()
        self.take(function('carom_condition_new', ctypes.c_void_p, ctypes.c_void_p)(
            None, ctypes.byref(pointer)), pointer)

    def wait(self, timeout=None):
        r = self.call('wait', deadline(timeout))
        if r == -errno.ETIMEDOUT:
            return False
        check(r, {errno.EPERM: RuntimeError()})
        return True

    def wait_for(self, predicate, timeout=None):
        said = []

        @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        def ask(_):
            said.append(predicate())
            return 1 if said[-1] else 0

        check(function('carom_condition_wait_for', ctypes.c_void_p, type(ask), ctypes.c_void_p,
                       ctypes.c_uint64)(self.pointer, ask, None, deadline(timeout)),
              {errno.EPERM: RuntimeError()})
        return said[-1]

    def notify(self, n=1):
        check(self.call('notify', n), {errno.EPERM: RuntimeError()})

    def notify_all(self):
        self.notify(2 ** 32 - 1)


class BarrierOptions(ctypes.Structure):
    _fields_ = [('size_bytes', ctypes.c_size_t), ('name', ctypes.c_char_p),
                ('action', ctypes.c_void_p), ('userdata', ctypes.c_void_p),
                ('process_max', ctypes.c_uint32), ('reserved', ctypes.c_uint32)]


class Barrier(Handle):
    kind = 'barrier'

    def __init__(self, parties, action=None, timeout=None):
        self.timeout = timeout
        self.action = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(
            lambda _: (action(), 0)[1] if action else 0)
        options = BarrierOptions(ctypes.sizeof(BarrierOptions),
                                 action=ctypes.cast(self.action, ctypes.c_void_p))
        pointer = ctypes.c_void_p()
        self.take(function('carom_barrier_new', ctypes.c_uint32, ctypes.c_void_p,
                           ctypes.c_void_p)(parties, ctypes.byref(options),
                                            ctypes.byref(pointer)), pointer)

    def wait(self, timeout=None):
        broken = threading.BrokenBarrierError()
        r = self.call('wait', deadline(self.timeout if timeout is None else timeout))
        return check(r, {errno.ETIMEDOUT: broken, errno.ECANCELED: broken})

    def reset(self):
        check(self.call('reset'))

    def abort(self):
        check(self.call('abort'))

    @property
    def parties(self):
        return self.call('parties')

    @property
    def n_waiting(self):
        return self.call('waiting')

    @property
    def broken(self):
        return bool(self.call('is_broken'))


def asked(name, **types):
    """The cases of one class, without those that are not asked"""
    without = NOT_ASKED[name]
    for case, reason in without.items():
        print('not asked: %s.%s: %s' % (name, case, reason))
    members = dict.fromkeys(without)
    members.update((kind, staticmethod(type_)) for kind, type_ in types.items())
    return unittest.defaultTestLoader.loadTestsFromTestCase(
        type(name, (getattr(lock_tests, name), unittest.TestCase), members))


def main():
    try:
        Semaphore()
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        print('skipped: locks that are shared cannot be had here (no lists of robust locks)')
        return 77
    suite = unittest.TestSuite([
        asked('LockTests', locktype=Lock),
        asked('RLockTests', locktype=RLock),
        asked('SemaphoreTests', semtype=Semaphore),
        asked('BoundedSemaphoreTests', semtype=BoundedSemaphore),
        asked('EventTests', eventtype=Event),
        asked('ConditionTests', condtype=Condition),
        asked('BarrierTests', barriertype=Barrier),
    ])
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1


sys.exit(main())

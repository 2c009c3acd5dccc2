# SPDX-License-Identifier: MIT
"""The stand-in's time, and everything that waits in it.

Time runs `scale` times as fast as real time, or stands still until `advance` is called (`manual`).
Waiting is written as generators: they yield a number of seconds or a `Wait`. One lock, `Clock.lock`, guards all state.
"""

import contextlib
import heapq
import itertools
import threading
import time
import traceback


class Signal:
    """Something that generators wait for."""

    def __init__(self):
        self.waiters = []

    def fire(self):
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.wake(True)


class Wait:
    """Yielded: gives True when the signal was fired, False after so many seconds."""

    def __init__(self, signal, seconds=None):
        self.signal, self.seconds = signal, seconds


class Appointment:
    def __init__(self, act):
        self.act = act

    def cancel(self):
        self.act = None


class Running:
    """A generator under way. `ended(result, error)` is called once."""

    def __init__(self, clock, generator, ended):
        self.clock, self.generator, self.ended = clock, generator, ended
        self.appointment, self.signal, self.over = None, None, False

    def wake(self, value):
        self._forget()
        self._step(lambda: self.generator.send(value))

    def interrupt(self, error):
        if not self.over:
            self._forget()
            self._step(lambda: self.generator.throw(error))

    def abandon(self):
        """It never goes on, as after a kill. What it holds is let go."""
        self.over = True
        self._forget()
        self.generator.close()

    def _forget(self):
        if self.appointment:
            self.appointment.cancel()
        if self.signal and self in self.signal.waiters:
            self.signal.waiters.remove(self)
        self.appointment = self.signal = None

    def _step(self, go):
        if self.over:
            return
        try:
            wanted = go()
        except StopIteration as end:
            self._end(end.value, None)
        except Exception as error:  # noqa: BLE001 whatever it is, it belongs to who waits for the generator
            self._end(None, error)
        else:
            self._wait_for(wanted)

    def _end(self, result, error):
        self.over = True
        self.ended(result, error)

    def _wait_for(self, wanted):
        if isinstance(wanted, Wait):
            self.signal = wanted.signal
            self.signal.waiters.append(self)
            if wanted.seconds is not None:
                self.appointment = self.clock.call_in(wanted.seconds, lambda: self.wake(False))
        else:
            self.appointment = self.clock.call_in(wanted, lambda: self.wake(None))


class Clock:
    def __init__(self, epoch=None, scale=1.0, manual=False):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.scale, self.manual = scale, manual
        self.asleep = 0  # requests that wait
        self.offset = 0  # of what the node's own clock shows
        self._epoch, self._start = time.time() if epoch is None else epoch, time.monotonic()
        self._queue, self._order, self._closed = [], itertools.count(), False
        self._thread = None if manual else threading.Thread(target=self._run, daemon=True)
        if self._thread:
            self._thread.start()

    def now(self):
        return self._epoch if self.manual else self._epoch + (time.monotonic() - self._start) * self.scale

    def shown(self):
        """What the node believes that it is."""
        return self.now() + self.offset

    def rescale(self, scale):
        with self.lock:
            self._epoch, self._start = self.now(), time.monotonic()
            self.scale = scale
            self.changed.notify_all()

    def close(self):
        with self.lock:
            self._closed = True
            self.changed.notify_all()
        if self._thread:
            self._thread.join()

    def call_at(self, when, act):
        made = Appointment(act)
        with self.lock:
            heapq.heappush(self._queue, (when, next(self._order), made))
            if not self.manual and self._queue[0][2] is made:
                self.changed.notify_all()
        return made

    def call_in(self, seconds, act):
        return self.call_at(self.now() + max(0, seconds), act)

    def advance(self, to):
        """Manual time: does what is due until then, each at its own moment."""
        with self.lock:
            while self._queue and self._queue[0][0] <= to:
                when, _, appointment = heapq.heappop(self._queue)
                self._epoch = max(self._epoch, when)
                if appointment.act:
                    appointment.act()
            self._epoch = max(self._epoch, to)

    def _run(self):
        with self.lock:
            while not self._closed:
                if not self._queue:
                    self.changed.wait()
                    continue
                rest = self._queue[0][0] - self.now()
                if rest > 0:
                    self.changed.wait(min(rest / self.scale, threading.TIMEOUT_MAX))
                    continue
                appointment = heapq.heappop(self._queue)[2]
                try:
                    if appointment.act:
                        appointment.act()
                except Exception:  # noqa: BLE001 time goes on whatever happens
                    traceback.print_exc()

    def spawn(self, generator, ended):
        """Begins at once, in the caller's thread."""
        with self.lock:
            running = Running(self, generator, ended)
            running.wake(None)
            return running

    def perform(self, generator):
        """Runs it to its end while this thread waits; its result, or its error is raised."""
        done, box = threading.Event(), []

        def ended(result, error):
            box.append((result, error))
            done.set()

        with self.lock:
            self.spawn(generator, ended)
            waits = not box
            self.asleep += waits
        if waits:
            done.wait()
            with self.lock:
                self.asleep -= 1
        result, error = box[0]
        if error:
            raise error
        return result


class Mutex:
    """A file lock: one holder, the others wait so many seconds."""

    def __init__(self):
        self.holder, self.freed = None, Signal()

    def take(self, clock, who, seconds, on_timeout):
        """A generator. `on_timeout` makes the error."""
        deadline = clock.now() + seconds
        while self.holder is not None:
            if not (yield Wait(self.freed, deadline - clock.now())):
                raise on_timeout()
        self.holder = who

    def release(self, who):
        if self.holder is who:
            self.holder = None
            self.freed.fire()

    @contextlib.contextmanager
    def released_after(self, who):
        try:
            yield
        finally:
            self.release(who)


def as_generator(value):
    """Runs what a handler gave: a generator, or a finished result."""
    if hasattr(value, "send"):
        return (yield from value)
    return value

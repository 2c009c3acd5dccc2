# SPDX-License-Identifier: MIT
"""Time in tests, on hosts that may be busy: a load that the tests do not make must not decide how they end.

What must come is waited for with PATIENCE. What must not be waited for is made to last for ever, so that coming to an end at
all is the proof. Where a program's own budget is judged, `timed` leaves out what the process stood in the queue for a CPU.
"""

import os
import pathlib
import subprocess
import tempfile
import time

PATIENCE = 120
FOR_EVER = 3600


def until(condition, seconds=PATIENCE):
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(found)


def queued(pid):
    """How many seconds the process has stood in the queue for a CPU; a dead one is asked before it is reaped."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # a kernel without these figures
        return 0.0


def timed(words, **how):
    """(what subprocess.run returns, with text; the seconds it took on a host with nothing else to do)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen([*map(str, words)], stdin=subprocess.DEVNULL, stdout=out, stderr=err, **how)
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.monotonic() - began - queued(process.pid)
        finally:
            process.kill()  # nothing, where it has ended
            process.wait()
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess(words, process.returncode, out.read().decode(), err.read().decode()), seconds

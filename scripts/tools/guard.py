#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""guard.py SECONDS COMMAND [ARGUMENTS]

Runs a command of which nothing may be left: neither after SECONDS nor when it
is done.  As the reaper of its descendants it finds also those that left the
session or were given up by their parents, and ends them by their process ids.

Exits as the command did; 124 when the time was over, 125 when the command
itself succeeded but left processes behind.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
TIMED_OUT, LEFT_BEHIND = 124, 125


def descendants():
    """The living processes below this one, as {pid: name}."""
    children, names = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8",
                      errors="replace") as stat:
                text = stat.read()
        except OSError:
            continue
        name, fields = text[text.index("(") + 1:].rsplit(")", 1)
        state, parent = fields.split()[:2]
        if state != "Z":
            names[int(entry)] = name
        children.setdefault(int(parent), []).append(int(entry))
    found, queue = {}, [os.getpid()]
    while queue:
        for pid in children.get(queue.pop(), []):
            queue.append(pid)
            if pid in names:
                found[pid] = names[pid]
    return found


def reap():
    """Collects dead children that were handed to us."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all(grace):
    """TERM, then KILL, until nobody is left; returns who had to be ended."""
    ended = {}
    deadline = time.monotonic() + grace
    asked = set()
    while left := descendants():
        late = time.monotonic() > deadline
        for pid, name in left.items():
            if late or pid not in asked:
                asked.add(pid)
                ended[pid] = name
                try:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    pass
        time.sleep(0.02)
        reap()
    return ended


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    status = None
    child = subprocess.Popen(sys.argv[2:], start_new_session=True)
    try:
        status = child.wait(timeout=float(sys.argv[1]))
        # What is ending by itself gets the moment that takes.
        patience = time.monotonic() + 2
        while descendants() and time.monotonic() < patience:
            time.sleep(0.02)
            reap()
    except subprocess.TimeoutExpired:
        print(f"guard: not done after {sys.argv[1]} s: {' '.join(sys.argv[2:])}",
              file=sys.stderr)
        status = TIMED_OUT
        end_all(grace=5)
    finally:
        ended = end_all(grace=2)
    for pid, name in ended.items():
        print(f"guard: left behind: {name} (pid {pid})", file=sys.stderr)
    if status < 0:
        status = 128 - status
    sys.exit(LEFT_BEHIND if ended and status == 0 else status)


if __name__ == "__main__":
    main()

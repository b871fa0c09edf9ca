# SPDX-License-Identifier: MIT
"""A real redis-server of the tests' own, that goes with them.

    with Redis() as redis:
        redis.url               # redis+unix://..., or with port=True redis://
        redis.kill(); redis.start()
        redis.cli("KEYS", "*")  # by redis-cli: its output

Without `keeps` a restart forgets everything; with it, what was written in the
last second at most.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from corelane import wait_until

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Redis:
    def __init__(self, keeps=False, port=False, password=None):
        self.folder = tempfile.mkdtemp(prefix="lane-redis-")
        self.socket = os.path.join(self.folder, "redis.sock")
        self.keeps = keeps
        self.port = free_port() if port else 0
        self.password = password
        self.process = None

    @property
    def url(self):
        login = f":{self.password}@" if self.password else ""
        if self.port:
            return f"redis://{login}127.0.0.1:{self.port}"
        return f"redis+unix://{login}{self.socket}"

    def start(self):
        words = ["redis-server", "--port", str(self.port), "--bind",
                 "127.0.0.1", "--unixsocket", self.socket, "--save", "",
                 "--dir", self.folder,
                 "--appendonly", "yes" if self.keeps else "no"]
        if self.password:
            words += ["--requirepass", self.password]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent)
        wait_until(self._is_ready, "Redis to be ready")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, self.log()
        return self.cli("PING").strip() == "PONG"

    def cli(self, *words):
        login = ["-a", self.password, "--no-auth-warning"] \
            if self.password else []
        return subprocess.run(
            ["redis-cli", "-s", self.socket, *login, *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False).stdout

    def kill(self, number=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

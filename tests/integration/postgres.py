# SPDX-License-Identifier: MIT
"""A real PostgreSQL server of the tests' own, that goes with them.

    with Postgres() as pg:
        pg.url                  # postgresql://..., over its unix socket
        pg.stop(); pg.start()   # on the same port, with the same data
        pg.sql("SELECT 1")      # by psql: the lines of its answer

As root it runs as the user "postgres": PostgreSQL refuses root.
"""
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from corelane import wait_until

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def bindir():
    """Where Debian has PostgreSQL's programs, or None."""
    try:
        done = subprocess.run(["pg_config", "--bindir"], capture_output=True,
                              text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    path = done.stdout.strip()
    return path if os.access(os.path.join(path, "initdb"), os.X_OK) else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    def __init__(self):
        self.bin = bindir()
        assert self.bin is not None, "PostgreSQL is not installed"
        self.folder = tempfile.mkdtemp(prefix="lane-pg-")
        self.port = free_port()
        self.process = None
        self.user = {}
        if os.geteuid() == 0:
            who = pwd.getpwnam("postgres")
            self.user = {"user": who.pw_uid, "group": who.pw_gid,
                         "extra_groups": []}
            os.chown(self.folder, who.pw_uid, who.pw_gid)
        self._run("initdb", "-D", self.data, "-U", "lane", "-A", "trust",
                  "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    @property
    def url(self):
        return f"postgresql://lane@/postgres?host={self.folder}" \
            f"&port={self.port}"

    @property
    def tcp_url(self):
        return f"postgresql://lane@127.0.0.1:{self.port}/postgres"

    def _run(self, program, *args):
        done = subprocess.run(
            [os.path.join(self.bin, program), *args], cwd="/", text=True,
            stdin=subprocess.DEVNULL, capture_output=True, **self.user)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.bin, "postgres"), "-D", self.data,
                 "-p", str(self.port), "-F", "-k", self.folder,
                 "-c", "listen_addresses=127.0.0.1",
                 "-c", "max_connections=60", "-c", "shared_buffers=16MB"],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, **self.user)
        wait_until(self._is_ready, "PostgreSQL to be ready")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, self.log()
        return subprocess.run(
            [os.path.join(self.bin, "pg_isready"), "-q", "-h", self.folder,
             "-p", str(self.port)], **self.user).returncode == 0

    def stop(self, number=signal.SIGINT):
        """SIGINT: quits at once; SIGQUIT: crashes."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def freeze(self):
        """Stops every process of it, as a machine that hangs does: whom to
        thaw()."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as f:
            pids = [self.process.pid] + [int(pid) for pid in f.read().split()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def thaw(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def sql(self, text):
        return self._run("psql", "-X", "-A", "-t", "-q", "-v",
                         "ON_ERROR_STOP=1", "-d", self.url, "-c",
                         text).splitlines()

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

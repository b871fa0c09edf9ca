# SPDX-License-Identifier: MIT
"""A corelane process under test: started from a config, watched, taken down.

    srv = Corelane({"routes": [...]}, workers=2).start()
    srv.get("/hello").body                  # one request, strictly parsed
    c = srv.connect(); c.send(b"GET ...")   # wire.Client: raw bytes
    srv.command("scale", "3")               # (exit code, stdout, stderr)
    problems = srv.finish()                 # [] when it ended as it should

The config is a dict laid over BASE_CONFIG (a key replaces, objects merge), or a
text that is taken as it is.  All addresses end in ":0": the kernel chooses the
port and the server tells it, by `corelane status --json` or, without that, by
its log lines "listening on ADDRESS".

The binary is $CORELANE_BIN, or build/corelane of this tree.
"""
import copy
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
PATIENCE = float(os.environ.get("CORELANE_PATIENCE", "30"))

BASE_CONFIG = {
    "workers": 2,
    "cpu_affinity": False,
    "run_dir": "run",
    "listen": [{"address": "127.0.0.1:0"}],
    "admin": {"address": "127.0.0.1:0"},
    "access_log": None,
    "timeouts": {"drain": "2s"},
    "routes": [
        {"path": "/hello", "methods": ["GET"], "handler": "respond",
         "headers": {"content-type": "text/plain"}, "body": "Hello, World!"},
        {"path": "/json", "handler": "respond",
         "json": {"message": "Hello, World!"}},
        {"path": "/empty", "handler": "respond", "status": 204},
        {"path": "/echo", "handler": "echo"},
        {"path": "/params/{id}", "handler": "respond", "body": "plain"},
        {"path": "/tail/{path:.*}", "handler": "respond", "body": "tail"},
    ],
}

# What must never stand in a server's standard error.
ALARMS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:"
    r"|[Aa]ssertion .*failed|stack smashing|double free|\*\*\* buffer overflow")

# Commands and signals that replace workers on purpose.
REPLACES_WORKERS = {"reload", "scale", "upgrade", "stop"}
REPLACING_SIGNALS = {signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN,
                     signal.SIGTTOU}


def module_path(name):
    """A module of tests/modules/, or a bundled one, as built with the binary."""
    build = os.path.dirname(os.path.abspath(binary()))
    for folder in ("tests/modules", "modules"):
        path = os.path.join(build, folder, name + ".so")
        if os.path.exists(path):
            return path
    raise AssertionError(f"there is no module {name} in {build}")


def binary():
    return os.environ.get("CORELANE_BIN") or os.path.join(
        ROOT, "build", "corelane")


def is_sanitized():
    """Was the binary built with AddressSanitizer?  Its quarantine makes every
    figure of memory meaningless."""
    with open(binary(), "rb") as f:
        return b"__asan_init" in f.read()


def die_with_parent():
    """In the child: SIGTERM when the test process is killed, so that no
    server outlives a run that was cut short."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until(condition, what, seconds=PATIENCE):
    """Polls until condition() is true; returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.005)


def merge(base, over):
    """`over` laid over `base`: objects merge, everything else replaces."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def proc_stat(pid):
    """(state, parent, session) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            fields = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[3])


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


class Corelane:
    def __init__(self, config=None, workers=None, env=None, files=None,
                 crashes_ok=False, exit_code=0, options=()):
        """files: {relative path: bytes or text} written beside the config first;
        options: further arguments of `run`; crashes_ok: workers may die;
        exit_code: what a graceful stop must return (None: anything)."""
        self.dir = tempfile.mkdtemp(prefix="corelane-test-")
        self.config_file = os.path.join(self.dir, "corelane.json")
        self.crashes_ok = crashes_ok
        self.exit_code = exit_code
        self.options = list(options)
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.addresses = []          # (service, address) as the server says
        self._first_workers = None   # None: they may change
        self._ended = False
        for path, data in (files or {}).items():
            self.write(path, data)
        self.configure(config, workers)

    # -- configuration and files ------------------------------------------

    def configure(self, config=None, workers=None):
        """(Re)writes the config file; `command("reload")` makes it count."""
        if isinstance(config, str):
            text = config
        else:
            self.config = merge(BASE_CONFIG, config or {})
            if workers is not None:
                self.config["workers"] = workers
            text = json.dumps(self.config, indent=2)
        with open(self.config_file, "w", encoding="utf-8") as f:
            f.write(text)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, path, data):
        full = self.path(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        return full

    # -- life --------------------------------------------------------------

    def start(self, wait=True):
        self._stdout = open(self.path("stdout.txt"), "wb")
        self._stderr = open(self.path("stderr.txt"), "wb")
        self.process = subprocess.Popen(
            [binary(), "run", "-c", self.config_file, *self.options],
            stdin=subprocess.DEVNULL, stdout=self._stdout,
            stderr=self._stderr, env=self.env, cwd=self.dir,
            start_new_session=True, preexec_fn=die_with_parent)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.finish()
                raise
        return self

    def wait_ready(self):
        wait_until(self._is_ready, "the server to be ready")
        if not self.crashes_ok:
            self._first_workers = set(self.worker_pids())

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"corelane ended with {self.process.returncode}:\n"
                + self.log())
        if "listening on " not in self.log():
            return False
        status = self.status()
        if status is None:
            return False
        self.addresses = self._addresses_of(status)
        workers = status.get("workers")
        if not isinstance(workers, list):
            return True
        serving = [w for w in workers if w.get("state") == "serving"]
        wanted = status.get("workers_wanted", len(workers))
        return len(serving) >= max(1, wanted)

    def _addresses_of(self, status):
        told = status.get("listeners")
        if told:
            return [(one["service"], one["address"]) for one in told]
        found = list(dict.fromkeys(
            re.findall(r"listening on (\S+)", self.log())))
        services = [one.get("protocol", "http")
                    for one in self.config["listen"]]
        if self.config.get("admin"):
            services.append("admin")
        return list(zip(services, found))

    def status(self):
        """`corelane status --json` as a dict, or None while there is none."""
        code, out, _ = self.command("status", "--json")
        if code != 0:
            return None
        try:
            return json.loads(out)
        except ValueError:
            return None

    def command(self, *words, timeout=PATIENCE, text=True):
        """Runs `corelane WORDS -c FILE`: (exit code, stdout, stderr)."""
        if words[0] in REPLACES_WORKERS:
            self._first_workers = None
        done = subprocess.run(
            [binary(), words[0], "-c", self.config_file, *words[1:]],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
            env=self.env, cwd=self.dir)
        if not text:
            return done.returncode, done.stdout, done.stderr
        return (done.returncode, done.stdout.decode("utf-8", "replace"),
                done.stderr.decode("utf-8", "replace"))

    def signal(self, number):
        if number in REPLACING_SIGNALS:
            self._first_workers = None
        os.kill(self.pid, number)

    def wait_exit(self, seconds=PATIENCE):
        """Waits for the supervisor's end; its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the server did not stop within {seconds:g} s") from None

    def stop(self):
        """Stops gracefully, checks, and raises where something was wrong."""
        problems = self.finish()
        assert not problems, "\n".join(problems)

    def finish(self):
        """Stops the server; a list of what was wrong with its life."""
        if self._ended or self.process is None:
            return []
        self._ended = True
        problems = self._check_workers()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.wait_exit()
            if self.exit_code is not None and code != self.exit_code:
                problems.append(f"exit code {code}, not {self.exit_code}")
        except AssertionError as error:
            problems.append(str(error))
        problems += self._check_leftovers()
        self._stdout.close()
        self._stderr.close()
        alarm = ALARMS.search(self.log())
        if alarm:
            problems.append(f"standard error has '{alarm.group()}'")
        if problems:
            problems.append(f"--- log of {self.dir}:\n" + self.log()[-8000:])
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        return problems

    def _check_workers(self):
        if self._first_workers is None or self.crashes_ok \
                or self.process.poll() is not None:
            return []
        lost = self._first_workers - set(self.worker_pids())
        return [f"worker {pid} died" for pid in sorted(lost)]

    def _check_leftovers(self):
        """No process of this server's session may outlive the supervisor."""
        def left():
            return [pid for pid in processes()
                    if (s := proc_stat(pid)) and s[2] == self.process.pid
                    and s[0] != "Z"]    # dead, and init is slow to see it
        try:
            wait_until(lambda: not left(), "the process tree to end", 5)
            return []
        except AssertionError:
            pids = left()
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait(10)
            return [f"processes {pids} outlived the supervisor's stop"]

    # -- what can be asked -------------------------------------------------

    @property
    def pid(self):
        return self.process.pid

    def worker_pids(self):
        """The supervisor's living children."""
        return sorted(pid for pid in processes()
                      if (s := proc_stat(pid)) and s[1] == self.pid
                      and s[0] != "Z")

    def worker_memory(self):
        """Anonymous resident bytes of all workers together."""
        total = 0
        for pid in self.worker_pids():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                for line in f:
                    if line.startswith("Anonymous:"):
                        total += int(line.split()[1]) * 1024
        return total

    def log(self):
        """Everything the server has written to standard error so far."""
        with open(self.path("stderr.txt"), "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def output(self):
        """The same of standard output."""
        with open(self.path("stdout.txt"), "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def ports(self, service):
        return [int(address.rpartition(":")[2])
                for name, address in self.addresses
                if name == service and not address.startswith("unix:")]

    @property
    def port(self):
        return self.ports("http")[0]

    @property
    def admin_port(self):
        return self.ports("admin")[0]

    @property
    def tcp_port(self):
        return self.ports("tcp")[0]

    # -- clients -----------------------------------------------------------

    def connect(self, port=None, **options):
        return wire.Client(port or self.port, **options)

    def request(self, method, target, headers=(), body=b"", port=None):
        """One request on a connection of its own: a wire.Response."""
        with self.connect(port) as client:
            client.send(wire.request(method, target, headers, body))
            return client.final(method)

    def get(self, target, headers=(), port=None):
        return self.request("GET", target, headers, port=port)

    def stats(self):
        """/stats of the admin address, parsed."""
        answer = self.get("/stats", port=self.admin_port)
        assert answer.status == 200, answer
        return json.loads(answer.body)

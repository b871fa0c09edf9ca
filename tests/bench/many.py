# SPDX-License-Identifier: MIT
"""A hundred thousand idle connections: as many workers and client processes as
the limit on open files takes, source addresses across 127.0.0.0/8.

Every connection asks once, waits while the memory is measured, and asks again.

Here: the clients and the sums.  Not here: servers' lives (bench.py).
"""

import math
import multiprocessing
import resource
import socket
import time

# Files of a process that are no connections.
RESERVE = 1500
# Connections of one source address: of the 28 000 ports that the kernel's
# default range has, connect() finds the first half quickly.
PER_ADDRESS = 10000
# SO_REUSEPORT spreads by hash: the fullest worker has more than its share.
SPREAD = 1.2
IP_BIND_ADDRESS_NO_PORT = 24
REQUEST = (b"GET /plaintext HTTP/1.1\r\nHost: bench\r\n"
           b"User-Agent: many\r\n\r\n")


def per_process():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVE


def workers_for(count):
    return math.ceil(count * SPREAD / per_process())


def dial(source, port):
    sock = socket.socket()
    sock.settimeout(30)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def ask(sock):
    sock.sendall(REQUEST)
    return sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def client(index, count, port, pipe):
    """Opens `count` connections, then asks again whenever it is told to."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    socks, answered = [], 0
    try:
        for number in range(count):
            source = f"127.1.{index}.{1 + number // PER_ADDRESS}"
            socks.append(dial(source, port))
            answered += ask(socks[-1])
        pipe.send(answered)
        while pipe.recv() == "again":
            pipe.send(sum(ask(sock) for sock in socks))
    except (OSError, EOFError) as error:
        pipe.send(f"after {len(socks)} connections: {error}")


class Crowd:
    """All the clients: `with Crowd(100000, port) as crowd`."""

    def __init__(self, count, port):
        share = per_process()
        self.clients = []
        for index in range(math.ceil(count / share)):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(
                target=client, daemon=True,
                args=(index, min(share, count - index * share), port, theirs))
            process.start()
            self.clients.append((process, ours))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, pipe in self.clients:
            pipe.close()
            process.terminate()
            process.join()

    def answers(self):
        """How many connections were answered; a text where one failed."""
        total = 0
        for _, pipe in self.clients:
            got = pipe.recv()
            if isinstance(got, str):
                return got
            total += got
        return total

    def again(self):
        for _, pipe in self.clients:
            pipe.send("again")
        return self.answers()


def kernel_bytes():
    """What the kernel holds for sockets, of both ends of each connection."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Slab:"):
                return int(line.split()[1]) * 1024
    return 0


def measure(server, count, pss_bytes):
    """Dictionary of figures, or raises OSError with what went wrong."""
    time.sleep(1)
    before, slab = pss_bytes(server.pids()), kernel_bytes()
    start = time.monotonic()
    with Crowd(count, server.port) as crowd:
        first = crowd.answers()
        opened = time.monotonic() - start
        time.sleep(1)
        held = pss_bytes(server.pids())
        slab_held = kernel_bytes()
        start = time.monotonic()
        second = crowd.again()
        asked = time.monotonic() - start
        time.sleep(1)
        again = pss_bytes(server.pids())
    time.sleep(2)
    if first != count or second != count:
        raise OSError(f"answered {first}, then {second}, of {count}")
    return {"connections": count, "answered": first, "answered_again": second,
            "open_seconds": opened, "again_seconds": asked,
            "bytes_per_connection": (held - before) / count,
            "bytes_per_connection_again": (again - before) / count,
            "kernel_bytes_per_connection": (slab_held - slab) / count,
            "before_bytes": before, "held_bytes": held,
            "after_bytes": pss_bytes(server.pids())}

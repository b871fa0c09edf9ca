# SPDX-License-Identifier: MIT
"""Hostile and odd requests, as data: what is sent and how it must end.

    case("two lengths", post(b"Content-Length: 5\\r\\nContent-Length: 6\\r\\n"),
         closed(400))

An outcome is the final statuses in order (a set where RFC 9110 or 9112 leaves
a choice) and what becomes of the connection.  Several outcomes mean that any
of them will do.  `closed()` without a status is a close in silence.
"""
from dataclasses import dataclass, field

CLOSED, KEPT, EITHER = "closed", "kept open", "closed or kept open"


@dataclass(frozen=True)
class Outcome:
    statuses: tuple
    end: str

    def allows(self, statuses, end=None):
        """Do these statuses begin (end=None) or make up this outcome?"""
        if end is not None and (len(statuses) != len(self.statuses)
                                or self.end not in (end, EITHER)):
            return False
        return len(statuses) <= len(self.statuses) and all(
            got in want for got, want in zip(statuses, self.statuses))


@dataclass
class Case:
    name: str
    data: bytes
    outcomes: tuple
    methods: tuple = ()       # of the requests, where one is a HEAD
    fin: bool = False         # half-close after sending
    body: bytes = None        # of the last answer, when it is a 200
    fields: dict = field(default_factory=dict)  # of the last answer


def _outcome(statuses, end):
    return Outcome(tuple(frozenset([s] if isinstance(s, int) else s)
                         for s in statuses), end)


def closed(*statuses):
    return _outcome(statuses, CLOSED)


def kept(*statuses):
    return _outcome(statuses, KEPT)


def either(*statuses):
    return _outcome(statuses, EITHER)


def case(name, data, *outcomes, **more):
    return Case(name, data, outcomes, **more)


def start(line, fields=b"Host: t\r\n"):
    """A request of this start line, with a Host and no body."""
    return line + b"\r\n" + fields + b"\r\n"


def target(text):
    return start(b"GET " + text + b" HTTP/1.1")


def get(fields, path=b"/hello"):
    """A GET with these field lines (each with its CRLF) after Host."""
    return start(b"GET " + path + b" HTTP/1.1", b"Host: t\r\n" + fields)


def post(fields, body=b"hello", path=b"/echo"):
    return start(b"POST " + path + b" HTTP/1.1",
                 b"Host: t\r\n" + fields) + body


def in_chunks(body):
    """A POST with a chunked body of these raw bytes."""
    return post(b"Transfer-Encoding: chunked\r\n", body)


def shown(data):
    """A byte string for a name."""
    return repr(data)[2:-1]


# What an attacker wants answered as a request of its own; it never may be.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"

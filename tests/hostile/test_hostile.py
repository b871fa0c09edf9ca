# SPDX-License-Identifier: MIT
"""Runs the corpus three ways: whole, a byte at a time, and cut in pieces.

Each case must end as one of its outcomes says, in the same way however its
bytes arrive, with no byte after the last answer; and each time the server must
still answer somebody else.
"""
import importlib
import random

import pytest

import corpus
import wire
from corelane import Corelane
from corpus import CLOSED, EITHER, KEPT, limits

TOPICS = ("start_lines", "targets", "fields", "framing", "chunks", "limits")
CASES = [pytest.param(case, id=f"{topic}: {case.name}")
         for topic in TOPICS
         for case in importlib.import_module(f"corpus.{topic}").CASES]
BYTEWISE_MAX = 8192      # beyond this, pieces of PIECE bytes do as well
PIECE = 1021

CONFIG = {
    "workers": 1,
    "limits": {"target_bytes": "1KiB", "header_bytes": "4KiB",
               "header_count": limits.COUNT, "body_bytes": "64KiB"},
    "buffers": {"body_memory": "16KiB"},
    "routes": [
        {"path": "/hello", "methods": ["GET"], "handler": "respond",
         "headers": {"content-type": "text/plain"}, "body": "Hello, World!"},
        {"path": "/empty", "handler": "respond", "status": 204},
        {"path": "/echo", "handler": "echo"},
        {"path": "/seg/{id}", "handler": "respond", "body": "segment"},
        {"path": "/enc/{id:[0-9]+}", "handler": "respond", "body": "digits"},
        {"path": "/tail/{path:.*}", "handler": "respond", "body": "tail"},
    ],
}


@pytest.fixture(scope="module")
def target():
    server = Corelane(CONFIG).start()
    yield server
    problems = server.finish()
    assert not problems, "\n".join(problems)


def whole(client, data):
    client.send(data)


def bytewise(client, data):
    step = 1 if len(data) <= BYTEWISE_MAX else PIECE
    client.send_parts(data[i:i + step] for i in range(0, len(data), step))


def in_pieces(client, data):
    dice = random.Random(data)          # the same cuts on every run
    cuts = [dice.randrange(len(data)) for _ in range(3)] if data else []
    client.send_split(data, *cuts)


WAYS = (whole, bytewise, in_pieces)


def reads_answers(client, case):
    """Answers until the outcomes that are left want no more."""
    answers, left = [], list(case.outcomes)
    while any(len(o.statuses) > len(answers) for o in left):
        method = (case.methods + ("GET",) * 9)[len(answers)]
        try:
            answers.append(client.final(method))
        except wire.Ended:
            if client.pending:
                raise
            break
        got = [a.status for a in answers]
        left = [o for o in left if o.allows(got)]
        assert left, f"statuses {got}; last {answers[-1]!r}"
    return answers


def how_it_ends(client, answers, outcomes):
    """CLOSED or KEPT, and nothing more is said in either case."""
    got = [a.status for a in answers]
    ends = {o.end for o in outcomes
            if o.allows(got) and len(o.statuses) == len(got)}
    said_close = bool(answers) and answers[-1].closes
    if ends == {CLOSED} or not answers or said_close:
        client.expect_closed()
        assert said_close or not answers or answers[-1].minor == 0, \
            f"closed without saying so: {answers[-1]!r}"
        return CLOSED
    client.probe()
    return KEPT


def check_last(case, answer):
    if answer.status == 200 and case.body is not None:
        assert answer.body == case.body, answer
    for name, value in case.fields.items():
        assert name in answer, f"no {name} in {answer!r}"
        assert value is None or answer[name].lower() == value, answer


def check_error(answer, method):
    assert "date" in answer, answer
    if method != "HEAD":
        assert answer.body and "content-type" in answer, answer


def run(server, case, way):
    with server.connect(timeout=wire.TIMEOUT) as client:
        way(client, case.data)
        if case.fin:
            client.finish_sending()
        answers = reads_answers(client, case)
        if case.fin and answers:
            client.expect_closed()
            end = CLOSED
        else:
            end = how_it_ends(client, answers, case.outcomes)
        got = [a.status for a in answers]
        assert any(o.allows(got, end) for o in case.outcomes), \
            f"{got} and {end}"
        if answers:
            check_last(case, answers[-1])
        for i, answer in enumerate(answers):
            if answer.status >= 400:
                check_error(answer, (case.methods + ("GET",) * 9)[i])
    return got, end


@pytest.mark.parametrize("case", CASES)
def test_hostile(target, case):
    verdicts = {}
    for way in WAYS:
        try:
            verdicts[way.__name__] = run(target, case, way)
        except AssertionError as error:
            raise AssertionError(
                f"sent {way.__name__}: {case.data[:300]!r}\n"
                f"want {' or '.join(map(str_of, case.outcomes))}\n"
                f"got {error}") from None
        assert target.get("/hello").status == 200
    assert len({repr(v) for v in verdicts.values()}) == 1, \
        f"the verdict depends on how the bytes arrive: {verdicts}"


def str_of(outcome):
    statuses = ", ".join("/".join(map(str, sorted(s)))
                         for s in outcome.statuses) or "nothing"
    return f"[{statuses}; {outcome.end}]"


def test_the_corpus_has_no_name_twice():
    names = [param.id for param in CASES]
    assert len(names) == len(set(names))
    assert all(p.values[0].outcomes for p in CASES)
    assert {CLOSED, KEPT, EITHER} >= {
        o.end for p in CASES for o in p.values[0].outcomes}
    assert corpus.SMUGGLED.endswith(b"\r\n\r\n")


# Values around which a decoder of framing may err, set at random places of
# each framing field: a refusal must be a refusal, an answer must be in step.
NOISE = [bytes([b]) for b in (0, 9, 10, 11, 12, 13, 32, 34, 39, 43, 44, 45,
                              48, 58, 59, 61, 92, 127, 128, 133, 160, 255)]
NOISE += [b"\r\n", b"\r\n ", b"\n ", b"chunked", b"identity", b"0x", b", "]


def mangled(seed):
    dice = random.Random(seed)
    line = bytearray(dice.choice((
        b"Transfer-Encoding: chunked", b"Content-Length: 46")))
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.randrange(len(line) + 1)
        if dice.random() < 0.3 and at < len(line):
            del line[at]
        else:
            line[at:at] = dice.choice(NOISE)
    while line.endswith(b"\r\n"):      # would end the head, not mangle it
        del line[-2:]
    return bytes(line)


@pytest.mark.parametrize("part", range(8))
def test_mangled_framing_never_smuggles(target, part):
    """The body is a smuggled request for whoever reads no or another length:
    it may be part of the body or be refused, but it must not be *answered*
    unless the line is honestly no framing field."""
    for seed in range(part * 75, part * 75 + 75):
        line = mangled(seed)
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(corpus.SMUGGLED),
                                             corpus.SMUGGLED)
        data = (b"POST /echo HTTP/1.1\r\nHost: t\r\n" + line
                + b"\r\n\r\n" + body)
        with target.connect(timeout=wire.TIMEOUT) as client:
            client.send(data)
            client.finish_sending()
            answers = []
            try:
                while True:
                    answers.append(client.final())
            except wire.Ended:
                assert not client.pending, (line, client.pending)
        statuses = [a.status for a in answers]
        if is_valid_framing(line):
            continue
        assert len(statuses) <= 2 and 404 not in statuses, (line, statuses)
        assert not (statuses and statuses[0] == 200 and answers[0].body), \
            (line, answers[0])
    assert target.get("/hello").status == 200


def is_valid_framing(line):
    """Is the line, mangled or not, one that a server may act on?"""
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t").lower()
    if name.lower() == b"transfer-encoding":
        return value.strip(b", \t") == b"chunked"
    return name.lower() == b"content-length" and value.isdigit()

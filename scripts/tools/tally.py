#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tally.py meson LOG.json | tally.py pytest RESULT.xml

Counts the cases of one run of `meson test` or pytest from what it recorded,
prints "passed failed skipped", and tells of the failures on stderr.

A unit test binary is asked (CMOCKA_MESSAGE_OUTPUT=XML) to write its cases into
its output, which meson keeps: the cases count, not the binary.  A binary that
fails without a failed case (a crash, a leak, a time-out) is one failure more.
cmocka escapes nothing, so that its output is not XML to a parser's taste.
A record that isn't there, or can't be read, is one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

SUITE = re.compile(r"<testsuite\s.*?</testsuite>", re.DOTALL)
CASE = re.compile(r'<testcase name="([^\n]*)" time="[\d.]+" >(.*?)</testcase>',
                  re.DOTALL)
TEXT = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
TAIL_LINES = 40


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, text):
        self.failed += 1
        print(f"FAILED {name}", file=sys.stderr)
        for line in text.strip().splitlines()[-TAIL_LINES:]:
            print(f"    {line}", file=sys.stderr)

    def add_case(self, name, case):
        bad = case.find("failure")
        if bad is None:
            bad = case.find("error")
        if bad is not None:
            self.fail(f"{name}: {case.get('name')}",
                      (bad.get("message") or "") + "\n" + (bad.text or ""))
        elif case.find("skipped") is not None:
            self.skipped += 1
        else:
            self.passed += 1


def tally_binary(tally, record):
    """One binary run by meson: its cases, or itself when it has none."""
    output = record.get("stdout", "") + record.get("stderr", "")
    failed_before, cases = tally.failed, 0
    for text in SUITE.findall(output):
        for name, verdict in CASE.findall(text):
            cases += 1
            if "<failure" in verdict or "<error" in verdict:
                tally.fail(f"{record['name']}: {name}",
                           "\n".join(TEXT.findall(verdict)) or verdict)
            elif "<skipped" in verdict:
                tally.skipped += 1
            else:
                tally.passed += 1
    result = record["result"]
    if result == "SKIP":
        tally.skipped += cases == 0
    elif result in ("OK", "EXPECTEDFAIL"):
        tally.passed += cases == 0
    elif tally.failed == failed_before:
        rest = SUITE.sub("", output)
        tally.fail(f"{record['name']}: {result}", rest)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("meson", "pytest"):
        sys.exit(__doc__)
    kind, path = sys.argv[1:]
    tally = Tally()
    try:
        if kind == "meson":
            with open(path, encoding="utf-8") as log:
                for line in log:
                    tally_binary(tally, json.loads(line))
        else:
            for case in ElementTree.parse(path).iter("testcase"):
                tally.add_case(case.get("classname", ""), case)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        tally.fail(path, str(error))
    print(tally.passed, tally.failed, tally.skipped)


if __name__ == "__main__":
    main()

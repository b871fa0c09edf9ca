#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples.py [--compiler COMMAND] FILE...

Compiles the examples in the comments of public headers, as strict C11: a block
that is indented by a tab and has a line that ends in a semicolon is code.  Of a
README beside server/ it takes what is fenced as C.

A block with a function or a definition in it stands for itself; statements are
put into a handler.  What follows a line of code behind a tab, in parentheses,
is for people.  What a block uses and doesn't define is declared in NAMES.
"""

import argparse
import re
import subprocess
import sys

FLAGS = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror",
         "-Wno-unused-function", "-Wno-unused-variable",
         "-Wno-unused-parameter", "-Wno-unused-const-variable",
         "-fsyntax-only", "-x", "c", "-"]

HEAD = """#include <assert.h>
#include <errno.h>
#include <string.h>
#include <corelane/corelane.h>
#include <corelane/test.h>
"""

# What examples leave to the reader.
NAMES = {
    "id": "extern int64_t id;",
    "more": "int more(struct lane_ctx *c, void *state);",
    "price_done": "int price_done(struct lane_ctx *c, void *state,"
                  " const struct lane_fetched *answer);",
    "st": "extern void *st;",
    "token": "extern struct lane_str token;",
}

ASIDE = re.compile(r"\t+\([^()]*\)$")
DEFINITION = re.compile(r"^(static int$|struct \w+ \{|#include|LANE_MODULE)",
                        re.M)
# A function that an example only declares.
PROTOTYPE = re.compile(r"^static ([^=\n]*\);)$", re.M)


def blocks(text):
    """Indented blocks of all comments, with the line they begin at."""
    block, first = [], 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(" *\t"):
            if not block:
                first = number
            block.append(ASIDE.sub("", line[3:]))
        elif line == " *" and block:
            block.append("")
        elif block:
            yield first, "\n".join(block).strip("\n")
            block = []


def fenced(text):
    """The same of Markdown: what is fenced as C."""
    for match in re.finditer(r"^```c\n(.*?)^```", text, re.S | re.M):
        yield text.count("\n", 0, match.start(1)) + 1, match[1]


def include_folder(path):
    if path.endswith(".md"):
        return path[:path.rindex("/") + 1] + "server/include"
    return path[:path.rindex("corelane/")]


def source(block, place):
    """A whole file around an example."""
    if DEFINITION.search(block):
        body = PROTOTYPE.sub(r"\1", block)
        used = []
    else:
        body = ("int example(struct lane_ctx *c);\n"
                "int\nexample(struct lane_ctx *c)\n{\n%s\nreturn 0;\n}\n"
                % block)
        used = [NAMES[name] for name in NAMES
                if re.search(r"(?<![\w.>\"])%s\b(?!\")" % name, block)]
    return HEAD + "\n".join(used) + '\n#line %d "%s"\n%s\n' % (
        place[1], place[0], body)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--compiler", default="cc")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    count = failed = 0
    for path in args.files:
        include = include_folder(path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        take = fenced if path.endswith(".md") else blocks
        for first, block in take(text):
            if not re.search(r";$", block, re.M):
                continue
            count += 1
            command = args.compiler.split() + ["-I" + include] + FLAGS
            done = subprocess.run(command, input=source(block, (path, first)),
                                  text=True, check=False)
            if done.returncode != 0:
                failed += 1
                print("%s:%d: the example doesn't compile" % (path, first))
    print("%d examples, %d failed" % (count, failed))
    return 1 if failed > 0 or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

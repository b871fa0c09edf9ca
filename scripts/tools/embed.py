#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files as C: embed.py [--include HEADER] OUT NAME FILE...

Writes a table of name and content, ended by a NULL name:

    const struct embedded NAME[] = {{"module.c", "...", 123}, ...};

The name is the file's without its folder and a trailing ".in".  HEADER has the
struct: common/embedded.h, unless another is given.  Not here: what is done with
them.
"""
import os
import sys


def literal(data):
    """The bytes as C string literals, a line of the file each."""
    lines = []
    for line in data.splitlines(keepends=True) or [b""]:
        text = ""
        for byte in line:
            char = chr(byte)
            if char in '"\\?':
                text += "\\" + char
            elif char == "\n":
                text += "\\n"
            elif char == "\t":
                text += "\\t"
            elif 32 <= byte < 127:
                text += char
            else:
                text += "\\%03o" % byte
        lines.append('\t    "%s"' % text)
    return "\n".join(lines)


def main():
    args = sys.argv[1:]
    header = "common/embedded.h"
    if args[0] == "--include":
        header, args = args[1], args[2:]
    out, name, files = args[0], args[1], args[2:]
    with open(out, "w", encoding="ascii") as to:
        # C11 promises no more than 4095 bytes in a literal; gcc takes any.
        to.write('/* Made by scripts/tools/embed.py. */\n'
                 '#pragma GCC diagnostic ignored "-Woverlength-strings"\n'
                 '#include "%s"\n\n'
                 "extern const struct embedded %s[];\n\n"
                 "const struct embedded %s[] = {\n" % (header, name, name))
        for path in files:
            with open(path, "rb") as f:
                data = f.read()
            base = os.path.basename(path)
            if base.endswith(".in"):
                base = base[:-3]
            to.write('\t{"%s",\n%s,\n\t    %d},\n'
                     % (base, literal(data), len(data)))
        to.write("\t{0, 0, 0},\n};\n")


if __name__ == "__main__":
    main()

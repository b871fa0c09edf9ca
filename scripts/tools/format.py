#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""format.py [--fix] FILE...

Holds C files to .clang-format, as far as that is a matter of taste alone:
where a long statement is broken is its author's choice.  So both sides are
compared by logical lines, in which continuation lines are joined; and what
clang-format 14 knows no option to leave alone (the place of the comment behind
a line, the lines of a macro or a table, an enum on several lines) is replaced by
placeholders of one line each before it looks, and put back behind it.

Also: no line is longer than 80 columns, with tabs of 8, or ends in a blank;
code is indented by tabs, its continuation lines by 4 blanks more.

Prints what would be changed; --fix changes it.
"""

import difflib
import re
import subprocess
import sys

COLUMNS = 80
TRAILING = re.compile(r"^(?P<code>.*\S)(?P<comment>[ \t]+/\*.*\*/)$")
PLACEHOLDER = re.compile(r"[ \t]*//@(\d+)$")
MACRO_LINE = re.compile(r"^#pragma keep (\d+)$")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
TRAILING_OPEN = re.compile(r"^(?P<code>.*[^\s/*].*?)(?P<comment>[ \t]+/\*.*)$")
TABLE_OPEN = re.compile(r"=\s*\{$")
TABLE_END = re.compile(r"^\t*\}[^}]*;$")
TABLE_USE = re.compile(r"(?:^|[{,\s])[A-Z][A-Z0-9_]*\([A-Za-z0-9_]*\)$")
INDENT = re.compile(r"\t*(    )?(\S|$)")
OPEN_END = re.compile(
    r"(,|\(|[=,({]\s*\{|\)\{|^case .*:|^default:|^__attribute__.*\)|&&|\|\||[?=+|]|\s[-*&<>:])$")
ENUM_OPEN = re.compile(r"\benum\b[^;()]*\{$")


def shield(lines):
    """Returns the lines with placeholders, and what each stands for."""
    kept, out = [], []
    in_macro = in_table = in_trailing = False

    def keep(text):
        kept.append(text)
        return len(kept) - 1

    for line, in_comment in mark_comments(lines):
        if in_macro or (not in_comment and line.startswith("#define")):
            out.append(f"#pragma keep {keep(line)}")
            in_macro = line.endswith("\\")
            continue
        match = TRAILING.match(line)
        is_cut = not in_comment and is_open(line) and TRAILING_OPEN.match(line)
        in_trailing = bool(is_cut) or (in_comment and in_trailing)
        if in_table and not TABLE_END.match(line):
            out.append(f"#pragma keep {keep(line)}")
        elif is_cut:
            out.append(f"{is_cut['code']} //@{keep(is_cut['comment'])}")
        elif in_comment and in_trailing:
            out.append(f"//@{keep(line)}")
        elif in_comment:
            out.append(line)
        elif TABLE_USE.fullmatch(line.strip()):
            out.append(f"//@{keep(line)}")
        elif match and "/*" not in match["code"] and not match["code"].isspace():
            out.append(f"{match['code']} //@{keep(match['comment'])}")
        elif ENUM_OPEN.search(line):
            out.append(f"{line} //@{keep('')}")
        else:
            out.append(line)
        if not in_comment:
            in_table = bool(TABLE_OPEN.search(strip_comment(line))) or (
                in_table and not TABLE_END.match(line))
    return out, kept


def unshield(lines, kept):
    out = []
    for line in lines:
        macro = MACRO_LINE.match(line)
        comment = PLACEHOLDER.search(line)
        if macro:
            out.append(kept[int(macro[1])])
        elif comment:
            # A line of its own was one: it keeps the indentation it had.
            code = line[:comment.start()]
            out.append(code + kept[int(comment[1])])
        else:
            out.append(line)
    return out


def format_lines(path, lines):
    shielded, kept = shield(lines)
    done = subprocess.run(
        ["clang-format", f"--assume-filename={path}"],
        input="\n".join(shielded) + "\n", capture_output=True, text=True,
        check=True)
    return unshield(done.stdout.splitlines(), kept)


def is_open(line, in_comment=False):
    """Whether a comment goes on behind this line."""
    if not in_comment:
        line = STRING.sub("", line)
    last_open, last_close = line.rfind("/*"), line.rfind("*/")
    if last_open == -1 and last_close == -1:
        return in_comment
    return last_open > last_close


def mark_comments(lines):
    """Each line, and whether it starts within a comment."""
    in_comment = False
    for line in lines:
        yield line, in_comment
        in_comment = is_open(line, in_comment)


def strip_comment(line):
    match = TRAILING.match(line)
    return match["code"] if match and "/*" not in match["code"] else line


def logical(lines):
    """[(text, first, end)]: continuation lines joined to what they continue."""
    joined = []
    for number, (line, in_comment) in enumerate(mark_comments(lines)):
        code = strip_comment(line).strip()
        if in_comment:
            joined.append((code, number, number + 1))
            continue
        blanks = re.match(r"\t* +[^ *]", line)
        # clang-format sets the marks of nested conditions in columns.
        code = re.sub(r" +([?:])( |$)", r" \1\2", code)
        before = joined[-1][0] if joined else ""
        follows = before and (
            blanks or OPEN_END.search(before) or TABLE_USE.search(before)
            or (before.endswith('"') and code.startswith('"'))
            or (code.startswith("}") and not before.endswith((";", "{", ":"))))
        if code and follows and not code.startswith(("#", "/*")):
            text, first, _ = joined[-1]
            tight = text.endswith(("(", "{")) or code.startswith("}") or (
                text.endswith(")") and code.startswith("("))
            glue = "" if tight else " "
            joined[-1] = (text + glue + code, first, number + 1)
        else:
            joined.append((code, number, number + 1))
    return joined


def settle(lines, wanted):
    """`lines` with what differs from `wanted` taken from there."""
    ours, theirs = logical(lines), logical(wanted)
    matcher = difflib.SequenceMatcher(
        None, [text for text, *_ in ours], [text for text, *_ in theirs], False)
    out = []
    for verb, a, a_end, b, b_end in matcher.get_opcodes():
        side, source, i, end = (ours, lines, a, a_end) if verb == "equal" else (
            theirs, wanted, b, b_end)
        for _, first, last in side[i:end]:
            out += source[first:last]
    return out


def reindent(lines):
    """Continuation lines that were aligned to something get 4 blanks."""
    out = list(lines)
    for _, first, end in logical(lines):
        for number in range(first + 1, end):
            if not INDENT.match(lines[number]):
                base = re.match(r"\t*", out[number - 1])[0]
                out[number] = base + "    " + lines[number].strip()
    return out


def shorten(lines):
    """A comment that makes its line too long goes nearer, or above it."""
    for line in lines:
        match = TRAILING.match(line)
        if len(line.expandtabs(8)) <= COLUMNS or not match:
            yield line
            continue
        code, comment = match["code"], match["comment"].strip()
        nearer = f"{code} {comment}"
        if len(nearer.expandtabs(8)) <= COLUMNS:
            yield nearer
        else:
            yield re.match(r"\t*(?: {4})?", code)[0] + comment
            yield code


def line_problems(path, lines):
    in_macro = False
    for number, (line, in_comment) in enumerate(mark_comments(lines), 1):
        if len(line.expandtabs(8)) > COLUMNS:
            yield f"{path}:{number}: longer than {COLUMNS} columns"
        if line != line.rstrip():
            yield f"{path}:{number}: ends in a blank"
        if not (in_comment or in_macro or INDENT.match(line)):
            yield f"{path}:{number}: not indented by tabs, or tabs and 4 blanks"
        in_macro = line.endswith("\\")


def main():
    arguments = sys.argv[1:]
    fix = arguments[:1] == ["--fix"]
    bad = False
    for path in arguments[fix:]:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        wanted = settle(lines, format_lines(path, lines))
        if fix:
            wanted = list(shorten(reindent(wanted)))
        if fix and wanted != lines:
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(wanted) + "\n")
            lines = wanted = settle(wanted, format_lines(path, wanted))
        diff = difflib.unified_diff(lines, wanted, path, "as it should be",
                                    lineterm="", n=1)
        for message in (*line_problems(path, lines), *diff):
            print(message)
            bad = True
    sys.exit(bad)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readme.py [--reference | --set-reference]

Checks what README.md says against the tree: every step of "The life of one
request" (and of one message) names a function that its file defines, every relative link leads
somewhere, and every command shown is there.

--reference prints what stands between its markers <!-- config reference -->;
--set-reference puts standard input there.
"""

import os
import re
import subprocess
import sys

README = "README.md"
WALKS = ("The life of one request", "The life of one message")
MARKER = "<!-- config reference -->"
STEP = re.compile(r"`([\w./-]+\.[ch]): (\w+)(?:\(\))?`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"(?:^|[\s`(])((?:\./)?(?:scripts|\.ci)/[\w.-]+)")
COMMAND = re.compile(r"^\s*(?:\$ )?(?:sudo )?(?:[\w./]*/)?corelane ([a-z]+)\b",
                     re.MULTILINE)
WALK_STEPS_MIN = 8


def defined_functions(path):
    done = subprocess.run(["ctags", "-x", "--c-kinds=f", path],
                          capture_output=True, text=True, check=True)
    return {line.split()[0] for line in done.stdout.splitlines() if line}


def section(text, title):
    match = re.search(rf"^(#+) {re.escape(title)}\s*$", text, re.MULTILINE)
    if not match:
        return None
    rest = text[match.end():]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[:end.start()] if end else rest


def check_walk(text, title):
    walk = section(text, title)
    if walk is None:
        yield f"no section '{title}'"
        return
    steps = 0
    for step in re.findall(r"^\d+\. .*(?:\n(?!\d+\. |\n).*)*", walk,
                           re.MULTILINE):
        steps += 1
        places = STEP.findall(step)
        if not places:
            yield f"a step names no `file: function`: {step.splitlines()[0]}"
        for path, function in places:
            if not os.path.exists(path):
                yield f"{path}: there is no such file"
            elif function not in defined_functions(path):
                yield f"{path} doesn't define {function}()"
    if steps < WALK_STEPS_MIN:
        yield f"'{title}' has {steps} numbered steps"


def anchors(text):
    """The fragments that headings can be reached by."""
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def check_sections(text):
    """A merge that went wrong leaves one there twice."""
    titles = re.findall(r"^## (.+)$", FENCE.sub("", text), re.MULTILINE)
    for title in sorted(set(titles)):
        if titles.count(title) > 1:
            yield f"has '{title}' {titles.count(title)} times"


def check_links(text):
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        if path and not os.path.exists(path):
            yield f"link to {path}, which isn't there"
        elif fragment and not path and fragment not in set(anchors(text)):
            yield f"link to #{fragment}, which is no heading"


def check_commands(text):
    shown = "\n".join(block for _, block in FENCE.findall(text))
    for script in sorted(set(SCRIPT.findall(text))):
        if not os.path.exists(script):
            yield f"names {script}, which isn't there"
    binary = "build/corelane"
    if not os.path.exists(binary):
        return
    done = subprocess.run([binary, "--help"], capture_output=True, text=True)
    known = set(re.findall(r"\b[a-z]+\b", done.stdout + done.stderr))
    for command in sorted(set(COMMAND.findall(shown))):
        if command not in known:
            yield f"shows 'corelane {command}', which --help doesn't know"


def reference(text):
    parts = text.split(MARKER)
    return parts[1].strip("\n") + "\n" if len(parts) == 3 else ""


def set_reference(text):
    parts = text.split(MARKER)
    if len(parts) != 3:
        sys.exit(f"{README}: there must be two markers {MARKER}")
    parts[1] = "\n\n" + sys.stdin.read().strip("\n") + "\n\n"
    with open(README, "w", encoding="utf-8") as file:
        file.write(MARKER.join(parts))


def main():
    try:
        with open(README, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        sys.exit(f"there is no {README}")
    if sys.argv[1:] == ["--reference"]:
        sys.stdout.write(reference(text))
        return
    if sys.argv[1:] == ["--set-reference"]:
        set_reference(text)
        return
    problems = [*(p for title in WALKS for p in check_walk(text, title)),
                *check_sections(text), *check_links(text),
                *check_commands(text)]
    for problem in problems:
        print(f"{README}: {problem}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""perf script -F comm,ip,sym | flame.py [--title TEXT] > flame.svg

Folds the samples of `perf script` into a tree of calls, and draws it: a
frame's width is its share of the samples, what it calls stands above it.  The
picture is one file that needs nothing else: hovering tells a frame's name and
share, a click widens it, a click on the lowest frame shows all again.
"""

import argparse
import sys
import zlib
from html import escape

WIDTH, ROW, CHAR = 1200, 17, 6.6
MARGIN, HEAD = 10, 40
SHARE_MIN = 0.0005

SCRIPT = """
const all = [...document.querySelectorAll('g.f')];
const span = g => [+g.dataset.x, +g.dataset.w, +g.dataset.d];
function zoom(g) {
  const [x0, w0, d0] = span(g), full = %d;
  for (const f of all) {
    const [x, w, d] = span(f), r = f.children[1], t = f.children[2];
    const above = d >= d0 && x >= x0 - 1e-6 && x + w <= x0 + w0 + 1e-6;
    const below = d < d0 && x <= x0 + 1e-6 && x + w >= x0 + w0 - 1e-6;
    f.style.display = above || below ? '' : 'none';
    if (!above && !below) continue;
    const nx = below ? 0 : (x - x0) / w0 * full;
    const nw = below ? full : w / w0 * full;
    r.setAttribute('x', nx + %d); r.setAttribute('width', nw);
    t.setAttribute('x', nx + %d);
    const room = Math.floor((nw - 6) / %f), name = f.dataset.n;
    t.textContent = room < 3 ? '' :
      name.length <= room ? name : name.slice(0, room - 2) + '..';
  }
}
for (const f of all) f.addEventListener('click', () => zoom(f));
zoom(all[0]);
""" % (WIDTH, MARGIN, MARGIN + 3, CHAR)


class Frame:
    def __init__(self, name, is_kernel=False):
        self.name, self.is_kernel = name, is_kernel
        self.samples, self.calls = 0, {}

    def add(self, stack):
        frame = self
        frame.samples += 1
        for name, is_kernel in stack:
            if name not in frame.calls:
                frame.calls[name] = Frame(name, is_kernel)
            frame = frame.calls[name]
            frame.samples += 1

    def depth(self):
        return 1 + max((call.depth() for call in self.calls.values()),
                       default=0)


def samples_read(lines):
    """Stacks, outermost call first, of (name, whether it is the kernel's)."""
    stack = []
    for line in lines:
        if not line.strip():
            if stack:
                yield stack[::-1]
            stack = []
        elif line[0].isspace():
            address, _, name = line.strip().partition(" ")
            is_kernel = len(address) == 16 and address.startswith("ffff")
            stack.append((name.partition("+0x")[0] or "[unknown]", is_kernel))
    if stack:
        yield stack[::-1]


def colour(frame):
    """Steady for a name: blue below the kernel's line, warm above it."""
    shade = zlib.crc32(frame.name.encode()) % 40
    hue = 205 + shade // 2 if frame.is_kernel else 18 + shade // 1.3
    return f"hsl({hue:.0f},{70 + shade % 15}%,{62 + shade % 12}%)"


def frame_print(frame, x, depth, total, height):
    width = frame.samples / total * WIDTH
    if frame.samples / total < SHARE_MIN:
        return
    y = height - MARGIN - (depth + 1) * ROW
    name = escape(frame.name, quote=True)
    share = 100 * frame.samples / total
    print(f'<g class="f" data-x="{x:.3f}" data-w="{width:.3f}" '
          f'data-d="{depth}" data-n="{name}">'
          f"<title>{name}: {frame.samples} samples, {share:.2f} %</title>"
          f'<rect x="{x + MARGIN:.2f}" y="{y}" width="{width:.2f}" '
          f'height="{ROW - 1}" rx="2" fill="{colour(frame)}"/>'
          f'<text x="{x + MARGIN + 3:.2f}" y="{y + 12}"></text></g>')
    for call in sorted(frame.calls.values(), key=lambda call: call.name):
        frame_print(call, x, depth + 1, total, height)
        x += call.samples / total * WIDTH


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", default="flame graph")
    title = parser.parse_args().title
    root = Frame("all")
    for stack in samples_read(sys.stdin):
        root.add(stack)
    if root.samples == 0:
        sys.exit("flame: no samples: the process did nothing")
    sys.setrecursionlimit(10000)
    height = HEAD + root.depth() * ROW + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" '
          f'viewBox="0 0 {WIDTH + 2 * MARGIN} {height}" '
          f'font-family="monospace" font-size="11">'
          f"<style>g.f{{cursor:pointer}} g.f:hover rect{{stroke:#000}}"
          f"text{{pointer-events:none}}</style>"
          f'<text x="{MARGIN}" y="22" font-size="15">{escape(title)}: '
          f"{root.samples} samples</text>")
    frame_print(root, 0.0, 0, root.samples, height)
    print(f"<script><![CDATA[{SCRIPT}]]></script></svg>")


if __name__ == "__main__":
    main()

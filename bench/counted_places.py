#!/usr/bin/env python3
"""Which lines of the kernels' sources have bank conflicts or scattered accesses: the places that kernel_counts --places wrote,
worst first for each kernel; --all: which take most, needed or not.

usage: counted_places.py [--all] BUILD/bin/kernel_counts PLACES [LINES_A_KERNEL]"""
import collections
import pathlib
import subprocess
import sys


def main() -> None:
    every = "--all" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--all"]
    program, most = words[0], int(words[2]) if len(words) > 2 else 5
    rows = [line.split("\t") for line in pathlib.Path(words[1]).read_text().splitlines()]
    if not every:
        rows = [row for row in rows if row[6] != row[7]]
    asked = "\n".join(sorted({row[0] for row in rows}))
    told = subprocess.run(["addr2line", "-a", "-i", "-s", "-e", program], input=asked, text=True, capture_output=True, check=True).stdout
    lines, key = collections.defaultdict(list), 0
    for line in told.splitlines():  # an address, then its line and those that it was inlined into
        if line.startswith("0x"):
            key = int(line, 16)
        else:
            lines[key].append(line.split(" ")[0])
    by_kernel = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0, 0]))
    for address, precision, part, kernel, kind, *numbers in rows:
        place = by_kernel[precision, part, kernel][kind, " < ".join(lines[int(address, 16)][:4])]
        for i, number in enumerate(numbers):
            place[i] += int(number)
    for kernel, places in by_kernel.items():
        print(*kernel)
        for (kind, where), (requests, taken, ideal) in sorted(places.items(), key=lambda p: -p[1][1] if every else p[1][2] - p[1][1])[:most]:
            print(f"  {taken - ideal:10,} too many of {taken:10,} in {requests:9,} {kind:8} {where}")


if __name__ == "__main__":
    main()

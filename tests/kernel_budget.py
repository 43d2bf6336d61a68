#!/usr/bin/env python3
"""Compares what the built CUDA kernels take of a multiprocessor with kernels/budget.tsv: a kernel that takes more
registers, spills or stack than written there, an unknown kernel and a missing one fail; hot kernels may not spill at all.

usage: kernel_budget.py BUILD [--write]    --write makes the table anew from this build

The numbers are ptxas's own, kept beside every object by cmake/ptxas_report.sh. They hold for one version of nvcc: with
another one only the kernels' names and the hot kernels' spills are compared. Exit code 77: nothing to compare.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "kernels" / "budget.tsv"
COLUMNS = ["source", "kernel", "arch", "registers", "spill_bytes", "stack", "static_shared"]
HOT = re.compile(r"^(dilated_conv|embed_conv|scorer_|dense)")
# Of 96 filters in tf32 the skip values, sums and operands are some registers more than there are (the kernel's banner
# has the cost); the table bounds what it spills.
EXCEPT = "ScoreTiles<tf32, 96, false>"
LIMITED = ("registers", "spill_bytes", "stack", "static_shared")
PRECISIONS = {"0": "fp32", "1": "tf32", "2": "bf16"}


def demangle(names: list[str]) -> dict[str, str]:
    run = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, run.stdout.splitlines()))


def shorten(name: str) -> tuple[str, str]:
    """'void rb::(anonymous namespace)::Apply<rb::BFloat16>(rb::Args<..>)' -> ('Apply<bf16>', '(Args<..>)')."""
    name = re.sub(r"\(anonymous namespace\)::|\b\w+::", "", name.removeprefix("void "))
    name = re.sub(r"\(Precision\)(\d)", lambda m: PRECISIONS.get(m[1], m[0]), name).replace("BFloat16", "bf16")
    name = re.sub(r"\((?:int|unsigned int|bool)\)", "", name).replace("> >", ">>")
    depth = 0
    for i, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            return name[:i], name[i:]
    return name, ""


def parse(report: str, source: str) -> list[dict]:
    rows, row = [], None
    for line in report.splitlines():
        if found := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
            row = {"source": source, "mangled": found[1], "arch": found[2], "static_shared": 0}
            rows.append(row)
        elif row is None:
            continue
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            # Of a function that is called, not inlined, there is a line too: its stack counts for the kernel before it.
            row["stack"] = row.get("stack", 0) + int(found[1])
            row["spill_bytes"] = row.get("spill_bytes", 0) + int(found[2]) + int(found[3])
        elif found := re.search(r"Used (\d+) registers", line):
            row["registers"] = int(found[1])
            if shared := re.search(r"(\d+)(?:\+\d+)? bytes smem", line):
                row["static_shared"] = int(shared[1])
    return rows


def measured(build: pathlib.Path) -> list[dict]:
    objects = build / "kernels" / "CMakeFiles" / "rb_kernels_cuda.dir"
    rows = []
    for report in sorted(objects.glob("**/*.o.ptxas")):
        source = str(report.relative_to(objects)).removesuffix(".o.ptxas")
        if (ROOT / "kernels" / source).exists() and report.with_suffix("").exists():
            rows += parse(report.read_text(errors="replace"), source)
    names = demangle(sorted({r["mangled"] for r in rows})) if rows else {}
    taken: dict[tuple, list[dict]] = {}
    for row in rows:
        row["kernel"], row["parameters"] = shorten(names[row["mangled"]])
        taken.setdefault((row["source"], row["kernel"], row["arch"]), []).append(row)
    for same in taken.values():
        if len(same) > 1:  # overloads
            for row in same:
                row["kernel"] += row["parameters"]
    return sorted(rows, key=lambda r: (r["source"], r["kernel"], r["arch"]))


def compiler(build: pathlib.Path) -> str:
    for path in build.glob("CMakeFiles/*/CMakeCUDACompiler.cmake"):
        if found := re.search(r'CMAKE_CUDA_COMPILER_VERSION "([^"]+)"', path.read_text()):
            return found[1]
    return "unknown"


def write(rows: list[dict], version: str) -> None:
    lines = [f"# nvcc {version}; made by tests/kernel_budget.py --write", "\t".join(COLUMNS)]
    lines += ["\t".join(str(r[c]) for c in COLUMNS) for r in rows]
    TABLE.write_text("\n".join(lines) + "\n")
    print(f"{TABLE.relative_to(ROOT)}: {len(rows)} rows")


def read() -> tuple[str, list[dict]]:
    lines = TABLE.read_text().splitlines()
    rows = [dict(zip(COLUMNS, line.split("\t"))) for line in lines[2:]]
    for row in rows:
        row.update({c: int(row[c]) for c in LIMITED})
    return lines[0].split()[2].rstrip(";"), rows


def compare(rows: list[dict], budget: list[dict], same_compiler: bool) -> tuple[int, list[str]]:
    key = lambda r: (r["source"], r["kernel"], r["arch"])
    allowed, built = {key(r): r for r in budget}, {key(r): r for r in rows}
    architectures = {r["arch"] for r in rows} & {r["arch"] for r in budget}
    wrong, comparisons = [], 0
    for at in sorted(k for k in allowed.keys() | built.keys() if k[2] in architectures):
        name = " ".join(at)
        comparisons += 1
        if at not in built:
            wrong.append(f"{name}: in the table, but not built")
        elif at not in allowed:
            wrong.append(f"{name}: built, but not in the table")
        elif same_compiler:
            comparisons += len(LIMITED)
            wrong += [f"{name}: {c} {built[at][c]}, at most {allowed[at][c]} allowed"
                      for c in LIMITED if built[at][c] > allowed[at][c]]
    for row in rows:
        if HOT.match(row["source"]) and row["kernel"] != EXCEPT:
            comparisons += 1
            if row["spill_bytes"] > 0:
                wrong.append(f"{' '.join(key(row))}: a hot kernel that spills {row['spill_bytes']} bytes")
    return comparisons, wrong


def main() -> int:
    build = pathlib.Path(sys.argv[1])
    version, rows = compiler(build), measured(build)
    if not rows:
        print("SKIPPED: this build has no CUDA kernels (no nvcc was found)")
        return 77
    if "--write" in sys.argv[2:]:
        write(rows, version)
        return 0
    made_with, budget = read()
    if made_with != version:
        print(f"nvcc {version}; the table was made with {made_with}: registers, stack and shared memory are not compared")
    comparisons, wrong = compare(rows, budget, made_with == version)
    print("\n".join(wrong + [f"{len(rows)} kernels built, {len(wrong)} wrong", f"comparisons: {comparisons}"]))
    if wrong:
        print("when the change is meant: tests/kernel_budget.py BUILD --write")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

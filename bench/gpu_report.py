#!/usr/bin/env python3
"""Merges what the stages of gpu_check.sh left in a folder into one result and prints a short table of it.

usage: gpu_report.py FOLDER [--quiet] [--results DIR]

Writes FOLDER/result.json, and with --results (default: bench/results of the checkout, when this script lies in one) a copy
named <date>-<device>-<commit>.json, unless no step succeeded. Standard library only. Numbers are those of the stages;
none is made here but ratios of them in the table.
"""
import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
STAGES = ("probe", "correct", "kernels", "peer", "scale", "real")


def json_lines(path: pathlib.Path) -> list[dict]:
    """Whole lines only: the last one of a program that was cut off may be half."""
    lines = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            pass
    return lines


def json_file(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def commit() -> str:
    noted = HERE / "COMMIT"  # of a bundle
    if noted.exists():
        return noted.read_text().strip()
    try:
        git = lambda *a: subprocess.run(["git", "-C", HERE, *a], capture_output=True, text=True, check=True).stdout.strip()
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def rows_of(folder: pathlib.Path) -> tuple[dict, dict]:
    """Contexts by file and rows by name of the stage's JSON lines."""
    contexts, rows = {}, {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in json_lines(path):
            kind = line.pop("kind", "")
            if kind == "context":
                contexts[path.stem] = line
            elif kind == "row":
                rows[line.pop("name")] = line
    return contexts, rows


def tests_of(folder: pathlib.Path) -> dict:
    """Counts of GoogleTest's own reports, and the comparisons that the binaries print."""
    tests = {}
    for path in sorted(folder.glob("*_test.json")):
        report, log = json_file(path), folder / (path.stem + ".log")
        counted = re.findall(r"^comparisons: (\d+)", log.read_text(errors="replace") if log.exists() else "", re.M)
        cases = [case for suite in report.get("testsuites", []) for case in suite.get("testsuite", [])]
        skipped = sum(case.get("result") == "SKIPPED" for case in cases)
        tests[path.stem] = {"tests": len(cases), "failures": sum("failures" in case for case in cases), "skipped": skipped,
                            "comparisons": sum(map(int, counted)),
                            "failed": [f"{c['classname']}.{c['name']}" for c in cases if "failures" in c]}
    return tests


def table(path: pathlib.Path) -> list[dict]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [dict(zip(lines[0].split("\t"), line.split("\t"))) for line in lines[1:]]


def real_of(folder: pathlib.Path) -> dict:
    """By precision and transform: the test metrics, the experiments that have none, the run's own record."""
    found = {}
    for run in sorted(folder.glob("*/*")):
        if not run.is_dir():
            continue
        metrics, record = table(run / "metrics.tsv"), json_file(run / "run.json")
        said = json_lines(folder / f"{run.parent.name}.{run.name}.log")
        named = next((line["experiments"] for line in said if line.get("event") == "data"), [])
        tested = {m["experiment"] for m in metrics}
        epochs = {h.parent.name: len(table(h)) for h in sorted(run.glob("*/history.tsv"))}
        found[f"{run.parent.name}/{run.name}"] = {
            "device": record.get("device"), "seconds": record.get("seconds"), "command": record.get("command"),
            "metrics": metrics, "epochs": epochs, "gaps": [n for n in named or epochs if n not in tested]}
    return found


def merge(folder: pathlib.Path) -> dict:
    contexts, rows = rows_of(folder / "kernels")
    probe, _ = rows_of(folder / "probe")
    peer_context, peer = rows_of(folder / "peer")
    context = next(iter(probe.values()), None) or next(iter(contexts.values()), {})
    logs = {p.stem: p.read_text(errors="replace").strip()[:4000] for p in sorted((folder / "probe").glob("*.log"))
            if p.stem in ("nvidia-smi", "system", "doctor")}
    return {"kind": "gpu_check", "commit": commit(), "date": datetime.datetime.now().isoformat(timespec="seconds"),
            "device": context, "probe": logs, "steps": json_lines(folder / "steps.jsonl"),
            "tests": tests_of(folder / "correct"), "kernel_contexts": contexts, "kernels": rows,
            "peer_context": next(iter(peer_context.values()), {}), "peer": peer,
            "scale": {p.stem: json_file(p) for p in sorted((folder / "scale").glob("*.json"))},
            "real": real_of(folder / "real") if (folder / "real").exists() else {}}


# --- the table ------------------------------------------------------------------------------------------------------------
def aligned(rows: list[list[str]]) -> str:
    widths = [max(len(r[i]) for r in rows if i < len(r)) for i in range(max(map(len, rows)))]
    return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip()
                     for r in rows)


def number(value, digits: int = 1) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def steps_text(result: dict) -> list[str]:
    lines = []
    for stage in STAGES:
        steps = [s for s in result["steps"] if s["stage"] == stage]
        if not steps:
            continue
        status = {s: sum(x["status"] == s for x in steps) for s in ("ok", "failed", "cut off", "skipped")}
        took = sum(s["seconds"] for s in steps if s["status"] == "done")
        lines.append(f"{stage}: " + ", ".join(f"{n} {s}" for s, n in status.items() if n) + (f"; {took:.0f} s" if took else ""))
        lines += [f"  {s['status']}: {s['step'] or stage}: {s['reason']}" for s in steps
                  if s["status"] in ("failed", "cut off", "skipped")]
    return lines


def tests_text(tests: dict) -> list[str]:
    if not tests:
        return []
    total = {k: sum(t[k] for t in tests.values()) for k in ("tests", "failures", "skipped", "comparisons")}
    lines = [f"tests: {total['tests']} in {len(tests)} programs, {total['failures']} failed, {total['skipped']} skipped; "
             f"{total['comparisons']:,} comparisons"]
    return lines + [f"  FAILED {name}: {case}" for name, t in tests.items() for case in t["failed"]]


def operators_text(rows: dict, precision: str, models: str) -> list[str]:
    """One line an operator, our time beside the peers' on the same shape."""
    lines = [[f"{precision}, {models}", "us", "% copy", "% products", "plain us", "copy us", "cuBLAS us", "cuDNN us"]]
    for name, row in rows.items():
        if not name.endswith(f"/{precision}/{models}/ours") or "time_us" not in row:
            continue
        base = name.removesuffix("/ours")
        other = lambda who: number(rows.get(f"{base}/{who}", {}).get("time_us"))
        lines.append([base.removesuffix(f"/{precision}/{models}"), number(row["time_us"]), number(row.get("percent_of_copy"), 0),
                      number(row.get("percent_of_products"), 0), other("plain"), other("copy"), other("cublas"), other("cudnn")])
    return [aligned(lines), ""] if len(lines) > 1 else []


def best_peer(peer: dict, task: str, precision: str, models: int):
    found = [(row["sequences/s"], name.split("/")[2]) for name, row in peer.items()
             if name.startswith(f"PyTorch/{task}/") and name.endswith(f"/{precision}/M{models}")
             and "sequences/s" in row and "error" not in row]
    return max(found, default=None)


def scale_text(result: dict) -> list[str]:
    lines = [["training and scoring", "models", "ms", "sequences/s", "PyTorch's best", "mode", "ours / PyTorch"]]
    for precision, run in result["scale"].items():
        for row in run.get("rows", []):
            peer = best_peer(result["peer"], row["task"], precision, row["models"])
            lines.append([f"{row['task']}, {precision}", str(row["models"]), number(row["ms"], 3),
                          number(row["sequences_per_second"], 0), number(peer and peer[0], 0), peer[1] if peer else "",
                          number(peer and row["sequences_per_second"] / peer[0], 2)])
    return [aligned(lines), ""] if len(lines) > 1 else []


def real_text(real: dict) -> list[str]:
    lines = []
    for name, run in real.items():
        scores = [float(m["pearson"]) for m in run["metrics"] if m.get("pearson") not in (None, "", "nan")]
        mean = f"mean test Pearson {sum(scores) / len(scores):.4f}, " if scores else ""
        gaps = f"; without a test result: {', '.join(run['gaps'])}" if run["gaps"] else ""
        lines.append(f"real {name}: {mean}{len(scores)} experiments tested, {len(run['epochs'])} begun{gaps}")
    return lines


def text(result: dict) -> str:
    device = result["device"]
    lines = [f"{device.get('device', 'no device')}, commit {result['commit']}, {result['date']}"]
    if "ceilings" in device:
        lines.append("ceilings measured: " + ", ".join(f"{k.replace('_', ' ')} {v:,.0f}" for k, v in device["ceilings"].items()))
    lines += steps_text(result) + tests_text(result["tests"]) + [""]
    for precision in ("bf16", "tf32", "fp32"):
        for models in ("M244", "M1"):
            lines += operators_text(result["kernels"], precision, models)
    failed = [f"  {name}: {row.get('error') or 'skipped: ' + row['skipped']}"
              for name, row in {**result["kernels"], **result["peer"]}.items() if "error" in row or "skipped" in row]
    lines += scale_text(result) + real_text(result["real"]) + (["rows without a time:"] + failed[:12] if failed else [])
    if len(failed) > 12:
        lines.append(f"  and {len(failed) - 12} more")
    return "\n".join(lines)


def file_name(result: dict) -> str:
    """<date>-<device>-<commit>, and what it is of when it is a call for real data alone."""
    found = [result["device"].get("device"), *(run["device"] for run in result["real"].values()), "GPU"]
    device = re.sub(r"[^A-Za-z0-9]+", "-", next(filter(None, found)).split(", ")[0]).strip("-")
    real = "-".join(["", "real", *sorted({name.split("/")[0] for name in result["real"]})]) if result["real"] else ""
    return f"{result['date'][:10]}-{device}-{result['commit']}{real}.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--quiet", action="store_true", help="write FOLDER/result.json and end")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results")
    options = parser.parse_args()
    result = merge(options.folder)
    content, path = json.dumps(result, indent=1) + "\n", options.folder / "result.json"
    path.with_suffix(".tmp").write_text(content)
    path.with_suffix(".tmp").replace(path)
    if options.quiet:
        return 0
    print(text(result))
    print(f"\n{path}")
    if options.results.is_dir() and any(s["status"] == "ok" for s in result["steps"]):
        kept = options.results / file_name(result)
        kept.write_text(content)
        print(kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())

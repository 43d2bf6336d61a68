#!/usr/bin/env python3
"""Makes one result file of a finished training run: curve, test metrics, time, memory.

usage: collect_training.py RUN_FOLDER OUT COMMIT [NOTE]
"""
import csv
import json
import pathlib
import sys


def rows(path: pathlib.Path) -> list[dict]:
    with open(path, newline="") as f:
        return [{k: number(v) for k, v in row.items()} for row in csv.DictReader(f, delimiter="\t")]


def number(text: str):
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and abs(value) < 1e15 and "." not in text else value


def main() -> None:
    folder, out, commit = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    run = json.loads((folder / "run.json").read_text())
    result = {
        "commit": commit,
        "kind": "training",
        "note": sys.argv[4] if len(sys.argv) > 4 else "",
        "preset": run["preset"],
        "structure_channels": run.get("structure_channels", 0),
        "seed": run["seed"],
        "device": run["device"],
        "precision": run["precision"],
        "seconds": run["seconds"],
        "peak_memory_bytes": run["peak_memory_bytes"],
        "test": rows(folder / "metrics.tsv"),
        "history": {p.parent.name: rows(p) for p in sorted(folder.glob("*/history.tsv"))},
    }
    with open(out, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()

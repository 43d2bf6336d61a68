#!/usr/bin/env python3
"""Makes one result file of finished trainings of baselines (train --model kmer|pwm), each on the same experiments.

usage: collect_baselines.py OUT COMMIT NOTE LABEL=RUN_FOLDER [LABEL=RUN_FOLDER ..]
"""
import json
import pathlib
import sys

from collect_training import rows


def collect(label: str, folder: pathlib.Path) -> dict:
    run = json.loads((folder / "run.json").read_text())
    return {
        "label": label,
        "model": run["model"],
        "preset": run["preset"],
        "seed": run["seed"],
        "device": run["device"],
        "seconds": run["seconds"],
        "peak_memory_bytes": run["peak_memory_bytes"],
        "test": rows(folder / "metrics.tsv"),
        "history": {p.parent.name: rows(p) for p in sorted(folder.glob("*/history.tsv"))},
    }


def main() -> None:
    out, commit, note = sys.argv[1:4]
    runs = [collect(label, pathlib.Path(folder)) for label, folder in (a.rsplit("=", 1) for a in sys.argv[4:])]
    with open(out, "w") as f:
        json.dump({"commit": commit, "kind": "baselines", "note": note, "runs": runs}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Joins Google Benchmark JSON files into one result file: medians over repetitions, with the machine's ceilings.

usage: collect.py OUT COMMIT FILE..
"""
import json
import os
import sys

DROP = {"family_index", "per_family_instance_index", "repetitions", "threads", "run_type", "aggregate_unit",
        "aggregate_name", "run_name", "iterations", "name"}


def main() -> None:
    out, commit, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    result = {"commit": commit, "context": {}, "rows": {}}
    for path in files:
        with open(path) as f:
            content = json.load(f)
        context = content["context"]
        for key in ("executable", "load_avg", "json_schema_version", "library_build_type", "host_name"):
            context.pop(key, None)
        result["context"][os.path.basename(path).removesuffix(".json")] = context
        for row in content["benchmarks"]:
            if row.get("aggregate_name") == "median":
                name = row["run_name"].removesuffix("/real_time")
                result["rows"][name] = {k: v for k, v in row.items() if k not in DROP}
    with open(out, "w") as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()

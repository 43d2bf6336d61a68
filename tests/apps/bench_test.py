"""residualbind bench: rows for training and scoring, shapes and machines by flags, JSON that holds what was printed."""
import json

from cli import check, equal, main, refuses, succeeds, test

QUICK = ("--seconds", 0.01, "--sequences", 60, "--batch", 10, "--score-rows", 40, "--threads", 2, "--device", "cpu")
SMALL = ("--length", 20, "--filters", 32, "--hidden", 32, "--dilations", "1,2", "--pool", 5)


def rows(path):
    with open(path) as f:
        return json.load(f)


@test
def training_and_scoring():
    out, _ = succeeds("bench", *QUICK, "--models", "1,2", "--out", "b/bench.json")
    result = rows("b/bench.json")
    equal([(r["task"], r["models"]) for r in result["rows"]],
          [("train", 1), ("score", 1), ("train", 2), ("score", 2)], "rows")
    equal([r["rows_a_model"] for r in result["rows"]], [10, 40, 10, 40], "batch and scored rows")
    for row in result["rows"]:
        check(0 < row["best_ms"] <= row["ms"], f"times are positive: {row}")
        # ms and rate are one measurement.
        check(abs(row["sequences_per_second"] * row["ms"] / 1e3 / (row["models"] * row["rows_a_model"]) - 1) < 1e-9,
              f"rate and time agree: {row}")
    check(abs(result["scoring_mflop_a_sequence"] - 6.78) < 0.01, "arithmetic of the paper's network")
    check("cpu" in result["machine"] and "does not measure the machine's peak" in out, "the machine and what is not known")


@test
def shapes_and_tasks():
    succeeds("bench", *QUICK, *SMALL, "--task", "score", "--out", "small.json")
    small = rows("small.json")
    equal([r["task"] for r in small["rows"]], ["score"], "scoring alone")
    check(small["scoring_mflop_a_sequence"] < 1, "a small network's arithmetic")
    succeeds("bench", *QUICK, "--preset", "published", "--task", "train", "--out", "published.json")
    equal([r["task"] for r in rows("published.json")["rows"]], ["train"], "training alone")


@test
def refusals():
    refuses(2, ["--models", "0"], "bench", "--models", "0")
    refuses(2, ["50", "32"], "bench", *QUICK, "--filters", 50)
    refuses(2, ["--task", "dance"], "bench", "--task", "dance")
    refuses(1, ["tf32", "GPU"], "bench", *QUICK, "--precision", "tf32")
    succeeds("bench", *QUICK, *SMALL, "--task", "train", "--out", "once.json")
    refuses(1, ["once.json", "exists already"], "bench", *QUICK, "--out", "once.json")


main()

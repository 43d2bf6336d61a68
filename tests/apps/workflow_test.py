"""The ways through the program: simulate, prepare, train, evaluate, predict, scan, model info."""
import json
import os
import pathlib
import shutil

import cli
from cli import check, equal, load_json, run, simulate, succeeds, table, test

TRAIN = ("--epochs", 2, *cli.SMALL)


def train(data, out, *more):
    return succeeds("train", "--data", data, "--experiment", "all", "--out", out, *TRAIN, *more)


@test
def evaluate_gives_the_trainers_numbers():
    simulate("sim", experiments=2)
    out, err = train("sim", "m", "--seed", 7, "--valid-fraction", 0.2)
    check("SIM00001" in out and "mean" in out, "train prints the test table on stdout")
    check("log, minimum" in err and "epoch   2" in err, "train shows data and epochs on stderr")
    out, _ = succeeds("evaluate", "--data", "sim", "--models", "m", "--out", "e/metrics.tsv")
    equal(cli.read("e/metrics.tsv"), cli.read("m/metrics.tsv"), "metrics of evaluate and train")
    summary = load_json("e/summary.json")
    rows = table("e/metrics.tsv")
    equal([r["experiment"] for r in rows], ["SIM00001", "SIM00002"], "experiments")
    equal(summary["pearson"]["n"], 2, "experiments in the summary")
    values = [float(r["pearson"]) for r in rows]
    mean = sum(values) / 2
    sd = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
    check(abs(summary["pearson"]["mean"] - mean) < 1e-12 and abs(summary["pearson"]["sd"] - sd) < 1e-12, "mean and sd")
    valid, _ = succeeds("evaluate", "--data", "sim", "--models", "m/SIM00001", "--split", "valid", "--out", "v/metrics.tsv")
    history = table("m/SIM00001/history.tsv")
    best = [r for r in history if r["best"] == "1"]
    if best:
        found = float(table("v/metrics.tsv")[0]["pearson"])
        check(abs(found - float(best[-1]["valid_pearson"])) < 1e-12, "validation Pearson is the history's best")
    only, _ = succeeds("evaluate", "--data", "sim", "--models", "m", "--experiment", "SIM00002")
    check("SIM00002" in only and "SIM00001" not in only, "--experiment chooses")


@test
def run_records():
    simulate("sim")
    train("sim", "m")
    record = load_json("m/run.json")
    for key in ("command", "version", "preset", "seed", "device", "threads", "inputs", "seconds", "peak_memory_bytes"):
        check(key in record, f"run.json has {key}")
    import hashlib
    sums = {os.path.basename(i["path"]): i["sha256"] for i in record["inputs"]}
    for name in ("sequences.tsv", "targets.tsv"):
        equal(sums.get(name), hashlib.sha256(cli.read(f"sim/{name}")).hexdigest(), f"sha256 of {name}")
    check(record["peak_memory_bytes"] > 1 << 20, "peak memory")
    check("--epochs 2" in record["command"], "command line")


@test
def compare():
    simulate("sim", experiments=3, probes=600)
    train("sim", "m")
    rows = table("m/metrics.tsv")
    lines = ["RNCMPT\tother\tgene"] + [f"{r['experiment']}\t{float(r['pearson']) - 0.1 * (i + 1)}\tX"
                                      for i, r in enumerate(rows)]
    pathlib.Path("other.tsv").write_text("\n".join(lines + ["ELSEWHERE\t0.5\tX"]) + "\n")
    out, _ = succeeds("evaluate", "--data", "sim", "--models", "m", "--out", "e/metrics.tsv", "--compare", "other.tsv",
                      "--compare-column", "other")
    compared = load_json("e/summary.json")["compare"]
    equal(compared["n"], 3, "compared experiments")
    equal(compared["wilcoxon"]["p"], 0.25, "exact p of three positive differences")
    equal(compared["wilcoxon"]["method"], "exact", "method")
    check(abs(compared["mean_difference"] - 0.2) < 1e-6, "mean difference")
    check("Wilcoxon" in out, "the test is printed")
    out, _ = succeeds("evaluate", "--data", "sim", "--models", "m", "--compare", "m/metrics.tsv")
    check("p nan" in out, "no difference at all has no p")


@test
def predict_ways():
    simulate("sim")
    train("sim", "m")
    model = "m/SIM00001/model.safetensors"
    short = "GGAUCUACGUAUGCAUCUAGGCUAUACGAU"  # 30 nt
    long = short + "ACGUUGCAAC" + short     # 70 nt
    fasta = f">a first\n{short}\n>b\n{long[:50]}\n{long[50:]}\n"
    out, err = succeeds("predict", "--models", model, "--input", "-", stdin=fasta.encode())
    equal(err, "", "stderr of predict")
    lines = [line.split("\t") for line in out.splitlines()]
    equal(lines[0], ["id", "SIM00001"], "header")
    equal([line[0] for line in lines[1:]], ["a", "b"], "ids")
    pathlib.Path("s.tsv").write_text(f"id\tseq\na\t{short.lower().replace('u', 't')}\nb\t{long}\n")
    tsv, _ = succeeds("predict", "--models", model, "--input", "s.tsv")
    equal(tsv, out, "TSV in DNA letters and lower case gives the same scores")
    windows, _ = succeeds("predict", "--models", model, "--input", "s.tsv", "--windows", "all")
    rows = [line.split("\t") for line in windows.splitlines()]
    equal(rows[0], ["id", "start", "SIM00001"], "header of windows")
    equal([(r[0], int(r[1])) for r in rows[1:]], [("a", 0)] + [("b", i) for i in range(30)], "windows")
    scores = [float(r[2]) for r in rows[2:]]
    equal(float(lines[2][1]), max(scores), "max of the windows")
    mean, _ = succeeds("predict", "--models", model, "--input", "s.tsv", "--windows", "mean")
    check(abs(float(mean.splitlines()[2].split("\t")[1]) - sum(scores) / 30) < 1e-5, "mean of the windows")
    cut = "".join(f"{long[i:i + 41]}\n" for i in range(30))
    each, _ = succeeds("predict", "--models", model, "--input", "-", stdin=cut.encode())
    equal([line.split("\t")[1] for line in each.splitlines()[1:]], [r[2] for r in rows[2:]], "a window is a sequence")
    for options in (("--batch", 7), ("--threads", 1), ("--out", "p.tsv")):
        found, _ = succeeds("predict", "--models", model, "--input", "s.tsv", "--windows", "all", *options)
        equal(cli.read("p.tsv").decode() if "--out" in options else found, windows, f"scores with {options}")
    two, _ = succeeds("predict", "--models", "m", model, "--input", "s.tsv")
    equal(two, out, "the same model twice is one column")


@test
def prepare_then_train():
    simulate("sim", experiments=2)
    for kind in ("log", "clip", "none"):
        succeeds("prepare", "--data", "sim", "--out", f"{kind}/data.h5", "--transform", kind, "--seed", 3)
        rows = table(f"{kind}/summary.tsv")
        equal([r["transform"] for r in rows], [kind, kind], "transform in the summary")
        equal(sum(int(rows[0][c]) for c in ("missing", "train", "valid", "test")), 1500, "rows add up")
        check(pathlib.Path(f"{kind}/data.run.json").exists(), "a record of the run")
    train("sim", "tables", "--seed", 3)
    train("log/data.h5", "h5", "--seed", 3)
    tables, h5 = table("tables/metrics.tsv"), table("h5/metrics.tsv")
    for a, b in zip(tables, h5):
        equal(a["n"], b["n"], "test probes")
        check(abs(float(a["pearson"]) - float(b["pearson"])) < 1e-3, f"Pearson {a['pearson']} and {b['pearson']}")
    cli.refuses(1, ["transformed already"], "train", "--data", "log/data.h5", "--experiment", "all", "--out", "x",
                "--transform", "log")
    cli.refuses(1, ["transformed already"], "prepare", "--data", "log/data.h5", "--out", "y/data.h5")
    train("none/data.h5", "raw", "--transform", "clip")
    succeeds("evaluate", "--data", "log/data.h5", "--models", "h5")


@test
def progress_modes():
    simulate("sim")
    _, err = train("sim", "m", "--progress", "json")
    events = [json.loads(line) for line in err.splitlines()]
    kinds = [e["event"] for e in events]
    for kind in ("data", "device", "epoch", "done"):
        check(kind in kinds, f"an event of kind {kind}")
    epochs = [e for e in events if e["event"] == "epoch"]
    equal([e["epoch"] for e in epochs], [1, 2], "epochs")
    check(all(isinstance(e["train_loss"], float) for e in epochs), "losses are numbers")
    _, err = train("sim", "n", "--progress", "none")
    equal(err, "", "no progress, no lines")
    _, err = train("sim", "p", "--progress", "plain")
    check("\r" not in err and "\033" not in err, "plain lines carry no control characters")


@test
def presets_subsets_and_replicates():
    simulate("sim", probes=600)
    out, err = train("sim", "quick", "--max-probes", 100)
    check("ATTENTION" in err and "100 of" in err, "the subset is announced")
    equal(load_json("quick/run.json")["max_probes"], 100, "subset in run.json")
    info, _ = succeeds("model", "info", "quick/SIM00001/model.safetensors")
    check(", 100 of its training probes" in info, f"subset in model info: {info}")
    train("sim", "whole", "--max-probes", 100000)
    rows = {}
    for name in ("quick", "whole"):
        succeeds("evaluate", "--data", "sim", "--models", name, "--split", "train", "--predictions", f"{name}.tsv", "--progress", "none")
        rows[name] = {int(r["row"]) for r in table(f"{name}.tsv")}
    check(90 <= len(rows["quick"]) <= 100 and rows["quick"] < rows["whole"], "evaluated on the rows that it was trained on")
    succeeds("train", "--data", "sim", "--out", "published", "--preset", "published", "--epochs", 1)
    info, _ = succeeds("model", "info", "published/SIM00001/model.safetensors")
    for word in ("published", "dilations 1, 2, 4, 8", "216,321", "214,849"):
        check(word in info, f"model info tells {word}")
    raw, _ = succeeds("model", "info", "published/SIM00001/model.safetensors", "--json")
    info = json.loads(raw)
    equal(info["parameters"], 216321, "parameters")
    equal(info["shape"]["dilations"], [1, 2, 4, 8], "dilations")
    equal(info["preset"], "published", "preset")
    train("sim", "first")
    train("sim", "second", "--replicate", 1)
    check(cli.read("first/SIM00001/model.safetensors") != cli.read("second/SIM00001/model.safetensors"),
          "replicates differ")


@test
def many_models():
    simulate("sim", experiments=3, probes=600)
    grid = ("--replicates", 3, "--grid", "learning-rate=0.001,0.004")
    _, err = train("sim", "m", *grid)
    check("18 models in 1 group" in err, "the plan is told")
    check("epoch 2: 0 of 18 live" in err and "18 finished" in err, f"a line a round: {err}")
    equal(err.count("valid loss"), 0, "no line a model")
    rows = table("m/progress.tsv")
    equal([r["state"] for r in rows], ["stopped"] * 18, "states")
    equal([r["epoch"] for r in rows], ["2"] * 18, "epochs")
    equal(rows[1]["name"], "SIM00001/learning-rate=0.001/replicate-1", "name")
    for row in rows:
        history = table(f"m/{row['name']}/history.tsv")
        best = [r for r in history if r["best"] == "1"]
        equal(row["best_metric"], best[-1]["valid_pearson"] if best else "", "best metric")
        equal(row["best_epoch"], best[-1]["epoch"] if best else "", "best epoch")
    metrics = table("m/metrics.tsv")
    equal([r["model"] for r in metrics], [r["name"] for r in rows], "models of the test table")
    equal(load_json("m/run.json")["models"], 18, "models in run.json")
    out, _ = succeeds("predict", "--models", "m", "--input", "sim/sequences.tsv")
    equal(len(out.splitlines()[0].split("\t")), 19, "predict finds all of them")
    out, _ = succeeds("predict", "--models", "m/SIM00002", "--input", "sim/sequences.tsv")
    equal(len(out.splitlines()[0].split("\t")), 7, "those of one experiment")
    out, _ = succeeds("predict", "--models", "m/SIM00002/learning-rate=0.004", "--input", "sim/sequences.tsv")
    equal(len(out.splitlines()[0].split("\t")), 4, "those of one point")
    single, _ = succeeds("evaluate", "--data", "sim", "--models", "m/SIM00003/learning-rate=0.004/replicate-2", "--out",
                         "e/metrics.tsv")
    equal(table("e/metrics.tsv")[0]["pearson"], metrics[-1]["pearson"], "evaluate gives the trainer's number")
    shutil.copytree("m/SIM00003/learning-rate=0.001", "both/SIM00003")
    shutil.copy("m/SIM00003/learning-rate=0.004/replicate-0/model.safetensors", "both/SIM00003")
    for models in ("both", "both/SIM00003"):
        out, _ = succeeds("predict", "--models", models, "--input", "sim/sequences.tsv")
        equal(len(out.splitlines()[0].split("\t")), 5, f"a model beside replicates in {models}")
    pathlib.Path("m/SIM00001/other/SIM00001").mkdir(parents=True)
    pathlib.Path("m/SIM00001/other/SIM00001/model.safetensors").write_bytes(b"not a model of this run")
    succeeds("predict", "--models", "m", "--input", "sim/sequences.tsv")
    _, err = train("sim", "j", *grid, "--progress", "json")
    events = [json.loads(line) for line in err.splitlines()]
    epochs = [e for e in events if e["event"] == "epoch"]
    equal(len(epochs), 36, "an event for each model's epoch")
    equal(len({e["model"] for e in epochs}), 18, "each names its model")
    plan = [e for e in events if e["event"] == "plan"]
    equal((plan[0]["models"], plan[0]["groups"], plan[0]["side_by_side"]), (18, 1, 18), "the plan")
    check(plan[0]["bytes_per_model"] > 100000, "bytes of a model")
    equal([e["epoch"] for e in events if e["event"] == "round"], [1, 2], "rounds")
    kept = "k/SIM00002/learning-rate=0.004/replicate-1"
    shutil.copytree("m/SIM00002/learning-rate=0.004/replicate-1", kept)
    cli.refuses(1, [kept, "--overwrite", "--resume"], "train", "--data", "sim", "--experiment", "SIM00002", "--out", "k",
                *TRAIN, *grid)
    succeeds("train", "--data", "sim", "--experiment", "SIM00001", "--out", "k", *TRAIN, *grid)
    cli.refuses(2, ["expected NAME=VALUE", "learning-rate"], "train", "--data", "sim", "--out", "x", "--grid", "rate=1")
    cli.refuses(2, ["--models-in-flight"], "train", "--data", "sim", "--out", "x", "--models-in-flight", "0")
    cli.refuses(2, ["4 threads"], "train", "--data", "sim", "--out", "x", "--workers", 5, "--threads", 4)


@test
def classification():
    simulate("sim", probes=900)
    lines = pathlib.Path("sim/targets.tsv").read_text().splitlines()
    values = sorted(float(v) for v in lines[1:] if v not in ("", "nan", "NA"))
    middle = values[len(values) // 2]
    labels = [v if v in ("", "nan", "NA") else str(int(float(v) > middle)) for v in lines[1:]]
    pathlib.Path("sim/targets.tsv").write_text("\n".join([lines[0], *labels]) + "\n")
    train("sim", "m", "--task", "classification")
    row = table("m/metrics.tsv")[0]
    check(0 <= float(row["auroc"]) <= 1 and 0 <= float(row["aupr"]) <= 1, "AUROC and AUPR")
    succeeds("evaluate", "--data", "sim", "--models", "m", "--out", "e/metrics.tsv")
    equal(cli.read("e/metrics.tsv"), cli.read("m/metrics.tsv"), "metrics of evaluate and train")
    out, _ = succeeds("predict", "--models", "m", "--input", "-", stdin=b">a\nACGUACGUACGUACGUACGUACGUACGUACGU\n")
    check(0 <= float(out.splitlines()[1].split("\t")[1]) <= 1, "a probability")


cli.main()

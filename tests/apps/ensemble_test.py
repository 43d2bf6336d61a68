"""Several models of an experiment: each for itself, and as an ensemble whose predictions are averaged."""
import math
import pathlib
import statistics

from cli import SMALL, check, equal, main, refuses, simulate, succeeds, table, test

NAMES = ("SIM00001", "SIM00002")


def ranks(values):
    """Average ranks of ties."""
    order, out = sorted(range(len(values)), key=values.__getitem__), [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for i in order[first : last + 1]:
            out[i] = (first + last) / 2
        first = last + 1
    return out


def correlation(a, b):
    ma, mb = statistics.fmean(a), statistics.fmean(b)
    return sum((x - ma) * (y - mb) for x, y in zip(a, b)) / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


@test
def replicates():
    simulate("sim", experiments=2, probes=900)
    quiet = ("--progress", "none")
    succeeds("train", "--data", "sim", "--experiment", "all", "--replicates", 3, "--epochs", 2, "--out", "m", *SMALL, *quiet)
    succeeds("evaluate", "--data", "sim", "--models", "m", "--out", "each/metrics.tsv", *quiet)
    each = table("each/metrics.tsv")
    equal([(r["experiment"], r["model"].split("/")[-2]) for r in each], [(n, f"replicate-{i}") for n in NAMES for i in range(3)], "rows")
    succeeds("evaluate", "--data", "sim", "--models", "m", "--ensemble", "--out", "all/metrics.tsv", *quiet)
    together = table("all/metrics.tsv")
    equal([(r["experiment"], r["members"]) for r in together], [(n, "3") for n in NAMES], "an ensemble each")

    probes, targets = table("sim/sequences.tsv"), table("sim/targets.tsv")
    pathlib.Path("in.tsv").write_text("id\tseq\n" + "".join(f"p{i}\t{p['seq']}\n" for i, p in enumerate(probes)))
    succeeds("predict", "--models", "m", "--input", "in.tsv", "--out", "each.tsv", *quiet)
    succeeds("predict", "--models", "m", "--input", "in.tsv", "--ensemble", "--out", "all.tsv", *quiet)
    one_by_one, averaged = table("each.tsv"), table("all.tsv")
    equal(list(averaged[0]), ["id", *(f"{n}{s}" for n in NAMES for s in ("", "_sd"))], "columns")
    for name, row in zip(NAMES, together):
        own = [float(r["pearson"]) for r in each if r["experiment"] == name]
        check(abs(float(row["member_mean"]) - statistics.fmean(own)) < 1e-12, f"{name}: mean of its members")
        check(abs(float(row["member_sd"]) - statistics.stdev(own)) < 1e-12, f"{name}: spread of its members")
        columns = [c for c in one_by_one[0] if f"/{name}/" in c]
        equal(len(columns), 3, f"{name}: a column a model")
        worst = 0.0
        for a, b in zip(one_by_one, averaged):
            values = [float(a[c]) for c in columns]
            worst = max(worst, abs(float(b[name]) - statistics.fmean(values)), abs(float(b[f"{name}_sd"]) - statistics.stdev(values)))
        check(worst < 1e-6, f"{name}: mean and spread of predictions: {worst}")
        rows = [i for i, p in enumerate(probes) if p["Fold ID"] == "B" and targets[i][name] not in ("", "NA", "nan")]
        measured, predicted = [float(targets[i][name]) for i in rows], [float(averaged[i][name]) for i in rows]
        equal(int(row["n"]), len(rows), f"{name}: rows")
        found, expected = float(row["spearman"]), correlation(ranks(measured), ranks(predicted))
        check(abs(found - expected) < 1e-3, f"{name}: Spearman of the average, {found}, against {expected}")
    succeeds("evaluate", "--data", "sim", "--models", "m", "--ensemble", "--compare", "all/metrics.tsv", *quiet)
    refuses(2, ["--ensemble"], "evaluate", "--data", "sim", "--models", "m", "--compare", "all/metrics.tsv")
    succeeds("predict", "--models", "m/SIM00001/replicate-0", "--input", "in.tsv", "--ensemble", "--out", "one.tsv", *quiet)
    equal(table("one.tsv")[0]["SIM00001_sd"], "nan", "one model has no spread")
    succeeds("train", "--data", "sim", "--experiment", "SIM00001", "--seed", 5, "--epochs", 1, "--out", "other", *SMALL, *quiet)
    refuses(1, ["replicates of one training"], "evaluate", "--data", "sim", "--models", "m/SIM00001/replicate-0", "other/SIM00001",
            "--split", "valid", "--ensemble")


@test
def members_of_one_scale():
    simulate("sim", probes=600)
    quiet = ("--progress", "none")
    for name, flags in (("log", ("--k", 1)), ("log2", ("--k", 2)), ("clip", ("--k", 1, "--transform", "clip")),
                        ("published", ("--k", 1, "--preset", "published"))):
        succeeds("train", "--data", "sim", "--model", "kmer", *flags, "--out", name, *quiet)
    pathlib.Path("in.txt").write_text("ACGU" * 10 + "\n")
    predict = ("predict", "--input", "in.txt", *quiet, "--models")
    succeeds(*predict, "log", "log2", "--ensemble", "--out", "one.tsv")
    for other, word in (("clip", "transform clip"), ("published", "preset published")):
        refuses(1, ["log/SIM00001", f"{other}/SIM00001", "transform log", word, "--ensemble"], *predict, "log", "log2", other, "--ensemble")
        refuses(1, [f"{other}/SIM00001"], *predict, "log", other, "--ensemble", "--out", "two.tsv", "--shard", "0/2")
        succeeds(*predict, "log", other, "--out", f"{other}.tsv")  # a column each is no average
    check(not pathlib.Path("two.tsv.shard-0-of-2.safetensors").exists(), "nothing is written")


@test
def windows_and_shards():
    simulate("sim", probes=600)
    quiet = ("--progress", "none")
    succeeds("train", "--data", "sim", "--replicates", 2, "--epochs", 1, "--out", "m", *SMALL, *quiet)
    seqs = [r["seq"] for r in table("sim/sequences.tsv")[:6]]
    pathlib.Path("in.fa").write_text("".join(f">{i}\n{a}{b}\n" for i, (a, b) in enumerate(zip(seqs, seqs[1:]))))
    predict = ("predict", "--models", "m", "--input", "in.fa", "--ensemble", *quiet)
    for windows in ("max", "mean", "all"):
        succeeds(*predict, "--windows", windows, "--out", f"{windows}.tsv")
        for shard in (0, 1):
            succeeds(*predict, "--windows", windows, "--out", f"{windows}.parts.tsv", "--shard", f"{shard}/2")
        succeeds("predict", "merge", "--out", f"{windows}.parts.tsv")
        equal(table(f"{windows}.parts.tsv"), table(f"{windows}.tsv"), f"--windows {windows} in shards")
    means = {}
    for r in table("all.tsv"):
        means.setdefault(r["id"], []).append(float(r["SIM00001"]))
    for r in table("mean.tsv"):
        check(abs(float(r["SIM00001"]) - statistics.fmean(means[r["id"]])) < 1e-5, "the mean over windows")
    for r in table("max.tsv"):
        check(float(r["SIM00001"]) >= max(means[r["id"]]) - 1e-6, "each model's own maximum")


main()

"""Models that are no network: trained, evaluated beside networks, asked like them; what they refuse."""
import fcntl
import pathlib

from cli import SMALL, check, equal, load_json, main, read, refuses, simulate, succeeds, table, test

NAMES = ("SIM00001", "SIM00002")
QUIET = ("--progress", "none")


@test
def train_and_ask():
    simulate("sim", experiments=2, probes=12000)
    truth = {t["experiment"]: t["kmer"] for t in load_json("sim/truth.json")["experiments"]}
    # A model that does not see the motif has the composition at most.
    succeeds("train", "--data", "sim", "--experiment", "all", "--model", "kmer", "--k", 1, "--out", "letters", *QUIET)
    check(all(float(r["pearson"]) < 0.35 for r in table("letters/metrics.tsv")), "composition alone")
    bounds = {"kmer": 0.7, "pwm": 0.5}
    history = {"kmer": ["penalty", "iterations", "residual", "valid_pearson", "best"],
               "pwm": ["top", "width", "slope", "valid_pearson", "best"]}
    for kind, flags in (("kmer", ("--k", 5)), ("pwm", ())):
        out, _ = succeeds("train", "--data", "sim", "--experiment", "all", "--model", kind, *flags, "--out", kind, *QUIET)
        rows = table(f"{kind}/metrics.tsv")
        equal([r["experiment"] for r in rows], list(NAMES), f"{kind}: rows")
        check("pearson" in out, "the table is on stdout")
        for row in rows:
            check(float(row["pearson"]) > bounds[kind], f"{kind}: {row}")
        run = load_json(f"{kind}/run.json")
        equal((run["model"], run["precision"], run["models"]), (kind, "fp64", 2), "run.json")
        for name in NAMES:
            trials = table(f"{kind}/{name}/history.tsv")
            equal(list(trials[0]), history[kind], "history")
            equal(sum(int(t["best"]) for t in trials), 1, "one is the best")
            best = max(trials, key=lambda t: float(t["valid_pearson"]))
            equal(best["best"], "1", "the one of the highest validation Pearson")
            out, _ = succeeds("scan", "--model", f"{kind}/{name}", "--null-n", 20, "--top", 3)
            found = [line.split("\t")[0] for line in out.splitlines()[1:]]
            check(truth[name] in found, f"{kind}: {truth[name]} is not in {found}")
        succeeds("evaluate", "--data", "sim", "--models", kind, "--out", f"e.{kind}/metrics.tsv", *QUIET)
        equal([(r["pearson"], r["mse"]) for r in table(f"e.{kind}/metrics.tsv")], [(r["pearson"], r["mse"]) for r in rows], "evaluate")
        equal([r["kind"] for r in table(f"e.{kind}/metrics.tsv")], [kind, kind], "the kind of model")

    model = f"kmer/{NAMES[0]}"
    info, _ = succeeds("model", "info", model + "/model.safetensors")
    check("kmer" in info and "1,025" in info, f"model info: {info}")
    succeeds("model", "info", model + "/model.safetensors", "--json")
    info, _ = succeeds("model", "info", f"pwm/{NAMES[0]}/model.safetensors")
    check("pwm" in info and "best window" in info, f"model info: {info}")

    # A probe's prediction is that of `evaluate`'s table, windows and mutants follow from predictions.
    seqs = [r["seq"] for r in table("sim/sequences.tsv")[:30]]
    pathlib.Path("in.fa").write_text("".join(f">{i}\n{s}\n" for i, s in enumerate(seqs)) + ">long\n" + "".join(seqs[:3]) + "\n")
    succeeds("predict", "--models", "kmer", "pwm", "--input", "in.fa", "--out", "p.tsv", *QUIET)
    equal(len(table("p.tsv")), 31, "predictions")
    for kind in bounds:
        succeeds("ism", "--model", f"{kind}/{NAMES[0]}", "--input", "in.fa", "--max-sequences", 5, "--out", f"{kind}.npz", "--tsv",
                 f"{kind}.ism.tsv", *QUIET)
        check(any(float(r["effect"]) != 0 for r in table(f"{kind}.ism.tsv")), f"{kind}: mutations have effects")
        refuses(1, ["gradient", kind, "networks"], "ism", "--model", f"{kind}/{NAMES[0]}", "--input", "in.fa", "--method", "gradient",
                "--max-sequences", 2, "--out", "g.npz", *QUIET)
        succeeds("gia", "sites", "--models", f"{kind}/{NAMES[0]}", "--motif", truth[NAMES[0]], "--null-n", 50, "--out", f"gia.{kind}", *QUIET)
    effects = {r["label"]: float(r["mean"]) for r in table("gia.kmer/effects.tsv")}
    check(len(effects) >= 3 and max(effects.values()) > 0.5, f"gia: {effects}")
    # What is trained again is the same, on any number of threads.
    for threads in (1, 3):
        succeeds("train", "--data", "sim", "--experiment", NAMES[0], "--model", "kmer", "--k", 5, "--threads", threads, "--out", f"t{threads}", *QUIET)
        equal(read(f"t{threads}/{NAMES[0]}/model.safetensors") == read(f"kmer/{NAMES[0]}/model.safetensors"), True, "the same bytes")


@test
def beside_networks():
    simulate("sim", probes=1500)
    succeeds("train", "--data", "sim", "--epochs", 1, "--out", "net", *SMALL, *QUIET)
    succeeds("train", "--data", "sim", "--model", "kmer", "--k", 3, "--out", "kmer", *QUIET)
    succeeds("train", "--data", "sim", "--model", "pwm", "--scan", "sum", "--motif-width", 6, "--top", 10, "--out", "pwm", *QUIET)
    succeeds("evaluate", "--data", "sim", "--models", "net", "kmer", "pwm", "--out", "all/metrics.tsv", *QUIET)
    rows = table("all/metrics.tsv")
    equal([r["kind"] for r in rows], ["residualbind", "kmer", "pwm"], "kinds")
    for row, folder in zip(rows, ("net", "kmer", "pwm")):
        equal(row["pearson"], table(f"{folder}/metrics.tsv")[0]["pearson"], f"{folder} in one table")
    succeeds("evaluate", "--data", "sim", "--models", "net", "--out", "alone/metrics.tsv", *QUIET)
    check("kind" not in table("alone/metrics.tsv")[0], "networks alone have no such column")
    succeeds("evaluate", "--data", "sim", "--models", "kmer", "--compare", "alone/metrics.tsv", *QUIET)
    # Data with structure: baselines do not read it, and stand beside networks that do.
    succeeds("prepare", "--data", "sim", "--structure", "pu", "--out", "pu.h5", *QUIET)
    succeeds("train", "--data", "pu.h5", "--epochs", 1, "--out", "punet", *SMALL, *QUIET)
    succeeds("train", "--data", "pu.h5", "--model", "kmer", "--k", 3, "--out", "pukmer", *QUIET)
    for models in (("punet", "pukmer"), ("pukmer", "punet")):
        succeeds("evaluate", "--data", "pu.h5", "--models", *models, "--out", "pu/metrics.tsv", "--overwrite", *QUIET)
        equal({r["kind"] for r in table("pu/metrics.tsv")}, {"residualbind", "kmer"}, "beside a network with structure")
    succeeds("evaluate", "--data", "pu.h5", "--models", "pukmer", "punet", "net", "--out", "pu/metrics.tsv", "--overwrite", *QUIET)
    equal([r["kind"] for r in table("pu/metrics.tsv")], ["kmer", "residualbind", "residualbind"], "and beside one without")


@test
def refusals():
    simulate("sim", experiments=2, probes=400)
    for kind in ("kmer", "pwm"):
        train = ("train", "--data", "sim", "--experiment", "all", "--model", kind, "--out", "m")
        for flags in (("--resume",), ("--grid", "batch=1,2"), ("--replicates", 2), ("--replicate", 1), ("--epochs", 3), ("--filters", 32),
                      ("--dilations", "1,2"), ("--learning-rate", 0.1), ("--dropout-dense", 0.1), ("--workers", 2), ("--batch", 10),
                      ("--structure", "pu"), ("--precision", "bf16"), ("--dense", "own"), ("--models-in-flight", 2)):
            refuses(2, [flags[0], f"--model {kind}"], *train, *flags)
        refuses(2, ["--task", "regression"], *train, "--task", "classification")
        refuses(2, ["--device", "cpu"], *train, "--device", "cuda")
    train = ("train", "--data", "sim", "--experiment", "all", "--out", "m")
    refuses(2, ["--model", "svm"], *train, "--model", "svm")
    refuses(2, ["--k", "--model"], *train, "--k", 6)
    refuses(2, ["--scan", "pwm"], *train, "--scan", "best")
    refuses(2, ["--top", "pwm"], *train, "--model", "kmer", "--top", 5)
    refuses(2, ["--motif-width", "pwm"], *train, "--model", "kmer", "--motif-width", 5)
    refuses(2, ["--k 2", "3 to 8"], *train, "--model", "pwm", "--k", 2)
    refuses(2, ["--k", "9"], *train, "--model", "kmer", "--k", 9)
    refuses(2, ["--scan", "worst"], *train, "--model", "pwm", "--scan", "worst")
    refuses(2, ["--model"], "sweep", "plan", "--data", "sim", "--out", "s", "--model", "kmer")
    refuses(1, ["nothing"], "train", "--data", "nothing", "--model", "kmer", "--out", "m")
    check(not pathlib.Path("m").exists(), "refused before anything is written")

    succeeds(*train, "--model", "kmer", "--k", 2, *QUIET)
    refuses(1, ["metrics.tsv", "--overwrite"], *train, "--model", "kmer", "--k", 2)
    succeeds(*train, "--model", "pwm", "--overwrite", *QUIET)
    path = pathlib.Path("m/SIM00001/model.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    refuses(1, ["model.safetensors"], "evaluate", "--data", "sim", "--models", "m")

    # Scores that say nothing, or too few of them.
    lines = [line.split("\t") for line in pathlib.Path("sim/targets.tsv").read_text().splitlines()]
    for what, value, fragment in (("same", "3.5", "differ"), ("none", "", "SIM00001")):
        folder = pathlib.Path(what)
        folder.mkdir()
        (folder / "sequences.tsv").write_bytes(read("sim/sequences.tsv"))
        (folder / "targets.tsv").write_text("SIM00001\n" + "".join(value + "\n" for _ in lines[1:]))
        for kind in ("kmer", "pwm"):
            refuses(1, [fragment], "train", "--data", what, "--model", kind, "--out", "n")
    check(not pathlib.Path("n").exists(), "no folder of what cannot be trained")


@test
def in_a_network_s_folder():
    simulate("sim", probes=600)
    net = ("train", "--data", "sim", "--epochs", 2, "--out", "m", *SMALL, *QUIET)
    kmer = ("train", "--data", "sim", "--model", "kmer", "--k", 2, "--out", "m", *QUIET)
    succeeds(*net, "--tensorboard")
    pathlib.Path("m/.lock").touch()
    with open("m/.lock") as lock:  # as another process would that trains there
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = read("m/SIM00001/model.safetensors")
        refuses(1, ["m: in use by"], *kmer, "--overwrite")
        equal(read("m/SIM00001/model.safetensors") == before, True, "nothing is touched")
    succeeds(*kmer, "--overwrite")
    equal(sorted(p.name for p in pathlib.Path("m").rglob("*")), ["SIM00001", "history.tsv", "metrics.tsv", "model.safetensors", "run.json"],
          "nothing of the network is left")
    before = read("m/SIM00001/model.safetensors")
    refuses(1, ["m/SIM00001/model.safetensors", "kmer", "--resume"], *net, "--resume")
    equal(read("m/SIM00001/model.safetensors") == before, True, "the baseline is still there")
    succeeds(*net, "--overwrite")
    succeeds(*net, "--resume")


@test
def how_many_kmers():
    simulate("sim", probes=600)
    succeeds("train", "--data", "sim", "--model", "pwm", "--k", 3, "--top", 500, "--out", "m", *QUIET)
    aligned = int(table("m/SIM00001/history.tsv")[0]["top"])
    check(10 < aligned < 64, f"of 64 3-mers {aligned} stand out")
    info, _ = succeeds("model", "info", "m/SIM00001/model.safetensors")
    check(f"from {aligned} 3-mers" in info, f"model info: {info}")


main()

"""residualbind gia: its tables agree with each other and with predict, do not depend on threads or blocks, refusals help."""
import random

from cli import SMALL, check, equal, load_json, main, pathlib, read, refuses, simulate, succeeds, table, test

QUICK = ("--null-n", 60, "--k", 3, "--progress", "none", "--threads", 2)


def models(experiments=1):
    simulate("sim", experiments=experiments, probes=400)
    succeeds("train", "--data", "sim", "--experiment", "all", "--epochs", 2, "--out", "m", *SMALL, "--progress", "none")


def rows(path, experiment, kind="effect"):
    return [r for r in table(path) if (r["experiment"], r["kind"]) == (experiment, kind)]


@test
def all_experiments():
    models()
    out, _ = succeeds("gia", "all", "--models", "m", "--motif", "UGCAUG", "--out", "g", *QUICK)
    counts = {name: len(rows("g/effects.tsv", name)) for name in
              ("kmer", "mutate", "position", "sites", "spacing", "gc", "hairpin")}
    equal(counts, {"kmer": 20, "mutate": 19, "position": 6, "sites": 5, "spacing": 30, "gc": 5, "hairpin": 4}, "questions")
    for row in table("g/effects.tsv"):
        mean, low, high = (float(row[c]) for c in ("mean", "ci_low", "ci_high"))
        check(low <= mean <= high and int(row["n"]) == 60, f"interval of {row}")
        check(float(row["p"]) <= float(row["q"]) <= 1, f"p and q of {row}")
    # One pattern, asked under several names.
    same = {r["mean"] for r in table("g/effects.tsv") if r["pattern"] == "UGCAUG@17" and r["kind"] == "effect"}
    equal(len(same), 1, "UGCAUG@17 has one effect")
    kmers = table("g/kmers/SIM00001.tsv")
    equal((len(kmers), len({r["kmer"] for r in kmers})), (64, 64), "all 3-mers")
    equal([float(r["effect"]) for r in kmers], sorted((float(r["effect"]) for r in kmers), reverse=True), "order")
    equal([r["label"] for r in rows("g/effects.tsv", "kmer")], [r["kmer"] for r in kmers[:20]], "the strongest")
    equal([r["label"] for r in table("g/ratios.tsv")], ["right", "left", "difference"], "ratios")
    equal([r["experiment"] for r in table("g/lines.tsv")], ["sites"], "lines")
    pairing = [r for r in table("g/pairing.tsv") if r["label"] == "loop"]
    equal(len(pairing), 41, "a row a position")
    paired = [float(r["paired"]) for r in pairing]
    check(min(paired[8:15]) > 0.9 and max(paired[18:22]) < 0.2, f"the hairpin is there: {paired}")
    flat = [float(r["paired"]) for r in table("g/pairing.tsv") if r["label"] == "centre"]
    check(max(flat) < 0.9, f"and nowhere else: {flat}")
    for word in ("SIM00001", "kmer", "sites", "R2", "10 controls"):
        check(word in out, f"the summary tells about {word}")
    equal(load_json("g/run.json")["command"].split()[1:3], ["gia", "all"], "run.json")


@test
def threads_and_blocks_change_nothing():
    models(2)
    question = ("gia", "all", "--null-n", 70, "--k", 4, "--progress", "none", "--models")
    succeeds(*question, "m", "--out", "a", "--threads", 1, "--batch", 64)
    succeeds(*question, "m", "--out", "b", "--threads", 2, "--batch", 4096)
    for name in ("effects.tsv", "local.npz", "lines.tsv", "ratios.tsv", "kmers/SIM00001.tsv", "kmers/SIM00002.tsv"):
        check(read(f"a/{name}") == read(f"b/{name}"), f"{name} is the same")
    # A model's answers do not depend on the models beside it.
    succeeds(*question, "m/SIM00002", "--out", "c")
    both = [r for r in table("a/effects.tsv") if r["model"] == "SIM00002"]
    equal(table("c/effects.tsv"), both, "SIM00002 alone")
    succeeds(*question, "m/SIM00002", "--out", "d", "--seed", 9)
    check(table("d/effects.tsv") != both, "another seed, other sequences")


@test
def effects_are_differences_of_predictions():
    models()
    letters = random.Random(4)
    nulls = ["".join(letters.choice("ACGU") for _ in range(41)) for _ in range(12)]
    pathlib.Path("null.fa").write_text("".join(f">n{i}\n{s}\n" for i, s in enumerate(nulls)))
    pathlib.Path("with.fa").write_text("".join(f">n{i}\n{s[:5] + 'GCAUG' + s[10:30] + 'CC' + s[32:]}\n" for i, s in enumerate(nulls)))
    succeeds("predict", "--models", "m", "--input", "null.fa", "--out", "null.tsv", "--progress", "none")
    succeeds("predict", "--models", "m", "--input", "with.fa", "--out", "with.tsv", "--progress", "none")
    succeeds("gia", "custom", "--models", "m", "--null", "null.fa", "--embed", "gcatg@5 + CC@30", "--out", "g", "--progress", "none")
    difference = [float(a["SIM00001"]) - float(b["SIM00001"]) for a, b in zip(table("with.tsv"), table("null.tsv"))]
    row = table("g/effects.tsv")[0]
    equal((row["n"], row["pattern"]), ("12", "GCAUG@5+CC@30"), "the question")
    check(abs(float(row["mean"]) - sum(difference) / 12) < 1e-5, "the effect is the mean difference of predictions")


@test
def nulls_from_data():
    models()
    ask = ("gia", "custom", "--models", "m", "--embed", "ACG@17", "--null-n", 40)
    for null in ("shuffle", "dinucleotide", "quartile1", "quartile4"):
        _, err = succeeds(*ask, "--null", null, "--data", "sim", "--out", f"g-{null}")
        check("null against real sequences" in err and "3-mers" in err, f"{null}: the comparison is told ({err})")
    measured = table("g-shuffle/measured.tsv")
    equal([(r["label"], r["where"]) for r in measured], [("ACG@17", "position"), ("ACG@17", "anywhere")], "measured rows")
    probes = [r["seq"] for r in table("sim/sequences.tsv")]
    scores = [r["SIM00001"] for r in table("sim/targets.tsv")]
    known = [p for p, s in zip(probes, scores) if s not in ("", "nan", "NA")]
    equal(int(measured[1]["probes"]), sum("ACG" in p for p in known), "probes with ACG anywhere")
    equal(int(measured[0]["probes"]), sum(p[17 - (41 - len(p)) // 2:][:3] == "ACG" for p in known), "probes with ACG at 17")
    check(float(measured[1]["ci_low"]) < float(measured[1]["mean"]) < float(measured[1]["ci_high"]), "its interval")
    check(measured[0]["mean"] == "" or int(measured[0]["probes"]) >= 20, "few probes tell nothing")
    _, err = succeeds(*ask, "--null-filter", "10,90", "--out", "g-filter")
    check("null sequences score between" in err, f"the filter is told ({err})")
    refuses(2, ["--null shuffle", "--data"], *ask, "--null", "shuffle", "--out", "x")
    refuses(2, ["--null-filter 90,10", "10,90"], *ask, "--null-filter", "90,10", "--out", "x")
    refuses(1, ["none.fa"], *ask, "--null", "none.fa", "--out", "x")
    pathlib.Path("long.fa").write_text(">a\n" + "ACGU" * 20 + "\n")
    refuses(1, ["long.fa", "sequence a", "80 bases"], *ask, "--null", "long.fa", "--out", "x")
    pathlib.Path("empty.fa").write_text("")
    refuses(1, ["empty.fa"], *ask, "--null", "empty.fa", "--out", "x")
    check(not pathlib.Path("x").exists(), "nothing is written")


@test
def each_model_has_its_own_split():
    simulate("sim", experiments=2, probes=400)
    settings = {"SIM00001": (), "SIM00002": ("--seed", 5, "--valid-fraction", 0.4)}
    for name, flags in settings.items():
        succeeds("train", "--data", "sim", "--experiment", name, *flags, "--epochs", 1, "--out", "m", *SMALL, "--progress", "none", "--overwrite")
    ask = ("gia", "custom", "--embed", "ACG@17", "--null", "shuffle", "--data", "sim", "--null-n", 40, "--progress", "none", "--models")
    succeeds(*ask, "m", "--out", "both")
    for name in settings:
        succeeds(*ask, f"m/{name}", "--out", name)
        equal(table(f"{name}/effects.tsv"), [r for r in table("both/effects.tsv") if r["model"] == name], f"{name} alone and beside the other")


@test
def refusals():
    models()
    base = ("--models", "m", "--out", "x", "--null-n", 20, "--k", 2, "--progress", "none")
    refuses(2, ["dance"], "gia", "dance", *base)
    refuses(2, ["--second"], "gia", "pair", *base)
    refuses(2, ["--embed"], "gia", "custom", *base)
    refuses(2, ["--embed"], "gia", "gc", *base, "--embed", "A@1")
    refuses(2, ["--k"], "gia", "kmer", "--models", "m", "--out", "x", "--k", 9)
    refuses(2, ["--position 40"], "gia", "kmer", *base, "--position", 40)
    refuses(1, ["UGX"], "gia", "gc", *base, "--motif", "UGX")
    refuses(1, ["custom", "column"], "gia", "custom", *base, "--embed", "ACG@39")
    refuses(1, ["custom"], "gia", "custom", *base, "--embed", "stem@6-16:20-30+stem@10-14:22-26")
    refuses(1, ["none.meme"], "gia", "custom", *base, "--embed", "none.meme:A@3")
    refuses(1, ["hairpin"], "gia", "hairpin", *base, "--motif", "A" * 30)
    check(not pathlib.Path("x").exists(), "nothing is written")
    succeeds("gia", "kmer", *base)
    refuses(1, ["x/effects.tsv", "exists already"], "gia", "kmer", *base)
    succeeds("gia", "pair", *base, "--motif", "ACG", "--second", "GGG", "--overwrite")
    equal([r["label"] for r in rows("x/effects.tsv", "pair", "contrast")], ["interaction"], "the pair's interaction")


main()

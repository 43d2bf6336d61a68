"""residualbind reproduce: pictures and anchors of every figure on simulated data, which must not pass for the paper's; refusals."""
import xml.dom.minidom

import cli
from cli import SMALL, check, equal, load_json, main, pathlib, read, refuses, simulate, succeeds, table, test

QUICK = ("--null-n", 40, "--progress", "none", "--threads", 2)
COLUMNS = ["quantity", "expected", "source", "found", "tolerance", "verdict", "note"]


def models(experiments=1, *more):
    simulate("sim", experiments=experiments, probes=600)
    succeeds("train", "--data", "sim", "--experiment", "all", "--epochs", 1, "--out", "m", *SMALL, "--progress", "none", *more)


def reproduce(figure, *more, data="sim", out=None):
    return succeeds("reproduce", figure, "--data", data, "--models", "m", "--out", out or figure, *QUICK, *more)


def anchors(folder):
    lines = pathlib.Path(folder, "anchors.tsv").read_text().splitlines()
    equal(lines[0].split("\t"), COLUMNS, f"columns of {folder}/anchors.tsv")
    for line in lines[1:]:
        cells = line.split("\t")
        equal(len(cells), len(COLUMNS), f"cells of {line!r}")
        verdict = cells[5]
        check(verdict in ("agrees", "differs") or verdict.startswith("not comparable ("), f"verdict {verdict!r}")
    return {row["quantity"]: row for row in table(f"{folder}/anchors.tsv")}


def pictures(folder, names):
    for name in names:
        text = pathlib.Path(folder, name + ".svg").read_text()
        equal(xml.dom.minidom.parseString(text).documentElement.tagName, "svg", f"{name}.svg parses")
        equal(read(f"{folder}/{name}.png")[:8], b"\x89PNG\r\n\x1a\n", f"{name}.png")


def none_is_compared(rows):
    equal([q for q, row in rows.items() if not row["verdict"].startswith("not comparable")], [], "nothing simulated is compared")


@test
def figure_1():
    models(3)
    pathlib.Path("old.tsv").write_text("id\tgene\tThermoNet\tRCK\n" + "".join(f"SIM0000{i}\tG{i}\t0.{i}\t\n" for i in (1, 2, 3)) +
                                       "RNCMPT00001\tA1CF\t0.75\t0.5\n")
    out, _ = reproduce("figure1", "--published", "old.tsv")
    rows = anchors("figure1")
    none_is_compared(rows)
    check("n=1 of 244" in rows["mean Pearson of the table's ThermoNet"]["verdict"], "the table's own mean is of one experiment")
    equal(rows["mean Pearson of the table's ThermoNet"]["found"], "0.75", "and found")
    check("no such method" in rows["mean Pearson of the table's RNAcontext"]["verdict"], "a method that the table has not")
    check("no such run" in rows["mean Pearson, clip, sequence"]["verdict"],
          "no clip run")
    check("on 3 present" in rows["mean Pearson, log, sequence"]["note"], "paired on those present")
    pictures("figure1", ["figure1a_methods", "figure1b_best", "figure1c_log_sequence", "figure1d_runs"])
    compared = table("figure1/comparisons.tsv")
    equal([(r["first"], r["second"], r["n"]) for r in compared], [("log sequence", "ThermoNet", "3"), ("log sequence", "RCK", "0")], "pairs")
    succeeds("evaluate", "--data", "sim", "--models", "m", "--out", "e/metrics.tsv")
    for row, own in zip(table("figure1/pearsons.tsv"), table("e/metrics.tsv")):
        equal((row["experiment"], row["log sequence"]), (own["experiment"], own["pearson"]), "evaluate says the same")
    check("not comparable" in out, "verdicts are printed")
    pathlib.Path("words.tsv").write_text("id\tgene\nSIM00001\tG\n")
    command = ("reproduce", "figure1", "--data", "sim", "--models", "m", "--out", "x", *QUICK, "--published")
    refuses(1, ["words.tsv", "no column of numbers"], *command, "words.tsv")
    pathlib.Path("bad.tsv").write_text("id\tT\nSIM00001\t0.5\nSIM00002\thigh\n")
    refuses(1, ["bad.tsv", "high"], *command, "bad.tsv")
    refuses(1, ["missing.tsv"], *command, "missing.tsv")
    check(not pathlib.Path("x").exists(), "a refusal writes nothing")


@test
def figure_2():
    models(2)
    reproduce("figure2", "--experiment", "SIM00002", "--motif", "ugcaug")
    rows = anchors("figure2")
    none_is_compared(rows)
    check("SIM00002, not RNCMPT00168" in rows["UGCAUG at one site"]["verdict"], "another experiment")
    check("n=2 of 244" in rows["median R2 over sites, each experiment's top 6-mer"]["verdict"], "two experiments")
    pictures("figure2", ["figure2a_two_mismatches", "figure2c_additivity", "figure2d_spacing", "figure2e_kmers", "figure2e_motif",
                         "figure2e_mutagenesis", "figure2f_affinities", "figure2g_r_squared"])
    # The numbers are gia's own.
    succeeds("gia", "sites", "--models", "m/SIM00002", "--motif", "UGCAUG", "--out", "g", "--null-n", 40, "--controls", 0, "--progress", "none")
    sites = {r["label"]: r["mean"] for r in table("g/effects.tsv") if r["kind"] == "effect"}
    check(abs(float(rows["UGCAUG at two sites"]["found"]) - float(sites["2 sites"])) < 1e-6, "effects are gia's")
    line = [r for r in table("g/lines.tsv")][0]
    check(abs(float(rows["R2 over sites, UGCAUG"]["found"]) - float(line["r_squared"])) < 1e-6, "R2 is gia's")
    beside = {r["label"]: r["mean"] for r in table("figure2/gia/effects.tsv") if r["model"] == "SIM00002-UGCAUG"}
    equal(beside["2 sites"], sites["2 sites"], "gia's table stands beside the pictures")
    equal(len(table("figure2/figure2g_r_squared.tsv")), 2, "a row an experiment")
    equal(load_json("figure2/run.json")["command"].split()[1:3], ["reproduce", "figure2"], "run.json")
    refuses(1, ["anchors.tsv", "exists already", "--overwrite"], "reproduce", "figure2", "--data", "sim", "--models", "m", "--out", "figure2")
    # Without a motif: the strongest 6-mer, one format.
    reproduce("figure2", "--experiment", "SIM00001", "--format", "svg", out="f2")
    check(not list(pathlib.Path("f2").glob("*.png")) and pathlib.Path("f2/figure2g_r_squared.svg").exists(), "--format svg")


@test
def figure_3_and_4():
    models(2)
    reproduce("figure3", "--experiment", "SIM00001", "--motif", "GCUG")
    none_is_compared(anchors("figure3"))
    pictures("figure3", ["figure3b_hairpin", "figure3a_high_1", "figure3a_low_1"])
    _, err = succeeds("reproduce", "figure4", "--data", "sim", "--models", "m", "--out", "figure4", "--null-n", 40, "--progress", "plain")
    check("no model of RNCMPT00112" in err and "residualbind train --data sim --experiment RNCMPT00112 --out models-RNCMPT00112" in err,
          "what stands for the example, and how to train it")
    rows = anchors("figure4")
    none_is_compared(rows)
    pictures("figure4", ["figure4c_effects", "figure4e_effect_sizes"])
    sizes = table("figure4/figure4e_effect_sizes.tsv")
    equal([r["experiment"] for r in sizes], ["SIM00001", "SIM00002"], "effect sizes")
    found = float(rows["share of experiments with more effect of GC to the right than to the left"]["found"])
    equal(found, sum(float(r["difference"]) > 0 for r in sizes) / 2, "the share")


@test
def table_s1():
    models(2)
    pathlib.Path("known.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGU\n\nMOTIF one\nletter-probability matrix: alength= 4 w= 4 nsites= 20 E= 0\n" +
        "0.1 0.1 0.1 0.7\n" * 4 + "\nMOTIF two\nletter-probability matrix: alength= 4 w= 4 nsites= 20 E= 0\n" + "0.7 0.1 0.1 0.1\n" * 4)
    reproduce("table-s1", "--motifs", "known.meme", out="t")
    none_is_compared(anchors("t"))
    rows = table("t/table_s1.tsv")
    equal([r["experiment"] for r in rows], ["SIM00001", "SIM00002"], "a row an experiment")
    check(all(r["match"] in ("one", "two") and 0 <= float(r["p"]) <= 1 for r in rows), f"matches: {rows}")
    pictures("t", ["table_s1", "logos/SIM00001", "logos/SIM00002"])
    succeeds("motif", "match", "--query", "t/motifs.meme:SIM00001", "--targets", "known.meme", "--top", 1, "--out", "best.tsv")
    equal(table("best.tsv")[0]["target"], rows[0]["match"], "motif match says the same")
    reproduce("table-s1", out="bare", *())
    equal(table("bare/table_s1.tsv")[0]["match"], "", "no motif file, no match")


@test
def refusals():
    models(1)
    command = ("reproduce", "figure2", "--data", "sim", "--models", "m", "--out", "x", "--progress", "none")
    refuses(1, ["no model of RNCMPT00168", "residualbind train --data sim --experiment RNCMPT00168 --out models-RNCMPT00168"], *command)
    refuses(1, ["--preset published --out models-RNCMPT00168"], *command, "--preset", "published")
    refuses(1, ["no model of VTS1", "train"], "reproduce", "figure3", *command[2:])
    refuses(1, ["no model of NOPE"], *command, "--experiment", "NOPE")
    refuses(1, ["no model of NOPE"], "reproduce", "figure1", *command[2:], "--experiment", "NOPE")
    refuses(1, ["no model of it's/one", "'it'\\''s/one'"], *command, "--experiment", "it's/one")
    refuses(2, ["figure9"], "reproduce", "figure9", *command[2:])
    refuses(2, ["--data is required"], "reproduce", "figure2", "--models", "m", "--out", "x")
    refuses(2, ["--motif", "UGNAUG"], *command, "--motif", "UGNAUG")
    refuses(2, ["--motif", "4 to 7"], *command, "--motif", "UG")
    refuses(2, ["--published", "figure1"], *command, "--published", "sim/targets.tsv")
    refuses(2, ["--motifs", "table-s1"], *command, "--motifs", "sim/targets.tsv")
    refuses(2, ["--format", "gif"], *command, "--format", "gif")
    refuses(2, ["--null-n", "1"], *command, "--null-n", 1)
    refuses(1, ["nowhere"], "reproduce", "figure1", "--data", "nowhere", "--models", "m", "--out", "x")
    pathlib.Path("empty.meme").write_text("")
    refuses(1, ["empty.meme"], "reproduce", "table-s1", *command[2:], "--motifs", "empty.meme")
    open("file", "w").close()
    refuses(1, ["file"], *command[:6], "--out", "file/x", "--experiment", "SIM00001")
    for name, *flags in (("other", "--seed", 5, "--learning-rate", 0.01), ("kmer", "--model", "kmer", "--k", 3)):
        small = [] if name == "kmer" else [*SMALL, "--epochs", 1]
        succeeds("train", "--data", "sim", "--experiment", "all", "--out", name, *small, *flags, "--progress", "none")
    refuses(1, ["two models of SIM00001", "'log sequence'", "learning_rate", "0.001 and 0.01", "replicates"],
            "reproduce", "figure1", "--data", "sim", "--models", "m", "other", *command[6:])
    for figure in ("figure1", "table-s1"):
        refuses(1, ["kmer/SIM00001", "is a kmer model", "networks"], "reproduce", figure, "--data", "sim", "--models", "m", "kmer",
                *command[6:])
    simulate("long", probes=100)
    succeeds("train", "--data", "long", "--experiment", "all", "--epochs", 1, "--out", "c", *SMALL, "--transform", "clip", "--progress", "none")
    check(not pathlib.Path("x").exists(), "no folder of a refused run")


main()

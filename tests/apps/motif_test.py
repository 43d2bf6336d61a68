"""Motifs: alignment of a scan's k-mers, conversion of motif files, comparison of motifs."""
import math
import os
import pathlib

import cli
from cli import check, equal, refuses, simulate, succeeds, table, test

# Every k-mer holds a part of UGCAUG, or nothing of it.
PLANTED = [("UGCAUG", 3.0), ("GCAUGA", 2.0), ("GCAUGU", 1.9), ("AUGCAU", 1.5), ("UUGCAU", 1.25), ("CUGCAU", 1.0),
           ("GGCAUG", 0.9), ("UGCACG", 0.75), ("UGCUUG", 0.5), ("CAUGAA", 0.25), ("AAAAAA", 0.125), ("CCCCCC", -0.5)]
FORMATS = ("meme", "jaspar", "transfac")


def write_kmers(path, rows, header="kmer\teffect\tse"):
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    pathlib.Path(path).write_text("\n".join([header, *("\t".join(map(str, (*row, 0.01)[:3])) for row in rows)]) + "\n")


def columns(path):
    """Probabilities of A, C, G, U by position, of a MEME file with one motif."""
    lines = pathlib.Path(path).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("letter-probability"))
    return [[float(p) for p in line.split()] for line in lines[start + 1:]]


def summary(out):
    names, values = [line.split("\t") for line in out.splitlines()]
    return dict(zip(names, values))


def matches(out):
    lines = [line.split("\t") for line in out.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


@test
def scan_then_align():
    simulate("sim", probes=1000)
    succeeds("train", "--data", "sim", "--out", "m", "--epochs", 3, *cli.SMALL, "--progress", "none")
    succeeds("scan", "--model", "m", "--k", 5, "--null-n", 20, "--top", 0, "--out", "scan.tsv")
    out, err = succeeds("motif", "align", "--kmers", "scan.tsv", "--out", "found/SIM.meme")
    equal(err, "", "stderr of align")
    told, found, rows = summary(out), columns("found/SIM.meme"), table("scan.tsv")
    equal(told["motif"], "SIM", "the motif takes the file's name")
    equal(told["top_kmer"], rows[0]["kmer"], "the k-mer that others are aligned to")
    equal(told["kmers"], "10", "k-mers that took part")
    equal((int(told["columns"]), len(told["consensus"])), (len(found), len(found)), "columns")
    check(5 <= len(found) <= 13, f"columns of ten aligned 5-mers: {len(found)}")
    for column in found:
        check(abs(sum(column) - 1) < 1e-9 and min(column) >= 0, f"probabilities: {column}")
    bits = sum(2 + sum(p * math.log2(p) for p in column if p > 0) for column in found)
    check(abs(float(told["bits"]) - bits) < 1e-3, f"information content {told['bits']}: {bits}")
    succeeds("scan", "--model", "m", "--k", 5, "--null-n", 20, "--top", 0, "--out", "dna.tsv", "--alphabet", "dna")
    check(b"T" in cli.read("dna.tsv"), "a scan in DNA letters")
    again, _ = succeeds("motif", "align", "--kmers", "dna.tsv", "--out", "again.meme", "--name", "SIM")
    equal(again, out, "k-mers in DNA letters")
    equal(cli.read("again.meme"), cli.read("found/SIM.meme"), "their motif")


@test
def consensus_holds_the_core():
    write_kmers("k.tsv", PLANTED)
    out, _ = succeeds("motif", "align", "--kmers", "k.tsv", "--out", "core.meme", "--name", "core")
    told = summary(out)
    check("UGCAUG" in told["consensus"], f"consensus {told['consensus']}")
    equal(told["kmers"], "10", "the ten strongest")
    motif = columns("core.meme")
    # By hand: the k-mers beneath UGCAUG's second letter.
    start = told["consensus"].index("UGCAUG")
    equal([p > 0.9 for p in motif[start + 1]], [False, False, True, False], "its second column is G")
    out, _ = succeeds("motif", "align", "--kmers", "k.tsv", "--out", "one.meme", "--top", 1, "--alphabet", "dna")
    equal(summary(out)["consensus"], "TGCATG", "one k-mer alone")
    check("ACGT" in pathlib.Path("one.meme").read_text(), "DNA letters in the file")
    equal(columns("one.meme"), [[float(b == c) for c in "ACGU"] for b in "UGCAUG"], "its columns")
    pathlib.Path("few.tsv").write_text("kmer\teffect\tse\nUGCA\t4\t0.1\nGCAU\t2\t0.1\nCAUC\t1\t0.1\n")
    for trim, consensus in ((0, "UGCAUC"), (0.2, "UGCAU"), (0.5, "UGCA"), (0.6, "GCA"), (0.9, "CA")):
        out, _ = succeeds("motif", "align", "--kmers", "few.tsv", "--out", f"trim{trim}.meme", "--trim", trim)
        equal(summary(out)["consensus"], consensus, f"columns that weigh {trim} of 7, by hand")
    refuses(2, ["--trim", "published"], "motif", "align", "--kmers", "few.tsv", "--out", "x.meme", "--trim", 0.1,
            "--preset", "published")
    out, _ = succeeds("motif", "align", "--kmers", "k.tsv", "--out", "all.meme", "--top", 0)
    equal(summary(out)["kmers"], "11", "all k-mers of positive effect")
    out, _ = succeeds("motif", "align", "--kmers", "k.tsv", "--out", "published.meme", "--preset", "published")
    equal(summary(out)["kmers"], "12", "the authors' code scales what is negative")
    check(cli.read("published.meme") != cli.read("all.meme"), "presets differ")
    shuffled = [(se, kmer, "x", effect) for kmer, effect, se in ((*row, 0.5) for row in PLANTED)]
    lines = ["se\tkmer\tnote\teffect", *("\t".join(map(str, row)) for row in shuffled)]
    pathlib.Path("wide.tsv").write_text("\n".join(lines) + "\n")
    succeeds("motif", "align", "--kmers", "wide.tsv", "--out", "wide.meme", "--name", "core")
    equal(cli.read("wide.meme"), cli.read("core.meme"), "columns in another order, others beside them")
    for name in (*FORMATS, "tsv"):
        succeeds("motif", "align", "--kmers", "k.tsv", "--out", f"as.{name}", "--name", "core")
        succeeds("motif", "align", "--kmers", "k.tsv", "--out", f"{name}.txt", "--name", "core", "--format", name)
        equal(cli.read(f"as.{name}"), cli.read(f"{name}.txt"), f"format {name} by extension and by flag")
    rows = table("as.tsv")
    equal([[float(r[b]) for b in "ACGU"] for r in rows], motif, "the table's columns")


@test
def conversion():
    write_kmers("k.tsv", PLANTED)
    write_kmers("whole.tsv", [("GGACU", 4), ("GGACA", 2), ("GGACC", 1), ("GGACG", 1)])
    succeeds("motif", "align", "--kmers", "k.tsv", "--out", "core.meme")
    succeeds("motif", "align", "--kmers", "whole.tsv", "--out", "whole.meme")
    for name in FORMATS:
        succeeds("motif", "convert", "--input", "whole.meme", "--out", f"a.{name}")
    for name in FORMATS:
        succeeds("motif", "convert", "--input", f"a.{name}", "--out", f"b.{name}")
        equal(cli.read(f"b.{name}"), cli.read(f"a.{name}"), f"{name} read and written again")
        for other in FORMATS:
            succeeds("motif", "convert", "--input", f"a.{name}", "--out", f"{name}.{other}")
            equal(cli.read(f"{name}.{other}"), cli.read(f"a.{other}"), f"{other} by way of {name}")
    equal(cli.read("a.meme"), cli.read("whole.meme"), "MEME stays what it was")
    succeeds("motif", "convert", "--input", "core.meme", "--out", "core2.meme")
    equal(cli.read("core2.meme"), cli.read("core.meme"), "probabilities keep their bits")
    succeeds("motif", "convert", "--input", "whole.meme", "--out", "d.jaspar", "--alphabet", "dna")
    letters = [line[0] for line in pathlib.Path("d.jaspar").read_text().splitlines()[1:]]
    equal(letters, list("ACGT"), "DNA letters")
    succeeds("motif", "convert", "--input", "d.jaspar", "--out", "back.meme")
    equal(cli.read("back.meme"), cli.read("whole.meme"), "T reads as U")
    out, err = succeeds("motif", "convert", "--input", "whole.meme", "--out", "w.tsv")
    equal((out, err), ("", ""), "nothing is printed")
    equal([r["motif"] for r in table("w.tsv")], ["whole"] * 5, "rows of the table")


@test
def matching():
    write_kmers("k.tsv", PLANTED)
    succeeds("motif", "align", "--kmers", "k.tsv", "--out", "core.meme", "--name", "core")
    text = pathlib.Path("core.meme").read_text()
    for name, letters in (("poly", "CCCCCC"), ("ggac", "GGACUA"), ("shifted", "AAUGCAUG"), ("reverse", "CAUGCA")):
        rows = [" ".join(str(int(b == c)) for c in "ACGU") for b in letters]
        text += f"\nMOTIF {name}\nletter-probability matrix: alength= 4 w= {len(rows)}\n" + "\n".join(rows) + "\n"
    pathlib.Path("targets.meme").write_text(text)
    match = ("motif", "match", "--query", "core.meme", "--targets", "targets.meme")
    for score in ("pearson", "euclidean"):
        out, _ = succeeds(*match, "--score", score)
        rows = matches(out)
        equal(list(rows[0]), ["query", "target", "offset", "overlap", "orientation", "score", "p", "e", "q"], "columns")
        equal([r["target"] for r in rows[:2]], ["core", "shifted"], f"best first by {score}")
        equal((rows[0]["query"], rows[0]["offset"], rows[0]["orientation"]), ("core", "0", "+"), "itself in place")
        equal(int(rows[0]["overlap"]), len(columns("core.meme")), "over its whole width")
        equal(len(rows), 5, "a row a target")
        p = [float(r["p"]) for r in rows]
        equal(p, sorted(p), "best first")
        for r in rows:
            check(abs(float(r["e"]) - 5 * float(r["p"])) < 1e-12, f"E is p times the targets: {r}")
            check(0 < float(r["p"]) <= float(r["q"]) + 1e-12 and float(r["q"]) <= 1, f"p and q: {r}")
    out, _ = succeeds(*match, "--top", 2, "--out", "best/m.tsv")
    equal((out, len(table("best/m.tsv"))), ("", 2), "two rows in a file")
    equal(succeeds(*match, "--top", 0)[0], succeeds(*match)[0], "all rows")
    query = ("motif", "match", "--targets", "targets.meme", "--query")
    rows = matches(succeeds(*query, "targets.meme:reverse", "--both-strands", "--top", 0)[0])
    equal((rows[0]["target"], rows[0]["orientation"]), ("reverse", "+"), "a motif of a file by its name")
    place = {r["target"]: r["orientation"] for r in rows}
    equal(place["shifted"], "-", "UGCAUG is CAUGCA on the other strand")
    os.rename("core.meme", "a:b.meme")
    equal(matches(succeeds(*query, "a:b.meme")[0])[0]["target"], "core", "a file with a colon in its name")
    refuses(1, ["targets.meme", "5 motifs", "FILE:NAME", "core"], *query, "targets.meme")
    refuses(1, ["targets.meme", "'none'", "core"], *query, "targets.meme:none")


@test
def refused_tables():
    out = ("--out", "o/x.meme")
    good = PLANTED[:4]
    cases = [
        ("header", good, "UGCAUG\t3\t0.1", ["header.tsv:1"]),
        ("no_se", good, "kmer\teffect", ["no_se.tsv:1", "se"]),
        ("letter", [*good, ("UGCAXG", 1)], None, ["letter.tsv:6:5", "X", "A, C, G, U or T"]),
        ("unknown", [*good, ("UGCANG", 1)], None, ["unknown.tsv:6:5", "N"]),
        ("shorter", [*good, ("UGCA", 1)], None, ["shorter.tsv:6:1", "4 letters", "6"]),
        ("blank", [*good, ("", 1)], None, ["blank.tsv:6:1"]),
        ("twice", [*good, ("TGCATG", 1)], None, ["twice.tsv:6:1", "TGCATG", "once"]),
        ("word", [*good, ("AAAAAA", "high")], None, ["word.tsv:6:8", "high"]),
        ("missing", [*good, ("AAAAAA", "nan")], None, ["missing.tsv:6:8", "nan"]),
        ("error", [*good, ("AAAAAA", 1, "wide")], None, ["error.tsv:6:10", "wide"]),
        ("ragged", [*good, ("AAAAAA\t2", 1)], None, ["ragged.tsv:6"]),
        ("rows", [], None, ["rows.tsv:2", "no k-mers"]),
        ("negative", [("AAAAAA", -1), ("CCCCCC", -2)], None, ["negative.tsv", "positive"]),
    ]
    for name, rows, header, fragments in cases:
        write_kmers(f"t/{name}.tsv", rows, header or "kmer\teffect\tse")
        refuses(1, fragments, "motif", "align", "--kmers", f"t/{name}.tsv", *out)
    pathlib.Path("t/empty.tsv").touch()
    refuses(1, ["empty.tsv:1"], "motif", "align", "--kmers", "t/empty.tsv", *out)
    refuses(1, ["nowhere.tsv"], "motif", "align", "--kmers", "t/nowhere.tsv", *out)
    write_kmers("t/k.tsv", good)
    refuses(1, ["--name two words"], "motif", "align", "--kmers", "t/k.tsv", *out, "--name", "two words")
    equal(os.listdir("."), ["t"], "files after refusals")


@test
def refused_motifs_and_flags():
    write_kmers("k.tsv", PLANTED)
    align = ("motif", "align", "--kmers", "k.tsv", "--out")
    succeeds(*align, "core.meme")
    succeeds(*align, "core.tsv")
    pathlib.Path("bad.meme").write_text(pathlib.Path("core.meme").read_text().replace("E= 0\n", "E= 0\n 0.5 x 0 0\n"))
    before = sorted(os.listdir("."))
    convert = ("motif", "convert", "--input")
    refuses(1, ["bad.meme:12", "'x'"], *convert, "bad.meme", "--out", "o/x.jaspar")
    refuses(1, ["core.tsv:1", "MEME"], *convert, "core.tsv", "--out", "o/x.jaspar")
    refuses(1, ["nowhere.meme"], *convert, "nowhere.meme", "--out", "o/x.jaspar")
    refuses(1, ["core.tsv", "exists already"], *convert, "core.meme", "--out", "core.tsv")
    refuses(1, ["core.meme", "exists already"], *align, "core.meme")
    match = ("motif", "match", "--query", "core.meme", "--targets")
    refuses(1, ["nowhere.meme"], *match, "nowhere.meme", "--out", "o/m.tsv")
    refuses(1, ["bad.meme:12"], *match, "bad.meme", "--out", "o/m.tsv")
    refuses(1, ["core.tsv", "exists already"], *match, "core.meme", "--out", "core.tsv")
    wide = "MEME version 4\n\nMOTIF wide\nletter-probability matrix: alength= 4 w= 101\n" + "1 0 0 0\n" * 101
    pathlib.Path("wide.meme").write_text(wide)
    refuses(1, ["wide.meme", "wide", "101", "100"], *match, "wide.meme")
    for arguments, fragments in [
        (("motif",), ["ubcommand"]),
        (("motif", "algin"), ["algin"]),
        ((*align, "x.png"), ["x.png", ".meme", "--format"]),
        ((*align, "x"), ["--out x", "--format"]),
        ((*align, "x.meme", "--format", "homer"), ["--format", "homer"]),
        ((*align, "x.meme", "--top", "-1"), ["--top"]),
        ((*align, "x.meme", "--nme", "a"), ["unknown flag '--nme'", "'--name'"]),
        (("motif", "align", "--out", "x.meme"), ["--kmers is required"]),
        ((*convert, "core.meme", "--out", "x.txt"), ["x.txt", ".jaspar"]),
        ((*match, "core.meme", "--score", "cosine"), ["--score", "cosine"]),
        ((*match, "core.meme", "--min-overlap", "0"), ["--min-overlap"]),
    ]:
        refuses(2, [*fragments, "--help"], *arguments)
    equal(sorted(os.listdir(".")), sorted([*before, "wide.meme"]), "files after refusals")
    succeeds(*align, "core.meme", "--overwrite", "--top", 3)
    succeeds(*convert, "core.meme", "--out", "core.tsv", "--overwrite")


cli.main()

"""Pictures of what the other commands write: every kind in every format, and inputs that cannot be drawn."""
import pathlib
import struct
import xml.etree.ElementTree as tree

import cli
from cli import check, equal, refuses, simulate, succeeds, table, test

GIA = ("--input", "gia/effects.tsv", "--model", "SIM00001")
SVG = "{http://www.w3.org/2000/svg}"


def make_tables():
    """One small model, and every table that a picture is made of."""
    simulate("sim", probes=800)
    succeeds("train", "--data", "sim", "--out", "models", "--epochs", 2, *cli.SMALL, "--progress", "none")
    model = ("--model", "models/SIM00001")
    succeeds("gia", "all", "--models", "models", "--data", "sim", "--out", "gia", "--null-n", 20, "--k", 4, "--progress", "none")
    rows = table("sim/sequences.tsv")[:2]
    pathlib.Path("two.fa").write_text("".join(f">s{i}\n{row['seq']}\n" for i, row in enumerate(rows)))
    succeeds("ism", *model, "--input", "two.fa", "--out", "ism.npz", "--tsv", "ism.tsv", "--progress", "none")
    succeeds("ism", *model, "--input", "two.fa", "--out", "grad.npz", "--tsv", "grad.tsv", "--method", "gradient",
             "--progress", "none")
    succeeds("fold", "--input", "two.fa", "--out", "fold.tsv")
    succeeds("scan", *model, "--k", 4, "--null-n", 20, "--top", 0, "--out", "scan.tsv")
    succeeds("motif", "align", "--kmers", "scan.tsv", "--out", "motif.meme")
    succeeds("evaluate", "--data", "sim", "--models", "models", "--out", "metrics.tsv", "--predictions", "predictions.tsv")


def kinds():
    return [
        ("logo", "--input", "motif.meme"),
        ("ism", "--input", "ism.tsv", "--sequence", "s1", "--structure", "fold.tsv"),
        ("ism", "--input", "grad.tsv", "--sequence", "s0", "--heights", "signed", "--alphabet", "dna"),
        ("mutate", *GIA),
        ("kmers", "--input", "scan.tsv", "--top", 7),
        ("kmers", "--input", "gia/kmers/SIM00001.tsv", "--colours", "colourblind"),
        ("effects", *GIA, "--experiment", "hairpin"),
        ("effects", "--input", "gia/effects.tsv", "--experiment", "gc"),
        ("sites", *GIA),
        ("spacing", *GIA),
        ("position", *GIA),
        ("gc", *GIA),
        ("fold", "--input", "fold.tsv", "--sequence", "s1"),
        ("history", "--input", "models/SIM00001/history.tsv"),
        ("history", "--input", *["models/SIM00001/history.tsv"] * 3, "--names", "a,b"),
        ("scatter", "--input", "predictions.tsv", "--motif", "ugn"),
        ("experiments", "--input", "metrics.tsv", "metrics.tsv:spearman", "--names", "Pearson & co,<Spearman>"),
        ("compare", "--input", "metrics.tsv:pearson", "metrics.tsv:spearman"),
    ]


@test
def every_kind_in_every_format():
    make_tables()
    for i, arguments in enumerate(kinds()):
        name = f"pictures/{i}-{arguments[0]}"
        for ending in ("svg", "png", "pdf"):
            out, err = succeeds("plot", *arguments, "--out", f"{name}.{ending}", "--title", 'A title with <, > & "')
            equal((out, err), ("", ""), f"{name}: says nothing")
        root = tree.fromstring(cli.read(f"{name}.svg"))
        equal(root.tag, SVG + "svg", f"{name}: the root")
        width, height = float(root.get("width")), float(root.get("height"))
        texts = [element.text for element in root.iter(SVG + "text")]
        check('A title with <, > & "' in texts, f"{name}: its title is text: {texts[:3]}")
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        equal(len(ids), len(set(ids)), f"{name}: ids")
        for use in root.iter(SVG + "use"):
            check(use.get("href")[1:] in ids, f"{name}: {use.get('href')} is defined")
        png = cli.read(f"{name}.png")
        equal(png[:8], b"\x89PNG\r\n\x1a\n", f"{name}: PNG")
        for found, points in zip(struct.unpack(">II", png[16:24]), (width, height)):
            check(2 * points - 0.02 <= found < 2 * points + 1.02, f"{name}: {found} pixels for {points} points")
        pdf = cli.read(f"{name}.pdf")
        check(pdf.startswith(b"%PDF-1.") and pdf.rstrip().endswith(b"%%EOF"), f"{name}: PDF")
        for ending in ("svg", "png", "pdf"):
            succeeds("plot", *arguments, "--out", f"again.{ending}", "--title", 'A title with <, > & "', "--overwrite")
            equal(cli.read(f"again.{ending}") == cli.read(f"{name}.{ending}"), True, f"{name}.{ending}: the same bytes")


@test
def predictions_of_evaluate():
    make_tables()
    rows, metrics = table("predictions.tsv"), table("metrics.tsv")[0]
    equal(list(rows[0]), ["experiment", "row", "sequence", "measured", "predicted"], "columns")
    equal(str(len(rows)), metrics["n"], "rows that have a measured value")
    sequences = table("sim/sequences.tsv")
    for row in rows[:50]:
        equal(row["sequence"], sequences[int(row["row"])]["seq"], "the row's sequence")
        equal(sequences[int(row["row"])]["Fold ID"], "B", "a row of the test set")
    x, y = [[float(row[name]) for row in rows] for name in ("measured", "predicted")]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    pearson = covariance / (sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)) ** 0.5
    check(abs(pearson - float(metrics["pearson"])) < 1e-5, f"Pearson of the rows {pearson}: {metrics['pearson']}")
    refuses(1, ["predictions.tsv", "exists already"], "evaluate", "--data", "sim", "--models", "models", "--predictions",
            "predictions.tsv")
    succeeds("evaluate", "--data", "sim", "--models", "models", "--predictions", "dna.tsv", "--alphabet", "dna")
    check(all("U" not in row["sequence"] for row in table("dna.tsv")), "DNA letters")
    succeeds("train", "--data", "sim", "--out", "two", "--epochs", 1, "--replicates", 2, *cli.SMALL, "--progress", "none")
    succeeds("evaluate", "--data", "sim", "--models", "two", "--predictions", "each.tsv")
    equal(len(table("each.tsv")), 2 * len(rows), "rows of two models")
    equal(len({row["model"] for row in table("each.tsv")}), 2, "their names")
    succeeds("evaluate", "--data", "sim", "--models", "two", "--ensemble", "--predictions", "mean.tsv")
    each, mean = table("each.tsv"), table("mean.tsv")
    for i in (0, 5, len(mean) - 1):
        both = [float(each[k]["predicted"]) for k in (i, i + len(mean))]
        check(abs(float(mean[i]["predicted"]) - sum(both) / 2) < 1e-5, "the mean of both")


def words(name):
    return [element.text for element in tree.fromstring(cli.read(name)).iter(SVG + "text")]


@test
def strongest_kmers_in_either_alphabet():
    rows = [("UGCA", 1), ("AUUA", 3), ("CCCC", "nan"), ("GAUC", 2)]
    pathlib.Path("k.tsv").write_text("kmer\teffect\tse\n" + "".join(f"{k}\t{e}\t0.1\n" for k, e in rows))
    succeeds("plot", "kmers", "--input", "k.tsv", "--top", 2, "--out", "k.svg")
    found = [word for word in words("k.svg") if word in ("UGCA", "AUUA", "CCCC", "GAUC")]
    equal(sorted(found), ["AUUA", "GAUC"], "the two strongest, in whatever order the table has them")
    succeeds("plot", "kmers", "--input", "k.tsv", "--out", "d.svg", "--alphabet", "dna")
    check({"TGCA", "ATTA", "GATC"} <= set(words("d.svg")), "DNA letters")
    pathlib.Path("e.tsv").write_text(EFFECTS + effect(label="UGU") + effect(label="left UTR", x="2"))
    succeeds("plot", "effects", "--input", "e.tsv", "--experiment", "sites", "--out", "e.svg", "--alphabet", "dna")
    check({"TGT", "left UTR"} <= set(words("e.svg")), "sequences alone change letters")


@test
def columns_of_tables_have_names():
    for folder in ("a", "b"):
        pathlib.Path(folder).mkdir()
        pathlib.Path(f"{folder}/m.tsv").write_text("experiment\tpearson\tspearman\nX\t0.5\t0.4\nY\t0.6\t0.7\n")
    succeeds("plot", "compare", "--input", "a/m.tsv", "a/m.tsv:spearman", "--out", "c.svg")
    check({"pearson, spearman, pearson", "pearson, spearman, spearman"} <= set(words("c.svg")), f"{words('c.svg')}")
    succeeds("plot", "experiments", "--input", "a/m.tsv", "b/m.tsv", "--out", "f.svg")
    check({"a", "b", "pearson"} <= set(words("f.svg")), f"folders where files have one name: {words('f.svg')}")
    succeeds("plot", "experiments", "--input", "a/m.tsv:spearman", "b/m.tsv:spearman", "--out", "s.svg")
    check("spearman" in words("s.svg") and "pearson" not in words("s.svg"), "the axis says what is drawn")


@test
def boxes_of_local_effects():
    make_tables()
    effects = ("plot", "effects", *GIA, "--experiment", "hairpin", "--out")
    succeeds(*effects, "boxes.svg")
    whole = cli.read("gia/local.npz")
    pathlib.Path("gia/local.npz").unlink()
    succeeds(*effects, "points.svg")
    check(len(cli.read("boxes.svg")) > len(cli.read("points.svg")) + 1000, "boxes are drawn")
    for broken in (b"", b"PK", whole[:len(whole) // 2], whole[:-9] + bytes(9)):
        pathlib.Path("gia/local.npz").write_bytes(broken)
        refuses(1, ["local.npz"], *effects, "broken.svg")


@test
def fold_draws_one_sequence():
    pathlib.Path("one.fa").write_text(">x\nGGGCAAAAGCCC\n")
    succeeds("fold", "--input", "one.fa", "--out", "one.tsv", "--plot", "a.svg")
    succeeds("plot", "fold", "--input", "one.tsv", "--out", "b.svg", "--title", "x")
    equal(cli.read("a.svg"), cli.read("b.svg"), "fold --plot and plot fold")
    pathlib.Path("two.fa").write_text(">x\nGGGCAAAAGCCC\n>y\nAC\n")
    refuses(1, ["two.fa", "2 sequences", "expected one"], "fold", "--input", "two.fa", "--plot", "c.svg")
    refuses(1, ["a.svg", "exists already"], "fold", "--input", "one.fa", "--plot", "a.svg")
    refuses(2, ["--plot", "x.gif"], "fold", "--input", "one.fa", "--plot", "x.gif")


@test
def motif_logo_is_the_same_picture():
    pathlib.Path("m.meme").write_text("MEME version 4\n\nMOTIF x\nletter-probability matrix: w= 2\n1 0 0 0\n0.2 0.3 0.1 0.4\n")
    succeeds("plot", "logo", "--input", "m.meme", "--out", "a.svg")
    succeeds("motif", "logo", "--input", "m.meme:x", "--out", "b.svg")
    equal(cli.read("a.svg"), cli.read("b.svg"), "plot logo and motif logo")
    succeeds("plot", "logo", "--input", "m.meme", "--out", "t.svg", "--alphabet", "dna")
    check(b"p-T" in cli.read("t.svg") and b"p-U" not in cli.read("t.svg"), "T for U")
    succeeds("plot", "logo", "--input", "m.meme", "--out", "c.svg", "--colours", "colourblind")
    check(cli.read("c.svg") != cli.read("a.svg"), "other colours")
    succeeds("plot", "logo", "--input", "m.meme", "--out", "s.png", "--dpi", 72)
    svg = tree.fromstring(cli.read("a.svg"))
    equal(struct.unpack(">II", cli.read("s.png")[16:24])[0], round(float(svg.get("width"))), "a pixel a point")


@test
def wrong_usage():
    pathlib.Path("m.meme").write_text("MEME version 4\n\nMOTIF x\nletter-probability matrix: w= 1\n1 0 0 0\n")
    logo = ("plot", "logo", "--input", "m.meme", "--out")
    refuses(2, ["subcommand"], "plot")
    refuses(2, ["pie"], "plot", "pie")
    refuses(2, ["--input"], "plot", "logo", "--out", "x.svg")
    for name in ("x.gif", "x", "svg", "x.svg.gz"):
        refuses(2, [name, ".svg", ".png", ".pdf"], *logo, name)
    refuses(2, ["--colours", "pink"], *logo, "x.svg", "--colours", "pink")
    refuses(2, ["--dpi"], *logo, "x.png", "--dpi", 0)
    refuses(2, ["--experiment"], "plot", "effects", "--input", "e.tsv", "--out", "x.svg")
    refuses(2, ["expected two"], "plot", "compare", "--input", "m.meme", "--out", "x.svg")
    succeeds(*logo, "x.svg")
    refuses(1, ["x.svg", "exists already", "--overwrite"], *logo, "x.svg")
    pathlib.Path("folder.svg").mkdir()
    refuses(1, ["folder.svg", "is a folder"], *logo, "folder.svg", "--overwrite")
    refuses(1, ["m.meme"], *logo, "m.meme/x.svg")
    check(not pathlib.Path("x.gif").exists(), "nothing is written")


EFFECTS = "model\texperiment\tkind\tlabel\tpattern\tx\tn\tmean\tsd\tci_low\tci_high\tt\tp\tq\twilcoxon_p\tleft_out\n"


def effect(model="M", experiment="sites", kind="effect", label="1 site", x="1", mean="2", low="1", high="3", q="0.5"):
    return "\t".join((model, experiment, kind, label, label, x, "9", mean, "1", low, high, "inf", "0", q, "nan", "0")) + "\n"


@test
def inputs_that_cannot_be_drawn():
    def write(name, content):
        pathlib.Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def fails(fragments, kind, content, *more):
        refuses(1, fragments, "plot", kind, "--input", write("in.tsv", content), "--out", "x.svg", *more)
        check(not pathlib.Path("x.svg").exists(), f"{kind}: nothing is written")

    refuses(1, ["none.tsv"], "plot", "history", "--input", "none.tsv", "--out", "x.svg")
    history = "epoch\tlearning_rate\ttrain_loss\tvalid_loss\tvalid_pearson\tbest\n"
    fails(["in.tsv:1:1", "empty"], "history", "")
    fails(["in.tsv", "nothing to draw", "epoch"], "history", history)
    fails(["no column 'epoch'"], "history", "a\tb\n1\t2\n")
    fails(["in.tsv:2:", "6 as in the header"], "history", history + "1\t2\n")
    fails(["in.tsv:2", "'many'", "train_loss"], "history", history + "1\t0.1\tmany\t1\t1\t1\n")
    fails(["in.tsv:1:"], "history", b"\x00\x01\x02\xff" * 100)
    fails(["each column's name once"], "history", "epoch\tepoch\n1\t1\n")
    fails(["has 2 in its column model", "--model", "A, B"], "sites", EFFECTS + effect(model="A") + effect(model="B"))
    fails(["has no model 'C'", "A"], "sites", EFFECTS + effect(model="A"), "--model", "C")
    fails(["has no experiment 'sites'", "gc"], "sites", EFFECTS + effect(experiment="gc"))
    fails(["has no rows"], "sites", EFFECTS)
    fails(["nothing to draw"], "sites", EFFECTS + effect(x="", mean="nan"))
    fails(["has no motif"], "mutate", EFFECTS + effect(experiment="mutate"))
    fails(["no column 'se'"], "kmers", "kmer\teffect\nA\t1\n")
    fails(["position 1", "no probabilities"], "fold", FOLD + "a\t1\tA\t3\t0\t0\t0\t0\n")
    fails(["position 1", "expected a sum of 1"], "fold", FOLD + "a\t1\tA\t3\t-2\t0\t0\t0\n")
    fails(["nothing to draw", "one effect"], "ism", "name\tposition\twild\tletter\teffect\na\t0\tA\tC\tnan\n")
    fails(["nothing to draw", "k-mer"], "kmers", "kmer\teffect\tse\n")
    fails(["several sequences", "--sequence"], "fold", FOLD + "a\t1\tA\t1\t0\t0\t0\t0\nb\t1\tA\t1\t0\t0\t0\t0\n")
    fails(["no sequence 'z'"], "fold", FOLD + "a\t1\tA\t1\t0\t0\t0\t0\n", "--sequence", "z")
    fails(["has no rows"], "fold", FOLD)
    for position in ("0", "1.5", "1e9", "-3", "nan"):
        fails(["position", "whole numbers"], "fold", FOLD + f"a\t{position}\tA\t1\t0\t0\t0\t0\n")
    fails(["'X'", "A, C, G, U or N"], "fold", FOLD + "a\t1\tX\t1\t0\t0\t0\t0\n")
    fails(["no column 'measured'"], "scatter", "a\tb\n1\t2\n")
    fails(["nothing to draw", "pair"], "scatter", "measured\tpredicted\nnan\t2\n")
    fails(["no column 'sequence'"], "scatter", "measured\tpredicted\n1\t2\n", "--motif", "AC")
    fails(["--motif", "'1'"], "scatter", "measured\tpredicted\n1\t2\n", "--motif", "A1")
    fails(["has 2 in its column experiment", "--experiment", "A, B"], "scatter", "experiment\tmeasured\tpredicted\nA\t1\t2\nB\t1\t2\n")
    fails(["has no experiment 'C'"], "scatter", "experiment\tmeasured\tpredicted\nA\t1\t2\n", "--experiment", "C")
    fails(["no column 'pearson'"], "experiments", "experiment\tn\nA\t1\n")
    fails(["nothing to draw"], "experiments", "experiment\tpearson\nA\tnan\n")
    fails(["in.tsv"], "logo", "nonsense\n")
    structure = write("fold.tsv", FOLD + "a\t1\tG\t1\t0\t0\t0\t0\n")
    ism = "name\tposition\twild\tletter\teffect\na\t0\tA\tC\t1\n"
    fails(["other letters"], "ism", ism, "--structure", structure)


FOLD = "name\tposition\tbase\tpaired\thairpin\tinternal\tmulti\texternal\n"


@test
def strange_values_are_drawn():
    def draws(kind, content, *more):
        pathlib.Path("in.tsv").write_text(content)
        for ending in ("svg", "png", "pdf"):
            succeeds("plot", kind, "--input", "in.tsv", "--out", f"x.{ending}", "--overwrite", *more)
        text = cli.read("x.svg").decode()
        tree.fromstring(text)
        check("nan" not in text.lower().replace("nancy", "") and "inf" not in text, f"{kind}: no number is missing")

    rows = "".join(effect(label=f"{i} <sites> & \u00e9", x=str(i), mean=m, low=low, high=high)
                   for i, (m, low, high) in enumerate([("1e38", "-1e38", "3e38"), ("nan", "nan", "nan"), ("0", "-inf", "inf"), ("1e-40", "0", "0")]))
    draws("sites", EFFECTS + rows)
    draws("effects", EFFECTS + rows, "--experiment", "sites")
    draws("sites", EFFECTS + effect())
    draws("history", "epoch\tlearning_rate\ttrain_loss\tvalid_loss\tvalid_auroc\tbest\n1\t0.1\tnan\tinf\t0.5\t1\n")
    draws("scatter", "measured\tpredicted\tsequence\n1\t2\tACGU\n1\t2\tAC\n", "--motif", "RY")
    draws("kmers", "kmer\teffect\tse\tn\nAC\t-1\t0.1\t1\nCA\t-1\tnan\t5\n")
    draws("experiments", "experiment\tpearson\n" + "".join(f"{'x' * 90}{i}\t0.5\n" for i in range(244)))
    draws("fold", FOLD + "a\t3\tT\t9\t-1\tnan\t0\t0\n")
    draws("ism", "name\tposition\twild\tletter\teffect\na\t2\tA\tC\t1e30\na\t2\tA\tG\t\n", "--heights", "signed")


cli.main()

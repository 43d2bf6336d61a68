#!/usr/bin/env python3
"""Makes docs/gallery.md and docs/gallery/*.svg from simulated data: docs/make_gallery.py [--binary FILE] [--work FOLDER].

Everything that the pictures show is simulated, trained and asked here, in about three minutes on two cores, into --work.
"""
import argparse
import os
import pathlib
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent

# picture, kind, arguments, what it shows.
PICTURES = [
    ("logo", "logo", "--input motif.meme --title SIM00001",
     "The alignment motif of a model's strongest 6-mers, in bits. Also `motif logo`."),
    ("logo-dna", "logo", "--input motif.meme --title SIM00001 --alphabet dna --colours colourblind",
     "The same as DNA, in colours that the colour-blind can tell."),
    ("ism", "ism", "--input ism.tsv --sequence bound --structure fold.tsv",
     "What every substitution in one sequence does to its prediction: the L2 norm as a logo, single effects as a map (dots: the "
     "sequence's own letters), and the probable structure below."),
    ("gradient", "ism", "--input gradient.tsv --sequence bound --heights signed",
     "The prediction's gradients; letters that speak against binding hang upside down."),
    ("mutate", "mutate", "--input gia/effects.tsv --model SIM00001",
     "The motif's single-letter mutants in null sequences, against the motif."),
    ("kmers", "kmers", "--input gia/kmers/SIM00001.tsv --top 15", "The strongest 6-mers with 95 % intervals."),
    ("hairpin", "effects", "--input gia/effects.tsv --model SIM00001 --experiment hairpin",
     "The motif in a hairpin's loop and stem, beside controls; paired tests, Benjamini-Hochberg's q."),
    ("sites", "sites", "--input gia/effects.tsv --model SIM00001", "One, two, three sites and the line through them."),
    ("spacing", "spacing", "--input gia/effects.tsv --model SIM00001", "Two sites at every distance."),
    ("position", "position", "--input gia/effects.tsv --model SIM00001", "The motif at six places."),
    ("gc", "gc", "--input gia/effects.tsv --model SIM00001", "GC content beside the motif, one model."),
    ("gc-models", "gc", "--input gia/effects.tsv", "The difference between its two sides over all models."),
    ("fold", "fold", "--input fold.tsv --sequence bound", "How a sequence folds. Also `fold --plot FILE`."),
    ("history", "history", "--input models/SIM00001/history.tsv",
     "Learning curves; dashed: where the learning rate falls, and to what."),
    ("histories", "history", "--input " + " ".join(f"models/SIM0000{i}/history.tsv" for i in range(1, 5)),
     "Those of several models."),
    ("scatter", "scatter", "--input predictions.tsv --experiment SIM00001 --motif {motif}",
     "Predicted against measured scores of the test set; probes with the motif are coloured, many others shown by their density."),
    ("experiments", "experiments", "--input metrics.tsv short.tsv --names trained,10-epochs",
     "Pearson correlations over experiments, and Wilcoxon's test between neighbours."),
    ("compare", "compare", "--input metrics.tsv short.tsv --names trained,10-epochs",
     "The same two tables, experiment by experiment."),
]


def run(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make_gallery.py: {' '.join(map(str, arguments))}: {done.stderr.strip()}")


def make_tables(binary):
    network = ("--filters", 32, "--hidden", 64, "--progress", "none")
    run(binary, "simulate", "--out", "sim", "--experiments", 8, "--probes", 12000)
    run(binary, "train", "--data", "sim", "--experiment", "all", "--out", "models", "--epochs", 40, "--decay-patience", 3, *network)
    run(binary, "train", "--data", "sim", "--experiment", "all", "--out", "short", "--epochs", 10, *network)
    for name in ("models", "short"):
        out = "metrics.tsv" if name == "models" else "short.tsv"
        run(binary, "evaluate", "--data", "sim", "--models", name, "--out", f"{name}-eval/metrics.tsv")
        pathlib.Path(out).write_bytes(pathlib.Path(f"{name}-eval/metrics.tsv").read_bytes())
    run(binary, "evaluate", "--data", "sim", "--models", "models", "--predictions", "predictions.tsv")
    run(binary, "gia", "all", "--models", "models", "--out", "gia", "--null-n", 300, "--progress", "none")
    model = ("--model", "models/SIM00001")
    run(binary, "motif", "align", "--kmers", "gia/kmers/SIM00001.tsv", "--out", "motif.meme")
    motif = pathlib.Path("gia/kmers/SIM00001.tsv").read_text().splitlines()[1].split("\t")[0]
    # The probe with the motif that was measured to bind best.
    rows = [line.split("\t") for line in pathlib.Path("predictions.tsv").read_text().splitlines()[1:]]
    best = max((r for r in rows if r[0] == "SIM00001" and motif in r[2]), key=lambda r: float(r[3]))
    pathlib.Path("bound.fa").write_text(f">bound\n{best[2]}\n")
    run(binary, "ism", *model, "--input", "bound.fa", "--out", "ism.npz", "--tsv", "ism.tsv", "--progress", "none")
    run(binary, "ism", *model, "--input", "bound.fa", "--out", "gradient.npz", "--tsv", "gradient.tsv", "--method", "gradient",
        "--progress", "none")
    run(binary, "fold", "--input", "bound.fa", "--out", "fold.tsv")
    return motif


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=DOCS.parent / "build/release/bin/residualbind")
    parser.add_argument("--work", default=DOCS.parent / "out/gallery")
    arguments = parser.parse_args()
    binary, work = pathlib.Path(arguments.binary).resolve(), pathlib.Path(arguments.work)
    if work.exists() and any(work.iterdir()):
        sys.exit(f"make_gallery.py: {work} is not empty; expected a new folder, or none")
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    motif = make_tables(binary)
    page = ["# Gallery", "",
            "Every picture of `residualbind plot`, made by `docs/make_gallery.py` from simulated data with small networks, trained for",
            "seconds: what they show of biology is what `simulate` planted. PNG and PDF look the same. Flags: docs/cli.md."]
    (DOCS / "gallery").mkdir(exist_ok=True)
    for name, kind, flags, text in PICTURES:
        flags = flags.format(motif=motif)
        run(binary, "plot", kind, *flags.split(), "--out", DOCS / "gallery" / f"{name}.svg", "--overwrite")
        page += ["", f"## {name}", "", text, "", f"![{name}](gallery/{name}.svg)", "", f"`residualbind plot {kind} {flags} --out {name}.svg`"]
    (DOCS / "gallery.md").write_text("\n".join(page) + "\n")
    size = sum(path.stat().st_size for path in (DOCS / "gallery").glob("*.svg"))
    print(f"{len(PICTURES)} pictures, {size / 1000:.0f} kB")
    if size > 600_000:
        sys.exit("make_gallery.py: the pictures take more than 600 kB; expected at most that")


main()

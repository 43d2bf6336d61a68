"""Malformed inputs: exit code 1, exactly one line that names the file and the place, and no output left behind."""
import gzip
import lzma
import os
import pathlib

import cli
from cli import check, refuses, simulate, succeeds, test

LETTERS = "ACGU"


def probes(n=120):
    rows = []
    for i in range(n):
        bases = "".join(LETTERS[(i * 7 + j * (i + 3) + j * j) % 4] for j in range(30 + i % 12))
        rows.append((("A", "B")[i % 2], bases, f"{1 + (i * 29 % 113) / 8:.3f}"))
    return rows


def write_tables(folder, rows, sequences_header="Fold ID\tseq", targets_header="E1"):
    os.makedirs(folder, exist_ok=True)
    s = [sequences_header] + ["\t".join(r[:2]) for r in rows]
    t = [targets_header] + [r[2] for r in rows]
    pathlib.Path(folder, "sequences.tsv").write_text("\n".join(s) + "\n")
    pathlib.Path(folder, "targets.tsv").write_text("\n".join(t) + "\n")


def refused_everywhere(path, *fragments):
    """train and prepare refuse the data alike and leave nothing behind."""
    before = sorted(os.listdir("."))
    refuses(1, fragments, "train", "--data", path, "--experiment", "all", "--out", "models", "--epochs", 1, *cli.SMALL)
    refuses(1, fragments, "prepare", "--data", path, "--out", "out/data.h5")
    cli.equal(sorted(os.listdir(".")), before, f"files after refusing {path}")


@test
def good_tables_are_accepted():
    write_tables("good", probes())
    succeeds("train", "--data", "good", "--out", "m", "--epochs", 1, *cli.SMALL)
    check(pathlib.Path("m/E1/model.safetensors").exists(), "a model was written")


@test
def cells():
    for name, change, fragments in [
        ("letter", lambda r: (r[0], r[1][:4] + "X" + r[1][5:], r[2]), ["sequences.tsv:6:7", "X"]),
        ("gap", lambda r: (r[0], "", r[2]), ["sequences.tsv:6"]),
        ("long", lambda r: (r[0], r[1] * 3, r[2]), ["sequences.tsv:6", "41"]),
        ("fold", lambda r: ("C", r[1], r[2]), ["sequences.tsv:6:1", "C"]),
        ("ragged", lambda r: (r[0] + "\tx", r[1], r[2]), ["sequences.tsv:6"]),
        ("word", lambda r: (r[0], r[1], "high"), ["targets.tsv:6:1", "high"]),
        ("infinity", lambda r: (r[0], r[1], "inf"), ["targets.tsv:6:1", "inf"]),
        ("overflow", lambda r: (r[0], r[1], "1e99"), ["targets.tsv:6:1", "1e99"]),
        ("ragged_target", lambda r: (r[0], r[1], "1\t2"), ["targets.tsv:6"]),
    ]:
        rows = probes()
        rows[4] = change(rows[4])
        write_tables(name, rows)
        refused_everywhere(name, *fragments)


@test
def headers_and_shapes():
    write_tables("unknown_column", probes(), sequences_header="Fold ID\tletters")
    refused_everywhere("unknown_column", "sequences.tsv:1")
    write_tables("twice", [(a, b, f"{c}\t{c}") for a, b, c in probes()], targets_header="E1\tE1")
    refused_everywhere("twice", "targets.tsv:1", "E1")
    write_tables("empty_experiment", [(a, b, f"{c}\t") for a, b, c in probes()], targets_header="E1\tE2")
    refused_everywhere("empty_experiment", "E2")
    write_tables("constant", [(a, b, "1.5") for a, b, c in probes()])
    refused_everywhere("constant", "E1")
    write_tables("shorter", probes())
    lines = pathlib.Path("shorter/targets.tsv").read_text().splitlines()
    pathlib.Path("shorter/targets.tsv").write_text("\n".join(lines[:-3]) + "\n")
    refused_everywhere("shorter", "targets.tsv")
    write_tables("no_set_a", [("B", b, c) for a, b, c in probes()])
    refused_everywhere("no_set_a")
    write_tables("escape", probes(), targets_header="../E1")
    refuses(1, ["folder"], "train", "--data", "escape", "--out", "models", "--epochs", 1, *cli.SMALL)
    check(not pathlib.Path("E1").exists(), "an experiment's name cannot leave the output folder")


@test
def files():
    refused_everywhere("nowhere", "nowhere")
    os.makedirs("empty_folder")
    refused_everywhere("empty_folder", "empty_folder", "sequences.tsv")
    open("empty.tsv", "w").close()
    refused_everywhere("empty.tsv", "empty.tsv")
    write_tables("target_folder", probes())
    os.remove("target_folder/targets.tsv")
    os.makedirs("target_folder/targets.tsv")
    refused_everywhere("target_folder", "targets.tsv")
    write_tables("zero", probes())
    open("zero/targets.tsv", "w").close()
    refused_everywhere("zero", "targets.tsv")
    pathlib.Path("noise.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 8)
    refused_everywhere("noise.h5", "noise.h5")
    pathlib.Path("binary.tsv").write_bytes(bytes(range(256)) * 8)
    refused_everywhere("binary.tsv", "binary.tsv")


@test
def truncated_archives():
    write_tables("plain", probes(400))
    text = cli.read("plain/targets.tsv")
    for ending, pack in ((".gz", gzip.compress), (".xz", lzma.compress)):
        folder = "cut" + ending[1:]
        write_tables(folder, probes(400))
        os.remove(f"{folder}/targets.tsv")
        packed = pack(text)
        pathlib.Path(folder, "targets.tsv" + ending).write_bytes(packed)
        succeeds("prepare", "--data", folder, "--out", f"ok{ending[1:]}/d.h5", "--progress", "none")
        for cut in (len(packed) // 2, len(packed) - 3):
            pathlib.Path(folder, "targets.tsv" + ending).write_bytes(packed[:cut])
            refused_everywhere(folder, "targets.tsv" + ending)


@test
def models_and_sequences():
    simulate("sim", probes=200)
    succeeds("train", "--data", "sim", "--out", "m", "--epochs", 1, *cli.SMALL)
    model = "m/SIM00001/model.safetensors"
    content = cli.read(model)
    fasta = b">a\nACGUACGUACGU\n>b\nACGU\n"
    refuses(1, ["nowhere"], "predict", "--models", "nowhere", "--input", "-", stdin=fasta)
    for name, data in [("cut", content[:-40]), ("short", content[:5]), ("empty", b""), ("noise", b"\xff" * 4096),
                       ("flipped", content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])]:
        pathlib.Path(name + ".safetensors").write_bytes(data)
        refuses(1, [name + ".safetensors"], "predict", "--models", name + ".safetensors", "--input", "-", stdin=fasta)
        refuses(1, [name + ".safetensors"], "model", "info", name + ".safetensors")
    predict = ("predict", "--models", model, "--input")
    refuses(1, ["missing.fa"], *predict, "missing.fa")
    refuses(1, ["sim"], *predict, "sim")
    for text, fragments in [(b">a\nACGZ\n", ["2:4", "Z"]), (b">a\nACGU\n>a\nACGU\n", ["3", "a"]), (b"", ["stdin"]),
                            (b">a\n>b\nACGU\n", ["a"]), (b"id\tname\nx\tACGU\n", [])]:
        refuses(1, fragments, *predict, "-", stdin=text)
        refuses(1, fragments, *predict, "-", "--out", "scores.tsv", stdin=text)
        check(not pathlib.Path("scores.tsv").exists(), "no scores of refused sequences")
    refuses(1, ["sim2"], "evaluate", "--data", "sim2", "--models", "m")
    pathlib.Path("other.tsv").write_text("experiment\tpearson\nSIM00001\thigh\n")
    refuses(1, ["other.tsv:2:10", "high"], "evaluate", "--data", "sim", "--models", "m", "--compare", "other.tsv")
    refuses(1, ["other.tsv", "rho"], "evaluate", "--data", "sim", "--models", "m", "--compare", "other.tsv",
            "--compare-column", "rho")


cli.main()

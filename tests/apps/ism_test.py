"""Attributions: maps of mutagenesis are the differences of what predict says of mutants that are written out; maps of
gradients hold what tfmodisco-lite takes."""
import ast
import hashlib
import math
import os
import pathlib
import struct
import zipfile

import cli
from cli import check, equal, load_json, refuses, simulate, succeeds, table, test

LETTERS = "ACGU"
SEQUENCES = {"full": "GGAUCUACGUAUGCAUCUAGGCUAUACGAUACGUUGCAACG",  # 41 letters, as many as the model's positions
             "short": "ACGUNNGCAUGUAACGAUCGGAUUACGCAUG",
             "even": "CCAGUAUGCAUGGACUUAGCAUCGAUCGAUGG"}
MODEL = "m/SIM00001/model.safetensors"


def train():
    simulate("sim", probes=300)
    succeeds("train", "--data", "sim", "--out", "m", "--epochs", 2, *cli.SMALL, "--progress", "none")


def fasta(sequences):
    return "".join(f">{name}\n{bases}\n" for name, bases in sequences.items()).encode()


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def parse(data):
    """One .npy: its shape and its values, row-major."""
    (size,) = struct.unpack("<H", data[8:10])
    header = ast.literal_eval(data[10:10 + size].decode())
    shape, kind, body = header["shape"], header["descr"], data[10 + size:]
    count = math.prod(shape)
    if kind in ("<f4", "<i8"):
        return shape, struct.unpack(f"<{count}{'f' if kind == '<f4' else 'q'}", body)
    width = 4 * int(kind[2:])
    return shape, [body[i * width:(i + 1) * width].decode("utf-32-le").rstrip("\0") for i in range(count)]


def load(path):
    with zipfile.ZipFile(path) as archive:
        return {name[:-4]: parse(archive.read(name)) for name in archive.namelist()}


def predictions(sequences):
    out, _ = succeeds("predict", "--models", MODEL, "--input", "-", stdin=fasta(sequences))
    return {name: f32(float(score)) for name, score in (line.split("\t") for line in out.splitlines()[1:])}


def mutant(bases, *substitutions):
    letters = list(bases)
    for position, letter in substitutions:
        letters[position] = letter
    return "".join(letters)


def single_mutants():
    return {(name, p, letter): mutant(bases, (p, letter)) for name, bases in SEQUENCES.items()
            for p, wild in enumerate(bases) for letter in LETTERS if wild != "N" and letter != wild}


def scored(mutants):
    """Predictions by the mutants' keys."""
    keys = list(mutants)
    scores = predictions({str(i): mutants[key] for i, key in enumerate(keys)})
    return {key: scores[str(i)] for i, key in enumerate(keys)}


@test
def effects_are_differences_of_predictions():
    train()
    pathlib.Path("in.fa").write_bytes(fasta(SEQUENCES))
    succeeds("ism", "--model", MODEL, "--input", "in.fa", "--out", "maps/x.npz", "--tsv", "maps/x.tsv")
    maps, wild, mutants = load("maps/x.npz"), predictions(SEQUENCES), scored(single_mutants())
    expected = {key: f32(score - wild[key[0]]) for key, score in mutants.items()}
    equal(maps["names"][1], list(SEQUENCES), "names")
    equal(maps["sequences"][1], list(SEQUENCES.values()), "sequences")
    equal(list(maps["predictions"][1]), list(wild.values()), "predictions")
    starts = maps["starts"][1]
    equal(list(starts), [(41 - len(bases)) // 2 for bases in SEQUENCES.values()], "starts")
    for name in ("effects", "one_hot", "hypothetical"):
        equal(maps[name][0], (3, 4, 41), f"shape of {name}")
    effects, one_hot, hypothetical, heights = [maps[n][1] for n in ("effects", "one_hot", "hypothetical", "heights")]
    differences, wrong = 0, 0
    for n, (name, bases) in enumerate(SEQUENCES.items()):
        for column in range(41):
            p = column - starts[n]
            letter = bases[p] if 0 <= p < len(bases) else "N"
            own = [expected.get((name, p, b), 0.0) for b in LETTERS]
            at = [(n * 4 + b) * 41 + column for b in range(4)]
            differences += sum(effects[i] != 0 for i in at)
            wrong += [effects[i] for i in at] != own
            wrong += [one_hot[i] for i in at] != [float(b == letter) for b in LETTERS]
            wrong += any(abs(hypothetical[i] - (e - sum(own) / 4)) > 1e-6 for i, e in zip(at, own))
            wrong += abs(heights[n * 41 + column] - math.sqrt(sum(e * e for e in own))) > 1e-6
    check(differences > 100, f"mutants differ from their wild types: {differences}")
    equal(wrong, 0, "positions where a map is not what the predictions say")
    rows = table("maps/x.tsv")
    equal([(r["name"], int(r["position"]), r["letter"]) for r in rows], list(mutants), "rows of the table")
    equal([f32(float(r["effect"])) for r in rows], list(expected.values()), "effects of the table")
    equal({r["wild"] == SEQUENCES[r["name"]][int(r["position"])] for r in rows}, {True}, "wild letters of the table")


@test
def pairs():
    train()
    succeeds("ism", "--model", MODEL, "--input", "-", "--out", "x.npz", "--order", 2, stdin=fasta(SEQUENCES))
    succeeds("ism", "--model", MODEL, "--input", "-", "--out", "one.npz", stdin=fasta(SEQUENCES))
    maps, singles = load("x.npz"), load("one.npz")
    for name, array in singles.items():
        equal(maps[name], array, f"{name} of order 1 and 2")
    shape, pairs_of = maps["pairs"]
    equal(shape, (820, 2), "pairs")
    equal(list(zip(pairs_of[::2], pairs_of[1::2])), [(i, j) for i in range(41) for j in range(i + 1, 41)],
          "their order")
    equal(maps["pair_effects"][0], (3, 820, 4, 4), "shape of the pairs' effects")
    equal(maps["interactions"][0], (3, 41, 41), "shape of the interactions")
    name, n = "short", 1
    bases, start, wild = SEQUENCES[name], maps["starts"][1][1], predictions(SEQUENCES)[name]
    places = [0, 3, 4, 7, 8, 30]  # 4 is an N
    doubles = scored({(p, a, q, b): mutant(bases, (p, LETTERS[a]), (q, LETTERS[b])) for p in places for q in places
                      for a in range(4) for b in range(4)
                      if p < q and "N" not in (bases[p], bases[q])
                      and LETTERS[a] != bases[p] and LETTERS[b] != bases[q]})
    effect = lambda p, a: maps["effects"][1][(n * 4 + a) * 41 + start + p]
    interaction = lambda i, j: maps["interactions"][1][(n * 41 + i) * 41 + j]
    for p in places:
        for q in places:
            if p >= q:
                continue
            i, j = start + p, start + q
            at = (n * 820 + i * (2 * 41 - i - 1) // 2 + j - i - 1) * 16
            found = maps["pair_effects"][1][at:at + 16]
            own = [f32(doubles[p, a, q, b] - wild) if (p, a, q, b) in doubles else 0.0
                   for a in range(4) for b in range(4)]
            equal(list(found), own, f"pair {p}, {q}")
            rest = [found[4 * a + b] - effect(p, a) - effect(q, b) for a in range(4) for b in range(4)
                    if (p, a, q, b) in doubles]
            check(abs(interaction(i, j) - math.sqrt(sum(r * r for r in rest))) < 1e-6, f"interaction of {p} and {q}")
            equal(interaction(j, i), interaction(i, j), f"symmetry of {p} and {q}")
    equal(interaction(start, start), 0.0, "the diagonal")


@test
def gradients():
    train()
    ism = ("ism", "--model", MODEL, "--input", "-")
    succeeds(*ism, "--out", "mutants.npz", stdin=fasta(SEQUENCES))
    gradient = (*ism, "--method", "gradient")
    succeeds(*gradient, "--out", "x.npz", "--tsv", "x.tsv", stdin=fasta(SEQUENCES))
    mutants, maps = load("mutants.npz"), load("x.npz")
    equal(set(maps) ^ set(mutants), {"effects", "contributions"}, "arrays of one method only")
    for name in ("names", "sequences", "starts", "one_hot", "predictions"):
        equal(maps[name], mutants[name], f"{name} of both methods")
    for name in ("hypothetical", "contributions"):
        equal(maps[name][0], (3, 4, 41), f"shape of {name}")
    slopes, one_hot, heights = [maps[name][1] for name in ("hypothetical", "one_hot", "heights")]
    check(all(map(math.isfinite, slopes)) and any(slopes), "gradients are finite, and not all zero")
    equal(list(maps["contributions"][1]), [g * letter for g, letter in zip(slopes, one_hot)], "contributions")
    of = lambda values, n, column: [values[(n * 4 + b) * 41 + column] for b in range(4)]
    expected, rows, wrong = [], [], 0
    for n, (name, bases) in enumerate(SEQUENCES.items()):
        for column in range(41):
            own, p = of(slopes, n, column), column - maps["starts"][1][n]
            wrong += abs(heights[n * 41 + column] - math.hypot(*own)) > 1e-6
            if 0 <= p < len(bases) and bases[p] != "N":
                rows += [(name, p, bases[p], b) for b in LETTERS]
                expected += own
    equal(wrong, 0, "heights that are not the norm of a position's gradients")
    found = table("x.tsv")
    equal([(r["name"], int(r["position"]), r["wild"], r["letter"]) for r in found], rows, "rows of the table")
    equal([f32(float(r["gradient"])) for r in found], expected, "gradients of the table")
    # A substitution takes one letter away and puts another in: to first order its effect is the difference of the wild
    # type's two slopes, to second order that of the slopes averaged over wild type and mutant.
    written = single_mutants()
    succeeds(*gradient, "--out", "written.npz", stdin=fasta({str(i): bases for i, bases in enumerate(written.values())}))
    others = load("written.npz")["hypothetical"][1]
    effects, first_order, second_order = [], [], []
    for i, (name, p, letter) in enumerate(written):
        n, to, wild = list(SEQUENCES).index(name), LETTERS.index(letter), LETTERS.index(SEQUENCES[name][p])
        column = p + maps["starts"][1][n]
        at_wild, at_mutant = [g[to] - g[wild] for g in (of(slopes, n, column), of(others, i, column))]
        effects.append(of(mutants["effects"][1], n, column)[to])
        first_order.append(at_wild)
        second_order.append((at_wild + at_mutant) / 2)
    first, second = [math.dist(x, effects) / math.hypot(*effects) for x in (first_order, second_order)]
    check(second < 0.5 and second < first, f"effects of substitutions from gradients: off by {first}, then by {second}")
    for i, more in enumerate((("--batch", 2), ("--threads", 1), ("--threads", 3), ("--preset", "published"))):
        succeeds(*gradient, "--out", f"{i}.npz", *more, stdin=fasta(SEQUENCES))
        equal(cli.read(f"{i}.npz") == cli.read("x.npz"), True, f"maps with {more}")
    succeeds(*gradient, "--out", "maps", stdin=fasta(SEQUENCES))
    equal(sorted(os.listdir("maps")), ["gradient.npz", "hypothetical.npy", "one_hot.npy", "run.json"], "files")
    equal(parse(cli.read("maps/hypothetical.npy")), maps["hypothetical"], "hypothetical.npy")
    equal(load_json("maps/run.json")["method"], "gradient", "the record's method")
    refuses(2, ["--order 2", "gradient", "expected 1"], *gradient, "--order", 2, "--out", "o.npz")
    refuses(2, ["--method", "slope"], *ism, "--method", "slope", "--out", "o.npz")
    refuses(1, ["bf16"], *gradient, "--device", "cpu", "--precision", "bf16", "--out", "o.npz", stdin=fasta(SEQUENCES))
    check(not os.path.exists("o.npz"), "refusals write nothing")


@test
def ways_to_ask():
    train()
    text = fasta(SEQUENCES)
    ism = ("ism", "--model", "m", "--input", "-")
    succeeds(*ism, "--out", "x.npz", "--tsv", "x.tsv", stdin=text)
    for i, more in enumerate((("--batch", 7), ("--threads", 1), ("--threads", 3))):
        succeeds(*ism, "--out", f"{i}.npz", *more, stdin=text)
        equal(cli.read(f"{i}.npz") == cli.read("x.npz"), True, f"maps with {more}")
    first = load("x.npz")
    succeeds(*ism, "--out", "p.npz", "--preset", "published", stdin=text)
    published = load("p.npz")
    check(all(abs(s - h * h) <= 1e-6 * max(1.0, s) for s, h in zip(published["heights"][1], first["heights"][1])),
          "published heights are squares")
    equal(published["effects"], first["effects"], "effects of both presets")
    succeeds(*ism, "--out", "d.npz", "--tsv", "d.tsv", "--alphabet", "dna", stdin=text.replace(b"U", b"t"))
    dna = load("d.npz")
    equal(dna["sequences"][1], [bases.replace("U", "T") for bases in SEQUENCES.values()], "DNA letters")
    equal(dna["effects"], first["effects"], "the letters shown change nothing else")
    equal(cli.read("d.tsv").replace(b"\tT", b"\tU"), cli.read("x.tsv"), "the table in DNA letters")
    _, err = succeeds(*ism, "--out", "two.npz", "--max-sequences", 2, stdin=text)
    check("the first 2 of 3" in err, f"the subset is announced: {err!r}")
    equal(load("two.npz")["names"][1], list(SEQUENCES)[:2], "the first sequences")
    _, err = succeeds(*ism, "--out", "quiet.npz", "--progress", "none", stdin=text)
    equal(err, "", "no progress, no lines")


@test
def folders_and_records():
    train()
    pathlib.Path("in.fa").write_bytes(fasta(SEQUENCES))
    ism = ("ism", "--model", "m", "--input", "in.fa", "--order", 1)
    succeeds(*ism, "--out", "maps", "--tsv", "maps/effects.tsv")
    equal(sorted(os.listdir("maps")), ["effects.tsv", "hypothetical.npy", "ism.npz", "one_hot.npy", "run.json"],
          "files")
    maps = load("maps/ism.npz")
    for name in ("one_hot", "hypothetical"):
        equal(parse(cli.read(f"maps/{name}.npy")), maps[name], f"{name}.npy")
        check(b"'<f4'" in cli.read(f"maps/{name}.npy")[:128], f"{name}.npy is float32, as tfmodisco-lite computes")
        equal(maps[name][0][:2], (len(SEQUENCES), 4), f"{name}.npy: sequences, then letters, then positions")
    succeeds(*ism, "--out", "one/x.npz")
    equal(sorted(os.listdir("one")), ["x.npz", "x.run.json"], "files")
    record = load_json("one/x.run.json")
    for key in ("command", "version", "preset", "device", "threads", "precision", "method", "order", "sequences", "seconds"):
        check(key in record, f"the record has {key}")
    sums = {i["path"]: i["sha256"] for i in record["inputs"]}
    equal(sums, {path: hashlib.sha256(cli.read(path)).hexdigest() for path in (MODEL, "in.fa")}, "inputs")
    before = cli.read("one/x.npz")
    refuses(1, ["one/x.npz", "exists already"], *ism, "--out", "one/x.npz")
    refuses(1, ["maps/ism.npz", "exists already"], *ism, "--out", "maps")
    refuses(1, ["maps/effects.tsv", "exists already"], *ism, "--out", "new.npz", "--tsv", "maps/effects.tsv")
    equal(cli.read("one/x.npz"), before, "nothing changed")
    succeeds(*ism, "--out", "one/x.npz", "--max-sequences", 1, "--overwrite")
    check(cli.read("one/x.npz") != before, "--overwrite replaces")


@test
def refusals():
    train()
    simulate("sim2", experiments=2, probes=60)
    succeeds("train", "--data", "sim2", "--experiment", "all", "--out", "m2", "--epochs", 1, *cli.SMALL)
    before = sorted(os.listdir("."))
    good, to = fasta(SEQUENCES), ("--out", "o/x.npz", "--tsv", "t/x.tsv")
    ism = ("ism", "--model", "m", "--input", "-", *to)
    refuses(1, ["nowhere"], "ism", "--model", "nowhere", "--input", "-", *to, stdin=good)
    refuses(1, ["m2", "2 models", "expected one"], "ism", "--model", "m2", "--input", "-", *to, stdin=good)
    refuses(1, ["missing.fa"], "ism", "--model", "m", "--input", "missing.fa", *to)
    for text, fragments in [(b">a\nACGZ\n", ["stdin:2:4", "Z"]), (b"", ["stdin"]),
                            (b">a\nACGU\n>long\n" + b"ACGU" * 11 + b"\n", ["long", "44", "41"]),
                            (b">\xff\nACGUACGU\n", ["UTF-8"])]:
        refuses(1, fragments, *ism, stdin=text)
    many = b"ACGUACGUACGUACGUACGU\n" * 80000
    refuses(1, ["stdin", "80000", "GiB", "--max-sequences"], *ism, "--order", 2, stdin=many)
    for arguments, fragments in [
        (("ism", "--model", "m", "--input", "-"), ["--out is required"]),
        ((*ism, "--order", 3), ["--order", "3"]),
        ((*ism, "--max-sequences", -1), ["--max-sequences"]),
        ((*ism, "--ordr", 1), ["unknown flag '--ordr'", "'--order'"]),
        (("ism", "--model", "m", "--input", "-", "--out", "x", "--tsv", "x/./run.json"), ["--tsv", "another name"]),
    ]:
        refuses(2, [*fragments, "--help"], *arguments, stdin=good)
    equal(sorted(os.listdir(".")), before, "files after refusals")


cli.main()

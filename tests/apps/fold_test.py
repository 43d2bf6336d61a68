"""residualbind fold: profiles add up to one, follow known structures, do not depend on threads, company or machine."""
import array
import json
import math
import random
import zipfile

from cli import SMALL, check, equal, main, pathlib, read, refuses, simulate, succeeds, table, test

TRACKS = ("paired", "hairpin", "internal", "multi", "external")


def floats(path, name):
    """A float32 array of an archive, flat."""
    with zipfile.ZipFile(path) as archive:
        data = archive.read(f"{name}.npy")
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return list(values)


def profile(rows, name):
    return [{t: float(r[t]) for t in TRACKS} for r in rows if r["name"] == name]


@test
def known_structures():
    pathlib.Path("in.fa").write_text(">hairpin\nGGGGCGAAAGCCCC\n>none\nAAAAAAAAAAAA\n>unknown\nGGGNNNNNNCCC\n>one\nA\n")
    out, _ = succeeds("fold", "--input", "in.fa", "--progress", "none")
    pathlib.Path("out.tsv").write_text(out)
    rows = table("out.tsv")
    equal([(r["name"], r["position"], r["base"]) for r in rows[:2]], [("hairpin", "1", "G"), ("hairpin", "2", "G")], "rows")
    equal(len(rows), 14 + 12 + 12 + 1, "a row a base")
    for r in rows:
        values = [float(r[t]) for t in TRACKS]
        check(abs(sum(values) - 1) < 1e-5 and min(values) >= 0, f"probabilities of {r}")
    hairpin = profile(rows, "hairpin")
    check(all(p["paired"] > 0.9 for p in hairpin[1:4] + hairpin[10:13]), "the stem is paired")
    check(all(p["hairpin"] > 0.9 for p in hairpin[5:9]), "GNRA is a loop")
    check(all(p["external"] == 1 for p in profile(rows, "none") + profile(rows, "one")), "A alone pairs with nothing")
    check(all(p["paired"] == 0 for p in profile(rows, "unknown")[3:9]), "N pairs with nothing")
    out, _ = succeeds("fold", "--input", "in.fa", "--alphabet", "dna", "--progress", "none")
    check("\tU" not in out, "T for U")


@test
def machines_threads_and_company():
    letters = random.Random(2)
    seqs = ["".join(letters.choice("ACGU") for _ in range(letters.randint(1, 41))) for _ in range(30)]
    pathlib.Path("in.txt").write_text("\n".join(seqs) + "\n")
    for name, flags in {"a": ["--threads", 1], "b": ["--threads", 2], "e": ["--device", "emulated"], "c": ["--device", "check"]}.items():
        succeeds("fold", "--input", "in.txt", "--out", f"{name}.npz", *flags, "--progress", "none")
    check(read("a.npz") == read("b.npz") == read("c.npz"), "threads and checking change nothing")
    cpu, device = floats("a.npz", "profiles"), floats("e.npz", "profiles")
    equal(len(cpu), 30 * max(map(len, seqs)) * 5, "values")
    check(max(abs(x - y) for x, y in zip(cpu, device)) < 1e-6, "a device folds as the CPU")
    energies = floats("a.npz", "ensemble_energy")
    check(all(e <= 0 and math.isfinite(e) for e in energies), "ensemble energies")
    pathlib.Path("one.txt").write_text(seqs[7] + "\n")
    succeeds("fold", "--input", "one.txt", "--out", "one.npz", "--progress", "none")
    check(floats("one.npz", "ensemble_energy")[0] == energies[7], "one alone is as in company")


@test
def networks_with_structure():
    simulate("sim", probes=300)
    small = (*SMALL, "--progress", "none", "--epochs", 2)
    for structure, channels in (("pu", 2), ("phime", 5)):
        succeeds("prepare", "--data", "sim", "--out", f"{structure}/data.h5", "--structure", structure, "--progress", "none")
        succeeds("train", "--data", f"{structure}/data.h5", "--out", f"{structure}/m", *small)
        succeeds("evaluate", "--data", f"{structure}/data.h5", "--models", f"{structure}/m", "--out", f"{structure}/e/metrics.tsv",
                 "--progress", "none")
        check(math.isfinite(float(table(f"{structure}/e/metrics.tsv")[0]["pearson"])), f"{structure} is evaluated")
        out, _ = succeeds("model", "info", f"{structure}/m/SIM00001/model.safetensors")
        check(f"41 positions, {4 + channels} channels" in out, f"{structure}: {out}")
    # Sequences without tracks are folded on the way: each by itself, mutants and null sequences too.
    letters = random.Random(5)
    seqs = ["".join(letters.choice("ACGU") for _ in range(41)) for _ in range(4)]
    pathlib.Path("in.fa").write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(seqs)))
    pathlib.Path("two.fa").write_text(f">s2\n{seqs[2]}\n")
    succeeds("predict", "--models", "phime/m", "--input", "in.fa", "--out", "all.tsv", "--progress", "none")
    succeeds("predict", "--models", "phime/m", "--input", "two.fa", "--out", "two.tsv", "--progress", "none")
    equal(table("two.tsv")[0], table("all.tsv")[2], "a prediction is its sequence's")
    mutant = seqs[2][:9] + ("A" if seqs[2][9] != "A" else "C") + seqs[2][10:]
    pathlib.Path("mutant.fa").write_text(f">m\n{mutant}\n")
    succeeds("predict", "--models", "phime/m", "--input", "mutant.fa", "--out", "mutant.tsv", "--progress", "none")
    succeeds("ism", "--model", "phime/m/SIM00001", "--input", "two.fa", "--out", "ism.npz", "--tsv", "ism.tsv", "--progress", "none")
    effect = [float(r["effect"]) for r in table("ism.tsv") if r["position"] == "9" and r["letter"] == mutant[9]][0]
    difference = float(table("mutant.tsv")[0]["SIM00001"]) - float(table("two.tsv")[0]["SIM00001"])
    check(abs(effect - difference) < 1e-5, f"a mutant is folded anew: {effect}, {difference}")
    pathlib.Path("with.fa").write_text("".join(f">s{i}\n{s[:17] + 'GCAUG' + s[22:]}\n" for i, s in enumerate(seqs)))
    succeeds("predict", "--models", "phime/m", "--input", "with.fa", "--out", "with.tsv", "--progress", "none")
    gia = ("--models", "phime/m", "--null", "in.fa", "--progress", "none")
    succeeds("gia", "custom", *gia, "--embed", "GCAUG@17", "--out", "g")
    succeeds("gia", "kmer", *gia, "--k", 5, "--top", 1024, "--out", "k")
    mean = sum(float(a["SIM00001"]) - float(b["SIM00001"]) for a, b in zip(table("with.tsv"), table("all.tsv"))) / 4
    scanned = [float(r["mean"]) for r in table("k/effects.tsv") if r["label"] == "GCAUG"]
    for found in (float(table("g/effects.tsv")[0]["mean"]), *scanned):
        check(abs(found - mean) < 1e-5, f"patterns are folded with their sequences: {found}, {mean}")
    equal(len(scanned), 1, "GCAUG is scanned")
    refuses(1, ["none.txt"], "predict", "--models", "phime/m", "--input", "in.fa", "--energy", "none.txt")
    succeeds("predict", "--models", "pu/m", "--input", "in.fa", "--out", "pu.tsv", "--progress", "none")
    for order in (("pu/m", "phime/m"), ("phime/m", "pu/m")):
        out, _ = succeeds("predict", "--models", *order, "--input", "in.fa", "--progress", "none")
        rows = [line.split("\t")[1:3] for line in out.splitlines()[1:]]
        for own, single in zip(zip(*rows), (f"{m.split('/')[0]}.tsv".replace("phime", "all") for m in order)):
            equal(list(own), [r["SIM00001"] for r in table(single)], f"{single} in company of {order}")
    refuses(1, ["exists already"], "train", "--data", "pu/data.h5", "--out", "pu/m", *small)
    gradients(seqs[2])
    # One file of five tracks serves all networks.
    for structure in ("pu", "none"):
        succeeds("prepare", "--data", "phime/data.h5", "--transform", "none", "--structure", structure, "--out",
                 f"of5/{structure}/data.h5", "--progress", "none")
    check(model_info("pu/m")["structure_source"] == model_info("phime/m")["structure_source"] == "turner1999", "what made the structure")
    succeeds("train", "--data", "of5/pu/data.h5", "--out", "of5/m", *small)
    equal(read("of5/m/SIM00001/history.tsv"), read("pu/m/SIM00001/history.tsv"), "two tracks of five are the two folded")
    refuses(1, ["--structure pu or none"], "train", "--data", "pu/data.h5", "--structure", "phime", "--out", "x", *small)


@test
def ablations_of_structure():
    """Networks with and without structure in one run, each with the bits that it has alone."""
    simulate("sim", experiments=2, probes=300)
    small = ("--data", "sim", "--experiment", "all", *SMALL, "--progress", "none", "--epochs", 2)
    names = ("none", "pu", "phime")
    succeeds("train", *small, "--grid", f"structure={','.join(names)}", "--out", "all")
    for name in names:
        succeeds("train", *small, "--structure", name, "--out", name)
        for experiment in ("SIM00001", "SIM00002"):
            for file in ("model.safetensors", "history.tsv"):
                equal(read(f"all/{experiment}/structure={name}/{file}") == read(f"{name}/{experiment}/{file}"), True, f"{name}/{file}")
        tested = [r for r in table("all/metrics.tsv") if r["model"].endswith(f"structure={name}")]
        equal([r["pearson"] for r in tested], [r["pearson"] for r in table(f"{name}/metrics.tsv")], f"{name} is tested on its own tracks")
    out, err = succeeds("evaluate", "--data", "sim", "--models", "all", "--out", "e/metrics.tsv", "--progress", "none")
    tested = {f"all/{r['model']}/model.safetensors": r["pearson"] for r in table("all/metrics.tsv")}
    equal({r["model"]: r["pearson"] for r in table("e/metrics.tsv")}, tested, "evaluate folds once for all")
    succeeds("sweep", "plan", *small, "--grid", f"structure={','.join(names)}", "--out", "sweep")
    for shard in ("1/2", "0/2"):
        succeeds("sweep", "run", "--plan", "sweep", "--shard", shard, "--progress", "none")
    succeeds("sweep", "merge", "--plan", "sweep")
    for model in pathlib.Path("all").glob("*/*/model.safetensors"):
        equal(read(f"sweep/models/{model.relative_to('all')}") == model.read_bytes(), True, f"{model} by sweep")
    ids = {r["folder"]: r["id"] for r in table("sweep/manifest.tsv")}
    succeeds("sweep", "plan", *small, "--out", "plain")
    equal(table("plain/manifest.tsv")[0]["id"], ids["SIM00001/structure=none"], "a model is known whatever stands beside it")


def model_info(folder):
    return json.loads(succeeds("model", "info", f"{folder}/SIM00001/model.safetensors", "--json")[0])


def gradients(sequence):
    """By letters and by tracks: a small change of given tracks does what the gradient by them says."""
    succeeds("ism", "--model", "phime/m/SIM00001", "--input", "two.fa", "--method", "gradient", "--out", "g.npz", "--progress", "none")
    tracks, slopes = floats("g.npz", "structure"), floats("g.npz", "structure_gradients")
    equal((len(tracks), len(slopes), len(floats("g.npz", "hypothetical"))), (205, 205, 164), "values of the maps")
    check(any(slopes), "structure matters")
    write = lambda values: pathlib.Path("p.txt").write_text(
        f">s2\n" + "".join(" ".join(f"{v:.9g}" for v in values[c * 41 : c * 41 + 41]) + "\n" for c in range(5)))
    changed, difference, step = list(tracks), 0.0, 0.004
    for p in range(41):  # from the likeliest track to another one
        order = sorted(range(5), key=lambda c: tracks[c * 41 + p])
        for c, change in ((order[4], -step), (order[p % 4], step)):
            changed[c * 41 + p] += change
            difference += change * slopes[c * 41 + p]
    found = []
    for values in (tracks, changed):
        write(values)
        succeeds("predict", "--models", "phime/m", "--input", "two.fa", "--profiles", "p.txt", "--out", "p.tsv", "--overwrite",
                 "--progress", "none")
        found.append(float(table("p.tsv")[0]["SIM00001"]))
    check(abs(found[0] - float(table("two.tsv")[0]["SIM00001"])) < 1e-5, "profiles that fold wrote are profiles")
    check(abs(found[1] - found[0] - difference) < 0.1 * abs(difference) + 2e-6, f"gradients by tracks: {found}, {difference}")


@test
def given_profiles_and_energies():
    simulate("sim", probes=300)
    small = (*SMALL, "--progress", "none", "--epochs", 1)
    seqs = [r["seq"] for r in table("sim/sequences.tsv")]
    pathlib.Path("seqs.txt").write_text("\n".join(seqs) + "\n")
    succeeds("fold", "--input", "seqs.txt", "--out", "p.tsv", "--progress", "none")
    records = {}
    for row in table("p.tsv"):
        records.setdefault(row["name"], []).append([row[t] for t in TRACKS])
    pathlib.Path("p.txt").write_text("".join(f">{s}\n" + "".join("\t".join(c) + "\n" for c in zip(*records[f"seq{i + 1}"]))
                                             for i, s in enumerate(seqs)))
    # Profiles as fold makes them train the network that folding trains.
    succeeds("train", "--data", "sim", "--structure", "phime", "--out", "folded", *small)
    succeeds("train", "--data", "sim", "--profiles", "p.txt", "--out", "given", *small)
    history = [[float(r["valid_loss"]) for r in table(f"{m}/SIM00001/history.tsv")] for m in ("folded", "given")]
    check(abs(history[0][0] - history[1][0]) < 1e-4, f"losses of both: {history}")
    equal([model_info(m)["structure_source"] for m in ("folded", "given")], ["turner1999", "given"], "sources")
    refuses(1, ["came with its data", "--energy turner1999"], "predict", "--models", "given", "--input", "seqs.txt")
    succeeds("predict", "--models", "given", "--input", "seqs.txt", "--energy", "turner1999", "--out", "a.tsv", "--progress", "none")
    succeeds("predict", "--models", "given", "--input", "seqs.txt", "--profiles", "p.txt", "--out", "b.tsv", "--progress", "none")
    a, b = [[float(r["SIM00001"]) for r in table(f)] for f in ("a.tsv", "b.tsv")]
    check(max(abs(x - y) for x, y in zip(a, b)) < 1e-4, "folded or given")
    succeeds("evaluate", "--data", "sim", "--models", "folded", "--out", "e.tsv", "--progress", "none")
    tests = [float(table(f)[0]["pearson"]) for f in ("e.tsv", "folded/metrics.tsv")]
    check(abs(tests[0] - tests[1]) < 1e-6, f"a table is folded where it is evaluated: {tests}")
    # Long sequences: windows take their part of the profile.
    first, second = [i for i, s in enumerate(seqs) if len(s) == 41][:2]
    pathlib.Path("long.fa").write_text(f">a\n{seqs[first]}{seqs[second]}\n")
    pathlib.Path("long.txt").write_text(">a\n" + "".join(
        "\t".join(x + y) + "\n" for x, y in zip(zip(*records[f"seq{first + 1}"]), zip(*records[f"seq{second + 1}"]))))
    succeeds("predict", "--models", "given", "--input", "long.fa", "--profiles", "long.txt", "--windows", "all", "--out", "w.tsv",
             "--progress", "none")
    windows = [float(r["SIM00001"]) for r in table("w.tsv")]
    equal(len(windows), 42, "windows")
    check(abs(windows[0] - b[first]) < 1e-6 and abs(windows[-1] - b[second]) < 1e-6, "a window has its bases' profile")
    pathlib.Path("short.txt").write_text(">a\n1\n0\n0\n0\n0\n")
    refuses(1, ["short.txt:2:", "one a base"], "predict", "--models", "given", "--input", "long.fa", "--profiles", "short.txt")
    refuses(2, ["sequence alone"], "predict", "--models", sequence_model(small), "--input", "long.fa", "--profiles", "long.txt")
    refuses(2, ["not folded"], "train", "--data", "sim", "--profiles", "p.txt", "--energy", "turner1999", "--out", "x", *small)


def sequence_model(small):
    succeeds("train", "--data", "sim", "--out", "plain", *small)
    return "plain"


@test
def refusals():
    pathlib.Path("in.fa").write_text(">a\nACGU\n>long\n" + "ACGU" * 51 + "\n")
    refuses(1, ["in.fa", "long", "204", "200"], "fold", "--input", "in.fa", "--out", "x.tsv")
    pathlib.Path("in.fa").write_text(">a\nACGU\n")
    refuses(1, ["none.txt"], "fold", "--input", "in.fa", "--energy", "none.txt", "--out", "x.tsv")
    pathlib.Path("bad.txt").write_text("stack 2 8 8 1 2 3\n")
    refuses(1, ["bad.txt:1"], "fold", "--input", "in.fa", "--energy", "bad.txt", "--out", "x.tsv")
    refuses(1, ["none.fa"], "fold", "--input", "none.fa", "--out", "x.tsv")
    pathlib.Path("empty.fa").write_text("")
    refuses(1, ["empty.fa"], "fold", "--input", "empty.fa", "--out", "x.tsv")
    check(not pathlib.Path("x.tsv").exists(), "nothing is written")
    succeeds("fold", "--input", "in.fa", "--out", "x.tsv", "--progress", "none")
    refuses(1, ["x.tsv", "exists already"], "fold", "--input", "in.fa", "--out", "x.tsv")


main()

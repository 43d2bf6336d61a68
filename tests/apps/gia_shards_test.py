"""residualbind gia over several processes and several models: shards put together give the bytes of one run; replicates."""
import hashlib
import json
import math
import os
import shutil
import statistics
import struct

from cli import SMALL, check, equal, main, pathlib, read, refuses, run, simulate, succeeds, table, test

QUICK = ("--null-n", 40, "--k", 2, "--progress", "none")
TABLES = ("effects.tsv", "lines.tsv", "ratios.tsv", "local.npz", "replicates.tsv", "kmers/SIM00001-1.tsv")


def models():
    """Two replicates of SIM00001, and SIM00002."""
    simulate("sim", experiments=2, probes=400)
    for replicate in (0, 1):
        succeeds("train", "--data", "sim", "--experiment", "SIM00001", "--replicate", replicate, "--epochs", 2, "--out",
                 f"m{replicate}", *SMALL, "--progress", "none")
    succeeds("train", "--data", "sim", "--experiment", "SIM00002", "--epochs", 2, "--out", "m2", *SMALL, "--progress", "none")
    return ("--models", "m0", "m1", "m2")


@test
def shards_are_one_run():
    ask = ("gia", "all", *models(), *QUICK, "--alphabet", "dna", "--top", 7)
    whole, _ = succeeds(*ask, "--out", "whole")
    for n in (1, 3, 5):
        for i in reversed(range(n)):
            out, _ = succeeds(*ask, "--out", f"of{n}", "--shard", f"{i}/{n}")
            equal(out, "", "a shard prints no summary")
        out, _ = succeeds("gia", "merge", "--out", f"of{n}", "--progress", "none")
        equal(out, whole, f"the summary of {n} shards")
        for name in TABLES:
            check(read(f"whole/{name}") == read(f"of{n}/{name}"), f"{name} of {n} shards is the whole's")
    os.environ.update(SLURM_ARRAY_TASK_ID="4", SLURM_ARRAY_TASK_MIN="2", SLURM_ARRAY_TASK_MAX="4")
    succeeds(*ask, "--out", "auto", "--shard", "auto")
    check(read("auto/gia-shard-2-of-3.safetensors") == read("of3/gia-shard-2-of-3.safetensors"), "the array's third task")


@test
def shards_that_do_not_fit():
    ask = ("gia", "sites", *models(), *QUICK, "--motif", "ACG")
    merge = ("gia", "merge", "--out", "s")
    refuses(1, ["s", "no shard there"], *merge)
    succeeds(*ask, "--out", "s", "--shard", "0/3")
    succeeds(*ask, "--out", "s", "--shard", "2/3")
    refuses(1, ["shard 1 of 3 is missing"], *merge)
    refuses(1, ["exists already"], *ask, "--out", "s", "--shard", "2/3")
    succeeds(*ask, "--out", "s", "--shard", "1/3", "--seed", 5)
    refuses(1, ["another run"], *merge)
    succeeds(*ask, "--out", "s", "--shard", "1/3", "--overwrite")
    good = read("s/gia-shard-1-of-3.safetensors")
    for place in (3, 20, len(good) // 2, len(good) - 1):  # a flipped bit, wherever it is
        pathlib.Path("s/gia-shard-1-of-3.safetensors").write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1:])
        refuses(1, ["gia-shard-1-of-3"], *merge)
    pathlib.Path("s/gia-shard-1-of-3.safetensors").write_bytes(good[:-9])
    refuses(1, ["gia-shard-1-of-3"], *merge)
    check(not pathlib.Path("s/effects.tsv").exists(), "nothing was put together")
    pathlib.Path("s/gia-shard-1-of-3.safetensors").write_bytes(good)
    succeeds(*merge, "--progress", "none")
    refuses(1, ["s/effects.tsv", "exists already"], *merge)
    for wrong in ("3/3", "-1/3", "1", "a/b", "0/0", "1/2/3"):
        refuses(2, ["--shard", wrong], *ask, "--out", "x", "--shard", wrong)
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"):
        os.environ.pop(name, None)
    refuses(2, ["--shard auto"], *ask, "--out", "x", "--shard", "auto")
    refuses(2, ["--models"], "gia", "sites", "--out", "x")


def rewrite(path, change):
    """Changes a shard's metadata and makes its checksum right again."""
    data = read(path)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    change(header["__metadata__"])
    header["__metadata__"].pop("header_checksum")
    plain = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    header["__metadata__"]["header_checksum"] = hashlib.sha256(plain.encode()).hexdigest()
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])


@test
def hostile_shards():
    ask = ("gia", "sites", *models(), *QUICK, "--motif", "ACG")
    path, merge = "s/gia-shard-0-of-1.safetensors", ("gia", "merge", "--out", "s", "--overwrite", "--progress", "none")
    succeeds(*ask, "--out", "s", "--shard", "0/1")
    good = read(path)
    rewrite(path, lambda m: None)
    succeeds(*merge)
    pathlib.Path("s/effects.tsv").unlink()

    def name(model):
        def change(m):
            parts = json.loads(m["parts"])
            parts[1]["model"] = model
            m["parts"] = json.dumps(parts)
        return change

    def number(key, value):
        def change(m):
            parts = json.loads(m["parts"])
            parts[0][key] = 0
            m["parts"] = json.dumps(parts).replace(f'"{key}": 0', f'"{key}": {value}', 1)
        return change

    numbers = [number(key, value) for key in ("index", "nulls", "position") for value in ("1e300", "-1", "18446744073709551615", "2.5", '"0"')]
    for what in (*numbers, lambda m: m.update(of="0"), lambda m: m.update(of="-1"), lambda m: m.update(models="0"),
                 lambda m: m.update(shard="7"), lambda m: m.update(parts="[{}]"), lambda m: m.update(parts="7"),
                 lambda m: m.update(models="9"), name("../../out"), name("/out"), name("a\nb")):
        pathlib.Path(path).write_bytes(good)
        rewrite(path, what)
        refuses(1, ["s"], *merge)
        check(not pathlib.Path("s/effects.tsv").exists(), "nothing is put together")
    pathlib.Path(path).write_bytes(good)
    shutil.copy(path, "s/gia-shard-again.safetensors")
    refuses(1, ["shard 0 is there twice"], *merge)


def write_energies(path, value):
    """A parameter set of `value` everywhere."""
    entries = {"p": 8, "n": 31, "b": 5, "a": 5, "1": 1}
    lines = ["tetraloop_bonus 0", "lxc37 107.856"]
    for name, kinds in (("stack37", "pp"), ("hairpin37", "n"), ("bulge37", "n"), ("internal_loop37", "n"), ("mismatchI37", "pbb"),
                        ("mismatchH37", "pbb"), ("dangle5_37", "pb"), ("dangle3_37", "pb"), ("int11_37", "ppbb"), ("int21_37", "ppbbb"),
                        ("int22_37", "ppbbbb"), ("ML_BASE37", "1"), ("ML_closing37", "1"), ("ML_intern37", "1"), ("TerminalAU", "1"),
                        ("MAX_NINIO", "1"), ("F_ninio37", "a")):
        sizes = [entries[kind] for kind in kinds]
        lines.append(" ".join(map(str, [name, len(sizes), *sizes, *[value] * math.prod(sizes)])))
    pathlib.Path(path).write_text("\n".join(lines) + "\n")


@test
def shards_know_their_inputs():
    models()
    ask = ("gia", "sites", "--motif", "ACG", "--null-n", 4, "--controls", 0, "--progress", "none")
    merge = ("gia", "merge", "--out")
    pathlib.Path("m").mkdir()
    for one in ("m1", "m2"):
        shutil.copytree(f"{one}/SIM0000{1 if one == 'm1' else 2}", f"m/{one}")
    succeeds(*ask, "--models", "m", "--out", "a", "--shard", "0/2")
    shutil.copy("m0/SIM00001/model.safetensors", "m/m1/model.safetensors")  # another training of the experiment
    succeeds(*ask, "--models", "m", "--out", "a", "--shard", "1/2")
    refuses(1, ["another run"], *merge, "a")
    for i, bases in enumerate(("ACGU" * 10, "UGCA" * 10)):
        pathlib.Path("null.fa").write_text(f">n\n{bases}\n>o\n{bases}\n")
        succeeds(*ask, "--models", "m", "--null", "null.fa", "--out", "b", "--shard", f"{i}/2")
    refuses(1, ["another run"], *merge, "b")
    succeeds(*ask, "--models", "m", "--out", "c", "--shard", "0/2", "--device", "cpu")
    succeeds(*ask, "--models", "m", "--out", "c", "--shard", "1/2", "--device", "emulated")
    refuses(1, ["another run"], *merge, "c")
    refuses(2, ["merge", "--models"], *merge, "c", "--models", "m")
    # Energies are told apart by their values, wherever their file lies.
    write_energies("one.par", 0)
    write_energies("two.par", 10)
    for out, first, second in (("d", (), ("--energy", "one.par")), ("e", ("--energy", "one.par"), ("--energy", "two.par"))):
        succeeds(*ask, "--models", "m", "--out", out, "--shard", "0/2", *first)
        succeeds(*ask, "--models", "m", "--out", out, "--shard", "1/2", *second)
        refuses(1, ["another run"], *merge, out)
    shutil.copy("one.par", "copy.par")
    succeeds(*ask, "--models", "m", "--out", "e", "--shard", "1/2", "--energy", "copy.par", "--overwrite")
    succeeds(*merge, "e", "--progress", "none")
    equal([i["path"] for i in json.loads(read("e/run-shard-1-of-2.json"))["inputs"]][-1], "copy.par", "the file is an input")
    pathlib.Path("in.txt").write_text("ACGU" * 10 + "\nUGCA\n")
    predict = ("predict", "--models", "m/m2", "--input", "in.txt", "--out", "p.tsv", "--progress", "none")
    succeeds(*predict, "--shard", "0/2", "--energy", "one.par")
    shutil.copy("two.par", "one.par")  # the same name
    succeeds(*predict, "--shard", "1/2", "--energy", "one.par")
    refuses(1, ["another run"], "predict", "merge", "--out", "p.tsv")


@test
def what_an_earlier_run_left():
    ask = ("gia", "all", *models(), *QUICK, "--motif", "ACG")
    succeeds(*ask, "--out", "g")
    refuses(1, ["exists already"], "gia", "custom", "--embed", "ACG@17", "--models", "m2", *QUICK, "--out", "g")
    pathlib.Path("g/effects.tsv").unlink()
    refuses(1, ["exists already"], "gia", "custom", "--embed", "ACG@17", "--models", "m2", *QUICK, "--out", "g")
    succeeds("gia", "custom", "--embed", "ACG@17", "--models", "m2", *QUICK, "--out", "g", "--overwrite")
    equal(sorted(p.name for p in pathlib.Path("g").rglob("*")), ["effects.tsv", "kmers", "local.npz", "run.json"], "files")


@test
def names_and_places():
    models()
    pathlib.Path("UUU.meme").write_text("MEME version 4\n\nALPHABET= ACGU\n\nMOTIF FUS\nletter-probability matrix: alength= 4 w= 2\n"
                                        "1 0 0 0\n0 0 0 1\n")
    ask = ("gia", "custom", "--models", "m2", *QUICK)
    succeeds(*ask, "--embed", "UUU.meme:FUS@17+UUA@30", "--alphabet", "dna", "--out", "g")
    equal(table("g/effects.tsv")[0]["pattern"], "UUU.meme:FUS@17+TTA@30", "file names keep their letters")
    equal([i["path"] for i in json.loads(read("g/run.json"))["inputs"]][-1], "UUU.meme", "the motif file is an input")
    succeeds(*ask, "--embed", "URC@17", "--enumerate", "--out", "e")
    equal([r["label"] for r in table("e/effects.tsv")], ["UAC@17", "UGC@17"], "every sequence")
    refuses(1, ["+A@1"], *ask, "--embed", "+A@1", "--enumerate", "--out", "x")
    refuses(1, ["4096"], *ask, "--embed", "+".join(f"N@{i}" for i in range(8)), "--enumerate", "--out", "x")
    refuses(2, ["control characters"], *ask, "--embed", "A@1\n", "--out", "x")
    refuses(2, ["--enumerate"], "gia", "sites", "--models", "m2", *QUICK, "--enumerate", "--out", "x")
    refuses(2, ["--motif"], "gia", "kmer", "--models", "m2", *QUICK, "--motif", "ACG", "--out", "x")
    refuses(1, ["pair", "motif ACG@3"], "gia", "pair", "--models", "m2", *QUICK, "--motif", "ACG", "--second", "ACG@3+UUU", "--out", "x")
    for wrong in (dict(ID="-1", MIN="0", MAX="3", STEP="2"), dict(ID="3", MIN="0", MAX="8", STEP="2"), dict(ID="3", MIN="abc", MAX="8"),
                  dict(ID="5", MIN="1", MAX="7", COUNT="3"), dict(ID="5")):
        names = {f"SLURM_ARRAY_TASK_{k}": v for k, v in wrong.items()}
        os.environ.update(names)
        refuses(2, ["--shard auto"], *ask, "--embed", "A@1", "--out", "x", "--shard", "auto")
        for name in names:
            del os.environ[name]


@test
def replicates_have_a_spread_of_their_own():
    succeeds("gia", "all", *models(), *QUICK, "--motif", "UGCAUG", "--out", "g")
    effects = table("g/effects.tsv")
    rows = table("g/replicates.tsv")
    equal({r["trained_on"] for r in rows}, {"SIM00001"}, "experiments with replicates")
    equal({int(r["models"]) for r in rows}, {2}, "models")
    questions = [r for r in rows if r["experiment"] != "kmer"]
    alone = [r for r in effects if r["model"] == "SIM00001" and r["experiment"] != "kmer" and r["kind"] != "control"]
    equal([r["label"] for r in questions], [r["label"] for r in alone], "every question of both; controls are a model's own")
    for row in questions:
        same = [r for r in effects if (r["experiment"], r["label"]) == (row["experiment"], row["label"])
                and r["model"].startswith("SIM00001")]
        means = [float(r["mean"]) for r in same]
        equal(len(means), 2, "answers")
        check(abs(float(row["mean"]) - statistics.mean(means)) < 1e-12, f"mean of {row['label']}")
        check(abs(float(row["sd_models"]) - statistics.stdev(means)) < 1e-12, f"sd over models of {row['label']}")
        within = math.sqrt(sum(float(r["sd"]) ** 2 for r in same) / 2)
        check(abs(float(row["sd_sequences"]) - within) < 1e-9, f"sd over sequences of {row['label']}")
        check(float(row["ci_low"]) <= float(row["mean"]) <= float(row["ci_high"]), "interval")
    kmers = {name: {r["kmer"]: float(r["effect"]) for r in table(f"g/kmers/{name}.tsv")} for name in ("SIM00001", "SIM00001-1")}
    mean = {k: (kmers["SIM00001"][k] + kmers["SIM00001-1"][k]) / 2 for k in kmers["SIM00001"]}
    listed = [r for r in rows if r["experiment"] == "kmer"]
    equal(listed[0]["label"], max(mean, key=mean.get), "the strongest k-mer of both")
    check(abs(float(listed[0]["mean"]) - max(mean.values())) < 1e-12, "its mean")
    succeeds("gia", "sites", "--models", "m0", "m2", *QUICK, "--motif", "UGCAUG", "--out", "h")
    check(not pathlib.Path("h/replicates.tsv").exists(), "no replicates, no table")


@test
def memory_is_asked_for_first():
    models()
    code, out, err = run("gia", "all", "--models", "m2", "--null-n", 50, "--k", 2, "--out", "g", "--progress", "plain")
    equal(code, 0, "exit code")
    check("1 model, 50 null sequences, 16 2-mers: 800 predictions" in err, f"the work is told: {err}")
    pathlib.Path("null.fa").write_text(">n\n" + "ACGU" * 10 + "\n>o\n" + "UGCA" * 10 + "\n")
    _, err = succeeds("gia", "kmer", "--models", "m2", "--null", "null.fa", "--k", 2, "--out", "f", "--progress", "plain")
    check("1 model, 2 null sequences (all of null.fa), 16 2-mers: 32 predictions" in err, f"what is used is told: {err}")
    pathlib.Path("file").write_text("")
    refuses(1, ["file", "not a folder"], "gia", "kmer", "--models", "m2", "--out", "file/g")


@test
def published_tests_unpaired():
    models()
    ask = ("gia", "sites", "--models", "m2", *QUICK, "--motif", "UGCAUG", "--controls", 0)
    succeeds(*ask, "--out", "paired")
    succeeds(*ask, "--out", "welch", "--preset", "published")
    for paired, welch in zip(table("paired/effects.tsv")[:1], table("welch/effects.tsv")[:1]):
        equal((paired["label"], paired["mean"], paired["sd"]), (welch["label"], welch["mean"], welch["sd"]), "the first site")
        check(paired["t"] != welch["t"], "another test")
        width = [float(r["ci_high"]) - float(r["ci_low"]) for r in (paired, welch)]
        check(width[0] != width[1], "and its interval")


main()

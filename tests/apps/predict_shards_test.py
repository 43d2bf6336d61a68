"""residualbind predict over several processes: shards put together give the bytes of one run; what does not fit is refused."""
import os
import pathlib
import random

from cli import SMALL, check, equal, main, read, refuses, simulate, succeeds, test

MODELS = ("--models", "m")


def inputs():
    """Two models, and sequences of many lengths."""
    simulate("sim", experiments=2, probes=300)
    succeeds("train", "--data", "sim", "--experiment", "all", "--epochs", 1, "--out", "m", *SMALL, "--progress", "none")
    rng = random.Random(1)
    text = "".join(f">s{i} note\n{''.join(rng.choice('ACGUN') for _ in range(rng.randrange(5, 90)))}\n" for i in range(31))
    pathlib.Path("in.fa").write_text(text)
    return text.encode()


@test
def shards_are_one_run():
    text = inputs()
    for windows in ("max", "mean", "all"):
        ask = ("predict", *MODELS, "--windows", windows, "--progress", "none")
        succeeds(*ask, "--input", "in.fa", "--out", f"{windows}.tsv")
        for n in (1, 3, 40):
            out = f"{windows}{n}/x.tsv"
            for i in reversed(range(n)):
                # However it is read, and with whatever blocks: the same sequences.
                read_from = ("--input", "-") if i % 2 else ("--input", "in.fa")
                printed, _ = succeeds(*ask, *read_from, "--out", out, "--shard", f"{i}/{n}", "--batch", 3 + i,
                                      stdin=text if i % 2 else None)
                equal(printed, "", "stdout of a shard")
            succeeds("predict", "merge", "--out", out)
            check(read(out) == read(f"{windows}.tsv"), f"{n} shards, windows {windows}")
    os.environ.update(SLURM_PROCID="2", SLURM_NTASKS="3")
    succeeds("predict", *MODELS, "--windows", "all", "--input", "in.fa", "--out", "auto.tsv", "--shard", "auto")
    del os.environ["SLURM_PROCID"], os.environ["SLURM_NTASKS"]
    check(read("auto.tsv.shard-2-of-3.safetensors") == read("all3/x.tsv.shard-2-of-3.safetensors"), "the third task")


@test
def shards_that_do_not_fit():
    text = inputs()
    ask = ("predict", *MODELS, "--input", "in.fa", "--progress", "none", "--out", "x.tsv")
    merge = ("predict", "merge", "--out", "x.tsv")
    path = pathlib.Path("x.tsv.shard-1-of-3.safetensors")
    refuses(1, ["x.tsv", "no shard"], *merge)
    for i in (0, 2):
        succeeds(*ask, "--shard", f"{i}/3")
    refuses(1, ["shard 1 of 3 is missing"], *merge)
    refuses(1, ["exists already"], *ask, "--shard", "2/3")
    pathlib.Path("in.fa").write_bytes(text.replace(b">s4 ", b">t4 "))
    succeeds(*ask, "--shard", "1/3")
    refuses(1, ["another run"], *merge)
    pathlib.Path("in.fa").write_bytes(text)
    for other in (("--windows", "mean"), ("--device", "emulated"), ("--models", "m/SIM00001")):
        words = [w for w in ask if w not in MODELS] if other[0] == "--models" else list(ask)
        succeeds(*words, *other, "--shard", "1/3", "--overwrite")
        refuses(1, ["another run"], *merge)
    succeeds(*ask, "--shard", "1/3", "--overwrite")
    good = path.read_bytes()
    for place in (3, 20, len(good) // 2, len(good) - 1):  # a flipped bit, wherever it is
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1:])
        refuses(1, [path], *merge)
    path.write_bytes(good[:-9])
    refuses(1, [path], *merge)
    check(not pathlib.Path("x.tsv").exists(), "nothing was put together")
    path.write_bytes(good)
    pathlib.Path("x.tsv.shard-again.safetensors").write_bytes(good)
    refuses(1, ["is there twice"], *merge)
    pathlib.Path("x.tsv.shard-again.safetensors").unlink()
    succeeds(*merge)
    refuses(1, ["x.tsv", "exists already"], *merge)
    refuses(2, ["--shard", "3/3"], *ask, "--shard", "3/3")
    refuses(2, ["--out"], "predict", *MODELS, "--input", "in.fa", "--shard", "0/3")
    refuses(2, ["merge", "--models"], *merge, *MODELS)
    refuses(2, ["--out"], "predict", "merge")
    refuses(2, ["--models is required"], "predict", "--input", "in.fa")
    refuses(2, ["--input is required"], "predict", *MODELS)


main()

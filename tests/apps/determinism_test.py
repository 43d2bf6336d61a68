"""The same bits: repeated runs, experiments alone or together, and runs that were killed and resumed."""
import os
import pathlib
import random
import signal
import subprocess
import time

import cli
from cli import check, equal, simulate, succeeds, test

EPOCHS = 4
SETTINGS = ("--epochs", EPOCHS, *cli.SMALL)
LONG = ("--epochs", 500, "--stop-patience", 500, *cli.SMALL)  # not over before it is stopped


def train(out, *more, experiments="all"):
    succeeds("train", "--data", "sim", "--experiment", experiments, "--out", out, *SETTINGS, *more, "--progress", "none")


def model(out, experiment="SIM00001"):
    return cli.read(f"{out}/{experiment}/model.safetensors")


@test
def repeated_runs():
    simulate("sim", experiments=2, probes=900)
    train("a")
    train("b")
    train("c", "--threads", 1)
    train("d", "--seed", 1)
    for experiment in ("SIM00001", "SIM00002"):
        equal(model("b", experiment) == model("a", experiment), True, f"{experiment}: two runs, the same file")
        equal(model("c", experiment) == model("a", experiment), True, f"{experiment}: one thread, the same file")
        equal(model("d", experiment) == model("a", experiment), False, f"{experiment}: another seed, another file")
        equal(cli.read(f"b/{experiment}/history.tsv"), cli.read(f"a/{experiment}/history.tsv"), "history")
    equal(cli.read("a/metrics.tsv"), cli.read("c/metrics.tsv"), "metrics")


@test
def alone_or_together():
    simulate("sim", experiments=3, probes=600)
    train("together")
    train("one_by_one", "--models-in-flight", 1)
    for experiment in ("SIM00001", "SIM00002", "SIM00003"):
        train(f"alone_{experiment}", experiments=experiment)
        equal(model(f"alone_{experiment}", experiment) == model("together", experiment), True, f"{experiment} alone")
        equal(model("one_by_one", experiment) == model("together", experiment), True, f"{experiment} one by one")
    train("reversed", experiments="SIM00003,SIM00001")
    for experiment in ("SIM00001", "SIM00003"):
        equal(model("reversed", experiment) == model("together", experiment), True, f"{experiment} in another order")


@test
def grids_replicates_and_workers():
    simulate("sim", experiments=2, probes=600)
    grid = ("--replicates", 2, "--grid", "learning-rate=0.001,0.004", "pool=5,10")
    settings = ("--epochs", 2, "--filters", 32, "--hidden", 32, "--dilations", "1,2", "--progress", "none")
    for out, more in (("one", ()), ("two", ("--workers", 2, "--threads", 2)), ("three", ("--workers", 3, "--threads", 4)),
                      ("narrow", ("--workers", 2, "--threads", 2, "--models-in-flight", 1))):
        succeeds("train", "--data", "sim", "--experiment", "all", "--out", out, *settings, *grid, *more)
    folders = sorted(str(p.parent.relative_to("one")) for p in pathlib.Path("one").glob("*/*/*/model.safetensors"))
    equal(len(folders), 16, "models")
    for out in ("two", "three", "narrow"):
        for folder in folders:
            equal(model(out, folder) == model("one", folder), True, f"{out}, {folder}: model file")
        for name in ("metrics.tsv", "progress.tsv"):
            equal(cli.read(f"{out}/{name}"), cli.read(f"one/{name}"), f"{name} of {out}")
    for rate, pool, replicate in (("0.001", 5, 0), ("0.004", 5, 1), ("0.001", 10, 1)):
        succeeds("train", "--data", "sim", "--experiment", "SIM00002", "--out", f"single{rate}{pool}", *settings,
                 "--learning-rate", rate, "--pool", pool, "--replicate", replicate)
        folder = f"SIM00002/learning-rate={rate},pool={pool}/replicate-{replicate}"
        equal(model(f"single{rate}{pool}", "SIM00002") == model("one", folder), True, f"{folder} alone")
    equal(len({model("one", folder) for folder in folders}), 16, "all models differ")


@test
def damaged_checkpoints():
    simulate("sim", experiments=2, probes=4000)
    train("whole")
    process = start("m")
    for line in process.stderr:  # two epochs of either
        if b"epoch   2" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    current, previous = "m/SIM00002/checkpoint.safetensors", "m/SIM00002/checkpoint.previous.safetensors"
    check(pathlib.Path(previous).exists(), "the checkpoint before is kept while the model is trained")
    good = cli.read(current)
    resume = ("train", "--data", "sim", "--experiment", "all", "--out", "m", *SETTINGS, "--resume")
    pathlib.Path(current).write_bytes(good[:len(good) // 2])
    _, err = succeeds(*resume)
    check(current in err and f"going on from {previous}" in err, f"the damaged checkpoint is named: {err}")
    for experiment in ("SIM00001", "SIM00002"):
        equal(model("m", experiment) == model("whole", experiment), True, f"{experiment}: model file")
        equal(cli.read(f"m/{experiment}/history.tsv"), cli.read(f"whole/{experiment}/history.tsv"), "history")
    equal(pathlib.Path(previous).exists(), False, "a finished model has its last checkpoint alone")
    pathlib.Path(current).write_bytes(good[:len(good) // 2])
    cli.refuses(1, [current], *resume)
    pathlib.Path(previous).write_bytes(b"")
    cli.refuses(1, [current, previous], *resume)
    equal(len(list(pathlib.Path("m").rglob("*.tmp"))), 0, "no temporary files")


@test
def rare_checkpoints():
    simulate("sim", experiments=2, probes=4000)
    train("whole")
    process = start("m", "--checkpoint-every", 2)
    for line in process.stderr:
        if b"epoch   3" in line:
            break
    process.kill()
    process.communicate()
    resume = ("train", "--data", "sim", "--experiment", "all", "--out", "m", *SETTINGS, "--resume", "--checkpoint-every", 3)
    _, err = succeeds(*resume)
    check("going on after epoch 2" in err, f"the third epoch is trained again: {err[:300]}")
    for experiment in ("SIM00001", "SIM00002"):
        equal(model("m", experiment) == model("whole", experiment), True, f"{experiment}: model file")
        equal(cli.read(f"m/{experiment}/history.tsv"), cli.read(f"whole/{experiment}/history.tsv"), "history")


@test
def one_run_at_a_time():
    simulate("sim", experiments=2, probes=4000)
    process = start("m", settings=LONG)
    for line in process.stderr:  # the first finished epoch
        if b"epoch   1" in line:
            break
    again = ("train", "--data", "sim", "--experiment", "all", "--out", "m", *LONG)
    cli.refuses(1, [f"process {process.pid} on"], *again, "--resume", "--progress", "none")
    process.kill()
    process.communicate()
    check(pathlib.Path("m/.lock").exists(), "the killed process leaves its file")
    process = start("m", "--resume", settings=LONG)
    for line in process.stderr:
        if b"epoch" in line and b"valid r" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    equal(process.returncode, 1, "the next process trains, until it is stopped")
    check(b"--resume" in err, f"and says how to go on: {err[-200:]}")
    equal(pathlib.Path("m/.lock").exists(), False, "a process that ends removes it")


def start(out, *more, settings=SETTINGS):
    return subprocess.Popen(cli.command("train", "--data", "sim", "--experiment", "all", "--out", out, *settings,
                                        "--progress", "plain", *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_somewhere(process, rng):
    """Kills at a random moment: of the first epoch, or after some finished one. True when it was still at work."""
    if rng.random() < 0.4:
        time.sleep(rng.uniform(0, 0.3))
    else:
        wanted = rng.randrange(1, 2 * EPOCHS - 2)  # epoch lines of both experiments
        for line in process.stderr:
            wanted -= b"valid r" in line
            if wanted == 0:
                break
        time.sleep(rng.choice((0, 0, 0.01, 0.1)))
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


@test
def killed_and_resumed():
    simulate("sim", experiments=2, probes=4000)
    train("whole")
    rng = random.Random(1)
    interrupted = 0
    for trial in range(5):
        out = f"killed{trial}"
        for attempt in range(3):
            workers = ["--workers", 2, "--threads", 2] if (trial + attempt) % 2 else []
            interrupted += kill_somewhere(start(out, *(["--resume"] if attempt else []), *workers), rng)
        succeeds("train", "--data", "sim", "--experiment", "all", "--out", out, *SETTINGS, "--resume")
        for experiment in ("SIM00001", "SIM00002"):
            equal(model(out, experiment) == model("whole", experiment), True, f"trial {trial}, {experiment}: model file")
            equal(cli.read(f"{out}/{experiment}/history.tsv"), cli.read(f"whole/{experiment}/history.tsv"), "history")
        equal(cli.read(f"{out}/metrics.tsv"), cli.read("whole/metrics.tsv"), f"trial {trial}: metrics")
    print(f"       killed while at work: {interrupted} of 15")
    check(interrupted > 0, "at least one run was killed while at work")


@test
def signals_stop_politely():
    simulate("sim", experiments=1, probes=4000)
    train("whole")
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        out = f"stopped{name}"
        process = start(out)
        for line in process.stderr:  # the first finished epoch
            if b"epoch   1" in line:
                break
        process.send_signal(name)
        _, err = process.communicate(timeout=60)
        last = err.decode().splitlines()[-1] if err else ""
        if process.returncode == 0:
            check(True, "it had finished before the signal came")
            continue
        equal(process.returncode, 1, f"exit code after {name}")
        check(name.name in last and "--resume" in last, f"the last line says how to go on: {last!r}")
        words = last.split("go on with: ")[1].split()
        done = subprocess.run([cli.binary(), *words[1:]], capture_output=True)
        equal(done.returncode, 0, f"the command it suggested works: {done.stderr[-300:]}")
        equal(model(out) == model("whole"), True, "the resumed model file")


@test
def resume_refuses_other_settings():
    simulate("sim", probes=600)
    train("m")
    before = model("m")
    cli.refuses(1, ["m/SIM00001/checkpoint.safetensors"], "train", "--data", "sim", "--experiment", "all", "--out", "m", *SETTINGS,
                "--resume", "--seed", 9)
    succeeds("train", "--data", "sim", "--experiment", "all", "--out", "m", *SETTINGS, "--resume")
    equal(model("m") == before, True, "resuming a finished run changes nothing")
    train("fresh", "--resume")
    equal(model("fresh") == before, True, "--resume without a checkpoint starts anew")


cli.main()

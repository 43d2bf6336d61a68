"""Faults on purpose: kill -9 at random moments, a full disk, a read-only place, inputs that vanish or change, two processes on
one folder, too little memory, a clock that runs backwards. After each, the work goes on and its files are those of a run that
nobody disturbed, byte for byte.

usage: faults_test.py --binary residualbind [TEST ..]; FAULT_KILLS in the environment sets the number of kills of each kind (8;
docs/reliability.md is from 50).
"""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "apps"))
import cli  # noqa: E402
from cli import check, command, equal, main, read, refuses, run, simulate, succeeds, test  # noqa: E402

KILLS = int(os.environ.get("FAULT_KILLS", 8))
SETTINGS = ("--epochs", 4, *cli.SMALL, "--progress", "none")
TRAIN = ("train", "--data", "sim", "--experiment", "all")
LASTING = ("model.safetensors", "history.tsv", "metrics.tsv")  # files without times


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*")) if p.name in LASTING}


def leftovers(folder):
    return [str(p) for p in pathlib.Path(folder).rglob(".*.tmp")]


def killed(seconds, *arguments):
    """Whether SIGKILL after so many seconds found the command at work."""
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def kill_until_done(seconds, begin, go_on, same):
    """Starts, kills and goes on until KILLS kills have hit; every time the work is let through, same() looks at it."""
    rng, kills, finished = random.Random(1), 0, 0
    while kills < KILLS:
        arguments, in_a_row = begin(), 0
        while killed(rng.uniform(0, seconds), *arguments):
            kills, in_a_row = kills + 1, in_a_row + 1
            arguments = go_on()
            if in_a_row == 5 or kills == KILLS:
                break
        succeeds(*go_on())
        same()
        finished += 1
    print(f"    {kills} kills in {finished} runs", flush=True)


@test
def training_killed():
    simulate("sim", experiments=2, probes=1500)
    start = time.monotonic()
    succeeds(*TRAIN, "--out", "whole", *SETTINGS)
    seconds, whole = time.monotonic() - start, files("whole")
    check(len(whole) == 5, f"files of two models: {sorted(whole)}")
    flags = (*TRAIN, "--out", "killed", *SETTINGS)

    def begin():
        shutil.rmtree("killed", ignore_errors=True)
        return flags

    kill_until_done(seconds, begin, lambda: (*flags, "--resume"), lambda: equal(files("killed") == whole, True, "files after kills"))


@test
def sweep_killed():
    simulate("sim", experiments=2, probes=1500)
    plan = ("sweep", "plan", *TRAIN[1:], "--replicates", 2, *SETTINGS, "--out")
    work = ("sweep", "run", "--progress", "none", "--plan")
    succeeds(*plan, "whole")
    start = time.monotonic()
    succeeds(*work, "whole")
    seconds = time.monotonic() - start
    succeeds("sweep", "merge", "--plan", "whole")
    whole = files("whole")
    check(len(whole) == 9, f"files of four models and their table: {sorted(whole)}")

    def begin():
        shutil.rmtree("killed", ignore_errors=True)
        succeeds(*plan, "killed")
        return (*work, "killed")

    def same():
        succeeds("sweep", "merge", "--plan", "killed")
        equal(files("killed") == whole, True, "files after kills")

    kill_until_done(seconds, begin, lambda: (*work, "killed"), same)


@test
def prepare_killed():
    simulate("sim", experiments=2, probes=4000)
    flags = ("prepare", "--data", "sim", "--structure", "phime", "--progress", "none", "--out")
    start = time.monotonic()
    succeeds(*flags, "whole/data.h5")
    seconds, whole = time.monotonic() - start, read("whole/data.h5")

    def begin():
        shutil.rmtree("killed", ignore_errors=True)
        return (*flags, "killed/data.h5")

    def go_on():
        if pathlib.Path("killed/data.h5").exists():
            equal(read("killed/data.h5") == whole, True, "what stands there is whole")
        return (*flags, "killed/data.h5", "--overwrite")

    kill_until_done(seconds, begin, go_on, lambda: equal(read("killed/data.h5") == whole, True, "data.h5 after kills"))


class Mounted:
    """A file system in memory of so many bytes; None where this process may not mount."""

    def __init__(self, size):
        self.folder = tempfile.mkdtemp(prefix="residualbind-disk-")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder], capture_output=True)
        self.mounted = done.returncode == 0

    def __enter__(self):
        return self if self.mounted else None

    def read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def grow(self, size):
        subprocess.run(["mount", "-o", f"remount,rw,size={size}", self.folder], check=True)

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder], check=True)
        os.rmdir(self.folder)


def skipped(what):
    print(f"    SKIPPED {what}: this process may not mount", flush=True)


@test
def disk_full():
    simulate("sim", experiments=2, probes=1500)
    succeeds(*TRAIN, "--out", "whole", *SETTINGS)
    whole = files("whole")
    size = sum(p.stat().st_size for p in pathlib.Path("whole").rglob("*") if p.is_file())
    for part in (0.02, 0.3, 0.6, 0.9):
        with Mounted(int(part * size) // 4096 * 4096 + 4096) as disk:
            if disk is None:
                return skipped("a full disk")
            out = f"{disk.folder}/models"
            code, _, err = run(*TRAIN, "--out", out, *SETTINGS)
            equal(code, 1, f"exit code on a disk of {part:.0%} of what it takes")
            check("No space left" in err, f"what is wrong is said: {err.strip()[-200:]}")
            check(not leftovers(disk.folder), f"nothing half-written stays: {leftovers(disk.folder)}")
            disk.grow("64m")
            succeeds(*TRAIN, "--out", out, *SETTINGS, "--resume")
            equal(files(out) == whole, True, "files once there is room")
            disk.read_only()
            for flags in ((*TRAIN, "--out", f"{disk.folder}/more", *SETTINGS), (*TRAIN, "--out", out, *SETTINGS, "--overwrite")):
                code, _, err = run(*flags)
                equal(code, 1, "exit code on a read-only disk")
                check("Read-only" in err, f"read-only is said: {err.strip()[-200:]}")
            equal(files(out) == whole, True, "a read-only disk keeps its files")


def stopped_run(out):
    """A run stopped after at least one epoch: its exit code and last words."""
    process = subprocess.Popen(command(*TRAIN, "--out", out, "--epochs", 400, "--stop-patience", 400, *SETTINGS[2:-1], "plain"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in process.stderr:
        if b"valid r" in line:
            break
    process.send_signal(signal.SIGUSR1)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


@test
def inputs_that_vanish_or_change():
    simulate("sim", experiments=2, probes=1500)
    code, err = stopped_run("out")
    check(code not in (0, 1, 2) or "go on with" in err, f"a stop says how to go on: {code}, {err[-200:]}")
    flags = (*TRAIN, "--out", "out", "--epochs", 400, "--stop-patience", 400, *SETTINGS[2:], "--resume")
    before = files("out")
    os.rename("sim", "away")
    refuses(1, ["sim"], *flags)
    os.rename("away", "sim")
    targets = pathlib.Path("sim/targets.tsv")
    text = targets.read_text()
    lines = text.splitlines()
    cells = lines[5].split("\t")
    targets.write_text("\n".join([*lines[:5], "\t".join(["123.25", *cells[1:]]), *lines[6:]]) + "\n")
    refuses(1, ["other data"], *flags)
    targets.write_text(text[: len(text) // 2])
    code, _, err = run(*flags)
    equal(code, 1, f"exit code for half a table: {err[-200:]}")
    targets.write_text(text)
    equal(files("out") == before, True, "refusals leave the files alone")
    refuses(1, ["other"], *flags[:-1], "--learning-rate", "0.01", "--resume")


@test
def two_processes():
    simulate("sim", probes=1500)
    first = subprocess.Popen(command(*TRAIN, "--out", "out", "--epochs", 100000, "--stop-patience", 100000, *SETTINGS[2:-1], "plain"),
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for line in first.stderr:
            if b"valid r" in line:
                break
        code, _, err = run(*TRAIN, "--out", "out", *SETTINGS, "--overwrite")
        equal(code, 1, "exit code of the second")
        check(str(first.pid) in err and os.uname().nodename in err, f"the owner's pid and host are named: {err}")
    finally:
        first.kill()
        first.communicate()
    succeeds(*TRAIN, "--out", "out", *SETTINGS, "--overwrite")


@test
def too_little_memory():
    """From what the loader needs to what training needs."""
    if "asan" in cli.binary():
        print("    SKIPPED: the address sanitizer wants all addresses", flush=True)
        return
    simulate("sim", experiments=2, probes=1500)
    refused = loaded = 0
    for kilobytes in range(30_000, 120_000, 3_000):
        done = subprocess.run(["bash", "-c", f'ulimit -v {kilobytes}; exec "$0" "$@"',
                               *command(*TRAIN, "--out", f"out{kilobytes}", *SETTINGS, "--threads", 1)],
                              capture_output=True)
        err = done.stderr.decode()
        if done.returncode == 127 and not loaded:  # the loader has no room for the libraries
            continue
        loaded += 1
        refused += done.returncode == 1
        check(done.returncode in (0, 1), f"{kilobytes} KB: ends with a message, not a signal: {done.returncode}, {err[-200:]}")
        if done.returncode == 1:
            check("memory" in err, f"{kilobytes} KB: memory is named: {err[-200:]}")
            check(not leftovers("."), "nothing half-written stays")
            continue
        if loaded - refused == 3:
            break
    print(f"    {refused} of {loaded} limits were too small", flush=True)
    check(loaded > refused, "some limit is enough")
    # Addresses for some of the threads: those that run already end with the process in order.
    for arguments in (("predict", "--models", f"out{kilobytes}", "--input", "sim/sequences.tsv"),
                      (*TRAIN, "--out", "many", *SETTINGS)):
        done = subprocess.run(["bash", "-c", 'ulimit -v 400000; exec "$0" "$@"', *command(*arguments, "--threads", 200)],
                              capture_output=True)
        err = done.stderr.decode()
        equal(done.returncode, 1, f"{arguments[0]} with 200 threads in 400 MB: {err[-200:]}")
        check("out of memory or threads" in err and "--threads" in err and err.count("\n") == 1, err[-300:])



CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <sys/time.h>
static time_t back(void) { static time_t shift; return shift += 3; }
int clock_gettime(clockid_t id, struct timespec* t) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(id, t);
  if (id == CLOCK_REALTIME) t->tv_sec -= back();
  return code;
}
"""


@test
def clock_backwards():
    simulate("sim", probes=600)
    pathlib.Path("clock.c").write_text(CLOCK)
    if subprocess.run(["cc", "-shared", "-fPIC", "clock.c", "-o", "clock.so", "-ldl"], capture_output=True).returncode != 0:
        print("    SKIPPED: no C compiler", flush=True)
        return
    if "asan" in cli.binary():
        print("    SKIPPED: the address sanitizer wants to be loaded first", flush=True)
        return
    succeeds(*TRAIN, "--out", "whole", *SETTINGS)
    backwards = {**os.environ, "LD_PRELOAD": os.path.abspath("clock.so")}
    done = subprocess.run(command(*TRAIN, "--out", "out", *SETTINGS), env=backwards, capture_output=True)
    equal(done.returncode, 0, f"training under such a clock: {done.stderr.decode()[-200:]}")
    equal(files("out") == files("whole"), True, "files under such a clock")
    record = cli.load_json("out/run.json")["seconds"]
    check(all(s >= 0 for s in record.values()), f"durations come from a steady clock: {record}")


main()

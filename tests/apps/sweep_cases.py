"""What the tests of residualbind sweep share: the subcommands, and the files that may not depend on who made them."""
import json
import pathlib
import subprocess

import cli
from cli import SMALL, check, equal, read, run, succeeds

SETTINGS = ("--epochs", 2, *SMALL)


def plan(out, *more, epochs=2):
    return succeeds("sweep", "plan", "--data", "sim", "--experiment", "all", "--epochs", epochs, *SMALL, "--out", out, *more,
                    "--progress", "none")[0]


def sweep(out, *more):
    return succeeds("sweep", "run", "--plan", out, *more, "--progress", "none")


def merge(out, *more):
    return succeeds("sweep", "merge", "--plan", out, *more, "--progress", "none")


def status(out, code):
    found, text, err = run("sweep", "status", "--plan", out, "--format", "json")
    equal(found, code, f"exit code of status of {out}")
    equal(len(err.splitlines()), 0 if code == 0 else 1, f"lines on stderr of status: {err}")
    return json.loads(text)


def results(out):
    """All that must not depend on how the work was shared out: {path below out: bytes}."""
    kept = ("model.safetensors", "history.tsv", "result.json", "metrics.tsv", "summary.json")
    return {str(p.relative_to(out)): read(p) for p in sorted(pathlib.Path(out).rglob("*")) if p.name in kept}


def same(found, expected, what):
    equal(sorted(found), sorted(expected), f"{what}: files")
    for name in expected:
        check(found.get(name) == expected[name], f"{what}: {name} differs")


def start(out, *more):
    return subprocess.Popen(cli.command("sweep", "run", "--plan", out, "--progress", "plain", *more),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(process, word, times=1):
    """Reads the process's lines until `word` has come so often; False when it ended before."""
    for line in process.stderr:
        times -= word in line
        if times == 0:
            return True
    return False


def flip(path, place):
    data = bytearray(read(path))
    data[place] ^= 4
    pathlib.Path(path).write_bytes(data)

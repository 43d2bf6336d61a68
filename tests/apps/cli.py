"""What the end-to-end tests of the command line share: running it, comparing, counting.

A test script is a list of functions registered with @test. run(...) gives (code, stdout, stderr); check(...) compares and
counts. main() runs them in fresh folders, prints `comparisons: N` and fails when something differs or nothing was compared.
Only Python's standard library is used.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

_tests = []
_state = {"comparisons": 0, "failures": 0, "binary": ""}


def test(function):
    _tests.append(function)
    return function


def binary():
    return _state["binary"]


def command(*arguments):
    return [binary(), *[str(a) for a in arguments]]


def run(*arguments, stdin=None):
    """Runs residualbind; returns (exit code, stdout, stderr) as text."""
    done = subprocess.run(command(*arguments), input=stdin, capture_output=True, timeout=600)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(condition, what):
    _state["comparisons"] += 1
    if not condition:
        _state["failures"] += 1
        print(f"  FAILED: {what[:600]}", flush=True)
    return condition


def equal(found, expected, what):
    return check(found == expected, f"{what}: found {found!r}; expected {expected!r}")


def succeeds(*arguments, stdin=None):
    """Runs residualbind, which must succeed; returns stdout and stderr."""
    code, out, err = run(*arguments, stdin=stdin)
    equal(code, 0, f"exit code of {' '.join(map(str, arguments))} ({err.strip()[-300:]})")
    return out, err


def refuses(code, fragments, *arguments, stdin=None):
    """The command must end with `code` and exactly one stderr line that carries every fragment; nothing on stdout."""
    found, out, err = run(*arguments, stdin=stdin)
    name = " ".join(map(str, arguments))
    lines = err.splitlines()
    equal(found, code, f"exit code of {name} ({err.strip()[-300:]})")
    equal(len(lines), 1, f"stderr lines of {name}: {lines[:3]}")
    equal(out, "", f"stdout of {name}")
    prefix = "residualbind" + (f" {arguments[0]}: " if code == 1 or len(arguments) else ": ")
    check(err.startswith(prefix) or err.startswith("residualbind: "), f"{name}: stderr starts with {err[:60]!r}")
    for fragment in fragments:
        check(str(fragment) in err, f"{name}: {fragment!r} is not in {err.strip()!r}")
    return err.strip()


def read(path):
    return pathlib.Path(path).read_bytes()


def table(path):
    """A TSV file as a list of dictionaries."""
    lines = pathlib.Path(path).read_text().splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"))) for line in lines[1:]]


def load_json(path):
    return json.loads(pathlib.Path(path).read_text())


def simulate(folder, experiments=1, probes=1500, seed=0):
    succeeds("simulate", "--out", folder, "--experiments", experiments, "--probes", probes, "--seed", seed,
             "--progress", "none")


# A network small enough for sanitizer builds; every layer kind is in it.
SMALL = ("--filters", 32, "--hidden", 32, "--dilations", "1,2", "--pool", 10)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("only", nargs="*", help="names of tests to run")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):  # a script's `&` has them ignored, which the program leaves so
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _state["binary"] = os.path.abspath(arguments.binary)
    home = os.getcwd()
    ran = 0
    for function in _tests:
        if arguments.only and function.__name__ not in arguments.only:
            continue
        ran += 1
        start = time.monotonic()
        failures = _state["failures"]
        with tempfile.TemporaryDirectory(prefix="residualbind-test-") as folder:
            os.chdir(folder)
            try:
                function()
            except Exception as error:  # a test that cannot go on has failed; the others still run
                check(False, f"{type(error).__name__}: {error}")
            finally:
                os.chdir(home)
        verdict = "ok" if _state["failures"] == failures else "FAILED"
        print(f"{verdict:6} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    print(f"comparisons: {_state['comparisons']}, tests: {ran}, failures: {_state['failures']}")
    if _state["comparisons"] == 0:
        print("no comparison was made: this is a failure")
        sys.exit(1)
    sys.exit(1 if _state["failures"] else 0)

#!/usr/bin/env python3
"""bench/gpu_check.sh and gpu_report.py without a GPU: stand-ins for the programs that they run, which succeed, fail, hang,
stop half-way or are missing. Nothing here is a measurement. Standard library only."""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
comparisons = failures = 0

DEVICE = '#!/bin/sh\n'
NO_DEVICE = """#!/bin/sh
echo "residualbind bench: --device cuda: no NVIDIA driver that this build can use; expected --device cpu or auto" >&2
exit 1
"""
BENCH = """#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in --json) json=$2 ;; --precision) precision=$2 ;; esac; shift; done
echo '{"kind": "context", "device": "Stand-in", "ceilings": {"copy_GB/s": 1}}' >"$json"
[ -n "$precision" ] || exit 0
echo "{\\"kind\\": \\"row\\", \\"name\\": \\"Adam/$precision/M244/ours\\", \\"time_us\\": 2}" >>"$json"
echo "{\\"kind\\": \\"row\\", \\"name\\": \\"Adam/$precision/M244/copy\\", \\"time_us\\": 1}" >>"$json"
[ "$precision" = tf32 ] && { printf '{"kind": "row", "name": "half' >>"$json"; exec sleep 100; }
[ "$precision" = fp32 ] && { echo "an error of the device" >&2; exit 1; }
exit 0
"""
TRAIN = """#!/bin/sh
command=$1; out=
while [ $# -gt 0 ]; do case "$1" in --out) out=$2 ;; esac; shift; done
[ "$command" = train ] || exit 0
echo '{"event": "data", "experiments": ["A", "B"]}' >&2
case "$out" in
  *log) mkdir -p "$out/A"; printf 'epoch\\n1\\n2\\n' >"$out/A/history.tsv"; printf 'experiment\\tn\\tpearson\\nA\\t5\\t0.5\\n' >"$out/metrics.tsv" ;;
  *) exec sleep 100 ;;
esac
"""
TEST = """#!/bin/sh
[ "$RB_TEST_DEVICE" = 1 ] || exit 9  # would run the emulation
for a in "$@"; do case "$a" in
  --gtest_list_tests) echo "Suite."; exit 0 ;;
  --gtest_output=json:*) printf '%s' '{"testsuites": [{"testsuite": [{"name": "One", "classname": "Suite", "result": "COMPLETED"},
    {"name": "Two", "classname": "Suite", "result": "SKIPPED"}]}]}' >"${a#*json:}" ;;
esac; done
echo "comparisons: 7, tests: 2, skipped: 1"
"""


def check(condition, what):
    global comparisons, failures
    comparisons += 1
    if not condition:
        failures += 1
        print(f"FAILED: {what}", flush=True)


def program(folder, name, text):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(folder, *arguments):
    # A copy: from a checkout, the report would be kept in bench/results.
    for name in ("gpu_check.sh", "gpu_report.py", "peer_pytorch.py"):
        (folder / name).write_bytes((ROOT / "bench" / name).read_bytes())
    done = subprocess.run(["bash", str(folder / "gpu_check.sh"), "--out", str(folder / "out"), *arguments],
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    path = folder / "out" / "result.json"
    return done, json.loads(path.read_text()) if path.exists() else {}


def statuses(result, stage):
    return {s["step"]: (s["status"], s["reason"]) for s in result["steps"] if s["stage"] == stage}


def without_device(folder):
    program(folder, "residualbind", NO_DEVICE)
    done, result = run(folder)
    check(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
    for stage in ("probe", "correct", "kernels", "peer", "scale"):
        status, reason = statuses(result, stage).get("", ("", ""))
        check(status == "skipped" and "no NVIDIA driver" in reason, f"{stage}: {status} {reason}")
    check("no device" in done.stdout and not result["kernels"] and not result["tests"], "the report says so and has no rows")


def everything_goes_wrong(folder):
    program(folder, "residualbind", DEVICE)
    program(folder, "device_bench", BENCH)
    program(folder, "good_test", TEST)
    program(folder, "bad_test", "#!/bin/sh\necho comparisons: 1\nexit 3\n")
    (folder / "bin" / "device_tests.txt").write_text("good_test\nbad_test\ngone_test\n")
    done, result = run(folder, "--stages", "probe,correct,kernels", "--limit", "kernels=4")
    check(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
    kernels = statuses(result, "kernels")
    check(kernels["device.bf16"][0] == "ok", f"{kernels}")
    check(kernels["device.tf32"][0] == "cut off", f"{kernels}")
    check(kernels["device.fp32"][0] == "skipped" and "time" in kernels["device.fp32"][1], f"{kernels}")
    check(kernels["cudnn"] == ("skipped", "no cudnn_bench in " + str(folder / "bin")), f"{kernels}")
    check(set(result["kernels"]) == {f"Adam/{p}/M244/{w}" for p in ("bf16", "tf32") for w in ("ours", "copy")},
          f"whole rows of a cut-off program stay: {list(result['kernels'])}")
    correct = statuses(result, "correct")
    check(correct["good_test"][0] == "ok" and correct["bad_test"][0] == "failed", f"{correct}")
    check("exit code 3" in correct["bad_test"][1] and correct["gone_test"][0] == "skipped", f"{correct}")
    check(result["tests"]["good_test"] == {"tests": 2, "failures": 0, "skipped": 1, "comparisons": 7, "failed": []},
          f"{result['tests']}")
    check(result["device"]["device"] == "Stand-in" and "copy GB/s 1" in done.stdout, "device and ceilings")
    line = next((x for x in done.stdout.splitlines() if x.startswith("Adam ")), "")
    check(line.split() == ["Adam", "2.0", "1.0"], f"the table's line: {line!r}")
    done, result = run(folder, "--stages", "kernels", "--precision", "fp32")
    check(statuses(result, "kernels")["device.fp32"] == ("failed", "exit code 1: an error of the device"), "a failure's words")


def real_data(folder):
    program(folder, "residualbind", TRAIN)
    (folder / "data").mkdir()
    done, result = run(folder, "--stages", "real", "--data", str(folder / "data"), "--precision", "bf16", "--limit", "real=3")
    steps = statuses(result, "real")
    check(steps["bf16.log"][0] == "ok" and steps["bf16.clip"][0] == "cut off", f"{steps}")
    log = result["real"]["bf16/log"]
    check(log["gaps"] == ["B"] and log["epochs"] == {"A": 2} and log["metrics"][0]["pearson"] == "0.5", f"{log}")
    check("without a test result: B" in done.stdout, done.stdout)


def wrong_flags(folder):
    program(folder, "residualbind", DEVICE)
    for arguments in (("--stages", "dance"), ("--precision", "fp8"), ("--stages", "real"), ("--limit", "probe"), ("--bogus", "1")):
        done, _ = run(folder, *arguments)
        check(done.returncode == 2 and done.stderr.startswith("gpu_check.sh: "), f"{arguments}: {done.returncode} {done.stderr}")
    done = subprocess.run(["bash", str(folder / "gpu_check.sh"), "--help"], capture_output=True, text=True)
    check(done.returncode == 0 and "real" in done.stdout and "#" not in done.stdout, "help")


def main():
    for test in (without_device, everything_goes_wrong, real_data, wrong_flags):
        with tempfile.TemporaryDirectory() as folder:
            test(pathlib.Path(folder))
    print(f"comparisons: {comparisons}")
    return 1 if failures or not comparisons else 0


if __name__ == "__main__":
    sys.exit(main())

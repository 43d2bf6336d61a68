"""residualbind sweep when things go wrong: models that fail, data that change, damaged files; and the Slurm script."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import cli
from cli import check, equal, load_json, main, read, refuses, run, simulate, succeeds, table, test
from sweep_cases import SETTINGS, flip, merge, plan, results, same, status, sweep, wait_for

STOPPED = 128 + signal.SIGUSR1



def fake(name, text):
    pathlib.Path("bin").mkdir(exist_ok=True)
    path = pathlib.Path("bin") / name
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


@test
def failed_models():
    simulate("sim", experiments=2, probes=400)
    rows = pathlib.Path("sim/targets.tsv").read_text().splitlines()
    rows = [rows[0] + "\tBAD"] + [r + ("\t1.5" if i == 0 else "\t") for i, r in enumerate(rows[1:])]
    pathlib.Path("sim/targets.tsv").write_text("\n".join(rows) + "\n")
    succeeds("sweep", "plan", "--data", "sim", "--experiment", "BAD,SIM00001,SIM00002", *SETTINGS, "--out", "p")
    _, err = succeeds("sweep", "plan", "--data", "sim", "--experiment", "all", *SETTINGS, "--out", "q")
    check("ATTENTION" in err and "BAD" in err, f"the plan names what will fail: {err}")
    code, _, err = run("sweep", "run", "--plan", "p", "--progress", "plain")
    equal(code, 1, "exit code with a failed model")
    check("1 of 3 models failed: BAD" in err.splitlines()[-1], f"the last line: {err.splitlines()[-1]}")
    found = status("p", 3)
    equal((found["finished"], found["failed"]), (2, 1), "the others go on")
    equal([(m["folder"], m["state"]) for m in found["unfinished"]], [("BAD", "failed")], "the failed one")
    check("scores" in found["unfinished"][0]["reason"], f"why: {found['unfinished'][0]['reason']}")
    code, text, _ = run("sweep", "status", "--plan", "p")
    equal(code, 3, "exit code of status")
    check("BAD (failed: " in text, f"status names it: {text}")
    refuses(1, ["1 of 3 models are not there: BAD", "--allow-incomplete"], "sweep", "merge", "--plan", "p")
    check(not pathlib.Path("p/metrics.tsv").exists(), "nothing is merged")
    merge("p", "--allow-incomplete")
    equal([r["experiment"] for r in table("p/metrics.tsv")], ["SIM00001", "SIM00002"], "rows without the failed one")
    equal(load_json("p/summary.json")["missing"], ["BAD"], "the summary names it")

    # A training that goes to infinity, beside others: they end as if they were alone.
    succeeds("sweep", "plan", "--data", "sim", "--experiment", "SIM00001,SIM00002", *SETTINGS, "--grid",
             "learning-rate=0.001,1e30", "--out", "g", "--progress", "none")
    for again in range(2):
        code, _, err = run("sweep", "run", "--plan", "g", "--progress", "plain")
        equal(code, 1, "exit code")
        check("2 of 4 models failed: SIM00001/learning-rate=1e+30" in err.splitlines()[-1], err.splitlines()[-1])
        found = status("g", 3)
        equal((found["finished"], found["failed"]), (2, 2), f"models after run {again}")
        check(all("not finite" in m["reason"] for m in found["unfinished"]), "why")
    for name in ("SIM00001", "SIM00002"):
        check(read(f"g/models/{name}/learning-rate=0.001/model.safetensors") == read(f"p/models/{name}/model.safetensors"),
              f"{name} beside a failed one")


@test
def changed_data_and_moved_data():
    simulate("sim", experiments=2, probes=400)
    plan("p")
    sweep("p", "--shard", "0/2")
    old = pathlib.Path("sim/targets.tsv").read_text()
    lines = old.splitlines()
    first, second = lines[5].split("\t")
    lines[5] = f"{first}\t123.5"
    pathlib.Path("sim/targets.tsv").write_text("\n".join(lines) + "\n")
    planned = {r["experiment"]: r["data"] for r in table("p/manifest.tsv")}
    line = refuses(1, ["SIM00002", "hash", planned["SIM00002"]], "sweep", "run", "--plan", "p", "--shard", "1/2")
    plan("changed")
    now = {r["experiment"]: r["data"] for r in table("changed/manifest.tsv")}
    check(now["SIM00002"] in line and now["SIM00002"] != planned["SIM00002"], f"both hashes are told: {line}")
    equal(now["SIM00001"], planned["SIM00001"], "the other experiment's data are the same")
    pathlib.Path("sim/targets.tsv").write_text(old)
    shutil.move("sim", "moved")
    refuses(1, ["sim"], "sweep", "run", "--plan", "p", "--shard", "1/2")
    sweep("p", "--shard", "1/2", "--data", "moved")
    merge("p")


@test
def damaged_files():
    simulate("sim", experiments=2, probes=400)
    plan("p")
    sweep("p")
    merge("p")
    good = results("p")
    folder = "p/models/SIM00002"
    size = len(read(f"{folder}/model.safetensors"))

    def number(key, value):
        path = pathlib.Path(f"{folder}/result.json")
        path.write_text(re.sub(rf'"{key}": \d+', f'"{key}": {value}', path.read_text(), count=1))

    def drop_checkpoints():
        for path in pathlib.Path(folder).glob("checkpoint*"):
            path.unlink()

    for what in (lambda: flip(f"{folder}/model.safetensors", size - 1), lambda: flip(f"{folder}/model.safetensors", 900),
                 lambda: pathlib.Path(f"{folder}/model.safetensors").write_bytes(b""),
                 lambda: pathlib.Path(f"{folder}/model.safetensors").unlink(), lambda: flip(f"{folder}/history.tsv", 60),
                 lambda: pathlib.Path(f"{folder}/result.json").write_text("{"),
                 lambda: number("epochs", "1e300"), lambda: number("best_epoch", "-1"), lambda: number("n", "1e300"),
                 lambda: shutil.copy("p/models/SIM00001/model.safetensors", f"{folder}/model.safetensors")):
        for checkpoints in (True, False):
            what()
            if not checkpoints:
                drop_checkpoints()
            refuses(1, ["SIM00002"], "sweep", "merge", "--plan", "p")
            equal(status("p", 3)["damaged"], 1, "damaged models")
            _, err = succeeds("sweep", "run", "--plan", "p", "--progress", "plain")
            check("the model is trained again" in err and "SIM00002" in err, f"it is said: {err}")
            same(results("p"), good, "after the damage")
    for path in sorted(pathlib.Path(folder).glob("checkpoint*")):  # half done, and the checkpoints are of no use
        flip(path, len(read(path)) // 2)
    pathlib.Path(f"{folder}/result.json").unlink()
    _, err = succeeds("sweep", "run", "--plan", "p", "--progress", "plain")
    check("trained from its start" in err, f"damaged checkpoints are told: {err}")
    same(results("p"), good, "after damaged checkpoints")
    # Results of a model of other settings are no results of this plan.
    plan("p", "--seed", 5, "--overwrite")
    equal(status("p", 3)["finished"], 0, "finished models of another plan")
    sweep("p")
    refuses(1, ["p/metrics.tsv", "exists already"], "sweep", "merge", "--plan", "p")
    merge("p", "--overwrite")
    plan("fresh", "--seed", 5)
    sweep("fresh")
    merge("fresh")
    same(results("p"), results("fresh"), "a plan in another plan's folder")


@test
def damaged_shard_records():
    simulate("sim", probes=400)
    plan("p")
    sweep("p")
    path = pathlib.Path("p/shards/0-of-1.json")
    good = path.read_text()
    equal(len(status("p", 0)["shards"]), 1, "shards that are heard of")
    for key in ("shard", "of", "pid", "models", "finished", "failed", "trained"):
        for value in ("1e300", "-1", "18446744073709551615", "0.5"):
            path.write_text(re.sub(rf'"{key}": \d+', f'"{key}": {value}', good, count=1))
            equal(status("p", 0)["shards"], [], f"{key} {value}: the record is left out")


@test
def a_plan_that_is_replaced_meanwhile():
    simulate("sim", experiments=2, probes=400)
    plan("p")
    plan("other", "--seed", 5)
    text, other = read("p/plan.json"), read("other/plan.json")
    # A pipe in the plan's place: its reader waits for each of the texts, so that the second one comes in time.
    os.remove("p/lock")
    os.remove("p/plan.json")
    os.mkfifo("p/plan.json")
    process = subprocess.Popen(cli.command("sweep", "run", "--plan", "p", "--progress", "none"), stderr=subprocess.PIPE, text=True)

    def give(content):
        while process.poll() is None:
            try:
                pipe = os.open("p/plan.json", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                time.sleep(0.01)
                continue
            with open(pipe, "wb") as file:
                file.write(content)
            return

    give(text)
    while process.poll() is None and not pathlib.Path("p/lock").exists():  # the manifest has been read
        time.sleep(0.01)
    shutil.copy("other/manifest.tsv", "p/manifest.tsv")
    give(other)
    _, err = process.communicate(timeout=120)
    equal(process.returncode, 1, f"exit code ({err})")
    check("p: its plan was replaced" in err, f"what it says: {err}")
    check(not pathlib.Path("p/models").exists(), "nothing is trained")


@test
def the_slurm_script():
    simulate("sim", experiments=3, probes=2500)
    folder = "a plan's 100% \"$HOME\""
    plan(folder, epochs=30)
    script, _ = succeeds("sweep", "slurm", "--plan", folder, "--array", 2, "--time", "2-1:00:00", "--partition", "gpu",
                         "--gpus", 1, "--cpus", 2, "--mem", "16G", "--job-name", "a name", "--sbatch=--account=lab",
                         "--setup", "export FROM_SETUP=yes")
    pathlib.Path("s.sh").write_text(script)
    checked = subprocess.run(["bash", "-n", "s.sh"], capture_output=True, text=True)
    equal((checked.returncode, checked.stderr), (0, ""), "bash -n")
    if shutil.which("shellcheck"):
        checked = subprocess.run(["shellcheck", "-S", "warning", "s.sh"], capture_output=True, text=True)
        equal(checked.stdout, "", "shellcheck")
    for line in ("--array=0-1", "--time=2-1:00:00", "--gres=gpu:1", "--cpus-per-task=2", "--mem=16G", "--requeue",
                 "--signal=B:USR1@300", "--open-mode=append", "--account=lab", '--partition="gpu"', '--job-name="a name"'):
        check(f"#SBATCH {line}\n" in script, f"{line} is in the script")
    short, _ = succeeds("sweep", "slurm", "--plan", folder, "--time", "2")
    check("B:USR1@30\n" in short and "--array=0-2\n" in short and "--gres" not in short, "a short limit, three models")
    for flag, wrong in (("--time", "soon"), ("--time", "0:30"), ("--time", "1-"), ("--mem", "much"), ("--array", 0),
                        ("--partition", "a\nb"), ("--job-name", "")):
        refuses(2, [flag], "sweep", "slurm", "--plan", folder, f"{flag}={wrong}")

    # Submitting: the array, then a merge that waits for its end.
    fake("sbatch", 'printf "%s\\n" "$@" >>sbatch.log\ncase "$*" in *dependency*) cat >merge.sh ;; esac\necho "77;cluster"\n')
    fake("scontrol", 'echo "$*" >>scontrol.log\n')
    path = f"{os.getcwd()}/bin:{os.environ['PATH']}"
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")} | {"PATH": path}
    done = subprocess.run(["bash", "s.sh"], env=env, capture_output=True, text=True)
    equal((done.returncode, done.stdout), (0, "77\n"), f"submitting ({done.stderr})")
    said = pathlib.Path("sbatch.log").read_text().splitlines()
    check("s.sh" in said and "--dependency=afterany:77" in said, f"what sbatch is told: {said}")

    # The tasks, as Slurm would run them; the first is warned of its time limit and goes back into the queue.
    task = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "78", "SLURM_CPUS_PER_TASK": "1"}
    process = subprocess.Popen(["bash", "s.sh"], env=env | task, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(process, "  epoch ")
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=120)
    equal(process.returncode, STOPPED, f"exit code of the warned task ({err[-300:]})")
    check("goes back into the queue" in out, f"what it says: {out}")
    equal(pathlib.Path("scontrol.log").read_text(), "requeue 78\n", "it is put into the queue")
    refuses(1, ["models are not there"], "sweep", "merge", "--plan", folder)
    for number in "01":
        done = subprocess.run(["bash", "s.sh"], env=env | task | {"SLURM_ARRAY_TASK_ID": number}, capture_output=True, text=True)
        equal(done.returncode, 0, f"task {number} ({done.stderr[-300:]})")
    equal(pathlib.Path("scontrol.log").read_text(), "requeue 78\n", "finished tasks are not put into the queue")
    done = subprocess.run(["bash", "merge.sh"], env=env, capture_output=True, text=True)
    equal(done.returncode, 0, f"the merge job ({done.stderr[-300:]})")
    plan("whole", epochs=30)
    sweep("whole")
    merge("whole")
    same(results(folder), results("whole"), "through the script")
    # A task that fails is not put into the queue, whatever it was told.
    flip(f"{folder}/manifest.tsv", 200)
    done = subprocess.run(["bash", "s.sh"], env=env | task, capture_output=True, text=True)
    equal(done.returncode, 1, "a task of a damaged plan")
    equal(pathlib.Path("scontrol.log").read_text(), "requeue 78\n", "it is not put into the queue")


main()

"""residualbind sweep: plans, shards that equal one run bit for bit, kills, failures, damage, merging, the Slurm script."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess

import cli
from cli import SMALL, check, equal, load_json, main, read, refuses, run, simulate, succeeds, table, test

SETTINGS = ("--epochs", 2, *SMALL)
STOPPED = 128 + signal.SIGUSR1


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


GRID = ("--replicates", 2, "--grid", "learning-rate=0.001,0.002")


@test
def plans():
    simulate("sim", experiments=3, probes=300)
    text = plan("a", *GRID)
    check("12 models, 3 experiments, 2 replicates, different in schedule.learning_rate" in text, f"what it says: {text}")
    rows = table("a/manifest.tsv")
    epoch = int(text.split("; ")[1].split(" sequences")[0].replace(",", ""))
    targets = table("sim/targets.tsv")
    folds = [r["Fold ID"] for r in table("sim/sequences.tsv")]
    in_a = sum(r[e] not in ("", "NA", "nan") for r, f in zip(targets, folds) if f == "A" for e in r) * 4
    check(0.8 * in_a < epoch < in_a, f"{epoch} sequences in an epoch of {in_a} scores of set A")
    equal(len({r["id"] for r in rows}), 12, "ids")
    equal(len({r["folder"] for r in rows}), 12, "folders")
    equal({len(r["id"]) for r in rows}, {16}, "an id's digits")
    equal({(r["experiment"], r["replicate"], r["schedule.learning_rate"]) for r in rows},
          {(f"SIM0000{e}", str(r), lr) for e in (1, 2, 3) for r in (0, 1) for lr in ("0.001", "0.002")}, "models")
    first = read("a/manifest.tsv"), read("a/plan.json")
    plan("a", *GRID)
    equal((read("a/manifest.tsv"), read("a/plan.json")) == first, True, "the same flags again, the same bytes")
    ids = {(r["experiment"], r["replicate"], r["schedule.learning_rate"]): r["id"] for r in rows}
    # Other models beside it, another order, another place, packed tables: the same ids.
    shutil.copytree("sim", "elsewhere")
    subprocess.run(["gzip", "elsewhere/targets.tsv"], check=True)
    succeeds("sweep", "plan", "--data", "elsewhere", "--experiment", "SIM00003,SIM00001", *SETTINGS, "--out", "b",
             "--progress", "none")
    for row in table("b/manifest.tsv"):
        equal(row["id"], ids[row["experiment"], "0", "0.001"], f"the id of {row['experiment']} in another plan")
    plan("c", "--seed", 1)
    check(not {r["id"] for r in table("c/manifest.tsv")} & set(ids.values()), "another seed, other ids")
    plan("d", "--max-probes", 100)
    check(not {r["id"] for r in table("d/manifest.tsv")} & set(ids.values()), "fewer probes, other ids")
    refuses(1, ["a/plan.json", "exists already", "--overwrite"], "sweep", "plan", "--data", "sim", "--experiment", "all",
            *SETTINGS, "--out", "a")
    refuses(2, ["--resume"], "sweep", "plan", "--data", "sim", *SETTINGS, "--out", "x", "--resume")
    refuses(2, ["--experiment"], "sweep", "plan", "--data", "sim", *SETTINGS, "--out", "x")
    refuses(2, ["subcommand"], "sweep")
    check(not pathlib.Path("x").exists(), "a refused plan leaves nothing")


@test
def hostile_plans():
    simulate("sim", probes=300)
    refuses(1, ["nowhere/plan.json"], "sweep", "run", "--plan", "nowhere")
    plan("p")
    good = {name: read(f"p/{name}") for name in ("manifest.tsv", "plan.json")}

    def put(manifest, seal=True):
        pathlib.Path("p/manifest.tsv").write_bytes(manifest)
        parts = json.loads(good["plan.json"])
        if seal:
            parts["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
            parts["models"] = manifest.count(b"\n") - 1
        pathlib.Path("p/plan.json").write_text(json.dumps(parts))

    text = good["manifest.tsv"].decode()
    header, row = text.splitlines()
    cells = dict(zip(header.split("\t"), row.split("\t")))

    def changed(**cell):
        return (header + "\n" + "\t".join({**cells, **cell}.values()) + "\n").encode()

    put(changed(batch="50"), seal=False)
    refuses(1, ["manifest.tsv", "SHA-256"], "sweep", "run", "--plan", "p")
    for manifest, words in ((changed(batch="50"), ["id"]), (changed(folder="../../x"), ["folder"]),
                            (changed(folder="/x"), ["folder"]), (changed(batch="many"), ["batch"]),
                            (changed(batch="-1"), ["batch"]), (changed(experiment="a/b"), ["experiment"]),
                            (changed(max_probes="x"), ["max_probes"]), (text.encode() + row.encode() + b"\n", ["twice"]),
                            (b"", ["manifest.tsv"]), (b"id\n", ["columns"]), ((header + "\n").encode(), ["number of models"]),
                            (text[:-20].encode(), ["manifest.tsv"])):
        put(manifest)
        for command in ("run", "status", "merge", "slurm"):
            refuses(1, ["p/", *words], "sweep", command, "--plan", "p")
    for broken in (b"", b"{}", b"[]", good["plan.json"][:-9], good["plan.json"].replace(b'"format_version": 1', b'"format_version": 2')):
        pathlib.Path("p/manifest.tsv").write_bytes(good["manifest.tsv"])
        pathlib.Path("p/plan.json").write_bytes(broken)
        refuses(1, ["p/plan.json"], "sweep", "run", "--plan", "p")


@test
def shards_are_one_run():
    simulate("sim", experiments=2, probes=400)
    plan("one", *GRID)
    equal(status("one", 3)["waiting"], 8, "models that wait")
    sweep("one")
    equal(status("one", 0)["finished"], 8, "finished models")
    printed, _ = merge("one")
    whole = results("one")
    equal(len(whole), 8 * 3 + 2, "files")
    for n in (1, 3, 5):
        plan(f"of{n}", *GRID)
        for i in reversed(range(n)):
            sweep(f"of{n}", "--shard", f"{i}/{n}", "--threads", 1 + i % 2, "--models-at-once", 1 + i)
        equal(merge(f"of{n}")[0], printed, f"what merge prints of {n} shards")
        same(results(f"of{n}"), whole, f"{n} shards")
        equal(len(status(f"of{n}", 0)["shards"]), n, "shards that are heard of")
    # The models and metrics are those of train.
    succeeds("train", "--data", "sim", "--experiment", "all", *SETTINGS, "--out", "train", "--progress", "none")
    rows = table("one/metrics.tsv")
    equal(len(rows), 8, "rows of metrics.tsv")
    for expected in table("train/metrics.tsv"):
        row = [r for r in rows if (r["experiment"], r["replicate"], r["schedule.learning_rate"]) ==
               (expected["experiment"], "0", "0.001")][0]
        equal({k: row[k] for k in expected}, expected, "metrics as train's")
        check(read(f"one/models/{row['folder']}/model.safetensors") ==
              read(f"train/{row['experiment']}/model.safetensors"), f"{row['folder']} as train's")
    summary = load_json("one/summary.json")
    equal([p["settings"]["schedule.learning_rate"] for p in summary["points"]], ["0.001", "0.002"], "grid points")
    for part, chosen in ((summary["all"], rows), (summary["points"][1], [r for r in rows if r["schedule.learning_rate"] == "0.002"])):
        values = [float(r["pearson"]) for r in chosen]
        mean = sum(values) / len(values)
        sd = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
        equal(part["models"], len(values), "models")
        check(abs(part["pearson"]["mean"] - mean) < 1e-12 and abs(part["pearson"]["sd"] - sd) < 1e-12, "mean and sd")
    # A scheduler tells the shard.
    os.environ.update(SLURM_ARRAY_TASK_ID="4", SLURM_ARRAY_TASK_MIN="2", SLURM_ARRAY_TASK_MAX="4")
    plan("auto", *GRID)
    sweep("auto", "--shard", "auto")
    for name in ("ID", "MIN", "MAX"):
        del os.environ[f"SLURM_ARRAY_TASK_{name}"]
    found = {r["folder"] for r in status("auto", 3)["unfinished"]}
    folders = [r["folder"] for r in table("auto/manifest.tsv")]
    equal(set(folders) - found, set(folders[2::3]), "the models of the array's third task")
    # More shards than models.
    sweep("auto", "--shard", "20/30")
    refuses(2, ["--shard"], "sweep", "run", "--plan", "auto", "--shard", "3/3")
    # A bigger plan in the same folder trains only what is new.
    plan("one", "--replicates", 3, "--grid", "learning-rate=0.001,0.002", "--overwrite")
    _, err = succeeds("sweep", "run", "--plan", "one", "--progress", "plain")
    check("12 models; 8 are finished" in err, f"what is left of a bigger plan: {err[:300]}")


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


@test
def killed_and_run_again():
    simulate("sim", experiments=3, probes=2500)
    plan("whole", epochs=5)
    sweep("whole")
    merge("whole")
    plan("killed", epochs=5)
    killed = 0
    for epochs in (1, 2, 2, 3):
        process = start("killed", "--models-at-once", 1)
        wait_for(process, "  epoch ", epochs)
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    check(killed >= 2, f"{killed} of 4 were killed while at work")
    sweep("killed")
    merge("killed")
    same(results("killed"), results("whole"), "after kills")
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        out = f"stopped{int(number)}"
        plan(out, epochs=5)
        process = start(out)
        wait_for(process, "  epoch ")
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        last = err.splitlines()[-1] if err else ""
        equal(process.returncode, 128 + number, f"exit code after {number.name}: {last}")
        check(number.name in last and "go on with: " in last, f"the last line says how to go on: {last!r}")
        equal([s["state"] for s in status(out, 3)["shards"]], ["stopped"], "the shard's state")
        words = last.split("go on with: ")[1].split()
        equal(subprocess.run([cli.binary(), *words[1:]], capture_output=True).returncode, 0, "the command it names works")
        merge(out)
        same(results(out), results("whole"), f"after {number.name}")


@test
def one_process_a_model():
    simulate("sim", experiments=2, probes=3000)
    plan("p", epochs=200)
    process = start("p", "--shard", "0/2")
    try:
        check(wait_for(process, "  epoch "), "the first process trains")
        refuses(1, ["p", f"process {process.pid}", "SIM00001"], "sweep", "run", "--plan", "p", "--shard", "0/2")
        refuses(1, ["p", "SIM00001"], "sweep", "run", "--plan", "p")
        refuses(1, ["being trained"], "sweep", "plan", "--data", "sim", "--experiment", "all", *SETTINGS, "--out", "p",
                "--overwrite")
        found = status("p", 3)
        equal((found["running"], found["waiting"]), (1, 1), "running and waiting models")
        other = start("p", "--shard", "1/2")
        try:
            check(wait_for(other, "  epoch "), "another shard trains beside it")
        finally:
            other.kill()
            other.communicate()
    finally:
        process.kill()
        process.communicate()
    found = status("p", 3)
    equal((found["running"], found["begun"]), (0, 2), "after the kills nobody is at work")
    equal({s["state"] for s in found["shards"]}, {"gone"}, "shards whose processes are gone")


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


def flip(path, place):
    data = bytearray(read(path))
    data[place] ^= 4
    pathlib.Path(path).write_bytes(data)


@test
def damaged_files():
    simulate("sim", experiments=2, probes=400)
    plan("p")
    sweep("p")
    merge("p")
    good = results("p")
    folder = "p/models/SIM00002"
    size = len(read(f"{folder}/model.safetensors"))

    def drop_checkpoints():
        for path in pathlib.Path(folder).glob("checkpoint*"):
            path.unlink()

    for what in (lambda: flip(f"{folder}/model.safetensors", size - 1), lambda: flip(f"{folder}/model.safetensors", 900),
                 lambda: pathlib.Path(f"{folder}/model.safetensors").write_bytes(b""),
                 lambda: pathlib.Path(f"{folder}/model.safetensors").unlink(), lambda: flip(f"{folder}/history.tsv", 60),
                 lambda: pathlib.Path(f"{folder}/result.json").write_text("{"),
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


def fake(name, text):
    pathlib.Path("bin").mkdir(exist_ok=True)
    path = pathlib.Path("bin") / name
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


@test
def the_slurm_script():
    simulate("sim", experiments=3, probes=2500)
    folder = "a plan's 100% \"$HOME\""
    plan(folder, epochs=5)
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
    plan("whole", epochs=5)
    sweep("whole")
    merge("whole")
    same(results(folder), results("whole"), "through the script")
    # A task that fails is not put into the queue, whatever it was told.
    flip(f"{folder}/manifest.tsv", 200)
    done = subprocess.run(["bash", "s.sh"], env=env | task, capture_output=True, text=True)
    equal(done.returncode, 1, "a task of a damaged plan")
    equal(pathlib.Path("scontrol.log").read_text(), "requeue 78\n", "it is not put into the queue")


main()

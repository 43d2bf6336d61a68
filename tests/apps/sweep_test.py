"""residualbind sweep: plans, and shards that equal one run bit for bit, also after kills and signals."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import cli
from cli import check, equal, load_json, main, read, refuses, simulate, succeeds, table, test
from sweep_cases import SETTINGS, merge, plan, results, same, start, status, sweep, wait_for

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
    for later in ("--resume", "--workers=2", "--device=cpu"):
        refuses(2, [later.split("=")[0]], "sweep", "plan", "--data", "sim", *SETTINGS, "--out", "x", later)
    refuses(2, ["--precision"], "sweep", "run", "--plan", "a", "--precision", "fp32")
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
            parts["models"] = max(1, manifest.count(b"\n") - 1)
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
    for broken in (b"", b"{}", b"[]", good["plan.json"][:-9], good["plan.json"].replace(b'"format_version": 1', b'"format_version": 2'),
                   *(good["plan.json"].replace(b'"models": 1', b'"models": ' + n) for n in (b"-1", b"1e300", b"1.0", b"0"))):
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
            machines = ("--threads", 2, "--workers", 2) if n == 3 else ("--threads", 1 + i % 2)
            sweep(f"of{n}", "--shard", f"{i}/{n}", *machines, "--models-in-flight", 1 + i)
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


@test
def killed_and_run_again():
    simulate("sim", experiments=3, probes=2500)
    plan("whole", epochs=12)
    sweep("whole")
    merge("whole")
    plan("killed", epochs=12)
    killed = 0
    for epochs in (1, 2, 2, 3):
        process = start("killed", "--models-in-flight", 1)
        wait_for(process, "  epoch ", epochs)
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    check(killed > 0, f"{killed} of 4 were killed while at work")
    sweep("killed")
    merge("killed")
    same(results("killed"), results("whole"), "after kills")
    stopped = 0
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        out = f"stopped{int(number)}"
        plan(out, epochs=12)
        process = start(out)
        wait_for(process, "  epoch ")
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        last = err.splitlines()[-1] if err else ""
        if process.returncode == 0:
            continue  # it had finished before the signal came
        stopped += 1
        equal(process.returncode, 128 + number, f"exit code after {number.name}: {last}")
        check(number.name in last and "go on with: " in last, f"the last line says how to go on: {last!r}")
        equal([s["state"] for s in status(out, 3)["shards"]], ["stopped"], "the shard's state")
        words = last.split("go on with: ")[1].split()
        equal(subprocess.run([cli.binary(), *words[1:]], capture_output=True).returncode, 0, "the command it names works")
        merge(out)
        same(results(out), results("whole"), f"after {number.name}")
    check(stopped > 0, "at least one process was stopped while at work")


@test
def one_process_a_model():
    simulate("sim", experiments=2, probes=3000)
    plan("p", "--stop-patience", 100000, epochs=100000)  # until it is killed
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


main()

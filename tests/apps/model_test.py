"""model export and import: the network that comes back is the one that went out, and what is refused."""
import json
import pathlib
import sys

import cli
from cli import check, equal, refuses, simulate, succeeds, test

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gia"))
import read_npz

TRAIN = ("--epochs", 1, "--device", "cpu", "--threads", 1, "--progress", "none")


def trained(folder="m", *more):
    simulate("sim", experiments=2, probes=400)
    succeeds("train", "--data", "sim", "--experiment", "SIM00002", "--out", folder, *(more or cli.SMALL), *TRAIN)
    return f"{folder}/SIM00002/model.safetensors"


def info(path):
    return json.loads(succeeds("model", "info", path, "--json")[0])


def predictions(path):
    succeeds("predict", "--models", path, "--input", "probes.txt", "--out", "p.tsv", "--overwrite", "--device", "cpu",
             "--progress", "none")
    return cli.read("p.tsv")


@test
def there_and_back():
    model = trained()
    pathlib.Path("probes.txt").write_text("GGAUUGCAUGUUGAACCUGAGGAUUUAACCGGUUAC\nACGUACGUAAAA\nUGCAUGUGCAUGUGCAUG\n")
    out, err = succeeds("model", "export", model, "--out", "new/w.h5")
    equal((out, err), ("", ""), "export says nothing")
    _, err = succeeds("model", "import", "new/w.h5", "--out", "back", "--experiment", "SIM00002")
    check("wrote back/model.safetensors: SIM00002, paper, 41 positions, 4 channels" in err, err)
    check("no nucleotide profile and no target transform: gia needs another --null, scan refuses, evaluate" in err, err)
    equal(predictions("back"), predictions(model), "predictions of the imported model")
    was, found = info(model), info("back/model.safetensors")
    for key in ("experiment", "preset", "shape", "parameters"):
        equal(found[key], was[key], key)
    equal(found["transform"]["kind"], "none", "no transform is known")
    refuses(1, ["SIM00002", "without its data", "--data"], "evaluate", "--models", "back", "--data", "sim")
    refuses(1, ["nucleotide profile", "--data"], "scan", "--model", "back", "--k", 2, "--device",
            "cpu")
    _, err = succeeds("gia", "all", "--models", "back", "--null", "shuffle", "--data", "sim", "--motif", "UGCAUG", "--out",
                      "gia", "--null-n", 50, "--k", 3, "--device", "cpu")
    check("no effects of measured probes" in err, f"gia tells what is left out: {err}")

    # With the data it is the trained model again, all but the record of its training.
    _, err = succeeds("model", "import", "new/w.h5", "--out", "whole.safetensors", "--experiment", "SIM00002", "--data",
                      "sim")
    check("without --data" not in err, err)
    equal(info("whole.safetensors")["transform"], was["transform"], "the transform's constants")
    evaluate = ("evaluate", "--data", "sim", "--device", "cpu", "--models")
    equal(succeeds(*evaluate, "whole.safetensors")[0], succeeds(*evaluate, model)[0], "evaluation")
    profiles = []
    for path in (model, "whole.safetensors"):
        succeeds("model", "export", path, "--out", "x.npz", "--overwrite")
        profiles.append(dict(read_npz.arrays("x.npz"))["profile"])
    equal(profiles[1], profiles[0], "the nucleotide profile")
    succeeds("model", "export", "whole.safetensors", "--out", "again.hdf5")
    equal(cli.read("again.hdf5"), cli.read("new/w.h5"), "exported again, the same bytes")


@test
def arrays():
    model = trained()
    succeeds("model", "export", "m", "--out", "m.data", "--format", "npz")
    pathlib.Path("m.data").rename("m.npz")
    found = dict(read_npz.arrays("m.npz"))
    tensors = {t["name"]: tuple(t["shape"]) for t in info(model)["tensors"]}
    del tensors["head.weight"]  # its bias is an array of its own
    for name, shape in tensors.items():
        kind, found_shape, values = found.get(name, ("", (), ()))
        equal((kind, found_shape), ("<f4", shape), name)
        check(len(set(values)) > 1 or "norm" in name, f"{name} has values")
    equal(found["head.weight"][1], (32, 1), "shape of head.weight")
    equal(found["head.bias"][1], (1,), "shape of head.bias")
    metadata = json.loads(found["metadata"][2][0])
    equal(metadata["experiment"], "SIM00002", "experiment in the metadata")
    equal(metadata["shape.dilations"], "1,2", "dilations in the metadata")
    # The same values as in the model file, whose tensors follow its header.
    raw = cli.read(model)
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    for name in ("embed.weight", "conv2.norm.variance", "dense.weight", "head.bias"):
        begin, end = header[name]["data_offsets"]
        values = read_npz.struct.unpack(f"<{(end - begin) // 4}f", raw[8 + size + begin:8 + size + end])
        equal(found[name][2], values, f"values of {name}")


@test
def defaults_and_choices():
    model = trained("c", "--transform", "none", "--filters", 32, "--hidden", 32, "--pool", 20, "--dilations", "2,3")
    succeeds("model", "export", model, "--out", "RNCMPT00168.h5")
    _, err = succeeds("model", "import", "RNCMPT00168.h5", "--out", "a.safetensors", "--pool", 20, "--dilations", "2,3",
                      "--transform", "none", "--progress", "none")
    equal(err, "", "--progress none")
    found = info("a.safetensors")
    equal(found["experiment"], "RNCMPT00168", "the file's name is the experiment's")
    equal(found["shape"]["dilations"], [2, 3], "dilations")
    equal((found["shape"]["length"], found["shape"]["pool"]), (41, 20), "length and pool")
    equal("target.unknown" in found["extra"], False, "--transform none says that there is none")
    pathlib.Path("RNCMPT00168.h5").rename("RNCMPT00168.weights.h5")  # as Keras 3 wants it named
    _, err = succeeds("model", "import", "RNCMPT00168.weights.h5", "--out", "b.safetensors", "--length", 25, "--preset", "published",
                      "--task", "classification")
    check("b.safetensors: RNCMPT00168, published" in err, f"the experiment's name: {err}")
    check("no nucleotide profile: gia needs another --null, scan refuses" in err and "transform" not in err, err)
    found = info("b.safetensors")
    equal((found["shape"]["length"], found["preset"], found["shape"]["task"]), (25, "published", "classification"),
          "length, preset and task")


@test
def structure_and_data():
    simulate("sim", experiments=1, probes=300)
    succeeds("train", "--data", "sim", "--structure", "pu", "--out", "m", *cli.SMALL, *TRAIN)
    model = "m/SIM00001/model.safetensors"
    succeeds("model", "export", model, "--out", "SIM00001.h5")
    # Letters and scores are enough: structure takes no part in the profile and the transform.
    succeeds("model", "import", "SIM00001.h5", "--out", "tables.safetensors", "--data", "sim")
    found = info("tables.safetensors")
    equal(found["structure_source"], "given", "tables say nothing about structure")
    equal((found["transform"], found["shape"]), (info(model)["transform"], info(model)["shape"]), "transform and shape")
    succeeds("prepare", "--data", "sim", "--structure", "pu", "--transform", "none", "--out", "pu.h5")
    succeeds("model", "import", "SIM00001.h5", "--out", "tracks.safetensors", "--data", "pu.h5")
    equal(info("tracks.safetensors")["structure_source"], "turner1999", "tracks say what made them")
    evaluate = ("evaluate", "--data", "sim", "--device", "cpu", "--models")
    equal(succeeds(*evaluate, "tracks.safetensors")[0], succeeds(*evaluate, model)[0], "evaluation")


@test
def published_fits_each_split():
    model = trained("p", *cli.SMALL, "--preset", "published", "--transform", "clip")
    succeeds("model", "export", model, "--out", "SIM00002.h5")
    _, err = succeeds("model", "import", "SIM00002.h5", "--out", "a.safetensors", "--preset", "published", "--dilations",
                      "1,2", "--transform", "clip")
    check("no nucleotide profile" in err and "no target transform" not in err, f"what was told is not missing: {err}")
    evaluate = ("evaluate", "--data", "sim", "--device", "cpu", "--models")
    equal(succeeds(*evaluate, "a.safetensors")[0], succeeds(*evaluate, model)[0], "evaluation without constants")


@test
def refusals():
    model = trained()
    succeeds("model", "export", model, "--out", "w.h5")
    weights = cli.read("w.h5")
    refuses(2, ["x.bin", "no format", ".h5", ".npz", "--format"], "model", "export", model, "--out", "x.bin")
    refuses(2, ["--format", "pickle"], "model", "export", model, "--out", "x.h5", "--format", "pickle")
    refuses(1, ["w.h5", "exists already", "--overwrite"], "model", "export", model, "--out", "w.h5")
    refuses(1, ["none.safetensors"], "model", "export", "none.safetensors", "--out", "x.h5")
    refuses(1, ["w.h5"], "model", "export", "w.h5", "--out", "x.h5")
    into = ("--out", "x.safetensors")
    refuses(2, ["--out is required"], "model", "import", "w.h5")
    refuses(2, ["--transform log", "--data"], "model", "import", "w.h5", *into, "--transform", "log")
    refuses(2, ["2 experiments", "--experiment"], "model", "import", "w.h5", *into, "--data", "sim")
    refuses(1, ["SIM7"], "model", "import", "w.h5", *into, "--data", "sim", "--experiment", "SIM7")
    refuses(1, ["a/b"], "model", "import", "w.h5", *into, "--experiment", "a/b")
    refuses(1, ["none.h5", "no such file"], "model", "import", "none.h5", *into)
    refuses(1, [model, "not an HDF5 file"], "model", "import", model, *into)
    refuses(1, ["sim", "not an HDF5 file"], "model", "import", "sim", *into)
    refuses(1, ["dense/kernel:0", "length 65"], "model", "import", "w.h5", *into, "--length", 65)
    refuses(1, ["2 residual convolutions and 3 dilations"], "model", "import", "w.h5", *into, "--dilations", "1,2,4")
    pathlib.Path("w.keras").write_bytes(b"PK\x03\x04" + bytes(100))
    refuses(1, ["w.keras", ".keras archive", "save_weights(", ".weights.h5"], "model", "import", "w.keras", *into)
    for size in (0, 7, 8, 600, 5000, len(weights) // 2, len(weights) - 1):
        pathlib.Path("cut.h5").write_bytes(weights[:size])
        refuses(1, ["cut.h5"], "model", "import", "cut.h5", *into)
    at = weights.index(b"kernel:0")
    pathlib.Path("odd.h5").write_bytes(weights[:at] + b"colonel:" + weights[at + 8:])
    refuses(1, ["odd.h5"], "model", "import", "odd.h5", *into)
    check(not pathlib.Path("x.safetensors").exists(), "nothing was written")
    succeeds("model", "import", "w.h5", *into)
    refuses(1, ["x.safetensors", "exists already"], "model", "import", "w.h5", *into)
    succeeds("model", "import", "w.h5", *into, "--overwrite")


cli.main()

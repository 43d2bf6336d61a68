"""model export --format onnx: the file itself, field by field; tests/model/onnx_writer_test.cc runs the graphs."""
import json
import pathlib
import struct

import cli
from cli import check, equal, refuses, simulate, succeeds, test
from protobuf import fields


def every(message, number):
    return [value for field, value in fields(message) if field == number]


def tensors(path):
    """Initializers of a file by name: (dims, values)."""
    graph, = every(cli.read(path), 7)
    found = {}
    for tensor in every(graph, 5):
        raw, = every(tensor, 9)
        equal(every(tensor, 2), [1], "float tensors")
        found[every(tensor, 8)[0].decode()] = (every(tensor, 1), struct.unpack(f"<{len(raw) // 4}f", raw))
    return found


def safetensors(path):
    """Tensors by name and metadata of a safetensors file."""
    data = cli.read(path)
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    metadata, found = header.pop("__metadata__"), {}
    for name, entry in header.items():
        start, end = (8 + size + at for at in entry["data_offsets"])
        found[name] = struct.unpack(f"<{(end - start) // 4}f", data[start:end])
    return found, metadata


def exported(*more):
    simulate("sim", probes=400)
    succeeds("train", "--data", "sim", "--out", "m", *cli.SMALL, "--epochs", 1, "--progress", "none", *more)
    succeeds("model", "export", "m/SIM00001", "--out", "x.onnx")
    return tensors("x.onnx"), *safetensors("m/SIM00001/model.safetensors")


@test
def weights_and_metadata():
    found, expected, metadata = exported()
    model = cli.read("x.onnx")
    equal((every(model, 1), [every(o, 2) for o in every(model, 8)]), ([8], [[17]]), "IR version and opset")
    props = {every(p, 1)[0].decode(): every(p, 2)[0].decode() for p in every(model, 14)}
    equal({key: props.get(key) for key in ("experiment", "preset", "target.kind", "target.mean", "version", "best_epoch")},
          {key: metadata.get(key) for key in ("experiment", "preset", "target.kind", "target.mean", "version", "best_epoch")},
          "metadata")
    check(metadata["experiment"] == "SIM00001", "the model's own metadata are read")
    expected.pop("profile")
    equal(set(found), set(expected), "names of tensors")
    for name in expected:  # none but convolutions and the dense layer change their order
        if name.endswith(".weight") and name != "head.weight":
            equal(sorted(found[name][1]), sorted(expected[name]), f"{name}: values")
        else:
            equal(found[name][1], expected[name], name)
    dims, values = found["embed.weight"]
    equal(dims, [32, 4, 11], "[out][in][tap]")
    equal(values[(5 * 4 + 2) * 11 + 7], expected["embed.weight"][(7 * 4 + 2) * 32 + 5], "filter 5, channel 2, tap 7")
    dims, values = found["dense.weight"]
    equal(dims, [128, 32], "rows in Flatten's order")
    equal(values[(9 * 4 + 3) * 32 + 6], expected["dense.weight"][(3 * 32 + 9) * 32 + 6], "position 3, filter 9, unit 6")


@test
def the_same_bytes_and_both_ways_to_ask():
    exported()
    first = cli.read("x.onnx")
    succeeds("model", "export", "m/SIM00001/model.safetensors", "--format", "onnx", "--out", "y.bin")
    equal(cli.read("y.bin") == first, True, "--format instead of the extension")
    refuses(1, ["x.onnx", "exists already"], "model", "export", "m/SIM00001", "--out", "x.onnx")
    succeeds("model", "export", "m/SIM00001", "--out", "x.onnx", "--overwrite")
    equal(cli.read("x.onnx") == first, True, "equal models, equal bytes")


@test
def damaged_models_are_refused():
    exported()
    whole = cli.read("m/SIM00001/model.safetensors")
    for i in range(1, 12):
        pathlib.Path("bad.safetensors").write_bytes(whole[:len(whole) * i // 12])
        refuses(1, ["bad.safetensors"], "model", "export", "bad.safetensors", "--out", "bad.onnx")
    equal(pathlib.Path("bad.onnx").exists(), False, "nothing is written")


cli.main()

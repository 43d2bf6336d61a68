"""train --tensorboard: event files record by record, as TensorBoard reads them, against history.tsv."""
import os
import pathlib
import random
import signal
import struct
import subprocess
import time

import cli
from cli import check, equal, refuses, simulate, succeeds, table, test
from protobuf import fields

NAME = "events.out.tfevents.residualbind"
SETTINGS = (*cli.SMALL, "--progress", "none")


def crc32c(data):
    """Bit by bit, from the polynomial alone."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The payloads of a file of whole, undamaged records."""
    found, at = [], 0
    while at < len(data):
        head = data[at:at + 8]
        size, = struct.unpack("<Q", head)
        payload = data[at + 12:at + 12 + size]
        equal(len(payload), size, "a whole record")
        equal(struct.unpack("<I", data[at + 8:at + 12])[0], masked(head), "checksum of the length")
        equal(struct.unpack("<I", data[at + 12 + size:at + 16 + size])[0], masked(payload), "checksum of the event")
        found.append(payload)
        at += 16 + size
    return found


def events(path):
    """Steps with their values: [(step, wall time, {tag: value})], behind the event that names the version."""
    payloads = [fields(p) for p in records(cli.read(path))]
    equal(dict(payloads[0]).get(3), b"brain.Event:2", "the first event's version")
    found = []
    for payload in payloads[1:]:
        event = dict(payload)
        values = [dict(fields(value)) for number, value in fields(event[5]) if number == 1]
        found.append((event[2], event[1], {v[1].decode(): v[2] for v in values}))
    return found


def f32(text):
    return struct.unpack("<f", struct.pack("<f", float(text)))[0]


def agrees(folder, metric="valid_pearson"):
    """The event file says what history.tsv says; returns its events."""
    history, found = table(f"{folder}/history.tsv"), events(f"{folder}/{NAME}")
    equal([step for step, _, _ in found], [int(row["epoch"]) for row in history], f"{folder}: steps")
    for (step, _, values), row in zip(found, history):
        expected = {tag: f32(row[tag]) for tag in ("train_loss", "valid_loss", metric, "learning_rate")}
        equal(values, expected, f"{folder}, epoch {step}")
    times = [seconds for _, seconds, _ in found]
    check(all(abs(t - time.time()) < 3600 for t in times), f"{folder}: times {times[:3]}")
    return found


def train(out, *more):
    return succeeds("train", "--data", "sim", "--experiment", "all", "--out", out, *SETTINGS, *more)


@test
def the_checksum_itself():
    equal(crc32c(b"123456789"), 0xE3069283, "CRC-32C of its check string")  # RFC 3720, B.4, and Rocksoft's
    equal(crc32c(bytes(32)), 0x8A9136AA, "CRC-32C of 32 zeros")


@test
def what_history_says():
    simulate("sim", experiments=2, probes=600)
    train("m", "--epochs", 3, "--tensorboard")
    train("plain", "--epochs", 3)
    for experiment in ("SIM00001", "SIM00002"):
        equal(len(agrees(f"m/{experiment}")), 3, "epochs")
        equal(os.path.exists(f"plain/{experiment}/{NAME}"), False, "only when asked")
        for name in ("model.safetensors", "history.tsv"):
            equal(cli.read(f"m/{experiment}/{name}") == cli.read(f"plain/{experiment}/{name}"), True, f"{name} is the same")


@test
def classification():
    simulate("sim", probes=600)
    lines = pathlib.Path("sim/targets.tsv").read_text().splitlines()
    labels = [v if v in ("", "nan", "NA") else str(int(float(v) > float(lines[1]))) for v in lines[1:]]
    pathlib.Path("sim/targets.tsv").write_text("\n".join([lines[0], *labels]) + "\n")
    train("m", "--task", "classification", "--epochs", 2, "--tensorboard")
    equal(len(agrees("m/SIM00001", "valid_auroc")), 2, "epochs")


@test
def resumed_runs():
    simulate("sim", experiments=1, probes=2000)
    long = ("--epochs", 400, "--stop-patience", 400, "--checkpoint-every", 3)
    process = subprocess.Popen(cli.command("train", "--data", "sim", "--out", "m", *SETTINGS, *long, "--tensorboard"),
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path = pathlib.Path(f"m/SIM00001/{NAME}")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.stat().st_size > 800 and pathlib.Path("m/SIM00001/checkpoint.safetensors").exists():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = events(path)
    check(len(before) >= 4, f"epochs before the kill: {len(before)}")
    # A record cut short, as by a crash, goes; epochs since the last checkpoint are trained and written again.
    with open(path, "ab") as file:
        file.write(cli.read(path)[-40:-3])
    saved = len(table("m/SIM00001/history.tsv"))
    process = subprocess.Popen(cli.command("train", "--data", "sim", "--out", "m", *SETTINGS, *long, "--tensorboard", "--resume"),
                               stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    grown = path.stat().st_size + 700
    while time.monotonic() < deadline and process.poll() is None and path.stat().st_size < grown:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.wait()
    after = events(path)
    equal([step for step, _, _ in after], list(range(1, len(after) + 1)), "steps, none twice, none missing")
    equal([(s, v) for s, _, v in after[:len(before)]], [(s, v) for s, _, v in before], "the same values again")
    equal(after[:saved], before[:saved], "what the checkpoint had is not written again")
    check(len(after) > len(before), f"{len(after)} epochs after {len(before)}")


@test
def asked_for_later_or_no_more():
    simulate("sim", experiments=2, probes=400)
    train("m", "--epochs", 2)
    train("m", "--epochs", 2, "--tensorboard", "--resume")  # finished already: its epochs are filled in
    for experiment in ("SIM00001", "SIM00002"):
        agrees(f"m/{experiment}")
    first = cli.read(f"m/SIM00001/{NAME}")
    train("m", "--epochs", 2, "--tensorboard", "--resume")
    equal(cli.read(f"m/SIM00001/{NAME}") == first, True, "nothing to add")
    train("m", "--epochs", 1, "--tensorboard", "--overwrite")
    equal(len(agrees("m/SIM00002")), 1, "another run's events are gone")
    pathlib.Path(f"m/SIM00001/{NAME}").write_bytes(b"not an event file, but long enough for one record's head")
    train("m", "--epochs", 1, "--tensorboard", "--resume")
    agrees("m/SIM00001")
    train("m", "--epochs", 1, "--overwrite")
    equal(list(pathlib.Path("m").glob("*/*tfevents*")), [], "no events of a run that is overwritten")


@test
def damaged_event_files():
    simulate("sim", experiments=1, probes=400)
    train("m", "--epochs", 3, "--tensorboard")
    path = pathlib.Path(f"m/SIM00001/{NAME}")
    whole = path.read_bytes()
    expected = events(path)
    draws = random.Random(5)
    for i in range(12):
        damaged = bytearray(whole)
        if i % 3 == 0:
            damaged[draws.randrange(len(damaged))] ^= 1 << draws.randrange(8)
        elif i % 3 == 1:
            del damaged[draws.randrange(len(damaged)):]
        else:
            at = draws.randrange(len(damaged))
            damaged[at:at] = draws.randbytes(draws.randrange(1, 40))
        path.write_bytes(damaged)
        train("m", "--epochs", 3, "--tensorboard", "--resume")
        equal([(s, v) for s, _, v in events(path)], [(s, v) for s, _, v in expected], f"damage {i}: mended")


@test
def a_place_that_cannot_be_written():
    simulate("sim", experiments=1, probes=400)
    os.makedirs(f"m/SIM00001/{NAME}")
    refuses(1, [NAME], "train", "--data", "sim", "--out", "m", *SETTINGS, "--epochs", 2, "--tensorboard")


cli.main()

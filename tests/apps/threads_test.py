"""Every command that uses several threads, small enough for the thread sanitizer."""
import cli
from cli import equal, simulate, succeeds, test


@test
def three_threads_give_the_bits_of_one():
    simulate("sim", experiments=2, probes=400)
    for threads in (1, 3):
        succeeds("train", "--data", "sim", "--experiment", "all", "--out", f"m{threads}", "--epochs", 1, *cli.SMALL,
                 "--threads", threads)
    for experiment in ("SIM00001", "SIM00002"):
        name = f"{experiment}/model.safetensors"
        equal(cli.read(f"m3/{name}") == cli.read(f"m1/{name}"), True, f"{name} of one and three threads")
    equal(cli.read("m3/metrics.tsv"), cli.read("m1/metrics.tsv"), "metrics")
    for command in (("predict", "--models", "m1", "--input", "sim/sequences.tsv"),
                    ("scan", "--model", "m1/SIM00001", "--k", 3, "--null-n", 8),
                    ("evaluate", "--data", "sim", "--models", "m1")):
        one, _ = succeeds(*command, "--threads", 1)
        three, _ = succeeds(*command, "--threads", 3)
        equal(three, one, f"{command[0]} of one and three threads")


cli.main()

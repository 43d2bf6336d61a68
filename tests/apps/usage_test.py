"""Wrong usage: exit code 2 and one helpful line; help and version; devices and precisions that are refused."""
import cli
from cli import check, equal, refuses, run, simulate, succeeds, test


@test
def no_command_and_unknown_commands():
    refuses(2, ["no command", "train", "evaluate", "doctor"])
    refuses(2, ["unknown command 'tarin'", "did you mean 'train'", "simulate"], "tarin")
    for later in ("saliency", "tune", "render"):
        refuses(2, [f"unknown command '{later}'", "predict"], later, "--models", "x")


@test
def help_and_version():
    out, err = succeeds("--help")
    equal(err, "", "stderr of --help")
    names = [line.split()[0] for line in out.split("Commands:")[1].split("\n\n")[0].strip().splitlines()]
    equal(names, ["simulate", "prepare", "train", "sweep", "evaluate", "predict", "scan", "gia", "fold", "ism", "motif", "plot", "report", "reproduce",
                  "model", "manual", "bench", "doctor"], "commands in help")
    for name in names:
        out, err = succeeds(name, "--help")
        equal(err, "", f"stderr of {name} --help")
        check(f"residualbind {name}" in out, f"{name} --help names the command")
    out, _ = succeeds("--version")
    check(out.startswith("residualbind ") and out.count("\n") == 1, f"--version prints one line: {out!r}")


@test
def wrong_flags():
    simulate("sim", probes=60)
    train = ("train", "--data", "sim", "--out", "m")
    cases = [
        (("train",), ["--data is required"]),
        (("train", "--data", "sim"), ["--out is required"]),
        ((*train, "--epoch", "3"), ["unknown flag '--epoch'", "did you mean '--epochs'"]),
        ((*train, "extra"), ["unexpected argument 'extra'"]),
        ((*train, "--epochs", "many"), ["--epochs", "many"]),
        ((*train, "--epochs", "0"), ["--epochs", "0"]),
        ((*train, "--epochs"), ["--epochs"]),
        ((*train, "--seed", "-1"), ["--seed", "-1"]),
        ((*train, "--threads", "-2"), ["--threads", "-2"]),
        ((*train, "--threads", "99999999999999"), ["--threads"]),
        ((*train, "--batch", "0"), ["--batch", "'0'", "auto"]),
        ((*train, "--batch", "big"), ["--batch", "'big'"]),
        ((*train, "--device", "tpu"), ["--device", "'tpu'", "cuda"]),
        ((*train, "--preset", "mine"), ["--preset", "mine"]),
        ((*train, "--transform", "sqrt"), ["--transform", "sqrt"]),
        ((*train, "--precision", "fp64"), ["--precision", "fp64"]),
        ((*train, "--filters", "50"), ["50", "32"]),
        ((*train, "--first-width", "10"), ["10"]),
        ((*train, "--dilations", "1,x"), ["--dilations"]),
        ((*train, "--dilations", "1,2", "--residual-layers", "3"), ["--dilations", "--residual-layers"]),
        ((*train, "--residual-layers", "9"), ["--residual-layers", "9"]),
        ((*train, "--dropout-dense", "1.5"), ["--dropout-dense", "1.5"]),
        ((*train, "--resume", "--overwrite"), ["--resume", "--overwrite"]),
        ((*train, "--learning-rate", "0"), ["--learning-rate", "Value 0 is not a number above 0"]),
        (("simulate", "--out", "s", "--probes", "3"), ["--probes", "3"]),
        (("simulate", "--out", "s", "--min-width", "40", "--length", "30"), ["--min-width", "40", "30"]),
        (("predict", "--models", "m", "--input", "-", "--windows", "median"), ["--windows", "median"]),
        (("model", "peek", "x"), ["peek"]),
        (("model",), ["ubcommand"]),
        (("doctor", "--deep"), ["unknown flag '--deep'"]),
    ]
    for arguments, fragments in cases:
        refuses(2, [*fragments, "--help"], *arguments)
    check(not cli.pathlib.Path("m").exists(), "wrong usage leaves no folder behind")


@test
def experiments_must_be_chosen():
    simulate("sim", experiments=2, probes=60)
    refuses(2, ["2 experiments", "SIM00001", "--experiment"], "train", "--data", "sim", "--out", "m")
    refuses(1, ["SIM00003"], "train", "--data", "sim", "--experiment", "SIM00003", "--out", "m")
    check(not cli.pathlib.Path("m").exists(), "no output folder")


@test
def devices_and_precisions():
    simulate("sim", probes=60)
    train = ("train", "--data", "sim", "--out", "m", "--epochs", 1)
    if "work runs on the CPU" in succeeds("doctor")[0]:  # one line that says what is missing: build, driver or device
        for device in ("cuda", "cuda:1"):
            refuses(1, [f"--device {device}: ", "no ", "expected --device cpu or auto"], *train, "--device", device)
            refuses(1, [f"--device {device}: "], *train, "--device", device, "--dense", "cublas")
    refuses(2, ["--dense cublas", "--device cuda", "not cpu"], *train, "--device", "cpu", "--dense", "cublas")
    on_cpu = (*train, "--device", "cpu", "--precision")
    refuses(1, ["tf32", "CPU"], *on_cpu, "tf32")
    refuses(1, ["bf16", "fp32"], *on_cpu, "bf16")
    out, _ = succeeds("doctor")
    for word in ("compiler", "vectors", "bf16", "processors", "memory", "disk", "cuda", "usable: yes"):
        check(word in out, f"doctor tells about {word}")


@test
def outputs_are_not_replaced_unasked():
    simulate("sim", probes=60)
    before = cli.read("sim/targets.tsv")
    refuses(1, ["sim/sequences.tsv", "exists already", "--overwrite"], "simulate", "--out", "sim", "--seed", 5)
    equal(cli.read("sim/targets.tsv"), before, "the refused simulation changed nothing")
    succeeds("simulate", "--out", "sim", "--probes", 60, "--seed", 5, "--overwrite")
    check(cli.read("sim/targets.tsv") != before, "--overwrite replaces")
    train = ("train", "--data", "sim", "--epochs", 1, *cli.SMALL, "--out")
    succeeds(*train, "m")
    refuses(1, ["exists already", "--overwrite", "--resume"], *train, "m")
    succeeds(*train, "m", "--overwrite")
    open("file", "w").close()
    refuses(1, ["file"], *train, "file")
    evaluate = ("evaluate", "--data", "sim", "--models", "m", "--out", "e/metrics.tsv")
    succeeds(*evaluate)
    refuses(1, ["e/metrics.tsv", "exists already"], *evaluate)
    succeeds(*evaluate, "--overwrite")
    # What cannot be written is told before the work: here before the models and data, which are not there.
    for arguments in (("evaluate", "--data", "none", "--models", "none", "--out", "file/metrics.tsv"),
                      ("evaluate", "--data", "none", "--models", "none", "--out", "e2/metrics.tsv", "--predictions", "file/p.tsv"),
                      ("ism", "--model", "none", "--input", "none", "--out", "file/x.npz"),
                      ("ism", "--model", "none", "--input", "none", "--out", "x.npz", "--tsv", "file/x.tsv"),
                      ("predict", "--models", "none", "--input", "none", "--out", "file/x.tsv", "--shard", "0/2"),
                      ("prepare", "--data", "none", "--structure", "pu", "--out", "file/d.h5")):
        refuses(1, ["file: is not a folder"], *arguments)
    refuses(2, ["structure", "pu"], "prepare", "--data", "sim", "--out", "d.h5", "--structure", "paired")
    check(not cli.pathlib.Path("d.h5").exists(), "no file of a refused prepare")


cli.main()

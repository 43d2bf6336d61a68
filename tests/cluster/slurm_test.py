"""The script of `residualbind sweep slurm` on a real Slurm: one machine, its own daemons, nothing outside a temporary folder.

An array of four tasks trains twelve models. One task is killed in the middle, another is warned as before a time limit and
goes back into the queue. The merge refuses what is incomplete; the script is submitted again; then everything must be, byte
for byte, what one process makes. Needs root and Debian's slurm-wlm (22.05); run it with ./run test-cluster.
"""
import atexit
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "apps"))
from cli import check, equal, main, run, simulate, succeeds, test  # noqa: E402
from sweep_cases import merge, results, same, sweep  # noqa: E402

PATIENCE = 300  # seconds for any one thing to happen on a slow machine; nothing here waits so long otherwise
PR_SET_PDEATHSIG = 1
CANNOT_RUN = 77  # exit code where Slurm's daemons do not come up

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
KillWait=5
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def processes_with(variable, value):
    """Ids of the processes that have VARIABLE=VALUE in their environment, this one left out."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it has ended
            pass
    return found


def until(condition, what, patience=PATIENCE):
    """Waits for condition() to be true; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise RuntimeError(f"{what}: did not happen in {patience} s")


class Cluster:
    """slurmctld and slurmd with state, logs and ports of their own. They end with this process, however that ends."""

    def __init__(self):
        self.folder = os.path.join(os.getcwd(), "slurm")
        for name in ("state", "spool"):
            os.makedirs(os.path.join(self.folder, name))
        ctld_port, slurmd_port = free_ports(2)
        self.conf = os.path.join(self.folder, "slurm.conf")
        pathlib.Path(self.conf).write_text(
            CONFIGURATION.format(folder=self.folder, ctld_port=ctld_port, slurmd_port=slurmd_port))
        os.environ["SLURM_CONF"] = self.conf
        self.daemons = []
        atexit.register(self.stop)  # also when it is the test that fails
        self.start("slurmctld", "-D", "-f", self.conf)
        self.start("slurmd", "-D", "-N", "localhost", "-f", self.conf)
        try:
            until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "a node that is ready", 60)
        except RuntimeError as error:
            print(f"{self.logs()}\nSlurm does not run here: {error}")
            sys.exit(CANNOT_RUN)

    def start(self, name, *arguments):
        libc = ctypes.CDLL(None)
        log = open(os.path.join(self.folder, f"{name}.log"), "wb")
        self.daemons.append(subprocess.Popen([name, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                             preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)))

    def ask(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout

    def job_id(self, array, task):
        return self.ask("squeue", "-h", "-j", f"{array}_{task}", "-o", "%A").strip()

    def wait_for_all(self):
        until(lambda: self.ask("squeue", "-h").strip() == "", "an empty queue")

    def stop(self):
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in processes_with("SLURM_CONF", self.conf):  # jobs that were still there
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.daemons = []

    def logs(self):
        return "".join(f"--- {p}\n{p.read_text(errors='replace')[-2000:]}" for p in
                       [*pathlib.Path(self.folder).glob("*.log"), *pathlib.Path("a plan").glob("*.log")])


def plan(out):
    succeeds("sweep", "plan", "--data", "sim", "--experiment", "all", "--replicates", 2, "--epochs", 12, "--filters", 64,
             "--out", out, "--progress", "none")


def submit():
    done = subprocess.run(["bash", "sweep.sh"], capture_output=True, text=True)
    equal(done.returncode, 0, f"submitting ({done.stderr})")
    return done.stdout.strip()


def log_of(array, task):
    path = pathlib.Path(f"a plan/train-{array}-{task}.log")
    return path.read_text(errors="replace") if path.exists() else ""


def in_the_middle(cluster, array, task):
    """Waits until the task trains; its job's number, or "" when it has ended already."""
    until(lambda: "  epoch " in log_of(array, task), f"the first epoch of task {task}")
    return cluster.job_id(array, task)


def an_array_with_a_kill_and_a_requeue(cluster):
    array = submit()
    killed = in_the_middle(cluster, array, 0)
    victims = processes_with("SLURM_JOB_ID", killed)
    for process in victims:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
    check(len(victims) >= 2, f"task 0 is at work: its script and its program are killed ({len(victims)} processes)")
    # As Slurm warns a task: a signal to its script alone. (scancel may say it again after the requeue.)
    warned = in_the_middle(cluster, array, 1)
    scripts = [p for p in processes_with("SLURM_JOB_ID", warned) if b"slurm_script" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()]
    equal(len(scripts), 1, "scripts of task 1")
    os.kill(scripts[0], signal.SIGUSR1)
    until(lambda: "goes back into the queue" in log_of(array, 1), "task 1 goes back into the queue")
    cluster.wait_for_all()
    check("stopped by SIGUSR1" in log_of(array, 1), "the program says that it was stopped")
    if not equal(log_of(array, 1).count("has 3 of 12 models"), 2, "starts of task 1"):
        print(log_of(array, 1), cluster.logs())
    check("3 of 3 models are finished" in log_of(array, 1), "the second one comes to its end")
    code, text, _ = run("sweep", "status", "--plan", "a plan")
    equal(code, 3, f"exit code of status ({text})")
    merged = list(pathlib.Path("a plan").glob("merge-*.log"))
    equal(len(merged), 1, "merge jobs")
    check("models are not there" in merged[0].read_text(), "the merge job refuses what is incomplete")
    check(not pathlib.Path("a plan/metrics.tsv").exists(), "nothing is merged")


@test
def slurm():
    simulate("sim", experiments=6, probes=2500)
    plan("a plan")
    script, _ = succeeds("sweep", "slurm", "--plan", "a plan", "--array", 4, "--cpus", 1, "--time", 60)
    pathlib.Path("sweep.sh").write_text(script)
    cluster = Cluster()
    print(f"       {subprocess.run(['sbatch', '--version'], capture_output=True, text=True).stdout.strip()}")
    try:
        an_array_with_a_kill_and_a_requeue(cluster)
        submit()
        cluster.wait_for_all()
        equal(run("sweep", "status", "--plan", "a plan")[0], 0, "everything is finished")
        plan("whole")
        sweep("whole")
        merge("whole")
        equal(len(results("whole")), 12 * 3 + 2, "files")
        same(results("a plan"), results("whole"), "the array and one process")
    except Exception:
        print(cluster.logs())
        raise
    finally:
        cluster.stop()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()

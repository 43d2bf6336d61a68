#!/usr/bin/env python3
"""ResidualBind in PyTorch, as good as PyTorch makes it, for comparison: training steps and scoring, eager, as a CUDA graph,
and through torch.compile (inside a CUDA graph too); fp32, tf32 and bf16 autocast. One JSON object a line, as rows finish.

M models side by side are one module: convolutions with groups=M (what torch.func.vmap makes of them as well), batched
products for the dense layers, one fused Adam over all. Every model has its own mini-batch, gathered on the device from
one-hot sequences that are there already. Convolutions run in the faster of two memory layouts. Architecture: the preset
`paper` (model/shape.h). Two differences that no timing sees: Adam's epsilon behind the bias correction, and the running
variance with n - 1.

usage: peer_pytorch.py --out FILE [--models 1,8,40,244] [--precision bf16,tf32,fp32] [--modes graph,eager,compile]
                       [--tasks train,score] [--time-limit SECONDS] [--device cuda|cpu] [--tiny]
"""
import argparse
import json
import math
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    sys.exit(f"peer_pytorch.py: PyTorch cannot be loaded ({error})")

LENGTH, FILTERS, POOL, HIDDEN = 41, 96, 10, 256
FLAT = LENGTH // POOL * FILTERS
DILATIONS = (1, 2, 4)
BATCH = 100


class ResidualBind(torch.nn.Module):
    """M of them. Activations are (batch, M * channels, 1, positions)."""

    def __init__(self, models, layout):
        super().__init__()
        self.models, self.layout = models, layout
        self.convolutions = torch.nn.ParameterList([self._conv(4, 11)] + [self._conv(FILTERS, 3) for _ in DILATIONS])
        self.dense = self._glorot((models, FLAT, HIDDEN), FLAT, HIDDEN)
        self.head = self._glorot((models, HIDDEN, 1), HIDDEN, 1)
        self.bias = torch.nn.Parameter(torch.zeros(models, 1, 1))
        norms = [torch.nn.BatchNorm2d(models * FILTERS, eps=1e-3, momentum=0.01) for _ in range(1 + len(DILATIONS))]
        self.norms = torch.nn.ModuleList(norms)
        self.dense_norm = torch.nn.BatchNorm1d(models * HIDDEN, eps=1e-3, momentum=0.01)

    @staticmethod
    def _glorot(shape, fan_in, fan_out):
        limit = math.sqrt(6 / (fan_in + fan_out))
        return torch.nn.Parameter(torch.empty(shape).uniform_(-limit, limit))

    def _conv(self, inputs, width):
        weight = self._glorot((self.models * FILTERS, inputs, 1, width), inputs * width, FILTERS * width)
        if self.layout == "channels_last":
            weight = torch.nn.Parameter(weight.detach().contiguous(memory_format=torch.channels_last))
        return weight

    def _convolve(self, x, layer, weight=None, bias=None):
        weight = self.convolutions[layer] if weight is None else weight
        dilation = 1 if layer == 0 else DILATIONS[layer - 1]
        reach = (weight.shape[3] - 1) // 2 * dilation
        return F.conv2d(x, weight, bias, padding=(0, reach), dilation=(1, dilation), groups=self.models)

    def _pooled(self, x):
        """(batch, M * C, 1, L) -> (M, batch, pools * C), position before channel."""
        p = F.avg_pool2d(x, (1, POOL))
        batch = p.shape[0]
        return p.reshape(batch, self.models, FILTERS, -1).permute(1, 0, 3, 2).reshape(self.models, batch, FLAT)

    def forward(self, x):
        x = F.dropout(F.relu(self.norms[0](self._convolve(x, 0))), 0.1, self.training)
        y = x
        for i in range(1, len(DILATIONS) + 1):
            y = self.norms[i](self._convolve(y, i))
            if i < len(DILATIONS):
                y = F.dropout(F.relu(y), 0.2, self.training)
        x = F.dropout(F.relu(x + y), 0.2, self.training)
        z = torch.bmm(self._pooled(x), self.dense)  # (M, batch, hidden)
        batch = z.shape[1]
        h = self.dense_norm(z.transpose(0, 1).reshape(batch, -1)).reshape(batch, self.models, HIDDEN).transpose(0, 1)
        h = F.dropout(F.relu(h), 0.5, self.training)
        return (torch.bmm(h, self.head) + self.bias).squeeze(2)  # (M, batch)


class Scorer:
    """The same network for inference, batch norm folded into weights and biases."""

    def __init__(self, net):
        self.net = net
        scales = [n.weight / torch.sqrt(n.running_var + n.eps) for n in net.norms]
        self.weights = [w * s[:, None, None, None] for w, s in zip(net.convolutions, scales)]
        self.biases = [n.bias - n.running_mean * s for n, s in zip(net.norms, scales)]
        scale = net.dense_norm.weight / torch.sqrt(net.dense_norm.running_var + net.dense_norm.eps)
        self.dense = net.dense * scale.reshape(net.models, 1, HIDDEN)
        self.dense_bias = (net.dense_norm.bias - net.dense_norm.running_mean * scale).reshape(net.models, 1, HIDDEN)

    def __call__(self, x):
        net = self.net
        x = F.relu(net._convolve(x, 0, self.weights[0], self.biases[0]))
        y = x
        for i in range(1, len(DILATIONS) + 1):
            y = net._convolve(y, i, self.weights[i], self.biases[i])
            y = F.relu(y + x) if i == len(DILATIONS) else F.relu(y)
        h = F.relu(torch.baddbmm(self.dense_bias.to(y.dtype), net._pooled(y), self.dense.to(y.dtype)))
        return (torch.bmm(h, net.head.to(h.dtype)) + net.bias).squeeze(2)

    def cast(self, dtype):
        self.weights = [w.to(dtype) for w in self.weights]
        self.biases = [b.to(dtype) for b in self.biases]
        return self


class Data:
    def __init__(self, sequences, device):
        codes = torch.randint(4, (sequences, LENGTH), device=device)
        self.onehot = F.one_hot(codes, 4).transpose(1, 2).contiguous()[:, :, None, :].float()  # (n, 4, 1, L)
        self.targets = torch.rand(sequences, device=device) * 2 - 1
        self.sequences = sequences

    def gather(self, rows, layout):
        """rows (batch, M) -> inputs (batch, M * 4, 1, L) and targets (M, batch)."""
        x = self.onehot[rows].reshape(rows.shape[0], -1, 1, LENGTH)
        if layout == "channels_last":
            x = x.contiguous(memory_format=torch.channels_last)
        return x, self.targets[rows].t()


def set_precision(precision):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True


def autocast(options, precision):
    return torch.autocast(options.device, torch.bfloat16, enabled=precision == "bf16")


class Step:
    """Callable; everything it touches stays where it is, so that it can be captured."""

    def __init__(self, options, data, models, precision, layout, compiled):
        self.options, self.data, self.precision, self.layout = options, data, precision, layout
        self.net = ResidualBind(models, layout).to(options.device)
        on_gpu = options.device == "cuda"
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, eps=1e-7, fused=on_gpu, capturable=on_gpu)
        self.forward = torch.compile(self._loss) if compiled else self._loss
        self.rows = torch.randint(data.sequences, (64, BATCH, models), device=options.device)
        self.next = self.rows[0].clone()
        self.loss = None

    def _loss(self, x, targets):
        with autocast(self.options, self.precision):
            out = self.net(x)
        return F.mse_loss(out.float(), targets, reduction="none").mean(1).sum()

    def advance(self, i):
        self.next.copy_(self.rows[i % len(self.rows)])

    def __call__(self):
        x, targets = self.data.gather(self.next, self.layout)
        self.adam.zero_grad(set_to_none=True)
        loss = self.forward(x, targets)
        loss.backward()
        self.adam.step()
        self.loss = loss.detach()


class Score:
    def __init__(self, options, data, models, precision, layout, compiled):
        rows = max(BATCH, options.score_rows // models)
        net = ResidualBind(models, layout).to(options.device).eval()
        self.scorer = Scorer(net)
        if precision == "bf16":
            self.scorer.cast(torch.bfloat16)
        self.precision, self.options, self.data, self.layout = precision, options, data, layout
        self.run = torch.compile(self._score) if compiled else self._score
        self.rows = torch.randint(data.sequences, (rows, models), device=options.device)
        self.sequences = rows * models
        self.loss = None

    def _score(self, x):
        with autocast(self.options, self.precision):
            return self.scorer(x)

    def advance(self, i):
        pass

    def __call__(self):
        with torch.no_grad():
            x, _ = self.data.gather(self.rows, self.layout)
            self.loss = self.run(x.bfloat16() if self.precision == "bf16" else x).float().mean()


def captured(call):
    """The call as a CUDA graph, after warming up on a side stream."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def synchronize(options):
    if options.device == "cuda":
        torch.cuda.synchronize()


def seconds_a_call(options, work, run, rounds, seconds):
    """Median over rounds of `seconds` in all."""
    for i in range(3):
        work.advance(i)
        run()
    synchronize(options)
    start = time.perf_counter()
    for i in range(3):
        work.advance(i)
        run()
    synchronize(options)
    calls = max(1, int(seconds / rounds / max(1e-6, (time.perf_counter() - start) / 3)))
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for i in range(calls):
            work.advance(i)
            run()
        synchronize(options)
        found.append((time.perf_counter() - start) / calls)
    return statistics.median(found)


def faster_layout(options, make):
    """Eager, a few calls in each memory layout."""
    times = {}
    for layout in ("contiguous", "channels_last"):
        work = make(layout, False)
        times[layout] = seconds_a_call(options, work, work, 1, options.seconds / 4)
    return min(times, key=times.get)


def measure(options, data, layouts, task, mode, precision, models):
    set_precision(precision)
    kind = Step if task == "train" else Score
    make = lambda layout, compiled: kind(options, data, models, precision, layout, compiled)
    key = (task, precision, models)
    if key not in layouts:
        layouts[key] = faster_layout(options, make)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    work = make(layouts[key], mode == "compile")
    run = captured(work) if options.device == "cuda" and mode != "eager" else work
    seconds = seconds_a_call(options, work, run, 5, options.seconds)
    sequences = BATCH * models if task == "train" else work.sequences
    row = {"ms": seconds * 1e3, "sequences/s": sequences / seconds, "layout": layouts[key]}
    if not math.isfinite(work.loss.item()):
        row["error"] = f"the loss is {work.loss.item()}"
    if options.device == "cuda":
        row["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
    return row


def plan(options):
    """Graphs first: they are the fastest that costs no compile time. torch.compile for the fewest and the most models."""
    for mode in sorted(options.modes, key=("graph", "eager", "compile").index):
        for task in options.tasks:
            for precision in options.precision:
                for models in options.models:
                    if mode != "compile" or models in (min(options.models), max(options.models)):
                        yield task, mode, precision, models


def flags():
    names = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--models", type=lambda text: [int(m) for m in text.split(",")], default=[1, 8, 40, 244])
    parser.add_argument("--precision", type=names, default=["bf16", "tf32", "fp32"])
    parser.add_argument("--modes", type=names, default=["graph", "eager", "compile"])
    parser.add_argument("--tasks", type=names, default=["train", "score"])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each row, after warming up")
    parser.add_argument("--time-limit", type=float, default=1e9, help="seconds after which no row is begun")
    parser.add_argument("--score-rows", type=int, default=1 << 17, help="sequences of one scoring, over all models")
    parser.add_argument("--sequences", type=int, default=241357)
    parser.add_argument("--tiny", action="store_true", help="few sequences and short rounds: a smoke test, not a measurement")
    options = parser.parse_args()
    if options.tiny:
        options.sequences, options.score_rows, options.seconds = 200, 200, 0.01
    return options


def check_architecture():
    """The paper's 187,009 trained parameters."""
    count = sum(p.numel() for p in ResidualBind(1, "contiguous").parameters())
    if count != 187009:
        sys.exit(f"peer_pytorch.py: {count} trained parameters; expected 187009")


def main():
    options = flags()
    check_architecture()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("peer_pytorch.py: PyTorch sees no CUDA device")
    start, layouts = time.perf_counter(), {}
    torch.manual_seed(1)
    with open(options.out, "w") as out:
        def write(line):
            out.write(json.dumps(line) + "\n")
            out.flush()
            print(json.dumps(line), flush=True)

        name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        write({"kind": "context", "torch": torch.__version__, "device": name, "tiny": options.tiny})
        data = Data(options.sequences, options.device)
        rows = 0
        for task, mode, precision, models in plan(options):
            row = {"kind": "row", "name": f"PyTorch/{task}/{mode}/{precision}/M{models}"}
            if time.perf_counter() - start > options.time_limit:
                write({**row, "skipped": "time limit"})
                continue
            try:
                row.update(measure(options, data, layouts, task, mode, precision, models))
            except Exception as error:  # out of memory, no compiler for torch.compile: the other rows still count
                row["error"] = f"{type(error).__name__}: {error}"[:300]
            if options.device == "cuda":
                torch.cuda.empty_cache()
            write(row)
            rows += 1
        write({"kind": "end", "rows": rows})


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Rewrites the tables between <!-- bench:begin --> and <!-- bench:end --> of README.md (the ones that matter most), of
docs/results.md (all) and of docs/gpu.md (what kernels were counted to do) from bench/results; --check only compares. No number in those tables is typed by hand."""
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
PAGES = {"README.md": "bench/results/", "docs/results.md": "../bench/results/", "docs/gpu.md": "../bench/results/"}  # with the way to the results


def results() -> list[tuple[str, dict]]:
    return [(p.name, json.loads(p.read_text())) for p in sorted((HERE / "results").glob("*.json"))]


# Rows of the README: the rest is in the JSON.
SHOWN = [(f"training, {preset}, {'one model' if models == 1 else f'{models} models side by side'}", f"training_step/{preset}/models:{models}")
         for preset in ("paper", "published") for models in (1, 16)]
SHOWN += [(f"scoring, {preset}, {precision}", f"scorer/{preset}/{precision}")
          for preset in ("paper", "published") for precision in ("fp32", "bf16")]
SHOWN += [(f"6-mer scan, paper, {precision}, {sharing}", f"kmer_scan/{row}/{precision}") for precision in ("fp32", "bf16")
          for row, sharing in (("whole", "nothing shared"), ("background", "backgrounds shared"), ("letters", "letters shared"))]


SHOWN += [("folding, five tracks, 41 bases (of the peak in double)", "fold/length:41")]


def speed_table(name: str, result: dict) -> list[str]:
    context = result["context"]["training_bench"]
    lines = [f"Sequences a second, and percent of the multiply-add peak measured in the same run (one core: "
             f"{context['peak fp32, one core']} fp32, {context['peak bf16, one core']} bf16). Training: whole steps of batch "
             f"100, fp32. Medians of five repetitions, [{name}](RESULTS{name}).", "",
             "| | 1 core | | 2 cores | |", "|---|---|---|---|---|"]
    for label, row in SHOWN:
        cells = []
        for threads in (1, 2):
            values = result["rows"].get(f"{row}/threads:{threads}")
            cells += [f"{values['sequences/s']:,.0f}", f"{values.get('percent_of_peak', values.get('bought')):.0f} %"] if values else ["", ""]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines + ["", "Percents of k-mer scans count the work of whole sequences: beyond 100 is what sharing saves."]


INPUT = {0: "sequence", 2: "+ PU", 5: "+ PHIME"}  # by structure channels


def training_table(found: list[tuple[str, dict]]) -> list[str]:
    """Runs of few experiments, a row each."""
    lines = ["| experiment | preset | input | epochs | best epoch | test Pearson | Spearman | n | minutes | memory |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    few = [(name, result) for name, result in found if len(result["test"]) <= MANY]
    for name, result in few:
        for test in result["test"]:
            history = result["history"][test["experiment"]]
            best = max(h["epoch"] for h in history if h["best"])
            lines.append(f"| [{test['experiment']}](RESULTS{name}) | {result['preset']} | {INPUT[result.get('structure_channels', 0)]} | {len(history)} | {best} | "
                         f"{test['pearson']:.4f} | {test['spearman']:.4f} | {test['n']:,} | "
                         f"{result['seconds']['total'] / 60:.1f} | {result['peak_memory_bytes'] / 2**20:.0f} MiB |")
    notes = [f"- {name}: {result['note']}" for name, result in few if result.get("note")]
    return lines + ([""] + notes if notes else [])


MANY = 8  # experiments: more of them have a table of their own


def many_summary(name: str, result: dict) -> str:
    pearsons = [t["pearson"] for t in result["test"]]
    epochs = max(h["epoch"] for history in result["history"].values() for h in history)
    rows = sum(h["epoch"] == epochs for history in result["history"].values() for h in history)
    return (f"{len(pearsons)} experiments trained side by side ({rows} to epoch {epochs}): test Pearson {statistics.mean(pearsons):.3f} +- "
            f"{statistics.pstdev(pearsons):.3f}, median {statistics.median(pearsons):.3f}; {result['seconds']['total'] / 60:.1f} minutes, "
            f"{result['peak_memory_bytes'] / 2**20:.0f} MiB ([{name}](RESULTS{name}): {result['note']}).")


def many_table(name: str, result: dict) -> list[str]:
    lines = [many_summary(name, result), "", "| experiment | Pearson | Spearman | n | | experiment | Pearson | Spearman | n |",
             "|---|---|---|---|---|---|---|---|---|"]
    cells = [f"{t['experiment']} | {t['pearson']:.4f} | {t['spearman']:.4f} | {t['n']:,}" for t in result["test"]]
    half = (len(cells) + 1) // 2
    for i in range(half):
        lines.append(f"| {cells[i]} | | {cells[i + half] if i + half < len(cells) else ' | | | '} |")
    return lines


def side_by_side_table(name: str, result: dict) -> list[str]:
    lines = [f"Models trained side by side (paper preset, batch 100, fp32), sequences a second of all together: [{name}](RESULTS{name}).", "",
             "| models | 1 core | 2 cores | memory |", "|---|---|---|---|"]
    for models in (1, 4, 16, 40):
        rows = [result["rows"].get(f"training_step/paper/models:{models}/threads:{threads}") for threads in (1, 2)]
        if all(rows):
            lines.append(f"| {models} | {rows[0]['sequences/s']:,.0f} | {rows[1]['sequences/s']:,.0f} | {rows[1]['memory_MiB']:.0f} MiB |")
    return lines


# Test Pearsons of the article's text, by input [Koo 2021, Results: VTS1 of the 2009 data].
PUBLISHED = {"VTS1": {0: "0.698", 5: "0.707"}}


def structure_table(found: list[tuple[str, dict]]) -> list[str]:
    """Runs to their early stop that differ in nothing but the input."""
    by: dict[str, dict[int, str]] = {}
    for name, result in found:
        if "early-stop" not in name or result["preset"] != "paper":
            continue
        for test in result["test"]:
            by.setdefault(test["experiment"], {})[result.get("structure_channels", 0)] = f"{test['pearson']:.4f}"
    lines = ["Does structure help? Test Pearsons of one run each to its early stop, same split and seed (the article's in brackets):",
             "", f"| experiment | {' | '.join(INPUT.values())} |", "|---|---|---|---|"]
    for experiment, values in by.items():
        if len(values) < len(INPUT):
            continue
        cells = [values[c] + (f" ({PUBLISHED[experiment][c]})" if c in PUBLISHED.get(experiment, {}) else "") for c in INPUT]
        lines.append(f"| {experiment} | {' | '.join(cells)} |")
    return lines if len(lines) > 4 else []


def baselines_table(name: str, result: dict, training: list[tuple[str, dict]]) -> list[str]:
    """Test Pearsons of every model beside the network's after 30 epochs, or where that ran to its early stop."""
    networks = {test["experiment"]: f"{test['pearson']:.4f}" for file, run in training for test in run["test"]
                if ("early-stop" in file or "30-epochs" in file) and run["preset"] == "paper" and not run.get("structure_channels")}
    runs = result["runs"]
    lines = ["What does the network add? Test Pearsons of baselines (`train --model kmer|pwm`), same split and seed, "
             f"[{name}](RESULTS{name}):", "", f"| experiment | {' | '.join(r['label'] for r in runs)} | network |",
             "|---" * (len(runs) + 2) + "|"]
    for i, test in enumerate(runs[0]["test"]):
        cells = [f"{r['test'][i]['pearson']:.4f}" for r in runs]
        lines.append(f"| {test['experiment']} | {' | '.join(cells)} | {networks.get(test['experiment'], '')} |")
    lines.append(f"| mean | {' | '.join('%.4f' % (sum(x['pearson'] for x in r['test']) / len(r['test'])) for r in runs)} | |")
    lines.append(f"| seconds an experiment | {' | '.join('%.1f' % (r['seconds']['train'] / len(r['test'])) for r in runs)} | |")
    lines.append(f"| memory, MiB | {' | '.join('%.0f' % (r['peak_memory_bytes'] / 2**20) for r in runs)} | |")
    return lines + ["", f"- {name}: {result['note']}"]


def gia_table(found: list[tuple[str, dict]]) -> list[str]:
    lines = ["Global importance on these models, beside what the article's text or its authors' notebooks give:", "",
             "| model | quantity | published | found |", "|---|---|---|---|"]
    for name, result in found:
        for a in result["anchors"]:
            ci = f" ({a['ci'][0]:.2f} to {a['ci'][1]:.2f})" if "ci" in a else ""
            value = a["found"] if isinstance(a["found"], str) else f"{a['found']:.{3 if abs(a['found']) < 1 else 2}f}"
            lines.append(f"| [{a['model']}](RESULTS{name}) | {a['quantity']} | "
                         f"{'' if a['expected'] is None else a['expected']} | {value}{ci} |")
    notes = [f"- {name}: {result['note']}" for name, result in found if result.get("note")]
    return lines + ([""] + notes if notes else [])


def recovery_tables(name: str, result: dict) -> list[str]:
    made, summary, seeds = result["settings"], result["summary"], len(result["by_seed"])
    split, link = summary["split"], f"[{name}](RESULTS{name})"

    def interval(one: dict, key: str, digits: int) -> str:
        low, high = one[key + "_ci"]
        return f"{one[key]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    def means(one: dict) -> str:
        return f"{one['property']} | {one['expected']:.3f} | {one['blind']:.3f} | {one['found']:.3f}"
    lines = [f"Is what the simulator plants found again? {seeds} seeds with one model each ({made['probes']:,} probes, half of "
             f"them set A, {made['epochs']} epochs): means and 95 % intervals over seeds, {link}. Blind is what the best fit "
             "that cannot see stems would give.", "",
             "| planted | expected | blind | found | right sign | found / expected | within a model's own interval |",
             "|---|---|---|---|---|---|---|"]
    lines += [f"| {means(p)} | {p['right_sign']} of {seeds} | {interval(p, 'ratio', 2)} | {p['own_ci_holds_it']} of {seeds} |"
              for p in summary["planted"]]
    lines += ["", "| not planted | expected | blind | found | found - expected | p over models | models with q < 0.05 |",
              "|---|---|---|---|---|---|---|"]
    lines += [f"| {means(u)} | {interval(u, 'difference', 3)} | {u['p']:.2g} | {u['models_with_q_below_0.05']} of {seeds} |"
              for u in summary["unplanted"]]
    low, high = (100 * x for x in split["ci_over_seeds"])
    return lines + ["", f"The planted motif is the strongest 6-mer of {summary['motif_ranked_first']} of {seeds} models. The "
                    f"same question on two sets of null sequences: {100 * split['share_with_p_below_0.05']:.1f} % of "
                    f"{split['tests']} differences have p < 0.05 ({low:.1f} to {high:.1f} %); "
                    f"{split['pairs_with_any_q_below_0.05']} of {split['pairs']} pairs of sets have a q < 0.05.", "",
                    f"- {name}: {result['note']}"]


# ------------------------------------------------------------------------------------------- docs/gpu.md: kernel counts

MEMORY = 4.3e12  # an H200's bytes a second, as the predictions take them
TILES = 36       # of 128 rows, that a dilated layer's pass over 100 sequences has: 8 chunks of 12 or 13, 3 sequences to a tile


class Counts:
    """Sums over the kernels of one part whose names begin with one of some words."""

    def __init__(self, result: dict, precision: str, part: str, *names: str):
        self.rows = [r for r in result["counts"][precision][part] if not names or r["kernel"].startswith(names)]
        if not self.rows:
            raise SystemExit(f"make_tables: no kernel {names} in {part}, {precision}")

    def sum(self, *keys: str) -> float:
        def one(row: dict) -> float:
            for key in keys:
                row = row[key]
            return row
        return sum(one(row) for row in self.rows)

    def memory(self) -> float:
        return self.sum("read", "touched") + self.sum("written", "touched")

    def sectors(self) -> float:
        return 32 * (self.sum("read", "sectors") + self.sum("written", "sectors"))

    def shared(self) -> float:
        return sum(self.sum(kind, "wavefronts") for kind in ("loads", "stores", "matrices"))

    def conflicts(self) -> float:
        return sum(self.sum(kind, "conflicts") for kind in ("loads", "stores", "matrices"))


def predictions(result: dict) -> list[tuple[str, str, float, float, str]]:
    """(quantity, unit, what a banner says, counted, why they differ where it is by more than 5 %)."""
    step = lambda precision, *names: Counts(result, precision, "step", *names)
    layers, batch = 3, 100
    elements = 41 * 96
    forward, backward = step("bf16", "dilated_conv_forward"), step("bf16", "dilated_conv_backward")
    bf16, fp32 = step("bf16", "embed_conv: Forward"), step("fp32", "embed_conv: Forward")
    scorer = Counts(result, "bf16", "scoring twice as many", "scorer_bf16")
    first = Counts(result, "bf16", "scoring", "scorer_bf16")
    rows = result["settings"]["score_rows"]
    groups, tiles = rows / 48, rows / 3
    fold, folded = Counts(result, "fp32", "fold"), result["settings"]["fold_rows"]
    parameters = step("fp32", "adam").sum("written", "touched") / 12
    of_tile = lambda c, kinds: 128 * sum(c.sum(kind, "wavefronts") for kind in kinds) / layers / TILES
    left_out = "the dense layer, 2.2 MB, and weights packed for each pass, 1.0 MB (tf32 1.3), were left out of the plan"
    return [
        ("a step bf16, memory, a model (23 tensors, optimiser, eight partial weight gradients)", "MB", 24.9 + 5.3, step("bf16").memory() / 1e6, left_out),
        ("the same in tf32", "MB", 43 + 5.3, step("tf32").memory() / 1e6, left_out),
        ("dense forward, memory", "KB", 649, step("bf16", "dense: DenseForward").memory() / 1e3, ""),
        ("dense gradient, memory", "KB", 1400, step("bf16", "dense: DenseNorm", "dense: DenseBackward").memory() / 1e3,
         "dz, 102 KB, written by one launch and read by the next; banner corrected"),
        ("layer 1 forward bf16, memory, an output", "bytes", 2, bf16.memory() / elements / batch, ""),
        ("layer 1 forward fp32, memory, an output", "bytes", 4, fp32.memory() / elements / batch, ""),
        ("layer 1 backward bf16, memory, an input", "bytes", 4, step("bf16", "embed_conv: Backward").memory() / elements / batch,
         "eight chunks' weight gradients, 135 KB, are written too"),
        ("dilated forward bf16, memory, a sequence", "KB", 15.7 + 0.5 + 55.3 / batch, forward.memory() / layers / batch / 1e3, ""),
        ("dilated forward bf16, from and to L2, a sequence", "KB", 15.7 + 0.5 + 55.3 / 12.5, forward.sectors() / layers / batch / 1e3,
         "tables of the batch norm for each block, and masks leave a byte a lane, in parts of sectors"),
        ("dilated forward bf16, shared memory, operands of a tile's product", "KB", 368, of_tile(forward, ["matrices"]) / 1e3, ""),
        ("dilated forward bf16, shared memory, a tile's way in and out", "KB", 120, of_tile(forward, ["loads", "stores"]) / 1e3,
         "results are read twice, for the moments; weights and the norm's table arrive too; conflicts, as rows are 208 bytes apart; "
         "banner corrected"),
        ("dilated backward bf16, memory, a sequence", "KB", 31.5 + 0.75 + 110.6 / 12.5, backward.memory() / layers / batch / 1e3, ""),
        ("dilated backward bf16, shared memory, operands of a tile's products", "KB", 712, of_tile(backward, ["matrices"]) / 1e3, ""),
        ("dilated backward bf16, shared memory, a tile's way in and out", "KB", 270, of_tile(backward, ["loads", "stores"]) / 1e3,
         "conflicts, as rows are 208 bytes apart; banner corrected"),
        ("pooling forward bf16, memory, an element", "bytes", 4.65, step("bf16", "residual_pool: Forward").memory() / elements / batch, ""),
        ("pooling backward bf16, memory, an element", "bytes", 2.925, step("bf16", "residual_pool: Backward").memory() / elements / batch, ""),
        ("head, memory, a row", "KB", 2.05, step("bf16", "head").memory() / batch / 1e3,
         "eight chunks' weight gradients and sums for the batch norm, 25 KB"),
        ("gather, sectors, a row", "bytes", 60, step("bf16", "gather").sectors() / batch, "a whole sector for each row number and each target"),
        ("batch norm finalize, memory, a channel", "bytes", 70, step("bf16", "batch_norm: Finalize").memory() / (4 * 96 + 256),
         "16 values and 4 are 80 bytes, and running statistics are read; banner corrected"),
        ("batch norm grad finalize, memory, a channel", "bytes", 70, step("bf16", "batch_norm: GradFinalize").memory() / (4 * 96 + 256),
         "16 values and 4 are 80 bytes; banner corrected"),
        ("Adam, memory, a value of eight chunks (the dense layer's have one)", "bytes", 56,
         (step("bf16", "adam").memory() + 28 * 384 * 256) / parameters, ""),
        ("folding batch norm, memory, a model", "MB", 1.5, Counts(result, "bf16", "scoring", "fold_norm").memory() / 1e6, ""),
        ("packing for the scorer bf16, memory, a model", "MB", 0.7, Counts(result, "bf16", "scoring", "scorer: Pack").memory() / 1e6,
         "0.75 MB of fp32 weights are read for 0.38 MB of bf16 ones; banner corrected"),
        ("scorer bf16, mma, a tile of 3 sequences", "", 5472 + 144, (scorer.sum("mma") - first.sum("mma")) / tiles, ""),
        ("scorer bf16, shared memory, a tile of 3 sequences", "KB", 940, 0.128 * (scorer.shared() - first.shared()) / tiles, "biases and the table of rows were left out; about 900 wavefronts are not a device's: an entry of that table, 12 bytes, is counted "
         "whole where one field is used; banner corrected"),
        ("scorer bf16, L2, a further group of 48 sequences", "KB", 197 + 8 * 37,
         (scorer.sectors() - first.sectors()) / groups / 1e3, "the pooled vectors' writing, 37 KB in halves of sectors"),
        ("folding, written, a sequence of 41", "bytes", 828, fold.sum("written", "touched") / folded, ""),
    ]


def gpu_table(name: str, result: dict) -> list[str]:
    step = lambda precision, *names: Counts(result, precision, "step", *names)
    us = lambda c: 1e6 * c.memory() * 244 / MEMORY
    scorer, tiles = Counts(result, "bf16", "scoring twice as many", "scorer_bf16"), result["settings"]["score_rows"] / 3
    first = Counts(result, "bf16", "scoring", "scorer_bf16")
    fold = Counts(result, "fp32", "fold")
    whole = step("bf16")
    gradient = ["dense: DenseNorm", "dense: DenseBackward"]
    counted = [
        f"{whole.memory() / 1e6:.1f} MB a model-step, every byte once a kernel: {us(whole) / 1e3:.2f} ms (memory)",
        f"{us(step('bf16', 'dense: DenseForward')):.0f} / {us(step('bf16', *gradient)):.0f} us (memory)",
        f"{us(step('bf16', 'embed_conv: Forward')) / 244:.2f} / {us(step('bf16', 'embed_conv: Backward')) / 244:.2f} us (memory); "
        f"fp32 {us(step('fp32', 'embed_conv: Forward')) / 244:.2f} / {us(step('fp32', 'embed_conv: Backward')) / 244:.2f}",
        f"{(scorer.shared() - first.shared()) / tiles:,.0f} wavefronts of shared memory and "
        f"{(scorer.sum('mma') - first.sum('mma')) / tiles:,.0f} mma a tile of 3 sequences",
        f"{fold.shared() / result['settings']['fold_rows']:,.0f} wavefronts of shared memory a sequence of 41, "
        f"{100 * fold.conflicts() / fold.shared():.0f} % of them conflicts",
        f"{Counts(result, 'bf16', 'scan', 'scorer: Merge').sum('written', 'touched') / 4:.0f} bytes a pattern leave the device; else as the scorer"]
    predicted = [
        ("step of 244 models, batch 100, bf16", "1.19 ms were layer 1 recomputed and weight gradients summed in clusters; as written, "
         "with layer 1 stored and eight partial weight gradients in memory, about 2 ms"),
        ("dense forward / backward, 244 models", "37 / 85 us (memory); fp32 80 / 160 us (multiply-adds)"),
        ("layer 1 forward / backward, a model-step", "0.35 / 0.5 us (instructions; fp32 backward 0.73, memory)"),
        ("scorer, bf16", "40-50 M sequences/s"),
        ("folding 241,357 probes of 30-41 bases, float64, 4 warps a multiprocessor", "0.1-0.3 s (latency of shared memory)"),
        ("k-mer scan, bf16, sequences drawn and written over on the device", "the scorer's rate less 5 % for the draws: 38-47 M "
         "sequences/s; 244 models' 6-mers in 1,000 sequences each in 22-27 s")]
    lines = ["| quantity (one H200: 4.3 TB/s, 790 TFLOP/s bf16) | predicted | counted | measured |", "|---|---|---|---|"]
    lines += [f"| {what} | {text} | {count} | not measured |" for (what, text), count in zip(predicted, counted)]
    lines += ["", f"Counted on the emulated device, one model, batch 100 ([{name}](RESULTS{name})), against the kernels' banners:", "",
              "| quantity | predicted | counted | ratio | where it is more than 5 %: why |", "|---|---|---|---|---|"]
    digits = lambda x: f"{x:,.2f}" if x < 10 else f"{x:,.1f}" if x < 100 else f"{x:,.0f}"
    for what, unit, said, found, why in predictions(result):
        differ = abs(found / said - 1) > 0.05
        if differ != bool(why):
            print(f"make_tables: {what}: {found:.3f} against {said:.3f}: {'say why' if differ else 'nothing to explain'}", file=sys.stderr)
        lines.append(f"| {what} | {digits(said)} {unit} | {digits(found)} {unit} | {found / said:.2f} | {why if differ else ''} |")
    return lines + ["", *kernels_table(result)]


def kernels_table(result: dict) -> list[str]:
    lines = ["Every kernel of a step, all its launches together. Memory: bytes touched, each once a launch; L2: sectors of all requests; "
             "wavefronts: of shared memory, in thousands, and how many of them are conflicts.", "",
             "| kernel | launches | precision | memory, KB | L2, KB | wavefronts | conflicts | mma | barriers |",
             "|---|---|---|---|---|---|---|---|---|"]
    for precision, parts in result["counts"].items():
        for row in parts["step"]:
            one = Counts({"counts": {precision: {"step": [row]}}}, precision, "step")
            if one.memory() < 5e4:
                continue
            kernel = row["kernel"].replace("<", " (").replace(">", ")").replace("_", "\\_")
            conflicts = f"{100 * one.conflicts() / one.shared():.0f} %" if one.shared() else ""
            lines.append(f"| {kernel} | {row['launches']} | {precision} | {one.memory() / 1e3:,.0f} | {one.sectors() / 1e3:,.0f} | "
                         f"{one.shared() / 1e3:,.1f} | {conflicts} | {row['mma']:,} | {row['barriers']:,} |")
        whole = Counts(result, precision, "step")
        lines.append(f"| all of the step | {whole.sum('launches')} | {precision} | {whole.memory() / 1e3:,.0f} | "
                     f"{whole.sectors() / 1e3:,.0f} | {whole.shared() / 1e3:,.1f} | {100 * whole.conflicts() / whole.shared():.0f} % | "
                     f"{whole.sum('mma'):,} | {whole.sum('barriers'):,} |")
    return lines


def pages() -> dict[str, list[str]]:
    found = results()
    of_kind = lambda kind: [r for r in found if r[1].get("kind") == kind]
    speed = sorted((r for r in found if "rows" in r[1] and "kind" not in r[1]), key=lambda r: r[1]["context"]["training_bench"]["date"])
    training = of_kind("training")
    many = [r for r in training if len(r[1]["test"]) > MANY]
    short, full = [], []
    if speed:
        short += speed_table(*speed[-1]) + [""]
        full += ["## Speed", "", *speed_table(*speed[-1]), ""]
    for one in of_kind("side-by-side"):
        full += side_by_side_table(*one) + [""]
    if training:
        full += ["## Real RNAcompete data", "", *training_table(training), "", *structure_table(training), ""]
        short += structure_table(training) + [""]
    for one in of_kind("baselines"):
        short += baselines_table(*one, training) + [""]
        full += baselines_table(*one, training) + [""]
    for one in many:
        short += [many_summary(*one), ""]
        full += many_table(*one) + [""]
    if of_kind("gia"):
        full += ["## Global importance", "", *gia_table(of_kind("gia")), ""]
    for one in of_kind("recovery"):
        full += ["## Recovery of what was planted", "", *recovery_tables(*one), ""]
    short.append("All tables, with what they were measured on: [docs/results.md](docs/results.md).")
    short.append("")
    counts = of_kind("kernel-counts")
    return {"README.md": short, "docs/results.md": full, "docs/gpu.md": gpu_table(*counts[-1]) + [""] if counts else []}


def main() -> int:
    differ = []
    for page, lines in pages().items():
        path = HERE.parent / page
        text = path.read_text()
        head, rest = text.split(BEGIN)
        tail = rest.split(END)[1]
        new = head + BEGIN + "\n" + "\n".join(lines).replace("RESULTS", PAGES[page]) + END + tail
        if new != text:
            differ.append(page)
        if "--check" not in sys.argv:
            path.write_text(new)
    if "--check" not in sys.argv:
        return 0
    print(f"tables: {' and '.join(differ)} differ; run bench/make_tables.py" if differ else "tables: in step with bench/results")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Rewrites the tables between <!-- bench:begin --> and <!-- bench:end --> of README.md from bench/results; --check only
compares. No number in those tables is typed by hand."""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


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
             f"100, fp32. Medians of five repetitions, [{name}](bench/results/{name}).", "",
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
    lines = ["Real RNAcompete data:", "", "| experiment | preset | input | epochs | best epoch | test Pearson | Spearman | n | minutes | memory |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for name, result in found:
        for test in result["test"]:
            history = result["history"][test["experiment"]]
            best = max(h["epoch"] for h in history if h["best"])
            lines.append(f"| [{test['experiment']}](bench/results/{name}) | {result['preset']} | {INPUT[result.get('structure_channels', 0)]} | {len(history)} | {best} | "
                         f"{test['pearson']:.4f} | {test['spearman']:.4f} | {test['n']:,} | "
                         f"{result['seconds']['total'] / 60:.1f} | {result['peak_memory_bytes'] / 2**20:.0f} MiB |")
    notes = [f"- {name}: {result['note']}" for name, result in found if result.get("note")]
    return lines + ([""] + notes if notes else [])


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
    """Test Pearsons of every model beside the network's where that ran to its early stop."""
    networks = {test["experiment"]: f"{test['pearson']:.4f}" for file, run in training for test in run["test"]
                if "early-stop" in file and run["preset"] == "paper" and not run.get("structure_channels")}
    runs = result["runs"]
    lines = ["What does the network add? Test Pearsons of baselines (`train --model kmer|pwm`), same split and seed, "
             f"[{name}](bench/results/{name}):", "", f"| experiment | {' | '.join(r['label'] for r in runs)} | network |",
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
            lines.append(f"| [{a['model']}](bench/results/{name}) | {a['quantity']} | "
                         f"{'' if a['expected'] is None else a['expected']} | {value}{ci} |")
    notes = [f"- {name}: {result['note']}" for name, result in found if result.get("note")]
    return lines + ([""] + notes if notes else [])


def recovery_tables(name: str, result: dict) -> list[str]:
    made, summary, seeds = result["settings"], result["summary"], len(result["by_seed"])
    split, link = summary["split"], f"[{name}](bench/results/{name})"

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


def main() -> int:
    found = results()
    speed = sorted((r for r in found if "rows" in r[1]), key=lambda r: r[1]["context"]["training_bench"]["date"])
    training = [r for r in found if r[1].get("kind") == "training"]
    lines = []
    if speed:
        lines += speed_table(*speed[-1]) + [""]
    if training:
        lines += training_table(training) + [""]
        lines += structure_table(training) + [""]
    for name, result in (r for r in found if r[1].get("kind") == "baselines"):
        lines += baselines_table(name, result, training) + [""]
    gia = [r for r in found if r[1].get("kind") == "gia"]
    if gia:
        lines += gia_table(gia) + [""]
    for name, result in (r for r in found if r[1].get("kind") == "recovery"):
        lines += recovery_tables(name, result) + [""]
    readme = HERE.parent / "README.md"
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    new = head + BEGIN + "\n" + "\n".join(lines) + END + tail
    if "--check" in sys.argv:
        print("README tables: " + ("in step with bench/results" if new == text else "differ; run bench/make_tables.py"))
        return new != text
    readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Rewrites the tables between <!-- bench:begin --> and <!-- bench:end --> of README.md (the ones that matter most) and of
docs/results.md (all) from bench/results; --check only compares. No number in those tables is typed by hand."""
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
PAGES = {"README.md": "bench/results/", "docs/results.md": "../bench/results/"}  # with the way to the results


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
    for one in many:
        short += [many_summary(*one), ""]
        full += many_table(*one) + [""]
    if of_kind("gia"):
        full += ["## Global importance", "", *gia_table(of_kind("gia")), ""]
    for one in of_kind("recovery"):
        full += ["## Recovery of what was planted", "", *recovery_tables(*one), ""]
    short.append("All tables, with what they were measured on: [docs/results.md](docs/results.md).")
    short.append("")
    return {"README.md": short, "docs/results.md": full}


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

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


def training_table(found: list[tuple[str, dict]]) -> list[str]:
    lines = ["Real RNAcompete data:", "", "| experiment | preset | epochs | best epoch | test Pearson | Spearman | n | minutes | memory |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name, result in found:
        for test in result["test"]:
            history = result["history"][test["experiment"]]
            best = max(h["epoch"] for h in history if h["best"])
            lines.append(f"| [{test['experiment']}](bench/results/{name}) | {result['preset']} | {len(history)} | {best} | "
                         f"{test['pearson']:.4f} | {test['spearman']:.4f} | {test['n']:,} | "
                         f"{result['seconds']['total'] / 60:.1f} | {result['peak_memory_bytes'] / 2**20:.0f} MiB |")
    notes = [f"- {name}: {result['note']}" for name, result in found if result.get("note")]
    return lines + ([""] + notes if notes else [])


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


def main() -> int:
    found = results()
    speed = sorted((r for r in found if "rows" in r[1]), key=lambda r: r[1]["context"]["training_bench"]["date"])
    training = [r for r in found if r[1].get("kind") == "training"]
    lines = []
    if speed:
        lines += speed_table(*speed[-1]) + [""]
    if training:
        lines += training_table(training) + [""]
    gia = [r for r in found if r[1].get("kind") == "gia"]
    if gia:
        lines += gia_table(gia) + [""]
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

#!/usr/bin/env python3
"""Makes one result file of global importance on real models: found beside what the paper's text or its authors' notebooks
give [Koo et al. 2021]; quantities that were not asked for are left out.

usage: collect_gia.py OUT COMMIT NOTE GIA_FOLDER..
"""
import csv
import json
import math
import pathlib
import sys

# (model, quantity, experiment, label) -> expected mean effect.
EFFECTS = {
    ("RNCMPT00168", "UGCAUG at one site", "sites:UGCAUG", "1 site"): 4.4,
    ("RNCMPT00168", "UGCAUG at two sites", "sites:UGCAUG", "2 sites"): 7.9,
    ("RNCMPT00168", "UGCAUG at three sites", "sites:UGCAUG", "3 sites"): 11.1,
    ("RNCMPT00168", "AGAAUG at one site", "sites:AGAAUG", "1 site"): 1.5,
    ("RNCMPT00168", "AGAAUG at two sites", "sites:AGAAUG", "2 sites"): 3.6,
    ("RNCMPT00168", "AGAAUG at three sites", "sites:AGAAUG", "3 sites"): 5.3,
    ("RNCMPT00168", "two UGCAUG, 17+17", "spacing:UGCAUG", "at 17 and 17"): 4.4,
    ("RNCMPT00168", "two UGCAUG, 16+20", "spacing:UGCAUG", "at 16 and 20"): 6.6,
    ("RNCMPT00168", "two UGCAUG, 15+21", "spacing:UGCAUG", "at 15 and 21"): 7.0,
    ("RNCMPT00168", "two UGCAUG, 13+22", "spacing:UGCAUG", "at 13 and 22"): 7.8,
    ("VTS1", "GCUGG in the loop", "hairpin:GCUGG", "loop"): 2.6,
    ("VTS1", "GCUGG in the stem", "hairpin:GCUGG", "stem"): 1.15,
    ("VTS1", "GCUGG in the centre, no hairpin", "hairpin:GCUGG", "centre"): 1.5,
    ("VTS1", "GCUGG at the left, no hairpin", "hairpin:GCUGG", "left"): 1.2,
}
LINES = {("RNCMPT00168", "R2 over sites, UGCAUG", "sites:UGCAUG"): 0.999,
         ("RNCMPT00168", "R2 over sites, AGAAUG", "sites:AGAAUG"): 0.997}
# Dissociation constants of 7-mers, nM, as the paper plots them against the effect at position 17.
KD = {"UGCAUGU": 0.83, "AGCAUGU": 4.8, "CGCAUGU": 6.1, "UGUAUGU": 280, "UACAUGU": 350, "UGCACGU": 4.9, "UGCAUAU": 1830}


def rows(path: pathlib.Path) -> list[dict]:
    if not path.exists():
        return []
    with open(path, newline="") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def motif_of(effects: list[dict], experiment: str) -> str:
    """The motif an experiment was about: the letters of its first pattern's last element."""
    first = next(r for r in effects if r["experiment"] == experiment)
    return first["pattern"].split("+")[-1].split("@")[0]


def pearson(x: list[float], y: list[float]) -> float:
    mx, my = sum(x) / len(x), sum(y) / len(y)
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    return xy / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def anchors(folder: pathlib.Path) -> list[dict]:
    effects = rows(folder / "effects.tsv")
    found = []
    names = {e: f"{e}:{motif_of(effects, e)}" for e in {r["experiment"] for r in effects} - {"kmer", "custom"}}
    for row in effects:
        for (model, quantity, experiment, label), expected in EFFECTS.items():
            if (row["model"], names.get(row["experiment"]), row["label"]) == (model, experiment, label):
                found.append({"model": model, "quantity": quantity, "expected": expected, "found": float(row["mean"]),
                              "ci": [float(row["ci_low"]), float(row["ci_high"])]})
    for row in rows(folder / "lines.tsv"):
        for (model, quantity, experiment), expected in LINES.items():
            if (row["model"], names.get(row["experiment"])) == (model, experiment):
                found.append({"model": model, "quantity": quantity, "expected": expected, "found": float(row["r_squared"])})
    custom = {r["label"].split("@")[0]: float(r["mean"]) for r in effects if r["experiment"] == "custom"}
    if set(KD) <= set(custom):
        r = pearson([math.log(KD[k]) for k in KD], [custom[k] for k in KD])
        found.append({"model": "RNCMPT00168", "quantity": "r of effect and ln K_D, seven 7-mers", "expected": -0.94, "found": r})
    for row in rows(folder / "ratios.tsv"):
        if row["label"] == "difference":
            found.append({"model": row["model"], "quantity": "GC difference, " + row["formula"], "expected": None,
                          "found": float(row["value"])})
    for path in sorted((folder / "kmers").glob("*.tsv")):
        found.append({"model": path.stem, "quantity": "strongest k-mers", "expected": None,
                      "found": ", ".join(f"{r['kmer']} {float(r['effect']):.2f}" for r in rows(path)[:5])})
    return found


def main() -> None:
    out, commit, note, *folders = sys.argv[1:]
    result = {"commit": commit, "kind": "gia", "note": note, "runs": [], "anchors": []}
    for folder in map(pathlib.Path, folders):
        run = json.loads((folder / "run.json").read_text())
        result["runs"].append({k: run[k] for k in ("preset", "seed", "device", "precision", "seconds")})
        result["anchors"] += [a for a in anchors(folder) if a not in result["anchors"]]
    with open(out, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Is what the simulator plants found again? For every seed one simulated experiment, one model, and global importance asked
beside the planted truth: the same null sequences, the same embeddings.

usage: recovery.py PROGRAM OUT COMMIT [--seeds 20] [--first 0] [--probes N] [--epochs N] [--noise X] [--work DIR] [--note TEXT]
The oracle. A probe scores y = exp(2 + s + e): s is the planted signal (data/simulator_truth.cc, written down again below), e
Student's t of 4 degrees cut at 8, times noise * sd(s) / sqrt 2. A model learns (log(y - min + 1) - mean) / sd, the constants
in its file; what fits that best in mean squares is F(s) = (E_e log(max(exp(2 + s + e) - min, 0) + 1) - mean) / sd: planted
effects shrink by the slope of log(y - min + 1), just below 1, and grow by 1 / sd. A question should give the mean over the
null sequences of F(s with the pattern) - F(s without it), so what a pattern replaces counts. `blind` is the same for a best
fit that knows all but the stems: a lone site counts as in a loop as often as the data's lone sites at its position are.
Planted: found - expected over one model's null sequences tells whether that one function is exactly the truth; over seeds,
models are the sample for the mean of found / expected. Not planted: expected is 0, or small where F bends; q is
Benjamini-Hochberg over one model's unplanted questions, p Student's t over the models. Calibration, where the truth is 0
whatever the model: the same question on two independent sets of null sequences, the difference tested."""
import argparse
import csv
import itertools
import json
import math
import pathlib
import random
import subprocess
import zipfile
from statistics import correlation, fmean, pstdev, stdev

PAIR = dict(zip("ACGU", "UGCA"))
NULLS, WIDTH, FIRST, FAR = 1000, 41, 8, (13, 17, 21)  # pairs of sites: the first at FIRST; far: beyond any best spacing
STEM, LONG_STEM = "stem@10-16:23-29", "stem@6-16:23-33"  # 7 pairs, as the probes have; 11, as gia hairpin asks


def student_p(t: float, df: int) -> float:
    """Two-sided, by Simpson's rule over the density."""
    c = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    n, x = 2000, min(abs(t), 60.0)
    f = [c * (1 + (x * i / n) ** 2 / df) ** (-(df + 1) / 2) for i in range(n + 1)]
    return max(0.0, 1 - 2 * x / n / 3 * (f[0] + f[-1] + 4 * sum(f[1:-1:2]) + 2 * sum(f[2:-1:2])))


def summary(x: list[float]) -> tuple[float, float, float]:
    """Mean, half of the 95 % interval, p of mean = 0."""
    m, se, df, low, high = fmean(x), stdev(x) / math.sqrt(len(x)) or 1e-300, len(x) - 1, 1.9, 13.0
    for _ in range(20):  # the quantile, by halving
        middle = (low + high) / 2
        low, high = (low, middle) if student_p(middle, df) < 0.05 else (middle, high)
    return m, low * se, student_p(m / se, df)


def benjamini_hochberg(p: list[float]) -> list[float]:
    q, least = [0.0] * len(p), 1.0
    for k, i in enumerate(sorted(range(len(p)), key=lambda i: -p[i])):
        q[i] = least = min(least, p[i] * len(p) / (len(p) - k))
    return q


class Oracle:
    def __init__(self, truth: dict, probes: list[str], noise: float, transform: dict):
        self.t = truth
        self.match = {"".join(k): math.prod(row["ACGU".index(c)] / max(row) for row, c in zip(truth["pwm"], k))
                      for k in itertools.product("ACGU", repeat=6)}
        self.signals = [self.signal(s) for s in probes]
        scale = noise * pstdev(self.signals) / math.sqrt(2)

        def cdf(t):  # of Student's t, 4 degrees
            return 0.5 + 0.375 * t / math.sqrt(1 + t * t / 4) * (1 - t * t / (1 + t * t / 4) / 12)
        parts = [(i / 10 - 7.95, cdf(i / 10 - 7.9) - cdf(i / 10 - 8)) for i in range(160)] + [(-8, cdf(-8)), (8, cdf(-8))]
        self.f = [(sum(w * math.log(max(math.exp(2 + k / 50 - 1 + scale * e) - transform["minimum"], 0) + 1) for e, w in parts)
                   - transform["mean"]) / transform["sd"] for k in range(500)]  # F from -1 in steps of 1/50
        lone = [(sites[0] + (WIDTH - len(s)) // 2, self.in_loop(s, sites[0])) for s in probes if len(s) > WIDTH - 3
                for sites in [self.strong(s)] if len(sites) == 1]
        self.in_loops = [fmean([loop for at, loop in lone if abs(at - w) <= 1] or [0]) for w in range(WIDTH)]

    def strong(self, s: str) -> list[int]:
        return [w for w in range(len(s) - 5) if self.match[s[w:w + 6]] >= 0.25]

    def in_loop(self, s: str, start: int) -> bool:
        return any(all(PAIR[s[left - 1 - k]] == s[right + k] for k in range(5))
                   for left in range(max(5, start - 4), start + 1)
                   for right in range(start + 6, min(len(s) - 5, left + 10) + 1))

    def signal(self, s: str, loop: bool | None = None) -> float:
        """`loop`: whether all sites count as in a loop; None: as they are."""
        t, match = self.t, [self.match[s[w:w + 6]] for w in range(len(s) - 5)]
        total, strong = sum(match), [w for w, m in enumerate(match) if m >= 0.25]
        for w in strong:
            share = 1 + t["loop_preference"] * (self.in_loop(s, w) if loop is None else loop)
            if any(v != w and abs(v - w) < t["best_spacing"] and (match[v], -v) > (match[w], -w) for v in strong):
                share *= 1 - t["steric_penalty"]  # the weaker loses, of equals the later
            total += match[w] * (share - 1)
        return t["site_effect"] * total + t["gc_effect"] * (sum(c in "CG" for c in s[-10:]) - 5)

    def best(self, signal: float) -> float:
        at = (signal + 1) * 50
        i = min(max(int(at), 0), len(self.f) - 2)
        return self.f[i] + (at - i) * (self.f[i + 1] - self.f[i])

    def blind(self, s: str) -> float:
        strong = self.strong(s)
        h = self.in_loops[strong[0]] if len(strong) == 1 else 0
        return (1 - h) * self.best(self.signal(s, False)) + (h * self.best(self.signal(s, True)) if h else 0)


def embed(s: str, pattern: str) -> str:
    """Letters, then stems: the 3' side follows the 5' side (no element here writes on a 3' side)."""
    for element in sorted(pattern.split("+") if pattern else [], key=lambda e: e.startswith("stem")):
        letters, at = element.split("@")
        if letters == "stem":
            (a, b), (_, d) = (map(int, side.split("-")) for side in at.split(":"))
            letters, at = "".join(PAIR[c] for c in reversed(s[a:b + 1])), d - b + a
        s = s[:int(at)] + letters + s[int(at) + len(letters):]
    return s


def table(path: pathlib.Path) -> list[dict]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def properties(kmer: str, mutants: list[str], scrambled: list[str], best: int) -> dict[str, tuple[bool, dict]]:
    """Name -> whether it is planted, weights of patterns."""
    def lost(distances, weight):  # two sites - first - second, mean over distances
        w = weight / len(distances)
        return {f"{kmer}@{FIRST + d}": -w for d in distances} | {f"{kmer}@{FIRST}+{kmer}@{FIRST + d}": w for d in distances}
    first, near, far = f"{kmer}@{FIRST}", lost(range(6, best), 1), lost(FAR, 1)
    motif, other, right, left = f"{kmer}@17", f"{scrambled[0]}@17", "GCGCGC@34", "GCGCGC@2"
    return {
        "motif at 2, where no loop reaches": (True, {f"{kmer}@2": 1}),
        "motif at 17": (True, {motif: 1}),
        "its 18 mutants, mean": (True, {f"{m}@17": 1 / len(mutants) for m in mutants}),
        "two sites far apart": (True, {p: w for p, w in far.items() if "+" in p}),
        "two sites too near - first - second": (True, near | {first: -1}),
        "the same, near - far": (True, near | lost(FAR, -1)),
        "motif in a loop of 7 pairs - no stem": (True, {f"{STEM}+{motif}": 1, motif: -1}),
        "motif in a loop of 11 pairs - no stem": (True, {f"{LONG_STEM}+{motif}": 1, motif: -1}),
        "GCGCGC at 34 (3')": (True, {right: 1}),
        "GCGCGC at 2 (5')": (False, {left: 1}),
        "two sites far apart - first - second": (False, far | {first: -1}),
        "motif with 3' GC - motif - 3' GC": (False, {f"{motif}+{right}": 1, motif: -1, right: -1}),
        "motif with 5' GC - motif - 5' GC": (False, {f"{motif}+{left}": 1, motif: -1, left: -1}),
        "motif within a stem - no stem": (False, {f"{LONG_STEM}+{kmer}@9": 1, f"{kmer}@9": -1}),
        "scrambled motif in a loop - no stem": (False, {f"{STEM}+{other}": 1, other: -1}),
        "scrambled motifs, mean of 5": (False, {f"{s}@17": 1 / len(scrambled) for s in scrambled}),
    }


def one_seed(args, seed: int) -> dict:
    work = pathlib.Path(args.work) / f"seed{seed}"
    if (work / "row.json").exists():
        return json.loads((work / "row.json").read_text())
    work.mkdir(parents=True, exist_ok=True)
    model = work / "model" / "SIM00001" / "model.safetensors"
    asked = ("--models", model, "--out", work / "gia", "--threads", 1, "--overwrite")

    def call(*words):
        return subprocess.run([args.program, *map(str, words)], check=True, capture_output=True, text=True).stdout

    def ask(experiment, *words):  # pattern -> effects by null sequence
        call("gia", experiment, *asked, *words)
        patterns = [r["pattern"] for r in table(work / "gia" / "effects.tsv") if r["kind"] != "contrast"]
        with zipfile.ZipFile(work / "gia" / "local.npz") as z:
            data = z.read(f"SIM00001.{experiment}.npy")
        values = memoryview(data[10 + int.from_bytes(data[8:10], "little"):]).cast("f")
        return {p: values[i * NULLS:(i + 1) * NULLS] for i, p in enumerate(patterns)}
    call("simulate", "--out", work / "data", "--probes", args.probes, "--noise", args.noise, "--min-width", args.min_width,
         "--seed", seed, "--overwrite")
    call("train", "--data", work / "data", "--out", work / "model", "--epochs", args.epochs, "--decay-patience",
         args.decay_patience, "--seed", seed, "--threads", 1, "--overwrite")
    truth = json.loads((work / "data" / "truth.json").read_text())["experiments"][0]
    transform = json.loads(call("model", "info", model, "--json"))["transform"]
    probes, targets = table(work / "data" / "sequences.tsv"), table(work / "data" / "targets.tsv")
    oracle, kmer = Oracle(truth, [p["seq"] for p in probes], args.noise, transform), truth["kmer"]
    test = [(oracle.best(s), math.log(float(y["SIM00001"]) - transform["minimum"] + 1))
            for p, s, y in zip(probes, oracle.signals, targets) if p["Fold ID"] == "B" and y["SIM00001"] != "NA"]
    drawn = random.Random(seed).choices("ACGU", k=NULLS * WIDTH)
    nulls = ["".join(drawn[i:i + WIDTH]) for i in range(0, NULLS * WIDTH, WIDTH)]
    (work / "nulls.txt").write_text("".join(s + "\n" for s in nulls))
    call("gia", "kmer", *asked, "--null-n", 100)
    rank = 1 + [r["kmer"] for r in table(work / "gia" / "kmers" / "SIM00001.tsv")].index(kmer)
    mutate = ask("mutate", "--motif", kmer, "--null", work / "nulls.txt")
    letters = [p.split("@")[0] for p in mutate]
    wanted = properties(kmer, letters[1:19], letters[19:24], truth["best_spacing"])
    needed = sorted({p for _, weights in wanted.values() for p in weights})
    embeds = [f"--embed={p}" for p in needed if p not in mutate]
    effects = {"found": mutate | ask("custom", *embeds, "--null", work / "nulls.txt")}
    for name, score in (("expected", lambda s: oracle.best(oracle.signal(s))), ("blind", oracle.blind)):
        bare = {stem: [score(embed(s, stem)) for s in nulls] for stem in ("", STEM, LONG_STEM)}
        stem = {p: next(k for k in (STEM, LONG_STEM, "") if k in p) for p in needed}
        effects[name] = {p: [score(embed(s, p)) - b for s, b in zip(nulls, bare[stem[p]])] for p in needed}
    row = {"seed": seed, "effects": {}} | {k: v for k, v in truth.items() if k not in ("experiment", "pwm")}
    row |= {"target_sd": transform["sd"], "test_pearson": float(table(work / "model" / "metrics.tsv")[0]["pearson"]),
            "oracle_pearson": correlation(*zip(*test)), "rank_of_motif": rank, "lone_sites_at_17_in_loops": oracle.in_loops[17],
            "r_of_mutants": correlation(*([fmean(effects[k][f"{m}@17"]) for m in letters[:19]] for k in ("found", "expected")))}
    for name, (planted, weights) in wanted.items():
        f, e, b = ([sum(w * of[p][i] for p, w in weights.items()) for i in range(NULLS)] for of in effects.values())
        row["effects"][name] = {"planted": planted, "found": fmean(f), "expected": fmean(e), "blind": fmean(b)}
        row["effects"][name] |= dict(zip(("half_ci", "p"), summary([x - y for x, y in zip(f, e)])[1:]))
    row["split_p"] = []  # [pair of null sets][question]
    for k in range(5):
        embeds = [f"--embed={p}" for p in (f"{kmer}@17", "GCGCGC@34", f"{kmer}@8+{kmer}@21", f"{STEM}+{kmer}@17")]
        two = [ask("custom", *embeds, "--seed", 1000 * (seed + 1) + 2 * k + i) for i in (0, 1)]
        row["split_p"].append([student_p((fmean(a) - fmean(b)) / math.hypot(stdev(a), stdev(b)) * math.sqrt(NULLS), 2 * NULLS - 2)
                               for a, b in zip(*(of.values() for of in two))])
    (work / "row.json").write_text(json.dumps(row, indent=1))
    return row


def summarise(rows: list[dict]) -> dict:
    result = {"planted": [], "unplanted": []}
    unplanted = [k for k, e in rows[0]["effects"].items() if not e["planted"]]
    q = [dict(zip(unplanted, benjamini_hochberg([r["effects"][k]["p"] for k in unplanted]))) for r in rows]
    for name, first in rows[0]["effects"].items():
        es = [r["effects"][name] for r in rows]
        one = {"property": name} | {k: fmean([e[k] for e in es]) for k in ("found", "expected", "blind")}
        m, half, p = summary([e["found"] - e["expected"] for e in es])
        one |= {"difference": m, "difference_ci": [m - half, m + half], "p": p}
        if first["planted"]:
            m, half, _ = summary([e["found"] / e["expected"] for e in es])
            one |= {"right_sign": sum(e["found"] * e["expected"] > 0 for e in es), "ratio": m, "ratio_ci": [m - half, m + half],
                    "own_ci_holds_it": sum(abs(e["found"] - e["expected"]) <= e["half_ci"] for e in es)}
        else:
            one["models_with_q_below_0.05"] = sum(of[name] < 0.05 for of in q)
        result["planted" if first["planted"] else "unplanted"].append(one)
    pairs = [p for r in rows for p in r["split_p"]]
    m, half, _ = summary([fmean(p < 0.05 for pair in r["split_p"] for p in pair) for r in rows])
    result["split"] = {"tests": sum(map(len, pairs)), "share_with_p_below_0.05": m, "ci_over_seeds": [m - half, m + half],
                       "pairs": len(pairs), "pairs_with_any_q_below_0.05": sum(min(benjamini_hochberg(p)) < 0.05 for p in pairs)}
    result["motif_ranked_first"] = sum(r["rank_of_motif"] == 1 for r in rows)
    return result | {"mean_" + k: fmean([r[k] for r in rows])
                     for k in ("r_of_mutants", "test_pearson", "oracle_pearson", "lone_sites_at_17_in_loops")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "out", "commit"):
        parser.add_argument(name)
    settings = {"seeds": 20, "first": 0, "probes": 100000, "epochs": 8, "decay_patience": 1, "noise": 0.5, "min_width": 30}
    for name, default in (settings | {"work": "recovery", "note": ""}).items():
        parser.add_argument("--" + name.replace("_", "-"), default=default, type=type(default))
    args = parser.parse_args()
    rows = [one_seed(args, seed) for seed in range(args.first, args.first + args.seeds)]
    found = json.loads(json.dumps([summarise(rows), rows]), parse_float=lambda x: float(f"{float(x):.5g}"))
    result = {"commit": args.commit, "kind": "recovery", "note": args.note, "settings": {k: getattr(args, k) for k in settings}}
    pathlib.Path(args.out).write_text(json.dumps(result | dict(zip(("summary", "by_seed"), found)), indent=1) + "\n")
    for one in found[0].pop("planted") + found[0].pop("unplanted"):
        print(*(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in one.items()), sep="  ")
    print(json.dumps(found[0], indent=1))


if __name__ == "__main__":
    main()

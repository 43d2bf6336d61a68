"""What ./run demo shows: a planted motif is learnt and found again by the k-mer scan."""
import cli
from cli import check, equal, load_json, succeeds, table, test


@test
def scan_finds_the_planted_motif():
    succeeds("simulate", "--out", "sim", "--probes", 12000, "--progress", "none")
    succeeds("train", "--data", "sim", "--out", "m", "--epochs", 10, "--progress", "none")
    check(float(table("m/metrics.tsv")[0]["pearson"]) > 0.5, "the model learnt something")
    planted = load_json("sim/truth.json")["experiments"][0]["kmer"]
    out, _ = succeeds("scan", "--model", "m", "--top", 10, "--null-n", 20)
    rows = [line.split("\t") for line in out.splitlines()]
    equal(rows[0], ["kmer", "effect", "se"], "header")
    equal(len(rows), 11, "rows")
    effects = [float(r[1]) for r in rows[1:]]
    equal(effects, sorted(effects, reverse=True), "strongest first")
    top = rows[1][0]
    equal(top, planted, "the strongest 6-mer is the planted one")
    check(effects[0] > 0.5, f"its effect is large: {effects[0]}")
    dna, _ = succeeds("scan", "--model", "m", "--top", 10, "--null-n", 20, "--alphabet", "dna", "--threads", 1)
    equal(dna.replace("T", "U"), out, "DNA letters, other threads: the same table")
    cli.refuses(2, ["--position"], "scan", "--model", "m", "--position", 38)


cli.main()

"""The page that `report` writes: whole, escaped, self-contained, the same again; and inputs that it refuses."""
import html.parser
import json
import pathlib
import re
import shutil

import cli
from cli import check, equal, refuses, simulate, succeeds, table, test

VOID = {"meta", "input", "br", "link", "img", "hr"}
NASTY = "A<b>&'é𝄞 \u202e1"  # a folder's name


class Page(html.parser.HTMLParser):
    """Balance, ids, references, and the words of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.ids, self.targets, self.words, self.rows, self.cells = [], [], [], [], "", [], {}
        self.names = []
        self.feed(text)
        self.close()
        if self.open:
            self.faults.append(f"open at the end: {self.open}")

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.names.append(tag)
        if len(values) != len(attributes):
            self.faults.append(f"an attribute twice: {tag} {attributes}")
        if "id" in values:
            self.ids.append(values["id"])
        for name, value in attributes:
            if name in ("src", "srcset", "style", "action", "background", "poster") or name.startswith("on"):
                self.faults.append(f"{tag} has {name}")
            if name in ("href", "xlink:href"):
                self.targets.append(value)
        if tag == "tr" and "data-section" in values:
            self.rows.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> where another is open")

    def handle_data(self, data):
        self.words += data


def sound(path):
    """Reads a page that must be whole and need nothing from elsewhere."""
    text = pathlib.Path(path).read_text()
    page = Page(text)
    equal(page.faults, [], f"{path}: faults")
    equal(len(page.ids), len(set(page.ids)), f"{path}: ids are unique")
    equal([t for t in page.targets if not t.startswith("#") or t[1:] not in page.ids], [], f"{path}: links lead into the page")
    equal(sorted({"iframe", "object", "embed", "img", "link", "base", "form"} & set(page.names)), [], f"{path}: foreign elements")
    namespace = text.replace("http://www.w3.org/2000/svg", "")
    shown = re.sub(r"<code>.*?</code>", "", namespace)
    equal(re.findall(r"(?:https?:|url\(|@import)[^ ]{0,40}", shown), [], f"{path}: nothing from elsewhere")
    check("default-src 'none'" in text and text.count("<script>") == 1 and text.count("<style>") == 1, f"{path}: its policy")
    return text, page


def train(folder, *flags, experiments=2):
    if not pathlib.Path("sim").exists():
        simulate("sim", experiments=experiments, probes=800)
    succeeds("train", "--data", "sim", "--experiment", "all", "--out", folder, "--epochs", 2, *cli.SMALL, *flags, "--progress", "none")


def ask(models, folder):
    succeeds("gia", "all", "--models", models, "--out", folder, "--null-n", 20, "--k", 4, "--progress", "none")


@test
def a_run_with_and_without_answers():
    train("models")
    ask("models", "gia")
    out, err = succeeds("report", "--run", "models", "--out", "plain.html", "--progress", "plain")
    equal(out, "", "stdout")
    check("2 models" in err, f"what was written is told: {err!r}")
    text, page = sound("plain.html")
    check("residualbind gia all --models models --out gia" in page.words, "the command that adds motifs")
    check("top k-mer" not in page.words, "no column without a value")
    out, err = succeeds("report", "--run", "models", "--gia", "gia", "--data", "sim", "--title", "A & B", "--progress", "none")
    text, page = sound("report.html")
    check("<h1>A &amp; B</h1>" in text and "<title>A &amp; B</title>" in text, "the title")
    equal([row["data-section"] for row in page.rows], ["m1", "m2"], "rows")
    for row in table("models/metrics.tsv"):
        check(f"{float(row['pearson']):.4f}" in page.words.replace("\u2212", "-"), f"Pearson of {row['experiment']}")
        check(f"{int(row['n']):,}" in page.words, f"probes of {row['experiment']}")
        kmer = table(f"gia/kmers/{row['experiment']}.tsv")[0]["kmer"]
        check(any(row["experiment"] in r["data-key"] and kmer in r["data-key"] for r in page.rows), f"the k-mer {kmer}")
    for row in table("gia/lines.tsv"):
        check(f"{float(row['r_squared']):.4f}" in page.words, f"additivity of {row['model']}")
    equal(text.count("<figcaption>"), 2 * 10 + 1, "ten pictures a model, one of both")
    check("m1-chip-" in text and "m2-logo-" in text, "logos, small and large")
    for record in ("models/run.json", "gia/run.json"):
        for source in json.loads(pathlib.Path(record).read_text())["inputs"]:
            check(source["path"].endswith("model.safetensors") or source["sha256"] in text, f"SHA-256 of {source['path']}")
    check(len(text) < 2 * 61_000 + 40_000, f"{len(text)} bytes for two models: 244 stay under 15 MB")
    refuses(1, ["report.html", "exists"], "report", "--run", "models", "--gia", "gia")
    succeeds("report", "--run", "models", "--gia", "gia", "--data", "sim", "--title", "A & B", "--overwrite", "--progress", "none")
    equal(pathlib.Path("report.html").read_text(), text, "the same again")
    shutil.copytree("models", "deeper/place/m")
    succeeds("report", "--run", "deeper/place/m", "--gia", "gia", "--data", "sim", "--title", "A & B", "--out", "again.html")
    equal(pathlib.Path("again.html").read_text(), text, "the same from another place")
    succeeds("report", "--run", "models", "--gia", "gia", "--alphabet", "dna", "--out", "dna.html")
    text, page = sound("dna.html")
    check(not re.search(r'<td class="k">[ACGT]*U', text), "letters of DNA")


@test
def one_model_and_replicates():
    train("one", experiments=1)
    ask("one/SIM00001", "gia")
    for run in ("one", "one/SIM00001", "one/SIM00001/"):
        succeeds("report", "--run", run, "--gia", "gia", "--out", "one.html", "--overwrite", "--progress", "none")
        text, page = sound("one.html")
        check("<h1>SIM00001</h1>" in text, f"{run}: called by its experiment")
        check('<details class="model" id="m1" open>' in text, f"{run}: its section is open")
        pearson = float(table("one/metrics.tsv")[0]["pearson"])
        check(f"{pearson:.4f}" in page.words.replace("\u2212", "-"), f"{run}: its Pearson")
    train("many", "--replicates", 2, "--grid", "learning-rate=0.001,0.002")
    ask("many", "gia-many")
    succeeds("report", "--run", "many", "--gia", "gia-many", "--out", "many.html", "--progress", "none")
    text, page = sound("many.html")
    equal(len(page.rows), 4, "a row for every replicate and grid point")
    for row in table("many/metrics.tsv"):
        check(row["model"] in page.words, f"{row['model']}: a row of its own")
        check(f"{float(row['pearson']):.4f}" in page.words.replace("\u2212", "-"), f"{row['model']}: its own Pearson")
    check("4 ResidualBind models of 1 experiment" in page.words, "counted")
    succeeds("report", "--run", "many/SIM00001/" + table("many/metrics.tsv")[0]["model"].split("/", 1)[1], "--out", "point.html")
    text, page = sound("point.html")
    check(f"{float(table('many/metrics.tsv')[0]['pearson']):.4f}" in page.words.replace("\u2212", "-"), "one point's Pearson")


@test
def a_sweep():
    simulate("sim", experiments=2, probes=800)
    succeeds("sweep", "plan", "--data", "sim", "--experiment", "all", "--replicates", 2, "--epochs", 2, *cli.SMALL, "--out", "sweep")
    succeeds("sweep", "run", "--plan", "sweep", "--progress", "none")
    succeeds("sweep", "merge", "--plan", "sweep", "--progress", "none")
    succeeds("report", "--run", "sweep", "--out", "sweep.html", "--progress", "none")
    text, page = sound("sweep.html")
    equal(len(page.rows), 4, "rows")
    for row in table("sweep/metrics.tsv"):
        check(row["folder"] in page.words and f"{float(row['pearson']):.4f}" in page.words.replace("\u2212", "-"), row["folder"])


@test
def classification():
    simulate("sim", probes=800)
    lines = pathlib.Path("sim/targets.tsv").read_text().splitlines()
    values = [float(line) for line in lines[1:] if line != "NA"]
    middle = sorted(values)[len(values) // 2]
    marks = [line if line == "NA" else str(int(float(line) > middle)) for line in lines[1:]]
    pathlib.Path("sim/targets.tsv").write_text("\n".join([lines[0], *marks]) + "\n")
    train("models", "--task", "classification", "--transform", "none")
    succeeds("report", "--run", "models", "--progress", "none")
    text, page = sound("report.html")
    row = table("models/metrics.tsv")[0]
    for name in ("auroc", "aupr"):
        check(f"{float(row[name]):.4f}" in page.words, name)
    check("test AUROC" in page.words and 'button">AUPR<' in text and 'button">Spearman<' not in text, "the task's columns")


@test
def baselines():
    simulate("sim", probes=800)
    train("models")
    succeeds("train", "--data", "sim", "--experiment", "all", "--out", "kmer", "--model", "kmer", "--k", 3, "--progress", "none")
    pathlib.Path("models/other").mkdir()
    shutil.copy("kmer/SIM00001/model.safetensors", "models/other/model.safetensors")
    for run, lead, curve in (("kmer", "1 model of 1 experiment", False), ("models", "2 models of 1 experiment", True)):
        succeeds("report", "--run", run, "--out", f"{run}.html", "--progress", "none")
        text, page = sound(f"{run}.html")
        check(lead in page.words and "ResidualBind model" not in page.words, f"{lead}: {page.words[:80]}")
        check("kmer: linear in the counts of all 3-mers" in page.words, "what it is")
        equal("Learning curve" in page.words, curve, "a network has a learning curve")


@test
def names_that_are_no_html():
    train("models", experiments=1)
    shutil.move("models/SIM00001", f"models/{NASTY}")
    metrics = pathlib.Path("models/metrics.tsv")
    metrics.write_text(metrics.read_text().replace("experiment\t", "experiment\tmodel\t").replace("SIM00001\t", f"SIM00001\t{NASTY}\t"))
    record = json.loads(pathlib.Path("models/run.json").read_text())
    record["command"] = "</code><script>alert(1)</script>"
    record["device"] = "</noscript><b onload='x'>"
    pathlib.Path("models/run.json").write_text(json.dumps(record))
    succeeds("report", "--run", "models", "--title", '<i>"&\'</title>', "--progress", "none")
    text, page = sound("report.html")
    equal(page.rows[0]["data-key"], f"{NASTY} SIM00001", "the name comes back")
    check(NASTY in page.words and "</code><script>alert(1)</script>" in page.words, "texts come back")
    equal(page.names.count("script"), 1, "one script")
    equal(page.names.count("b") + page.names.count("i"), 0, "no elements out of names")
    check(f"{float(table('models/metrics.tsv')[0]['pearson']):.4f}" in page.words.replace("\u2212", "-"), "its row was found")


@test
def what_is_missing_or_damaged():
    train("models")
    ask("models", "gia")
    pathlib.Path("empty").mkdir()
    refuses(1, ["empty", "holds no models"], "report", "--run", "empty")
    refuses(1, ["nowhere"], "report", "--run", "nowhere")
    refuses(1, ["--gia empty", "no effects.tsv"], "report", "--run", "models", "--gia", "empty")
    refuses(2, ["--run"], "report")
    check(not pathlib.Path("report.html").exists(), "nothing is written")

    def damaged(fragments, path, content, *flags):
        whole = pathlib.Path(path).read_bytes()
        pathlib.Path(path).write_bytes(content(whole))
        refuses(1, fragments, "report", "--run", "models", *flags)
        pathlib.Path(path).write_bytes(whole)

    gia = ("--gia", "gia")
    damaged(["metrics.tsv:1"], "models/metrics.tsv", lambda b: b"")
    damaged(["metrics.tsv", "pearson"], "models/metrics.tsv", lambda b: b.replace(b"pearson", b"person"))
    damaged(["metrics.tsv:2", "number"], "models/metrics.tsv", lambda b: re.sub(rb"(\nSIM00001\t)\d+", rb"\1many", b))
    damaged(["metrics.tsv", "twice"], "models/metrics.tsv", lambda b: b.replace(b"SIM00002", b"SIM00001"))
    damaged(["metrics.tsv:2"], "models/metrics.tsv", lambda b: b[:b.index(b"\n") + 20])
    damaged(["history.tsv:3"], "models/SIM00001/history.tsv", lambda b: b[:-12].rsplit(b"\t", 1)[0])
    damaged(["run.json", "JSON"], "models/run.json", lambda b: b[:50])
    damaged(["model.safetensors"], "models/SIM00002/model.safetensors", lambda b: b[:1000])
    damaged(["effects.tsv:1"], "gia/effects.tsv", lambda b: b"", *gia)
    damaged(["effects.tsv", "mean"], "gia/effects.tsv", lambda b: b.replace(b"mean", b"men", 1), *gia)
    damaged(["effects.tsv", "none of these models"], "gia/effects.tsv", lambda b: b.replace(b"SIM", b"OTHER"), *gia)
    damaged(["SIM00001.tsv:2"], "gia/kmers/SIM00001.tsv", lambda b: b.replace(b"\n", b"\nX", 1), *gia)
    damaged(["run.json"], "gia/run.json", lambda b: b"[]", *gia)

    def strange(path, column, values, *flags):
        """Numbers that are none, or far too large, are shown somehow."""
        whole = pathlib.Path(path).read_text()
        lines = [line.split("\t") for line in whole.splitlines()]
        at = lines[0].index(column)
        for i, line in enumerate(lines[1:]):
            line[at] = values[i % len(values)]
        pathlib.Path(path).write_text("\n".join("\t".join(line) for line in lines) + "\n")
        succeeds("report", "--run", "models", *flags, "--out", "strange.html", "--overwrite", "--progress", "none")
        pathlib.Path(path).write_text(whole)
        words = sound("strange.html")[1].words
        check("nan" not in words.lower().split() and "inf" not in words.lower().split(), f"{path}, {column}: no nan or inf is shown")

    strange("models/metrics.tsv", "n", ["1e30", "-1e30"])
    strange("models/metrics.tsv", "pearson", ["nan", "inf"])
    strange("models/metrics.tsv", "pearson", ["1e30", "-1e30"])
    strange("models/SIM00001/history.tsv", "train_loss", ["nan", "1e30"])
    for column in ("mean", "ci_low", "q", "x"):
        strange("gia/effects.tsv", column, ["nan", "1e30", "-1e-30", "7"], *gia)
    strange("gia/lines.tsv", "r_squared", ["nan", "-1e30"], *gia)
    strange("gia/ratios.tsv", "value", ["inf", "1e30"], *gia)

    def missing(path, words, *flags):
        shutil.move(path, "aside")
        succeeds("report", "--run", "models", *flags, "--out", "missing.html", "--overwrite", "--progress", "none")
        shutil.move("aside", path)
        _, page = sound("missing.html")
        check(words in page.words, f"without {path}: {words!r} is told")

    missing("models/metrics.tsv", "There are no test metrics")
    missing("models/run.json", "There is no run.json")
    missing("models/SIM00001/history.tsv", "No learning curve (history.tsv) of 1 of 2 models")
    missing("models/SIM00002", "about models that are not here: 1.")
    missing("gia/lines.tsv", "GC difference", *gia)
    missing("gia/ratios.tsv", "additivity", *gia)
    missing("gia/kmers", "top k-mer", *gia)
    missing("gia/run.json", "strongest k-mers", *gia)
    effects = pathlib.Path("gia/effects.tsv")
    whole = effects.read_text()
    effects.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("SIM00002")))
    succeeds("report", "--run", "models", *gia, "--out", "part.html", "--progress", "none")
    check("do not tell of 1 of 2 models, the first of them SIM00002" in sound("part.html")[1].words, "part of the models")
    effects.write_text(whole)
    train("other", "--seed", 5)
    succeeds("report", "--run", "other", *gia, "--out", "other.html", "--progress", "none")
    check("other files than 2 of these models" in sound("other.html")[1].words, "gia was asked about other files")
    shutil.move("models/metrics.tsv", "aside")
    succeeds("report", "--run", "models", "--data", "sim", "--out", "scored.html", "--progress", "none")
    shutil.move("aside", "models/metrics.tsv")
    words = sound("scored.html")[1].words.replace("\u2212", "-")
    for row in table("models/metrics.tsv"):
        check(f"{float(row['pearson']):.4f}" in words, f"{row['experiment']}: scored again, the same Pearson")


cli.main()

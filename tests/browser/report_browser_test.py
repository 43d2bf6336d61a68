"""The report in a browser: sorting, filtering, sections on demand, keyboard, no script, no message, 244 models at once.

Exit code 77: there is no Chromium here.
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "apps"))
sys.dont_write_bytecode = True
import cli
import devtools
from cli import check, equal, succeeds, table, test

MANY = 244
ROWS = "[...document.querySelectorAll('#models tbody tr')]"


def small_run():
    """Three models and what gia says of them."""
    cli.simulate("sim", experiments=3, probes=800)
    succeeds("train", "--data", "sim", "--experiment", "all", "--out", "models", "--epochs", 2, *cli.SMALL, "--progress", "none")
    succeeds("gia", "all", "--models", "models", "--out", "gia", "--null-n", 20, "--k", 4, "--progress", "none")


def copies(run, gia, count):
    """The run's folders and its answers again and again, under other names. gia counts models that share an experiment."""
    names = [path.parent.name for path in sorted(pathlib.Path(run).glob("*/model.safetensors"))]
    lines = {path.name: path.read_text().splitlines() for path in pathlib.Path(gia).glob("*.tsv")}
    metrics = pathlib.Path(run, "metrics.tsv").read_text().splitlines()
    pathlib.Path("many-gia/kmers").mkdir(parents=True)
    out = {name: [rows[0]] for name, rows in lines.items()}
    rows_of = {row.split("\t")[0]: row for row in metrics}
    found = [metrics[0].replace("experiment\t", "experiment\tmodel\t")]
    for i in range(count):
        old, folder, asked = names[i % len(names)], f"COPY{i + 1:05}", f"{names[i % len(names)]}-model{i + 1}"
        shutil.copytree(f"{run}/{old}", f"many/{folder}", ignore=shutil.ignore_patterns("checkpoint*"))
        found.append(rows_of[old].replace("\t", f"\t{folder}\t", 1))
        shutil.copy(f"{gia}/kmers/{old}.tsv", f"many-gia/kmers/{asked}.tsv")
        for name, rows in lines.items():
            out[name] += [asked + row[len(old):] for row in rows[1:] if row.startswith(old + "\t")]
    for name, rows in out.items():
        pathlib.Path("many-gia", name).write_text("\n".join(rows) + "\n")
    pathlib.Path("many/metrics.tsv").write_text("\n".join(found) + "\n")
    shutil.copy(f"{run}/run.json", "many/run.json")


def column(browser, name):
    """The shown rows' texts in a column."""
    return browser.run(f"""(() => {{
      const at = [...document.querySelectorAll('#models thead th')].findIndex((h) => h.textContent === {name!r});
      return {ROWS}.filter((r) => r.offsetHeight > 0).map((r) => r.cells[at].dataset.v ?? r.cells[at].textContent);
    }})()""")


def click(browser, name):
    browser.run(f"[...document.querySelectorAll('#models thead button')].find((b) => b.textContent === {name!r}).click()")
    return browser.run(f"[...document.querySelectorAll('#models thead th')].map((h) => h.ariaSort).join(' ')")


def numbers(texts):
    return [float(text) for text in texts]


@test
def three_models_in_a_browser():
    small_run()
    succeeds("report", "--run", "models", "--gia", "gia", "--data", "sim", "--progress", "none")
    browser = devtools.Browser(devtools.find())
    try:
        browser.open("report.html")
        names = column(browser, "model")
        equal(names, ["SIM00001", "SIM00002", "SIM00003"], "all are shown")
        found = click(browser, "Pearson")
        equal(found.split()[:2], ["none", "descending"], "aria-sort after one click")
        pearsons = {row["experiment"]: float(row["pearson"]) for row in table("models/metrics.tsv")}
        best = sorted(names, key=lambda name: -pearsons[name])
        equal(column(browser, "model"), best, "best first")
        equal(click(browser, "Pearson").split()[1], "ascending", "aria-sort after two")
        equal(column(browser, "model"), best[::-1], "worst first")
        equal(click(browser, "top k-mer").split().count("none"), len(found.split()) - 1, "one column is sorted")
        kmers = column(browser, "top k-mer")
        equal(kmers, sorted(kmers), "by letters")
        browser.run("[...document.querySelectorAll('#models thead button')][0].focus()")
        browser.press("Enter", 13)
        equal(column(browser, "model"), names, "sorted with the keyboard")

        def write(text):
            browser.run(f"(() => {{ const f = document.getElementById('filter'); f.value = {text!r}; f.dispatchEvent(new Event('input')); }})()")
            return column(browser, "model"), browser.run("document.getElementById('count').textContent")

        equal(write("sim00002"), (["SIM00002"], "1 of 3 models"), "filtered by name")
        equal(browser.run("[...document.querySelectorAll('details.model')].filter((d) => d.offsetHeight > 0).length"), 1, "its section alone")
        one = column(browser, "top k-mer")[0]
        shown = write(one.lower().replace("u", "t"))[0]
        check("SIM00002" in shown, f"filtered by the k-mer {one} as DNA: {shown}")
        equal(write("nothing like it"), ([], "0 of 3 models"), "nothing fits")
        equal(write(""), (names, "3 models"), "all again")

        pictures = "document.querySelectorAll('details.model svg').length"
        equal(browser.run(pictures), 0, "no picture of a closed section")
        browser.run("document.querySelector('#models tbody tr:nth-child(2) a').click()")
        check(browser.run("document.getElementById('m2').open"), "the link opens its section")
        equal(browser.run("document.querySelectorAll('#m2 svg').length"), 10, "its pictures")
        equal(browser.run(pictures), 10, "and no others")
        check(browser.run("[...document.querySelectorAll('#m2 svg')].every((s) => s.getBoundingClientRect().height > 50)"), "they are seen")
        check(browser.run("Math.abs(document.getElementById('m2').getBoundingClientRect().top) < innerHeight"), "scrolled there")
        browser.run("document.querySelector('#m3 summary').click()")
        browser.run("new Promise((done) => setTimeout(done, 100))")
        equal(browser.run("document.querySelectorAll('#m3 svg').length"), 10, "a click on the summary")
        browser.run("document.getElementById('open-all').click(), new Promise((done) => setTimeout(done, 100))")
        equal(browser.run(pictures), 30, "all open")
        equal(browser.run("(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.length - new Set(ids).size; })()"), 0,
              "ids stay unique")
        equal(browser.run("document.documentElement.scrollWidth > innerWidth"), False, "nothing reaches out of the page")
        browser.run("document.getElementById('close-all').click()")
        equal(browser.run("document.querySelectorAll('details[open]').length"), 0, "all closed")
        # What the policy is for: neither a script of a text nor anything from elsewhere.
        equal(browser.messages, [], "the console is silent")
        browser.run("""new Promise((done) => { document.addEventListener('securitypolicyviolation', (e) => done(e.violatedDirective));
          document.body.append(Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:1/x.png' })); setTimeout(done, 5000); })
          .then((v) => { window.violated = v; })""")
        equal(browser.run("window.violated"), "img-src", "an image from elsewhere is refused")
    finally:
        browser.close()


@test
def without_scripts():
    small_run()
    succeeds("report", "--run", "models", "--gia", "gia", "--progress", "none")
    browser = devtools.Browser(devtools.find())
    try:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open("report.html", drawn=False)
        root = browser.call("DOM.getDocument", depth=0)["root"]
        dump = browser.call("DOM.getOuterHTML", nodeId=root["nodeId"])["outerHTML"]
    finally:
        browser.close()
    equal(dump.count("<details class=\"model\""), 3, "sections")
    check('<html lang="en">' in dump, "no script has run")
    check(dump.count("<svg") >= 3 * 9, f"{dump.count('<svg')} pictures without a script")
    check("&lt;svg" not in dump, "they are pictures, not text")


@test
def hundreds_of_models():
    small_run()
    copies("models", "gia", MANY)
    succeeds("report", "--run", "many", "--gia", "many-gia", "--progress", "none")
    size = pathlib.Path("report.html").stat().st_size
    check(size < 15e6, f"{size} bytes, expected less than 15 MB")
    browser = devtools.Browser(devtools.find())
    try:
        browser.open("report.html")  # the browser itself warms up
        seconds = min(browser.open("report.html") for _ in range(3))
        print(f"  {MANY} models: {size / 1e6:.2f} MB, there after {seconds:.2f} s")
        check(seconds < 2, f"there after {seconds:.2f} s, expected less than 2")
        equal(len(column(browser, "model")), MANY, "rows")
        click(browser, "Pearson")
        values = numbers(column(browser, "Pearson"))
        equal(values, sorted(values, reverse=True), "sorted")
        browser.run("document.querySelector('#models tbody tr:last-child a').click()")
        check(browser.run("document.querySelectorAll('details[open] svg').length") >= 9, "a section opens")
        equal(browser.messages, [], "the console is silent")
    finally:
        browser.close()


if devtools.find() is None:
    print("there is no chromium here")
    sys.exit(77)
cli.main()

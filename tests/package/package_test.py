"""What cpack makes, unpacked elsewhere and used: the archive runs from any folder with the libraries that it carries, the
Debian package names what it needs; manual page and completion are there.

usage: package_test.py --build FOLDER
"""
import argparse
import gzip
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

comparisons = failures = 0
# What a machine that runs the archive has: C and C++ runtime. cuBLAS and the driver are loaded when asked for.
OF_THE_MACHINE = ("linux-vdso", "ld-linux", "libc.", "libm.", "libdl.", "librt.", "libpthread.", "libresolv.", "libutil.", "libstdc++.", "libgcc_s.")


def check(condition, what):
    global comparisons, failures
    comparisons += 1
    if not condition:
        failures += 1
        print(f"  FAILED: {what}", flush=True)


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900, **more)
    check(done.returncode == 0, f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def one(folder, pattern):
    found = sorted(pathlib.Path(folder).glob(pattern))
    check(len(found) == 1, f"{pattern}: found {[f.name for f in found]}; expected one")
    return found[0]


def use(program, folder):
    """A first session with nothing of the user's environment."""
    clean = {"env": {"PATH": "/usr/bin:/bin", "HOME": str(folder)}, "cwd": folder}
    check(run(program, "--version", **clean).startswith("residualbind "), "--version")
    run(program, "simulate", "--out", "sim", "--experiments", 1, "--probes", 300, **clean)
    run(program, "train", "--data", "sim", "--out", "m", "--epochs", 1, "--filters", 32, "--hidden", 32, "--progress", "none", **clean)
    table = run(program, "evaluate", "--data", "sim", "--models", "m", "--progress", "none", **clean)
    check("SIM00001" in table, "evaluate prints the experiment")
    run(program, "prepare", "--data", "sim", "--out", "d.h5", "--progress", "none", **clean)
    check((pathlib.Path(folder) / "d.h5").stat().st_size > 1000, "HDF5 is written")


def completion(script, *words):
    """What bash offers for the last of the words."""
    quoted = " ".join(f"'{w}'" for w in words)
    line = f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _residualbind; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return run("bash", "--norc", "-c", line).split()


def check_share(share):
    page = (share / "man/man1/residualbind.1")
    text = page.read_text() if page.exists() else gzip.decompress((share / "man/man1/residualbind.1.gz").read_bytes()).decode()
    check(text.startswith(".TH RESIDUALBIND 1") and ".B \\-\\-epochs" in text, "the manual page has train's flags")
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=text, capture_output=True, text=True)
        check(done.returncode == 0 and not done.stderr, f"groff takes the page: {done.stderr[:300]}")
    script = share / "bash-completion/completions/residualbind"
    check(completion(script, "residualbind", "tr") == ["train"], "commands are completed")
    check(completion(script, "residualbind", "train", "--epo") == ["--epochs"], "flags are completed")
    check(completion(script, "residualbind", "train", "--preset", "") == ["paper", "published"], "values are completed")
    check(completion(script, "residualbind", "sweep", "pl") == ["plan"], "subcommands are completed")
    check("--shard" in completion(script, "residualbind", "sweep", "run", "--"), "and their flags")
    check(completion(script, "residualbind", "train", "--data", "/") == [], "paths are left to the shell")


def archive(packages, folder):
    run("tar", "-xzf", one(packages, "residualbind-*.tar.gz"), "-C", folder)
    root = one(folder, "residualbind-*")
    moved = pathlib.Path(folder) / "any where"
    root.rename(moved)
    program = moved / "bin/residualbind"
    for line in run("ldd", program, env={"PATH": "/usr/bin:/bin"}).splitlines():
        name, _, place = line.strip().partition(" => ")
        if not name.startswith(("/lib", *OF_THE_MACHINE)):
            check(place.startswith(str(moved)), f"{name} is carried, not {place}")
    use(program, folder)
    check_share(moved / "share")


def package(packages, folder):
    file = one(packages, "residualbind_*.deb")
    fields = run("dpkg-deb", "--field", file)
    needs = [line for line in fields.splitlines() if line.startswith("Depends:")]
    check(needs and all(word in needs[0] for word in ("libc6", "libhdf5", "zlib1g")), f"what it depends on: {needs}")
    run("dpkg-deb", "--extract", file, folder)
    names = [str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*") if p.is_file()]
    check(not any("libabsl" in n for n in names), "the package carries no libraries")
    use(pathlib.Path(folder) / "usr/bin/residualbind", folder)
    check_share(pathlib.Path(folder) / "usr/share")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    build = pathlib.Path(parser.parse_args().build).resolve()
    with tempfile.TemporaryDirectory() as work:
        packages = pathlib.Path(work) / "packages"
        for kind in ("TGZ", "DEB"):
            run("cpack", "-G", kind, "-B", packages, cwd=build)
        for make in (archive, package):
            folder = pathlib.Path(work) / make.__name__
            folder.mkdir()
            make(packages, folder)
    print(f"comparisons: {comparisons}")
    return 1 if failures or not comparisons else 0


if __name__ == "__main__":
    sys.exit(main())

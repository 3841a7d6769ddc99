"""Carries out the Dockerfile without docker: its steps in a new environment, then its command and its health check.

    python benchmarks/image.py BUNDLE

Steps run as they stand, with `/opt/serve` and `/src` elsewhere; the package index must be reachable.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "0123456789abcdef0123456789abcdef"


def steps(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile and what follows each, in order; comments are left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines.splitlines()) if word]


def main() -> None:
    """Carry them out and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    options = parser.parse_args()
    found = steps((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source, environment = place / "src", place / "serve"
        source.mkdir()
        for word, rest in found:
            if word == "COPY" and not rest.startswith("--from"):
                _copy(rest, source)
            if word == "RUN":
                begun = time.perf_counter()
                command = rest.replace("/opt/serve", str(environment)).replace(
                    "python -m venv", f"{sys.executable} -m venv"
                )
                subprocess.run(["sh", "-euc", command], cwd=source, check=True, stdout=subprocess.DEVNULL)
                console.print(f"RUN took {time.perf_counter() - begun:.0f} s")
        size = sum(one.stat().st_size for one in environment.rglob("*") if one.is_file() and not one.is_symlink())
        names = {one.name.partition("-")[0].lower() for one in environment.glob("lib/python*/site-packages/*")}
        console.print(
            f"the environment has {size / 2**20:.0f} MiB; torch or dgl in it: {bool(names & {'torch', 'dgl'})}"
        )
        _start(dict(found), environment, options.bundle.absolute(), place)


def _copy(words: str, source: Path) -> None:
    name, to = words.split()
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, source / to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / name, source / to)


def _start(found: dict[str, str], environment: Path, bundle: Path, place: Path) -> None:
    """The image's command, in an empty folder that cannot be written to; then its health check."""
    empty = place / "empty"
    empty.mkdir(mode=0o500)
    words = json.loads(found["ENTRYPOINT"]) + json.loads(found["CMD"])
    command = [str(environment / "bin" / words[0]), *(str(bundle) if one == "/bundle" else one for one in words[1:])]
    settings = dict(re.findall(r"([A-Z_]+)=(\S+)", found["ENV"])) | {"FLYKD_TOKEN": TOKEN}
    settings["PATH"] = f"{environment}/bin:{os.environ['PATH']}"
    process = subprocess.Popen(command, cwd=empty, env=settings, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        console.print(process.stdout.readline().strip())
        check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
        done = subprocess.run(check, cwd=empty, env=settings, timeout=10)
        console.print(f"health check: {done.returncode}; files written: {len(list(empty.iterdir()))}")
    finally:
        process.terminate()
        console.print(f"SIGTERM: {process.wait(timeout=30)}")


if __name__ == "__main__":
    main()

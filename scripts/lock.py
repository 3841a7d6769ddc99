"""Write `requirements.txt` anew: every package of the default install, its version, and the SHA-256 of its files.

    python scripts/lock.py            # needs uv and an index
    python scripts/lock.py --check    # says whether the file holds what pyproject.toml asks for; needs neither

Versions are those of `constraints.txt`. PyTorch's own index has builds for machines without a GPU; where it can
be reached their hashes are added to torch's, where it cannot those that the file has stay.

    pip install --require-hashes -r requirements.txt && pip install --no-deps .
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKED, CONSTRAINTS = ROOT / "requirements.txt", ROOT / "constraints.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu/torch/"
HEAD = "# Written by scripts/lock.py: the default install with the SHA-256 of every file that may be installed.\n"
_ENTRY = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)(.*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args().check:
        problems = check(LOCKED.read_text())
        sound = f"{len(entries(LOCKED.read_text()))} packages, every one with hashes"
        print("\n".join(problems) or sound)
        return 1 if problems else 0
    if shutil.which("uv") is None:
        print("uv is needed: pip install uv", file=sys.stderr)
        return 2
    command = ["uv", "pip", "compile", "pyproject.toml", "-c", CONSTRAINTS.name, "--generate-hashes", "--universal"]
    command += ["--python-version", "3.11", "--no-header", "--no-annotate", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print("requirements.txt stays as it is: the index cannot be reached, or versions contradict.", file=sys.stderr)
        return 2
    LOCKED.write_text(HEAD + with_cpu_builds(done.stdout))
    print(f"{LOCKED.name}: {len(entries(LOCKED.read_text()))} packages")
    return 0


def entries(text: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by package, its name as pip compares names."""
    found = _ENTRY.findall(text.replace("\\\n", " "))
    return {normal(name): (version, _HASH.findall(rest)) for name, version, rest in found}


def normal(name: str) -> str:
    """A package's name in lower case with single hyphens (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check(text: str) -> list[str]:
    """What is wrong with a lock file, a line each."""
    locked = entries(text)
    pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
    pinned = {normal(name): version for name, version in pinned.items()}
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    problems = [f"{name}: no hash" for name, (_, hashes) in locked.items() if not hashes]
    for line in asked:
        name = normal(re.split(r"[<>=!~\s\[]", line)[0])
        if name not in locked:
            problems.append(f"{name}: not locked")
    for name, (version, _) in locked.items():
        if pinned.get(name, version) != version:
            problems.append(f"{name}: {version} is locked, {pinned[name]} stands in {CONSTRAINTS.name}")
    return problems


def with_cpu_builds(text: str) -> str:
    """The lock file with the hashes of torch's builds for machines without a GPU."""
    version, hashes = entries(text)["torch"]
    try:
        with urllib.request.urlopen(CPU_INDEX, timeout=20) as page:
            links = page.read().decode()
        wanted = rf"torch-{re.escape(version)}(?:%2B|\+)cpu-cp31[12]-cp31[12]-[^\"#]*#sha256=([0-9a-f]{{64}})"
        found = [f"sha256:{digest}" for digest in re.findall(wanted, links)]
    except OSError:
        print("PyTorch's index cannot be reached; hashes of its CPU builds stay as they were.", file=sys.stderr)
        before = entries(LOCKED.read_text()).get("torch", ("", [])) if LOCKED.is_file() else ("", [])
        found = before[1] if before[0] == version else []
    added = "".join(f"    --hash={one} \\\n" for one in dict.fromkeys(found) if one not in hashes)
    first = f"torch=={version} \\\n"
    return text.replace(first, first + added)


if __name__ == "__main__":
    sys.exit(main())

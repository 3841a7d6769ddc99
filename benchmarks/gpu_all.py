"""Everything that a GPU has to show, in one call: tests, epochs, samplers, whole runs; one JSON and one log.

    python benchmarks/gpu_all.py --out OUT                  # ten minutes on the first CUDA device
    python benchmarks/gpu_all.py --out OUT --device cpu --minutes 3 --scale 0.03 --epochs 10    # tried on a CPU

The machine needs torch, numpy, scipy, pandas, pyarrow, scikit-learn, safetensors, psutil, rich and pytest, and no
network; wheels of what else training needs lie in .gpu/wheels (`benchmarks/gpu_wheels.py` puts them there) and are
unpacked beside them. Each step has a limit; one that fails or takes too long keeps no other from running. OUT/gpu.json
has what was found after every step, OUT/gpu.log everything that was said.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WHEELS = ROOT / ".gpu" / "wheels"
SITE = ROOT / ".gpu" / "site"


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        command: Arguments of the interpreter; `{json}` is where it writes what it found.
        share: Of the whole time, at most.
    """

    name: str
    command: list[str]
    share: float


def steps_of(options: argparse.Namespace) -> list[Step]:
    """In the order of what is most worth knowing."""
    graph = ["--graph", options.graph, "--scale", str(options.scale), "--device", options.device]
    epochs = str(options.epochs)
    run = ["benchmarks/gpu.py", *graph, "--json", "{json}"]
    return [
        Step("tests", ["-m", "pytest", "-q", "tests/gpu", "-p", "no:cacheprovider", "--junitxml", "{json}"], 0.35),
        Step("stages", [*run, "--epochs", epochs], 0.4),
        Step("parts", ["benchmarks/gpu_parts.py", *graph, "--json", "{json}"], 0.2),
        Step("stages on the CPU", [*run[:-4], "--device", "cpu", *run[-2:], "--epochs", "20"], 0.25),
        Step("threads", ["benchmarks/thread_counts.py", *graph[:4], "--json", "{json}"], 0.2),
    ]


def main() -> None:
    """Carry out, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for gpu.json and gpu.log")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph; 1.0 is full PrimeKG")
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--only", nargs="+", default=[], help="names of steps")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    environment = prepared(options.device)
    began = time.monotonic()
    found: dict[str, Any] = {"machine": about(), "device": options.device, "steps": {}}
    with (options.out / "gpu.log").open("a", buffering=1) as log:
        for step in steps_of(options):
            if options.only and step.name not in options.only:
                continue
            left = 60.0 * options.minutes - (time.monotonic() - began)
            if left < 5.0:
                found["steps"][step.name] = {"state": "no time was left"}
            else:
                limit = min(left, 60.0 * options.minutes * step.share)
                found["steps"][step.name] = carry_out(step, options.out, environment, limit, log)
            (options.out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")
            print(f"{step.name}: {found['steps'][step.name]['state']}", flush=True)


def carry_out(step: Step, out: Path, environment: dict[str, str], limit: float, log: Any) -> dict[str, Any]:
    """Carry out a step; how it ended, how long it took, and what it found."""
    told = out / f"{step.name.replace(' ', '-')}.part"
    told.unlink(missing_ok=True)
    command = [sys.executable, *(word.replace("{json}", str(told.absolute())) for word in step.command)]
    log.write(f"\n=== {step.name}: {' '.join(command)} (at most {limit:.0f} s)\n")
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=limit, check=False
        )
        state = "done" if done.returncode == 0 else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        state = f"not over after {limit:.0f} s"
    result: dict[str, Any] = {"state": state, "seconds": round(time.monotonic() - began, 1)}
    if told.is_file():
        result["found"] = junit_counts(told) if step.name == "tests" else json.loads(told.read_text())
        told.unlink()
    return result


def junit_counts(report: Path) -> dict[str, Any]:
    """Counts of a JUnit report, and the first line of each failure."""
    from xml.etree import ElementTree

    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    failures = {}
    for case in suite.iter("testcase"):
        for kind in ("failure", "error"):
            fault = case.find(kind)
            if fault is not None:
                failures[f"{case.get('classname')}.{case.get('name')}"] = (fault.get("message") or "").splitlines()[:2]
    return {name: int(suite.get(name) or 0) for name in ("tests", "failures", "errors", "skipped")} | {
        "failed": failures
    }


def prepared(device: str) -> dict[str, str]:
    """The environment of every step: wheels unpacked, the package found, a CPU's threads left to the trainer."""
    if WHEELS.is_dir():
        for wheel in sorted(WHEELS.glob("*.whl")):
            mark = SITE / f".{wheel.name}"
            if not mark.exists():
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(SITE)
                mark.touch()
    # Installed packages come first; what lies unpacked fills the gaps.
    path = [str(ROOT), str(SITE)] if SITE.is_dir() else [str(ROOT)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "FLYKD_TEST_DEVICE": device, "COLUMNS": "120"}


def about() -> dict[str, Any]:
    """The machine, by what its own tools say."""
    import torch

    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }
    if torch.cuda.is_available():
        cards = range(torch.cuda.device_count())
        found["gpus"] = [torch.cuda.get_device_name(number) for number in cards]
        found["cuda"] = torch.version.cuda
    return found


if __name__ == "__main__":
    main()

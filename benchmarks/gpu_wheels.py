"""Fetch the wheels that a GPU machine without a network lacks into .gpu/wheels, which git ignores.

python benchmarks/gpu_wheels.py --python 3.12
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".gpu" / "wheels"
# Of what training imports, those that a machine made for torch most often lacks; textual and typer are for people.
LACKING = ("polars", "pydantic", "msgspec", "tomli-w", "platformdirs")


def main() -> None:
    """Fetch, and say how much it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="3.12", help="the machine's")
    version = parser.parse_args().python
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = ["--python-version", version, "--platform", "manylinux2014_x86_64", "--only-binary", ":all:"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", *chosen, "--dest", str(FOLDER), *LACKING], check=True
    )
    for wheel in sorted(FOLDER.glob("*.whl")):
        print(f"{wheel.stat().st_size / 2**20:7.1f} MiB  {wheel.name}")
    print(f"{sum(wheel.stat().st_size for wheel in FOLDER.glob('*.whl')) / 2**20:7.1f} MiB together")


if __name__ == "__main__":
    main()

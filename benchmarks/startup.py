"""What a user waits for before anything is computed: the command line's answers, against a bare interpreter.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, median_seconds, show

_CONSOLE = [sys.executable, "-m", "flykd_console"]
_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "flykd-console --help": [*_CONSOLE, "--help"],
    "flykd-console run --help": [*_CONSOLE, "run", "--help"],
    "flykd-console runs": [*_CONSOLE, "runs"],
}


def main() -> None:
    """Measure and print."""
    times = {
        name: median_seconds(lambda command=command: subprocess.run(command, capture_output=True, check=True), 9)  # type: ignore[misc]
        for name, command in _COMMANDS.items()
    }
    bare = times["python -c pass"]
    console.print(machine())
    show(
        "Seconds until the command has answered, median of 9",
        ["command", "seconds", "of a bare interpreter"],
        [[name, f"{seconds:.3f}", f"{seconds / bare:.0f}x"] for name, seconds in times.items()],
    )


if __name__ == "__main__":
    main()

"""`flykd-console doctor`: what this machine has and lacks for training and scoring, each line with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from flykd_console.cli.thread_trial import Trial

_DGL_SECONDS = 120
# Cores in use below which the machine is at rest, and a gain of all threads over one that is worth having.
_AT_REST, _WORTH = 0.3, 1.1
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True)
class Finding:
    """One line: how good it is, what was looked at, what was found, and what to do about it."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    found: str
    remedy: str = ""


def command(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what this machine can do, and what is missing.

    Ends with exit code 2 where something that training needs is missing.
    """
    findings = []
    if json:
        import json as json_module

        findings = list(examine())
        typer.echo(json_module.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        from rich.text import Text

        from flykd_console.cli.console import PlainConsole

        console = PlainConsole(soft_wrap=True)
        for finding in examine():
            findings.append(finding)
            mark = (f"{finding.level:<4}", _COLOURS[finding.level])
            console.print(Text.assemble(mark, f"  {finding.subject:<10}  {finding.found}"))
            if finding.remedy:
                console.print(f"      {'':<10}  {finding.remedy}", style="dim")
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(2)


def examine() -> Iterator[Finding]:
    """Every finding in turn; the slow ones (torch, dgl) come as they are ready."""
    yield _python()
    yield _cores()
    yield _memory()
    yield from _libraries()
    yield _torch()
    yield from _load()
    yield _dgl()
    yield from _folders()
    yield from _terminal()
    yield _keymap()


def _python() -> Finding:
    return Finding("ok", "python", f"{sys.version.split()[0]} ({sys.executable})")


def _cores() -> Finding:
    from flykd_console.runs.spawn import usable_cpus

    usable, present = usable_cpus(), os.cpu_count() or 1
    found = f"{usable} CPU core{'s' if usable > 1 else ''}"
    found += f" of {present} may be used" if usable < present else ""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > usable:
        remedy = "More threads than cores wait for each other: unset OMP_NUM_THREADS, or lower it."
        return Finding("warn", "cores", f"{found}; OMP_NUM_THREADS={asked}", remedy)
    return Finding("ok", "cores", f"{found}; OMP_NUM_THREADS={asked}" if asked else found)


def _load() -> Iterator[Finding]:
    """What other processes use, and what that makes of several threads: tried, for the load alone does not tell."""
    from flykd_console.cli.thread_trial import cpu_in_use, try_threads
    from flykd_console.runs.spawn import usable_cpus, worker_environment

    usable, present = usable_cpus(), os.cpu_count() or 1
    used = cpu_in_use()
    yield Finding("ok", "load", f"other processes use {used:.1f} of {present} cores")
    asked = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(worker_environment()["OMP_NUM_THREADS"])
    trial = try_threads(max(threads, usable))
    if trial is not None:
        yield _worth(trial, threads, asked.isdigit() and int(asked) > 0, used)


def _worth(trial: Trial, threads: int, asked: bool, used: float) -> Finding:
    """What to do about threads after a trial.

    Args:
        trial: All that may be used against one.
        threads: Those that a run takes as things are.
        asked: They are OMP_NUM_THREADS.
        used: Cores that other processes use.
    """
    if trial.gain >= 1.0:
        found = f"{trial.threads} are {trial.gain:.1f} times as fast as one at present"
        # Somebody who leaves cores to others on a busy machine knows why.
        if threads < trial.threads and used < _AT_REST and trial.gain >= _WORTH:
            remedy = f"A run takes {threads}" + (" (OMP_NUM_THREADS)" if asked else "")
            return Finding("ok", "threads", found, f"{remedy}; on a machine at rest more are faster.")
        return Finding("ok", "threads", found)
    found = f"one is {1.0 / trial.gain:.1f} times as fast as {trial.threads} at present"
    if threads == 1:
        return Finding("ok", "threads", f"{found}; a run takes one")
    remedy = (
        "The machine is busy. While it is, a run takes fewer threads by itself; engine.threads = N takes N throughout."
    )
    return Finding("warn", "threads", found, remedy)


def _memory() -> Finding:
    import psutil

    from flykd_console.words import size

    memory = psutil.virtual_memory()
    found = f"{size(memory.available)} free of {size(memory.total)}"
    if memory.available < 2 * 2**30:
        return Finding(
            "warn", "memory", found, "Training on PrimeKG wants 2 GiB free; the embedded graph does with less."
        )
    return Finding("ok", "memory", found)


def _libraries() -> Iterator[Finding]:
    """What the package declares against what is installed."""
    from importlib import metadata

    try:
        from packaging.requirements import Requirement

        declared = [Requirement(text) for text in metadata.requires("flykd-console") or []]
    except (ImportError, metadata.PackageNotFoundError) as error:
        yield Finding("fail", "libraries", f"the installation is broken ({error})", "make install")
        return
    wanted = [requirement for requirement in declared if not requirement.marker or requirement.marker.evaluate()]
    versions: dict[str, str] = {}
    bad: list[str] = []
    for requirement in wanted:
        try:
            versions[requirement.name] = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            bad.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(versions[requirement.name], prereleases=True):
            bad.append(f"{requirement.name} {versions[requirement.name]} (wants {requirement.specifier})")
    if bad:
        yield Finding("fail", "libraries", "; ".join(bad), "make install")
    shown = ("textual", "typer", "polars", "pydantic", "h5py", "onnx", "onnxruntime")
    yield Finding("ok", "libraries", ", ".join(f"{name} {versions[name]}" for name in shown if name in versions))


def _torch() -> Finding:
    try:
        import torch
    except Exception as error:  # a torch whose libraries do not load raises nearly anything
        return Finding("fail", "torch", f"cannot be imported: {_one_line(error)}", "make install")
    if torch.cuda.is_available():
        from flykd_console.words import size

        device = torch.cuda.get_device_properties(0)
        more = f" and {torch.cuda.device_count() - 1} more" if torch.cuda.device_count() > 1 else ""
        return Finding(
            "ok", "torch", f"{torch.__version__}, trains on {device.name}{more} ({size(device.total_memory)})"
        )
    found = f"{torch.__version__}, trains on the CPU"
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        hint = "There is an NVIDIA driver; a CUDA build of torch would use it: make install TORCH_INDEX="
        return Finding("warn", "torch", found, hint)
    return Finding("ok", "torch", found)


def _dgl() -> Finding:
    """Imported in a process of its own: its native code may take the interpreter with it."""
    code = "from flykd_console.graph.dgl_graph import import_dgl; print(import_dgl().__version__)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=_DGL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Finding("warn", "dgl", f"not imported within {_DGL_SECONDS} s", "Try again on a machine at rest.")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        remedy = "Training goes without it (engine.propagation = auto); for the dgl engine: make install"
        return Finding("warn", "dgl", f"cannot be imported: {last}", remedy)
    return Finding("ok", "dgl", done.stdout.strip().splitlines()[-1])


def _folders() -> Iterator[Finding]:
    from flykd_console.runs.find import runs_root
    from flykd_console.words import size

    places = {"runs": runs_root().absolute()}
    with suppress(ImportError):  # then a library is missing, which is said above
        from flykd_console.graph.cache import cache_directory
        from flykd_console.graph.sources.primekg import data_directory

        places |= {"graphs": data_directory(), "cache": cache_directory()}
    for subject, path in places.items():
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        found = f"{path} ({size(free)} free)"
        if not os.access(there, os.W_OK | os.X_OK):
            yield Finding("fail", subject, f"{found}, not writable", f"Make {there} writable for you.")
        elif free < 2**30:
            yield Finding("warn", subject, found, "A PrimeKG run wants about 1 GiB.")
        else:
            yield Finding("ok", subject, found)


def _terminal() -> Iterator[Finding]:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield Finding("ok", "terminal", "none here: runs print plain lines")
        return
    columns, lines = console.size
    if columns < 60 or lines < 18:
        yield Finding("warn", "terminal", f"{columns}x{lines}", "The dashboard wants at least 60x18; best from 120x36.")
    else:
        yield Finding("ok", "terminal", f"{columns}x{lines}")
    if os.environ.get("NO_COLOR"):
        yield Finding("ok", "colours", "none (NO_COLOR is set)")
    elif console.color_system in (None, "standard"):
        found = "16" if console.color_system else "none"
        yield Finding(
            "warn", "colours", found, "A terminal with TERM=xterm-256color or COLORTERM=truecolor shows more."
        )
    else:
        yield Finding("ok", "colours", {"256": "256", "truecolor": "16 million"}.get(console.color_system, "few"))
    if console.encoding.lower().replace("-", "") != "utf8":
        yield Finding(
            "warn", "text", console.encoding, "Curves are drawn in Unicode: set LANG to a UTF-8 locale, C.UTF-8."
        )
    else:
        yield Finding("ok", "text", "Unicode")


def _keymap() -> Finding:
    from flykd_console.dashboard.user_keys import read_user_keys

    keys = read_user_keys()
    if keys.problems:
        return Finding("warn", "keymap", f"{keys.path}: {' '.join(keys.problems)}", "The other keys hold.")
    found = (
        f"{len(keys.keys)} of the dashboard's keys are your own"
        if keys.found
        else "not there: the keys are as built in"
    )
    return Finding("ok", "keymap", f"{keys.path} ({found})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

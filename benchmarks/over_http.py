"""The service under load: requests a second, the slowest answers, at 1 and 64 connections; nothing lost, memory flat.

    python benchmarks/over_http.py                       # a bundle of full PrimeKG's size, three epochs
    python benchmarks/over_http.py BUNDLE --seconds 10   # any bundle
    python benchmarks/over_http.py BUNDLE --fuzz         # schemathesis asks whatever the description allows

Load comes from wrk where it is installed (Debian: apt install wrk), else from a client of this file, and shares the
cores with the service. Each request asks for another disease by its id, and for the first 20 of one relation. Beside
it the same question to torch, in a process that holds the graph: a network of the teacher's shape, then the list.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, in_child, machine, show

ROOT = Path(__file__).resolve().parents[1]
AIM_REQUESTS, AIM_P99 = 1000, 60.0
_PATHS = 2000
# Where lists are made: where requests are read, or in threads.
_PLACES: dict[str, tuple[str, ...]] = {"loop": (), "threads": ("--in-loop", "0")}
_BESIDE = {"whole": "teacher's network over its graph, then the list", "kept": "the list alone, embeddings in memory"}


@contextmanager
def service(bundle: Path, *options: str) -> Iterator[tuple[str, int]]:
    """A service of a bundle: its URL and process id; ended with SIGTERM, which must give 0."""
    command = [sys.executable, "-m", "exporters.serve", str(bundle), "--port", "0", "--poll", "0", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://[\d.]+:\d+", line)
    if found is None:
        sys.exit(f"The service did not start: {line}")
    try:
        yield found[0], process.pid
    finally:
        process.terminate()
        if process.wait(timeout=60):
            sys.exit(f"The service ended with {process.returncode}.")


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(pid: int) -> float:
    """Time that a process has had on processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def paths_of(bundle: Path) -> list[str]:
    """Paths that ask for the lists of different diseases of the bundle."""
    from exporters.scorer import Scorer

    with Scorer(bundle) as scorer:
        relation = scorer.relations[-1]
        silent = scorer.unembedded("tail", relation)
        rows = [row for row in range(len(scorer.tails)) if row not in silent]
        drawn = random.Random(0).choices(rows, k=_PATHS)
        side = "tail"
        return [f"/rank?{side}={quote(scorer.tails.ids[row], safe='')}&relation={quote(relation)}" for row in drawn]


def with_wrk(url: str, paths: list[str], connections: int, seconds: float, folder: Path) -> dict[str, float]:
    """Requests a second, p50, p99 and the longest in ms, and what was no 200, by wrk."""
    script = folder / "paths.lua"
    listed = ",".join(f'"{path}"' for path in paths)
    script.write_text(
        f"local paths = {{{listed}}}\nlocal n = 0\n"
        "request = function() n = n % #paths + 1; return wrk.format('GET', paths[n]) end\n"
        "done = function(summary, latency, requests)\n"
        "  local e = summary.errors\n"
        "  io.write(string.format('FOUND %d %d %f %f %f %d\\n', summary.requests, summary.duration,"
        " latency:percentile(50), latency:percentile(99), latency.max,"
        " e.connect + e.read + e.write + e.status + e.timeout))\n"
        "end\n"
    )
    command = [
        "wrk",
        "-t",
        "1",
        "-c",
        str(connections),
        "-d",
        f"{round(seconds)}s",
        "-s",
        str(script),
        "--timeout",
        "30s",
        url,
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"FOUND (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)", output)
    assert found is not None, output
    count, duration, p50, p99, longest, lost = map(float, found.groups())
    return {
        "rate": count / duration * 1e6,
        "p50": p50 / 1e3,
        "p99": p99 / 1e3,
        "max": longest / 1e3,
        "lost": lost,
        "count": count,
    }


async def _one_connection(host: str, port: int, paths: list[str], end: float, times: list[float]) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    lost = 0
    for place in range(10**9):
        if time.perf_counter() > end:
            break
        begun = time.perf_counter()
        writer.write(f"GET {paths[place % len(paths)]} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        times.append(time.perf_counter() - begun)
        lost += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return lost


def with_own(url: str, paths: list[str], connections: int, seconds: float) -> dict[str, float]:
    """The same by a client of our own, whose time on the processor counts, too."""
    host, port = url.removeprefix("http://").split(":")
    times: list[float] = []

    async def all_of_them() -> int:
        end = time.perf_counter() + seconds
        step = max(1, len(paths) // connections)
        turned = [paths[n * step :] + paths[: n * step] for n in range(connections)]
        return sum(await asyncio.gather(*(_one_connection(host, int(port), one, end, times) for one in turned)))

    lost = asyncio.run(all_of_them())
    cut = statistics.quantiles(times, n=100)
    return {
        "rate": len(times) / seconds, "p50": 1e3 * cut[49], "p99": 1e3 * cut[98], "max": 1e3 * max(times), "lost": lost,
        "count": len(times),
    }  # fmt: skip


def torch_with_graph(scale: str, repeats: str) -> dict[str, float]:
    """Median seconds of one list by torch: a network of the teacher's shape over its graph, then the best twenty drugs.

    `kept`: the same once the network's embeddings are kept in memory.
    """
    import torch

    from benchmarks.links import SEED
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.schema import Profile
    from flykd_console.tasks.link_prediction.data import LinkData

    profile = Profile.model_validate({"graph": {"source": "synthetic", "scale": float(scale)}})
    graph = load_graph(profile.graph)
    data = LinkData(profile, graph, graph.targets(profile.graph.targets), SEED, torch.device("cpu"))
    model = data.new_model(profile.teacher, "teacher")
    whole, kept = [], []
    with torch.no_grad():
        for row in range(int(repeats)):
            begun = time.perf_counter()
            encoded = data.encode_all(model)
            middle = time.perf_counter()
            name = next(iter(encoded.relation))
            torch.topk(encoded.head @ (encoded.tails[name][row] * encoded.relation[name]), 20)
            whole.append(time.perf_counter() - begun)
            kept.append(time.perf_counter() - middle)
    return {"whole": statistics.median(whole), "kept": statistics.median(kept)}


def full_size(folder: Path) -> Path:
    """A bundle of full PrimeKG's size, of a student that was trained for three epochs."""
    console.print("training three epochs on a synthetic graph of full size, for a bundle")
    settings = [f"--set={key}=3" for key in ("teacher.epochs", "student.epochs", "distill.epochs")]
    command = [sys.executable, "-m", "flykd_console"]
    run = [
        *command,
        "run",
        "primekg/flykd",
        "--graph",
        "synthetic",
        "--set=graph.scale=1.0",
        "--seeds",
        "45",
        "--plain",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FLYKD_RUNS": str(folder / "runs")}
    for one in ([*run, *settings], [*command, "export", "--onnx", "--out", str(folder / "bundle")]):
        subprocess.run(one, env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder / "bundle"


def fuzz(bundle: Path, examples: int) -> int:
    """What schemathesis finds: answers that contradict the description, and errors of the service."""
    with service(bundle) as (url, _):
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", checks,
            "--max-examples", str(examples), "--no-color",
        ]  # fmt: skip
        return subprocess.run(command, check=False).returncode


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--own", action="store_true", help="load by the client of this file")
    parser.add_argument("--scale", type=float, default=1.0, help="of the graph that torch is asked with; 0: not asked")
    parser.add_argument("--fuzz", action="store_true", help="schemathesis alone")
    parser.add_argument("--examples", type=int, default=100, help="of each operation, with --fuzz")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle or full_size(Path(folder))
        if options.fuzz:
            sys.exit(fuzz(bundle, options.examples))
        load(bundle, options.seconds, options.own, Path(folder), options.scale)


def load(bundle: Path, seconds: float, own: bool, folder: Path, scale: float) -> None:
    """Put the service under load and print the tables; `scale`: of torch's graph, 0: torch is not asked."""
    by_wrk = not own and shutil.which("wrk") is not None
    console.print(machine())
    rows, single, reached = [], 0.0, False
    for place, options in _PLACES.items():
        with service(bundle, *options) as (url, pid):
            paths = paths_of(bundle)
            _measure(url, paths, 1, 2.0, by_wrk, folder)
            before = resident_mib(pid)
            for connections in (1, 64):
                spent = processor_seconds(pid)
                found = _measure(url, paths, connections, seconds, by_wrk, folder)
                spent = processor_seconds(pid) - spent
                rows.append(
                    [
                        place,
                        f"{connections}",
                        f"{found['rate']:.0f}",
                        f"{found['p50']:.2f} ms",
                        f"{found['p99']:.2f} ms",
                        f"{found['max']:.1f} ms",
                        f"{found['lost']:.0f} of {found['count']:.0f}",
                        f"{1e3 * spent / found['count']:.2f} ms",
                        f"{before:.0f} -> {resident_mib(pid):.0f}",
                    ]
                )
                if connections == 1:
                    single = single or found["p50"]
            reached = reached or (found["rate"] >= AIM_REQUESTS and found["p99"] <= AIM_P99)
    columns = ["made", "at once", "a second", "p50", "p99", "longest", "lost", "processor", "MiB"]
    show(f"Lists of 20, {'wrk' if by_wrk else 'own client'}, {seconds:g} s each", columns, rows)
    aim = f"aim {AIM_REQUESTS} a second and p99 {AIM_P99:.0f} ms at 64 connections"
    console.print(f"{aim}: {'reached' if reached else 'missed'}")
    if scale:
        beside = in_child(torch_with_graph, str(scale), "5")
        told = [
            [words, f"{1e3 * beside[key]:.2f} ms", f"{1e3 * beside[key] / single:.1f}x"]
            for key, words in _BESIDE.items()
        ]
        show("The same list by torch, without HTTP", ["what", "a list", "of the service's p50"], told)


def _measure(
    url: str, paths: list[str], connections: int, seconds: float, by_wrk: bool, folder: Path
) -> dict[str, float]:
    if by_wrk:
        return with_wrk(url, paths, connections, seconds, folder)
    return with_own(url, paths, connections, seconds)


if __name__ == "__main__":
    main()

"""What an answer costs once a model is deployed, beside the same answer from the torch teacher with its graph.

    python benchmarks/serve.py                    # a run of the synthetic graph at full size, three relations, d = 80
    python benchmarks/serve.py --run RUN          # a run of one's own that has a teacher and a student

Every row is measured in a process of its own, at both ends: the bundle with `exporters.scorer`, and the teacher as the
trainer has it: graph, split and weights are loaded, and its network is run over the training graph. "Kept": the
teacher's embeddings are kept between answers, as no deployment without an export does, and an answer is rows and logits
without names, ranks of rivals and known pairs. Wall time, and processor time
where that says what a busy machine would hide; the whole matrix by torch is the products and orders alone, unwritten.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.measure import console, in_child, machine, peak_gib, show

TOP = 20
ANSWERS = 1000
PAIRS = 1_000_000
# Tails whose lists torch makes, of which the whole matrix is extrapolated.
TORCH_TAILS = 500
SETTINGS = (
    "graph.source=synthetic", "graph.scale=1.0", 'graph.targets=["contraindication","indication","off-label use"]',
    "pretrain.epochs=0", "finetune.epochs=3", "finetune.validate_every=3", "distill.epochs=3",
)  # fmt: skip
# What each is to stay below on two cores.
AIMS = {
    "open": "0.3 s", "list p50": "0.5 ms", "list p99": "1.5 ms", "a million pairs": "1 s", "whole matrix": "60 s",
}  # fmt: skip


def opened(bundle: str) -> dict[str, float]:
    """Seconds of importing the scorer, of opening a bundle, and of the first answer."""
    begun = time.perf_counter(), time.process_time()
    from exporters.scorer import Scorer

    imported = time.perf_counter(), time.process_time()
    scorer = Scorer(bundle)
    ready = time.perf_counter(), time.process_time()
    scorer.rank_heads(_tails(scorer)[0], "indication", TOP)
    answered = time.perf_counter()
    return {
        "import": imported[0] - begun[0],
        "open": ready[0] - imported[0],
        "open_cpu": ready[1] - imported[1],
        "first": answered - ready[0],
        "gib": peak_gib(),
    }


def listed(bundle: str, engine: str) -> dict[str, float]:
    """Milliseconds of one tail against all heads, best twenty, one at a time."""
    from exporters.scorer import Scorer

    scorer = Scorer(bundle, engine=engine)  # type: ignore[arg-type]
    return _answers(lambda row: scorer.rank_heads(row, "indication", TOP), _tails(scorer))


def paired(bundle: str, folder: str) -> dict[str, float]:
    """Seconds of a million pairs: as rows, from a CSV, and from a CSV into a Parquet file."""
    from exporters.pairs import score_columns
    from exporters.scorer import Scorer
    from flykd_console.cli.score_output import write_pairs

    scorer = Scorer(bundle)
    random = np.random.default_rng(0)
    heads, tails = random.integers(len(scorer.heads), size=PAIRS), random.integers(len(scorer.tails), size=PAIRS)
    path, out = Path(folder) / "pairs.csv", Path(folder) / "scores.parquet"
    ids = zip(heads.tolist(), tails.tolist(), strict=True)
    lines = (f"{scorer.heads.ids[head]},{scorer.tails.ids[tail]}\n" for head, tail in ids)
    path.write_text("drug_id,disease_id\n" + "".join(lines))
    scorer.score(heads[:1], tails[:1], "indication")
    found = _timed("rows", lambda: scorer.score(heads, tails, "indication"))
    found |= _timed("csv", lambda: score_columns(scorer, path, "indication"))
    found |= _timed("file", lambda: write_pairs(scorer, score_columns(scorer, path, "indication"), out))
    return found | {"gib": peak_gib()}


def whole(bundle: str, folder: str) -> dict[str, float]:
    """Seconds of all pairs of a relation into a Parquet file."""
    from exporters.scorer import Scorer
    from exporters.whole_matrix import Wanted
    from flykd_console.cli.score_output import write_matrix

    scorer, out = Scorer(bundle), Path(folder) / "matrix.parquet"
    rows: list[int] = []
    wanted = Wanted(None, False, {})
    found = _timed("matrix", lambda: rows.append(write_matrix(scorer, ("indication",), wanted, out)))
    return found | {"rows": rows[0], "bytes": out.stat().st_size, "gib": peak_gib()}


def teacher(run: str, tails_file: str) -> dict[str, float]:
    """The same answers from the teacher of a run, by torch and its graph."""
    begun = time.perf_counter(), time.process_time()
    import torch

    from benchmarks.training import task_of
    from flykd_console.graph.load import load_graph
    from flykd_console.model.distmult import pair_logits
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.link_model import link_model
    from flykd_console.model.tensor_files import load_tensors
    from flykd_console.profile.load import load_profile
    from flykd_console.profile.models import models_of
    from flykd_console.runs.directory import RunDirectory

    directory = RunDirectory(Path(run))
    profile = load_profile(directory.profile)
    imported = time.perf_counter()
    task = task_of(profile, load_graph(profile.graph))
    spec = next(spec for spec in models_of(profile) if spec.name == "teacher")
    model = link_model(task.new_model(spec))
    model.load_tensors(load_tensors(directory.weights(task.seed, "teacher"))[0])
    with torch.inference_mode():
        encoded: Encoded = task.data.encode_all(model)
        ready = time.perf_counter(), time.process_time()
        found = {"import": imported - begun[0], "open": ready[0] - imported, "open_cpu": ready[1] - begun[1]}

        def answer(encoded: Encoded, row: int) -> Any:
            weighted = encoded.tails["indication"][row] * encoded.relation["indication"]
            return torch.topk(encoded.head @ weighted, TOP)

        rows = json.loads(Path(tails_file).read_text())
        found |= {f"kept_{name}": value for name, value in _answers(lambda row: answer(encoded, row), rows).items()}
        network = _answers(lambda row: answer(task.data.encode_all(model), row), rows, 12)
        found |= {f"network_{name}": value for name, value in network.items()}
        random = np.random.default_rng(0)
        heads = torch.from_numpy(random.integers(len(encoded.head), size=PAIRS))
        tails = torch.from_numpy(random.integers(len(encoded.tails["indication"]), size=PAIRS))

        def pairs() -> Any:
            one = task.data.encode_all(model)
            return pair_logits(one.head[heads], one.relation["indication"], one.tails["indication"][tails])

        found |= _timed("rows", pairs)

        def lists() -> Any:
            weighted = encoded.tails["indication"][:TORCH_TAILS] * encoded.relation["indication"]
            return torch.sort(weighted @ encoded.head.T, dim=1, descending=True, stable=True)

        part = _timed("matrix", lists)
        share = len(encoded.tails["indication"]) / TORCH_TAILS
        found |= {name: value * share for name, value in part.items()}
    return found | {"gib": peak_gib()}


def asked(bundle: str, tails_file: str) -> dict[str, float]:
    """Writes which tails are asked for; the bundle's shape."""
    from exporters.scorer import Scorer

    with Scorer(bundle) as scorer:
        Path(tails_file).write_text(json.dumps(_tails(scorer)))
        counts: dict[str, float] = {"heads": len(scorer.heads), "tails": len(scorer.tails)}
        return counts | {"dim": scorer.manifest.dim, "relations": len(scorer.relations)}


def _tails(scorer: Any) -> list[int]:
    """Tails that the model knows something of, drawn."""
    rows: list[int] = scorer.tables.embedded("tail", "indication").tolist()
    return [int(row) for row in np.random.default_rng(0).permutation(rows)[:ANSWERS]]


def _answers(answer: Callable[[int], object], rows: list[int], count: int = ANSWERS) -> dict[str, float]:
    for row in rows[: min(20, count // 4)]:
        answer(row)
    walls, cores = [], []
    for number in range(count):
        begun = time.perf_counter(), time.process_time()
        answer(rows[number % len(rows)])
        walls.append(1e3 * (time.perf_counter() - begun[0]))
        cores.append(1e3 * (time.process_time() - begun[1]))
    return {
        "p50": statistics.median(walls),
        "p99": float(np.percentile(walls, 99)),
        "cpu": statistics.mean(cores),
    }


def _timed(name: str, work: Callable[[], object]) -> dict[str, float]:
    begun = time.perf_counter(), time.process_time()
    work()
    return {name: time.perf_counter() - begun[0], f"{name}_cpu": time.process_time() - begun[1]}


def made_run(folder: Path) -> Path:
    """A run of few epochs on the synthetic graph at full size: what is timed depends on shapes alone."""
    command = [sys.executable, "-m", "flykd_console", "run", "primekg/flykd", "--seeds", "45"]
    for setting in SETTINGS:
        command += ["--set", setting]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return next((folder / "runs").iterdir())


def sizes(run: str, folder: str) -> dict[str, float]:
    """Bytes of a bundle of each type of number, and without what `--through` needs."""
    import h5py

    from exporters.bundle import export_run
    from exporters.manifest import EMBEDDINGS
    from exporters.precision import Dtype
    from flykd_console.runs.directory import RunDirectory

    found: dict[str, float] = {}
    dtypes: tuple[Dtype, ...] = ("float32", "float16", "int8")
    for dtype in dtypes:
        made = export_run(RunDirectory(Path(run)), out=Path(folder) / dtype, dtype=dtype, max_loss=100.0)
        with h5py.File(made.path / EMBEDDINGS) as file:
            stored: dict[str, int] = {}
            file.visititems(lambda name, thing, stored=stored: _count(name, thing, stored))
            scored = {f"nodes/{made.manifest.head_type}", f"nodes/{made.manifest.tail_type}"}
        through = sum(size for name, size in stored.items() if _is_third(name, scored))
        found |= {dtype: sum(made.files.values()), f"{dtype} without": sum(made.files.values()) - through}
    return found


def _count(name: str, thing: Any, stored: dict[str, int]) -> None:
    if hasattr(thing, "dtype"):
        stored[name] = thing.id.get_storage_size()


def _is_third(name: str, scored: set[str]) -> bool:
    if name.startswith("connections/"):
        return True
    return name.startswith("nodes/") and not any(name.startswith(f"{one}/") for one in scored)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run directory with a teacher and a student")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = (options.run or made_run(folder)).absolute()
        # Here, too: a child's peak memory is never below that of the process it was forked from.
        stored = in_child(sizes, str(run), name)
        bundle = str(folder / "float32")
        open_, ours, onnx = (
            in_child(opened, bundle),
            in_child(listed, bundle, "numpy"),
            in_child(listed, bundle, "onnx"),
        )
        pairs, matrix = in_child(paired, bundle, name), in_child(whole, bundle, name)
        shape = in_child(asked, bundle, str(folder / "tails.json"))
        torch = in_child(teacher, str(run), str(folder / "tails.json"))
    console.print(machine())
    counts = (
        f"{shape['heads']:,.0f} x {shape['tails']:,.0f}, d = {shape['dim']:.0f}, {shape['relations']:.0f} relations"
    )
    console.print(f"{counts}; load {os.getloadavg()[0]:.1f}")

    def row(what: str, aim: str, mine: float, theirs: float, unit: str, core: float, factor: float = 1.0) -> list[str]:
        cells = (f"{value * factor:.3g} {unit}" for value in (mine, core, theirs))
        return [what, AIMS.get(aim, ""), *cells, f"{theirs / mine:.1f}x"]

    kept = [
        row("open", "open", open_["open"], torch["open"], "s", open_["open_cpu"]),
        row("first answer, imports too", "", open_["import"] + open_["open"] + open_["first"],
            torch["import"] + torch["open"], "s", open_["open_cpu"]),
        row("one list, p50, network run", "list p50", ours["p50"], torch["network_p50"], "ms", ours["cpu"]),
        row("one list, p99, network run", "list p99", ours["p99"], torch["network_p99"], "ms", ours["cpu"]),
        row("one list, p50, kept", "list p50", ours["p50"], torch["kept_p50"], "ms", ours["cpu"]),
        row("one list, p99, kept", "list p99", ours["p99"], torch["kept_p99"], "ms", ours["cpu"]),
        row("one list by ONNX, p50, network run", "", onnx["p50"], torch["network_p50"], "ms", onnx["cpu"]),
        row("a million pairs, rows", "a million pairs", pairs["rows"], torch["rows"], "s", pairs["rows_cpu"]),
        row("a million pairs, of a CSV", "a million pairs", pairs["csv"], torch["rows"], "s", pairs["csv_cpu"]),
        row("a million pairs, CSV to Parquet", "", pairs["file"], torch["rows"], "s", pairs["file_cpu"]),
        row("whole matrix, to Parquet", "whole matrix", matrix["matrix"], torch["matrix"], "s", matrix["matrix_cpu"]),
    ]  # fmt: skip
    show("Answers", ["answer", "wanted", "bundle", "its processor time", "teacher and graph", "faster"], kept)
    show(
        "Peak memory",
        ["process", "GiB"],
        [
            ["bundle opened, one answer", f"{open_['gib']:.2f}"],
            ["a million pairs of a CSV", f"{pairs['gib']:.2f}"],
            [f"whole matrix, {matrix['rows']:,.0f} rows of {matrix['bytes'] / 1e9:.2f} GB", f"{matrix['gib']:.2f}"],
            ["teacher with its graph", f"{torch['gib']:.2f}"],
        ],
    )
    kinds = ("float32", "float16", "int8")
    rows = [[kind, *(f"{stored[key] / 1e6:.1f} MB" for key in (kind, f"{kind} without"))] for kind in kinds]
    show("Bundle", ["numbers", "all files", "without what --through needs"], rows)


if __name__ == "__main__":
    main()

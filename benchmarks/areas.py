"""Whole areas of disease held out, one run each, and all their diseases pooled: AP of a list's drugs by disease.

    python benchmarks/areas.py --graph kg.csv.gz --areas disease_areas/ --seed 70
    python benchmarks/areas.py --graph kg.csv.gz --areas disease_areas/ --seed 70 --profile best --set student.dim=32

`--areas` is a folder with a CSV of diseases (`node_id`) for each area. Most areas have too few diseases with a drug for
an interval of their own, so the diseases of all areas are pooled: the mean over a relation's diseases, over relations,
with paired intervals over diseases (bootstrap; a disease of two areas is drawn once for both). Each run tells its own
heuristics, which saw the same training edges. Runs stay in `--runs`, and a finished one is not trained again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from benchmarks.measure import console, machine, show
from flykd_console.compare.bootstrap import TailValues, macro_tail_resamples, percentile_interval
from flykd_console.runs.directory import RunDirectory

RIVALS = ("popularity", "neighbours")
RESAMPLES = 10_000


@dataclass(frozen=True)
class Pooled:
    """AP of all areas' diseases.

    Attributes:
        rows: A row a ranked disease: area, relation, tail_id, and a column a model.
    """

    rows: pl.DataFrame

    def macro(self, model: str, rows: pl.DataFrame | None = None) -> float:
        """Mean over relations of the mean over their diseases, per cent."""
        means = (self.rows if rows is None else rows).group_by("relation").agg(pl.col(model).mean())
        return 100.0 * float(means[model].to_numpy().mean())

    def gain(self, model: str, rival: str) -> tuple[float, float, float]:
        """What a model wins over another, points, with the ends of its interval over diseases."""
        ids = self.rows.select("tail_id").unique().sort("tail_id").with_row_index("tail")
        numbered = self.rows.join(ids, on="tail_id", how="left", maintain_order="left")
        relations = {}
        for (relation,), part in numbered.group_by("relation", maintain_order=True):
            of = {name: part[name].cast(pl.Float64).to_numpy() for name in (model, rival)}
            relations[str(relation)] = TailValues(part["tail"].cast(pl.Int64).to_numpy(), of)
        found = macro_tail_resamples({0: relations}, [model, rival], RESAMPLES, 0)[0]
        low, high = percentile_interval(100.0 * (found[model] - found[rival]))
        return self.macro(model) - self.macro(rival), low, high


def finished(name: str, runs: Path) -> RunDirectory | None:
    """The last finished run of a name."""
    for path in sorted(runs.glob(f"{name}-2*"), reverse=True):
        if RunDirectory(path).results.is_file():
            return RunDirectory(path)
    return None


def trained(name: str, area: Path, options: argparse.Namespace) -> RunDirectory:
    """An area's run, trained unless there is a finished one."""
    words = ["run", options.profile, "--headless", "--graph", options.graph, "--seeds", str(options.seed)]
    settings = [f"run.name={name}", 'split.kind="disease_area"', f'split.area="{area.resolve()}"', *options.set]
    for setting in settings:
        words += ["--set", setting]
    subprocess.run(
        [sys.executable, "-m", "flykd_console", *words], check=True, env=os.environ | {"FLYKD_RUNS": str(options.runs)}
    )
    found = finished(name, options.runs)
    assert found is not None
    return found


def ranked(area: str, directory: RunDirectory, seed: int) -> pl.DataFrame:
    """AP of every test disease of an area's run."""
    table = pl.read_parquet(directory.path / f"seed-{seed}" / "test-ranking.parquet")
    return table.with_columns(pl.lit(area).alias("area"))


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", required=True)
    parser.add_argument("--areas", type=Path, required=True)
    parser.add_argument("--profile", default="best")
    parser.add_argument("--model", default="student")
    parser.add_argument("--seed", type=int, default=70)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--name", default="area", help="how the runs' names begin")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    parts = []
    for area in sorted(options.areas.glob("*.csv")):
        name = f"{options.name}-{area.stem.replace('_', '-')}"
        directory = finished(name, options.runs) or trained(name, area, options)
        parts.append(ranked(area.stem, directory, options.seed))
    pooled = Pooled(pl.concat(parts, how="diagonal"))
    report(pooled, options.model)


def report(pooled: Pooled, model: str) -> None:
    """Print an area a line, and all of them pooled."""
    models = [*RIVALS, model]
    rows = []
    for (area,), part in pooled.rows.group_by("area", maintain_order=True):
        rows.append([str(area), str(part["tail_id"].n_unique()), *(f"{pooled.macro(one, part):.2f}" for one in models)])
    together = str(pooled.rows["tail_id"].n_unique())
    rows.append(["pooled", together, *(f"{pooled.macro(one):.2f}" for one in models)])
    show("AP, drugs for a disease, areas held out", ["area", "diseases", *models], rows)
    for rival in RIVALS:
        gain, low, high = pooled.gain(model, rival)
        console.print(f"{model} over {rival}: {gain:+.2f} [{low:+.2f}, {high:+.2f}] over diseases")
    console.print(machine())


if __name__ == "__main__":
    main()

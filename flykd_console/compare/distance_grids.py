"""Average precision by the distance to what was trained on, as tables of text: one for each relation."""

from __future__ import annotations

from collections.abc import Iterator

from flykd_console.compare.figures import Block, Row
from flykd_console.compare.grid import Grid
from flykd_console.runs.distances import DISTANCES, UNREACHABLE, DistanceScores
from flykd_console.words import DASH, counted, grouped, per_cent


def distance_grids(block: Block) -> Iterator[Grid]:
    """AP of every model by distance, with how many tails are there; nothing where no run measured it."""
    for relation in block.targets:
        rows = [row for row in block.rows if row.by_distance.get(relation)]
        met = [name for name in DISTANCES if any(name in row.by_distance[relation] for row in rows)]
        if met:
            yield _grid(block, relation, rows, met)


def _grid(block: Block, relation: str, rows: list[Row], met: list[str]) -> Grid:
    tail = block.tail_type
    tails = {name: _first(rows, relation, name).tails for name in met}
    seeds = counted(len(block.seeds), "seed")
    return Grid(
        title=f"AP by distance to the nearest {tail} of training, per cent: {relation}",
        headings=["model", *map(_heading, met)],
        rows=[[row.label, *(_cell(row.by_distance[relation].get(name)) for name in met)] for row in rows]
        + [[f"{tail}s", *(grouped(tails[name]) for name in met)]],
        caption=f"Distance: fewest steps over the graph's relations between {tail}s to one with a training edge of "
        f"{relation}. Mean over the {tail}s of the {block.part} at that distance, those of {seeds} together.",
    )


def _first(rows: list[Row], relation: str, name: str) -> DistanceScores:
    return next(row.by_distance[relation][name] for row in rows if name in row.by_distance[relation])


def _heading(name: str) -> str:
    if name == UNREACHABLE:
        return name
    return f"{name} step" if name == "1" else f"{name} steps"


def _cell(scores: DistanceScores | None) -> str:
    return DASH if scores is None else per_cent(scores.ap)

"""Which nodes are learnt from, chosen by and tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.data.attributed import PARTS, UNKNOWN, AttributedGraph, Integers
from flykd_console.dates import parts_by_date
from flykd_console.errors import UserError
from flykd_console.seeding import numpy_rng

if TYPE_CHECKING:
    from flykd_console.profile.samples import Data


def split_nodes(graph: AttributedGraph, data: Data, seed: int) -> dict[str, Integers]:
    """By part its nodes, ascending, int64.

    Raises:
        UserError: The file has no split or no years; a class has too few nodes, or none to train on; a part is empty.
    """
    if data.split == "per_class":
        parts = _per_class(graph, data.per_class, seed)
    elif data.split == "by_time":
        assert data.cuts is not None
        parts = _by_time(graph, data.cuts)
    else:
        parts = dict(graph.parts)
        if not parts:
            raise UserError(
                f"{graph.source} has no split of its own", "data.split = 'given'", "Set data.split = 'per_class'."
            )
    for name in PARTS:
        if len(parts[name]) == 0:
            raise UserError(f"the {name} part has no node", f"data.split = {data.split!r} of {graph.source}")
    counts = np.bincount(graph.labels[parts["train"]], minlength=graph.classes)
    if (counts == 0).any():
        absent = int(np.flatnonzero(counts == 0)[0])
        raise UserError(
            f"class {absent} has no node to train on", f"data.split = {data.split!r} of {graph.source}",
            "Take another split, or leave the class out of the file.",
        )  # fmt: skip
    return parts


def _per_class(graph: AttributedGraph, sizes: tuple[int, int], seed: int) -> dict[str, Integers]:
    """So many training and validation nodes of each class, the rest as the test (Shchur et al. 2018)."""
    rng = numpy_rng(seed, "node split")
    train, validation = [], []
    for label in range(graph.classes):
        nodes = rng.permutation(np.flatnonzero(graph.labels == label))
        if len(nodes) <= sum(sizes):
            raise UserError(
                f"class {label} has {len(nodes)} nodes, but {sizes[0]} + {sizes[1]} and one to test are wanted",
                f"data.per_class of {graph.source}",
                "Ask for fewer.",
            )
        train.append(nodes[: sizes[0]])
        validation.append(nodes[sizes[0] : sum(sizes)])
    chosen = np.concatenate([*train, *validation])
    rest = np.setdiff1d(np.flatnonzero(graph.labels != UNKNOWN), chosen)
    return {
        "train": np.sort(np.concatenate(train)).astype(np.int64),
        "validation": np.sort(np.concatenate(validation)).astype(np.int64),
        "test": rest.astype(np.int64),
    }


def _by_time(graph: AttributedGraph, cuts: tuple[int, int]) -> dict[str, Integers]:
    """Nodes up to the first year train, up to the second one validate, later ones test."""
    if graph.years is None:
        raise UserError(
            f"{graph.source} knows no year of its nodes", "data.split = 'by_time'", "Name a file of years: data.years."
        )
    part, known = parts_by_date(graph.years, cuts), graph.labels != UNKNOWN
    return {name: np.flatnonzero(known & (part == number)) for number, name in enumerate(PARTS)}

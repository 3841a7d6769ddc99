"""A bundle, opened and checked: its manifest, nodes and tables, and what a relation or a node is called in it."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from exporters.beside import Beside
from exporters.lookup import NodeIndex
from exporters.manifest import EMBEDDINGS, PROFILES, read_manifest, verify_files
from exporters.opened_tables import OpenedTables
from exporters.profile_tables import ProfileTables
from exporters.waypoints import Waypoint, Waypoints
from flykd_console.errors import UserError
from flykd_console.relation_names import is_meant

Rows = NDArray[np.int64]


class OpenedBundle:
    """What is asked of a bundle before anything is scored.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the tables against the manifest's SHA-256.

    Attributes:
        manifest: What the bundle holds and where it comes from.
        relations: Scored relations, in the order of their indices.
        heads: Ids and names of the head type; `tails` of the tail type.
        tables: The opened HDF5 file; `beside` is what stands beside a ranking.

    Raises:
        UserError: The folder is no bundle, is damaged, or is of a newer schema.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, verify: bool = True) -> None:
        self.path = Path(bundle)
        self.manifest = read_manifest(self.path)
        self._verify = verify
        if verify:
            verify_files(self.path, {EMBEDDINGS: self.manifest.files[EMBEDDINGS]})
        self.relations: tuple[str, ...] = tuple(self.manifest.relations)
        self.tables = OpenedTables(self.path, self.manifest)
        self.heads = self.tables.nodes(self.manifest.head_type)
        self.tails = self.tables.nodes(self.manifest.tail_type)
        self.beside = Beside(self.tables, (len(self.heads), len(self.tails)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables' files; what was read already stays usable."""
        self.tables.close()
        if "profiles" in self.__dict__:
            self.profiles.close()

    def relation(self, name: str | None) -> str:
        """A relation by name; None means the only one.

        Raises:
            UserError: There is none of that name, or there are several to choose from.
        """
        if name is None and len(self.relations) == 1:
            return self.relations[0]
        if name is not None and name not in self.relations:
            ends = self.manifest.head_type, self.manifest.tail_type
            name = next((one for one in self.relations if is_meant(name, ends[0], one, ends[1])), name)
        if name not in self.relations:
            title = "there are several relations" if name is None else f"there is no relation {name!r}"
            raise UserError(title, str(self.path), f"Choose one: {', '.join(self.relations)}.")
        return name

    def side_of(self, node_type: str) -> str:
        """`head` or `tail`, by a node type; in a bundle of other types `drug` means the head, `disease` the tail."""
        head_type, tail_type = self.manifest.head_type, self.manifest.tail_type
        if node_type in (head_type, tail_type):
            return "head" if node_type == head_type else "tail"
        if node_type == "drug":
            return "tail" if head_type == "disease" else "head"
        if node_type == "disease":
            return "head" if tail_type == "drug" else "tail"
        raise UserError(
            f"there is no node type {node_type!r}",
            str(self.path),
            f"The bundle holds {head_type} and {tail_type}.",
        )

    def nodes(self, side: str) -> NodeIndex:
        """Ids and names at a side, `head` or `tail`."""
        return self.heads if side == "head" else self.tails

    def row(self, side: str, node: str | int) -> int:
        """Row of the node at a side that a row, an id, a name or the beginning of a name means.

        Raises:
            UserError: None or several are meant.
        """
        nodes = self.nodes(side)
        if isinstance(node, str):
            return nodes.find(node)
        if not 0 <= node < len(nodes):
            raise UserError(f"there is no {nodes.node_type} number {node}", hint=f"Numbers are 0 to {len(nodes) - 1}.")
        return int(node)

    def is_calibrated(self, relation: str) -> bool:
        """Whether the relation's probabilities are calibrated."""
        return "slope" in self.manifest.calibration.get(relation, {})

    def training_pairs(self, relation: str | None = None) -> NDArray[np.int64]:
        """Rows (head, tail) of the pairs that a relation was trained on, int64 [n, 2]."""
        return self.tables.pairs(self.relation(relation), "train")

    def unembedded(self, side: str, relation: str | None = None) -> frozenset[int]:
        """Rows of the `head` or `tail` nodes that no training edge led to: all zeros, and left out of rankings."""
        return self.tables.unembedded(side, self.relation(relation))

    def waypoint(self, text: str) -> Waypoint:
        """The node of a third type that `text` means.

        Raises:
            UserError: None or several are meant, or the bundle holds no connections.
        """
        if "through" in self.manifest.missing:
            raise self.lacks("through", "connections of third nodes")
        return self.waypoints.find(text)

    def reached(self, through: str, side: str) -> Rows:
        """Rows of the `head` or `tail` nodes that the node meant by `through` reaches, int64 [n], ascending."""
        point = self.waypoint(through)
        return self.waypoints.reached(point, self.nodes(side).node_type)

    @cached_property
    def waypoints(self) -> Waypoints:
        """The third nodes of the bundle, and whom they join."""
        return Waypoints(self.tables, (self.manifest.head_type, self.manifest.tail_type))

    @cached_property
    def profiles(self) -> ProfileTables:
        """What the graph says of heads and tails besides their labels; opened when first asked for.

        Raises:
            UserError: The bundle holds none, or they are damaged.
        """
        if PROFILES in self.manifest.files:
            return ProfileTables(self.path, self.manifest, self.tables, self._verify)
        if "profiles" in self.manifest.missing:
            raise self.lacks("profiles", "profiles")
        raise UserError(
            "the bundle holds no profiles: it was exported without them",
            str(self.path),
            f"Export it with them: flykd-console export {self.manifest.run} --profiles",
        )

    def lacks(self, what: str, words: str) -> UserError:
        """The error for what a bundle lacks since its run left no such file."""
        file = self.manifest.missing.get(what, "the file")
        return UserError(
            f"the bundle holds no {words}, since its run left no {file}",
            str(self.path),
            f"flykd-console run --resume {self.manifest.run} writes it (without training); then export again.",
        )

    def unknown(self, side: str, row: int) -> UserError:
        """The error for a node that no training edge leads to."""
        nodes = self.nodes(side)
        return UserError(
            f"the model knows nothing of the {nodes.node_type} {nodes.names[row]!r}: no training edge leads to it, "
            "and every score would be 0",
            str(self.path),
            f"Ask for another {nodes.node_type}.",
        )

"""What frozen teachers give a student: the soft labels of pairs, and the targets of the structure losses.

    total = normalised λ . label sources + weight_lsp L_lsp + weight_hidden L_hidden
            + rank_weight L_anchor_rank + distribution_weight L_anchor_distribution

Teachers are run once, with the rows of every layer that a loss compares. The student's pass then gives its own rows of
those layers along with its embeddings; where no loss compares layers, it is the plain pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.labels.pair_space import SoftLabels
from flykd_console.distill.structure.anchor import AnchorMatching
from flykd_console.distill.structure.hidden import HiddenMatching, matched_nodes
from flykd_console.distill.structure.layer_rows import LayerRows, Reader
from flykd_console.distill.structure.lsp import LocalStructure, Neighbourhood
from flykd_console.distill.teachers import mean_of
from flykd_console.errors import UserError
from flykd_console.seeding import torch_rng

if TYPE_CHECKING:
    from flykd_console.model.link_encoder import Encoded
    from flykd_console.model.propagation.base import Layers
    from flykd_console.model.rgcn import HeteroRGCN
    from flykd_console.tasks.link_prediction.task import Task
    from flykd_console.training.session import Resumable


class Guidance:
    """Soft labels and structure losses of one student.

    Attributes:
        soft: The teachers' label of every pair.
        parameters: What structure losses learn besides the student: the maps of hidden layers.
        generators: Draws that a checkpoint keeps, by name.
        resumables: What else it keeps.
    """

    def __init__(self, task: Task, teachers: Sequence[HeteroRGCN], student: HeteroRGCN, stage: str) -> None:
        settings = task.profile.distill
        mine, theirs = LayerRows(student.layers), [LayerRows(teacher.layers) for teacher in teachers]
        neighbours = neighbourhood(task)
        compared = settings.lsp.layers if neighbours is not None else []
        self._lsp_rows = [mine.ask(layer, neighbours.nodes) for layer in compared if neighbours is not None]
        lsp_rows = [
            [rows.ask(layer, neighbours.nodes) for layer in compared if neighbours is not None] for rows in theirs
        ]

        pairs = settings.hidden.layers if settings.hidden.weight > 0.0 else []
        nodes = [matched_nodes(task.messages, task.targets, layer == student.layers) for _, layer in pairs]
        self._hidden_rows = [mine.ask(layer, chosen) for (_, layer), chosen in zip(pairs, nodes, strict=True)]
        hidden_rows = [
            [rows.ask(layer, chosen) for (layer, _), chosen in zip(pairs, nodes, strict=True)] for rows in theirs
        ]

        encoded, layers = [], []
        for teacher, rows in zip(teachers, theirs, strict=True):
            embeddings, outputs = _frozen(task, teacher, rows)
            encoded.append(embeddings)
            layers.append(outputs)
        self.soft = SoftLabels(task.distilling_space, mean_of(encoded))
        self._has_layers = mine.hidden() is not None
        self._encode = task.distilling_encoder(student, mine.hidden())

        self.parameters: list[torch.nn.Parameter] = []
        self.generators: dict[str, torch.Generator] = {}
        self.resumables: list[Resumable] = []
        self._lsp = self._hidden = self._anchors = None
        if neighbours is not None:
            self._lsp = LocalStructure(settings.lsp, neighbours, _read(lsp_rows, layers), task.device)
        if pairs:
            scored = sorted({task.targets[0].head, task.targets[0].tail})
            generator = torch_rng(task.seed, f"{stage}/hidden_map")
            targets = _read(hidden_rows, layers)
            self._hidden = HiddenMatching(
                settings.hidden, task.messages, nodes, scored, targets, student.dim, generator
            )
            self.parameters, self.resumables = self._hidden.parameters, [self._hidden]
        if settings.anchor.rank_weight > 0.0 or settings.anchor.distribution_weight > 0.0:
            self.generators = {"anchors": task.generator(f"{stage}/anchors")}
            self._anchors = AnchorMatching(
                task.distilling_space, self.soft, settings.anchor, self.generators["anchors"]
            )
        self._weights = {
            "lsp": settings.lsp.weight,
            "hidden": settings.hidden.weight,
            "anchor_rank": settings.anchor.rank_weight,
            "anchor_distribution": settings.anchor.distribution_weight,
        }

    def encode(self, student: HeteroRGCN) -> tuple[Encoded, Layers]:
        """The student's embeddings and the rows of its layers that losses compare; differentiable."""
        return self._encode.with_layers(student) if self._has_layers else (self._encode(student), [])

    def add(self, losses: dict[str, Tensor], encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        """The label sources' losses with the structure losses, unweighted, and their weighted sum in `total`."""
        structure: dict[str, Tensor] = {}
        if self._lsp is not None:
            structure["lsp"] = self._lsp([rows(layers) for rows in self._lsp_rows])
        if self._hidden is not None:
            structure["hidden"] = self._hidden([rows(layers) for rows in self._hidden_rows])
        if self._anchors is not None:
            structure |= self._anchors(encoded)
        if not structure:
            return losses
        total = losses["total"] + torch.stack([self._weights[name] * x for name, x in structure.items()]).sum()
        return {name: x for name, x in losses.items() if name != "total"} | structure | {"total": total}


def neighbourhood(task: Task) -> Neighbourhood | None:
    """The neighbours that local structure preservation compares; None where its weight is 0.

    Raises:
        UserError: No tail has a neighbour under the profile's choice.
    """
    settings, relations = task.profile.distill.lsp, task.profile.graph.pooling.relations
    if settings.weight == 0.0:
        return None
    partial = settings.neighbourhood == "partial"
    found = Neighbourhood(task.split.train, task.targets[0].tail, relations if partial else None)
    if found.tail_count == 0:
        raise UserError(
            f"no {task.targets[0].tail} has a neighbour in the training edges of {', '.join(relations)}",
            "distill.lsp.neighbourhood",
            'Use neighbourhood = "full", or name relations of this graph in graph.pooling.relations.',
        )
    return found


@torch.no_grad()
def _frozen(task: Task, teacher: HeteroRGCN, rows: LayerRows) -> tuple[Encoded, Layers]:
    encode = task.distilling_encoder(teacher, rows.hidden())
    return (encode(teacher), []) if rows.hidden() is None else encode.with_layers(teacher)


def _read(readers: list[list[Reader]], layers: list[Layers]) -> list[list[dict[str, Tensor]]]:
    """Per teacher what each of its readers finds in its layers."""
    return [[read(outputs) for read in of_teacher] for of_teacher, outputs in zip(readers, layers, strict=True)]

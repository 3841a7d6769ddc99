"""What a distillation method is given of its task: where labels live, the graph, encoders and random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.graph.split.edge_split import Edges
    from flykd_console.graph.split.negatives import EvaluationPairs
    from flykd_console.heuristics.base import TrainingEdges
    from flykd_console.model.encoded import Encoder
    from flykd_console.model.link_model import LinkModel
    from flykd_console.model.message_graph import Hidden, MessageGraph
    from flykd_console.profile.negatives import Negatives


@dataclass(frozen=True)
class DistillInputs:
    """One student's view of its task.

    Attributes:
        space: The pairs that labels are about.
        targets: The relations that are learnt and scored.
        train: Training edges, one direction.
        messages: The edges that carry messages.
        pooling_relations: Names of the relations that say how similar two tails are.
        filter_negatives: Never draw a true pair as a negative.
        negatives: What true labels are told from.
        encoder: Prepares a pass over the space's heads and tails for a model, with the hidden rows that are asked for.
        generator: An independent generator on the device for a purpose of this student.
        host_generator: The same on the CPU.
        node_ids: The ids of all nodes of a type, by number: of any type of the graph, which are those of
            `messages.node_counts`. Raises UserError, which names them, for another.
        training: All that a heuristic may see.
        calibration: Validation pairs per relation by which scores are made probabilities: positives, and negatives
            that replace either end.
    """

    space: PairSpace
    targets: Targets
    train: Edges
    messages: MessageGraph
    pooling_relations: Sequence[str]
    filter_negatives: bool
    negatives: Negatives
    device: torch.device
    encoder: Callable[[LinkModel, Hidden | None], Encoder]
    generator: Callable[[str], torch.Generator]
    host_generator: Callable[[str], torch.Generator]
    node_ids: Callable[[str], Sequence[str]]
    training: Callable[[], TrainingEdges]
    calibration: Callable[[], Sequence[EvaluationPairs]]

"""Label sources, and how a profile composes them into one loss (FlyKD section 3).

A source names pairs and their labels for an epoch; a student's loss is the weighted mean of the sources' binary
cross-entropies. `original` is the supervised loss, which teacher and baseline train on alone.

    L_og  training edges labelled 1, one fresh negative each labelled 0
    L_pe  training edges with the teacher's soft labels, one fresh negative each labelled 0
    L_pr  the pairs of a random graph with the teacher's soft labels

Soft labels may have a temperature T (Hinton et al. 2015): a pair's loss is T² BCE(s / T, sigmoid(t / T)) for student
and teacher logits s and t. Labels that are 0 or 1 for certain have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.blocks import block_loss
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs, degree_weights

if TYPE_CHECKING:
    from flykd_console.distill.labels.pair_space import PairSpace, RelationPairs, SoftLabels
    from flykd_console.distill.labels.strong_pairs import StrongPairs
    from flykd_console.model.link_encoder import Encoded
    from flykd_console.profile import schema


@dataclass(frozen=True)
class LabelBatch:
    """Pairs and labels of one source for one epoch.

    Attributes:
        pairs: Per relation flat indices, int64 [n_r].
        labels: Per relation targets in [0, 1], float32 [n_r].
        constant: Summed loss and count of pairs whose loss does not depend on the model being trained.
        temperatures: Per relation each pair's temperature, float32 [n_r]; None: 1.
    """

    pairs: list[Tensor]
    labels: list[Tensor]
    constant: tuple[Tensor, int] | None = None
    temperatures: list[Tensor] | None = None


@runtime_checkable
class PairSource(Protocol):
    """Gives the pairs and labels of an epoch, to be scored together with those of other sources."""

    def batch(self, epoch: int) -> LabelBatch:
        """The batch of an epoch, counted from 0."""
        ...


@runtime_checkable
class BlockSource(Protocol):
    """Computes its loss itself, for labels too many to be listed."""

    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        """The mean loss of an epoch, counted from 0; differentiable."""
        ...


LabelSource = PairSource | BlockSource


class Negatives:
    """Fresh training negatives: the head stays, the tail is uniform over the relation's training tails."""

    _REDRAWS = 10

    def __init__(self, space: PairSpace, generator: torch.Generator, filter_true: bool = False) -> None:
        self._space = space
        self._generator = generator
        self._true = [_true_pairs(pairs) for pairs in space.relations] if filter_true else None

    def draw(self) -> list[Tensor]:
        """One negative per training edge, per relation flat indices int64 [E_r]."""
        drawn = [self._tails(pairs) for pairs in self._space.relations]
        for _ in range(self._REDRAWS if self._true is not None else 0):
            for i, (pairs, true) in enumerate(zip(self._space.relations, self._true or [], strict=True)):
                drawn[i] = torch.where(torch.isin(drawn[i], true), self._tails(pairs), drawn[i])
        return drawn

    def _tails(self, pairs: RelationPairs) -> Tensor:
        tails = torch.randint(
            pairs.known_count, (pairs.edge_count,), generator=self._generator, device=pairs.edge_heads.device
        )
        return pairs.flat(pairs.edge_heads, tails)


def _true_pairs(pairs: RelationPairs) -> Tensor:
    unique: Tensor = torch.unique(pairs.positives())
    return unique


class Original:
    """`L_og`."""

    def __init__(self, space: PairSpace, negatives: Negatives) -> None:
        self._positives = [pairs.positives() for pairs in space.relations]
        self._labels = [
            torch.cat([torch.ones(len(p), device=p.device), torch.zeros(len(p), device=p.device)])
            for p in self._positives
        ]
        self._negatives = negatives

    def batch(self, epoch: int) -> LabelBatch:
        pairs = [torch.cat(both) for both in zip(self._positives, self._negatives.draw(), strict=True)]
        return LabelBatch(pairs=pairs, labels=self._labels)


def _soft_labels(soft: SoftLabels, pairs: list[Tensor], temperature: float) -> list[Tensor]:
    """sigmoid(t / T) of the teacher's logits, per relation float32 [n_r]."""
    if temperature == 1.0:
        return soft.probabilities(pairs)
    return [torch.sigmoid(logits / temperature) for logits in soft.logits(pairs)]


def _temperatures(labels: list[Tensor], temperature: float) -> list[Tensor] | None:
    return None if temperature == 1.0 else [torch.full_like(x, temperature) for x in labels]


class PseudoTrain:
    """`L_pe`; the negatives may be scored by the student, by the frozen teacher (the published code), or left out."""

    def __init__(
        self, space: PairSpace, negatives: Negatives, soft: SoftLabels, scored_by: str, temperature: float = 1.0
    ) -> None:
        self._positives = [pairs.positives() for pairs in space.relations]
        self._soft = _soft_labels(soft, self._positives, temperature)
        self._temperatures = _temperatures(self._soft, temperature)
        self._teacher = soft
        self._negatives = negatives
        self._scored_by = scored_by

    def batch(self, epoch: int) -> LabelBatch:
        if self._scored_by == "none":
            return LabelBatch(pairs=self._positives, labels=self._soft, temperatures=self._temperatures)
        negatives = self._negatives.draw()
        if self._scored_by == "teacher":
            logits = torch.cat(self._teacher.logits(negatives))
            # Against the label 0 the cross-entropy of a logit is softplus(logit).
            constant = (functional.softplus(logits).sum(), len(logits))
            return LabelBatch(self._positives, self._soft, constant, self._temperatures)
        pairs = [torch.cat(both) for both in zip(self._positives, negatives, strict=True)]
        labels = [
            torch.cat([soft, torch.zeros_like(n, dtype=soft.dtype)])
            for soft, n in zip(self._soft, negatives, strict=True)
        ]
        temperatures = self._temperatures
        if temperatures is not None:
            temperatures = [torch.cat([t, torch.ones_like(t)]) for t in temperatures]
        return LabelBatch(pairs=pairs, labels=labels, temperatures=temperatures)


class PseudoRandom:
    """`L_pr`."""

    def __init__(self, graphs: RandomGraphs, soft: SoftLabels, temperature: float = 1.0) -> None:
        self._graphs = graphs
        self._soft = soft
        self._temperature = temperature

    def batch(self, epoch: int) -> LabelBatch:
        pairs = self._graphs.current(epoch)
        labels = _soft_labels(self._soft, pairs, self._temperature)
        return LabelBatch(pairs=pairs, labels=labels, temperatures=_temperatures(labels, self._temperature))


class PseudoBlocks:
    """`L_pr` on blocks: m heads with n tails drawn anew, or (`blocks` None) its expectation over all random graphs.

    The expectation weighs every pair of the support by the chance that a draw is that pair: p_head q_tail, each
    as `degree_weights` says. It is the limit of infinitely many labels, without sampling noise.

    Where only strong scores count (`strong`, with their chance to be drawn), a pair that does not qualify weighs
    nothing and the others are divided by the relations' mean chance: over blocks this has the same expectation as
    qualifying pairs drawn one by one, and the expectation itself is the mean over the qualifying pairs.
    """

    def __init__(
        self,
        space: PairSpace,
        soft: SoftLabels,
        blocks: RandomBlocks | None,
        settings: schema.RandomGraph,
        temperature: float = 1.0,
        strong: Sequence[StrongPairs] | None = None,
    ) -> None:
        self._space = space
        self._blocks = blocks
        self._temperature = temperature
        self._min_logit = settings.min_logit
        self._mass = None if strong is None else torch.stack([relation.mass for relation in strong]).mean().float()
        teacher = soft.teacher
        self._teacher = [
            (
                teacher.head.index_select(0, pairs.heads) * teacher.relation[pairs.relation],
                teacher.tails[pairs.relation],
            )
            for pairs in space.relations
        ]
        power, unseen = settings.degree_power, settings.unseen
        self._weights = [
            (p.float(), q.float()) for p, q in (degree_weights(pairs, power, unseen) for pairs in space.relations)
        ]

    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        total = []
        drawn = None if self._blocks is None else self._blocks.current(epoch)
        for i, pairs in enumerate(self._space.relations):
            heads = encoded.head.index_select(0, pairs.heads) * encoded.relation[pairs.relation]
            tails = encoded.tails[pairs.relation]
            teacher_heads, teacher_tails = self._teacher[i]
            p, q = self._weights[i]
            if drawn is not None:
                rows, columns = drawn[2 * i], drawn[2 * i + 1]
                heads, teacher_heads = heads.index_select(0, rows), teacher_heads.index_select(0, rows)
                tails, teacher_tails = tails.index_select(0, columns), teacher_tails.index_select(0, columns)
                p, q = (p.new_full((len(drawn_ends),), 1 / len(drawn_ends)) for drawn_ends in (rows, columns))
            if self._mass is not None:
                p = p / self._mass
            ends = (heads, tails, teacher_heads, teacher_tails)
            total.append(block_loss(*ends, p, q, self._temperature, self._min_logit))
        # Every relation has the same number of draws, so the mean over draws is the mean over relations.
        return torch.stack(total).mean()


def losses(
    space: PairSpace,
    encoded: Encoded,
    sources: Mapping[str, LabelSource],
    weights: Mapping[str, float | Tensor],
    epoch: int,
) -> dict[str, Tensor]:
    """Mean binary cross-entropy per source, and `total`, their weighted sum; sources of weight 0 are left out.

    A weight that is a tensor is never read back: its source takes part.

    Every source's pairs are scored together, so the score matrix is formed and differentiated once.
    """
    active = {name: source for name, source in sources.items() if _takes_part(weights.get(name, 0.0))}
    batches = {name: source.batch(epoch) for name, source in active.items() if isinstance(source, PairSource)}
    result: dict[str, Tensor] = {}
    if batches:
        result |= _pair_losses(space, encoded, batches)
    result |= {name: source.loss(encoded, epoch) for name, source in active.items() if isinstance(source, BlockSource)}
    result["total"] = torch.stack([weights[name] * loss for name, loss in result.items()]).sum()
    return result


def _takes_part(weight: float | Tensor) -> bool:
    return isinstance(weight, Tensor) or weight > 0.0


def _pair_losses(space: PairSpace, encoded: Encoded, batches: Mapping[str, LabelBatch]) -> dict[str, Tensor]:
    everything = [torch.cat(parts) for parts in zip(*(batch.pairs for batch in batches.values()), strict=True)]
    logits = space.logits(encoded, everything)
    pieces = [
        torch.split(relation_logits, [len(batch.pairs[i]) for batch in batches.values()])
        for i, relation_logits in enumerate(logits)
    ]
    result: dict[str, Tensor] = {}
    for number, (name, batch) in enumerate(batches.items()):
        scores = torch.cat([relation_pieces[number] for relation_pieces in pieces])
        squared = None
        if batch.temperatures is not None:
            temperatures = torch.cat(batch.temperatures)
            scores, squared = scores / temperatures, temperatures.square()
        labels = torch.cat(batch.labels)
        summed = functional.binary_cross_entropy_with_logits(scores, labels, squared, reduction="sum")
        count = len(scores)
        if batch.constant is not None:
            summed, count = summed + batch.constant[0], count + batch.constant[1]
        result[name] = summed / count
    return result

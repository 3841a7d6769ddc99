"""`L_pr`: the pairs of a random graph with the teacher's soft labels, made on the fly (FlyKD, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.labels.base import BlockSource, LabelBatch, LabelSource, PairSource
from flykd_console.distill.labels.blocks import block_loss
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs, degree_weights
from flykd_console.distill.labels.strong_pairs import StrongGraphs, StrongPairs, strong_pairs
from flykd_console.distill.labels.temperature import soft_labels, temperatures

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.profile.distill import Distill, RandomGraph


class PseudoRandom:
    """Builds the source that the profile's sampler asks for."""

    words = ("pseudo on random", "rand")
    soft = True

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> LabelSource:
        """Pairs one by one, blocks of them, or their expectation.

        Raises:
            UserError: No pair of a relation scores above `min_logit`, or too many to be listed.
        """
        recipe, space = settings.random_graph, inputs.space
        draw = inputs.generator("random_graph")
        strong = None
        if recipe.min_logit is not None:
            strong = strong_pairs(space, teacher, recipe, listed=recipe.sampler == "pairs")
        source: LabelSource
        if recipe.sampler != "pairs":
            blocks = RandomBlocks(space, recipe, draw) if recipe.sampler == "blocks" else None
            source = RandomPairBlocks(space, teacher, blocks, recipe, settings.temperature, strong)
        elif strong is not None:
            source = RandomPairs(StrongGraphs(space, recipe, draw, strong), teacher, settings.temperature)
        else:
            source = RandomPairs(RandomGraphs(space, recipe, draw), teacher, settings.temperature)
        source.generators = {"random_graph": draw}
        for found, pairs in zip(strong or [], space.relations, strict=False):
            source.notes.append(
                f"{found.relation}: {found.count} of {pairs.area} pairs score above {recipe.min_logit:g},"
                f" {100 * float(found.mass):.3g} % of what is drawn"
            )
        return source


class RandomPairs(PairSource):
    """`L_pr` on pairs drawn one by one, as in the paper."""

    def __init__(self, graphs: RandomGraphs, soft: Teacher, temperature: float = 1.0) -> None:
        super().__init__()
        self.graphs = self._graphs = graphs
        self._soft = soft
        self._temperature = temperature

    def batch(self, epoch: int) -> LabelBatch:
        pairs = self._graphs.current(epoch)
        labels = soft_labels(self._soft, pairs, self._temperature)
        return LabelBatch(pairs=pairs, labels=labels, temperatures=temperatures(labels, self._temperature))


class RandomPairBlocks(BlockSource):
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
        teacher: Teacher,
        blocks: RandomBlocks | None,
        settings: RandomGraph,
        temperature: float = 1.0,
        strong: Sequence[StrongPairs] | None = None,
    ) -> None:
        super().__init__()
        self.graphs = blocks
        self._space = space
        self._blocks = blocks
        self._temperature = temperature
        self._min_logit = settings.min_logit
        self._mass = None if strong is None else torch.stack([relation.mass for relation in strong]).mean().float()
        self._teacher = teacher
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
            p, q = self._weights[i]
            rows = columns = None
            if drawn is not None:
                rows, columns = drawn[2 * i], drawn[2 * i + 1]
                heads, tails = heads.index_select(0, rows), tails.index_select(0, columns)
                p, q = p.new_full((len(rows),), 1 / len(rows)), q.new_full((len(columns),), 1 / len(columns))
            if self._mass is not None:
                p = p / self._mass
            teacher = self._teacher.block(i, rows, columns)
            total.append(block_loss(heads, tails, teacher, p, q, self._temperature, self._min_logit))
        # Every relation has the same number of draws, so the mean over draws is the mean over relations.
        return torch.stack(total).mean()


SOURCE = PseudoRandom

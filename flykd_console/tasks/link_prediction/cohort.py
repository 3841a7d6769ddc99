"""What students of links minimise that teach each other: FlyKD's losses, with the others in the teacher's place.

    L = sum over members j of λ_original L_og(z_j) + λ_pseudo_train L_pe(z_j) + λ_pseudo_random L_pr(z_j) + ...

by the normalised weights of `distill/curriculum`, and with the labels of `distill/cohort/pair_targets`. Every member
draws the negatives of its true labels from the stream that it draws from alone, so that without the others' labels it
is trained bit for bit as alone. Pairs that several members label are drawn once for all: their logits, which each
member gives anyway, are what it teaches by.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.cohort.module_state import ModuleState
from flykd_console.distill.cohort.pair_targets import PairGate, PairTargets, Peers
from flykd_console.distill.cohort.relation_weights import relation_weights, units_of
from flykd_console.distill.labels.base import BlockSource, LabelBatch, LabelSource, PairSource
from flykd_console.distill.labels.losses import cross_entropy_of, logits_of, takes_part
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.random_graph import RandomGraphs
from flykd_console.distill.labels.sources.original import true_labels
from flykd_console.distill.labels.sources.pseudo_lists import PseudoLists
from flykd_console.distill.labels.sources.pseudo_random import PseudoRandom
from flykd_console.distill.method import curriculum_of
from flykd_console.profile.cohort_models import ALONE, COHORT
from flykd_console.tasks.base import Objective, Weights

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.link_model import LinkModel
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.mutual import StudentCohort

ORIGINAL, TRAIN, RANDOM, LISTS = "original", "pseudo_train", "pseudo_random", "pseudo_lists"
# Pairs that all members score: training edges, negatives of `pseudo_train`, random graphs.
_EDGES, _NEGATIVES, _GRAPHS = "edges", "negatives", "graphs"


class StudentsObjective(Objective):
    """The sum of the members' losses.

    Args:
        distill: What they learn from, and by which weights.
        mutual: Whose labels they learn.
        inputs_of: Their view of the task, by the name of a stream of draws.
        models: The members by name.
        seed: Of the weighting units.
    """

    def __init__(
        self,
        distill: Distill,
        mutual: StudentCohort,
        inputs_of: Callable[[str], DistillInputs],
        models: Mapping[str, LinkModel],
        seed: int,
    ) -> None:
        super().__init__()
        inputs = inputs_of(COHORT)
        self._models, self._space = models, inputs.space
        self._sources, self._temperature = distill.sources, distill.temperature
        self.curriculum = curriculum_of(distill)
        self._encode = {name: inputs.encoder(model, None) for name, model in models.items()}
        self._gate = PairGate(len(models)).to(inputs.device) if mutual.target == "gate" else None
        self._targets = PairTargets(mutual.target, distill.temperature, self._gate)
        self._peers = {name: Peers(inputs.space, self._targets) for name in models}
        self._edges = [pairs.positives() for pairs in inputs.space.relations]
        count = sum(map(len, self._edges))
        self._units = units_of(mutual.logit_weighting, list(models), count, len(self._edges), seed, inputs.device)
        self._negatives = self._drawn_negatives(distill, inputs)
        self._graphs = self._drawn_graphs(distill, inputs)
        self._own: dict[str, dict[str, LabelSource]] = {name: {} for name in models}
        for name in models:
            self._build_own(name, distill, inputs_of)
        self._keep_modules()

    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        active = [name for name in self._sources if takes_part(weights.get(name, 0.0))]
        encoded = {name: self._encode[name](model) for name, model in self._models.items()}
        shared = self._shared(active, epoch)
        batches = {name: self._batches(name, active, epoch) for name in self._models}
        logits = {}
        for name in self._models:
            pairs = {source: batch.pairs for source, batch in batches[name].items()} | shared
            logits[name] = logits_of(self._space, encoded[name], pairs) if pairs else {}
        scales = {name: relation_weights(unit, logits[name][_EDGES]) for name, unit in self._units.items() if shared}
        parts = {}
        for name in self._models:
            own = {source: cross_entropy_of(logits[name][source], batch) for source, batch in batches[name].items()}
            own |= self._of_blocks(name, active, encoded, epoch)
            parts[name] = own | self._from_others(name, active, logits, scales)
        return self._summed(parts, active, weights, logits)

    @property
    def notes(self) -> list[str]:
        """Between which bounds the units' weights lay."""
        return [
            f"relation weights of {name} between {unit.low:.2f} and {unit.high:.2f}"
            for name, unit in self._units.items()
        ]

    def variant(self, epoch: int) -> Hashable:
        return self._graphs is not None and self._graphs.redraws(epoch)

    # What members draw.

    def _drawn_negatives(self, distill: Distill, inputs: DistillInputs) -> Negatives | None:
        """Those of the training edges that the others label; all members have the same."""
        if TRAIN not in distill.sources or distill.pseudo_negatives == "none":
            return None
        draw = self.generators["pseudo_negatives"] = inputs.generator("pseudo_negatives")
        return Negatives(inputs.space, draw, inputs.filter_negatives, inputs.negatives)

    def _drawn_graphs(self, distill: Distill, inputs: DistillInputs) -> RandomGraphs | None:
        """Random graphs of listed pairs; all members have the same."""
        if RANDOM not in distill.sources or distill.random_graph.sampler != "pairs":
            return None
        draw = self.generators["random_graph"] = inputs.generator("random_graph")
        graphs = RandomGraphs(inputs.space, distill.random_graph, draw)
        self.stateful["graphs"] = graphs
        return graphs

    def _build_own(self, name: str, distill: Distill, inputs_of: Callable[[str], DistillInputs]) -> None:
        """A member's true labels, and labels too many to be listed."""
        own, peers, inputs = self._own[name], self._peers[name], inputs_of(name)
        if ORIGINAL in distill.sources:
            alone = inputs_of(f"{ALONE}{name}")
            draw = alone.generator("negatives")
            own[ORIGINAL] = true_labels(alone.space, draw, alone.filter_negatives, alone.negatives)
        if RANDOM in distill.sources and self._graphs is None:
            own[RANDOM] = PseudoRandom.build(distill, inputs, peers)
        if LISTS in distill.sources:
            own[LISTS] = PseudoLists.build(distill, inputs, peers)
        for source in own.values():
            self.generators |= {f"{purpose}-{name}": draw for purpose, draw in source.generators.items()}
            if source.graphs is not None:
                self.stateful[f"graphs-{name}"] = source.graphs

    def _keep_modules(self) -> None:
        """What is trained besides the members, and thrown away with the stage."""
        modules: dict[str, torch.nn.Module] = {f"unit-{name}": unit for name, unit in self._units.items()}
        if self._gate is not None:
            modules["gate"] = self._gate
        for name, module in modules.items():
            self.parameters += list(module.parameters())
            self.stateful[name] = ModuleState(module)

    # What they lose.

    def _shared(self, active: Sequence[str], epoch: int) -> dict[str, list[Tensor]]:
        """The pairs that all members score in this epoch, per relation flat indices."""
        found: dict[str, list[Tensor]] = {}
        draws_graphs = RANDOM in active and self._graphs is not None
        if TRAIN in active or (draws_graphs and self._units):
            found[_EDGES] = self._edges
        if TRAIN in active and self._negatives is not None:
            found[_NEGATIVES] = self._negatives.draw()
        if draws_graphs:
            assert self._graphs is not None
            found[_GRAPHS] = self._graphs.current(epoch)
        return found

    def _batches(self, name: str, active: Sequence[str], epoch: int) -> dict[str, LabelBatch]:
        """A member's own labelled pairs."""
        own = self._own[name].items()
        return {key: one.batch(epoch) for key, one in own if key in active and isinstance(one, PairSource)}

    def _of_blocks(
        self, name: str, active: Sequence[str], encoded: Mapping[str, Encoded], epoch: int
    ) -> dict[str, Tensor]:
        """Losses over labels too many to be listed."""
        blocks = {key: one for key, one in self._own[name].items() if key in active and isinstance(one, BlockSource)}
        if set(blocks) - {ORIGINAL}:
            self._peers[name].stand(encoded, name)
        return {key: one.loss(encoded[name], epoch) for key, one in blocks.items()}

    def _from_others(
        self,
        name: str,
        active: Sequence[str],
        logits: Mapping[str, Mapping[str, list[Tensor]]],
        scales: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """A member's losses on the pairs that all score, under the labels of those who teach it."""
        own, found = logits[name], {}
        if TRAIN in active:
            said, batch = self._labelled(name, _EDGES, logits, scales)
            if self._negatives is not None:
                said, batch = _with_negatives(said, batch, own[_NEGATIVES])
            found[TRAIN] = cross_entropy_of(said, batch)
        if RANDOM in active and self._graphs is not None:
            found[RANDOM] = cross_entropy_of(*self._labelled(name, _GRAPHS, logits, scales))
        return found

    def _labelled(
        self,
        name: str,
        listed: str,
        logits: Mapping[str, Mapping[str, list[Tensor]]],
        scales: Mapping[str, Tensor],
    ) -> tuple[list[Tensor], LabelBatch]:
        """A member's logits of listed pairs, and the labels that the others give them."""
        said, labels = [], []
        for relation in range(len(self._edges)):
            each = {peer: of[listed][relation] for peer, of in logits.items()}
            if scales:
                each = {peer: scores * scales[peer][relation] for peer, scores in each.items()}
            told = self._targets.of([each[peer] for peer in self._targets.teaching(name, list(each))])
            said.append(each[name])
            labels.append(torch.sigmoid(told / self._temperature))
        temperatures = None
        if self._temperature != 1.0:
            temperatures = [torch.full_like(label, self._temperature) for label in labels]
        return said, LabelBatch(pairs=[], labels=labels, temperatures=temperatures)

    def _summed(
        self,
        parts: Mapping[str, Mapping[str, Tensor]],
        active: Sequence[str],
        weights: Weights,
        logits: Mapping[str, Mapping[str, list[Tensor]]],
    ) -> dict[str, Tensor]:
        """By source its mean over the members, and the total that is minimised: the sum over them."""
        totals = [torch.stack([weights[key] * of[key] for key in active]).sum() for of in parts.values()]
        total = torch.stack(totals).sum()
        if self._gate is not None and TRAIN in active:
            total = total + self._gate_loss(self._gate, logits)
        told = {key: torch.stack([of[key].detach() for of in parts.values()]).mean() for key in active}
        return told | {"total": total}

    def _gate_loss(self, gate: PairGate, logits: Mapping[str, Mapping[str, list[Tensor]]]) -> Tensor:
        """By which the gate learns: training edges against their negatives."""
        edges = [torch.cat(of[_EDGES]) for of in logits.values()]
        negatives = [torch.cat(of[_NEGATIVES]) for of in logits.values()]
        labels = torch.cat([torch.ones_like(edges[0]), torch.zeros_like(negatives[0])])
        return gate.loss([torch.cat(both) for both in zip(edges, negatives, strict=True)], labels.detach())


def _with_negatives(said: list[Tensor], batch: LabelBatch, negatives: list[Tensor]) -> tuple[list[Tensor], LabelBatch]:
    """The same and pairs that are labelled 0 for certain, which have no temperature."""
    labels = [torch.cat([soft, torch.zeros_like(n)]) for soft, n in zip(batch.labels, negatives, strict=True)]
    temperatures = batch.temperatures
    if temperatures is not None:
        temperatures = [torch.cat([t, torch.ones_like(n)]) for t, n in zip(temperatures, negatives, strict=True)]
    both = [torch.cat(pieces) for pieces in zip(said, negatives, strict=True)]
    return both, LabelBatch(pairs=[], labels=labels, temperatures=temperatures)

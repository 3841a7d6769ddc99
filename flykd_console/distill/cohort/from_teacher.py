"""What a member learns from a teacher that was trained before it: answers, hidden rows, local structure.

response    T^2 KL(softmax(z_t / T) || softmax(z_s / T))                             Hinton et al. 2015
hidden      mean over matched layers of MSE(h_s M / |h_s M|, h_t / |h_t|), M trained Romero et al. 2015 (FitNets)
structure   mean_v KL(t_v || s_v) over the neighbours of v; s_v = softmax_u of -|h_u - h_v|^2 / 2 of rows of length 1
            in the last hidden layer; t_v the same of the teacher's       (Yang et al. 2020, LSP), or its attention,
            or the length of the gradient of its answer at v by what it hears from u
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from flykd_console.distill.cohort.divergence import divergence
from flykd_console.distill.cohort.importance import edge_importance
from flykd_console.distill.cohort.lessons import Answers
from flykd_console.model.encoders.layers import glorot
from flykd_console.model.encoders.network import SampleNetwork, Seen, Sight
from flykd_console.model.neighbourhoods import softmax_by

if TYPE_CHECKING:
    from flykd_console.profile.cohort import TeacherLessons


def matched_layers(settings: TeacherLessons, teacher: int, member: int) -> list[tuple[int, int]]:
    """(teacher's, member's) hidden layers that are compared, counted from 1.

    `every` spreads the teacher's evenly: member's layer l meets its layer ceil(l L_t / L_s), of the hidden ones.
    """
    if isinstance(settings.hidden_layers, list):
        return list(settings.hidden_layers)
    return [(-(-layer * teacher // member), layer) for layer in range(1, member + 1)]


class TeacherLosses(nn.Module):
    """A member's losses by a teacher, with the maps from its hidden rows to the teacher's.

    Args:
        settings: `[cohort.distill]`.
        teacher: Frozen.
        member: The student.
        generator: Of the maps, on the CPU.
    """

    def __init__(
        self, settings: TeacherLessons, teacher: SampleNetwork, member: SampleNetwork, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.settings = settings
        # Not registered: its weights stay, and are not this module's to save.
        self._teacher = [teacher]
        self.maps = nn.ParameterList()
        self.matched: list[tuple[int, int]] = []
        if settings.hidden_weight > 0.0:
            theirs, ours = _hidden_widths(teacher), _hidden_widths(member)
            self.matched = matched_layers(settings, len(theirs), len(ours))
            self.maps.extend(glorot(ours[s - 1], theirs[t - 1], generator) for t, s in self.matched)
        self._targets: dict[int, Tensor] = {}

    def response(self, told: Seen, seen: Seen, answers: Answers) -> Tensor:
        """The divergence of answers."""
        theirs, ours = told.logits, seen.logits
        if self.settings.on == "labelled":
            theirs, ours = theirs[answers.labelled], ours[answers.labelled]
        return divergence(theirs, ours, self.settings.temperature)

    def hidden(self, told: Seen, seen: Seen) -> Tensor:
        """The distance of matched hidden rows of length 1, a mean over layers, rows and columns."""
        found = []
        for (theirs, ours), matrix in zip(self.matched, self.maps, strict=True):
            mapped = normalize(seen.hidden[ours - 1] @ matrix, dim=1)
            found.append((mapped - normalize(told.hidden[theirs - 1], dim=1)).square().sum(dim=1).mean())
        return torch.stack(found).mean()

    def structure(self, told: Seen, seen: Seen, sight: Sight, key: int | None) -> Tensor:
        """The divergence of what neighbours count for; `key`: of a sight that comes again: its target is made once."""
        sources, targets, kept = _without_loops(sight)
        target = self._targets.get(key) if key is not None else None
        if target is None:
            target = self._target(told, sight, sources, targets, kept)
        if key is not None:
            self._targets[key] = target
        said = softmax_by(_likeness(seen.hidden[-1], sources, targets), targets, sight.around.nodes)
        terms = target * (torch.log(target.clamp_min(1e-12)) - torch.log(said.clamp_min(1e-12)))
        return terms.sum() / sight.around.nodes

    @torch.no_grad()
    def _target(self, told: Seen, sight: Sight, sources: Tensor, targets: Tensor, kept: Tensor) -> Tensor:
        """By edge what the source counts to the target, summing to 1 over a node's neighbours."""
        nodes = sight.around.nodes
        if self.settings.structure_target == "similarity":
            return softmax_by(_likeness(told.hidden[-1], sources, targets), targets, nodes)
        if self.settings.structure_target == "attention":
            assert told.attention is not None
            counts = told.attention.mean(dim=1)[kept]
        else:
            counts = edge_importance(self._teacher[0], sight, told)[kept]
        total = torch.zeros(nodes, device=counts.device).index_add(0, targets, counts)
        return counts / total[targets].clamp_min(1e-12)


def _hidden_widths(network: SampleNetwork) -> list[int]:
    widths = [layer.width for layer in network.layers_in_order]
    return widths if network.of_graphs else widths[:-1]


def _without_loops(sight: Sight) -> tuple[Tensor, Tensor, Tensor]:
    """Sources and targets of the edges between different nodes, and where they stand among all."""
    around = sight.around
    kept = torch.nonzero(around.sources != around.targets).squeeze(1)
    return around.sources[kept], around.targets[kept], kept


def _likeness(rows: Tensor, sources: Tensor, targets: Tensor) -> Tensor:
    """-|h_u - h_v|^2 / 2 of rows of length 1: their cosine less 1, [k]."""
    unit = normalize(rows, dim=1)
    return (unit[sources] * unit[targets]).sum(dim=1) - 1.0

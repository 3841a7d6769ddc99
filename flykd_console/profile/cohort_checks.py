"""What no single key of `[data]` and `[cohort]` can tell: settings that contradict each other, or could never act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flykd_console.profile.cohort_models import ALONE, TAKEN
from flykd_console.profile.samples import EMBEDDED_TYPED
from flykd_console.runs.directory import KEY_COLUMNS
from flykd_console.runs.robustness import robustness_name

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort, Network, Robustness
    from flykd_console.profile.samples import Data

SAMPLE_COLUMNS = ("sample_id", "label")


def check(data: Data, cohort: Cohort, kind: str) -> None:
    """Refuse tables that do not fit together.

    Raises:
        ValueError: The first contradiction, beginning with the key.
    """
    _check_data(data, kind)
    if not cohort.members:
        raise ValueError("cohort.members needs at least one: add a table [cohort.members.NAME]")
    for name, member in cohort.members.items():
        # A model's name is part of file names, and that of a column.
        if name in (*TAKEN, *SAMPLE_COLUMNS, *KEY_COLUMNS) or name.startswith(ALONE):
            raise ValueError(f"cohort.members.{name}: the name is taken; choose another one")
        _check_network(f"cohort.members.{name}", member)
        if kind == "graph_classification" and member.kind == "rgcn":
            raise ValueError(
                f"cohort.members.{name}.kind = 'rgcn' is of nodes: edges of graphs are all of one relation"
            )
    if cohort.distill.takes_part:
        _check_network("cohort.teacher", cohort.teacher)
    _check_mutual(cohort)
    _check_lessons(cohort)
    _check_robustness(cohort.robustness)
    if kind == "node_classification" and cohort.batch:
        raise ValueError("cohort.batch is of graphs: nodes are always taken at once (leave it at 0)")
    if cohort.patience * cohort.validate_every >= cohort.epochs:
        raise ValueError(f"cohort.patience = {cohort.patience} can never end a stage of {cohort.epochs} epochs")


def _check_data(data: Data, kind: str) -> None:
    of_graphs = kind == "graph_classification"
    if of_graphs and data.source == EMBEDDED_TYPED:
        raise ValueError(f"data.source = {data.source!r} is of nodes: 'embedded' has graphs")
    allowed = ("folds",) if of_graphs else ("given", "per_class", "by_time")
    if data.split not in allowed:
        what = "graphs" if of_graphs else "nodes"
        raise ValueError(f"data.split = {data.split!r} is not one of {what}: {', '.join(allowed)}")


def _check_network(key: str, network: Network) -> None:
    if network.kind != "gat" and network.heads != type(network).model_fields["heads"].default:
        raise ValueError(f"{key}.heads belongs to kind = 'gat', but the kind is {network.kind!r}")


def _check_robustness(robustness: Robustness) -> None:
    names = [robustness_name(*one) for one in robustness.strengths]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"cohort.robustness: {name.replace('@', ' = ')} is named twice")
    if not names and robustness != type(robustness)():
        raise ValueError("cohort.robustness.draws says nothing without strengths: name some, or leave it out")


def _check_mutual(cohort: Cohort) -> None:
    mutual = cohort.mutual
    if mutual.weight > 0.0 and len(cohort.members) < 2:
        raise ValueError("cohort.mutual.weight is above 0, but there is one member alone: add another one")
    if mutual.logit_weighting.kind != "none" and (mutual.weight == 0.0 or mutual.target != "peers"):
        raise ValueError(
            "cohort.mutual.logit_weighting weighs what peers say: set cohort.mutual.weight, and target = 'peers'"
        )
    if mutual.weight > 0.0 and mutual.target == "min_logit" and mutual.on == "all":
        raise ValueError("cohort.mutual.target = 'min_logit' is taken at the label: set cohort.mutual.on = 'labelled'")
    if mutual.target == "gate" and mutual.update == "in_turn":
        raise ValueError("cohort.mutual.update = 'in_turn' does not apply to target = 'gate': the gate learns at once")
    if mutual.weight > 0.0:
        points = cohort.curriculum.peers
        if max(weight for _, weight in points) == 0.0:
            raise ValueError("cohort.curriculum.peers is 0 throughout, though cohort.mutual.weight is above 0")


def _check_lessons(cohort: Cohort) -> None:
    lessons, teacher = cohort.distill, cohort.teacher
    if lessons.structure_weight > 0.0 and lessons.structure_target == "attention" and teacher.kind != "gat":
        raise ValueError(
            f"cohort.distill.structure_target = 'attention' needs a gat, but cohort.teacher.kind = {teacher.kind!r}"
        )
    if isinstance(lessons.hidden_layers, list):
        _check_pairs(lessons.hidden_layers)
    if lessons.structure_weight > 0.0 and lessons.structure_target == "gradient" and teacher.kind == "rgcn":
        raise ValueError("cohort.distill.structure_target = 'gradient' is not of an rgcn: take 'similarity'")
    for name, member in cohort.members.items():
        if lessons.hidden_weight > 0.0 and min(member.layers, teacher.layers) < 2:
            raise ValueError(f"cohort.distill.hidden_weight compares hidden layers, but {name} or the teacher has none")
        pairs = lessons.hidden_layers if isinstance(lessons.hidden_layers, list) else []
        for theirs, ours in pairs:
            # The last layer gives logits, which response compares.
            if theirs >= teacher.layers or ours >= member.layers:
                raise ValueError(
                    f"cohort.distill.hidden_layers: [{theirs}, {ours}] does not fit: the teacher has "
                    f"{teacher.layers - 1} hidden layers, {name} has {member.layers - 1}"
                )


def _check_pairs(pairs: Sequence[tuple[int, int]]) -> None:
    if not pairs:
        raise ValueError('cohort.distill.hidden_layers names no layers: give pairs, or "every"')
    for place, pair in enumerate(pairs):
        if pair in pairs[:place]:
            raise ValueError(f"cohort.distill.hidden_layers names {list(pair)} twice")

"""What the keys of a profile must agree on; called by the models of `schema`, which see to each key by itself.

A check raises ValueError with a sentence that names the keys in question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flykd_console.profile.schema import Distill, Profile, Split

# Kinds of split that take no fractions, and why.
_FIXED_SPLITS = {
    "disease": "validates on 5 % of the drug edges that it leaves",
    "full_graph": "trains on 95 % and validates on 5 %",
    "files": "has its parts given",
}


def check_split(split: Split) -> None:
    """What each kind of split needs, and what belongs to another."""
    needed = {"disease_area": ("area",), "disease": ("diseases",), "files": ("train", "validation", "test")}
    for kind, keys in needed.items():
        for key in keys:
            given = bool(getattr(split, key))
            if split.kind == kind and not given:
                raise ValueError(f"kind = {kind!r} needs split.{key}")
            if split.kind != kind and given:
                raise ValueError(f"split.{key} belongs to kind = {kind!r}, but the kind is {split.kind!r}")
    if split.kind in _FIXED_SPLITS and split.fractions != type(split).model_fields["fractions"].default:
        raise ValueError(f"split.fractions does not apply: kind = {split.kind!r} {_FIXED_SPLITS[split.kind]}")


def check_profile(profile: Profile) -> None:
    """What the tables of a profile ask of each other."""
    distill = profile.distill
    _some_weight_everywhere(distill)
    _labels_have_their_source(distill)
    if distill.lsp.weight > 0.0:
        _lsp_fits(profile)
    if distill.hidden.weight > 0.0:
        pairs = distill.hidden.layers
        if len(set(pairs)) != len(pairs):
            raise ValueError("distill.hidden.layers names a pair twice")
        _layers_exist(profile, "distill.hidden.layers", [t for t, _ in pairs], [s for _, s in pairs])
    graphs = distill.random_graph
    if graphs.sampler == "exact" and graphs.refresh_every != 1:
        raise ValueError(
            f"distill.random_graph.refresh_every = {graphs.refresh_every} does not apply: sampler = 'exact' draws "
            "no graphs (leave it at 1)"
        )
    _stages_can_end(profile)
    if distill.epochs == 0:
        _nothing_for_a_student(distill)


def _some_weight_everywhere(distill: Distill) -> None:
    curriculum, sources = distill.curriculum, distill.sources
    fractions = sorted({0.0, 1.0} | {f for s in sources for f, _ in getattr(curriculum, s)})
    for fraction in fractions:
        if sum(curriculum.weight(s, fraction) for s in sources) <= 0.0:
            raise ValueError(f"distill.curriculum: at {fraction:.0%} of the epochs every loss weight is 0")


def _labels_have_their_source(distill: Distill) -> None:
    curriculum, graphs = distill.curriculum, distill.random_graph
    for source in type(curriculum).model_fields:
        if source != "shape" and source in curriculum.model_fields_set and source not in distill.sources:
            raise ValueError(
                f"distill.curriculum.{source} is set, but {source} is not among distill.sources: "
                "add it there, or leave the curriculum out"
            )
    for key, is_set in {"min_logit": graphs.min_logit is not None, "unseen": graphs.unseen > 0.0}.items():
        if is_set and "pseudo_random" not in distill.sources:
            raise ValueError(
                f"distill.random_graph.{key} is set, but pseudo_random is not among distill.sources: add it there"
            )


def _lsp_fits(profile: Profile) -> None:
    lsp = profile.distill.lsp
    if len(set(lsp.layers)) != len(lsp.layers):
        raise ValueError("distill.lsp.layers names a layer twice")
    _layers_exist(profile, "distill.lsp.layers", lsp.layers, lsp.layers)
    if lsp.kernel == "rbf" and len(lsp.sigma) != len(lsp.layers):
        raise ValueError("distill.lsp.sigma needs one value for each of distill.lsp.layers")
    if lsp.neighbourhood == "partial" and not profile.graph.pooling.relations:
        raise ValueError("distill.lsp.neighbourhood = 'partial' means graph.pooling.relations, and there are none")


def _layers_exist(profile: Profile, key: str, teacher: list[int], student: list[int]) -> None:
    named = ("teacher", teacher, profile.teacher.layers), ("student", student, profile.student.layers)
    for size, layers, depth in named:
        for layer in layers:
            if not 1 <= layer <= depth:
                raise ValueError(f"{key} names layer {layer}, but the {size} has {depth}: layers count from 1")


def _stages_can_end(profile: Profile) -> None:
    finetune, distill = profile.finetune, profile.distill
    for key, plateau in {"finetune.plateau": finetune.plateau, "distill.plateau": distill.plateau}.items():
        if plateau is None or plateau.stop_below == 0.0:
            continue
        if plateau.stop_below >= finetune.lr:
            raise ValueError(
                f"{key}.stop_below = {plateau.stop_below:g} ends every stage at once: finetune.lr is {finetune.lr:g}"
            )
        if plateau.last_epochs == 0:
            raise ValueError(f"{key}.stop_below can never act: {key}.last_epochs = 0 keeps the rate")
    longest = max(finetune.epochs, distill.epochs)
    waited = finetune.patience * finetune.validate_every
    if waited >= longest:
        raise ValueError(
            f"finetune.patience = {finetune.patience} can never end a stage: with a validation every "
            f"{finetune.validate_every} epochs it waits {waited} of {longest}"
        )


def _nothing_for_a_student(distill: Distill) -> None:
    weighed = {
        "distill.lsp.weight": distill.lsp.weight,
        "distill.hidden.weight": distill.hidden.weight,
        "distill.anchor.rank_weight": distill.anchor.rank_weight,
        "distill.anchor.distribution_weight": distill.anchor.distribution_weight,
    }
    for key, weight in weighed.items():
        if weight > 0.0:
            raise ValueError(f"{key} is above 0, but distill.epochs = 0 leaves the student out")
    if distill.teachers > 1:
        raise ValueError("distill.teachers are averaged for a student, but distill.epochs = 0 leaves it out")

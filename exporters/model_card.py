"""The bundle's README: what the model is, what it learnt from, how well it does, what it is for and what it is not.

Its text is `card.md.j2`; here are the words and numbers that go into it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from exporters.calibration import Calibration, brier_score
from exporters.front_matter import front_matter
from exporters.manifest import EMBEDDINGS, PARTS, PROFILES, RANKING_HEAD, SCORING_HEAD, hdf5_name
from exporters.parity import Check
from exporters.profile_terms import sources_of
from exporters.trained_run import TrainedRun
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.model_shape import TABLE
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import Scores, Spread
from flykd_console.words import metric_words

_TITLES = {
    Role.TEACHER: "teacher",
    Role.ENSEMBLE: "mean of the teachers",
    Role.BASELINE: "baseline student",
    Role.STUDENT: "distilled student",
    Role.CANDIDATE: "distilled candidate",
    Role.MEMBER: "distilled member",
    Role.HEURISTIC: "heuristic",
}
_NETWORKS = {"rgcn": "R-GCN", "rgat": "R-GAT"}
_LEARNT_PAIRS = "was learnt with as many random negatives as true pairs"
_LEARNT_LISTS = "was learnt as the order of whole lists"
_REPLACED = {
    "tail": "keep the head and replace the tail",
    "head": "keep the tail and replace the head",
    "": "came with the split or stand in no one's place",
}
_SPLITS = {
    "complex_disease": "complex_disease: tails of the test part have no scored edge in training (zero-shot)",
    "random": "random: edges of every relation are divided at random",
    "disease_area": "disease_area: tails of one area have no edge to the head type in training (zero-shot)",
    "disease": "disease: named tails have no edge to the head type in training (zero-shot)",
    "full_graph": "full_graph: 95 % of every relation trains and 5 % validates, nothing is kept back for a test; most "
    "tails that validate have other pairs in training, which is easier than having none",
    "files": "files: the parts were given",
    "by_time": "by_time: trained on the edges up to a date, of every relation; tested on pairs that became known later",
}
_MADE_UP = ("embedded", "synthetic")


def write_card(
    run: TrainedRun,
    seed_choice: str,
    calibration: Mapping[str, Calibration],
    checks: Sequence[Check],
    example: tuple[str, str],
    with_heads: bool,
    loss: Mapping[str, Any],
    with_profiles: bool,
) -> str:
    """The card as Markdown, with the header that model hubs read.

    Args:
        seed_choice: Why this seed, or these, were exported.
        calibration: Per relation what makes a probability of a logit.
        checks: What was verified.
        example: A relation and the name of a tail to show in the code.
        with_heads: Whether the bundle holds the ONNX heads.
        loss: What lists lose by tables of fewer bits; empty for float32.
        with_profiles: Whether the bundle holds what the graph says of heads and tails besides their labels.
    """
    environment = Environment(
        autoescape=False,  # Markdown; `text` sees to bars and line breaks
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        text=_text,
        quoted=_quoted,
        group=lambda name: _quoted(hdf5_name(name)),
        percent=_percent,
        score=_score,
        spread=_spread,
        words=metric_words,
    )
    template = environment.from_string(resources.files(__package__).joinpath("card.md.j2").read_text(encoding="utf-8"))
    relation, name = example
    kind = run.profile.get("split", {}).get("kind", "")
    return front_matter(run) + template.render(
        run=run,
        seed_choice=seed_choice,
        checks=checks,
        relation=relation,
        name=name,
        with_heads=with_heads,
        loss=loss,
        with_profiles=with_profiles,
        sources=sources_of(run.profiles or ()) if with_profiles else {},
        titles=_titles(run.results.models),
        size=_size(run),
        network=_network(run.result.layer_kind),
        learnt=_LEARNT_LISTS if run.result.layer_kind == TABLE else _LEARNT_PAIRS,
        split=_SPLITS.get(kind, kind or "not recorded"),
        models=run.results.seeds[str(run.seeds[0])],
        seeds=", ".join(map(str, run.seeds)),
        guessing=_guessing(run),
        calibration=calibration,
        replaced=_REPLACED,
        brier={relation: _brier(run, calibration, relation) for relation in run.relations},
        density=_density(run),
        shift=_log_odds,
        summary=run.results.summary,
        tested=[name for name, one in run.results.summary.items() if one.macro_auprc is not None],
        gaining=[entry for entry in run.results.trained() if run.results.summary[entry.name].gain_points],
        made_up=run.graph["source"].split(":")[0] in _MADE_UP,
        MACRO_AUPRC=MACRO_AUPRC,
        PARTS=PARTS,
        EMBEDDINGS=EMBEDDINGS,
        PROFILES=PROFILES,
        SCORING_HEAD=SCORING_HEAD,
        RANKING_HEAD=RANKING_HEAD,
    )


def _guessing(run: TrainedRun) -> str:
    """What scores that know nothing reach on the test, or know only the end that stays; empty without a test."""
    tests = {relation: test for relation, test in run.tests.items() if len(test.label)}
    if not tests:
        return ""
    rates = {relation: float(test.label.mean()) for relation, test in tests.items()}
    reached = ", ".join(f"{100 * rate:.2f} for {_text(relation)}" for relation, rate in rates.items())
    if set(rates.values()) == {0.5}:
        reached = "50"
    kinds = {test.replaced for test in tests.values()}
    replaced = kinds.pop() if len(kinds) == 1 else ""
    kept = {"tail": "head", "head": "tail"}.get(replaced)
    too = f", and so does a score that knows the {kept} alone" if kept else ""
    return f"Negatives {_REPLACED[replaced]}: guessing scores {reached}{too}."


def _brier(run: TrainedRun, calibration: Mapping[str, Calibration], relation: str) -> str:
    """The calibrated probabilities' Brier score on the test pairs, and that of the base rate; empty without either."""
    test = run.tests[relation]
    if not len(test.label) or calibration[relation].platt is None:
        return ""
    slope, intercept = calibration[relation].numbers
    found = brier_score(1.0 / (1.0 + np.exp(-(slope * test.logit.astype(np.float64) + intercept))), test.label)
    rate = float(test.label.mean())
    return f"{found:.3f} ({rate * (1.0 - rate):.3f}: the test's base rate for every pair)"


def _density(run: TrainedRun) -> dict[str, float]:
    """Per relation the share of true pairs among all pairs of a head and a tail, as far as the graph knows them."""
    heads, tails = (len(run.nodes[kind].ids) for kind in (run.head_type, run.tail_type))
    return {
        relation: sum(len(pairs) for pairs in run.pairs[relation].values()) / (heads * tails)
        for relation in run.relations
    }


def _log_odds(rate: float) -> float:
    return math.log(rate / (1.0 - rate)) if 0.0 < rate < 1.0 else -math.inf


def _titles(models: Sequence[ModelEntry]) -> dict[str, str]:
    """By name what each model is; its name is said where several are the same."""
    count = Counter(entry.role for entry in models)
    titles = {}
    for entry in models:
        title = _TITLES[entry.role]
        titles[entry.name] = title if count[entry.role] == 1 else f"{title} `{entry.name}`"
    return titles


def _network(layer_kind: str) -> str:
    """Where the embeddings come from."""
    if layer_kind == TABLE:
        return "free embeddings and a bias for every head"
    return f"embeddings of a relational graph network ({_NETWORKS.get(layer_kind, layer_kind)})"


def _size(run: TrainedRun) -> str:
    """The width, and the layers where they are not the paper's two rgcn layers."""
    result = run.result
    if result.layer_kind == TABLE:
        return f"{run.dim} dimensions, those of the biases among them"
    if result.shape == str(result.dim):
        return f"{run.dim} dimensions"
    return f"{run.dim} dimensions, {result.layers} {result.layer_kind} layer{'s' if result.layers > 1 else ''}"


def _text(value: Any) -> str:
    """A value as running text or a table cell: bars and line breaks would end the cell."""
    return " ".join(str(value).replace("|", "\\|").split())


def _quoted(text: str) -> str:
    """A string as Python and JSON both write it."""
    return json.dumps(text, ensure_ascii=False)


def _score(scores: Scores, relation: str) -> str:
    return _percent(scores.relations[relation].auprc if relation in scores.relations else None)


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.2f}"


def _spread(value: Spread | None, scale: float = 1.0) -> str:
    if value is None:
        return "not measured"
    mean = f"{scale * value.mean:.2f}"
    return mean if value.std is None else f"{mean} ± {scale * value.std:.2f}"

"""The bundle's README: what the model is, what it learnt from, how well it does, what it is for and what it is not.

Its text is `card.md.j2`; here are the words and numbers that go into it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from exporters.front_matter import front_matter
from exporters.manifest import EMBEDDINGS, PARTS, RANKING_HEAD, SCORING_HEAD, hdf5_name
from exporters.parity import Check
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
_LEARNT_PAIRS = "learnt with as many random negatives as true pairs"
_LEARNT_LISTS = "and the logits were learnt as orders of whole lists, never as probabilities"
_SPLITS = {
    "complex_disease": "complex_disease: tails of the test part have no scored edge in training (zero-shot)",
    "random": "random: edges of every relation are divided at random",
    "disease_area": "disease_area: tails of one area have no edge to the head type in training (zero-shot)",
    "disease": "disease: named tails have no edge to the head type in training (zero-shot)",
    "full_graph": "full_graph: 95 % of every relation trains and 5 % validates; nothing is kept back for a test",
    "files": "files: the parts were given",
}
_MADE_UP = ("embedded", "synthetic")


def write_card(
    run: TrainedRun, seed_choice: str, checks: Sequence[Check], example: tuple[str, str], with_heads: bool
) -> str:
    """The card as Markdown, with the header that model hubs read.

    Args:
        seed_choice: Why this seed was exported.
        checks: What was verified.
        example: A relation and the name of a tail to show in the code.
        with_heads: Whether the bundle holds the ONNX heads.
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
        titles=_titles(run.results.models),
        size=_size(run),
        network=_network(run.result.layer_kind),
        learnt=_LEARNT_LISTS if run.result.layer_kind == TABLE else _LEARNT_PAIRS,
        split=_SPLITS.get(kind, kind or "not recorded"),
        models=run.results.seeds[str(run.seed)],
        summary=run.results.summary,
        gaining=[entry for entry in run.results.trained() if run.results.summary[entry.name].gain_points],
        made_up=run.graph["source"].split(":")[0] in _MADE_UP,
        MACRO_AUPRC=MACRO_AUPRC,
        PARTS=PARTS,
        EMBEDDINGS=EMBEDDINGS,
        SCORING_HEAD=SCORING_HEAD,
        RANKING_HEAD=RANKING_HEAD,
    )


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

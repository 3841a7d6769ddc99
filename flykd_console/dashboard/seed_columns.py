"""The columns of the seeds table: which fit into a width, in which order they give way, and what is not shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flykd_console.dashboard.scores import levels, seed_words
from flykd_console.dashboard.table import ColumnKey, gaining
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.state.run import RunState
from flykd_console.words import clipped, short_relation


@dataclass(frozen=True, slots=True)
class Column:
    """Key, the two lines of its head, width in cells, and whether it holds words (left) or numbers (right)."""

    key: ColumnKey
    head: str
    below: str
    width: int
    words: bool = False


_SHORT_STATE = 8
_SPARK = (7, 16)
_LONG_HEAD, _SHORT_HEAD = 10, 6
SEED, STATE, CURVE = ColumnKey("seed"), ColumnKey("state"), ColumnKey("spark")


def columns(state: RunState, width: int) -> list[Column]:
    """The columns that fit into a width, the most telling first."""
    numbers = [Column(SEED, "seed", "", 4), *_model_columns(state), *_gain_columns(state), *_relation_columns(state)]
    longest = max((len(seed_words(state, seed)) for seed in state.seeds), default=0)
    state_column = Column(STATE, " state", "", max(13, min(18, longest + 1)), words=True)
    spark = [Column(CURVE, " curve", "", _SPARK[0], words=True)]

    def spare() -> int:
        return width - sum(c.width + 1 for c in numbers) - sum(c.width for c in (*spark, state_column))

    # What a narrow table goes without, in order: the stage's name, gains in per cent, scorers that are nobody's rival,
    # letters, the curve, letters of scorers, columns.
    steps: list[ColumnKey | str] = ["state", "percent", *_bystanders(state), "letters", "spark", "scorers"]
    steps += _dispensable(state, numbers)
    for step in steps:
        if spare() >= 0:
            break
        match step:
            case "state":
                state_column = Column(STATE, " state", "", _SHORT_STATE, words=True)
            case "percent":
                numbers = [column for column in numbers if column.key.kind != "percent"]
            case "letters" | "scorers":
                numbers = [_shortened(state, column, scorers=step == "scorers") for column in numbers]
            case "spark":
                spark = []
            case _:
                numbers = [column for column in numbers if column.key != step]
    left = max(0, spare())
    spark = [replace(c, width=min(_SPARK[1], c.width + left)) for c in spark]
    left -= sum(c.width - _SPARK[0] for c in spark)
    share = min(3, max(0, left // len(numbers)))
    return [*(replace(c, width=c.width + share) for c in numbers), *spark, state_column]


def _model_columns(state: RunState) -> Iterator[Column]:
    """A column a model, under its label and shape; the label of one without a shape may take both lines."""
    for entry in state.trained:
        head, below = entry.label, entry.shape
        if not below and len(head) > _LONG_HEAD:
            head, _, below = head.partition(" ")
        head, below = clipped(head, _LONG_HEAD), clipped(below, _LONG_HEAD) if not entry.shape else below
        yield Column(ColumnKey("model", entry.name), head, below, max(6, len(head), len(below)))


def _gain_columns(state: RunState) -> Iterator[Column]:
    """The gain of the run's first model in points and per cent, then those of others in points."""
    found = gaining(state)
    for entry in found:
        below = "points" if len(found) == 1 else clipped(entry.label, _SHORT_HEAD)
        yield Column(ColumnKey("points", entry.name), "gain", below, 6)
        if entry == state.about:
            yield Column(ColumnKey("percent", entry.name), "", "%", 5)


def _relation_columns(state: RunState) -> Iterator[Column]:
    """AUPRC by relation of the model that the run is about."""
    if state.about is None:
        return
    label = clipped(state.about.label, _LONG_HEAD)
    for relation in state.relations:
        yield Column(ColumnKey("relation", relation), short_relation(relation), label, max(6, len(label)))


def _bystanders(state: RunState) -> list[ColumnKey]:
    """Columns of scorers without training that no gain is over, the weakest first: what is hardest to beat stays."""
    rivals = {entry.over for entry in gaining(state)}
    reached = levels(state, state.headline)
    found = [e for e in state.trained if e.role is Role.HEURISTIC and e.name not in rivals]
    found.sort(key=lambda entry: reached.get(entry.label, 0.0))
    return [ColumnKey("model", entry.name) for entry in found]


def _dispensable(state: RunState, numbers: list[Column]) -> list[ColumnKey]:
    """Columns that give way, the first one first: relations, gains of further models, models themselves.

    The model that the run is about, its rival and its gain stay.
    """
    about = state.about
    kept = (about.name, about.over) if about is not None else ()
    keys = [column.key for column in reversed(numbers)]
    relations = [key for key in keys if key.kind == "relation"]
    gains = [key for key in keys if key.kind == "points" and key.name not in kept]
    models = [key for key in keys if key.kind == "model" and key.name not in kept]
    return [*relations, *gains, *models]


def _shortened(state: RunState, column: Column, scorers: bool) -> Column:
    """A model's column with a head of few letters, where its label is a long one and the run is not about it.

    Args:
        scorers: Of scorers without training, else of the others.
    """
    entry = state.entry(column.key.name) if column.key.kind == "model" else None
    if entry is None or entry == state.about or len(entry.label) <= _SHORT_HEAD + 1:
        return column
    if scorers != (entry.role is Role.HEURISTIC):
        return column
    head = _short_label(entry)
    return replace(column, head=head, width=max(6, len(head), len(column.below)))


def _short_label(entry: ModelEntry) -> str:
    plain = entry.role is Role.BASELINE and entry.label == entry.role
    return "base" if plain else clipped(entry.label, _SHORT_HEAD)


def left_out(state: RunState, layout: list[Column]) -> str:
    """Which models and gains the columns have no room for, in words; empty where all are there."""
    shown = [column.key for column in layout]
    models = [entry for entry in state.trained if ColumnKey("model", entry.name) not in shown]
    gains = [e for e in gaining(state) if e not in models and ColumnKey("points", e.name) not in shown]
    parts = [", ".join(entry.label for entry in models)] if models else []
    parts += [f"gain of {', '.join(entry.label for entry in gains)}"] if gains else []
    return f"not shown: {'; '.join(parts)}" if parts else ""

"""What is said of one sample: every model's probabilities as bars, and of a node its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from flykd_console.dashboard.palette import Look
from flykd_console.words import DASH, counted

if TYPE_CHECKING:
    from flykd_console.explore.classes import ClassExploration, Sample

_BAR, _MOST_CLASSES, _MOST_NEIGHBOURS = 10, 6, 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def answers_text(exploration: ClassExploration, sample: Sample, colours: Look, width: int) -> Text:
    """A line a model: the class that it tells, its probability, and a bar for each class as far as there is room."""
    known = f"class {sample.label}" if sample.label >= 0 else "class unknown"
    joined = counted(sample.degree, "neighbour" if exploration.what == "node" else "node")
    said = Text(f"{known} · {sample.part or 'in no part'} · {joined}\n", style=colours.muted)
    name_width = max(len(label) for label in exploration.models.values())
    room = width - name_width - 9
    bar = max(3, min(_BAR, room // max(1, min(exploration.classes, _MOST_CLASSES)) - 2))
    many = min(exploration.classes, _MOST_CLASSES, max(1, room // (bar + 2)))
    heads = "".join(f"  {number:<{bar}}" for number in range(many))
    said.append(f"{'':<{name_width}}  told   {heads}\n", style=colours.muted)
    for name, probability in exploration.probabilities(sample.row).items():
        told = int(probability.argmax())
        right = sample.label in (-1, told)
        style = colours.foreground if name in exploration.members or name == "ensemble" else colours.muted
        said.append(f"{exploration.models[name]:<{name_width}}  ", style=style)
        said.append(f"{told} {probability[told]:.2f} ", style=colours.foreground if right else colours.curve(5))
        for number in range(many):
            colour = colours.curve(2) if number == sample.label else colours.curve(0)
            said.append("  ")
            said.append(_bar(float(probability[number]), bar), style=f"{colour} on {colours.faint}")
        said.append("\n")
    if many < exploration.classes:
        said.append(f"classes 0 to {many - 1} of {exploration.classes}\n", style=colours.muted)
    return said


def neighbours_text(exploration: ClassExploration, sample: Sample, model: str, colours: Look) -> Text:
    """How many neighbours are of the class that is told, and each with what is known and told of it."""
    near = exploration.neighbours(sample.row, model)
    if not near:
        return Text("\njoined to no node", style=colours.muted)
    alike = sum(one.told == sample.told for one in near)
    said = Text(f"\nneighbours: {alike} of {len(near)} told as class {sample.told}, too\n", style=colours.muted)
    for one in near[:_MOST_NEIGHBOURS]:
        label = str(one.label) if one.label >= 0 else DASH
        said.append(f"{one.row:>6}", style=colours.foreground)
        said.append(f"  class {label}  {one.part or DASH:<10}  told ", style=colours.muted)
        said.append(f"{one.told} {one.probability:.2f}\n", style=colours.curve(5) if one.wrong else colours.foreground)
    if len(near) > _MOST_NEIGHBOURS:
        said.append(f"and {len(near) - _MOST_NEIGHBOURS} more: enter lists them\n", style=colours.muted)
    return said


def _bar(share: float, width: int) -> str:
    eighths = round(8 * width * min(1.0, max(0.0, share)))
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)

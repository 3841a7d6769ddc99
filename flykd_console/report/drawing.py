"""How the report's figures are drawn: matplotlib with colours that are CSS variables, so that the page's theme rules.

Every colour is a placeholder that `svg` replaces, and text stays text: a figure follows light, dark and print.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID, PAPER = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
SERIES = tuple(f"#0b00{i:02x}" for i in range(8))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {c: f"c{i}" for i, c in enumerate(SERIES)}
COLUMNS = 3  # of small panels
_WIDTH = 9.0  # inches; the page scales it

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}


def panels(count: int, columns: int = COLUMNS, height: float = 2.5) -> tuple[Figure, list[Axes]]:
    """A figure of small panels in rows, sharing both axes; call it inside `rc_context(STYLE)`."""
    columns = min(columns, max(count, 1))
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for spare in axes[count:]:
        spare.set_visible(False)
    for above in axes[max(0, count - columns) : count]:
        above.xaxis.set_tick_params(labelbottom=True)
    return figure, axes[:count]


def single(height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, as wide as the page; call it inside `rc_context(STYLE)`."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an SVG element that fills its box; `name` keeps its ids apart from other figures'."""
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{description}">',
        text,
        count=1,
    )
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = text.replace("font-family: 'DejaVu Sans'", "font-family: var(--sans)")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    # No id is needed on what nothing points to, and coordinates need no millionths of a point.
    pointed = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: found.group(0) if found.group(1) in pointed else "", text)
    return re.sub(r"(-?\d+\.\d{2})\d+", r"\1", text)


def colour_of(index: int) -> str:
    """The index-th method's colour; they repeat after eight, when `dash_of` tells them apart."""
    return SERIES[index % len(SERIES)]


def dash_of(index: int) -> Sequence[float] | None:
    """Line dashes of the index-th method, None for a solid line."""
    patterns: tuple[Sequence[float] | None, ...] = (None, (5, 1.5), (1.5, 1.5))
    return patterns[(index // len(SERIES)) % len(patterns)]

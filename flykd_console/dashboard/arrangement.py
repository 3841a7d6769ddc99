"""Which panels are on the screen at which size: two columns, or groups behind tabs, or one panel that fills it."""

from __future__ import annotations

from dataclasses import dataclass

MIN_WIDTH, MIN_HEIGHT = 60, 18
NARROW_BELOW, WIDE_FROM = 100, 160
_COLUMNS_FROM_HEIGHT = 30
_PAIRS_FROM_HEIGHT = 22
_EXTRA_FROM_HEIGHT = 44

# The tab of the validation chart, which the screen calls by the run's metric.
VALIDATION = "Validation"
PANELS = ("weights", "losses", "rate", "speed", "resources", "validation", "ranking", "seeds", "log")
# Two charts beside each other, wherever one of them is.
_METRICS = ("validation", "ranking")
_PAIRS = (
    ("Losses", ("weights", "losses")), ("Seeds", (*_METRICS, "seeds")), ("Log", ("resources", "log")),
)  # fmt: skip
_SINGLES = (
    ("Losses", ("losses",)), ("Weights", ("weights",)), (VALIDATION, _METRICS), ("Seeds", ("seeds",)),
    ("Load", ("resources",)), ("Log", ("log",)),
)  # fmt: skip
_RATES = {
    ("Losses", ("weights", "losses")): ("Rates", ("rate", "speed")),
    ("Losses", ("losses",)): ("Speed", ("speed",)),
    ("Weights", ("weights",)): ("Rate", ("rate",)),
}


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is where.

    Attributes:
        mode: `tiny` (nothing fits), `tabs`, `columns` or `full`.
        visible: Panels on the screen, in the order of `PANELS`.
        tabs: Names of the tabs; empty without tabs.
        tab: The chosen one.
        side_by_side: A tab's two panels lie beside each other.
        resources_lines: Lines that the resources panel may take.
    """

    mode: str
    visible: tuple[str, ...]
    tabs: tuple[str, ...] = ()
    tab: int = 0
    side_by_side: bool = False


def _groups(width: int, height: int, rates: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The tabs of a terminal too small for columns."""
    groups = _PAIRS if height >= _PAIRS_FROM_HEIGHT or width >= NARROW_BELOW else _SINGLES
    return tuple(_RATES.get(group, group) for group in groups) if rates else groups


def arrange(width: int, height: int, focus: str, full: bool, rates: bool = False) -> Arrangement:
    """The arrangement for a terminal of this size.

    Args:
        width: Columns.
        height: Rows.
        focus: The panel that has the focus; its tab is shown.
        full: Whether that panel fills the screen.
        rates: Learning rate and speed take the place of the weights (columns), or of weights and losses (tabs).
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Arrangement("tiny", ())
    if full:
        return Arrangement("full", (focus,))
    if width >= NARROW_BELOW and height >= _COLUMNS_FROM_HEIGHT:
        extra = width >= WIDE_FROM or height >= _EXTRA_FROM_HEIGHT
        gone = () if extra else ("weights",) if rates else ("rate", "speed")
        return Arrangement("columns", tuple(p for p in PANELS if p not in gone))
    groups = _groups(width, height, rates)
    tab = next((i for i, (_, panels) in enumerate(groups) if focus in panels), 0)
    names = tuple(name for name, _ in groups)
    return Arrangement("tabs", groups[tab][1], names, tab, side_by_side=width >= NARROW_BELOW)


def ring(width: int, height: int, rates: bool = False) -> tuple[str, ...]:
    """The panels in the order in which `tab` goes through them, those behind other tabs included."""
    base = arrange(width, height, PANELS[0], False, rates)
    if base.mode == "columns":
        return base.visible
    return tuple(panel for _, panels in _groups(width, height, rates) for panel in panels)


def first_of_tab(width: int, height: int, tab: int, rates: bool = False) -> str | None:
    """The panel to focus for a tab chosen by its number."""
    base = arrange(width, height, PANELS[0], False)
    groups = _groups(width, height, rates)
    if not base.tabs or not 0 <= tab < len(groups):
        return None
    panels = groups[tab][1]
    return panels[0] if panels == _METRICS else panels[-1]

"""Which panels are on the screen at which size: two columns, or groups behind tabs, or one panel that fills it."""

from __future__ import annotations

from dataclasses import dataclass

MIN_WIDTH, MIN_HEIGHT = 60, 18
NARROW_BELOW, WIDE_FROM = 100, 160
_COLUMNS_FROM_HEIGHT = 30
_PAIRS_FROM_HEIGHT = 22
_EXTRA_FROM_HEIGHT = 44

PANELS = ("weights", "losses", "rate", "speed", "resources", "auprc", "seeds", "log")
_PAIRS = (("Losses", ("weights", "losses")), ("Seeds", ("auprc", "seeds")), ("Log", ("resources", "log")))
_SINGLES = (
    ("Losses", ("losses",)), ("Weights", ("weights",)), ("AUPRC", ("auprc",)), ("Seeds", ("seeds",)),
    ("Load", ("resources",)), ("Log", ("log",)),
)  # fmt: skip


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


def arrange(width: int, height: int, focus: str, full: bool) -> Arrangement:
    """The arrangement for a terminal of this size.

    Args:
        width: Columns.
        height: Rows.
        focus: The panel that has the focus; its tab is shown.
        full: Whether that panel fills the screen.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Arrangement("tiny", ())
    if full:
        return Arrangement("full", (focus,))
    if width >= NARROW_BELOW and height >= _COLUMNS_FROM_HEIGHT:
        extra = width >= WIDE_FROM or height >= _EXTRA_FROM_HEIGHT
        return Arrangement("columns", tuple(p for p in PANELS if extra or p not in ("rate", "speed")))
    groups = _PAIRS if height >= _PAIRS_FROM_HEIGHT or width >= NARROW_BELOW else _SINGLES
    tab = next((i for i, (_, panels) in enumerate(groups) if focus in panels), 0)
    names = tuple(name for name, _ in groups)
    return Arrangement("tabs", groups[tab][1], names, tab, side_by_side=width >= NARROW_BELOW)


def ring(width: int, height: int) -> tuple[str, ...]:
    """The panels in the order in which `tab` goes through them, those behind other tabs included."""
    base = arrange(width, height, PANELS[0], False)
    if base.mode == "columns":
        return base.visible
    groups = _SINGLES if len(base.tabs) == len(_SINGLES) else _PAIRS
    return tuple(panel for _, panels in groups for panel in panels)


def first_of_tab(width: int, height: int, tab: int) -> str | None:
    """The panel to focus for a tab chosen by its number."""
    base = arrange(width, height, PANELS[0], False)
    groups = _SINGLES if len(base.tabs) == len(_SINGLES) else _PAIRS
    return groups[tab][1][-1] if base.tabs and 0 <= tab < len(groups) else None

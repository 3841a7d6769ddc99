"""Colours: two themes, and curve colours after Okabe and Ito that any colour vision tells apart, on dark and light."""

from __future__ import annotations

from dataclasses import dataclass

from textual.theme import Theme

DARK = "flykd-dark"
LIGHT = "flykd-light"

_CURVES_DARK = ("#56b4e9", "#e69f00", "#2fc49a", "#d991b9", "#f0e442", "#f2794b", "#8fa8ff", "#b9c2cb")
_CURVES_LIGHT = ("#0072b2", "#b05700", "#00785a", "#a03f7f", "#7d6a00", "#c23b00", "#4a55c8", "#59636e")


@dataclass(frozen=True, slots=True)
class Look:
    """The colours that drawings use, as hex texts."""

    background: str
    foreground: str
    muted: str
    faint: str
    accent: str
    shade: str
    curves: tuple[str, ...]

    def curve(self, index: int) -> str:
        return self.curves[index % len(self.curves)]

    def blend(self, colour: str, amount: float) -> str:
        """The colour mixed with the background; 1 leaves it as it is."""
        mixed = [
            round(int(self.background[i : i + 2], 16) * (1 - amount) + int(colour[i : i + 2], 16) * amount)
            for i in (1, 3, 5)
        ]
        return "#{:02x}{:02x}{:02x}".format(*mixed)


DARK_LOOK = Look(
    background="#11161c", foreground="#dfe5ea", muted="#8b98a5", faint="#2c3640", accent="#7cc4f2", shade="#22303c",
    curves=_CURVES_DARK,
)  # fmt: skip
LIGHT_LOOK = Look(
    background="#fcfcfa", foreground="#1d2329", muted="#65717d", faint="#d9dee2", accent="#0b63a5", shade="#e3ecf3",
    curves=_CURVES_LIGHT,
)  # fmt: skip

THEMES = (
    Theme(
        name=DARK, dark=True, primary="#7cc4f2", secondary="#8b98a5", accent="#e69f00", warning="#f0b541",
        error="#ff7a6b", success="#2fc49a", foreground="#dfe5ea", background="#11161c", surface="#161c23",
        panel="#1d252e",
        variables={"edge": "#36424e", "muted": "#8b98a5", "faint": "#2c3640", "block-cursor-background": "#27455c",
                   "block-cursor-foreground": "#ffffff", "block-cursor-blurred-background": "#11161c",
                   "block-cursor-blurred-foreground": "#dfe5ea", "bar-rest": "#2c3640", "key": "#f0b541"},
    ),
    Theme(
        name=LIGHT, dark=False, primary="#0b63a5", secondary="#65717d", accent="#b05700", warning="#8f5b00",
        error="#b3261e", success="#00785a", foreground="#1d2329", background="#fcfcfa", surface="#f4f5f4",
        panel="#eceeed",
        variables={"edge": "#bfc7ce", "muted": "#65717d", "faint": "#d9dee2", "block-cursor-background": "#cfe3f2",
                   "block-cursor-foreground": "#10202d", "block-cursor-blurred-background": "#fcfcfa",
                   "block-cursor-blurred-foreground": "#1d2329", "bar-rest": "#d9dee2", "key": "#8f5b00"},
    ),
)  # fmt: skip


def look(dark: bool) -> Look:
    return DARK_LOOK if dark else LIGHT_LOOK

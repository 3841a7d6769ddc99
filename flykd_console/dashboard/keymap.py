"""The one list of what a user can do: it makes the key bindings, the footer, the command palette and the help."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does.

    Attributes:
        id: The app's method is `action_<id>`; also the name by which a keymap overrides the keys.
        keys: Textual key names, separated by commas.
        shown: The key as the footer and the help print it.
        label: In the footer, where the app has nothing better to say.
        help: One line in the help and the palette.
        group: Heading in the help.
        rank: Place in the footer, the lowest stays longest when space is short; 0: not in the footer.
        palette: Offered by the command palette.
        priority: Works also where the focused widget has other plans for the key.
    """

    id: str
    keys: str
    shown: str
    label: str
    help: str
    group: str
    rank: int = 0
    palette: bool = True
    priority: bool = False


TRAINING, CHARTS, PANELS, PROGRAM = "Training", "The focused chart", "Panels", "Program"

ACTIONS = (
    Action("pause", "p", "p", "pause", "Pause training, or continue it", TRAINING, 3),
    Action("stop", "s", "s", "stop & save", "Stop training with a checkpoint (asks first)", TRAINING, 4),
    Action("checkpoint", "c", "c", "checkpoint", "Write a checkpoint now", TRAINING, 8),
    Action("extend", "plus", "+", "add epochs", "Add epochs to the running stage (asks how many)", TRAINING, 24),
    Action("abort", "S", "S", "stop at once", "Stop at once, without a checkpoint (asks twice)", TRAINING, 25),
    Action("evaluate", "e", "e", "evaluate", "Evaluate now", TRAINING, 5),
    Action("export", "E", "E", "export", "Export a finished run (asks before a bundle is replaced)", TRAINING, 5),
    Action("results", "r", "r", "results", "Table of results, and what to do next", TRAINING, 6),
    Action("interrupt", "ctrl+c", "Ctrl-C", "", "In run: stop with a checkpoint, again: at once. In watch: leave",
           TRAINING, 0, False, True),
    Action("log_y", "l", "l", "log y", "Logarithmic or linear y axis", CHARTS, 9),
    Action("smooth", "g", "g", "smooth", "Smoothing: 0.9, 0.98, off", CHARTS, 10),
    Action("zoom", "z", "z", "zoom", "Zoom in", CHARTS, 11),
    Action("zoom_out", "Z", "Z", "", "Zoom out", CHARTS),
    Action("zoom_reset", "0", "0", "reset", "Show the whole chart again", CHARTS, 0),
    Action("pan_left", "left", "←", "", "Pan left; with the reading line: move it", CHARTS, 0, False),
    Action("pan_right", "right", "→", "", "Pan right; with the reading line: move it", CHARTS, 0, False),
    Action("inspect", "i", "i", "inspect", "Reading line: values at one epoch, on every chart", CHARTS, 14),
    Action("focus_curve", "f", "f", "one curve", "Bring out the next curve and dim the others", CHARTS, 19),
    Action("clip", "y", "y", "outliers", "Cut outliers off, or show them", CHARTS, 20),
    Action("model", "m", "m", "model", "Validation of the next model", CHARTS, 12),
    Action("band", "b", "b", "band", "Mean ± standard deviation over the seeds", CHARTS, 13),
    Action("save_chart", "x", "x", "save chart", "Save the chart as SVG and PNG, its values as CSV", CHARTS, 15),
    Action("next_panel", "tab", "tab", "focus", "Focus the next panel", PANELS, 7, False, True),
    Action("previous_panel", "shift+tab", "⇧tab", "", "Focus the previous panel", PANELS, 0, False, True),
    Action("full", "enter", "enter", "full", "Fill the screen with the focused panel", PANELS, 16),
    Action("back", "escape", "esc", "", "Back from full panel, reading line or filter", PANELS, 0, False),
    Action("rates", "a", "a", "rates", "Learning rate and epochs per second, or back", PANELS, 21),
    Action("sort", "n", "n", "sort", "Sort the seeds by the next column (or click its head)", PANELS, 22),
    Action("turn", "N", "N", "", "Sort the seeds the other way round", PANELS),
    Action("filter", "slash", "/", "filter", "Show only log lines that contain a text", PANELS, 17),
    Action("level", "v", "v", "level", "Log lines of the next level: all, warnings, errors", PANELS, 23),
    Action("runs", "o", "o", "runs", "Other runs: open, overlay, compare, differences, a batch's queue", PROGRAM, 7),
    Action("explore", "d", "d", "explore", "A disease's drugs by the student, and what connects them", PROGRAM, 7),
    Action("theme", "t", "t", "theme", "Light or dark", PROGRAM, 18),
    Action("help", "question_mark", "?", "help", "This help", PROGRAM, 1),
    Action("detach", "q", "q", "detach", "Leave the dashboard; training goes on", PROGRAM, 2),
)  # fmt: skip

BY_ID = {action.id: action for action in ACTIONS}


def bindings() -> list[Binding]:
    """Key bindings of every action, with ids that a keymap can override."""
    return [
        Binding(a.keys, a.id, a.label or a.help, show=False, id=a.id, priority=a.priority, key_display=a.shown)
        for a in ACTIONS
    ]

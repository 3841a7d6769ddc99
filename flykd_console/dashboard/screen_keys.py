"""What keys do on the screens that have actions of their own; each makes that screen's bindings, footer, help and
palette entries, as `keymap.ACTIONS` does for the main screen.

An id is `<screen>_<action>`: the screen's method is `action_<action>`, and a keymap names the whole id.
"""

from __future__ import annotations

from textual.binding import Binding

from flykd_console.dashboard.keymap import Action

RUNS, OVERLAY, EXPLORE, COMPARISON = "Runs", "Runs over each other", "Explore", "Comparison"
CLASSES = "Explore classes"

_HELP = ("question_mark", "?", "help", "These keys")


def _action(
    id: str, keys: str, shown: str, label: str, help: str, group: str, rank: int = 0, palette: bool = True
) -> Action:
    return Action(id, keys, shown, label, help, group, rank, palette)


RUN_ACTIONS = (
    _action("runs_open", "enter", "enter", "open", "Show the run under the cursor in the dashboard", RUNS, 1, False),
    _action("runs_mark", "space", "space", "mark", "Mark the run, or take the mark away", RUNS, 2),
    _action("runs_overlay", "o", "o", "overlay", "The marked runs' curves over each other", RUNS, 4),
    _action("runs_compare", "c", "c", "compare", "Table of the marked runs: gains, intervals", RUNS, 5),
    _action("runs_difference", "d", "d", "differences", "Settings in which the marked runs differ", RUNS, 6),
    _action("runs_filter", "slash", "/", "filter", "Only runs whose name, method or state holds words", RUNS, 3),
    _action("runs_sort", "s", "s", "sort", "Sort by the next column (or click its head)", RUNS, 9),
    _action("runs_turn", "S", "⇧s", "turn", "Sort the other way round", RUNS, 11),
    _action("runs_unmark", "u", "u", "unmark all", "Take all marks away", RUNS, 10),
    _action("runs_help", *_HELP, RUNS, 7, False),
    _action("runs_close", "escape,q", "esc", "back", "Back to the run; from the filter: clear it", RUNS, 3, False),
)

OVERLAY_ACTIONS = (
    _action("overlay_model", "m", "m", "model", "Curves of the next model", OVERLAY, 1),
    _action("overlay_log_y", "l", "l", "log y", "Logarithmic or linear y axis of the focused chart", OVERLAY, 2),
    _action("overlay_smooth", "g", "g", "smooth", "Smoothing: 0.9, 0.98, off", OVERLAY, 3),
    _action("overlay_zoom", "z", "z", "zoom", "Zoom in", OVERLAY, 4),
    _action("overlay_reset", "0", "0", "reset", "Show the whole chart again", OVERLAY, 9),
    _action("overlay_inspect", "i", "i", "inspect", "Reading line: values at one epoch", OVERLAY, 5),
    _action("overlay_left", "left", "←", "", "Pan left; with the reading line: move it", OVERLAY, 0, False),
    _action("overlay_right", "right", "→", "", "Pan right; with the reading line: move it", OVERLAY, 0, False),
    _action("overlay_band", "b", "b", "band", "Mean ± standard deviation over the seeds of the run in the table",
            OVERLAY, 10),
    _action("overlay_difference", "d", "d", "differences", "Settings in which the runs differ", OVERLAY, 6),
    _action("overlay_compare", "c", "c", "compare", "Table of the runs: gains, intervals", OVERLAY, 7),
    _action("overlay_next", "tab", "tab", "focus", "The other chart, or the table", OVERLAY, 11, False),
    _action("overlay_help", *_HELP, OVERLAY, 8, False),
    _action("overlay_close", "escape", "esc", "back", "Back to the list of runs", OVERLAY, 3, False),
    _action("overlay_leave", "q", "q", "", "Back; leave, where `watch` began with these runs", OVERLAY, 0, False),
)  # fmt: skip

EXPLORE_ACTIONS = (
    _action("explore_search", "slash", "/", "search", "Type a name or an id", EXPLORE, 1),
    _action("explore_swap", "w,ctrl+s", "w", "swap",
            "From a disease to its drugs, or from a drug to its diseases; Ctrl-S while typing", EXPLORE, 2),
    _action("explore_follow", "enter", "enter", "follow", "Ask for the node under the cursor", EXPLORE, 3, False),
    _action("explore_back", "backspace", "⌫", "previous", "What was asked for before", EXPLORE, 7),
    _action("explore_relation", "r", "r", "relation", "The next relation", EXPLORE, 4),
    _action("explore_seed", "d", "d", "seed", "The student of the next seed", EXPLORE, 5),
    _action("explore_unknown", "k", "k", "hide known", "Leave known pairs out of the list, or show them", EXPLORE, 6),
    _action("explore_help", *_HELP, EXPLORE, 8, False),
    _action("explore_close", "escape,q", "esc", "back", "Back to the ranking, then to the run", EXPLORE, 3, False),
)  # fmt: skip

CLASS_ACTIONS = (
    _action("classes_order", "o", "o", "order",
            "Least certain, members furthest apart, told wrong, by number", CLASSES, 1),
    _action("classes_part", "p", "p", "part", "Test, validation, training, or all", CLASSES, 2),
    _action("classes_model", "m", "m", "model", "The answers of the next model", CLASSES, 4),
    _action("classes_class", "c", "c", "class", "Only what is told as the next class, or all", CLASSES, 5),
    _action("classes_follow", "enter", "enter", "neighbours", "The nodes that it is joined to", CLASSES, 3, False),
    _action("classes_back", "backspace", "⌫", "previous", "What was shown before", CLASSES, 7),
    _action("classes_search", "slash", "/", "number", "Type the number of a node or graph", CLASSES, 6),
    _action("classes_seed", "d", "d", "seed", "The next seed", CLASSES, 9),
    _action("classes_help", *_HELP, CLASSES, 8, False),
    _action("classes_close", "escape,q", "esc", "back", "Back to the list, then to the run", CLASSES, 3, False),
)  # fmt: skip

COMPARISON_ACTIONS = (
    _action("comparison_help", *_HELP, COMPARISON, 2, False),
    _action("comparison_close", "escape,q", "esc", "back", "Back", COMPARISON, 1, False),
)

SCREEN_ACTIONS = (*RUN_ACTIONS, *OVERLAY_ACTIONS, *EXPLORE_ACTIONS, *CLASS_ACTIONS, *COMPARISON_ACTIONS)


def screen_bindings(actions: tuple[Action, ...], *priority: str) -> list[Binding]:
    """Key bindings of a screen's actions; `priority` names those that a focused widget must not take for itself."""
    return [
        Binding(
            action.keys, method_of(action), action.label or action.help, show=False, id=action.id,
            key_display=action.shown, priority=action.id in priority,
        )
        for action in actions
    ]  # fmt: skip


def method_of(action: Action) -> str:
    """The part of a screen's `action_…` method after that word."""
    return action.id.partition("_")[2]

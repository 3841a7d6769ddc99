"""Exploring a trained student: type a disease and see its drugs beside the teacher's ranks, and what connects a pair.

The ranking needs the run directory alone. The paths need the graph, which is read in the background; where it is gone
or has changed, the screen says so and ranks on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from flykd_console.dashboard.connection_text import ConnectionView
from flykd_console.dashboard.explore_table import KNOWN_SIGNS, NO_NEIGHBOURS, RANK_WORDS, columns, known_words
from flykd_console.dashboard.keymap import Action
from flykd_console.dashboard.palette import look
from flykd_console.dashboard.screen_keys import EXPLORE_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.dashboard.user_keys import shown
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.words import clipped, grouped

if TYPE_CHECKING:
    from flykd_console.explore.exploration import Exploration, RankedList, Side
    from flykd_console.graph.connections import Connections
    from flykd_console.graph.paths import SeenGraph

_TOP = 200
_SUGGESTIONS = 12
_SIDE_BY_SIDE_FROM = 110
# Keys that no text takes for itself.
_PAST_THE_TEXT = re.compile(r"(ctrl|alt)\+.+|f\d+")


class ExploreScreen(FullScreen[None]):
    """Looks pairs up in a finished seed.

    Args:
        directory: The run.
        seeds: Those whose student is done.
    """

    ACTIONS = EXPLORE_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(EXPLORE_ACTIONS)]
    AUTO_FOCUS = "#explore-search"

    class Opened(Message):
        """A seed's tables are read, or there is a reason why not."""

        def __init__(self, seed: int, exploration: Exploration | None, problem: str = "") -> None:
            super().__init__()
            self.seed, self.exploration, self.problem = seed, exploration, problem

    class Found(Message):
        """Rows that the typed text may mean; without a text those with most known pairs (`counts`)."""

        def __init__(self, side: Side, text: str, rows: list[int], counts: list[int]) -> None:
            super().__init__()
            self.side, self.text, self.rows, self.counts = side, text, rows, counts

    class GraphRead(Message):
        """The graph is split as the seed saw it, or there is a reason why not."""

        def __init__(self, seed: int, graph: SeenGraph | None, problem: str = "") -> None:
            super().__init__()
            self.seed, self.graph, self.problem = seed, graph, problem

    class Connected(Message):
        """What connects a pair."""

        def __init__(self, pair: tuple[int, int, str], connections: Connections) -> None:
            super().__init__()
            self.pair, self.connections = pair, connections

    def __init__(self, directory: RunDirectory, seeds: Sequence[int]) -> None:
        super().__init__()
        self._directory, self._seeds = directory, list(seeds)
        self.seed = self._seeds[0]
        self.side: Side = "tail"
        self.relation = ""
        self.ranking: RankedList | None = None
        self.exploration: Exploration | None = None
        self.graph: SeenGraph | None = None
        self.connections: Connections | None = None
        self.problem = self.graph_problem = ""
        self.hide_known = False
        self._history: list[tuple[Side, int]] = []
        self._suggested: list[int] = []
        self._pair: tuple[int, int, str] | None = None

    def body(self) -> Iterable[Widget]:
        yield Input(id="explore-search", compact=True)
        yield OptionList(id="explore-suggestions", compact=True)
        with Horizontal(id="explore-body"):
            with Vertical(id="explore-left"):
                yield Static(id="explore-summary")
                yield DataTable(id="explore-table", cursor_type="row")
            with VerticalScroll(id="explore-right"):
                yield Static(id="explore-paths")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#explore-right").border_title = "WHAT CONNECTS THEM"
        # The arrows reach it from the text, and a click needs no focus.
        self.query_one(OptionList).can_focus = False
        self.query_one(OptionList).display = False
        self.open_seed(self.seed)

    # In the background.

    @work(thread=True, exclusive=True, group="open")
    def open_seed(self, seed: int) -> None:
        """Read a seed's tables, then the graph as that seed saw it."""
        from flykd_console.explore.exploration import Exploration

        worker = get_current_worker()
        try:
            self.post_message(self.Opened(seed, Exploration(self._directory, seed)))
        except UserError as error:
            self.post_message(self.Opened(seed, None, str(error)))
            return
        if not worker.is_cancelled:
            self.post_message(self._read_graph(seed))

    def _read_graph(self, seed: int) -> GraphRead:
        import json

        try:
            about = json.loads(self._directory.environment.read_text("utf-8"))
            fingerprint, split = about["graph"]["fingerprint"], about.get("splits", {}).get(str(seed))
        except (OSError, ValueError, KeyError, TypeError):
            return self.GraphRead(seed, None, "The run does not say which graph it was trained on.")
        from flykd_console.graph.paths import open_seen_graph
        from flykd_console.profile.load import load_profile

        try:
            profile = load_profile(str(self._directory.profile))
            return self.GraphRead(seed, open_seen_graph(profile, seed, fingerprint, split))
        except UserError as error:
            return self.GraphRead(seed, None, str(error))

    @work(thread=True, exclusive=True, group="search")
    def search(self, text: str) -> None:
        """Find what is meant, or what there is to begin with; a newer text takes an older one's place."""
        exploration, worker, side = self.exploration, get_current_worker(), self.side
        if exploration is None or worker.is_cancelled:
            return
        counts: list[int] = []
        if text.strip():
            rows = [match.row for match in exploration.names(side).search(text, _SUGGESTIONS)]
        else:
            most = exploration.most_known(side, self.relation, _SUGGESTIONS)
            rows, counts = [row for row, _ in most], [count for _, count in most]
        if not worker.is_cancelled:
            self.post_message(self.Found(side, text, rows, counts))

    @work(thread=True, exclusive=True, group="paths")
    def connect(self, pair: tuple[int, int, str]) -> None:
        """Look for what connects a head and a tail."""
        graph, worker = self.graph, get_current_worker()
        if graph is None:
            return
        connections = graph.connections(*pair)
        if not worker.is_cancelled:
            self.post_message(self.Connected(pair, connections))

    def on_explore_screen_opened(self, message: Opened) -> None:
        if message.seed != self.seed:
            return
        self.exploration, self.problem = message.exploration, message.problem
        if self.exploration is not None:
            if self.relation not in self.exploration.relations:
                # What can be prescribed is asked more often than what must not be.
                relations = self.exploration.relations
                self.relation = "indication" if "indication" in relations else relations[0]
            if self.ranking is not None:
                self._rank(self.ranking.row)
            else:
                self.search(self.query_one(Input).value)
        self.fit()

    def on_explore_screen_graph_read(self, message: GraphRead) -> None:
        if message.seed == self.seed:
            self.graph, self.graph_problem = message.graph, message.problem
            self._pair = None
            self._look_at_pair()

    def on_explore_screen_found(self, message: Found) -> None:
        search, suggestions = self.query_one(Input), self.query_one(OptionList)
        if (message.side, message.text) != (self.side, search.value) or self.exploration is None:
            return
        names = self.exploration.names(self.side)
        colours = look(self.app.current_theme.dark)
        self._suggested = message.rows
        suggestions.clear_options()
        room = max(20, self.app.size.width - 24)
        counts = [f"  {count} known {self._ranked_type}{'s' if count != 1 else ''}" for count in message.counts]
        room -= max(map(len, counts), default=0)
        for place, row in enumerate(message.rows):
            said, node_id = clipped(names.names[row], room), clipped(names.ids[row], 20)
            name = Text.assemble((said, colours.foreground), (f"  {node_id}", colours.muted))
            name.append(counts[place] if counts else "", style=colours.curve(2))
            suggestions.add_option(Option(name))
        if not message.rows and message.text.strip():
            suggestions.add_option(
                Option(Text(f"no {self._asked} is called like this", style=colours.muted), disabled=True)
            )
        self._show_suggestions()
        if message.rows:
            suggestions.highlighted = 0

    def _show_suggestions(self) -> None:
        """The list below the text, while something is typed or nothing was asked yet."""
        suggestions, search = self.query_one(OptionList), self.query_one(Input)
        wanted = bool(search.value) or self.ranking is None
        suggestions.display = search.has_focus and wanted and suggestions.option_count > 0

    def on_explore_screen_connected(self, message: Connected) -> None:
        if message.pair == self._pair:
            self.connections = message.connections
            self._show_paths()

    # Drawing.

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    @property
    def _asked(self) -> str:
        """The type of the node that is typed."""
        if self.exploration is None:
            return "disease"
        return self.exploration.node_type(self.side)

    @property
    def _ranked_type(self) -> str:
        if self.exploration is None:
            return "drug"
        return self.exploration.node_type("head" if self.side == "tail" else "tail")

    def lay_out(self, width: int, height: int) -> None:
        side_by_side = width >= _SIDE_BY_SIDE_FROM
        self.query_one("#explore-body").set_class(not side_by_side, "stacked")
        self.query_one(Input).placeholder = f"/ type a {self._asked}: its name, words of it, or its id"
        self._show_ranking()
        self._show_paths()

    def title_parts(self) -> list[Part]:
        parts = [("explore", "bold $primary"), (self._directory.name, "bold $foreground")]
        if self.exploration is None:
            return [*parts, (self.problem, "bold $error") if self.problem else ("reading…", "$warning")]
        parts += [(f"seed {self.seed}", "$foreground"), (self.relation, "bold $accent")]
        if self.ranking is not None:
            parts.append((f"{self._ranked_type}s for a {self._asked}", "$foreground"))
        return parts

    def labels(self) -> dict[str, str]:
        labels = super().labels()
        if self.typing:
            there = self.ranking is not None or bool(self._history)
            back = "to the ranking" if there else "clear" if self.query_one(Input).value else "back"
            typing = {"explore_follow": "choose", "explore_close": back}
            if self._swap_key:
                typing["explore_swap"] = f"by {self._ranked_type}"
            return typing
        if len(self._seeds) < 2:
            labels.pop("explore_seed")
        if self.exploration is not None and len(self.exploration.relations) < 2:
            labels.pop("explore_relation")
        if not self._history:
            labels.pop("explore_back")
        labels["explore_swap"] = f"by {self._ranked_type}"
        if self.hide_known:
            labels["explore_unknown"] = "show known"
        return labels

    @property
    def _swap_key(self) -> str:
        """The key that swaps while a text is typed; empty where the user's own keys leave none."""
        swap = next(action for action in super().keyed_actions if action.id == "explore_swap")
        return next((key for key in swap.keys.split(",") if _PAST_THE_TEXT.fullmatch(key)), "")

    @property
    def keyed_actions(self) -> tuple[Action, ...]:
        actions, key = super().keyed_actions, self._swap_key
        if not self.typing or not key:
            return actions
        # A letter would go into the text.
        return tuple(replace(one, shown=shown(key)) if one.id == "explore_swap" else one for one in actions)

    @property
    def shown(self) -> list[int]:
        """Places in the ranking of the rows of the table."""
        if self.ranking is None:
            return []
        return [i for i, node in enumerate(self.ranking.nodes) if not (self.hide_known and node.known)]

    def _show_ranking(self) -> None:
        colours = look(self.app.current_theme.dark)
        table, summary = self.table, self.query_one("#explore-summary", Static)
        ranking, exploration = self.ranking, self.exploration
        at = table.cursor_row
        table.clear(columns=True)
        if ranking is None or exploration is None:
            summary.update(Text(self._invitation(), style=colours.muted))
            return
        names = exploration.names(ranking.side)
        head = Text.assemble(
            (names.names[ranking.row], f"bold {colours.foreground}"), (f"  {names.ids[ranking.row]}", colours.muted)
        )
        if ranking.silent:
            head.append(
                f"\nThe student knows nothing of it: no training edge leads to it, and every {self._ranked_type} would "
                "score 0.", style=colours.curve(1),
            )  # fmt: skip
            summary.update(head)
            return
        head.append("\n")
        head.append_text(known_words(ranking, self._ranked_type, colours))
        left_out = f", {grouped(ranking.left_out)} without training edges left out" if ranking.left_out else ""
        head.append(f"\n{grouped(ranking.ranked)} {self._ranked_type}s ranked{left_out}", style=colours.muted)
        head.append(f"\n{RANK_WORDS}" if exploration.nearest is not None else f"\n{NO_NEIGHBOURS}", style=colours.muted)
        summary.update(head)
        width = (
            self.app.size.width * 11 // 20 if self.app.size.width >= _SIDE_BY_SIDE_FROM else self.app.size.width
        ) - 3
        near = exploration.nearest is not None
        layout = columns(width, self._ranked_type, has_teacher=exploration.teacher is not None, has_neighbours=near)
        for column in layout:
            table.add_column(
                Text(column.head, style=colours.muted, justify="left" if column.words else "right"), width=column.width
            )
        for place in self.shown:
            node = ranking.nodes[place]
            table.add_row(*(column.cell(node, colours) for column in layout))
        table.move_cursor(row=min(at, max(0, len(self.shown) - 1)))

    def _invitation(self) -> str:
        if self.problem:
            return f"✘ {self.problem}"
        marks = "   ".join(f"{sign} {part}" for part, sign in KNOWN_SIGNS.items())
        return (
            f"Type a {self._asked} above, or choose one of those with most known {self._ranked_type}s "
            f"(↓, enter). Its {self._ranked_type}s are ranked by the student, beside the teacher's ranks.\n"
            f"Pairs that the graph knows are marked:   {marks}\nThe models have seen the training pairs alone."
        )

    def _show_paths(self) -> None:
        colours = look(self.app.current_theme.dark)
        paths = self.query_one("#explore-paths", Static)
        right = self.query_one("#explore-right")
        right.display = self.ranking is not None and not self.ranking.silent
        if self.graph_problem:
            words = Text.assemble(
                ("No paths: ", f"bold {colours.curve(1)}"), (self.graph_problem, colours.foreground),
                ("\n\nThe ranking does not need the graph.", colours.muted),
            )  # fmt: skip
            paths.update(words)
        elif self.graph is None:
            paths.update(Text("Reading the graph…", style=colours.muted))
        elif self.connections is not None:
            paths.update(ConnectionView(self.connections, self.relation, colours))
        else:
            paths.update("")

    # Asking.

    def ask(self, side: Side, row: int, remember: bool = True) -> None:
        """Rank for a node."""
        if self.exploration is None:
            return
        if self.ranking is not None and remember and (side, row) != (self.ranking.side, self.ranking.row):
            self._history.append((self.ranking.side, self.ranking.row))
        self.side = side
        search = self.query_one(Input)
        with search.prevent(Input.Changed):
            search.value = ""
        self.query_one(OptionList).display = False
        self.table.focus()
        self._rank(row)
        self.table.move_cursor(row=0)
        self.fit()

    def _rank(self, row: int) -> None:
        assert self.exploration is not None
        self.ranking = self.exploration.rank(self.side, row, self.relation, _TOP)
        self._pair, self.connections = None, None
        self._show_ranking()
        self._look_at_pair()

    def _look_at_pair(self) -> None:
        """Ask for what connects the pair under the cursor, if it is another one than before."""
        ranking, row = self.ranking, self.table.cursor_row
        pair = None
        if ranking is not None and 0 <= row < len(self.shown):
            other = ranking.nodes[self.shown[row]].row
            ends = (ranking.row, other) if ranking.side == "head" else (other, ranking.row)
            pair = (*ends, self.relation)
        if pair != self._pair:
            self._pair, self.connections = pair, None
            self.query_one("#explore-right").scroll_home(animate=False)
            if pair is not None:
                self.connect(pair)
        if pair is None or self.graph is None or self.graph_problem:
            self._show_paths()

    # What keys do.

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if event.value or self.ranking is None:
            self.search(event.value)
        else:
            self.query_one(OptionList).display = False
        self.write_bars()

    @on(Input.Submitted)
    def _chosen(self) -> None:
        suggestions = self.query_one(OptionList)
        if suggestions.display and suggestions.highlighted is not None and self._suggested:
            self.ask(self.side, self._suggested[suggestions.highlighted])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._suggested):
            self.ask(self.side, self._suggested[event.option_index])

    def on_key(self, event: events.Key) -> None:
        if self.typing and event.key in ("down", "up"):
            suggestions = self.query_one(OptionList)
            if suggestions.display:
                suggestions.action_cursor_down() if event.key == "down" else suggestions.action_cursor_up()
                event.stop()
            elif event.key == "down" and self.ranking is not None:
                self.table.focus()
                event.stop()

    def on_descendant_focus(self) -> None:
        self._show_suggestions()
        self.write_bars()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._look_at_pair()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_follow()

    def action_follow(self) -> None:
        row = self.table.cursor_row
        if self.ranking is not None and 0 <= row < len(self.shown):
            node = self.ranking.nodes[self.shown[row]]
            self.ask("head" if self.ranking.side == "tail" else "tail", node.row)

    def action_search(self) -> None:
        self.query_one(Input).focus()

    def action_swap(self) -> None:
        self.side = "head" if self.side == "tail" else "tail"
        if self.ranking is not None:
            self._history.append((self.ranking.side, self.ranking.row))
        self.ranking, self._pair, self.connections = None, None, None
        self.query_one(OptionList).clear_options()
        self.action_search()
        self.search(self.query_one(Input).value)
        self.fit()

    def action_back(self) -> None:
        if self._history:
            side, row = self._history.pop()
            self.ask(side, row, remember=False)

    def action_relation(self) -> None:
        if self.exploration is not None:
            relations = self.exploration.relations
            self.relation = relations[(relations.index(self.relation) + 1) % len(relations)]
            if self.ranking is not None:
                self._rank(self.ranking.row)
            else:
                self.search(self.query_one(Input).value)
            self.write_bars()

    def action_seed(self) -> None:
        if len(self._seeds) > 1:
            self.seed = self._seeds[(self._seeds.index(self.seed) + 1) % len(self._seeds)]
            self.graph, self.graph_problem, self.exploration = None, "", None
            self.write_bars()
            self.open_seed(self.seed)

    def action_unknown(self) -> None:
        self.hide_known = not self.hide_known
        self._show_ranking()
        self._look_at_pair()
        self.write_bars()

    def action_close(self) -> None:
        """Out of the text, back to the ranking that was there, then off the screen."""
        search = self.query_one(Input)
        if self.typing and self.ranking is not None:
            search.value = ""
            self.table.focus()
        elif self.typing and search.value:
            search.value = ""
        elif self.ranking is None and self._history:
            self.action_back()
        else:
            self.dismiss()

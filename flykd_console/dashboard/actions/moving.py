"""Between panels, tabs and screens; the theme; leaving."""

from __future__ import annotations

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.palette import DARK, LIGHT
from flykd_console.dashboard.widgets.log import LogPanel


class MoveActions(FollowingApp):
    """Keys that change what is on the screen."""

    def action_next_panel(self) -> None:
        self._step(1)

    def action_previous_panel(self) -> None:
        self._step(-1)

    def _step(self, direction: int) -> None:
        if self.screen is not self.main:
            self.screen.focus_next() if direction > 0 else self.screen.focus_previous()
            return
        self.main.step_focus(direction)
        self.draw()

    def action_tab(self, tab: int) -> None:
        self.main.choose_tab(tab)
        self.draw()

    def action_rates(self) -> None:
        if not self.main.toggle_rates():
            self.notify("Learning rate and speed are on the screen already", timeout=3)
        self.draw()

    def action_sort(self) -> None:
        self.main.seeds.sort_next()

    def action_turn(self) -> None:
        self.main.seeds.turn()

    def action_level(self) -> None:
        self.main.query_one(LogPanel).next_level()

    def action_full(self) -> None:
        self.main.toggle_full()
        self.draw()

    async def action_back(self) -> None:
        log = self.main.query_one(LogPanel)
        chart = self.main.chart
        if log.filtering:
            log.close_filter(clear=True)
        elif chart is not None and chart.cursor is not None:
            chart.toggle_cursor()
        elif self.main.full:
            self.action_full()

    def action_filter(self) -> None:
        if self.main.focused_panel != "log":
            self.main.focus_panel("log")
            self.draw()
        self.main.query_one(LogPanel).open_filter()

    def action_results(self) -> None:
        from flykd_console.dashboard.screens.results import ResultsScreen

        self.push_screen(ResultsScreen(self.state, self.phase, self.directory))

    def action_help(self) -> None:
        from flykd_console.dashboard.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.user_keys))

    def action_theme(self) -> None:
        self.theme = LIGHT if self.current_theme.dark else DARK
        self.draw()

    def action_detach(self) -> None:
        self.exit()

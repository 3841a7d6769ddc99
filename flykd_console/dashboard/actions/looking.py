"""How the focused chart is looked at: zoom, scale, smoothing, reading line; and saving it."""

from __future__ import annotations

from textual import work

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.health import near
from flykd_console.runs.models import UNTRAINED


class ChartActions(FollowingApp):
    """Keys of the focused chart."""

    def _chart_action(self, what: str) -> None:
        chart = self.main.chart
        if chart is None:
            self.notify("Focus a chart first (tab)", timeout=3)
            return
        match what:
            case "log":
                chart.toggle_log()
            case "smooth":
                chart.next_smoothing()
            case "zoom":
                chart.zoom_by(0.5)
            case "out":
                chart.zoom_by(2.0)
            case "reset":
                chart.reset()
            case "inspect":
                chart.toggle_cursor()
            case "left":
                chart.move(-1)
            case "right":
                chart.move(1)
            case "curve":
                chart.next_curve()
            case "clip":
                chart.toggle_clip()

    def action_log_y(self) -> None:
        self._chart_action("log")

    def action_smooth(self) -> None:
        self._chart_action("smooth")

    def action_zoom(self) -> None:
        self._chart_action("zoom")

    def action_zoom_out(self) -> None:
        self._chart_action("out")

    def action_focus_curve(self) -> None:
        self._chart_action("curve")

    def action_clip(self) -> None:
        self._chart_action("clip")

    def action_zoom_reset(self) -> None:
        self._chart_action("reset")

    def action_inspect(self) -> None:
        self._chart_action("inspect")

    def action_pan_left(self) -> None:
        self._chart_action("left")

    def action_pan_right(self) -> None:
        self._chart_action("right")

    def action_model(self) -> None:
        order = [None, *(entry.name for entry in self.state.trained if entry.role not in UNTRAINED)]
        shown = self.main.metrics[0].model
        # The model of a run that was shown before may be none of this one's.
        at = order.index(shown) if shown in order else 0
        for chart in self.main.metrics:
            chart.model = order[(at + 1) % len(order)]
            chart.redraw()

    def action_band(self) -> None:
        band = not self.main.metrics[0].band
        for chart in self.main.metrics:
            chart.band = band
            chart.redraw()

    @work(exclusive=True, group="save-chart")
    async def action_save_chart(self) -> None:
        chart = self.main.chart
        if chart is None:
            self.notify("Focus a chart first (tab)", timeout=3)
            return
        from flykd_console.dashboard.picture import chart_path, save_chart

        if chart.empty:
            self.notify("There is nothing to save yet")
            return
        path = chart_path(chart, self.directory)
        before = path.with_name(f"{path.name}.svg").exists()
        saving = f"Saving {path.name}…"
        self.notify(saving, timeout=60, markup=False)
        try:
            await save_chart(chart, path, self.directory.name, self.current_theme.dark)
        except OSError as error:
            self.notify(f"The chart could not be saved: {error.strerror}", severity="error", markup=False)
            return
        finally:
            self.take_back(saving)
        again = ", in place of the one saved before" if before else ""
        self.notify(f"Saved {near(path)}.svg, .png and .csv{again}", markup=False)

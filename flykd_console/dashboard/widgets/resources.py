"""What the machine is doing: processor, memory and, where there is one, the GPU, each with a curve of the past."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from flykd_console.dashboard.spark import newest
from flykd_console.runs.state.run import RunState
from flykd_console.words import size

_LABEL = 8
_CURVE = 40


def resource_lines(state: RunState, width: int) -> list[Content]:
    """One line for each thing that was measured; what is absent has none."""
    now = state.resources
    if now is None:
        return [Content.assemble(("Nothing measured yet", "$muted"))]
    series = state.resource_series
    rows: list[tuple[str, str, str, float | None]] = []

    def line(label: str, value: str, curve: str, top: float | None = None) -> None:
        rows.append((label, value, curve, top))

    cores = max(100.0, 100.0 * -(-max(series["cpu"].y[-200:], default=100.0) // 100.0))
    line("cpu", f"{now.cpu:.0f} %", "cpu", cores)
    line("memory", size(now.rss) + (f" of {size(now.memory_total)}" if now.memory_total else ""), "rss")
    if any(value is not None for value in (now.gpu_utilisation, now.gpu_temperature, now.gpu_power)):
        extra = [f"{now.gpu_utilisation:.0f} %"] if now.gpu_utilisation is not None else []
        extra += [f"{now.gpu_temperature:.0f} °C"] if now.gpu_temperature is not None else []
        extra += [f"{now.gpu_power:.0f} W"] if now.gpu_power is not None else []
        line("gpu", "  ".join(extra), "gpu_utilisation", 100.0)
    if now.gpu_memory is not None:
        total = f" of {size(now.gpu_memory_total)}" if now.gpu_memory_total else ""
        line("gpu mem", size(now.gpu_memory) + total, "gpu_memory")
    words = max(len(value) for _, value, _, _ in rows) + 1
    room = min(_CURVE, width - _LABEL - words)
    return [
        Content.assemble(
            (f"{label:<{_LABEL}}", "$muted"), (f"{value:<{words}}", "$foreground"),
            (newest(series.get(curve), room, top), "$primary 55%"),
        )
        for label, value, curve, top in rows
    ]  # fmt: skip


class ResourcesPanel(Static, can_focus=True):
    """The lines in a frame."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="resources", classes="panel")
        self.border_title = "RESOURCES"
        self._state: RunState | None = None
        self._count = 0

    def show(self, state: RunState) -> None:
        """Write the lines anew."""
        self._state = state
        lines = resource_lines(state, self.content_size.width or 40)
        self.update(Content("\n").join(lines), layout=len(lines) != self._count)
        self._count = len(lines)

    def on_resize(self) -> None:
        if self._state is not None:
            self.show(self._state)

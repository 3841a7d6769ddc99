"""The one-line parts: header, tabs, progress and footer, and the banner below the header."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from flykd_console.dashboard.health import Notice, Phase
from flykd_console.dashboard.keymap import ACTIONS, Action
from flykd_console.dashboard.stage_words import short_words, stage_words
from flykd_console.runs.events import RunFinished
from flykd_console.runs.state.progress import Progress
from flykd_console.runs.state.run import RunState
from flykd_console.words import grouped, rate, span, to_go

_LOUD = {
    Phase.PAUSED: "bold $warning", Phase.PAUSING: "$warning", Phase.CONTINUING: "$warning", Phase.STOPPING: "$warning",
    Phase.FINISHED: "bold $success", Phase.STOPPED: "bold $warning", Phase.FAILED: "bold $error",
    Phase.DIED: "bold $error", Phase.UNREADABLE: "bold $error", Phase.REPLAY: "bold $accent",
}  # fmt: skip


class Line(Static):
    """A line of its own; words that can be clicked keep their colours."""

    ALLOW_SELECT = False

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.auto_links = False
        self._said: Content | None = None

    def say(self, content: Content, layout: bool = False) -> None:
        """Write the line anew, if it has changed; `layout`: its height may have changed too."""
        if self._said is None or self._said != content or self._said.spans != content.spans:
            self._said = content
            self.update(content, layout=layout)


class HeaderBar(Line):
    """Who is being trained, where it is and how fast; drops the least important parts where there is no room."""

    place = ""
    replay = ""

    def show(self, state: RunState, phase: Phase, name: str, width: int) -> None:
        """Write the line anew."""
        self.say(header(state, phase, name, width, self.place, self.replay))


def header(state: RunState, phase: Phase, name: str, width: int, batch: str = "", replay: str = "") -> Content:
    """The header for a width in cells; `batch`: the run's place in its batch; `replay`: how a replay is called."""
    name, short = (
        f"{batch} {words}".strip() for words in (name, state.started.name if state.started is not None else name)
    )
    facts = _facts(state, phase, replay)
    # From everything to almost nothing; the first that fits is taken.
    for title, run, limit in (
        (True, name, 6), (True, name, 5), (True, name, 4), (True, name, 3), (True, name, 2),
        (True, short, 4), (True, short, 3), (True, short, 2), (False, short, 2), (False, short, 1), (False, short, 0),
    ):  # fmt: skip
        parts = [(" flykd-console", "bold $primary")] if title else []
        parts += [(run if title else f" {run}", "bold $foreground")]
        parts += [(text, style) for rank, text, style in facts if rank <= limit]
        if sum(len(text) + 3 for text, _ in parts) - 2 <= width or limit == 0:
            pieces: list[tuple[str, str]] = []
            for i, part in enumerate(parts):
                pieces += [(" · ", "$muted"), part] if i else [part]
            return Content.assemble(*pieces)
    raise AssertionError("the last form is always taken")


def _facts(state: RunState, phase: Phase, replay: str = "") -> list[tuple[int, str, str]]:
    """What the header says besides names: (rank, text, style), a lower rank is kept longer."""
    facts: list[tuple[int, str, str]] = []
    if replay:
        facts.append((0, replay, "bold $accent"))
    if phase not in (Phase.RUNNING, Phase.STARTING) and not (replay and phase is Phase.REPLAY):
        facts.append((0, phase.value, _LOUD.get(phase, "bold")))
    stage, seeds = state.stage, state.seeds
    if phase is Phase.FINISHED:
        facts.append((1, f"{len(seeds)} seeds" if len(seeds) != 1 else f"seed {seeds[0]}", "$foreground"))
    elif stage is not None:
        place = f" ({seeds.index(stage.seed) + 1}/{len(seeds)})" if stage.seed in seeds else ""
        facts.append((1, f"seed {stage.seed}{place}", "$foreground"))
        facts.append((1, stage_words(state, stage), "$primary"))
        facts.append((4, f"epoch {grouped(stage.epoch)}/{grouped(stage.epochs)}", "$foreground"))
        if phase in (Phase.RUNNING, Phase.STARTING, Phase.REPLAY, Phase.PAUSING, Phase.STOPPING):
            facts.append((2, rate(state.its_per_second), "$foreground"))
            if state.busy_words:
                facts.append((3, state.busy_words, "$warning"))
    elif phase in (Phase.STARTING, Phase.RUNNING):
        facts.append((1, "preparing" if state.started is not None else "starting", "$primary"))
    if state.started is not None:
        name = state.started.device_name.removeprefix("NVIDIA ")
        facts.append((3, f"{state.started.device} {name}".strip(), "$muted"))
        graph = state.started.graph
        if graph.nodes:
            facts.append((6, f"{graph.source}, {grouped(graph.nodes)} nodes", "$muted"))
    return facts


class Banner(Line):
    """What the user must be told; hidden while training simply goes on."""

    def show(self, notice: Notice | None, width: int, actions: tuple[Action, ...] = ACTIONS) -> None:
        """Say it, or hide. `actions`: with the user's keys."""
        self.display = notice is not None
        if notice is None:
            return
        mark = {"good": "✔", "bad": "✘", "warn": "■", "plain": "•"}[notice.tone]
        colour = {"good": "$success", "bad": "$error", "warn": "$warning", "plain": "$muted"}[notice.tone]
        parts: list[tuple[str, str] | str] = [
            (f"{mark} {notice.heading} ", f"bold {colour}"),
            (notice.text, "$foreground"),
        ]
        used = (
            len(notice.heading)
            + len(notice.text)
            + len(notice.command)
            + 5
            + sum(len(words) + 5 for _, words in notice.keys)
        )
        one_line = used <= width - 2
        if notice.command and one_line:
            parts.append((f" {notice.command}", "bold $foreground"))
        shown = {action.id: action.shown for action in actions}
        if notice.command and not one_line:
            parts.append((f"\n  {notice.command}", "bold $foreground"))
        for action, words in notice.keys:
            # Below the sentence only beside its command; the footer names these keys as well.
            if one_line or not notice.command or len(notice.command) + len(words) + 10 <= width:
                parts += ["   ", (shown[action], "bold $key"), (f" {words}", "$foreground")]
        self.say(Content.assemble(*parts), layout=True)


class TabBar(Line):
    """The groups of panels in a narrow terminal; a number key or a click chooses one."""

    def show(self, names: tuple[str, ...], chosen: int) -> None:
        """Write the tabs anew; no names: hidden."""
        self.display = bool(names)
        parts: list[Content | tuple[str, str] | str] = []
        for i, name in enumerate(names):
            text = f" {i + 1} {name} "
            style = "bold reverse $primary" if i == chosen else "$muted"
            parts.append(Content.assemble((text, style)).stylize(f"@click=app.tab({i})"))
        self.say(Content.assemble(*parts))


class ProgressBar(Line):
    """How far the stage is and how far the run is, and how long that will take."""

    def show(self, state: RunState, run: Progress, phase: Phase, width: int) -> None:
        """Write the line anew."""
        self.say(progress_line(state, run, phase, width))


def bar(fraction: float, width: int, style: str, before: float = 0.0) -> Content:
    """A thin bar with half-cell steps; `before`: how far it was before a resume, dotted."""
    halves = round(max(0.0, min(1.0, fraction)) * 2 * width)
    full, half = divmod(halves, 2)
    again = max(0, round(min(1.0, before) * width) - full - half)
    return Content.assemble(
        ("━" * full + ("╸" if half else ""), style), ("┅" * again, style),
        ("━" * (width - full - half - again), "$bar-rest"),
    )  # fmt: skip


def progress_line(state: RunState, run: Progress, phase: Phase, width: int) -> Content:
    """Both bars on one line of a width in cells."""
    stage = state.stage
    stage_fraction = stage.fraction if stage is not None else 0.0
    before = stage.furthest / stage.epochs if stage is not None and stage.epochs and not stage.over else 0.0
    left = short_words(state, stage) if stage is not None else "stage"
    if stage is not None and width >= 100:
        left_end = f"{100 * stage_fraction:2.0f} %  {grouped(stage.epoch)}/{grouped(stage.epochs)}"
    else:
        left_end = f"{100 * stage_fraction:2.0f} %"
    seeds = state.seeds
    done = sum(all(s.over for (seed, _), s in state.stages.items() if seed == which) for which in seeds)
    right_end = f"{100 * run.fraction:2.0f} %"
    if width >= 130 and seeds:
        right_end += f"  {done} of {len(seeds)} seeds"
    if phase in (Phase.FINISHED, Phase.STOPPED, Phase.FAILED, Phase.DIED):
        took = state.last_t - state.first_t if state.last_t and state.first_t else None
        if isinstance(state.ended, RunFinished):
            took = state.ended.seconds
        end = f"took {span(took)}" if state.resumes == 0 else ""
    elif phase in (Phase.PAUSED, Phase.CONTINUING):
        end = f"{to_go(run.remaining)} to go" if run.remaining is not None else ""
    elif phase is Phase.WAITING:
        end = ""
    else:
        end = "ETA " + (("~" if run.rough else "") + to_go(run.remaining) if run.remaining is not None else "–")
    texts = len(left) + len(left_end) + len(right_end) + len(end) + len("run")
    room = max(8, width - texts - 12)
    first = room // 2
    return Content.assemble(
        " ", (left, "$foreground"), " ", bar(stage_fraction, first, "$primary", before), " ", (left_end, "$foreground"),
        "   ", ("run", "$foreground"), " ", bar(run.fraction, room - first, "$success"), " ",
        (right_end, "$foreground"), "   ", (end, "bold $foreground"),
    )  # fmt: skip


class FooterBar(Line):
    """The keys that do something now, as many as fit, the most important first."""

    def show(self, labels: dict[str, str], width: int, actions: tuple[Action, ...] = ACTIONS) -> None:
        """Write the line anew. `labels`: by action id, only those that apply now; `actions`: with the user's keys."""
        self.say(footer(labels, width, actions))


def footer(labels: dict[str, str], width: int, actions: tuple[Action, ...] = ACTIONS) -> Content:
    """The footer for a width in cells."""
    offered = sorted((a for a in actions if a.rank and a.shown and a.id in labels), key=lambda a: a.rank)
    kept: list[Action] = []
    used = 1
    for action in offered:
        need = len(action.shown) + 1 + len(labels[action.id]) + 2
        if used + need > width:
            continue
        kept.append(action)
        used += need
    order = [a for a in actions if a in kept]
    parts: list[Content | tuple[str, str] | str] = [" "]
    for action in order:
        words = Content.assemble((action.shown, "bold $key"), (f" {labels[action.id]}", "$foreground"))
        parts.append(words.stylize(f"@click=app.{action.id}"))
        parts.append("  ")
    return Content.assemble(*parts)

"""Orders that end a run at once or lengthen a stage, and orders that nobody answers."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Button, Input, Label

from flykd_console.dashboard.app import DashboardApp, DashboardOutcome
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.screens.confirm import ConfirmScreen
from flykd_console.dashboard.screens.number import NumberScreen
from flykd_console.runs import events as ev
from flykd_console.runs.lock import SILENT_SECONDS, is_held
from flykd_console.runs.more_epochs import MoreEpochs
from tests.dashboard.conftest import AppMaker, append, settle
from tests.dashboard.test_actions import NORMAL, banner_text, footer_text, header_text, notes
from tests.support.event_log import START, LogSpec, write_run


def detail(app: DashboardApp) -> str:
    return str(app.screen.query_one("#detail", Label).render())


def later(app: DashboardApp, seconds: float) -> None:
    """Let the clock of the one who looks go on; the log goes on too."""
    now = app._clock() + seconds
    app._clock = lambda: now
    app.source._grew = now  # type: ignore[union-attr]


async def test_an_end_at_once_asks_twice_and_is_claimed_when_the_trainer_says_so(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(1, "student", 120))
    append(app.directory, ev.Checkpoint(seed=46, stage="student", epoch=100, file="student.state"))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("S")
        assert isinstance(app.screen, ConfirmScreen)
        assert "Seed 46's student goes back to epoch 100: 20 epochs are lost." in detail(app)
        await pilot.press("y")
        assert isinstance(app.screen, ConfirmScreen)
        assert f"flykd-console run --resume {app.directory.name}" in detail(app)
        assert not app.directory.order_file("abort").exists()
        await pilot.press("y")
        assert app.screen is app.main
        assert app.directory.order_file("abort").exists()
        assert app.phase is Phase.STOPPING
        append(
            app.directory,
            ev.Control(action="abort", state="stopping", seed=46, stage="student"),
            ev.RunFinished(outcome="stopped", seconds=12.0, saved=False),
        )
        app.directory.withdraw("abort")
        await settle(pilot)
        assert app.phase is Phase.STOPPED
        assert "Ended at once; the last checkpoint is that of epoch 100." in banner_text(app)
        assert "A checkpoint was written" not in banner_text(app)
        assert app.outcome is DashboardOutcome.STOPPED


@pytest.mark.parametrize("keys", [("n",), ("y", "n"), ("y", "escape"), ("enter", "enter")])
async def test_one_no_is_enough_and_a_key_pressed_twice_ends_nothing(make_app: AppMaker, keys: tuple[str, ...]) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("S", *keys)
        assert app.screen is app.main
        assert not app.directory.order_file("abort").exists()


async def test_a_stage_without_a_checkpoint_is_said_to_be_lost(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(1, "student", 120))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("S")
        assert "no checkpoint yet: all its 120 epochs are lost" in detail(app)


async def test_epochs_are_asked_for_ordered_and_shown_when_the_trainer_has_added_them(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(1, "student", 120))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        before = app._progress(app.state).remaining
        await pilot.press("plus")
        assert isinstance(app.screen, NumberScreen)
        assert "Epoch 120 of 200. The loss weights stay as they end in the plan." in detail(app)
        await pilot.press(*"100", "enter")
        await pilot.pause()
        assert app.screen is app.main
        order = msgspec.json.decode(app.directory.order_file("extend").read_bytes(), type=MoreEpochs)
        assert (order.epochs, order.seed, order.stage) == (100, 46, "student")
        assert "120/200" in header_text(app)
        app.directory.withdraw("extend")
        append(
            app.directory,
            ev.StageExtended(
                seed=46, stage="student", epochs=300, added=100, planned=200,
                schedule={"original": [(0.0, 1.0), (200.0, 0.1), (300.0, 0.1)]},
            ),
            ev.Control(action="extend", state="running", seed=46, stage="student", epochs=300),
        )  # fmt: skip
        await settle(pilot)
        assert "120/300" in header_text(app)
        assert "40 %" in str(app.main.query_one("#progress").render())
        assert "300 epochs now" in notes(app)
        stage = app.state.scheduled()
        assert stage is not None
        assert stage.schedule is not None
        assert stage.schedule["original"][-1] == (300.0, 0.1)
        after = app._progress(app.state).remaining
        assert before is not None
        assert after is not None
        assert after > before


@pytest.mark.parametrize("typed", ["", "0"])
async def test_what_is_no_number_of_epochs_is_not_ordered(make_app: AppMaker, typed: str) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("plus", *typed, "enter")
        await pilot.pause()
        assert isinstance(app.screen, NumberScreen)
        assert "A whole number from 1" in str(app.screen.query_one("#number-problem", Label).render())
        await pilot.press("escape")
        assert app.screen is app.main
        assert not app.directory.order_file("extend").exists()


async def test_buttons_of_the_question_answer_it(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("plus", "7")
        await pilot.click("#no")
        assert not app.directory.order_file("extend").exists()
        await pilot.press("plus", "7")
        assert app.screen.query_one(Input).value == "7"
        app.screen.query_one("#yes", Button).press()
        await pilot.pause()
        assert app.directory.order_file("extend").exists()


async def test_pretraining_cannot_be_lengthened(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(0, "pretrain-teacher", 10))
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        assert "add epochs" not in footer_text(app)
        await pilot.press("plus")
        assert app.screen is app.main
        assert "Epochs can be added to finetuning and distilling" in notes(app)


@pytest.mark.parametrize("key", ["S", "plus"])
async def test_a_run_that_is_over_takes_no_such_orders(make_app: AppMaker, key: str) -> None:
    app = make_app("stopped")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press(key)
        assert app.screen is app.main
        assert "the run is stopped" in notes(app)
        assert not list((app.directory.path / "control").iterdir())


async def test_a_refusal_is_no_success(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("e")
        app.directory.withdraw("evaluate")
        append(app.directory, ev.Control(action="evaluate", state="refused", seed=46, stage="student"))
        await settle(pilot)
        assert app.phase is Phase.RUNNING
        assert "Not obeyed: evaluate" in notes(app)
        assert "Evaluated" not in notes(app)


@pytest.mark.parametrize(("key", "words"), [("c", "to write a checkpoint"), ("e", "to evaluate"), ("p", "to pause")])
async def test_an_order_that_nobody_answers_is_shown_as_waiting(make_app: AppMaker, key: str, words: str) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press(key)
        assert banner_text(app) == ""
        later(app, 7.0)
        app.draw()
        assert f"Waiting The trainer has not answered the order {words} for 7 s." in banner_text(app)
        assert "after each epoch" in banner_text(app)


async def test_going_on_that_nobody_answers_is_shown_as_waiting(make_app: AppMaker) -> None:
    app = make_app("paused")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        later(app, 60.0)
        app.draw()
        assert banner_text(app) == ""
        await pilot.press("c")
        later(app, 6.0)
        app.draw()
        assert "the order to write a checkpoint for 6 s. It looks for such orders while" in banner_text(app)
        await pilot.press("p")
        later(app, 6.0)
        app.draw()
        assert "the order to write a checkpoint (and 1 more)" in banner_text(app)


async def test_an_order_to_a_dead_trainer_is_unanswered(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("c")
        app._alive = lambda: False
        now = START + 60.0
        app._clock = app.source._clock = lambda: now  # type: ignore[union-attr]
        app.draw()
        assert app.phase is Phase.DIED
        assert "Unanswered: the order to write a checkpoint." in banner_text(app)


async def test_another_machines_run_lives_by_the_age_of_its_log(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(epochs=100, seeds=(45,)))
    run.lock.write_text("123\nelsewhere\n")
    os.utime(run.events, (START, START))
    now = START
    app = DashboardApp(run, poll_seconds=None, clock=lambda: now)
    assert not is_held(run)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        now = START + SILENT_SECONDS - 10.0
        app.draw()
        assert app.phase is Phase.RUNNING
        assert "it may still train on elsewhere" in banner_text(app)
        now = START + SILENT_SECONDS + 10.0
        app.draw()
        assert app.phase is Phase.DIED
        assert "No word from elsewhere for 1 m 40 s" in banner_text(app)
        append(run, ev.Log(level="info", message="back again"))
        await settle(pilot)
        assert app.phase is Phase.RUNNING

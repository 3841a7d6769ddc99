"""Exploring a run that tells classes: lists in every order, answers of every model, neighbours, numbers typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.screens.comparison import ComparisonScreen
from flykd_console.dashboard.screens.explore_classes import ClassExploreScreen
from flykd_console.errors import UserError
from flykd_console.explore.classes import ClassExploration, explorable_class_seeds
from flykd_console.runs.directory import RunDirectory
from tests.dashboard.conftest import app_on, settle
from tests.end_to_end.test_class_bundles import of_nodes
from tests.support.tiny_cohort import MEMBERS, small_citations

SIZES = [(80, 24), (120, 36)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return of_nodes(tmp_path_factory.mktemp("explored"), members=MEMBERS)


async def explored(pilot: Pilot[None]) -> ClassExploreScreen:
    await settle(pilot)
    await pilot.press("d")
    screen = pilot.app.screen
    assert isinstance(screen, ClassExploreScreen)
    for _ in range(200):
        if screen.exploration is not None:
            break
        await pilot.pause(0.02)
    await settle(pilot)
    return screen


def app(run: RunDirectory) -> DashboardApp:
    return app_on(run, alive=False)


def test_its_answers_are_those_of_the_stored_samples(run: RunDirectory) -> None:
    exploration = ClassExploration(run, 0)
    frame = pl.read_parquet(run.samples(0, "test"))
    for name in (*MEMBERS, "ensemble", "alone-gcn"):
        for sample, logs in zip(frame["sample_id"], frame[name], strict=True):
            found = exploration.probabilities(int(sample))[name]
            np.testing.assert_allclose(found, np.exp(logs.to_numpy()), atol=1e-6)


def test_lists_stand_in_the_order_that_they_say(run: RunDirectory) -> None:
    exploration = ClassExploration(run, 0)

    def entropy(row: int) -> float:
        p = exploration.probabilities(row)["gcn"]
        return float(-(p * np.log(p)).sum())

    unsure = [entropy(one.row) for one in exploration.listed("gcn", "uncertain")]
    assert len(unsure) == 60
    assert unsure == sorted(unsure, reverse=True)
    apart = [one.apart for one in exploration.listed("gcn", "disagreement")]
    assert apart == sorted(apart, reverse=True)
    assert min(apart) >= 0.0
    assert max(apart) <= 1.0
    mistakes = exploration.listed("gcn", "mistakes", "test")
    frame = pl.read_parquet(run.samples(0, "test"))
    wrong = int((frame["gcn"].list.arg_max() != frame["label"]).sum())
    assert len(mistakes) == wrong
    assert all(one.wrong and one.part == "test" for one in mistakes)
    assert all(one.told == 2 for one in exploration.listed("gcn", "number", told=2))
    assert [one.row for one in exploration.listed("gcn", "number", first=57)] == [57, 58, 59]


def test_neighbours_are_those_of_the_graph(run: RunDirectory) -> None:
    exploration, edges = ClassExploration(run, 0), small_citations().edges
    for row in range(60):
        expected = sorted({int(v if u == row else u) for u, v in edges if row in (u, v)})
        assert [one.row for one in exploration.neighbours(row, "gcn")] == expected
        assert exploration.sample(row, "gcn").degree == len(expected)


def test_a_run_without_rows_of_its_samples_is_not_explored(run: RunDirectory, tmp_path: Path) -> None:
    assert explorable_class_seeds(run) == [0, 1]
    assert explorable_class_seeds(RunDirectory(tmp_path)) == []
    import shutil

    copy = RunDirectory(Path(shutil.copytree(run.path, tmp_path / run.name)))
    copy.embeddings(0, "gat").unlink()
    assert explorable_class_seeds(copy) == [1]
    copy.embeddings(1, "gat").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        ClassExploration(copy, 1)


@pytest.mark.parametrize("size", SIZES)
async def test_keys_lead_through_the_lists(run: RunDirectory, size: tuple[int, int]) -> None:
    async with app(run).run_test(size=size) as pilot:
        screen = await explored(pilot)
        assert screen.exploration is not None
        assert screen.model == screen.exploration.best
        assert {one.part for one in screen.shown} == {"test"}
        for part in ("validation", "train", ""):
            await pilot.press("p")
            assert screen.part == part
        assert len(screen.shown) == 60
        await pilot.press("o")
        assert screen.order == "disagreement"
        await pilot.press("c")
        assert {one.told for one in screen.shown} == {0}
        await pilot.press("m")
        assert screen.model != screen.exploration.best
        await pilot.press("d")
        for _ in range(200):
            await pilot.pause(0.02)
            if screen.exploration is not None:
                break
        assert screen.seed == 1
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, ClassExploreScreen)


async def test_a_node_is_followed_to_its_neighbours_and_back(run: RunDirectory) -> None:
    async with app(run).run_test(size=(120, 36)) as pilot:
        screen = await explored(pilot)
        for key in ("slash", "1", "7", "enter"):
            await pilot.press(key)
        await settle(pilot)
        assert screen.selected is not None
        assert screen.selected.row == 17
        await pilot.press("enter")
        await settle(pilot)
        assert screen.around == 17
        assert screen.exploration is not None
        assert [one.row for one in screen.shown] == [one.row for one in screen.exploration.neighbours(17, screen.model)]
        await pilot.press("backspace")
        await settle(pilot)
        assert screen.around is None
        assert screen.selected is not None
        assert screen.selected.row == 17
        said = str(screen.query_one("#explore-paths", Static).content)
        assert "neighbours:" in said
        assert "alone gcn" in said


async def test_a_number_that_there_is_not_is_told(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    async with app(run).run_test(size=(80, 24)) as pilot:
        screen = await explored(pilot)
        monkeypatch.setattr(screen, "notify", lambda words, **_: said.append(words))
        for key in ("slash", "9", "9", "9", "enter"):
            await pilot.press(key)
        await settle(pilot)
        assert said == ["There are nodes 0 to 59"]
        assert screen.order == "uncertain"


async def test_the_comparison_has_the_gains_of_a_run_that_tells_classes(run: RunDirectory) -> None:
    async with app(run).run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        screen = ComparisonScreen([run])
        await pilot.app.push_screen(screen)
        for _ in range(2000):
            if screen.of_classes is not None:
                break
            await pilot.pause(0.05)
        assert screen.of_classes is not None
        assert not screen.problem
        assert {row.model for row in screen.of_classes.rows} >= {*MEMBERS, "ensemble"}

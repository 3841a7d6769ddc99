"""Exploring a student: typing finds a disease, its drugs are ranked, known pairs marked, paths told, gaps said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.explore_table import columns
from flykd_console.dashboard.palette import look as look_of
from flykd_console.dashboard.screens.explore import ExploreScreen
from flykd_console.explore.exploration import RankedNode
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.split.make import split_graph
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from tests.dashboard.conftest import app_on, settle
from tests.support.finished_run import RunSpec, make_finished_run
from tests.support.small_graph import small_graph, write_kg_csv

NORMAL = (120, 36)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A finished run on a graph file: 40 drugs and 60 diseases by the graph's own names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    path = write_kg_csv(small_graph(), tmp_path / "kg.csv")
    graph = orient_targets(read_kg(path), ["contraindication", "indication"], ["disease_disease", "disease_protein"])
    drugs, diseases = graph.count("drug"), graph.count("disease")
    made = make_finished_run(tmp_path / "runs", RunSpec(heads=drugs, tails=diseases, probe=8))
    made.profile.write_text(f'[run]\nseeds = [45, 46]\n[graph]\nsource = "{path}"\n')
    tables = []
    for kind in ("drug", "disease"):
        table = graph.nodes[kind].with_row_index("index").with_columns(pl.lit(kind).alias("type"))
        tables.append(table.select("type", pl.col("index").cast(pl.Int64), "id", "name"))
    pl.concat(tables).write_parquet(made.nodes)
    targets = graph.targets(["contraindication", "indication"])
    splits = {}
    for seed in (45, 46):
        split = split_graph(graph, targets, Profile().split, seed)
        splits[str(seed)] = split.fingerprint
        frames = []
        for target in targets:
            for part in ("train", "validation", "test"):
                heads, tails = split.part(part)[target]
                frames.append(
                    pl.DataFrame(
                        {
                            "relation": [target.relation] * len(heads),
                            "head_id": graph.nodes["drug"]["id"].gather(heads),
                            "tail_id": graph.nodes["disease"]["id"].gather(tails),
                            "part": [part] * len(heads),
                        }
                    )
                )
        pl.concat(frames).write_parquet(made.labels(seed))
    about = {"graph": {"source": str(path), "fingerprint": graph.fingerprint}, "splits": splits}
    made.environment.write_text(json.dumps(about))
    return made


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def opened(pilot: Pilot[None]) -> ExploreScreen:
    await settle(pilot)
    await press(pilot, "d")
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, ExploreScreen)
    return screen


def text(screen: ExploreScreen, selector: str) -> str:
    from io import StringIO

    from rich.console import Console
    from textual.widgets import Static

    console = Console(file=StringIO(), width=200, record=True)
    console.print(screen.query_one(selector, Static).content)
    return console.export_text()


async def test_typing_suggests_and_enter_ranks(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert isinstance(screen.focused, Input)
        await press(pilot, *"disease 7")
        assert screen.query_one(OptionList).display
        await press(pilot, "enter")
        assert screen.ranking is not None
        assert screen.exploration is not None
        assert screen.exploration.names("tail").names[screen.ranking.row] == "disease 7"
        assert screen.query_one(DataTable).row_count == screen.ranking.ranked == 40
        assert screen.table.has_focus
        assert not screen.query_one(OptionList).display


async def test_misspelling_finds_and_arrows_choose(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, *"disese 12", "down", "enter")
        assert screen.ranking is not None
        assert screen.ranking.row == screen._suggested[1]


async def test_nothing_like_it_is_said(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, *"zzqqxx", "enter")
        assert screen.ranking is None
        assert "no disease is called like this" in str(screen.query_one(OptionList).get_option_at_index(0).prompt)


async def test_known_pairs_carry_sign_and_word(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert screen.exploration is not None
        tested = pl.read_parquet(run.labels(45)).filter(
            (pl.col("part") == "test") & (pl.col("relation") == "indication")
        )
        row = list(screen.exploration.names("tail").ids).index(tested["tail_id"][0])
        screen.ask("tail", row)
        await press(pilot)
        table = screen.query_one(DataTable)
        cells = [[str(cell) for cell in table.get_row_at(i)] for i in range(table.row_count)]
        assert (
            sum("○ test" in cell for cell in cells) == tested.filter(pl.col("tail_id") == tested["tail_id"][0]).height
        )
        assert "○ test" in text(screen, "#explore-summary")


async def test_paths_of_the_pair_under_the_cursor_are_told(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 11)
        await press(pilot, "down")
        assert screen.graph is not None
        assert screen.ranking is not None
        head = screen.ranking.nodes[1].row
        assert screen.connections == screen.graph.connections(head, 11, "indication")
        said = text(screen, "#explore-paths")
        assert screen.connections.head.name in said
        for group in screen.connections.groups:
            assert all(path.nodes[0].name in said for path in group.paths)
            if group.total > len(group.paths):
                assert f"and {group.total - len(group.paths)} more" in said
        for similar in screen.connections.similar:
            assert similar.node.name in said


async def test_enter_goes_on_to_the_drug_and_backspace_comes_back(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 3)
        await press(pilot)
        assert screen.ranking is not None
        best = screen.ranking.nodes[0].row
        await press(pilot, "enter")
        assert (screen.ranking.side, screen.ranking.row) == ("head", best)
        assert screen.query_one(DataTable).row_count == 60
        await press(pilot, "backspace")
        assert (screen.ranking.side, screen.ranking.row) == ("tail", 3)


async def test_swap_asks_for_a_drug(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 3)
        await press(pilot, "w", *"drug 5", "enter")
        assert screen.ranking is not None
        assert (screen.ranking.side, screen.ranking.row) == ("head", 5)


async def test_an_empty_field_offers_those_with_most_known_pairs(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        labels = pl.read_parquet(run.labels(45)).filter(pl.col("relation") == "indication")
        most = labels.unique(["head_id", "tail_id"])["tail_id"].value_counts()["count"].to_list()
        options = screen.query_one(OptionList)
        assert options.display
        assert f"{max(most)} known drug" in str(options.get_option_at_index(0).prompt)
        await press(pilot, "down", "enter")
        assert screen.ranking is not None
        assert screen.ranking.row == screen._suggested[1]


async def test_swapping_works_while_typing_and_escape_goes_back_step_by_step(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert "Ctrl-S by drug" in str(screen.query_one("#full-footer").render())
        screen.ask("tail", 3)
        await press(pilot, "slash", *"ww", "ctrl+s")
        assert (screen.side, screen.ranking, screen.query_one(Input).value) == ("head", None, "ww")
        await press(pilot, "escape")
        assert screen.query_one(Input).value == ""
        await press(pilot, "escape")
        assert screen.ranking is not None
        assert (screen.ranking.side, screen.ranking.row) == ("tail", 3)
        await press(pilot, "escape")
        assert app.screen is app.main


async def test_relation_and_seed_rank_anew_and_keep_the_node(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 3)
        await press(pilot)
        assert screen.relation == "indication"
        before = screen.ranking
        await press(pilot, "r")
        assert screen.relation == "contraindication"
        assert screen.ranking is not None
        assert before is not None
        assert screen.ranking.row == before.row
        assert screen.ranking.nodes != before.nodes
        in_seed_45 = screen.ranking
        await press(pilot, "d")
        assert screen.seed == 46
        assert screen.ranking.row == before.row
        assert screen.ranking.nodes != in_seed_45.nodes
        assert screen.graph is not None
        assert screen.graph.split.fingerprint == json.loads(run.environment.read_text())["splits"]["46"]


async def test_known_pairs_can_be_hidden(run: RunDirectory) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        labels = pl.read_parquet(run.labels(45)).filter(pl.col("relation") == "indication")
        assert screen.exploration is not None
        row = list(screen.exploration.names("tail").ids).index(labels["tail_id"][0])
        screen.ask("tail", row)
        await press(pilot, "k")
        known = labels.filter(pl.col("tail_id") == labels["tail_id"][0])["head_id"].n_unique()
        assert screen.query_one(DataTable).row_count == 40 - known
        await press(pilot, "k")
        assert screen.query_one(DataTable).row_count == 40


@pytest.mark.parametrize(
    ("how", "said"), [("gone", "kg.csv"), ("changed", "not the run's own"), ("silent", "which graph")]
)
async def test_ranking_works_without_the_graph(run: RunDirectory, tmp_path: Path, how: str, said: str) -> None:
    if how == "gone":
        (tmp_path / "kg.csv").unlink()
    elif how == "changed":
        write_kg_csv(small_graph(seed=5), tmp_path / "kg.csv")
    else:
        run.environment.unlink()
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 3)
        await press(pilot, "down")
        assert screen.query_one(DataTable).row_count == 40
        assert "No paths" in text(screen, "#explore-paths")
        assert said in text(screen, "#explore-paths")


async def test_disease_without_training_edges_is_said_to_be_unknown(run: RunDirectory) -> None:
    path = run.embeddings(45, "student")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["tail.embedding/indication"][9] = 0.0
    tensors["head.embedding"][[1, 2]] = 0.0
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path, metadata)
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 9)
        await press(pilot)
        assert "knows nothing of it" in text(screen, "#explore-summary")
        assert screen.query_one(DataTable).row_count == 0
        screen.ask("tail", 10)
        await press(pilot)
        assert "2 without training edges left out" in text(screen, "#explore-summary")


async def test_damaged_tables_are_told(run: RunDirectory) -> None:
    run.embeddings(45, "student").write_bytes(b"garbage")
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert "cannot be read" in text(screen, "#explore-summary")
        await press(pilot, "escape")
        assert app.screen is app.main


async def test_run_without_a_student_cannot_be_explored_yet(run: RunDirectory) -> None:
    for seed in (45, 46):
        run.embeddings(seed, "student").unlink()
    app: DashboardApp = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert app.screen is app.main
        assert any("no student yet" in note.message for note in app._notifications)


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (200, 60)])
async def test_every_size_is_drawn(run: RunDirectory, size: tuple[int, int]) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        screen.ask("tail", 3)
        await press(pilot)
        assert screen.table.virtual_size.width <= size[0]
        assert screen.query_one("#explore-right").display


async def test_ranks_without_a_model_stand_beside_the_students_and_untrained_drugs_are_marked(
    run: RunDirectory,
) -> None:
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, *"disease 7", "enter")
        assert screen.ranking is not None
        heads = [str(column.label) for column in screen.table.columns.values()]
        assert heads[:5] == ["rank", "teacher", "popular", "neighb.", "drug"]
        for place, node in enumerate(screen.ranking.nodes):
            popular, near = (str(cell).strip() for cell in screen.table.get_row_at(place)[2:4])
            assert popular == (str(node.popularity_rank) if node.trained else "none")
            assert near == (str(node.neighbours_rank) if node.neighbours_rank else "–")
        assert any(node.neighbours_rank for node in screen.ranking.nodes)
        assert "none: untrained" in text(screen, "#explore-summary")


async def test_a_run_that_left_no_neighbours_shows_popularity_alone(run: RunDirectory) -> None:
    run.neighbours(45).unlink()
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, *"disease 7", "enter")
        heads = [str(column.label) for column in screen.table.columns.values()]
        assert "popular" in heads
        assert "neighb." not in heads


def test_a_drug_that_the_relation_never_trained_on_is_marked() -> None:
    node = RankedNode(1, 0, "D1", "drug 1", 0.5, None, None, None, trained=False, known="")
    look = look_of(dark=True)
    found = {column.head: column.cell(node, look).plain for column in columns(100, "drug", True, True)}
    assert found["popular"] == "none"
    assert found["teacher"] == found["neighb."] == "–"


@pytest.mark.parametrize("width", [30, 58, 63, 77, 107])
def test_the_columns_of_a_ranking_leave_the_name_room_and_fit_their_width(width: int) -> None:
    for has_teacher, has_neighbours in ((True, True), (True, False), (False, False)):
        found = columns(width, "drug", has_teacher, has_neighbours)
        assert next(column for column in found if column.head == "drug").width >= 12
        if width >= 58:
            assert sum(column.width + 2 for column in found) <= width

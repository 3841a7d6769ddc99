"""`score --all`, `--to`: every list of a relation in one file, equal to the rankings one by one; files safe to open."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.answers import Order
from exporters.bundle import export_run
from exporters.matrix_ranks import MatrixRanks
from exporters.scorer import Scorer
from exporters.sorting import descending
from exporters.table_files import safe_cell
from tests.support.finished_run import RunSpec, make_finished_run

FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("all")
    spec = RunSpec(names={"H0002": FORMULA, "T0003": "-beta deficiency"})
    return export_run(make_finished_run(root, spec), out=root / "bundle").path


def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    from flykd_console.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0), out.getvalue(), err.getvalue()


def written(path: Path, *arguments: str) -> pl.DataFrame:
    code, out, err = call("score", *arguments, "--to", str(path))
    assert code == 0, err
    assert out.startswith("Wrote ")
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)


ORDERS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (("--exclude-known", "--top", "5"), {"exclude_known": True, "top": 5}),
    (("--beyond", "popularity", "--top", "7"), {"beyond": "popularity", "top": 7}),
    (("--beyond", "neighbours", "--exclude-known"), {"beyond": "neighbours", "exclude_known": True}),
    (("--adjust",), {"adjust": True}),
]


@pytest.mark.parametrize(("flags", "asked"), ORDERS)
def test_every_list_is_the_ranking_of_its_disease(
    bundle: Path, tmp_path: Path, flags: tuple[str, ...], asked: dict[str, Any]
) -> None:
    found = written(tmp_path / "all.parquet", str(bundle), "--all", *flags)
    with Scorer(bundle) as scorer:
        for relation, tail in itertools.product(scorer.relations, (0, 3, 17, 49)):
            mine = found.filter((pl.col("relation") == relation) & (pl.col("tail_id") == scorer.tails.ids[tail]))
            expected = scorer.rank_heads(tail, relation, **({"top": 10_000} | asked))
            assert mine["head_id"].to_list() == [one.id for one in expected]
            for name in ("rank", "known", "popularity_rank", "neighbours_rank"):
                assert mine[name].to_list() == [getattr(one, name) for one in expected], name
            assert mine["head_trained"].to_list() == [one.trained for one in expected]
            for name in ("logit", "probability", "adjusted", "beyond"):
                values = [getattr(one, name) for one in expected]
                if values[0] is not None:
                    assert mine[name].to_list() == pytest.approx(values, rel=1e-4, abs=1e-5), name
        assert found["tail_id"].n_unique() == len(scorer.tails)


def test_what_a_node_joins_restricts_drugs_and_diseases(bundle: Path, tmp_path: Path) -> None:
    with Scorer(bundle) as scorer:
        waypoint = "protein:" + scorer.tables.nodes("protein").ids[2]
        found = written(tmp_path / "through.parquet", str(bundle), "--all", "--through", waypoint)
        order: Order = {"through": waypoint}
        tail = found["tail_id"][0]
        mine = found.filter((pl.col("relation") == "indication") & (pl.col("tail_id") == tail))
        assert mine["head_id"].to_list() == [one.id for one in scorer.rank_heads(tail, "indication", 10_000, **order)]
        assert set(found["tail_id"]) == {scorer.tails.ids[row] for row in scorer.reached(waypoint, "tail")}


def test_every_output_says_who_scored(bundle: Path, tmp_path: Path) -> None:
    outputs = [
        written(tmp_path / "all.csv", str(bundle), "--all", "--top", "2"),
        written(tmp_path / "one.parquet", str(bundle), "--disease", "T0008"),
        written(tmp_path / "one.csv", str(bundle), "--drug", "H0001"),
    ]
    with Scorer(bundle) as scorer:
        manifest = scorer.manifest
    for found in outputs:
        assert set(found["run"]) == {manifest.run}
        assert {str(seed) for seed in found["seeds"]} == {str(manifest.seeds[0])}
        assert set(found["model"]) == {"student"}
        assert set(found["method"]) == {manifest.method}


def test_names_are_no_formulas_in_csv_and_as_they_are_in_parquet(bundle: Path, tmp_path: Path) -> None:
    for arguments in (("--all",), ("--disease", "T0003", "--top", "1000")):
        found = written(tmp_path / "names.csv", str(bundle), *arguments)
        names = found["head_name" if "head_name" in found.columns else "name"]
        assert f"'{FORMULA}" in set(names)
        with open(tmp_path / "names.csv", newline="") as file:
            for row in csv.DictReader(file):
                texts = [row[name] for name in ("head_name", "tail_name", "name", "head_id", "run") if name in row]
                assert not any(text.startswith(("=", "+", "-", "@")) for text in texts)
        whole = written(tmp_path / "names.parquet", str(bundle), *arguments)
        assert FORMULA in set(whole["head_name" if "head_name" in whole.columns else "name"])
    assert [safe_cell(one) for one in ("@x", "a=b", "", -3.5, None)] == ["'@x", "a=b", "", -3.5, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--all",), "--all writes a file"),
        (("--all", "--to", "all.xlsx"), "of no form that can be written"),
        (("--all", "--to", "nowhere/all.csv"), "there is no such folder"),
        (("--all", "--disease", "T0008", "--to", "all.csv"), "--all ranks for every disease"),
        (("--disease", "T0008", "--json", "--to", "one.csv"), "several of --json, --csv and --to"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call("score", str(bundle), *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_breaks_off_leaves_nothing(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exporters.table_files.TableFile.write", full)
    code, _, err = call("score", str(bundle), "--all", "--to", str(tmp_path / "all.parquet"))
    assert code == 2
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.floats(-3.0, 3.0, width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=60))
def test_descending_is_the_stable_argsort(values: list[float]) -> None:
    scores = np.array(values, np.float32)
    assert descending(scores).tolist() == np.argsort(-scores, kind="stable").tolist()


def test_corrected_scores_of_a_matrix_are_those_of_each_list() -> None:
    from exporters.frequent_flyers import frequent_flyer_scores

    rng = np.random.default_rng(3)
    ranked, alike = (rng.normal(size=(n, 6)).astype(np.float32) for n in (40, 70))
    trained = np.unique(rng.integers((40, 70), size=(60, 2)), axis=0).T
    matrix = MatrixRanks(ranked, alike, (trained[0], trained[1]))
    for place in (0, 13, 69):
        expected = frequent_flyer_scores(ranked, alike, place, (trained[0], trained[1]))
        assert matrix.scores(place, ranked @ alike[place]) == pytest.approx(expected, rel=1e-3)


def test_a_bundle_without_calibration_writes_no_probability(tmp_path: Path) -> None:
    spec = dataclasses.replace(RunSpec(), beside=False)
    bundle = export_run(make_finished_run(tmp_path, spec), out=tmp_path / "bundle").path
    found = written(tmp_path / "all.parquet", str(bundle), "--all", "--top", "3")
    assert found["probability"].null_count() == found.height
    assert found["neighbours_rank"].null_count() == found.height
    code, _, err = call("score", str(bundle), "--all", "--beyond", "neighbours", "--to", str(tmp_path / "x.csv"))
    assert code == 2
    assert "no nearest neighbours" in err


PAIRS = {"drug": ["H0001", "nobody", "H0002"], "disease": ["T0008", "T0001", "nothing"]}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_pairs_come_and_go_as_csv_or_parquet_and_unknown_ones_are_left_out_where_asked(
    bundle: Path, tmp_path: Path, form: str
) -> None:
    source = tmp_path / f"pairs.{form}"
    frame = pl.DataFrame(PAIRS)
    frame.write_csv(source) if form == "csv" else frame.write_parquet(source)
    code, out, err = call("score", str(bundle), "--pairs", str(source), "--to", str(tmp_path / "scores.parquet"))
    assert (code, out) == (2, "")
    assert "line 3: there is no drug 'nobody'" in err
    assert str(source) in err
    assert not (tmp_path / "scores.parquet").exists()
    for target in ("scores.parquet", "scores.csv"):
        asked = ("--pairs", str(source), "--skip-unknown", "--relation", "indication")
        code, out, err = call("score", str(bundle), *asked, "--to", str(tmp_path / target))
        assert code == 0
        assert out == f"Wrote 1 rows to {tmp_path / target}\n"
        assert err.startswith("Left out 2 rows: line 3: there is no drug 'nobody'; line 4: there is no disease")
        path = tmp_path / target
        found = pl.read_parquet(path) if target.endswith("parquet") else pl.read_csv(path)
        with Scorer(bundle) as scorer:
            (expected,) = scorer.score_pairs([("H0001", "T0008")], "indication")
        assert found["logit"].to_list() == pytest.approx([expected.logit], rel=1e-5)
        assert found["method"].to_list() == [Scorer(bundle).manifest.method]


def test_a_parquet_file_that_is_none_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.parquet").write_text("drug,disease")
    code, _, err = call("score", str(bundle), "--pairs", str(tmp_path / "pairs.parquet"))
    assert code == 2
    assert "the file cannot be read" in err

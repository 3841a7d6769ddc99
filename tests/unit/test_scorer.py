"""The scorer ranks and scores as the run does, finds nodes as people name them, and refuses a damaged bundle."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from exporters.__main__ import main as scorer_main
from exporters.bundle import export_run
from exporters.lookup import NodeIndex, normal_form
from exporters.manifest import CARD, EMBEDDINGS, MANIFEST, RANKING_HEAD, SCORING_HEAD
from exporters.pairs import score_file
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, logits_of, make_finished_run

ROOT = Path(__file__).parents[2]
NAMES = {
    "T0003": "asthma",
    "T0004": "asthma, aspirin-induced",
    "T0005": "Ménière disease",
    "T0006": "twin",
    "T0007": "Twin",
    "T0008": "[red]brackets[/red]",
    "H0002": "salbutamol",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,), names=NAMES))
    export_run(run)
    return run


@pytest.fixture(scope="module")
def scorer(run: RunDirectory) -> Iterator[Scorer]:
    with Scorer(run.export) as scorer:
        yield scorer


@pytest.fixture
def copy(run: RunDirectory, tmp_path: Path) -> Path:
    """A bundle to damage, away from its run."""
    return Path(shutil.copytree(run.export, tmp_path / "moved"))


def expected_logits(run: RunDirectory, relation: str) -> np.ndarray:
    """Logits of every (head, tail), [30, 50]."""
    tensors = load_file(run.embeddings(45, "student"))
    head, tail = tensors["head.embedding"], tensors[f"tail.embedding/{relation}"]
    rows = np.divmod(np.arange(30 * 50), 50)
    return logits_of(head[rows[0]], tensors[f"relation/{relation}"], tail[rows[1]]).reshape(30, 50)


@pytest.mark.parametrize("relation", ["contraindication", "indication"])
def test_rankings_are_the_runs_in_both_directions(scorer: Scorer, run: RunDirectory, relation: str) -> None:
    logits = expected_logits(run, relation)
    drugs = scorer.rank_drugs("asthma", relation, top=7)
    assert [one.index for one in drugs] == np.argsort(-logits[:, 3])[:7].tolist()
    assert [one.rank for one in drugs] == list(range(1, 8))
    assert [one.id for one in drugs] == [f"H{one.index:04d}" for one in drugs]
    np.testing.assert_allclose([one.logit for one in drugs], logits[[one.index for one in drugs], 3], atol=1e-5)
    diseases = scorer.rank_diseases("SALBUTAMOL", relation, top=1000)
    assert [one.index for one in diseases] == np.argsort(-logits[2]).tolist()
    assert scorer.rank_tails(2, relation, top=1000) == diseases
    assert scorer.rank_heads(3, relation, top=7) == drugs


def test_known_pairs_are_marked_with_their_part_and_can_be_left_out(scorer: Scorer, run: RunDirectory) -> None:
    import polars as pl

    labels = pl.read_parquet(run.labels(45)).filter(pl.col("relation") == "indication")
    tail = labels["tail_id"].mode()[0]
    parts = dict(labels.filter(pl.col("tail_id") == tail).select("head_id", "part").iter_rows())
    everything = scorer.rank_heads(tail, "indication", top=30)
    assert {one.id: one.known for one in everything if one.known} == parts
    new = scorer.rank_heads(tail, "indication", top=5, exclude_known=True)
    assert [one.id for one in new] == [one.id for one in everything if not one.known][:5]
    assert [one.rank for one in new] == [1, 2, 3, 4, 5]
    assert len(scorer.rank_heads(tail, "indication", top=30, exclude_known=True)) == 30 - len(parts)


def test_pairs_score_as_the_run_scores_them(scorer: Scorer, run: RunDirectory) -> None:
    logits = expected_logits(run, "indication")
    one, other = scorer.score_pairs([("salbutamol", "asthma"), (0, "T0049")], "indication")
    assert (one.head_id, one.tail_name, one.relation) == ("H0002", "asthma", "indication")
    assert one.logit == pytest.approx(logits[2, 3], abs=1e-5)
    assert other.logit == pytest.approx(logits[0, 49], abs=1e-5)
    numbers = scorer.manifest.calibration["indication"]
    log_odds = numbers["slope"] * one.logit + numbers["intercept"]
    assert one.probability == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-6)


def test_no_pairs_give_no_scores(scorer: Scorer) -> None:
    assert scorer.score_pairs([], "indication") == []
    logits, probabilities = scorer.score([], [], "indication")
    assert logits.shape == probabilities.shape == (0,)


def test_many_pairs_are_scored_in_blocks(scorer: Scorer, run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.numpy_engine._BLOCK", 64)
    rows = np.divmod(np.arange(30 * 50), 50)
    logits, _ = scorer.score(rows[0], rows[1], "indication")
    np.testing.assert_allclose(logits.reshape(30, 50), expected_logits(run, "indication"), atol=1e-5)


def test_rows_outside_the_tables_are_refused(scorer: Scorer) -> None:
    with pytest.raises(IndexError, match="outside 0 to 29"):
        scorer.score([30], [0], "indication")
    with pytest.raises(IndexError, match="outside 0 to 49"):
        scorer.score([0], [-1], "indication")
    with pytest.raises(UserError, match="no disease number 50"):
        scorer.rank_heads(50, "indication")


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("T0003", 3),
        ("asthma", 3),
        ("  ASTHMA ", 3),
        ("asthma,", 4),
        ("ménière", 5),
        ("MÉNIÈRE  DISEASE", 5),
        ("T0006", 6),
    ],
)
def test_nodes_are_found_by_id_name_or_beginning(scorer: Scorer, text: str, row: int) -> None:
    assert scorer.tails.find(text) == row


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("astma", r"no disease 'astma'\. Near: asthma"),
        ("aspirin", r"no disease 'aspirin'\. Near: asthma, aspirin-induced\."),
        ("mnieres", r"no disease 'mnieres'\. Near: Ménière disease"),
        ("asth", r"2 nodes of type disease begin with 'asth'.*asthma; asthma, aspirin-induced"),
        ("twin", r"2 nodes of type disease are called 'twin'. Give the id: T0006; T0007"),
        ("qqqqqqqq", r"no disease 'qqqqqqqq'\. Give its full name or its id"),
        ("  ", "the name of the disease is empty"),
    ],
)
def test_unknown_and_ambiguous_names_are_refused_with_near_ones(scorer: Scorer, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        scorer.rank_drugs(text, "indication")


@given(st.lists(st.text(st.characters(exclude_characters="\ue000"), max_size=6), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_name_finds_its_node_unless_another_bears_it(names: list[str]) -> None:
    index = NodeIndex("x", [f"\ue000{row}" for row in range(len(names))], names)
    keys = [normal_form(name) for name in names]
    for row, name in enumerate(names):
        if keys[row] and keys.count(keys[row]) == 1:
            assert index.find(name) == row
        else:
            with pytest.raises(UserError):
                index.find(name)
        assert index.find(index.ids[row]) == row


def test_a_relation_may_be_named_with_its_types(scorer: Scorer) -> None:
    types = scorer.manifest.head_type, scorer.manifest.tail_type
    assert scorer.relation(f"{types[0]}|indication|{types[1]}") == "indication"
    assert scorer.relation(f"{types[1]}|indication|{types[0]}") == "indication"
    with pytest.raises(UserError, match="there is no relation"):
        scorer.relation(f"{types[0]}|indication|gene")


def test_a_relation_must_be_named_where_there_are_several(scorer: Scorer) -> None:
    with pytest.raises(UserError, match=r"several relations\. Choose one: contraindication, indication"):
        scorer.rank_drugs("asthma")
    with pytest.raises(UserError, match="no relation 'cures'"):
        scorer.rank_drugs("asthma", "cures")
    with pytest.raises(UserError, match="0 is not a number of results"):
        scorer.rank_drugs("asthma", "indication", top=0)


@pytest.mark.parametrize(
    ("head", "tail", "drug"),
    [
        ("drug", "disease", "head"),
        ("disease", "drug", "tail"),
        ("compound", "condition", "head"),
        ("gene", "drug", "tail"),
        ("disease", "gene", "tail"),
    ],
)
def test_drug_and_disease_mean_the_right_side(head: str, tail: str, drug: str, tmp_path: Path) -> None:
    spec = RunSpec(seeds=(45,), relations=("r",), head_type=head, tail_type=tail, probe=8)
    with Scorer(export_run(make_finished_run(tmp_path, spec)).path) as scorer:
        assert scorer.side_of("drug") == drug
        assert scorer.side_of("disease") == ("tail" if drug == "head" else "head")
        node = "T0000" if drug == "head" else "H0000"
        # The only relation needs no name.
        assert {one.id[0] for one in scorer.rank_drugs(node)} == {"H" if drug == "head" else "T"}


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data))


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_heads(folder: Path) -> None:
    """The heads of another export, listed in the manifest as they should be."""
    from exporters.manifest import record

    path = folder / SCORING_HEAD
    path.write_bytes(
        path.read_bytes().replace(
            json.loads((folder / MANIFEST).read_text())["files"][EMBEDDINGS]["sha256"].encode(), b"0" * 64
        )
    )
    rewrite(folder, lambda m: m["files"].update({SCORING_HEAD: vars(record(path))}))


def swapped_heads(folder: Path) -> None:
    """Each head under the other's name, and the manifest signed so."""
    from exporters.manifest import record

    heads = [folder / name for name in (SCORING_HEAD, RANKING_HEAD)]
    first, second = (path.read_bytes() for path in heads)
    heads[0].write_bytes(second)
    heads[1].write_bytes(first)
    rewrite(folder, lambda m: m["files"].update({path.name: vars(record(path)) for path in heads}))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda p: (p / MANIFEST).unlink(), "not a bundle"),
    "no folder": (lambda p: shutil.rmtree(p), "not a bundle"),
    "broken manifest": (lambda p: cut(p / MANIFEST, 100), "manifest.json is not valid JSON"),
    "binary manifest": (lambda p: (p / MANIFEST).write_bytes(b"\xff\xfe\x00"), "manifest.json is not valid JSON"),
    "a list for a manifest": (lambda p: (p / MANIFEST).write_text("[]"), "names no schema version"),
    "newer schema": (
        lambda p: rewrite(p, lambda m: m.update(schema=4)),
        "newer program .schema 4, this one reads 3",
    ),
    "older schema": (lambda p: rewrite(p, lambda m: m.update(schema=1)), "older program .schema 1, this one reads 3"),
    "no dim": (lambda p: rewrite(p, lambda m: m.pop("dim")), "no usable 'dim'"),
    "text for a number": (lambda p: rewrite(p, lambda m: m.update(seeds="45")), "no usable 'seeds'"),
    "numbers for relations": (lambda p: rewrite(p, lambda m: m.update(relations=[1])), "no usable 'relations'"),
    "no hashes": (lambda p: rewrite(p, lambda m: m["files"][EMBEDDINGS].pop("sha256")), "no usable 'files'"),
    "other relations": (lambda p: rewrite(p, lambda m: m["relations"].reverse()), "names other relations"),
    "no tables": (lambda p: (p / EMBEDDINGS).unlink(), "embeddings.h5 is missing"),
    "cut tables": (lambda p: cut(p / EMBEDDINGS, 3000), "embeddings.h5 is 3000 bytes long where the manifest says"),
    "altered tables": (lambda p: flip(p / EMBEDDINGS), "embeddings.h5 is not the file that was exported"),
    "no head": (lambda p: (p / SCORING_HEAD).unlink(), "scoring_head.onnx is missing"),
    "altered head": (lambda p: flip(p / SCORING_HEAD), "scoring_head.onnx is not the file that was exported"),
    "head of other tables": (other_heads, "scoring_head.onnx belongs to other tables"),
    "heads the wrong way round": (swapped_heads, "scoring_head.onnx takes query, relation, candidates"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_refused_in_one_line(damage: str, copy: Path) -> None:
    change, says = DAMAGES[damage]
    change(copy)
    with pytest.raises(UserError, match=says) as caught:
        Scorer(copy)
    assert "\n" not in str(caught.value)
    assert "moved" in str(caught.value)


def test_notes_in_the_card_do_no_harm(copy: Path) -> None:
    with open(copy / CARD, "a", encoding="utf-8") as file:
        file.write("\nOur notes.\n")
    with Scorer(copy) as scorer:
        assert scorer.rank_drugs("asthma", "indication", top=1)


def test_without_verification_a_cut_table_is_refused_all_the_same(copy: Path) -> None:
    cut(copy / EMBEDDINGS, 3000)
    with pytest.raises(UserError, match=r"embeddings.h5 is no readable HDF5 file"):
        Scorer(copy, verify=False)


def test_a_csv_of_pairs_is_scored_in_its_order(scorer: Scorer, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        "\ufeffDrug,note,Disease,relation\nsalbutamol,x,asthma,indication\n\nH0000,,T0001,contraindication\n"
        'H0001,,"asthma, aspirin-induced",\n',
        encoding="utf-8",
    )
    rows = score_file(scorer, file)
    assert [(row.head_id, row.tail_id, row.relation) for row in rows] == [
        ("H0002", "T0003", "indication"),
        ("H0000", "T0001", "contraindication"),
        ("H0001", "T0004", "contraindication"),
        ("H0001", "T0004", "indication"),
    ]
    assert rows[0] == scorer.score_pairs([("H0002", "T0003")], "indication")[0]
    assert [row.relation for row in score_file(scorer, file, "indication")][-1:] == ["indication"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "head,tail\nH0000,T0000\nnobody,T0000\nH0000,asth\n",
            r"line 3: there is no drug 'nobody'.*line 4: 2 nodes of type",
        ),
        ("head,tail,relation\nH0000,T0000,cures\n", r"line 2: there is no relation 'cures'"),
        ("head,tail\nH0000\n", "line 2 has an empty head or tail"),
        ("a,b\n1,2\n", "lacks the column head and tail. It has: a, b"),
        ("drug,tail,head\n1,2,3\n", "two columns for the head"),
        ("", "lacks the column head and tail. Its first line is empty"),
        ("head,tail\n", "holds no rows"),
        ('head,tail\n"H0000,T0000\n', "line 2 is no CSV"),
        ("head,tail\n" + "x,y\n" * 20, "line 6: there is no drug 'x'.*; and more"),
    ],
)
def test_bad_rows_of_a_csv_are_named_by_line(scorer: Scorer, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        score_file(scorer, file)
    assert "\n" not in str(caught.value)


def test_a_csv_that_cannot_be_read_is_named(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        score_file(scorer, tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("head,tail\nMénière,x\n".encode("latin-1"))
    with pytest.raises(UserError, match="not text in UTF-8"):
        score_file(scorer, tmp_path / "latin.csv")


def test_the_module_prints_csv_and_needs_three_libraries(copy: Path) -> None:
    """As on another machine: the bundle moved, and every other library of the project out of reach."""
    code = (
        "import sys\n"
        "for name in 'torch polars pydantic msgspec onnx safetensors rich typer sklearn scipy'.split():\n"
        "    sys.modules[name] = None\n"
        "from exporters.__main__ import main\n"
        f"sys.exit(main([{str(copy)!r}, '--disease', 'asthma', '--relation', 'indication', '--top', '3']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [row["rank"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["1", "2", "3"]


def test_the_module_says_what_a_user_can_mend(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert scorer_main([str(run.export), "--disease", "astma", "--relation", "indication"]) == 2
    assert capsys.readouterr().err == "there is no disease 'astma'. Near: asthma; asthma, aspirin-induced.\n"


def command(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    from flykd_console.cli.app import main

    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(done.value.code or 0), out, err


@pytest.fixture
def runs(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("FLYKD_RUNS", str(run.path.parent))
    return run


@pytest.mark.parametrize("asked", [("--disease", "T0008"), ("--disease", "T0008", "--drug", "H0001")])
def test_printed_probabilities_say_what_they_were_calibrated_on(
    runs: RunDirectory, asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command("score", runs.name, *asked, capsys=capsys)
    assert code == 0
    for relation in ("contraindication", "indication"):
        assert out.count(f"Probabilities of {relation} assume a base rate of 50 %") == 1


def test_score_prints_one_table_per_relation(runs: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command("score", runs.name, "--disease", "t0008", "--top", "2", capsys=capsys)
    assert code == 0
    assert "[red]brackets[/red] (disease T0008)" in out
    assert out.count("probability") == 2
    code, out, _ = command("score", "--disease", "asthma", "--relation", "indication", "--top", "2", capsys=capsys)
    assert code == 0
    assert "contraindication" not in out


def test_score_prints_csv_and_json_that_programs_read(
    runs: RunDirectory, scorer: Scorer, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = scorer.rank_tails("salbutamol", "indication", top=4, exclude_known=True)
    asked = (
        "score",
        str(runs.path),
        "--drug",
        "salbutamol",
        "--relation",
        "indication",
        "--top",
        "4",
        "--exclude-known",
    )
    _, out, _ = command(*asked, "--csv", capsys=capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["id"] for row in rows] == [one.id for one in expected]
    assert [float(row["logit"]) for row in rows] == [one.logit for one in expected]
    _, out, _ = command(*asked, "--json", capsys=capsys)
    assert [row["name"] for row in json.loads(out)] == [one.name for one in expected]


def test_score_takes_a_pair_a_file_and_other_names_for_the_sides(
    runs: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, pair, _ = command("score", str(runs.export), "--drug", "H0001", "--disease", "asthma", "--csv", capsys=capsys)
    _, sides, _ = command("score", str(runs.export), "--head", "H0001", "--tail", "asthma", "--csv", capsys=capsys)
    (tmp_path / "p.csv").write_text("head,tail\nH0001,asthma\n")
    _, file, _ = command("score", str(runs.export), "--pairs", str(tmp_path / "p.csv"), "--csv", capsys=capsys)
    assert pair == sides == file
    assert [row["relation"] for row in csv.DictReader(io.StringIO(pair))] == ["contraindication", "indication"]
    code, table, _ = command("score", str(runs.export), "--pairs", str(tmp_path / "p.csv"), capsys=capsys)
    assert code == 0
    assert "drug H0001" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing to score is named"),
        (("--disease", "asthma", "--json", "--csv"), "several of --json, --csv and --to"),
        (("--disease", "asthma", "--tail", "asthma"), "the tail is named twice"),
        (("--pairs", "x.csv", "--drug", "y"), "takes no --disease or --drug"),
        (("--disease", "astma"), "Near: asthma"),
        (("--disease", "asthma", "--relation", "cures"), "there is no relation 'cures'"),
        (("--disease", "asthma", "--top", "0"), "--top"),
    ],
)
def test_score_says_what_a_user_can_mend(
    arguments: tuple[str, ...], says: str, runs: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = command("score", runs.name, *arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_score_names_a_bundle_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYKD_RUNS", str(tmp_path))
    asked = ("--disease", "asthma")
    assert "no run has been exported yet" in command("score", *asked, capsys=capsys)[2]
    assert "there is no run 'nothing'" in command("score", "nothing", *asked, capsys=capsys)[2]
    (tmp_path / "empty").mkdir()
    assert "not a bundle" in command("score", str(tmp_path / "empty"), *asked, capsys=capsys)[2]
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    code, _, err = command("score", run.name, *asked, capsys=capsys)
    assert code == 2
    assert err.endswith(f"this run has not been exported. Write its bundle: flykd-console export {run.name}\n")


def test_export_ends_with_a_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), names={f"T{i:04d}": f'-it\'s "{i}"' for i in range(50)}))
    monkeypatch.setenv("FLYKD_RUNS", str(tmp_path))
    code, out, _ = command("export", "--onnx", capsys=capsys)
    assert code == 0
    assert out.count("✓") == 14
    last = out.splitlines()[-1].removeprefix("Try it: ")
    code, out, err = command(*shlex.split(last)[1:], capsys=capsys)
    assert (code, err) == (0, "")
    assert "indication" in out
    assert (run.export / SCORING_HEAD).is_file()


def test_export_exits_with_1_for_a_failed_check_and_2_for_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYKD_RUNS", str(tmp_path))
    code, _, err = command("export", capsys=capsys)
    assert code == 2
    assert "there is no finished run in " in err
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    results = json.loads(run.results.read_text())
    results["seeds"]["45"]["student"]["test"]["macro_auprc"] = 0.99
    run.results.write_text(json.dumps(results))
    code, _, err = command("export", capsys=capsys)
    assert code == 1
    assert err.startswith("The export failed its check of test AUPRC: macro: the bundle gives 0.")
    assert err.endswith("Nothing was written.\n")
    assert not run.export.exists()
    code, _, err = command("export", "--seed", "9", capsys=capsys)
    assert (code, err) == (2, f"{run.name}: seed 9 has no finished student. Finished seeds: 45.\n")


def test_help_needs_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys; from flykd_console.cli.app import main\n"
        "for name in ('export', 'score'):\n"
        "    try: main([name, '--help'])\n"
        "    except SystemExit as done: assert not done.code\n"
        "bad = {'numpy', 'polars', 'h5py', 'onnx', 'onnxruntime', 'msgspec'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr


def test_nodes_without_an_embedding_are_left_out_of_rankings_and_refused_as_queries(run: RunDirectory) -> None:
    with Scorer(run.export) as scorer:
        # As in a run where no training edge leads to them; their logit of 0 would stand above every negative one.
        scorer.tables.embeddings("head", "indication")[3] = 0.0
        scorer.tables.embeddings("tail", "indication")[2] = 0.0
        assert scorer.unembedded("head", "indication") == {3}
        everything = scorer.rank_heads(1, "indication", top=1000)
        assert len(everything) == len(scorer.heads) - 1
        assert 3 not in {one.index for one in everything}
        assert [one.rank for one in everything] == list(range(1, len(everything) + 1))
        assert all(a.logit >= b.logit for a, b in itertools.pairwise(everything))
        with pytest.raises(UserError, match="knows nothing of the disease"):
            scorer.rank_heads(2, "indication")
        with pytest.raises(UserError, match="knows nothing of the drug"):
            scorer.rank_tails(3, "indication")

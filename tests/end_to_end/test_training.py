"""The trainer from profile to results: what it leaves, and that it can be stopped, resumed, repeated and reused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.model.tensor_files import load_tensors, save_tensors
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held, is_held
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from flykd_console.training.stage_loop import StageLoop
from tests.support.loops import run_of
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph, write_kg_csv
from tests.support.tiny_run import MODELS, STAGES, events_of, make_run, small_kg, tiny_profile


def _trained(root: Path, fresh: bool = False, **sections: dict[str, Any]) -> RunDirectory:
    directory = make_run(root, tiny_profile(small_kg(root.parent), **sections))
    assert worker.main([str(directory.path), *(["--fresh"] if fresh else [])]) == 0
    return directory


def _weights(directory: RunDirectory, stage: str) -> dict[str, torch.Tensor]:
    return load_file(directory.weights(45, stage))


def _same(first: RunDirectory, second: RunDirectory, stage: str) -> bool:
    a, b = _weights(first, stage), _weights(second, stage)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_results_that_its_stored_scores_reproduce(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs", run={"seeds": [45, 46]})
    results = read_results(directory.results)
    assert list(results.seeds) == ["45", "46"]
    for seed in (45, 46):
        scores = pl.read_parquet(directory.test_scores(seed))
        for model in MODELS:
            result = results.seeds[str(seed)][model]
            by_relation = {
                str(relation): average_precision_score(part["label"].to_numpy(), part[model].to_numpy())
                for (relation,), part in scores.group_by("relation")
            }
            assert {r: s.auprc for r, s in result.test.relations.items()} == pytest.approx(by_relation)
            assert result.test.macro_auprc == pytest.approx(np.mean(list(by_relation.values())))
            assert directory.embeddings(seed, model).is_file()
    pairs = [(m["student"].test.macro_auprc, m["baseline"].test.macro_auprc) for m in results.seeds.values()]
    gains = [100 * (student - baseline) for student, baseline in pairs if student is not None and baseline is not None]
    gain = results.summary["student"].gain_points
    assert gain is not None
    assert gain.mean == pytest.approx(np.mean(gains))
    assert gain.std == pytest.approx(np.std(gains, ddof=1))


def test_the_event_log_tells_the_whole_story_in_order(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    events = events_of(directory)
    assert isinstance(events[0], ev.RunStarted)
    assert isinstance(events[-1], ev.RunFinished)
    (prepared,) = [e for e in events if isinstance(e, ev.RunPrepared)]
    started = [(e.stage, e.epochs) for e in events if isinstance(e, ev.StageStarted)]
    assert started == [(p.stage, p.epochs) for p in prepared.stages]
    for stage, epochs in started:
        seen = [e.epoch for e in events if isinstance(e, ev.Epoch) and e.stage == stage]
        assert seen == list(range(1, epochs + 1))
    validated = [
        e.epoch for e in events if isinstance(e, ev.Evaluation) and e.stage == "student" and e.split == "validation"
    ]
    assert validated == [5, 10]
    student = [e for e in events if isinstance(e, ev.Epoch) and e.stage == "student"]
    assert student[0].weights == {"original": 1.0, "pseudo_train": 0.0, "pseudo_random": 0.0}
    assert student[-1].weights is not None
    assert student[-1].weights["pseudo_random"] > 0.4
    assert all(abs(sum((e.weights or {}).values()) - 1) < 1e-9 for e in student)
    facts = json.loads(directory.environment.read_text())
    assert facts["graph"]["fingerprint"] == prepared.graph.fingerprint == small_graph_fingerprint(directory)
    assert set(facts["splits"]) == {"45"}


def small_graph_fingerprint(directory: RunDirectory) -> str:
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.load import load_profile

    return load_graph(load_profile(directory.profile).graph, use_cache=False).fingerprint


def test_embeddings_reproduce_the_stored_test_logits(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    nodes = pl.read_parquet(directory.nodes)
    rows = {(t, i): n for t, n, i in zip(nodes["type"], nodes["index"], nodes["id"], strict=True)}
    table = load_file(directory.embeddings(45, "student"))
    for relation, head, tail, logit in (
        pl.read_parquet(directory.test_scores(45)).select("relation", "head_id", "tail_id", "student").iter_rows()
    ):
        h, t = table["head.embedding"][rows["drug", head]], table[f"tail.embedding/{relation}"][rows["disease", tail]]
        assert (h * table[f"relation/{relation}"] * t).sum().item() == pytest.approx(logit, abs=1e-5)
    probe = table["probe/indication/logit"]
    h = table["head.embedding"][table["probe/indication/head"]]
    t = table["tail.embedding/indication"][table["probe/indication/tail"]]
    assert len(probe) == 4096
    assert torch.allclose((h * table["relation/indication"] * t).sum(1), probe, atol=1e-5)


def test_evaluation_pairs_are_stored_and_are_the_ones_that_test_scores_used(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    stored = pl.read_parquet(directory.evaluation_pairs(45))
    scored = pl.read_parquet(directory.test_scores(45)).select("relation", "head_id", "tail_id", "label")
    assert stored.filter(pl.col("part") == "test").drop("part").equals(scored)
    labels = pl.read_parquet(directory.labels(45))
    for part in ("validation", "test"):
        positives = stored.filter((pl.col("part") == part) & (pl.col("label") == 1)).select(
            "relation", "head_id", "tail_id"
        )
        true = labels.filter(pl.col("part") == part).select("relation", "head_id", "tail_id")
        assert positives.sort(pl.all()).equals(true.sort(pl.all()))
        assert stored.filter(pl.col("part") == part)["label"].mean() == 0.5


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    first, second = (_trained(tmp_path / "runs", fresh=True) for _ in range(2))
    assert all(_same(first, second, stage) for stage in STAGES)
    other = _trained(tmp_path / "runs", fresh=True, run={"seeds": [45], "name": "other"}, distill={"epochs": 11})
    assert not _same(first, other, "student")


def _order_at(patched: pytest.MonkeyPatch, stage: str, epoch: int, order: str) -> None:
    """Have an order found at an epoch of a stage, counted from 1."""
    record = StageLoop.end_epoch

    def ordered(self: StageLoop, at: int, *arguments: Any, **keywords: Any) -> None:
        if (self.stage.name, at + 1) == (stage, epoch):
            run_of(self).order(order)
            patched.setattr("flykd_console.training.orders._POLL_SECONDS", 0.0)
        record(self, at, *arguments, **keywords)

    patched.setattr(StageLoop, "end_epoch", ordered)


@pytest.mark.parametrize(("stage", "after"), [("pretrain-teacher", 1), ("teacher", 9), ("baseline", 3), ("student", 7)])
def test_a_stopped_run_resumed_ends_like_one_that_was_never_stopped(
    stage: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _trained(tmp_path / "whole")
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path)))
    with monkeypatch.context() as patched:
        _order_at(patched, stage, after, "stop")
        assert worker.main([str(directory.path)]) == 130
    assert events_of(directory)[-1].outcome == "stopped"  # type: ignore[union-attr]
    assert directory.state(45, stage).is_file()
    assert not directory.results.exists()

    assert worker.main([str(directory.path)]) == 0
    stopped, finished = (e.seconds for e in events_of(directory) if isinstance(e, ev.RunFinished))
    assert finished > stopped
    resumed = [e for e in events_of(directory) if isinstance(e, ev.StageStarted) and e.stage == stage]
    assert resumed[-1].first_epoch == after
    assert not directory.state(45, stage).exists()
    assert all(_same(whole, directory, s) for s in STAGES)
    assert pl.read_parquet(directory.test_scores(45)).equals(pl.read_parquet(whole.test_scores(45)))


def test_a_stop_in_a_stages_last_epoch_ends_the_run_in_the_next_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path)))
    _order_at(monkeypatch, "teacher", 10, "stop")
    assert worker.main([str(directory.path)]) == 130
    events = events_of(directory)
    assert [e.outcome for e in events if isinstance(e, ev.RunFinished)] == ["stopped"]
    assert [e.stage for e in events if isinstance(e, ev.StageFinished)][-1] == "teacher"
    assert "student" not in {e.stage for e in events if isinstance(e, ev.StageStarted)}


def test_a_stop_ordered_before_the_trainer_is_up_is_obeyed(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path)))
    directory.order("stop")
    assert worker.main([str(directory.path)]) == 130
    assert [e.outcome for e in events_of(directory) if isinstance(e, ev.RunFinished)] == ["stopped"]


def test_a_pause_is_no_training_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path)))
    _order_at(monkeypatch, "teacher", 3, "pause")
    release = threading.Timer(3.0, directory.withdraw, ["pause"])
    release.start()
    assert worker.main([str(directory.path)]) == 0
    release.join()
    (teacher,) = [e for e in events_of(directory) if isinstance(e, ev.StageFinished) and e.stage == "teacher"]
    said = [e for e in events_of(directory) if isinstance(e, ev.Control)]
    assert [e.action for e in said] == ["pause", "resume"]
    assert said[1].t - said[0].t > 0.5
    assert teacher.seconds < said[1].t - said[0].t


def test_a_state_of_another_device_is_resumed_with_new_draws_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path)))
    with monkeypatch.context() as patched:
        _order_at(patched, "teacher", 5, "stop")
        assert worker.main([str(directory.path)]) == 130
    path = directory.state(45, "teacher")
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {"device": "cuda"})
    assert worker.main([str(directory.path)]) == 0
    assert any("begun on cuda and resumed on cpu" in e.message for e in events_of(directory) if isinstance(e, ev.Log))
    assert directory.results.is_file()


def test_targets_written_tail_first_train_like_those_written_head_first(tmp_path: Path) -> None:
    plain = _trained(tmp_path / "runs")
    graph = small_graph()
    turned = {e: p for e, p in graph.edges.items() if e != INDICATION}
    turned[EdgeType("disease", "indication", "drug")] = graph.edges[INDICATION][::-1]
    path = write_kg_csv(KnowledgeGraph(graph.nodes, turned, "turned"), tmp_path / "turned.csv")
    directory = make_run(tmp_path / "runs", tiny_profile(path))
    assert worker.main([str(directory.path)]) == 0
    assert any("the other way round" in e.message for e in events_of(directory) if isinstance(e, ev.Log))
    columns = ["relation", "head_id", "tail_id", "part"]
    first, second = (pl.read_parquet(d.labels(45)).sort(columns) for d in (plain, directory))
    assert first.equals(second)


def test_finished_stages_are_reused_and_fresh_trains_anew(tmp_path: Path) -> None:
    first = _trained(tmp_path / "runs")
    second = _trained(tmp_path / "runs", run={"name": "second", "seeds": [45]})
    reused = {e.stage: e.reused_from for e in events_of(second) if isinstance(e, ev.StageFinished)}
    assert reused["teacher"] == reused["baseline"] == reused["pretrain-student"] == first.name
    assert reused["student"] is None
    assert any("not trained again" in e.message for e in events_of(second) if isinstance(e, ev.Log))
    assert not any("could differ" in e.message for e in events_of(second) if isinstance(e, ev.Log))
    ends = [(e.stage, e.reused_from) for e in events_of(second) if isinstance(e, ev.StageFinished)]
    assert ends[0] == ("pretrain-teacher", first.name)
    assert ends[-1] == ("student", None)
    a, b = read_results(first.results).seeds["45"], read_results(second.results).seeds["45"]
    assert b["teacher"].reused_from == first.name
    assert a["teacher"].test == b["teacher"].test
    assert a["student"].test == b["student"].test

    third = _trained(tmp_path / "runs", fresh=True)
    assert all(e.reused_from is None for e in events_of(third) if isinstance(e, ev.StageFinished))

    changed = _trained(tmp_path / "runs", teacher={"dim": 10})
    reused = {e.stage: e.reused_from for e in events_of(changed) if isinstance(e, ev.StageFinished)}
    assert reused["teacher"] is None
    assert reused["baseline"] is not None


def test_the_log_tells_where_a_reused_stages_figures_could_differ(tmp_path: Path) -> None:
    first = _trained(tmp_path / "runs", engine={"threads": 1})
    facts = json.loads(first.environment.read_bytes())
    facts["libraries"]["torch"] = "1.0"
    first.environment.write_text(json.dumps(facts))
    second = _trained(tmp_path / "runs", engine={"threads": 2})
    told = [e.message for e in events_of(second) if isinstance(e, ev.Log) and "could differ" in e.message]
    expected = f"1 threads there, 2 here; torch 1.0 there, {torch.__version__} here"
    assert {line.split(": ", 1)[1].split(": trained here")[0] for line in told} == {expected}


def test_another_runs_stages_are_reused_on_the_same_kind_of_device_only(tmp_path: Path) -> None:
    first = _trained(tmp_path / "runs")
    path = first.weights(45, "teacher")
    tensors, metadata = load_tensors(path)
    assert metadata["device"] == "cpu"
    save_tensors(path, tensors, metadata | {"device": "cuda"})
    second = _trained(tmp_path / "runs")
    reused = {e.stage: e.reused_from for e in events_of(second) if isinstance(e, ev.StageFinished)}
    assert reused["teacher"] is None
    assert reused["baseline"] == first.name


def test_a_damaged_weights_file_is_trained_again(tmp_path: Path) -> None:
    first = _trained(tmp_path / "runs")
    path = first.weights(45, "teacher")
    path.write_bytes(path.read_bytes()[:-100])
    second = _trained(tmp_path / "runs")
    (teacher,) = [e for e in events_of(second) if isinstance(e, ev.StageFinished) and e.stage == "teacher"]
    assert teacher.reused_from is None


def test_dgl_and_the_default_end_with_the_same_scores(tmp_path: Path) -> None:
    default = _trained(tmp_path / "runs", fresh=True)
    dgl = _trained(tmp_path / "runs", fresh=True, engine={"propagation": "dgl"})
    a, b = (read_results(d.results).seeds["45"] for d in (default, dgl))
    for model in MODELS:
        assert a[model].test.macro_auprc == pytest.approx(b[model].test.macro_auprc, abs=1e-4)


def test_other_names_and_no_profile_relations_train_without_pooling_and_say_so(tmp_path: Path) -> None:
    graph = small_graph()
    kept = {
        EdgeType("compound", "treats", "illness"): graph.edges[INDICATION],
        EdgeType("compound", "harms", "illness"): graph.edges[CONTRAINDICATION],
        EdgeType("compound", "binds", "gene"): graph.edges[EdgeType("drug", "drug_protein", "gene/protein")],
    }
    nodes = {"compound": graph.nodes["drug"], "illness": graph.nodes["disease"], "gene": graph.nodes["gene/protein"]}
    path = write_kg_csv(KnowledgeGraph(nodes, kept, "other"), tmp_path / "other.csv")
    directory = make_run(
        tmp_path / "runs", tiny_profile(path, graph={"source": str(path), "targets": ["treats", "harms"]})
    )
    assert worker.main([str(directory.path)]) == 0
    said = [e.message for e in events_of(directory) if isinstance(e, ev.Log) and e.level == "warning"]
    assert any("disease pooling is off" in message for message in said)
    assert set(read_results(directory.results).seeds["45"]["student"].test.relations) == {"treats", "harms"}


def test_one_target_relation_is_enough(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs", graph={"source": str(small_kg(tmp_path)), "targets": ["contraindication"]})
    assert set(read_results(directory.results).seeds["45"]["student"].test.relations) == {"contraindication"}


@pytest.mark.parametrize("sources", [["original"], ["pseudo_train"], ["original", "pseudo_random"]])
def test_label_sources_may_be_left_out(sources: list[str], tmp_path: Path) -> None:
    shape = {"shape": "none"}
    directory = _trained(tmp_path / "runs", distill={"epochs": 4, "sources": sources, "curriculum": shape})
    student = [e for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "student"]
    assert set(student[-1].losses) == {*sources, "total"}


def test_without_pretraining_the_student_still_trains(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs", pretrain={"epochs": 0})
    assert {e.stage for e in events_of(directory) if isinstance(e, ev.StageFinished)} == set(MODELS)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_epoch(tmp_path: Path) -> None:
    directory = make_run(tmp_path, tiny_profile(small_kg(tmp_path), finetune={"epochs": 10, "lr": 1e20}))
    assert worker.main([str(directory.path)]) == 1
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert failed.error.startswith("seed 45, teacher: ")
    assert "at epoch" in failed.error
    assert failed.traceback
    assert not directory.results.exists()


def test_a_users_mistake_ends_with_one_line_and_code_2(tmp_path: Path) -> None:
    directory = make_run(
        tmp_path, tiny_profile(small_kg(tmp_path), graph={"source": str(small_kg(tmp_path)), "targets": ["cures"]})
    )
    assert worker.main([str(directory.path)]) == 2
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert failed.traceback == ""
    assert "'cures' is not in the graph" in failed.error
    assert "\n" not in failed.error


def test_a_gpu_that_is_not_there_is_the_users_to_mend(tmp_path: Path) -> None:
    directory = make_run(
        tmp_path, tiny_profile(small_kg(tmp_path), run={"device": "cuda:7", "seeds": [45], "name": "x"})
    )
    assert worker.main([str(directory.path)]) == 2
    assert "cuda:7" in events_of(directory)[-1].error  # type: ignore[union-attr]


def test_a_run_that_is_being_trained_is_not_trained_twice(tmp_path: Path) -> None:
    directory = make_run(tmp_path, tiny_profile(small_kg(tmp_path)))
    with held(directory):
        assert worker.main([str(directory.path)]) == 2
        assert is_held(directory)
    assert not is_held(directory)


def _wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_orders_are_obeyed_and_acknowledged(tmp_path: Path) -> None:
    sections = {"finetune": {"epochs": 100_000, "validate_every": 100_000}, "engine": {"threads": 1, "log_every": 1000}}
    directory = make_run(tmp_path, tiny_profile(small_kg(tmp_path), **sections))

    def acknowledged(action: str) -> bool:
        return any(isinstance(e, ev.Control) and e.action == action for e in events_of(directory))

    def give_orders() -> None:
        _wait_for(
            lambda: (
                directory.events.exists()
                and any(isinstance(e, ev.Epoch) and e.stage == "teacher" for e in events_of(directory))
            )
        )
        directory.order("pause")
        _wait_for(lambda: acknowledged("pause"))
        directory.withdraw("pause")
        _wait_for(lambda: acknowledged("resume"))
        directory.order("evaluate")
        _wait_for(lambda: acknowledged("evaluate"))
        directory.order("checkpoint")
        _wait_for(lambda: acknowledged("checkpoint"))
        directory.order("stop")

    hand = threading.Thread(target=give_orders)
    hand.start()
    assert worker.main([str(directory.path)]) == 130
    hand.join()
    events = events_of(directory)
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].outcome == "stopped"
    assert any(isinstance(e, ev.Evaluation) for e in events)
    saved = [e for e in events if isinstance(e, ev.Checkpoint)]
    assert len(saved) >= 2
    assert directory.state(45, "teacher").is_file()

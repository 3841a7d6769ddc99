"""A selection from its file to a verified bundle: teachers, candidates of which one fails, costs, a choice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporters.scorer import Scorer
from flykd_console.cli.app import main
from flykd_console.profile.load import dump_profile
from flykd_console.runs.find import list_runs
from tests.support.tiny_run import small_kg, tiny_profile

ORDER = """
name = "pick"
profile = "tiny.toml"
set = { "evaluation.heuristics" = ["popularity", "neighbours"] }
[teachers]
"teacher.dim" = [6, 12]
[candidates]
"student.dim" = [4, 8]
[[candidate]]
name = "broken"
set = { "distill.lr" = 1e20 }
[choose]
max_loss = 100.0
"""


def select(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["select", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.timeout(400)
def test_the_smallest_within_the_loss_is_taken_and_a_failure_sinks_nothing(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (runs.parent / "tiny.toml").write_text(dump_profile(tiny_profile(small_kg(runs.parent))))
    (runs.parent / "order.toml").write_text(ORDER)
    assert select("order.toml", "--jobs", "2") == 0
    captured = capsys.readouterr()
    assert "dim=4: taken, the smallest within 100 points of the ceiling" in captured.out
    assert "broken: turned down, failed: seed 45 failed" in captured.out
    assert "is nan" in captured.err

    folder = runs / "pick-selection"
    found = json.loads((folder / "selection.json").read_text())
    assert found["chosen"] == "dim=4"
    assert found["teacher"] in ("dim=6", "dim=12")
    small, large, broken = found["candidates"]
    assert small["cost"]["bytes"] < large["cost"]["bytes"]
    assert 0 < small["cost"]["p50"] <= small["cost"]["p99"]
    assert broken["cost"] is None
    assert set(small["rivals"]) == {"popularity", "neighbours"}
    rows = [line.split()[0] for line in captured.out.splitlines() if line.strip()]
    assert (rows.count("popularity"), rows.count("neighbours")) == (1, 1)
    assert "neighbours, untrained" in (folder / "selection.html").read_text()
    with Scorer(found["bundle"]) as scorer:
        assert scorer.manifest.model == "student"
        assert scorer.manifest.dim == 4
    html = (folder / "selection.html").read_text()
    assert "<svg" in html
    assert "http" not in html.replace("http://www.w3.org", "")

    # Given again it trains what failed, and nothing else.
    before = {run.name: run.events.stat().st_size for run in list_runs(runs)}
    assert select("order.toml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["chosen"] == "dim=4"
    again = [run.name for run in list_runs(runs) if "run.started" in _new_events(run.events, before[run.name])]
    assert [name.rpartition("-s45")[0] for name in again] == ["pick-broken"]


def _new_events(path: Path, since: int) -> str:
    return path.read_bytes()[since:].decode()

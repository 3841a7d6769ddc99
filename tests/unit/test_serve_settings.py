"""What the service is started with, and how bundles are opened anew while others are answered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exporters.bundle import export_run
from exporters.scorer import Scorer
from exporters.serve.__main__ import main
from exporters.serve.settings import Limits, Settings, name_bundles, read_token
from exporters.serve.shelf import Shelf
from flykd_console.errors import UserError
from tests.support.finished_run import RunSpec, make_finished_run

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two bundles of different runs."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, seed in (("first", 45), ("second", 46)):
        export_run(make_finished_run(folder, RunSpec(name=name, seeds=(seed,))), out=folder / f"{name}-bundle")
    return folder / "first-bundle", folder / "second-bundle"


def replace(place: Path, bundle: Path) -> None:
    """Put a copy of a bundle where another one is."""
    fresh = place.with_name("fresh")
    shutil.copytree(bundle, fresh)
    if place.exists():
        place.rename(place.with_name("old"))
        shutil.rmtree(place.with_name("old"))
    fresh.rename(place)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", "localhost.example.org", ""])
def test_other_machines_are_not_let_in_without_a_token(host: str) -> None:
    with pytest.raises(UserError, match="no token is set"):
        Settings(bundles={"one": Path("x")}, host=host)
    assert Settings(bundles={"one": Path("x")}, host=host, token=TOKEN).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_none(host: str) -> None:
    assert Settings(bundles={"one": Path("x")}, host=host).token is None


def test_a_token_comes_from_its_file_else_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file, {"FLYKD_TOKEN": "x" * 20}) == TOKEN
    assert read_token(None, {"FLYKD_TOKEN": f" {TOKEN} "}) == TOKEN
    assert read_token(None, {}) is None
    for text, words in (
        ("short", "5 characters"),
        ("", "0 characters"),
        ("0123456789 abcdef", "more than one word"),
        ("0123456789abcdef\x07g", "more than one word"),
        ("x" * 5000, "larger than any token"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=words):
            read_token(file, {})
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(UserError, match="no plain ASCII"):
        read_token(file, {})
    with pytest.raises(UserError, match="cannot be read"):
        read_token(tmp_path / "none", {})


def test_bundles_are_called_as_they_are_told_or_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert name_bundles(["runs/best-1/export", "student=x/y", "z", str(tmp_path / "a=b")]) == {
        "best-1": Path("runs/best-1/export"),
        "student": Path("x/y"),
        "z": Path("z"),
        "a=b": tmp_path / "a=b",
    }
    for texts, words in (
        (["x", "y/x"], "two bundles are called 'x'"),
        (["=x"], "names no bundle"),
        (["x="], "no bundle"),
    ):
        with pytest.raises(UserError, match=words):
            name_bundles(texts)


@pytest.mark.parametrize("name", ["body", "batch", "concurrency", "threads", "timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(name: str, value: float) -> None:
    with pytest.raises(UserError, match="is no limit"):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_the_small_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments, words in (
        ([str(tmp_path)], "this is not a bundle"),
        ([str(tmp_path), "--host", "0.0.0.0"], "no token is set"),
        ([str(tmp_path), "--rate", "-1"], "--rate: -1.0 is no limit"),
        ([str(tmp_path), "--token-file", str(tmp_path / "none")], "the token cannot be read"),
    ):
        assert main([*arguments, "--port", "0"]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_new_bundle_in_place_is_served_and_a_bad_one_is_not(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    place = tmp_path / "served"
    replace(place, bundles[0])
    shelf = Shelf({"one": place})
    before = shelf.get("one")
    assert before.scorer.manifest.run == "first"
    assert [one.outcome for one in shelf.renew(changed_only=True)] == ["unchanged"]

    def outcome() -> str:
        """Of two looks: at the first the files may still be being written."""
        (first,) = shelf.renew(changed_only=True)
        assert first.outcome == "unchanged"
        (second,) = shelf.renew(changed_only=True)
        lines.append(second.line)
        return second.outcome

    lines: list[str] = []
    replace(place, bundles[1])
    assert outcome() == "opened"
    assert shelf.get("one").scorer.manifest.run == "second"
    # Whoever holds the old one is still answered by it.
    assert len(before.scorer.rank_heads("T0003", "indication", adjust=True)) == 20

    whole = (place / "embeddings.h5").read_bytes()
    (place / "embeddings.h5").write_bytes(whole[:-1])
    assert outcome() == "refused"
    assert "bytes long where the manifest says" in lines[-1]
    assert "Kept: one as it was opened before" in lines[-1]
    assert shelf.get("one").scorer.manifest.run == "second"
    # It is told once, until the files change again or somebody asks.
    assert outcome() == "unchanged"
    assert [one.outcome for one in shelf.renew()] == ["refused"]
    shutil.rmtree(place)
    assert outcome() == "refused"
    replace(place, bundles[0])
    assert outcome() == "opened"
    assert shelf.get(None).scorer.manifest.run == "first"


def test_opening_anew_leaves_no_files_open(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    place = tmp_path / "served"
    replace(place, bundles[0])
    shelf = Shelf({"one": place})
    shelf.renew()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        shelf.renew()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(UserError, match=f"{port} is no port"):
        Settings(bundles={"one": Path("x")}, port=port)


def test_what_was_opened_stays_what_it_was_when_the_files_are_written_over(
    bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    live = tmp_path / "live"
    shutil.copytree(bundles[0], live)
    with Scorer(live) as opened, Scorer(bundles[0]) as first, Scorer(bundles[1]) as second:
        tail = first.tails.ids[0]
        profile = {"edges": {"diseases": [tail]}}
        relation = first.relations[0]
        for path in bundles[1].iterdir():
            # As cp does: into the file that is open, not beside it.
            with open(live / path.name, "r+b") as file:
                file.truncate()
                file.write(path.read_bytes())
        assert opened.tails.ids == first.tails.ids
        before, after = (one.rank_heads(tail, relation, top=5) for one in (first, opened))
        assert [hit.logit for hit in after] == [hit.logit for hit in before]
        placed, again = first.profile(profile, relation), opened.profile(profile, relation)
        assert [hit.logit for hit in again.ranking] == [hit.logit for hit in placed.ranking]
        # And what lies there now opens as what it is.
        with Scorer(live) as fresh:
            others = second.rank_heads(second.tails.ids[0], relation, top=5)
            assert [hit.logit for hit in fresh.rank_heads(second.tails.ids[0], relation, top=5)] == [
                hit.logit for hit in others
            ]

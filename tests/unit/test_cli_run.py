"""`flykd-console run` around a training process that is played by a script."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest

from flykd_console.cli.app import main
from flykd_console.cli.run import parse_seeds
from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.runs import spawn
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import list_runs
from flykd_console.runs.lock import held, is_held

pytestmark = pytest.mark.usefixtures("fake_worker")


@pytest.fixture
def fake_worker(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    monkeypatch.setattr(spawn, "WORKER", ("-m", "tests.support.fake_worker"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("FAKE_WORKER", "finish")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["run", *arguments])
    code = left.value.code
    assert isinstance(code, int)
    return code


def only_run(root: Path) -> RunDirectory:
    (directory,) = list_runs(root)
    return directory


def test_a_run_prints_progress_the_table_and_what_to_do_next(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45,46") == 0
    out = capsys.readouterr().out
    name = only_run(runs).name
    assert f"run {name}: flykd on embedded" in out
    assert "seed 45 (1/2)  teacher" in out
    assert "test AUPRC 79.93" in out
    assert next(line for line in out.splitlines() if line.startswith("flykd 80")).split()[-3:] == ["+1.29", "±", "0.00"]
    assert f"flykd-console export {name}" in out
    assert "\x1b" not in out


def test_the_resolved_profile_is_saved_and_names_every_setting(runs: Path) -> None:
    assert run("flykd", "--seeds", "45", "--set", "distill.epochs=7", "--device", "cpu", "--name", "mine") == 0
    directory = only_run(runs)
    assert directory.name.startswith("mine-")
    saved = tomllib.loads(directory.profile.read_text())
    assert saved["run"] == {"name": "mine", "seeds": [45], "device": "cpu", "models": []}
    assert saved["distill"]["epochs"] == 7
    assert saved["distill"]["curriculum"]["original"] == [[0.2, 1.0], [0.4, 0.05]]
    assert load_profile(directory.profile).distill.epochs == 7


def test_json_streams_the_events_and_nothing_else(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert run("flykd", "--seeds", "45", "--json") == 0
    out = capsys.readouterr().out
    assert out == only_run(runs).events.read_text()
    assert [json.loads(line)["kind"] for line in out.splitlines()][-1] == "run.finished"


def test_a_mistake_found_by_the_worker_is_one_line_and_leaves_no_run(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "user-error")
    assert run("flykd") == 2
    captured = capsys.readouterr()
    assert captured.err == "kg.csv: the column x_id is missing. Give a file in PrimeKG's form.\n"
    assert "x_id" not in captured.out
    assert not runs.exists()


def test_a_mistake_found_after_training_began_keeps_what_was_trained(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "late-user-error")
    assert run("flykd") == 2
    assert capsys.readouterr().err == "the disk is full. Make room.\n"
    assert only_run(runs).events.is_file()


def test_a_crash_is_one_line_with_the_place_of_the_traceback(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "crash")
    assert run("flykd") == 1
    err = capsys.readouterr().err
    assert err == f"The run failed: ValueError: a bug. The whole story: {only_run(runs).worker_log}\n"


@pytest.mark.parametrize(("part", "words"), [("die", "SIGKILL"), ("mute", "without a last word (exit code 1)")])
def test_a_death_without_a_word_is_told(
    part: str, words: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", part)
    assert run("flykd") == 1
    err = capsys.readouterr().err
    assert words in err
    assert str(only_run(runs).worker_log) in err
    assert err.count("\n") == 1


def press_when(ready: Path, times: int, needle: str = "stage.started") -> threading.Thread:
    """Ctrl-C once training has begun, and again until `times`."""

    def press() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and not any(needle in p.read_text() for p in ready.glob("*/events.jsonl")):
            time.sleep(0.02)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


def test_ctrl_c_stops_with_a_checkpoint_and_resume_goes_on(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "stop")
    before = signal.getsignal(signal.SIGINT)
    thread = press_when(runs, times=1)
    assert run("flykd", "--seeds", "45") == 0
    thread.join()
    directory = only_run(runs)
    assert f"flykd-console run --resume {directory.name}" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before

    directory.order("stop")  # one that came too late for the process it was meant for
    monkeypatch.setenv("FAKE_WORKER", "finish")
    assert run("--resume", directory.name) == 0
    out = capsys.readouterr().out
    assert "stopped after" not in out
    assert "79.93" in out


def test_a_second_ctrl_c_ends_a_worker_that_does_not_listen(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "deaf")
    monkeypatch.setattr("flykd_console.cli.training._FORCE_SECONDS", 0.2)
    thread = press_when(runs, times=2)
    assert run("flykd", "--seeds", "45") == 1
    thread.join()
    directory = only_run(runs)
    assert not is_held(directory)
    assert f"--resume {directory.name}" in capsys.readouterr().err


def test_a_finished_run_is_not_resumed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45") == 0
    capsys.readouterr()
    assert run("--resume", only_run(runs).name) == 2
    assert "this run is finished" in capsys.readouterr().err


def test_a_finished_run_without_rankings_is_resumed_to_write_them(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("flykd", "--seeds", "45") == 0
    directory = only_run(runs)
    directory.seed(45).mkdir(exist_ok=True)
    directory.scores(45, "test").touch()
    assert run("--resume", directory.name) == 0
    capsys.readouterr()
    directory.ranking(45, "test").touch()
    directory.neighbours(45).touch()
    assert run("--resume", directory.name) == 0
    capsys.readouterr()
    directory.profiles(45).touch()
    assert run("--resume", directory.name) == 2
    assert "this run is finished" in capsys.readouterr().err


def test_a_run_in_training_is_not_resumed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45") == 0
    capsys.readouterr()
    directory = only_run(runs)
    with held(directory):
        assert run("--resume", directory.name) == 2
    assert "being trained already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no profile given"),
        (["nowhere.toml"], "nowhere.toml: there is no such profile"),
        (["flykd", "--seeds", "4x"], "--seeds 4x: '4x' is not a seed. Give seeds as 45,46 or 45-49."),
        (["flykd", "--graph", "nowhere.csv"], "there is no such graph file"),
        (["flykd", "--graph", "embeded"], "there is no such graph file. Did you mean embedded?"),
        (["flykd", "--graph", "."], "the folder holds no file"),
        (["flykd", "--device", "gpu"], "--device gpu: must be"),
        (["flykd", "--name", "../up"], "--name ../up: must be"),
        (["flykd", "--set", "nonsense"], "--set nonsense: must read key=value"),
        (["flykd", "--set", "distill.epocs=3"], "Did you mean distill.epochs?"),
        (["--resume", "nothing"], "there is no run 'nothing'"),
        (["flykd", "--resume", "x"], "PROFILE cannot be given"),
        (["--resume", "x", "--seeds", "45", "--set", "a=b", "--device", "cpu"], "--set and --device cannot be given"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_leaves_nothing(
    arguments: list[str], message: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_graph_named_on_the_command_line_is_found_from_here_and_saved_absolute(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text("relation,x_id,x_type,y_id,y_type\n")
    assert run("flykd", "--seeds", "45", "--graph", "./kg.csv") == 0
    assert load_profile(only_run(runs).profile).graph.source == str(tmp_path / "kg.csv")


def test_a_graph_named_in_a_profile_is_found_from_the_profiles_folder(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (tmp_path / "deep" / "kg.csv").write_text("relation,x_id,x_type,y_id,y_type\n")
    (folder / "mine.toml").write_text('[graph]\nsource = "../kg.csv"\n')
    assert run("deep/er/mine.toml", "--seeds", "45") == 0
    assert load_profile(only_run(runs).profile).graph.source == str(tmp_path / "deep" / "kg.csv")


def test_a_terminal_gets_the_dashboard_before_the_worker_has_said_anything(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "stop")
    seen: list[RunDirectory] = []

    def run_dashboard(directory: RunDirectory, *, worker: object = None) -> None:
        assert not directory.events.exists() or b"stage" not in directory.events.read_bytes()
        seen.append(directory)

    module = type(sys)("flykd_console.dashboard.app")
    module.run_dashboard = run_dashboard  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flykd_console.dashboard.app", module)
    monkeypatch.setattr("flykd_console.cli.training._on_terminal", lambda: True)
    assert run("flykd", "--seeds", "45") == 0
    out = capsys.readouterr().out
    (directory,) = seen
    assert "Training goes on without this window." in out
    assert f"flykd-console watch {directory.name}" in out
    until = time.monotonic() + 30
    while not is_held(directory) and time.monotonic() < until:
        time.sleep(0.02)
    directory.order("stop")
    while is_held(directory) and time.monotonic() < until:
        time.sleep(0.02)
    assert b'"stopped"' in directory.events.read_bytes()


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("45", [45]), ("45,46", [45, 46]), ("45-49", [45, 46, 47, 48, 49]), (" 7, 45 - 46 ", [7, 45, 46]), ("5-5", [5])],
)
def test_seeds_are_lists_and_ranges(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "4x", "45,", "-3", "45-", "49-45", "45,45", "44-46,45", "1.5", "1-99999999", "٣"]
)
def test_seeds_that_are_none_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        parse_seeds(text)
    assert "\n" not in str(error.value)
    assert "Give seeds as" in str(error.value)


def test_the_worker_gets_threads_and_memory_settings_and_no_terminal() -> None:
    environment = spawn.worker_environment(3, {"PATH": "/bin", "OMP_NUM_THREADS": "9"})
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert int(environment["MALLOC_MMAP_THRESHOLD_"]) >= 2**30
    assert environment["DGLBACKEND"] == "pytorch"
    assert environment["PATH"] == "/bin"


def test_threads_that_the_user_chose_are_kept_unless_the_profile_says_otherwise() -> None:
    assert spawn.worker_environment(0, {"OMP_NUM_THREADS": "1"})["OMP_NUM_THREADS"] == "1"
    assert spawn.worker_environment(0, {"OMP_NUM_THREADS": "many"})["OMP_NUM_THREADS"] == str(spawn.usable_cpus())


def test_a_control_groups_quota_counts_as_cpus(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("150000 100000\n")
    assert spawn.usable_cpus(quota) == min(2, len(os.sched_getaffinity(0)))
    quota.write_text("50000 100000\n")
    assert spawn.usable_cpus(quota) == 1
    quota.write_text("max 100000\n")
    assert spawn.usable_cpus(quota) == len(os.sched_getaffinity(0))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_glibc_keeps_large_buffers_under_the_workers_settings() -> None:
    """A buffer of 256 MiB is carved from the heap instead of being mapped anew."""
    import subprocess

    code = (
        "import ctypes\n"
        "c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; c.malloc.argtypes = [ctypes.c_size_t]\n"
        "at = c.malloc(256 << 20)\n"
        "heap = next(l for l in open('/proc/self/maps') if '[heap]' in l).split()[0].split('-')\n"
        "print(int(heap[0], 16) <= at < int(heap[1], 16))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=spawn.worker_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"

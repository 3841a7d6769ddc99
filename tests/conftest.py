"""What every test shares: folders of its own, a plain environment, and hypothesis without deadlines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("flykd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flykd")
_FOUND = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note what the tests found."""
    session.config.stash[_FOUND] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without unloading: the thread pools of some native libraries, all in one process, may crash at that point.

    What the tests found is told by then, and is the exit code. Not where something is still to be written at the end.
    """
    found = config.stash.get(_FOUND, None)
    if found is None or hasattr(config, "workerinput") or "coverage" in sys.modules:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(found)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the user's is read or written: data and cache live in a folder of this session."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FLYKD_DATA", "FLYKD_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "OMP_NUM_THREADS"):
            patch.delenv(name, raising=False)
        patch.setenv("DGLBACKEND", "pytorch")
        yield


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs, which the program uses; the current folder is its parent."""
    root = tmp_path / "runs"
    monkeypatch.setenv("FLYKD_RUNS", str(root))
    monkeypatch.chdir(tmp_path)
    return root

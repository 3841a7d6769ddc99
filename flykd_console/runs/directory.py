"""The run directory: names, layout, lock and state of one run, and the list of all."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.runs.files import replace_file

ORDERS = ("pause", "stop", "checkpoint", "evaluate", "extend", "abort")


def runs_root() -> Path:
    """Where runs live: `$FLYKD_RUNS`, else `runs/` in the current folder."""
    return Path(os.environ.get("FLYKD_RUNS", "runs"))


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run. Nothing is created or read by building one."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def profile(self) -> Path:
        return self.path / "profile.toml"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def nodes(self) -> Path:
        """Parquet: `type, index, id, name` of the scored node types, index in the order of the embeddings' rows."""
        return self.path / "nodes.parquet"

    @property
    def worker_log(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock(self) -> Path:
        return self.path / "worker.lock"

    @property
    def queue(self) -> Path:
        """The batch that the run was started in, see `flykd_console.runs.queue`; absent for a run started alone."""
        return self.path / "queue.json"

    @property
    def export(self) -> Path:
        return self.path / "export"

    def seed(self, seed: int) -> Path:
        return self.path / f"seed-{seed}"

    def weights(self, seed: int, stage: str) -> Path:
        """Weights of a finished stage: `<stage>.safetensors` (pretraining stages too)."""
        return self.seed(seed) / f"{stage}.safetensors"

    def state(self, seed: int, stage: str) -> Path:
        """Resumable state of an unfinished stage."""
        return self.seed(seed) / f"{stage}.state"

    def embeddings(self, seed: int, model: str) -> Path:
        """Tables of heads and (unpooled) tails; per relation pooled tails, its vector and a probe of logits."""
        return self.seed(seed) / f"{model}.embeddings.safetensors"

    def scores(self, seed: int, part: str) -> Path:
        """Parquet of a part, `validation` or `test`: `relation, head_id, tail_id, label` and each model's logits."""
        return self.seed(seed) / f"{part}-scores.parquet"

    def test_scores(self, seed: int) -> Path:
        """The scores of the test part."""
        return self.scores(seed, "test")

    def evaluation_pairs(self, seed: int) -> Path:
        """Parquet: `part, relation, head_id, tail_id, label`: validation and test pairs with their stored negatives."""
        return self.seed(seed) / "evaluation-pairs.parquet"

    def labels(self, seed: int) -> Path:
        """Parquet: `relation, head_id, tail_id, part` (train, validation, test): every true pair of the targets."""
        return self.seed(seed) / "labels.parquet"

    def order_file(self, order: str) -> Path:
        return self.path / "control" / order

    def order(self, order: str, content: bytes = b"") -> None:
        """Give an order, one of `ORDERS`; the trainer acknowledges it by an event.

        Args:
            order: `stop` ends the run with a checkpoint, `abort` at once; `extend` adds epochs to the running stage.
            content: What the order says besides its name: see `flykd_console.runs.more_epochs` for `extend`.
        """
        if order not in ORDERS:
            raise ValueError(order)
        path = self.order_file(order)
        path.parent.mkdir(exist_ok=True)
        if content:
            replace_file(path, content)
        else:
            path.touch()

    def withdraw(self, order: str) -> None:
        """Take an order back; withdrawing `pause` lets training go on."""
        self.order_file(order).unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Whether a worker holds the run's lock on this machine."""
        try:
            handle = os.open(self.lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        else:
            fcntl.flock(handle, fcntl.LOCK_UN)
            return False
        finally:
            os.close(handle)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run as its only worker.

        Raises:
            UserError: Another worker holds it.
        """
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _locked_within(handle, seconds=1.0):
                raise UserError(
                    "this run is being trained already", self.name, f"Watch it: flykd-console watch {self.name}"
                )
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n{socket.gethostname()}\n".encode())
            yield
        finally:
            os.close(handle)


def _locked_within(handle: int, seconds: float) -> bool:
    """Take the lock; those who only look at a run hold it for an instant, which is waited for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def create_run(name: str, root: Path | None = None) -> RunDirectory:
    """Make `<root>/<name>-<yyyymmdd-hhmmss>/`; a number is added where that exists."""
    root = root or runs_root()
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
        path = root / (stem + suffix)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"the run's folder cannot be made ({error.strerror})", str(path), "Check who may write there."
            ) from None
        (path / "control").mkdir()
        return RunDirectory(path.absolute())
    raise UserError("too many runs of this name in one second", str(root / stem), "Try again.")


def list_runs(root: Path | None = None) -> list[RunDirectory]:
    """Every run below the root, newest first (by the time that `profile.schema.toml` was written)."""
    root = root or runs_root()
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        # A run may be removed while we look.
        with suppress(OSError):
            found.append(((path / "profile.toml").stat().st_mtime_ns, path.name, path))
    return [RunDirectory(path.absolute()) for _, _, path in sorted(found, reverse=True)]


def _is_finished(run: RunDirectory) -> bool:
    from flykd_console.runs.events import NewerSchemaError
    from flykd_console.runs.status import status_of

    try:
        return run.results.is_file() and status_of(run).state == "finished"
    except NewerSchemaError:
        return False


def find_run(run: str | None, root: Path | None = None, finished: bool = False) -> RunDirectory:
    """A run by name, unique beginning of a name, or path; None: the newest (finished) one.

    Raises:
        UserError: There is no such run, or several begin like this.
    """
    root = root or runs_root()
    if run is not None:
        path = Path(run)
        if (path / "profile.toml").is_file():
            return RunDirectory(path.absolute())
        found = list_runs(root)
        begun = [r for r in found if r.name.startswith(run)]
        # The name that a profile gave comes before longer names that begin alike.
        named = [r for r in begun if re.fullmatch(r"-\d{8}-\d{6}(-\d+)?", r.name[len(run) :])]
        matches = [r for r in found if r.name == run] or named or begun
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(r.name for r in matches[:5])
            raise UserError(f"{len(matches)} runs begin with {run!r}: {names}", str(root), "Give more of the name.")
        raise UserError(f"there is no run {run!r}", str(root), "List them: flykd-console runs")
    runs = [r for r in list_runs(root) if not finished or _is_finished(r)]
    if not runs:
        what = "finished run" if finished else "run"
        raise UserError(f"there is no {what} in {root}/ yet", hint="Train one: flykd-console run flykd")
    return runs[0]

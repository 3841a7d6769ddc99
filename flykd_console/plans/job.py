"""A job: one run directory to be brought to its end. Its name follows from its settings, so a plan can be given again.

A job that is finished is left alone, one that was broken off goes on, and one with other settings is another job.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.profile.load import Override, dump_profile, load_profile
from flykd_console.profile.models import learns_from_networks, models_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import ORDERS, RunDirectory
from flykd_console.runs.files import replace_file
from flykd_console.runs.find import runs_root
from flykd_console.runs.lock import is_held
from flykd_console.runs.models import Role

_DIGITS = 8  # of a hash
_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Job:
    """One run of a plan.

    Attributes:
        label: What tables call it, unique among the candidates of a plan; jobs of further seeds have the same.
        profile: Its resolved profile.
        directory: Where it is trained.
        values: The settings that tell it from others, by key, as they were given.
        teaches: Jobs that have the same share their teachers: those are trained by one of them, and the others wait.
            Empty for a job without trained teachers.
    """

    label: str
    profile: Profile
    directory: RunDirectory
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        return list(self.profile.run.seeds)

    @property
    def teaches(self) -> str:
        specs = models_of(self.profile)
        if not any(spec.entry.role is Role.TEACHER for spec in specs):
            return ""
        learn = [spec for spec in specs if spec.distill is not None and learns_from_networks(spec.distill)]
        networks = learn[0].distill.networks if learn and learn[0].distill is not None else 1
        data = self.profile.model_dump(mode="json", serialize_as_any=True)
        facts = {key: data[key] for key in ("graph", "split", "teacher", "pretrain", "negatives", "finetune")}
        facts |= {"seeds": self.seeds, "networks": networks, "precision": self.profile.engine.precision}
        return json.dumps(facts, sort_keys=True)

    @property
    def teacher_files(self) -> list[Path]:
        """Weights of every teacher of every seed, there or not."""
        names = [spec.name for spec in models_of(self.profile) if spec.entry.role is Role.TEACHER]
        return [self.directory.weights(seed, name) for seed in self.seeds for name in names]

    def prepare(self) -> None:
        """Make the directory with its profile, where it is not there yet; forget what a process that is gone was told.

        Raises:
            UserError: It cannot be written.
        """
        if self.directory.profile.is_file():
            for order in ORDERS if not is_held(self.directory) else ():
                self.directory.withdraw(order)
            return
        note = f"# Every setting of the run {self.directory.name}, a job of a plan."
        try:
            (self.directory.path / "control").mkdir(parents=True, exist_ok=True)
            replace_file(self.directory.profile, f"{note}\n\n{dump_profile(self.profile)}".encode())
        except OSError as error:
            raise UserError(
                f"the run's folder cannot be made ({error.strerror})",
                str(self.directory.path),
                "Check who may write there.",
            ) from None


def make_job(
    profile: str | Path,
    settings: Sequence[str | Override],
    *,
    label: str,
    name: str = "",
    seed: int | None = None,
    values: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> Job:
    """A job of a profile under some settings; nothing is written.

    Args:
        label: Empty for the profile as it is.
        name: What its run is called before the label; empty: the profile's `run.name`.
        seed: The only seed that it trains; None: all of the profile's.

    Raises:
        UserError: The profile is not there, or does not allow the settings.
    """
    overrides: list[str | Override] = list(settings)
    if seed is not None:
        overrides.append(Override("run.seeds", [seed], f"seed {seed}"))
    loaded = load_profile(profile, overrides)
    stem = "-".join(part for part in (name or loaded.run.name, slug(label)) if part)
    named = loaded.model_copy(update={"run": loaded.run.model_copy(update={"name": stem})})
    of_seed = f"-s{seed}" if seed is not None else ""
    digest = hashlib.sha256(dump_profile(named).encode()).hexdigest()[:_DIGITS]
    path = (root or runs_root()) / f"{stem}{of_seed}-{digest}"
    return Job(label, named, RunDirectory(path.absolute()), dict(values or {}))


def label_of(values: Mapping[str, str]) -> str:
    """What a combination of settings is called: `dim=16 kind=rgat`; keys in full where their last words are alike."""
    lasts = [key.rpartition(".")[2] for key in values]
    short = [last if lasts.count(last) == 1 else key for key, last in zip(values, lasts, strict=True)]
    return " ".join(f"{key}={value}" for key, value in zip(short, values.values(), strict=True))


def slug(label: str) -> str:
    """A label as part of a folder's name."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", label.replace("=", "")).strip("._-")
    return words[:_LONGEST_LABEL]


def shard_of(jobs: Sequence[Job], text: str) -> list[Job]:
    """The jobs of part i of n, `i/n` with i from 1: every n-th. Of a candidate's jobs each is of another seed.

    Raises:
        UserError: It is no such text, or i is not between 1 and n.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    where, hint = f"--shard {text}", "Give i/n with i from 1 to n, such as 2/5."
    if found is None:
        raise UserError("is no part of a plan", where, hint)
    number, count = int(found[1]), int(found[2])
    if not 1 <= number <= count:
        raise UserError(f"there is no part {number} of {count}", where, hint)
    return list(jobs[number - 1 :: count])

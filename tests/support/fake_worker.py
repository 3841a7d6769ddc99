"""Stands in for the training process: the same arguments, lock, events and exit codes, and nothing trained.

What it plays is the environment variable `FAKE_WORKER`: finish, stop (waits to be told), deaf (never listens),
user-error, late-user-error, crash, die, mute (dies before its first word); for several runs one part each, with commas.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from flykd_console.profile.load import load_profile
from flykd_console.profile.models import models_of, planned_stages
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import GraphSource, ModelResult, Scores, build_results, write_results

_AUPRC = {"teacher": 0.8033, "baseline": 0.7864, "student": 0.7993}


def main(*arguments: str) -> int:
    """Play the part for each run; returns the exit code."""
    flags = [argument for argument in arguments if argument.startswith("--")]
    paths = [argument for argument in arguments if argument not in flags]
    parts = os.environ["FAKE_WORKER"].split(",")
    codes = []
    for number, path in enumerate(paths):
        codes.append(play(parts[min(number, len(parts) - 1)], path, flags))
        if b'"stopped"' in RunDirectory(Path(path)).events.read_bytes()[-200:]:
            break
    return 1 if 1 in codes else max(codes)


def play(part: str, path: str, flags: list[str]) -> int:
    """Play a part for one run; returns the exit code."""
    if part == "mute":
        print("Fatal: nothing works")
        return 1
    directory = RunDirectory(Path(path))
    profile = load_profile(directory.profile)
    if part == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with held(directory):
        log = EventWriter(directory.events)
        models = {spec.name: spec.entry for spec in models_of(profile)}
        stages = planned_stages(profile, dict.fromkeys(profile.run.seeds, 0))
        plan = [msgspec.structs.replace(stage, epochs=4) for stage in stages]
        log.write(
            ev.RunStarted(
                run=directory.name, name=profile.run.name, method=profile.distill.method,
                seeds=profile.run.seeds, stages=plan,
                device="cpu", graph=ev.GraphFacts(source=profile.graph.source), teacher_dim=130, student_dim=80,
                models=list(models.values()), headline=profile.evaluation.headline, pid=os.getpid(),
                resumed="--fresh" in flags,
            )
        )  # fmt: skip
        if part == "user-error":
            log.write(ev.RunFailed(error="kg.csv: the column x_id is missing. Give a file in PrimeKG's form."))
            return 2
        seeds: dict[int, dict[str, ModelResult]] = {}
        for planned in plan:
            dim = models[planned.stage].dim or 0
            log.write(
                ev.StageStarted(
                    seed=planned.seed, stage=planned.stage, phase=planned.phase, models=planned.models, epochs=4,
                    dim=dim, parameters=7,
                )
            )  # fmt: skip
            for epoch in range(1, 5):
                log.write(
                    ev.Epoch(
                        seed=planned.seed, stage=planned.stage, epoch=epoch, epochs=4, losses={"total": 0.5}, lr=1e-3,
                        seconds=0.01,
                    )
                )  # fmt: skip
                if part == "late-user-error":
                    log.write(ev.RunFailed(error="the disk is full. Make room."))
                    return 2
                if part == "crash":
                    log.write(ev.RunFailed(error="ValueError: a bug", traceback="Traceback ...\nValueError: a bug"))
                    return 1
                if part == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                while part in ("stop", "deaf"):
                    if part == "stop" and directory.order_file("stop").exists():
                        directory.withdraw("stop")
                        log.write(ev.Control(action="stop", state="stopping"))
                        log.write(ev.RunFinished(outcome="stopped", seconds=1.0))
                        return 0
                    time.sleep(0.02)
            score = ev.RelationScore(auprc=_AUPRC[planned.stage], auroc=0.8, positives=5, negatives=5)
            auprc, auroc = _AUPRC[planned.stage], 0.8
            metrics = {"macro_auprc": auprc, "macro_auroc": auroc}
            log.write(
                ev.Evaluation(
                    seed=planned.seed, stage=planned.stage, model=planned.stage, epoch=4, split="test",
                    metrics=dict(metrics), macro_auprc=auprc, macro_auroc=auroc, relations={"indication": score},
                )
            )  # fmt: skip
            log.write(ev.StageFinished(seed=planned.seed, stage=planned.stage, epochs=4, seconds=0.04))
            relations = {"indication": score}
            test = Scores(macro_auprc=auprc, macro_auroc=auroc, metrics=metrics, relations=relations)
            seeds.setdefault(planned.seed, {})[planned.stage] = ModelResult(
                dim=dim, parameters=7, epochs=4, seconds=0.04, test=test
            )
        graph = GraphSource(source=profile.graph.source)
        results = build_results(directory.name, profile.distill.method, graph, seeds, list(models.values()))
        write_results(directory, results)
        log.write(ev.RunFinished(outcome="finished", seconds=0.2))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

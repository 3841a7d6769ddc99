"""Probabilities of a bundle: Platt's calibration per relation on the run's validation pairs, kept as numbers.

Without enough pairs, or where true ones score no higher, there is none and the bundle says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.run_tables import EvaluationSet
from exporters.trained_run import TrainedRun
from flykd_console.calibration import NotCalibratedError, Platt, fit_platt


@dataclass(frozen=True)
class Calibration:
    """One relation's.

    Attributes:
        platt: None where there is none; `problem` then says why.
        replaced: Which end of a true validation pair its negative replaces: `tail`, `head`, or empty: given ones.
    """

    platt: Platt | None
    problem: str = ""
    replaced: str = ""

    @property
    def numbers(self) -> tuple[float, float]:
        """Slope and intercept of the head's probability; 1 and 0, the plain sigmoid, where there is no calibration."""
        return (self.platt.slope, self.platt.intercept) if self.platt else (1.0, 0.0)

    def as_json(self) -> dict[str, float | int | str]:
        """As the manifest keeps it."""
        if self.platt is None:
            return {"problem": self.problem}
        platt = self.platt
        return {
            "slope": platt.slope,
            "intercept": platt.intercept,
            "base_rate": platt.base_rate,
            "positives": platt.positives,
            "negatives": platt.negatives,
            "replaced": self.replaced,
        }


def calibrate(run: TrainedRun) -> dict[str, Calibration]:
    """Per relation, from the run's validation pairs.

    Of several seeds every model scores the validation pairs of its own seed, and these are fitted together: to the
    other models of the mean most of them are training pairs.
    """
    members = run.members or (run,)
    return {relation: _of_relation([member.validation for member in members], relation) for relation in run.relations}


def _of_relation(parts: list[Mapping[str, EvaluationSet] | None], relation: str) -> Calibration:
    found = [part[relation] for part in parts if part is not None]
    if len(found) < len(parts):
        return Calibration(None, "the run left no validation-scores.parquet")
    logits, labels = (np.concatenate([getattr(one, name) for one in found]) for name in ("logit", "label"))
    try:
        platt = fit_platt(logits, labels)
    except NotCalibratedError as problem:
        return Calibration(None, str(problem))
    if platt.slope <= 0.0:
        return Calibration(None, "true validation pairs score no higher than others")
    return Calibration(platt, replaced=found[0].replaced)


def brier_score(probabilities: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """Mean squared distance of probabilities [n] from labels [n] (Brier 1950); 0.25: one half for everything."""
    return float(np.mean((probabilities - labels) ** 2))

"""Which model of a run is meant, and in which seeds it left embeddings: what exporting and exploring begin with."""

from __future__ import annotations

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import ModelEntry, headliner, trains_nothing
from flykd_console.runs.results import Results


def embedded_seeds(directory: RunDirectory, results: Results, model: str) -> list[int]:
    """Seeds in ascending order that have both results and embeddings of a model."""
    seeds = [int(seed) for seed, models in results.seeds.items() if seed.isdecimal() and model in models]
    return sorted(seed for seed in seeds if directory.embeddings(seed, model).is_file())


def embedded_models(directory: RunDirectory, results: Results) -> list[str]:
    """Names of the models that left embeddings in any seed, in the run's order."""
    return [entry.name for entry in results.models if embedded_seeds(directory, results, entry.name)]


def model_of(directory: RunDirectory, results: Results, name: str | None = None) -> ModelEntry:
    """A model of a run: the one of this name, or the one that the run is about.

    Raises:
        UserError: The run has no model of this name, none at all, or trains nothing.
    """
    if name is None:
        found = headliner(results.models)
    else:
        found = next((entry for entry in results.models if entry.name == name), None)
    if trains_nothing(results.models):
        raise UserError(
            "nothing was trained in this run, so there are no embeddings: it measures scorers without training",
            directory.name,
            "Take a run that trains a model, such as that of flykd-console run best.",
        )
    if found is None:
        known = embedded_models(directory, results)
        hint = f"Choose one of {', '.join(known)}." if known else "Let the run finish first."
        raise UserError(f"there is no model {name!r}" if name else "there is no trained model", directory.name, hint)
    return found

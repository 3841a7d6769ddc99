"""Classes of samples: what node and graph classification share; they differ by their samples alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from flykd_console.data.attributed import PARTS
from flykd_console.data.perturb import Perturbation
from flykd_console.distill.cohort.divergence import mean_of_probabilities
from flykd_console.errors import UserError
from flykd_console.model.encoders.network import SampleNetwork
from flykd_console.profile.cohort import Mutual, TeacherLessons
from flykd_console.profile.cohort_models import ALONE, network_of
from flykd_console.runs.results import Scores
from flykd_console.runs.robustness import robustness_name
from flykd_console.seeding import torch_rng
from flykd_console.tasks.base import Log, Objective, Task, Trainable
from flykd_console.tasks.classification import files
from flykd_console.tasks.classification.metrics import Floats, disagreement, linear_cka, metrics_of
from flykd_console.tasks.classification.objective import CohortObjective
from flykd_console.tasks.classification.samples import Samples

if TYPE_CHECKING:
    from flykd_console.profile.model_spec import ModelSpec
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory

# Parts that are measured.
_SCORED = ("validation", "test")


class Classification(Task):
    """One seed of a run that learns classes.

    Attributes:
        samples: What they are of.
    """

    def __init__(self, profile: Profile, samples: Samples, seed: int, device: torch.device) -> None:
        super().__init__(profile, seed, device)
        self.samples = samples
        counts = np.bincount(samples.labels[samples.parts["train"]], minlength=samples.classes)
        self._rarest = int(counts.argmin())
        # By part and model the log-probabilities of its samples, [m, C].
        self._answers: dict[str, dict[str, Floats]] = {part: {} for part in _SCORED}
        # Of validation, as every model was last evaluated.
        self._latest: dict[str, torch.Tensor] = {}
        self._names: dict[int, str] = {}

    # What stages depend on.

    @property
    def fingerprints(self) -> dict[str, str]:
        return self.samples.fingerprints

    def settings(self) -> dict[str, Any]:
        cohort = self.profile.cohort
        keys = {"epochs", "batch", "headline", "validate_every", "select", "patience"}
        return {"task": self.profile.task.kind, "cohort": cohort.model_dump(include=keys)}

    # Models and what they minimise.

    def new_model(self, spec: ModelSpec) -> SampleNetwork:
        generator = torch_rng(self.seed, f"weights/{spec.begins}")
        model = self.samples.network(network_of(spec), generator).to(self.device)
        self._names[id(model)] = spec.name
        return model

    def reset_head(self, spec: ModelSpec, model: Trainable) -> None:
        """Nothing: there is no pretraining."""

    def pretraining_steps(self) -> int:
        return 0

    def pretraining(self, model: Trainable, stage: str) -> Objective:
        raise NotImplementedError("networks over samples are not pretrained")

    def supervised(self, model: Trainable, stage: str) -> Objective:
        """Labels alone, without smoothing: what a teacher learns, and a member's rival."""
        cohort = self.profile.cohort.model_copy(
            update={"mutual": Mutual(), "distill": TeacherLessons(), "label_smoothing": 0.0, "members": {}}
        )
        name = stage.removeprefix(ALONE)
        return self._objective(cohort, {name: _network(model)}, None)

    def distilled(self, spec: ModelSpec, model: Trainable, teachers: Sequence[Trainable], log: Log) -> Objective:
        raise NotImplementedError("members of a cohort are trained together")

    def taught_together(
        self, specs: Sequence[ModelSpec], models: Mapping[str, Trainable], teachers: Sequence[Trainable]
    ) -> Objective:
        teacher = _network(teachers[0]) if teachers else None
        return self._objective(self.profile.cohort, {spec.name: _network(models[spec.name]) for spec in specs}, teacher)

    def _objective(
        self, cohort: Any, models: Mapping[str, SampleNetwork], teacher: SampleNetwork | None
    ) -> CohortObjective:
        begins = {name: name for name in models}
        return CohortObjective(cohort, models, begins, teacher, self.samples, self.seed, self.device)

    def check(self, specs: Sequence[ModelSpec]) -> None:
        for spec in specs:
            if spec.shape.kind == "rgcn" and not self.samples.relations:
                raise UserError(
                    f"the edges of {self.samples.source} are all of one relation",
                    f"kind = 'rgcn' of {spec.name}",
                    "An .npz needs an array edge_type; of edges of one kind sage is the same.",
                )

    def check_teachers(self, specs: Sequence[ModelSpec], teachers: Sequence[Trainable]) -> None:
        """Nothing: every sample has an answer."""

    # What is measured and left behind.

    def evaluator(self, model: Trainable) -> Callable[[], Scores]:
        network = _network(model)

        def measured() -> Scores:
            logits = self.samples.answers_of(network)["validation"]
            self._latest[self._names[id(network)]] = logits
            return self._scores("validation", _logs(logits))

        return measured

    def ensemble_evaluator(self, models: Mapping[str, Trainable]) -> Callable[[], Scores]:
        def measured() -> Scores:
            logits = [self._latest[name] for name in models]
            metrics = self._scores("validation", _logs(mean_of_probabilities(logits))).metrics
            agreement = 1.0 - disagreement([_logs(one) for one in logits])
            return Scores(metrics={**metrics, "agreement": agreement})

        return measured

    def assess(self, name: str, models: Sequence[Trainable]) -> tuple[Scores, Scores]:
        networks = [_network(model) for model in models]
        answers = [self.samples.answers_of(network) for network in networks]
        further: dict[str, dict[str, float]] = {part: {} for part in _SCORED}
        for part in _SCORED:
            found = [one[part] for one in answers]
            self._answers[part][name] = _logs(found[0] if len(found) == 1 else mean_of_probabilities(found))
            if len(found) > 1:
                of_members = [_logs(one) for one in found]
                further[part] = {"disagreement": disagreement(of_members), "cka": _likeness(of_members)}
        further["test"] |= self._robustness(networks)
        scores = {part: self._scores(part, self._answers[part][name], further[part]) for part in _SCORED}
        return scores["test"], scores["validation"]

    def _robustness(self, networks: Sequence[SampleNetwork]) -> dict[str, float]:
        """Accuracy on the test by change and strength, a mean over draws; of several models that of their mean."""
        settings = self.profile.cohort.robustness
        labels = self.samples.labels[self.samples.parts["test"]]
        found = {}
        for kind, strength in settings.strengths:
            right = []
            for draw in range(settings.draws):
                answers_of = self.samples.perturbed(Perturbation(kind, strength, draw))
                answers = [answers_of(network) for network in networks]
                told = answers[0] if len(answers) == 1 else mean_of_probabilities(answers)
                right.append(float((told.argmax(dim=1).cpu().numpy() == labels).mean()))
            found[robustness_name(kind, strength)] = float(np.mean(right))
        return found

    def adopt(self, name: str, other: str) -> None:
        """Take one model's answers for those of another name."""
        for part in _SCORED:
            self._answers[part][name] = self._answers[part][other]

    def assess_heuristic(self, name: str) -> tuple[Scores, Scores]:
        raise NotImplementedError("classes have no scorers without training")

    def _scores(self, part: str, logs: Floats, further: Mapping[str, float] | None = None) -> Scores:
        labels = self.samples.labels[self.samples.parts[part]]
        metrics = metrics_of(logs, labels, self.samples.classes, self._rarest)
        return Scores(metrics={**metrics, **(further or {})})

    def open(self, directory: RunDirectory, log: Log) -> None:
        samples = self.samples
        sizes = ", ".join(f"{len(samples.parts[part])} {part}" for part in PARTS)
        what = "nodes" if self.profile.task.kind == "node_classification" else "graphs"
        log(f"Seed {self.seed}: {samples.classes} classes; {what}: {sizes}", "info")

    def close(self, directory: RunDirectory) -> None:
        for part in _SCORED:
            labels = self.samples.labels[self.samples.parts[part]]
            path = directory.samples(self.seed, part)
            files.save_answers(path, self.samples.sample_ids(part), labels, self._answers[part])

    def keep(self, directory: RunDirectory, name: str, model: Trainable) -> None:
        """What it makes of every sample, for those who export and look up."""
        files.save_embeddings(directory.embeddings(self.seed, name), self.samples, self.seed, name, _network(model))


def _network(model: Trainable) -> SampleNetwork:
    assert isinstance(model, SampleNetwork)
    return model


def _logs(logits: torch.Tensor) -> Floats:
    """Log-probabilities, float32 [m, C]."""
    found: Floats = torch.log_softmax(logits, dim=1).cpu().numpy()
    return found


def _likeness(answers: Sequence[Floats]) -> float:
    """Linear CKA of the members' log-probabilities, the mean over pairs."""
    pairs = [(a, b) for i, a in enumerate(answers) for b in answers[i + 1 :]]
    return float(np.mean([linear_cka(a, b) for a, b in pairs]))

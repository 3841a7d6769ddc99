"""The profile as data; every default is the paper's.

Reading a TOML file, `--set` overrides and writing the resolved profile live in `flykd_console.profile.load`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from flykd_console.profile import checks, cohort_checks, mutual_checks
from flykd_console.profile.cohort import Cohort
from flykd_console.profile.distill import Distill
from flykd_console.profile.mutual import StudentCohort
from flykd_console.profile.negatives import Negatives
from flykd_console.profile.samples import Data, TaskChoice
from flykd_console.profile.section import Section
from flykd_console.profile.sections import (
    MODEL_NAME,
    Engine,
    Evaluation,
    Finetune,
    Graph,
    Model,
    Pretrain,
    Run,
    Split,
    Student,
    Teacher,
)


class Profile(Section):
    """A whole profile. Running a resolved profile again repeats the run."""

    run: Run = Run()
    task: TaskChoice = TaskChoice()
    data: Data = Data()
    cohort: Cohort = Cohort()
    graph: Graph = Graph()
    split: Split = Split()
    teacher: Teacher = Teacher()
    student: Student = Student()
    pretrain: Pretrain = Pretrain()
    negatives: Negatives = Negatives()
    finetune: Finetune = Finetune()
    distill: Distill = Distill()
    mutual: StudentCohort = StudentCohort()
    evaluation: Evaluation = Evaluation()
    models: dict[Annotated[str, Field(pattern=MODEL_NAME)], Model] = Field(
        {}, description="further models by name, of the student's size and method but for what their tables say"
    )
    engine: Engine = Engine()

    @property
    def classifies(self) -> bool:
        """Whether its task is one of classes: then `[data]` and `[cohort]` act, else the tables of link prediction."""
        return self.task.kind != "link_prediction"

    @property
    def headline(self) -> str:
        """The metric that comes first."""
        return self.cohort.headline if self.classifies else self.evaluation.headline

    @property
    def method(self) -> str:
        """What the run's method is called."""
        return self.cohort.method if self.classifies else self.distill.method

    @property
    def source(self) -> str:
        """Where what is learnt from comes from."""
        return self.data.source if self.classifies else self.graph.source

    @property
    def targets(self) -> list[str]:
        """Relations that are scored; none where classes are."""
        return [] if self.classifies else self.graph.targets

    def _refuse_other_tables(self) -> None:
        """Refuse tables that the profile's task never looks at."""
        kind = self.task.kind
        for name in checks.OF_LINKS if self.classifies else checks.OF_CLASSES:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"[{name}] says nothing under task.kind = {kind!r}: leave it out")
        if self.classifies and self.run.models:
            raise ValueError(f"run.models says nothing under task.kind = {kind!r}: choose among cohort.members")

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        self._refuse_other_tables()
        if self.classifies:
            cohort_checks.check(self.data, self.cohort, self.task.kind)
            return self
        checks.check(self.graph, self.split, self.teacher, self.student, self.finetune, self.distill, self.models)
        others = bool(self.models or self.run.models)
        mutual_checks.check(self.mutual, self.distill, self.finetune, self.graph, others)
        return self

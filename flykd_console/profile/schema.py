"""The profile as data; every default is the paper's.

Reading a TOML file, `--set` overrides and writing the resolved profile live in `flykd_console.profile.load`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from flykd_console.profile import checks
from flykd_console.profile.distill import Distill
from flykd_console.profile.negatives import Negatives
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
    graph: Graph = Graph()
    split: Split = Split()
    teacher: Teacher = Teacher()
    student: Student = Student()
    pretrain: Pretrain = Pretrain()
    negatives: Negatives = Negatives()
    finetune: Finetune = Finetune()
    distill: Distill = Distill()
    evaluation: Evaluation = Evaluation()
    models: dict[Annotated[str, Field(pattern=MODEL_NAME)], Model] = Field(
        {}, description="further models by name, of the student's size and method but for what their tables say"
    )
    engine: Engine = Engine()

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        checks.check(self.graph, self.teacher, self.student, self.finetune, self.distill, self.models)
        return self

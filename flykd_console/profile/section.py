"""The bases of a profile's tables, those that files of `distill/` define among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


@dataclass(frozen=True)
class IsPath:
    """Marks a key whose value is the path of a file: `Annotated[str, IsPath()]`.

    Attributes:
        names_file: Whether a value does name a file, where some do not.
    """

    names_file: Callable[[str], bool] = bool


@dataclass(frozen=True)
class ByKind:
    """Marks a table whose keys are those of its `kind`.

    Attributes:
        settings: From the table as a profile gives it to its class; None where it has no such kind.
    """

    settings: Callable[[Any], type[BaseModel] | None]


# A key that names a file. It is relative to the profile that says it, and its contents decide what is trained anew.
FilePath = Annotated[str, Field(min_length=1, json_schema_extra={"format": "path"}), IsPath()]


class Section(BaseModel):
    """A table of the profile: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StructureSettings(Section):
    """A structure loss's table. Its losses take part where their weights (keys that end in `weight`) are above 0.

    The table is in every profile, so every key has a default. One that the loss cannot do without where it takes part,
    such as a file, is None by default and named in `needed`.
    """

    needed: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        without = [name for name, field in cls.model_fields.items() if field.is_required()]
        if without:
            raise TypeError(f"{cls.__name__}.{without[0]} needs a default, such as None; name it in `needed`")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        missing = next((key for key in self.needed if getattr(self, key) is None), None)
        if missing is not None and self.takes_part:
            raise ValueError(f"{missing} is needed where a weight is above 0")
        return self

    def weights(self) -> dict[str, float]:
        """Every weight of the table, by its key."""
        return {key: getattr(self, key) for key in type(self).model_fields if key.endswith("weight")}

    @property
    def takes_part(self) -> bool:
        """Whether any weight is above 0."""
        return any(weight > 0.0 for weight in self.weights().values())

    def check(self, teacher_layers: int, student_layers: int, pooling_relations: Sequence[str]) -> None:
        """Refuse settings that contradict each other or the models' depths.

        Raises:
            ValueError: What contradicts what, beginning with the key.
        """


class TeacherSettings(Section):
    """An entry of `distill.teachers`: what kind of teacher, and what its logits count for in the mean."""

    kind: str
    weight: float = Field(1.0, gt=0.0, description="what its logits count for in the mean of all teachers")

    @property
    def networks(self) -> int:
        """How many trained networks it needs."""
        return 0


class StructureLossFile(Protocol):
    """What a profile asks of a structure loss."""

    settings: type[StructureSettings]
    position: int
    needs_layers: bool
    asks_for_layers: bool
    words: Mapping[str, tuple[str, str]]


class TeacherFile(Protocol):
    """What a profile asks of a kind of teacher."""

    settings: type[TeacherSettings]

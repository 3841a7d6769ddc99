"""What a kind of teacher must give. One file of this room is one kind; a network is one of them.

The file's name is what an entry of `distill.teachers` calls its `kind`, `KIND` the class. It is read with every profile
that has such entries: what it imports at the top must not bring torch along.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from flykd_console.profile.section import TeacherSettings

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded


class TeacherKind(ABC):
    """Makes teachers from entries of a profile."""

    settings: ClassVar[type[TeacherSettings]] = TeacherSettings

    @classmethod
    @abstractmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        """The teacher of an entry; `networks`: what the trained networks that it asked for encode.

        Raises:
            UserError: What it reads is missing or at fault.
        """

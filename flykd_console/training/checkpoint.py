"""A stage's resumable state: one file of tensors, made of everything that has a `state_dict`, written atomically.

The last two are kept, each with a checksum: where the newer one is damaged, the older one is resumed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flykd_console.errors import UserError
from flykd_console.model.tensor_files import Metadata, load_metadata, load_tensors, tensor_parts
from flykd_console.runs.files import write_beside
from flykd_console.tasks.base import Log, Stateful, Trainable


class Checkpointer:
    """Keeps the parts of one stage, and brings them back where a stage of the same key was left unfinished.

    Args:
        path: The file.
        older: The file saved before it.
        key: What the stage depends on; a state of another key is not resumed.
        device: Kind of device that the stage is trained on.

    Attributes:
        epoch: Epochs that the saved state has behind it; 0 without one.
        epochs: Epochs that the stage was to have when it was saved.
        seconds: Seconds of training until then.
    """

    def __init__(self, path: Path, older: Path, key: str, device: str) -> None:
        self.path, self._older, self._key, self._device = path, older, key, device
        self._parts: dict[str, Stateful] = {}
        self.epoch = self.epochs = 0
        self.seconds = 0.0
        self._damages: list[str] = []
        # What is to be resumed, until it is.
        self._saved: tuple[dict[str, Tensor], Metadata] | None = None
        # Whether `path` is worth keeping when the next one is saved.
        self._sound = False
        for place in (path, older):
            if self._take(place):
                self._sound = place == path
                break

    def _take(self, path: Path) -> bool:
        """Read a state, where it is there, sound, and of this stage."""
        if not path.exists():
            return False
        metadata = load_metadata(path)
        if metadata is not None and metadata.get("key") != self._key:
            return False
        try:
            tensors, metadata = load_tensors(path)
            self.epoch, self.epochs, self.seconds = metadata["epoch"], metadata["epochs"], metadata["seconds"]
        except (OSError, KeyError) as error:
            self._damages.append(str(error))
            return False
        self._saved = tensors, metadata
        return True

    def keep(self, parts: Mapping[str, Stateful]) -> None:
        """Name what a state is made of; names hold no slash."""
        self._parts = dict(parts)

    def resume(self, log: Log) -> None:
        """Bring every part to the saved state, where there is one, and say where one was damaged.

        Raises:
            UserError: The state is sound and yet not one of these parts.
        """
        for damage in self._damages:
            instead = f"the one of epoch {self.epoch} before it is used" if self.epoch else "the stage begins anew"
            log(f"a checkpoint is not usable ({damage}); {instead}", "warning")
        if self._saved is None:
            return
        (tensors, metadata), self._saved = self._saved, None
        same_device = metadata["device"] == self._device
        if not same_device:
            was, now = metadata["device"], self._device
            log(f"begun on {was} and resumed on {now}, whose random numbers differ: draws begin anew", "warning")
        try:
            for name, part in self._parts.items():
                if same_device or not isinstance(part, GeneratorState):
                    part.load_state_dict(_of_part(tensors, name))
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise UserError(
                f"the checkpoint does not fit this stage ({error})",
                str(self.path),
                "Remove it to begin the stage anew.",
            ) from None

    def save(self, epoch: int, epochs: int, seconds: float) -> None:
        """Write the state; `epoch` of `epochs` are done. The one before stays beside it."""
        tensors = {
            f"{name}/{key}": tensor for name, part in self._parts.items() for key, tensor in part.state_dict().items()
        }
        metadata = {"key": self._key, "device": self._device, "epoch": epoch, "epochs": epochs, "seconds": seconds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = write_beside(self.path, tensor_parts(tensors, metadata)[0])
        try:
            if self._sound:
                with suppress(FileNotFoundError):
                    os.replace(self.path, self._older)
            os.replace(temporary, self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sound = True
        self.epoch = epoch

    @property
    def last_good(self) -> str:
        """Which state a run that went astray can go back to, in words."""
        if not self.epoch:
            return "no checkpoint was saved yet"
        return f"the last good checkpoint is that of epoch {self.epoch}, {self.path.parent.name}/{self.path.name}"


def _of_part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


class GeneratorState:
    """A random number generator as a part of a checkpoint."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def state_dict(self) -> dict[str, Tensor]:
        return {"state": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._generator.set_state(state["state"])


class ModelState:
    """A model as a part of a checkpoint: parameters and fixed inputs."""

    def __init__(self, model: Trainable) -> None:
        self._model = model

    def state_dict(self) -> dict[str, Tensor]:
        return self._model.tensors()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._model.load_tensors(state)


class OptimizerState:
    """An optimiser as a part of a checkpoint: `<parameter number>/<name>`, and the learning rate of each group."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def state_dict(self) -> dict[str, Tensor]:
        state: Mapping[int, Mapping[str, Any]] = self._optimizer.state_dict()["state"]
        tensors = {
            f"{number}/{name}": torch.as_tensor(value) for number, part in state.items() for name, value in part.items()
        }
        rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        return tensors | {"lr": torch.tensor(rates, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        rates = state["lr"].reshape(-1).tolist()
        whole = self._optimizer.state_dict()
        parts: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            if key != "lr":
                number, name = key.split("/")
                parts.setdefault(int(number), {})[name] = tensor
        whole["state"] = parts
        self._optimizer.load_state_dict(whole)
        for group, lr in zip(self._optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr


def parts_of(
    models: Mapping[str, Trainable],
    optimizer: torch.optim.Optimizer,
    generators: Mapping[str, torch.Generator],
    others: Mapping[str, Stateful],
) -> dict[str, Stateful]:
    """The parts of a stage that trains some models with one optimiser."""
    parts: dict[str, Stateful] = {f"model-{name}": ModelState(model) for name, model in models.items()}
    parts["optimizer"] = OptimizerState(optimizer)
    for purpose, generator in generators.items():
        parts[f"generator-{purpose}"] = GeneratorState(generator)
    return parts | dict(others)

"""Draws of the CPU's generator on any device, and arithmetic in float64: what two devices need to be compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

from flykd_console import seeding
from flykd_console.tasks import base
from flykd_console.tasks.classification import objective as classes
from flykd_console.tasks.link_prediction import data as links


def _on_the_host(name: str) -> Any:
    """A function of torch that draws where its generator is, and puts what it drew where it was asked for."""
    draw = getattr(torch, name)

    def drawn(*arguments: Any, **options: Any) -> torch.Tensor:
        generator = options.get("generator")
        if generator is None or generator.device.type != "cpu":
            result: torch.Tensor = draw(*arguments, **options)
            return result
        device = options.pop("device", None)
        tensors = [value for value in arguments if isinstance(value, torch.Tensor)]
        host = [value.cpu() if isinstance(value, torch.Tensor) else value for value in arguments]
        found: torch.Tensor = draw(*host, **options)
        return found.to(device if device is not None else tensors[0].device if tensors else "cpu")

    return drawn


def _bernoulli(self: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None) -> torch.Tensor:
    drawn = torch.rand(self.shape, generator=generator) < p
    return self.copy_(drawn.to(self.dtype))


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Every generator is the CPU's, whatever device it was asked for."""

    def on_the_host(seed: int, purpose: str, device: object = "cpu") -> torch.Generator:
        return seeding.torch_rng(seed, purpose)

    names = ("randint", "rand", "randn", "randperm", "multinomial")
    patches = [mock.patch.object(torch, name, _on_the_host(name)) for name in names]
    patches += [mock.patch.object(module, "torch_rng", on_the_host) for module in (base, links, classes)]
    patches.append(mock.patch.object(torch.Tensor, "bernoulli_", _bernoulli))
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


@contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """New tensors have this type where nothing else is said."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)

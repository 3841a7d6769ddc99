"""Epochs on a GPU are recorded once as a CUDA graph and replayed; on a CPU they are simply carried out.

An epoch on a GPU is some hundred small kernels whose launches cost more than their work. So every value that changes
between epochs (loss weights, learning rate, draws) lives in tensors on the device, and nothing is read back. What
changes the kernels themselves (which losses take part, whether the random graph is redrawn, whether the plateau is
watched) is a variant with a graph of its own. A device on which recording fails goes on without, and says so once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from flykd_console.tasks.base import Weights

# Epochs of a variant that run plainly before it is recorded: allocations and library handles settle in them.
_WARM_UP = 3


class Replay:
    """Carries out epochs of one stage.

    Args:
        carry_out: (epoch, weights of the losses that take part) -> losses by name, after one step of the optimiser.
        optimizer: Of the model's parameters; on a GPU made by `adam`.
        generators: Every generator that an epoch draws from.
        variant: What changes the kernels of an epoch besides the losses that take part; counted from 0.
        record: Replay CUDA graphs where the parameters are on a GPU.
        log: Told once if recording fails.
    """

    def __init__(
        self,
        carry_out: Callable[[int, Weights], dict[str, Tensor]],
        optimizer: torch.optim.Optimizer,
        generators: Iterable[torch.Generator] = (),
        variant: Callable[[int], Hashable] = lambda epoch: None,
        record: bool = True,
        log: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._carry_out, self._optimizer = carry_out, optimizer
        self._generators = list(generators)
        self._variant = variant
        self._log = log
        self._device = optimizer.param_groups[0]["params"][0].device
        self._record = record and self._device.type == "cuda"
        self._seen: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, _Recorded] = {}

    def __call__(self, epoch: int, weights: Mapping[str, float]) -> tuple[dict[str, Tensor], float | Tensor]:
        """Carry out an epoch, counted from 0: its losses, and the learning rate that it was carried out with.

        Losses of weight 0 are left out. What is returned is the caller's: no later epoch changes it.
        """
        active = {name: weight for name, weight in weights.items() if weight > 0.0}
        if not self._record:
            lr = _current_rate(self._optimizer)
            return self._carry_out(epoch, active), lr
        variant = (tuple(active), self._variant(epoch))
        if variant not in self._graphs:
            self._seen[variant] = self._seen.get(variant, 0) + 1
            if self._seen[variant] > _WARM_UP:
                self._try_to_record(variant, epoch, active)
        recorded = self._graphs.get(variant)
        return recorded.replay(active) if recorded else self._plainly(epoch, active)

    def _plainly(self, epoch: int, active: Mapping[str, float]) -> tuple[dict[str, Tensor], float | Tensor]:
        lr = _current_rate(self._optimizer)
        # Beside the default stream, as a recording is, so that the caching allocator keeps the blocks apart.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            losses = self._carry_out(epoch, active)
        torch.cuda.current_stream().wait_stream(stream)
        return losses, lr

    def _try_to_record(self, variant: Hashable, epoch: int, active: Mapping[str, float]) -> None:
        recorded = _Recorded(list(active), self._device)
        try:
            recorded.record(lambda weights: self._carry_out(epoch, weights), self._optimizer, self._generators)
        except RuntimeError as error:
            self._record = False
            self._graphs.clear()
            self._optimizer.zero_grad(set_to_none=True)
            reason = str(error).strip().splitlines()[0]
            self._log(f"epochs are not replayed as CUDA graphs on this device: {reason}")
        else:
            self._graphs[variant] = recorded


class _Recorded:
    """One variant of an epoch as a CUDA graph, with the tensors through which it is fed and read."""

    def __init__(self, names: list[str], device: torch.device) -> None:
        self._names = names
        self._weights = torch.zeros(len(names), device=device)
        self._fed: tuple[float, ...] | None = None
        self._graph: Any = torch.cuda.CUDAGraph()
        self._result: Tensor | None = None
        self._losses: list[str] = []

    def record(
        self,
        carry_out: Callable[[Weights], dict[str, Tensor]],
        optimizer: torch.optim.Optimizer,
        generators: Iterable[torch.Generator],
    ) -> None:
        """Record an epoch without carrying it out."""
        for generator in generators:
            self._graph.register_generator_state(generator)
        # Gradients of earlier epochs would be added to, and are not in the graph's memory.
        optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self._graph):
            lr = learning_rate(optimizer)
            before = lr.detach().clone().reshape(1) if isinstance(lr, Tensor) else self._weights.new_full((1,), lr)
            losses = carry_out(dict(zip(self._names, self._weights.unbind(), strict=True)))
            self._losses = list(losses)
            self._result = torch.cat([torch.stack([loss.detach() for loss in losses.values()]), before])

    def replay(self, weights: Mapping[str, float]) -> tuple[dict[str, Tensor], Tensor]:
        """Carry out the recorded epoch under new weights."""
        values = tuple(weights[name] for name in self._names)
        if values != self._fed:
            # From pageable memory the copy is staged at once, so the host may drop its tensor.
            self._weights.copy_(torch.tensor(values), non_blocking=True)
            self._fed = values
        self._graph.replay()
        assert self._result is not None
        *losses, lr = self._result.clone().unbind()
        return dict(zip(self._losses, losses, strict=True)), lr


def adam(parameters: Iterable[Tensor], lr: float) -> torch.optim.Adam:
    """Adam, fused; on a GPU its learning rate is a tensor there, which a recorded epoch reads and changes."""
    listed = list(parameters)
    device = listed[0].device
    if device.type != "cuda":
        return torch.optim.Adam(listed, lr=lr, fused=True)
    return torch.optim.Adam(listed, lr=torch.tensor(lr, device=device), fused=True, capturable=True)


def learning_rate(optimizer: torch.optim.Optimizer) -> float | Tensor:
    """The learning rate in force: a number, or on a GPU a tensor of no dimension that later epochs change."""
    rate: float | Tensor = optimizer.param_groups[0]["lr"]
    return rate


def _current_rate(optimizer: torch.optim.Optimizer) -> float | Tensor:
    """The learning rate as it is now, whatever later epochs make of it."""
    rate = learning_rate(optimizer)
    return rate.clone() if isinstance(rate, Tensor) else rate

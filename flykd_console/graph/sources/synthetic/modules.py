"""Nodes in modules, and drawing among them by popularity: the generator's one primitive.

A draw is a look-up in a table of cumulative popularity, so a million draws cost a fraction of a second whatever the
graph's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SECOND_MODULE = 0.25  # share of nodes with a second module
PRIMARY = 0.75  # how often a node of two modules acts for its first


@dataclass(frozen=True)
class Members:
    """Nodes of one type, each in a primary and a secondary module (equal where there is no second).

    Attributes:
        primary: int64 [n], module of each node.
        secondary: int64 [n].
        weight: float64 [n], popularity.
        modules: Number of modules.
    """

    primary: NDArray[np.int64]
    secondary: NDArray[np.int64]
    weight: NDArray[np.float64]
    modules: int

    @property
    def count(self) -> int:
        return len(self.primary)

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Nodes by popularity, int64 [count]."""
        cumulative = self._cumulative
        place = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
        node: NDArray[np.int64] = np.minimum(place, self.count - 1)
        return node

    def draw_from(self, rng: np.random.Generator, modules: NDArray[np.int64]) -> NDArray[np.int64]:
        """One member of each of the given modules by popularity; of all nodes where a module is empty."""
        order, cumulative, start = self._by_module
        low, high = cumulative[start[modules]], cumulative[start[modules + 1]]
        place = np.searchsorted(cumulative, low + rng.random(len(modules)) * (high - low), side="right") - 1
        place = np.clip(place, start[modules], np.maximum(start[modules + 1] - 1, 0))
        node: NDArray[np.int64] = order[np.minimum(place, len(order) - 1)]
        empty = np.flatnonzero(start[modules] == start[modules + 1])
        node[empty] = self.draw(rng, len(empty))
        return node

    def pick_module(self, rng: np.random.Generator, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """One of each node's modules, int64 like `nodes`."""
        return np.where(rng.random(len(nodes)) < PRIMARY, self.primary[nodes], self.secondary[nodes])

    def subset(self, nodes: NDArray[np.int64], weight: NDArray[np.float64], shared: float) -> Members:
        """Some nodes, with `weight` times the visible popularity to the power `shared`; rows as in `nodes`."""
        return Members(self.primary[nodes], self.secondary[nodes], weight * self.weight[nodes] ** shared, self.modules)

    @cached_property
    def _cumulative(self) -> NDArray[np.float64]:
        return np.cumsum(self.weight)

    @cached_property
    def _by_module(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Nodes by module [m], cumulative popularity from 0 [m + 1], each module's first place [modules + 1]."""
        second = np.flatnonzero(self.secondary != self.primary)
        node = np.concatenate([np.arange(self.count), second])
        module = np.concatenate([self.primary, self.secondary[second]])
        weight = np.concatenate([self.weight, 0.5 * self.weight[second]])
        order = np.argsort(module, kind="stable")
        cumulative = np.concatenate([[0.0], np.cumsum(weight[order])])
        return node[order], cumulative, np.searchsorted(module[order], np.arange(self.modules + 1))


def assign(rng: np.random.Generator, count: int, share: NDArray[np.float64]) -> Members:
    """Put `count` nodes into modules of the given shares; every module gets one where there are enough nodes."""
    modules = len(share)
    primary = rng.choice(modules, size=count, p=share)
    once = rng.permutation(count)[:modules]
    primary[once] = rng.permutation(modules)[: len(once)]
    secondary = np.where(rng.random(count) < SECOND_MODULE, rng.choice(modules, size=count, p=share), primary)
    return Members(primary, secondary, popularity(rng, count), modules)


def popularity(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Heavy-tailed weights: Pareto with exponent 1.8, cut so that no node takes a whole relation."""
    weights: NDArray[np.float64] = np.minimum((1.0 - rng.random(count)) ** (-1 / 1.8), 4.0 + count**0.5)
    return weights

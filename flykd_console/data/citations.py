"""The graph that ships with the package for node classification: papers of six fields that cite each other, generated.

Fields are communities; a paper cites mostly its own field, well-known papers more often (a degree-corrected block
model), and uses words of its field, of its neighbours' fields, and any. Nothing in it is taken from a real corpus.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from flykd_console.data.arrays import undirected
from flykd_console.data.attributed import AttributedGraph, Integers
from flykd_console.seeding import numpy_rng

_SEED = 0
_PAPERS, _FIELDS, _WORDS = 1_500, 6, 600
_CITATIONS, _WITHIN = 3_300, 0.60
_WORDS_A_PAPER, _OF_THE_FIELD = 14, 0.30
_TRAIN_A_FIELD, _VALIDATION, _TEST = 12, 300, 700


def citations() -> AttributedGraph:
    """The graph, the same whenever it is made: 1 500 papers, about 3 100 citations, 600 words, 6 fields of one size
    to three times as large; 72 / 300 / 700 papers for training, validation and test."""
    rng = numpy_rng(_SEED, "citations")
    shares = np.linspace(1.0, 3.0, _FIELDS)
    labels = np.sort(rng.choice(_FIELDS, size=_PAPERS, p=shares / shares.sum())).astype(np.int64)
    labels = rng.permutation(labels)
    edges = _cited(rng, labels)
    words = _words(rng, labels)
    parts = _parts(rng, labels)
    return AttributedGraph("embedded", edges, words, labels, _FIELDS, parts)


def _cited(rng: np.random.Generator, labels: Integers) -> Integers:
    """Citations: sources uniform, targets by fame, of the same field for the share `_WITHIN`."""
    fame = rng.pareto(2.2, size=_PAPERS) + 0.3
    sources = rng.integers(_PAPERS, size=_CITATIONS)
    inside = rng.random(_CITATIONS) < _WITHIN
    targets = rng.choice(_PAPERS, size=_CITATIONS, p=fame / fame.sum())
    for field in range(_FIELDS):
        own = np.flatnonzero(labels == field)
        wanted = inside & (labels[sources] == field)
        targets[wanted] = rng.choice(own, size=int(wanted.sum()), p=fame[own] / fame[own].sum())
    return undirected(np.stack([sources, targets], axis=1).astype(np.int64))


def _words(rng: np.random.Generator, labels: Integers) -> sp.csr_array:
    """Words of each paper, 0 or 1: some of its field's vocabulary, the rest from any."""
    common = rng.pareto(1.5, size=_WORDS) + 0.2
    vocabulary = np.stack([common * (rng.random(_WORDS) < 0.2) for _ in range(_FIELDS)])
    vocabulary /= vocabulary.sum(axis=1, keepdims=True)
    anything = common / common.sum()
    columns, offsets = [], [0]
    for field in labels:
        of_field = rng.binomial(_WORDS_A_PAPER, _OF_THE_FIELD)
        own = rng.choice(_WORDS, size=of_field, p=vocabulary[field])
        other = rng.choice(_WORDS, size=_WORDS_A_PAPER - of_field, p=anything)
        found = np.unique(np.concatenate([own, other]))
        columns.append(found)
        offsets.append(offsets[-1] + len(found))
    indices = np.concatenate(columns).astype(np.int64)
    values = np.ones(len(indices), dtype=np.float32)
    return sp.csr_array((values, indices, np.array(offsets, dtype=np.int64)), shape=(_PAPERS, _WORDS))


def _parts(rng: np.random.Generator, labels: Integers) -> dict[str, Integers]:
    order = rng.permutation(_PAPERS)
    train = np.concatenate([order[labels[order] == field][:_TRAIN_A_FIELD] for field in range(_FIELDS)])
    rest = order[~np.isin(order, train)]
    chosen = {"train": train, "validation": rest[:_VALIDATION], "test": rest[_VALIDATION : _VALIDATION + _TEST]}
    return {name: np.sort(nodes).astype(np.int64) for name, nodes in chosen.items()}

"""The graph of several relations that ships with the package: papers, their authors and venues, generated.

    0 cites         paper -> paper, hardly ever within a field
    1 writes        author -> paper, mostly of the author's field
    2 published in  paper -> venue, mostly of the venue's field
    3 read with     paper -> paper, of any field: says nothing

Papers have a class, their field, and words; authors and venues have neither. What a neighbour says of a paper's field
depends on the relation, so that a network that takes all edges for one has less to go by.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from flykd_console.data.arrays import undirected
from flykd_console.data.attributed import UNKNOWN, AttributedGraph, Integers, directed
from flykd_console.seeding import numpy_rng

_SEED = 0
_FIELDS, _PAPERS, _AUTHORS, _VENUES, _WORDS = 4, 800, 260, 16, 24
_CITATIONS, _READ, _AUTHORS_A_PAPER = 1_600, 1_600, 2
_WORDS_A_PAPER, _OF_THE_FIELD, _LOYAL = 6, 0.30, 0.85
_TRAIN_A_FIELD, _VALIDATION = 50, 160


def authors() -> AttributedGraph:
    """The graph, the same whenever it is made.

    800 papers of 4 fields, 260 authors, 16 venues, four relations, 24 words; 200 / 160 / 440 papers for training,
    validation and test.
    """
    rng = numpy_rng(_SEED, "authors")
    fields = rng.integers(_FIELDS, size=_PAPERS + _AUTHORS + _VENUES).astype(np.int64)
    papers = np.arange(_PAPERS)
    of_authors, of_venues = _PAPERS + np.arange(_AUTHORS), _PAPERS + _AUTHORS + np.arange(_VENUES)
    fields[of_venues] = np.arange(_VENUES) % _FIELDS
    writing = np.repeat(papers, _AUTHORS_A_PAPER)
    relations = [
        _pairs(rng, rng.choice(papers, _CITATIONS), papers, fields, 0.05),
        _pairs(rng, writing, of_authors, fields, _LOYAL)[:, ::-1],
        _pairs(rng, papers, of_venues, fields, _LOYAL),
        np.stack([rng.choice(papers, _READ), rng.choice(papers, _READ)], axis=1),
    ]
    edges = np.concatenate(relations)
    kinds = np.repeat(np.arange(len(relations)), [len(pairs) for pairs in relations])
    labels = np.where(np.arange(len(fields)) < _PAPERS, fields, UNKNOWN).astype(np.int64)
    return AttributedGraph(
        source="embedded-typed",
        edges=undirected(edges),
        features=_words(rng, fields),
        labels=labels,
        classes=_FIELDS,
        parts=_parts(rng, labels),
        typed=directed(edges, kinds),
    )


def _pairs(
    rng: np.random.Generator, sources: Integers, candidates: Integers, fields: Integers, within: float
) -> Integers:
    """Each source with a candidate: of its own field with the chance `within`, else of another one."""
    targets = np.empty(len(sources), dtype=np.int64)
    own = rng.random(len(sources)) < within
    for field in range(_FIELDS):
        of_field = fields[sources] == field
        alike = fields[candidates] == field
        for chosen, pool in ((own & of_field, candidates[alike]), (~own & of_field, candidates[~alike])):
            targets[chosen] = rng.choice(pool, size=int(chosen.sum()))
    return np.stack([sources, targets], axis=1)


def _words(rng: np.random.Generator, fields: Integers) -> sp.csr_array:
    """Words of each paper, 0 or 1: some of its field's own, the rest any; authors and venues have none."""
    of_a_field = _WORDS // _FIELDS
    own = rng.random((_PAPERS, _WORDS_A_PAPER)) < _OF_THE_FIELD
    within = fields[:_PAPERS, None] * of_a_field + rng.integers(of_a_field, size=own.shape)
    words = np.where(own, within, rng.integers(_WORDS, size=own.shape))
    rows = np.repeat(np.arange(_PAPERS), _WORDS_A_PAPER)
    counted = sp.csr_array((np.ones(words.size), (rows, words.ravel())), shape=(len(fields), _WORDS))
    return sp.csr_array(counted > 0, dtype=np.float32)


def _parts(rng: np.random.Generator, labels: Integers) -> dict[str, Integers]:
    order = rng.permutation(_PAPERS)
    train = np.concatenate([order[labels[order] == field][:_TRAIN_A_FIELD] for field in range(_FIELDS)])
    rest = order[~np.isin(order, train)]
    chosen = {"train": train, "validation": rest[:_VALIDATION], "test": rest[_VALIDATION:]}
    return {name: np.sort(nodes).astype(np.int64) for name, nodes in chosen.items()}

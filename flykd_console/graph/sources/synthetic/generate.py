"""A PrimeKG-shaped graph of any size, generated, with structure planted in it that a model can find.

The plan, from the inside out. Every node belongs to one or two *modules*. Proteins interact, and are annotated with
pathways, processes and functions, mostly inside their module; drugs target the proteins of a module; diseases are
associated with the proteins and phenotypes of theirs. An *indication* joins a drug to a disease when the drug's
module is one that treats the disease's module, a *contraindication* when it is one that harms it; both maps are drawn
once per graph. A share of every relation ignores the modules, and nodes differ widely in popularity, so degrees are
heavy-tailed and a ranking by degree is right more often than not. What drugs a disease goes with can thus be told
from its neighbourhood alone, also where none of its drugs is known.

Nothing here is medical knowledge: ids, names and edges are invented.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.graph.formats.primekg_shape import NODE_TYPES, RELATIONS, Relation
from flykd_console.graph.keys import distinct
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
from flykd_console.graph.sources.synthetic import naming
from flykd_console.graph.sources.synthetic.modules import Members, assign, popularity

Draw = Callable[[np.random.Generator, int], Pairs]

LARGEST_SCALE = 8.0
DENSEST = 0.4  # a relation holds at most this share of all possible pairs

# Share of a relation's edges that follow the modules; the rest joins nodes by popularity alone.
COHERENCE: dict[str, float] = {
    "anatomy_protein_absent": 0.3,
    "anatomy_protein_present": 0.35,
    "bioprocess_protein": 0.75,
    "cellcomp_protein": 0.5,
    "contraindication": 0.92,
    "disease_disease": 0.9,
    "disease_phenotype_negative": 0.2,
    "disease_phenotype_positive": 0.7,
    "disease_protein": 0.85,
    "drug_drug": 0.4,
    "drug_effect": 0.6,
    "drug_protein": 0.85,
    "indication": 0.92,
    "molfunc_protein": 0.6,
    "off-label use": 0.7,
    "pathway_protein": 0.85,
    "phenotype_protein": 0.7,
    "protein_protein": 0.8,
}
COHERENCE_ELSEWHERE = 0.75

TREATS_ITSELF = 0.7  # share of coherent indications whose drug acts in the disease's own module; the rest in one other
DRUG_CLASSES = 8  # drug modules fall into so many classes; one class harms each disease module
# Share of the labelled diseases and of the labelled drugs that a relation draws on, from one end of their list.
COVERAGE = {"indication": (0.72, 0.82), "contraindication": (-0.62, -0.6), "off-label use": (0.5, 0.5)}


@dataclass(frozen=True)
class Size:
    """How large a graph is to be: nodes by type, edges by relation (each counted once), and ends of the labels."""

    nodes: Mapping[str, int]
    edges: Mapping[str, int]
    labelled_drugs: int
    labelled_diseases: int


def primekg_size(scale: float) -> Size:
    """PrimeKG's counts times `scale`, every type and relation kept.

    Raises:
        UserError: The scale is out of range.
    """
    if not 0.01 <= scale <= LARGEST_SCALE:
        raise UserError(
            f"a synthetic graph of scale {scale:g} cannot be made",
            "graph.scale",
            f"Choose from 0.01 to {LARGEST_SCALE:g}; 1.0 is PrimeKG.",
        )
    nodes = {name: max(8, round(kind.size * scale)) for name, kind in NODE_TYPES.items()}
    edges = {name: max(4, round(relation.size * scale)) for name, relation in RELATIONS.items()}
    # Fewer ends would leave too few matching pairs in a small graph, where a label's share of all pairs is larger.
    ends = scale**0.8
    return Size(nodes, edges, labelled_drugs=round(2_200 * ends), labelled_diseases=round(2_000 * ends))


def generate(
    size: Size, seed: int = 0, source: str = "synthetic", progress: Callable[[str], None] | None = None
) -> KnowledgeGraph:
    """Generate a graph; equal sizes and seeds give equal graphs, edge for edge.

    Args:
        size: Nodes and edges to make. A relation stays below `DENSEST` of its possible pairs.
        seed: Of every random choice; each relation draws from a stream of its own.
        source: The graph's name for people.
        progress: Told each relation before its edges are made.

    Returns:
        The graph: every node has at least one edge, no edge stands twice, nodes and edges in the order a table reader
        gives them.
    """
    world = World(size, seed)
    edges: dict[EdgeType, Pairs] = {}
    for name, relation in RELATIONS.items():
        if progress is not None:
            progress(name)
        edges[EdgeType(relation.head, name, relation.tail)] = world.edges(name, relation)
    nodes = {
        node_type: naming.node_table(node_type, world.members[node_type].primary) for node_type in sorted(size.nodes)
    }
    return KnowledgeGraph(nodes, edges, source)


class World:
    """The hidden state that edges are drawn from: modules, popularity, and which modules treat or harm which.

    Attributes:
        members: Nodes of each type in their modules.
        modules: Number of modules, growing with the square root of the number of proteins.
        treats: int64 [modules], per disease module the drug module that treats it besides the one of the same number.
        harms: int64 [modules], per disease module the class of drug modules that harms it.
        drug_class: int64 [modules], per drug module its class.
    """

    def __init__(self, size: Size, seed: int) -> None:
        self.size = size
        self.seed = seed
        rng = self._rng("world")
        self.modules = max(4, round(1.2 * size.nodes["gene/protein"] ** 0.5))
        share = rng.lognormal(sigma=0.4, size=self.modules)
        self.members = {
            node_type: assign(self._rng(node_type), count, share / share.sum())
            for node_type, count in sorted(size.nodes.items())
        }
        # Shuffled in equal shares, so that each module treats, and each class harms, about equally many.
        order = rng.permutation(self.modules)
        self.treats = order[(np.argsort(order) + 1) % self.modules]
        self.drug_class = rng.permutation(self.modules) % min(DRUG_CLASSES, self.modules)
        self.harms = rng.permutation(self.modules) % min(DRUG_CLASSES, self.modules)
        self._drugs = self._labelled("drug", size.labelled_drugs)
        self._diseases = self._labelled("disease", size.labelled_diseases)

    def edges(self, name: str, relation: Relation) -> Pairs:
        """Distinct edges of a relation (heads, tails), int64 [n] each, in ascending order."""
        rng = self._rng(name)
        heads, tails = self.members[relation.head], self.members[relation.tail]
        symmetric = relation.head == relation.tail
        kept = np.empty(0, np.int64), np.empty(0, np.int64)
        if name in COVERAGE:
            return self._labels(rng, name)
        if name in ("protein_protein", "drug_drug"):
            kept = _partners(rng, heads)
        elif symmetric:
            kept = _forest(rng, heads)
        elif name == "drug_protein":
            kept = self._anchor(rng, "drug", self._drugs)
        elif name == "disease_protein":
            kept = self._anchor(rng, "disease", self._diseases)[::-1]
        draw = _module_draw(heads, tails, COHERENCE.get(name, COHERENCE_ELSEWHERE))
        return _distinct(rng, self.size.edges[name], (heads.count, tails.count), draw, kept, symmetric=symmetric)

    def _rng(self, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(stream.encode())])

    def _labelled(self, node_type: str, count: int) -> NDArray[np.int64]:
        return self._rng(f"labelled {node_type}").permutation(self.members[node_type].count)[:count]

    def _anchor(self, rng: np.random.Generator, node_type: str, nodes: NDArray[np.int64]) -> Pairs:
        """Two proteins of its own module for each labelled node, so that none is out of reach: (nodes, proteins)."""
        twice = np.repeat(nodes, 2)
        return twice, self.members["gene/protein"].draw_from(rng, self.members[node_type].primary[twice])

    def _labels(self, rng: np.random.Generator, name: str) -> Pairs:
        """Edges of a labelled relation, with at least one for each disease that it covers."""
        disease_share, drug_share = COVERAGE[name]
        diseases, drugs = _end(self._diseases, disease_share), _end(self._drugs, drug_share)
        # Popularity among labels follows the visible popularity loosely: a well-studied disease has more drugs too.
        disease_pool = self.members["disease"].subset(diseases, popularity(rng, len(diseases)) ** 0.5, shared=1.1)
        drug_pool = self.members["drug"].subset(drugs, popularity(rng, len(drugs)) ** 1.3, shared=0.5)
        class_pool = replace(
            drug_pool, primary=self.drug_class[drug_pool.primary], secondary=self.drug_class[drug_pool.secondary]
        )

        def matching(rng: np.random.Generator, rows: NDArray[np.int64]) -> NDArray[np.int64]:
            modules = disease_pool.pick_module(rng, rows)
            if name == "contraindication":
                return class_pool.draw_from(rng, self.harms[modules])
            return drug_pool.draw_from(
                rng, np.where(rng.random(len(rows)) < TREATS_ITSELF, modules, self.treats[modules])
            )

        def draw(rng: np.random.Generator, count: int) -> Pairs:
            rows = disease_pool.draw(rng, count)
            follows = rng.random(count) < COHERENCE[name]
            return np.where(follows, matching(rng, rows), drug_pool.draw(rng, count)), rows

        every = np.arange(len(diseases))
        sizes = len(drugs), len(diseases)
        heads, tails = _distinct(
            rng, self.size.edges[name], sizes, draw, (matching(rng, every), every), symmetric=False
        )
        order = np.lexsort((diseases[tails], drugs[heads]))
        return drugs[heads][order], diseases[tails][order]


def _end(nodes: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """The first part of a list, or with a negative share the last."""
    count = max(2, round(abs(share) * len(nodes)))
    return nodes[:count] if share > 0 else nodes[-count:]


def _module_draw(heads: Members, tails: Members, coherence: float) -> Draw:
    """Heads by popularity; tails, in a share `coherence` of the pairs, from one of the head's modules."""

    def draw(rng: np.random.Generator, count: int) -> Pairs:
        head = heads.draw(rng, count)
        follow = round(coherence * count)
        inside = tails.draw_from(rng, heads.pick_module(rng, head[:follow]))
        return head, np.concatenate([inside, tails.draw(rng, count - follow)])

    return draw


def _partners(rng: np.random.Generator, members: Members) -> Pairs:
    """One partner for each node, from its own module where that holds another."""
    nodes = np.arange(members.count)
    partner = members.draw_from(rng, members.primary)
    return nodes, np.where(partner == nodes, (nodes + 1) % members.count, partner)


def _forest(rng: np.random.Generator, members: Members) -> Pairs:
    """One tree per module, early nodes having more children; a module of one node hangs it on a neighbour."""
    order = np.argsort(members.primary, kind="stable")
    modules = members.primary[order]
    first = np.searchsorted(modules, modules)
    rank = np.arange(len(order)) - first
    parent = order[first + np.floor(rank * rng.random(len(order)) ** 2).astype(np.int64)]
    alone = np.bincount(modules)[modules] == 1
    parent = np.where(alone, np.roll(order, 1), parent)
    child = (rank > 0) | alone
    return order[child], parent[child]


def _distinct(
    rng: np.random.Generator, count: int, sizes: tuple[int, int], draw: Draw, kept: Pairs, *, symmetric: bool
) -> Pairs:
    """`count` distinct pairs, those in `kept` among them; unordered and without loops if symmetric."""
    n_heads, n_tails = sizes

    def keys(pairs: Pairs) -> NDArray[np.int64]:
        heads, tails = pairs
        if not symmetric:
            return heads * n_tails + tails
        apart = heads != tails
        heads, tails = heads[apart], tails[apart]
        unordered: NDArray[np.int64] = np.minimum(heads, tails) * n_tails + np.maximum(heads, tails)
        return unordered

    possible = n_heads * (n_heads - 1) // 2 if symmetric else n_heads * n_tails
    fixed = distinct(keys(kept))
    count = max(min(count, int(DENSEST * possible)), len(fixed), 1)
    found = fixed
    attempt = 0
    while len(found) < count:
        size = round(1.2 * (count - len(found))) + 64
        # Where the popular pairs are used up, the rest is drawn evenly.
        more = draw(rng, size) if attempt < 30 else (rng.integers(0, n_heads, size), rng.integers(0, n_tails, size))
        found = distinct(np.concatenate([found, keys(more)]))
        attempt += 1
    if len(found) > count:
        free = np.flatnonzero(~np.isin(found, fixed, assume_unique=True))
        found = np.delete(found, rng.permutation(free)[: len(found) - count])
    return found // n_tails, found % n_tails

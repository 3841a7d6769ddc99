"""PrimeKG's shape: its node types and relations with their sizes, directions and labels (PrimeKG, Chandak et al.
2023).

The generator scales these counts, and the writer of `kg.csv` takes the columns from here that a graph in memory does
not hold.
"""

from __future__ import annotations

from typing import NamedTuple


class NodeType(NamedTuple):
    """A node type: how many PrimeKG has, and the vocabulary its ids come from."""

    size: int
    source: str


class Relation(NamedTuple):
    """A relation in its canonical direction, its number of edges (each counted once) and PrimeKG's display name."""

    head: str
    tail: str
    size: int
    display: str


NODE_TYPES: dict[str, NodeType] = {
    "anatomy": NodeType(14_035, "UBERON"),
    "biological_process": NodeType(28_642, "GO"),
    "cellular_component": NodeType(4_176, "GO"),
    "disease": NodeType(17_080, "MONDO"),
    "drug": NodeType(7_957, "DrugBank"),
    "effect/phenotype": NodeType(15_311, "HPO"),
    "exposure": NodeType(818, "CTD"),
    "gene/protein": NodeType(27_671, "NCBI"),
    "molecular_function": NodeType(11_169, "GO"),
    "pathway": NodeType(2_516, "REACTOME"),
}

RELATIONS: dict[str, Relation] = {
    "anatomy_anatomy": Relation("anatomy", "anatomy", 14_032, "parent-child"),
    "anatomy_protein_absent": Relation("gene/protein", "anatomy", 19_887, "expression absent"),
    "anatomy_protein_present": Relation("gene/protein", "anatomy", 1_518_203, "expression present"),
    "bioprocess_bioprocess": Relation("biological_process", "biological_process", 52_886, "parent-child"),
    "bioprocess_protein": Relation("gene/protein", "biological_process", 144_805, "interacts with"),
    "cellcomp_cellcomp": Relation("cellular_component", "cellular_component", 4_845, "parent-child"),
    "cellcomp_protein": Relation("gene/protein", "cellular_component", 83_402, "interacts with"),
    "contraindication": Relation("drug", "disease", 30_675, "contraindication"),
    "disease_disease": Relation("disease", "disease", 32_194, "parent-child"),
    "disease_phenotype_negative": Relation("disease", "effect/phenotype", 1_193, "phenotype absent"),
    "disease_phenotype_positive": Relation("disease", "effect/phenotype", 150_317, "phenotype present"),
    "disease_protein": Relation("gene/protein", "disease", 80_411, "associated with"),
    "drug_drug": Relation("drug", "drug", 1_336_314, "synergistic interaction"),
    "drug_effect": Relation("drug", "effect/phenotype", 64_784, "side effect"),
    "drug_protein": Relation("drug", "gene/protein", 25_653, "target"),
    "exposure_bioprocess": Relation("exposure", "biological_process", 1_625, "interacts with"),
    "exposure_cellcomp": Relation("exposure", "cellular_component", 10, "interacts with"),
    "exposure_disease": Relation("exposure", "disease", 2_304, "linked to"),
    "exposure_exposure": Relation("exposure", "exposure", 2_070, "parent-child"),
    "exposure_molfunc": Relation("exposure", "molecular_function", 45, "interacts with"),
    "exposure_protein": Relation("exposure", "gene/protein", 1_212, "interacts with"),
    "indication": Relation("drug", "disease", 9_388, "indication"),
    "molfunc_molfunc": Relation("molecular_function", "molecular_function", 13_574, "parent-child"),
    "molfunc_protein": Relation("gene/protein", "molecular_function", 69_530, "interacts with"),
    "off-label use": Relation("drug", "disease", 2_568, "off-label use"),
    "pathway_pathway": Relation("pathway", "pathway", 2_535, "parent-child"),
    "pathway_protein": Relation("gene/protein", "pathway", 42_646, "interacts with"),
    "phenotype_phenotype": Relation("effect/phenotype", "effect/phenotype", 18_736, "parent-child"),
    "phenotype_protein": Relation("gene/protein", "effect/phenotype", 3_330, "associated with"),
    "protein_protein": Relation("gene/protein", "gene/protein", 321_075, "ppi"),
}

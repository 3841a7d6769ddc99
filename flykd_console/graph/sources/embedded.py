"""The graph that ships with the package: PrimeKG's ten node types and thirty relations in miniature, generated in
under a second.

Labels are denser than PrimeKG's counts scaled down would be, so that there is enough to learn from and to test on.
"""

from __future__ import annotations

from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.sources.synthetic.generate import Size, generate

SEED = 0

SIZE = Size(
    nodes={
        "anatomy": 260,
        "biological_process": 620,
        "cellular_component": 140,
        "disease": 860,
        "drug": 460,
        "effect/phenotype": 520,
        "exposure": 60,
        "gene/protein": 1_150,
        "molecular_function": 300,
        "pathway": 130,
    },
    edges={
        "anatomy_anatomy": 280,
        "anatomy_protein_absent": 250,
        "anatomy_protein_present": 9_000,
        "bioprocess_bioprocess": 1_100,
        "bioprocess_protein": 4_200,
        "cellcomp_cellcomp": 170,
        "cellcomp_protein": 2_300,
        "contraindication": 6_000,
        "disease_disease": 1_500,
        "disease_phenotype_negative": 60,
        "disease_phenotype_positive": 5_600,
        "disease_protein": 5_600,
        "drug_drug": 9_000,
        "drug_effect": 2_600,
        "drug_protein": 1_900,
        "exposure_bioprocess": 90,
        "exposure_cellcomp": 10,
        "exposure_disease": 120,
        "exposure_exposure": 110,
        "exposure_molfunc": 20,
        "exposure_protein": 80,
        "indication": 2_500,
        "molfunc_molfunc": 360,
        "molfunc_protein": 2_100,
        "off-label use": 400,
        "pathway_pathway": 150,
        "pathway_protein": 2_200,
        "phenotype_phenotype": 700,
        "phenotype_protein": 350,
        "protein_protein": 7_500,
    },
    labelled_drugs=380,
    labelled_diseases=610,
)


def embedded_graph() -> KnowledgeGraph:
    """Generate the embedded graph; always the same."""
    return generate(SIZE, SEED, source="embedded")

"""Whose edges a bundle's profiles repeat: sources and their terms, as far as relations bear PrimeKG's names.

PrimeKG's record is CC0, which does not take the terms of its sources away (Chandak, Huang and Zitnik 2023, table of
resources; terms as their publishers state them). Of other graphs nothing is known here, and the card says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporters.run_tables import SideEdges

_DRUGBANK = "DrugBank: CC BY-NC 4.0"
_HPO = "Human Phenotype Ontology: its own licence, which asks for attribution and an unchanged ontology"
_SOURCES = {
    "disease_disease": "Mondo: CC BY 4.0",
    "disease_phenotype_negative": _HPO,
    "disease_phenotype_positive": _HPO,
    "disease_protein": "DisGeNET: CC BY-NC-SA 4.0",
    "drug_drug": _DRUGBANK,
    "drug_effect": "SIDER: CC BY-NC-SA 4.0",
    "drug_protein": _DRUGBANK,
    "exposure_disease": "Comparative Toxicogenomics Database: free for research, others ask for leave",
    "off-label use": "Drug Central: CC BY-SA 4.0",
}


def sources_of(profiles: Iterable[SideEdges]) -> dict[str, str]:
    """By relation the source of its edges in PrimeKG, with its terms; empty where the name is not one of PrimeKG's."""
    return {one.relation: _SOURCES.get(one.relation, "") for one in profiles}

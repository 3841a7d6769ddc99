"""One graph in every layout: velorin treats quill fever, which the gene QLL1 has to do with.

Rows are made up, in the real shapes. Each sample writes its files into a folder; a format that is found without a
sample fails its contract.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

DRUG, DISEASE, GENE = "DB90001", "MONDO:0990001", "NCBIGene:990001"


def _lines(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


def primekg(folder: Path) -> None:
    _lines(
        folder / "kg.csv",
        "relation,display_relation,x_index,x_id,x_type,x_name,x_source,y_index,y_id,y_type,y_name,y_source",
        f"indication,indication,0,{DRUG},drug,velorin,DrugBank,1,{DISEASE},disease,quill fever,MONDO",
        f"disease_protein,associated with,2,{GENE},gene,QLL1,NCBI,1,{DISEASE},disease,quill fever,MONDO",
    )


def primekg_json_lines(folder: Path) -> None:
    primekg(folder)
    pl.read_csv(folder / "kg.csv", infer_schema=False).write_ndjson(folder / "kg.jsonl")
    (folder / "kg.csv").unlink()


def primekg_tables(folder: Path) -> None:
    _lines(
        folder / "nodes.csv",
        "node_index,node_id,node_type,node_name,node_source",
        f"0,{DRUG},drug,velorin,DrugBank",
        f"1,{DISEASE},disease,quill fever,MONDO",
        f"2,{GENE},gene,QLL1,NCBI",
    )
    _lines(
        folder / "edges.csv",
        "relation,display_relation,x_index,y_index",
        "indication,indication,0,1",
        "disease_protein,associated with,2,1",
    )


def optimuskg(folder: Path) -> None:
    nodes = [
        (DRUG, "DRG", '{"name":"velorin","synonyms":["VLR-2"]}'),
        (DISEASE, "DIS", '{"name":"quill fever"}'),
        (GENE, "GEN", '{"symbol":"QLL1"}'),
    ]
    edges = [
        (DRUG, DISEASE, "DRG-DIS", "INDICATION", False, '{"sources":{"direct":["X"]}}'),
        (GENE, DISEASE, "DIS-GEN", "ASSOCIATED_WITH", True, "{}"),
    ]
    pl.DataFrame(nodes, ["id", "label", "properties"], orient="row").write_parquet(folder / "nodes.parquet")
    columns = ["from", "to", "label", "relation", "undirected", "properties"]
    pl.DataFrame(edges, columns, orient="row").write_parquet(folder / "edges.parquet")


def kgx(folder: Path) -> None:
    _lines(
        folder / "x_nodes.tsv",
        "id\tcategory\tname",
        f"{DRUG}\tbiolink:SmallMolecule|biolink:ChemicalEntity|biolink:NamedThing\tvelorin",
        f"{DISEASE}\tbiolink:Disease|biolink:NamedThing\tquill fever",
        f"{GENE}\tbiolink:Gene\tQLL1",
    )
    _lines(
        folder / "x_edges.tsv",
        "id\tsubject\tpredicate\tobject\tprimary_knowledge_source\tknowledge_level\tagent_type",
        f"e1\t{DRUG}\tbiolink:treats\t{DISEASE}\tinfores:made-up\tknowledge_assertion\tmanual_agent",
        f"e2\t{GENE}\tbiolink:gene_associated_with_condition\t{DISEASE}\tinfores:made-up\tprediction\tnot_provided",
    )


def biocypher(folder: Path) -> None:
    _lines(folder / "Drug-header.csv", ":ID;name;:LABEL")
    _lines(folder / "Drug-part000.csv", f"'{DRUG}';'velorin';'Drug|SmallMolecule'")
    _lines(folder / "Disease-header.csv", ":ID;name;:LABEL")
    _lines(folder / "Disease-part000.csv", f"'{DISEASE}';'quill fever';'Disease'")
    _lines(folder / "Gene-header.csv", ":ID;name;:LABEL")
    _lines(folder / "Gene-part000.csv", f"'{GENE}';'QLL1';'Gene'")
    _lines(folder / "DrugTreats-header.csv", ":START_ID;id;source;:END_ID;:TYPE")
    _lines(folder / "DrugTreats-part000.csv", f"'{DRUG}';'r1';'made-up';'{DISEASE}';'DrugTreatsDisease'")
    _lines(folder / "GeneDisease-header.csv", ":START_ID;id;source;:END_ID;:TYPE")
    _lines(folder / "GeneDisease-part000.csv", f"'{GENE}';'r2';'made-up';'{DISEASE}';'GeneDisease'")


def hetionet(folder: Path) -> None:
    _lines(
        folder / "nodes.tsv",
        "id\tname\tkind",
        f"Compound::{DRUG}\tvelorin\tCompound",
        f"Disease::{DISEASE}\tquill fever\tDisease",
        f"Gene::{GENE}\tQLL1\tGene",
    )
    _lines(
        folder / "edges.sif",
        "source\tmetaedge\ttarget",
        f"Compound::{DRUG}\tCtD\tDisease::{DISEASE}",
        f"Gene::{GENE}\tGaD\tDisease::{DISEASE}",
    )


def drkg(folder: Path) -> None:
    _lines(
        folder / "drkg.tsv",
        f"Compound::{DRUG}\tDRUGBANK::treats::Compound:Disease\tDisease::{DISEASE}",
        f"Gene::{GENE}\tGNBR::U::Gene:Disease\tDisease::{DISEASE}",
    )


def triples(folder: Path) -> None:
    _lines(folder / "triples.tsv", "head\trelation\ttail", f"{DRUG}\ttreats\t{DISEASE}", f"{GENE}\tcauses\t{DISEASE}")
    _lines(
        folder / "nodes.tsv",
        "id\ttype\tname",
        f"{DRUG}\tdrug\tvelorin",
        f"{DISEASE}\tdisease\tquill fever",
        f"{GENE}\tgene\tQLL1",
    )


# By format. Those in `WITHOUT_NAMES` have none.
SAMPLES: dict[str, Callable[[Path], None]] = {
    "biocypher": biocypher,
    "drkg": drkg,
    "hetionet": hetionet,
    "kgx": kgx,
    "optimuskg": optimuskg,
    "primekg": primekg,
    "primekg-tables": primekg_tables,
    "triples": triples,
}
WITHOUT_NAMES = ("drkg",)
# What one file of a sample is needed for the other, so that it cannot be left out.
NEEDS_BOTH = {
    "primekg-tables": ("nodes.csv", "edges.csv"),
    "optimuskg": ("nodes.parquet", "edges.parquet"),
    "kgx": ("x_nodes.tsv", "x_edges.tsv"),
}


def kgx_json_lines(folder: Path) -> None:
    """KGX's other form."""
    nodes = [
        {"id": DRUG, "category": ["biolink:SmallMolecule", "biolink:NamedThing"], "name": "velorin"},
        {"id": DISEASE, "category": "biolink:Disease", "name": "quill fever", "synonym": ["a", "b"]},
        {"id": GENE, "category": ["biolink:Gene"], "name": "QLL1"},
    ]
    edges = [
        {"subject": DRUG, "predicate": "biolink:treats", "object": DISEASE, "knowledge_level": "knowledge_assertion"},
        {"subject": GENE, "predicate": "biolink:gene_associated_with_condition", "object": DISEASE},
    ]
    for name, rows in (("x_nodes.jsonl", nodes), ("x_edges.jsonl", edges)):
        _lines(folder / name, *(json.dumps(row) for row in rows))


def kgx_neo4j_headers(folder: Path) -> None:
    """As older ROBOKOP and RTX-KG2 files have them."""
    _lines(
        folder / "nodes.tsv",
        "id:ID\tname:string\tcategory:LABEL\tequivalent_identifiers:string[]",
        f"{DRUG}\tvelorin\tbiolink:SmallMolecule\t{DRUG}|X:1",
        f"{DISEASE}\tquill fever\tbiolink:Disease\t{DISEASE}",
        f"{GENE}\tQLL1\tbiolink:Gene|biolink:BiologicalEntity\t{GENE}",
    )
    _lines(
        folder / "edges.tsv",
        "subject:START_ID\tpredicate:TYPE\tobject:END_ID\tknowledge_level:string",
        f"{DRUG}\tbiolink:treats\t{DISEASE}\tprediction",
        f"{GENE}\tbiolink:gene_associated_with_condition\t{DISEASE}\t",
    )


def kgx_parquet(folder: Path) -> None:
    """As Every Cure publishes it: lists are lists."""
    nodes = {"id": [DRUG, DISEASE, GENE], "name": ["velorin", "quill fever", "QLL1"]}
    kinds = [["biolink:SmallMolecule", "biolink:NamedThing"], ["biolink:Disease"], ["biolink:Gene"]]
    pl.DataFrame({**nodes, "category": kinds}).write_parquet(folder / "nodes.parquet")
    edges = {
        "subject": [DRUG, GENE],
        "predicate": ["biolink:treats", "biolink:gene_associated_with_condition"],
        "object": [DISEASE, DISEASE],
        "publications": [["PMID:1"], []],
    }
    pl.DataFrame(edges).write_parquet(folder / "edges.parquet")


def hetionet_json(folder: Path) -> None:
    """Hetionet's one document."""
    document = {
        "metanode_kinds": ["Compound", "Disease", "Gene"],
        "metaedge_tuples": [["Compound", "Disease", "treats", "both"], ["Gene", "Disease", "associates", "both"]],
        "kind_to_abbrev": {"Compound": "C", "Disease": "D", "Gene": "G", "treats": "t", "associates": "a"},
        "nodes": [
            {"kind": "Compound", "identifier": DRUG, "name": "velorin", "data": {"source": "DrugBank"}},
            {"kind": "Disease", "identifier": DISEASE, "name": "quill fever", "data": {}},
            {"kind": "Gene", "identifier": GENE, "name": "QLL1", "data": {}},
        ],
        "edges": [
            {"source_id": ["Compound", DRUG], "target_id": ["Disease", DISEASE], "kind": "treats", "direction": "both"},
            {"source_id": ["Gene", GENE], "target_id": ["Disease", DISEASE], "kind": "associates", "direction": "both"},
        ],
    }
    (folder / "hetionet.json").write_text(json.dumps(document))


def txgnn_split(folder: Path) -> None:
    """TxGNN's own split files: no names."""
    header = "x_type,x_id,relation,y_type,y_id,x_idx,y_idx"
    _lines(folder / "train.csv", header, f"drug,{DRUG},indication,disease,{DISEASE},0,0")
    _lines(folder / "valid.csv", header, f"gene,{GENE},disease_protein,disease,{DISEASE},0,0")


def triples_without_header(folder: Path) -> None:
    """BioPathNet's folder."""
    _lines(folder / "train1.txt", f"{GENE}\tcauses\t{DISEASE}")
    _lines(folder / "train2.txt", f"{DRUG}\ttreats\t{DISEASE}")
    _lines(folder / "entity_types.txt", f"{DRUG}\tdrug", f"{DISEASE}\tdisease", f"{GENE}\tgene")


def optimuskg_by_type(folder: Path) -> None:
    """The release's files by type, properties as columns."""
    nodes = {
        "drug": (DRUG, "DRG", "velorin"),
        "disease": (DISEASE, "DIS", "quill fever"),
        "gene": (GENE, "GEN", "QLL1"),
    }
    for name, (key, label, words) in nodes.items():
        frame = pl.DataFrame({"id": [key], "label": [label], "properties": [{"name": words, name: "more"}]})
        frame.write_parquet(folder / f"{name}.parquet")
    for name, ends in {"drug_disease": (DRUG, "INDICATION"), "disease_gene": (GENE, "ASSOCIATED_WITH")}.items():
        columns = {"from": [ends[0]], "to": [DISEASE], "label": ["?"], "relation": [ends[1]], "undirected": [True]}
        frame = pl.DataFrame({**columns, "properties": [{name: 1}]})
        frame.write_parquet(folder / f"{name}.parquet")


# Further forms of the formats: by name the format, the writer, and whether nodes have names.
VARIANTS: dict[str, tuple[str, Callable[[Path], None], bool]] = {
    "primekg json lines": ("primekg", primekg_json_lines, True),
    "kgx json lines": ("kgx", kgx_json_lines, True),
    "kgx neo4j headers": ("kgx", kgx_neo4j_headers, True),
    "kgx parquet": ("kgx", kgx_parquet, True),
    "hetionet json": ("hetionet", hetionet_json, True),
    "txgnn split": ("primekg", txgnn_split, False),
    "triples without header": ("triples", triples_without_header, False),
    "optimuskg by type": ("optimuskg", optimuskg_by_type, True),
}

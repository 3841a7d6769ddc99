"""Ids and names for generated nodes: in the form of the real vocabularies, unique, pronounceable and invented.

Ids lie outside the ranges that the real vocabularies use, so that no generated node can be taken for a real drug or
disease.
"""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

_ONSETS = [
    "b", "br", "c", "cl", "d", "dr", "f", "fl", "g", "gl", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr",
    "v", "z",
]  # fmt: skip
_STEM = np.array([onset + vowel for onset in _ONSETS for vowel in ("a", "e", "i", "o", "u")], dtype=object)
_CODA = np.array(["l", "n", "r", "s", "t", "m", "x", "d"], dtype=object)
_DRUG = np.array([
    "afil", "amide", "arin", "azole", "cillin", "idine", "ilast", "imab", "inib", "mycin", "ofen", "olol", "onide",
    "oxin", "pril", "sartan", "statin", "tidine", "ium",
], dtype=object)  # fmt: skip
_DISEASE = np.array([
    "syndrome", "disease", "disorder", "dystrophy", "anaemia", "neuropathy", "myopathy", "dermatitis", "deficiency",
    "fibrosis", "ataxia", "nephropathy",
], dtype=object)  # fmt: skip
_PHENOTYPE = np.array([
    "abnormal {} morphology", "increased {} level", "decreased {} level", "{} weakness", "{} pain",
    "delayed {} closure", "recurrent {} infection",
], dtype=object)  # fmt: skip
_PROCESS = np.array([
    "regulation of {} transport", "{} biosynthetic process", "{} catabolic process", "response to {}",
    "{} signalling", "{} assembly",
], dtype=object)  # fmt: skip
_FUNCTION = np.array(
    ["{} binding", "{} kinase activity", "{} transporter activity", "{} receptor activity", "{} hydrolase activity"],
    dtype=object,
)
_COMPONENT = np.array(["{} complex", "{} membrane", "{} granule", "{} filament", "{} matrix"], dtype=object)
_ANATOMY = np.array(["{} gland", "{} nerve", "{} muscle", "{} tissue", "{} duct", "{} cortex"], dtype=object)
_PATHWAY = np.array(["Signalling by {}", "{} metabolism", "Transport of {}", "{} degradation"], dtype=object)

# Per node type: id prefix, and where its numbers begin.
_IDS: dict[str, tuple[str, int]] = {
    "anatomy": ("", 9_100_000),
    "biological_process": ("", 9_200_000),
    "cellular_component": ("", 9_400_000),
    "disease": ("", 9_100_000),
    "drug": ("DB", 900_000),
    "effect/phenotype": ("", 9_500_000),
    "exposure": ("C", 9_100_000),
    "gene/protein": ("", 910_000_000),
    "molecular_function": ("", 9_700_000),
    "pathway": ("R-HSA-", 99_100_000),
}


def node_table(node_type: str, modules: NDArray[np.int64]) -> pl.DataFrame:
    """The table `id, name` of one node type, ids ascending as strings.

    Args:
        node_type: One of PrimeKG's ten.
        modules: int64 [n], the module of each node; drugs of a module share an ending, diseases a family.
    """
    count = len(modules)
    prefix, first = _IDS[node_type]
    ids = pl.select(pl.lit(prefix) + pl.int_range(first, first + count).cast(pl.String)).to_series()
    return pl.DataFrame({"id": ids, "name": pl.Series(_names(node_type, modules), dtype=pl.String)})


def _names(node_type: str, modules: NDArray[np.int64]) -> list[str]:
    index = np.arange(len(modules))
    if node_type == "drug":
        return _capital(_stems(index, node_type) + _DRUG[modules % len(_DRUG)])
    if node_type == "disease":
        return _diseases(modules)
    if node_type == "gene/protein":
        return _genes(modules)
    if node_type == "exposure":
        return list(_stems(index, node_type) + "ane compound")
    forms = {
        "anatomy": _ANATOMY,
        "biological_process": _PROCESS,
        "cellular_component": _COMPONENT,
        "effect/phenotype": _PHENOTYPE,
        "molecular_function": _FUNCTION,
        "pathway": _PATHWAY,
    }[node_type]
    stems = _stems(index, node_type) + "ic" if node_type != "pathway" else _stems(index, node_type) + "in"
    return [form.format(stem) for form, stem in zip(forms[(index * 7) % len(forms)], stems, strict=True)]


def _stems(index: NDArray[np.int64], salt: str) -> NDArray[np.object_]:
    """A distinct stem of three syllables for each index below 110 · 110 · 8 · 8 = 774 400."""
    base, coda = len(_STEM), len(_CODA)
    total = base * base * coda * coda
    # Multiplying by a number prime to the total is a permutation: neighbours in the list get unlike names.
    scattered = (index * 123_457 + zlib.crc32(salt.encode())) % total
    first, rest = np.divmod(scattered, base * coda * coda)
    second, rest = np.divmod(rest, coda * coda)
    third, last = np.divmod(rest, coda)
    stems: NDArray[np.object_] = _STEM[first] + _STEM[second] + _CODA[third] + "o" + _CODA[last]
    return stems


def _diseases(modules: NDArray[np.int64]) -> list[str]:
    """Families of up to four within a module: `… syndrome type 2`."""
    rank = _rank(modules)
    family, member = np.divmod(rank, 4)
    number = family * (int(modules.max(initial=0)) + 1) + modules
    stems = _stems(number, "disease") + "ic "
    nouns = _DISEASE[number % len(_DISEASE)]
    return [f"{stem}{noun} type {kind}" for stem, noun, kind in zip(stems, nouns, member + 1, strict=True)]


def _genes(modules: NDArray[np.int64]) -> list[str]:
    """Symbols of four letters for the module and a number within it: `QBRX12`."""
    letters = np.array(list("BCDFGHKLMNPQRSTVWXZ"), dtype=object)
    base = len(letters)
    symbol = "Q" + letters[modules % base] + letters[modules // base % base] + letters[modules // base**2 % base]
    return [f"{name}{number}" for name, number in zip(symbol, _rank(modules) + 1, strict=True)]


def _rank(modules: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each node among those of its module, int64 [n]."""
    order = np.argsort(modules, kind="stable")
    ordered = modules[order]
    rank = np.empty(len(modules), np.int64)
    rank[order] = np.arange(len(modules)) - np.searchsorted(ordered, ordered)
    return rank


def _capital(names: NDArray[np.object_]) -> list[str]:
    return [str(name).capitalize() for name in names]

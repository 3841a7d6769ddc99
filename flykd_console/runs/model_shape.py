"""How a model's size is told wherever it is named: its width alone for the paper's models, else layers and kind too."""

from __future__ import annotations

# What a file says nothing of that was written before models had other depths and kinds.
LAYERS = 2
LAYER_KIND = "rgcn"
# Free embeddings, which have no layers.
TABLE = "table"


def model_shape(dim: int | None, layers: int = LAYERS, layer_kind: str = LAYER_KIND) -> str:
    """`130` for two rgcn layers; others with kind and depth: `rgat 3×130`; empty where the width is unknown."""
    if dim is None:
        return ""
    if layer_kind == TABLE:
        return f"{TABLE} {dim}"
    return str(dim) if (layers, layer_kind) == (LAYERS, LAYER_KIND) else f"{layer_kind} {layers}×{dim}"


def model_width(dim: int | None, layers: int = LAYERS, layer_kind: str = LAYER_KIND) -> str:
    """The same for a line of its own: `d = 130`, or `rgat 3×130`."""
    shape = model_shape(dim, layers, layer_kind)
    return f"d = {shape}" if shape.isdigit() else shape

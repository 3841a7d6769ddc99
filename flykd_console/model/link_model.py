"""The models that score links, and the encoder that fits each."""

from __future__ import annotations

from flykd_console.model.link_tables import LinkTables
from flykd_console.model.rgcn import HeteroRGCN

LinkModel = HeteroRGCN | LinkTables


def link_model(model: object) -> LinkModel:
    """A trained model as one of these."""
    assert isinstance(model, HeteroRGCN | LinkTables)
    return model


def network(model: object) -> HeteroRGCN:
    """A trained model as a network: what is pretrained, and what teaches as one."""
    assert isinstance(model, HeteroRGCN)
    return model

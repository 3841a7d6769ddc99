"""Attention by DGL and by torch, sparse features and dense ones: the same values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flykd_console.data.arrays import undirected
from flykd_console.model.feature_rows import FeatureRows
from flykd_console.model.neighbourhoods import Messages, Neighbourhoods, softmax_by

CPU = torch.device("cpu")


@settings(max_examples=25, deadline=None)
@given(nodes=st.integers(2, 12), seed=st.integers(0, 1000), masked=st.booleans())
def test_attention_by_dgl_is_that_of_torch(nodes: int, seed: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    edges = undirected(rng.integers(nodes, size=(2 * nodes, 2)))
    draw = torch.Generator().manual_seed(seed)
    values = [torch.randn(nodes, 3, 4, generator=draw), *(torch.randn(nodes, 3, generator=draw) for _ in range(2))]
    found = []
    ways: tuple[Messages, ...] = ("dgl", "torch")
    for messages in ways:
        around = Neighbourhoods(edges, nodes, CPU, messages)
        mask = torch.randn(len(around.sources), 3, generator=torch.Generator().manual_seed(1)) if masked else None
        inputs = [value.clone().requires_grad_() for value in values]
        rows, weights = around.attend(inputs[0], inputs[1], inputs[2], mask)
        (rows**2).sum().backward()
        assert torch.allclose(torch.zeros(nodes, 3).index_add(0, around.targets, weights), torch.ones(nodes, 3))
        found.append([rows, weights, *(value.grad for value in inputs)])
    for by_dgl, by_torch in zip(*found, strict=True):
        torch.testing.assert_close(by_dgl, by_torch, rtol=1e-4, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(nodes=st.integers(1, 10), columns=st.integers(1, 10), seed=st.integers(0, 1000))
def test_sparse_features_times_a_matrix_are_the_dense_product(nodes: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((nodes, columns)) * (rng.random((nodes, columns)) < 0.4)).astype(np.float32)
    rows = FeatureRows(sp.csr_array(dense))
    kept = torch.from_numpy(rng.integers(0, 2, size=len(rows.values)).astype(np.float32))
    values = rows.values * kept
    matrix = torch.zeros(nodes, columns)
    matrix[torch.from_numpy(dense) != 0] = values
    weights = [torch.randn(columns, 3, generator=torch.Generator().manual_seed(seed)).requires_grad_() for _ in "ab"]
    products = [rows.times(weights[0], values), matrix @ weights[1]]
    for product in products:
        (product**2).sum().backward()
    torch.testing.assert_close(products[0], products[1])
    torch.testing.assert_close(weights[0].grad, weights[1].grad)


def test_sums_over_neighbours_are_those_of_the_formulas() -> None:
    around = Neighbourhoods(np.array([[0, 1], [1, 2]]), 4, CPU)
    rows = torch.eye(4)
    assert (around.total @ rows)[1].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert (around.mean @ rows)[1].tolist() == [0.5, 0.0, 0.5, 0.0]
    assert (around.mean @ rows)[3].tolist() == [0.0] * 4
    expected = [1 / 6**0.5, 1 / 3, 1 / 6**0.5, 0.0]
    assert (around.symmetric @ rows)[1].tolist() == pytest.approx(expected)


def test_the_softmax_of_a_group_sums_to_one_whatever_its_size() -> None:
    found = softmax_by(torch.tensor([1000.0, 1000.0, -5.0]), torch.tensor([0, 0, 2]), 3)
    assert found.tolist() == pytest.approx([0.5, 0.5, 1.0])

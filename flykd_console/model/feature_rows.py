"""Features of nodes as the first layer takes them: sparse rows whose values are dropped out, times a trained matrix.

Of a thousand words a paper uses some ten, so X W by its non-zeros costs a fortieth of the dense product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from flykd_console.model.kernels import has_cpu_kernels
from flykd_console.model.shared_rows import summed_rows


class FeatureRows:
    """A constant sparse matrix, float32 [n, f], whose values change from product to product.

    Attributes:
        shape: (n, f).
        values: Its non-zeros in the order of the rows, float32 [k].
    """

    def __init__(self, matrix: sp.csr_array, device: torch.device | str = "cpu") -> None:
        rows = sp.csr_array(matrix)
        rows.sum_duplicates()
        numbered = sp.csr_array((np.arange(1, rows.nnz + 1), rows.indices, rows.indptr), shape=rows.shape)
        turned = sp.csr_array(numbered.T)
        self.shape: tuple[int, int] = rows.shape
        self.device = torch.device(device)
        self.values = _on(rows.data.astype(np.float32), self.device).to(torch.get_default_dtype())
        self._columns, self._offsets = _on(rows.indices, self.device), _on(rows.indptr, self.device)
        self._turned_columns, self._turned_offsets = _on(turned.indices, self.device), _on(turned.indptr, self.device)
        # Where a value of the transpose stands among the rows' values.
        self._turned_order = _on((turned.data - 1).astype(np.int64), self.device)

    def times(self, weight: Tensor, values: Tensor | None = None) -> Tensor:
        """The matrix with these values (None: its own) @ weight [f, d]: [n, d], differentiable in `weight`."""
        product: Tensor = _Times.apply(weight, self, self.values if values is None else values)  # type: ignore[no-untyped-call]
        return product

    def dropped(self, rate: float, generator: torch.Generator | None) -> Tensor:
        """The values with a share `rate` of them at 0 and the others scaled up; without a generator all as they are."""
        if generator is None or rate == 0.0:
            return self.values
        return self.values * kept_mask(self.values.shape, rate, generator, self.values.device)

    def product(self, weight: Tensor, values: Tensor) -> Tensor:
        """The same without a gradient."""
        return _product(weight, self._columns, self._offsets, values, self.shape)

    def transposed_product(self, dense: Tensor, values: Tensor) -> Tensor:
        """The transpose with these values @ dense [n, d], without a gradient."""
        turned = (self.shape[1], self.shape[0])
        return _product(dense, self._turned_columns, self._turned_offsets, values[self._turned_order], turned)


def kept_mask(shape: torch.Size, rate: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """Inverted dropout: 0 with probability `rate`, else 1 / (1 - rate); float32."""
    return torch.empty(shape, device=device).bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate)


def _product(dense: Tensor, columns: Tensor, offsets: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    if has_cpu_kernels(dense.device):
        if len(columns) == 0:
            return dense.new_zeros(shape[0], dense.shape[1])
        return summed_rows(dense.contiguous(), columns, offsets, values)
    return torch.sparse_csr_tensor(offsets, columns, values, size=shape) @ dense


def _on(array: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    kind = np.int32 if array.dtype.kind == "i" and array.dtype.itemsize == 4 else array.dtype
    return torch.from_numpy(np.ascontiguousarray(array, dtype=kind)).to(device)


class _Times(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, matrix: FeatureRows, values: Tensor) -> Tensor:
        ctx.matrix, ctx.values = matrix, values
        return matrix.product(weight, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.matrix.transposed_product(gradients[0].contiguous(), ctx.values), None, None

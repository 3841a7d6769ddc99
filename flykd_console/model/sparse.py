"""Fixed sparse matrices and their product with a dense one; the gradient needs only the stored transpose.

On a CPU the product runs through torch's embedding bag, whose kernel gathers and sums rows some three times faster than
the CSR product of MKL at these widths (`benchmarks/`), always in the same order; on a GPU through the CSR product.
"""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from flykd_console.model.kernels import has_cpu_kernels
from flykd_console.model.shared_rows import SharedRows

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")


class _Rows:
    """One CSR matrix, ready for `matrix @ dense`."""

    def __init__(self, matrix: sp.csr_array, device: torch.device) -> None:
        if not has_cpu_kernels(device):
            # The GPU's product wants columns ascending and each once.
            matrix = matrix.copy()
            matrix.sum_duplicates()
        index = np.int32 if max(*matrix.shape, matrix.nnz) < 2**31 else np.int64
        self.offsets = torch.from_numpy(matrix.indptr.astype(index, copy=False)).to(device)
        self.columns = torch.from_numpy(matrix.indices.astype(index, copy=False)).to(device)
        # float32 but in tests of the kernels in float64.
        self.values = torch.from_numpy(matrix.data).to(torch.get_default_dtype()).to(device)
        self.shape: tuple[int, int] = matrix.shape
        self.csr = None
        self._shared: SharedRows | None = None
        if not has_cpu_kernels(device):
            self.csr = torch.sparse_csr_tensor(self.offsets, self.columns, self.values, size=matrix.shape)

    def product(self, dense: Tensor) -> Tensor:
        if self.csr is not None:
            return self.csr @ dense
        if len(self.columns) == 0:
            return dense.new_zeros(self.shape[0], dense.shape[1])
        if self._shared is None:
            self._shared = SharedRows(self.columns, self.offsets, self.values)
        return self._shared.product(dense)


class FixedSparse:
    """A constant sparse matrix, float32 [m, n], on a device, with its transpose; either is prepared when first used."""

    def __init__(self, matrix: sp.csr_array, device: torch.device | str = "cpu") -> None:
        self.shape: tuple[int, int] = matrix.shape
        self._matrix, self._device = sp.csr_array(matrix), torch.device(device)

    @cached_property
    def _rows(self) -> _Rows:
        return _Rows(self._matrix, self._device)

    @cached_property
    def _columns(self) -> _Rows:
        return _Rows(sp.csr_array(self._matrix.T), self._device)

    def product(self, dense: Tensor) -> Tensor:
        """Matrix @ dense [n, k], without a gradient."""
        return self._rows.product(dense)

    def transposed_product(self, dense: Tensor) -> Tensor:
        """Transposed matrix @ dense [m, k], without a gradient."""
        return self._columns.product(dense)

    def __matmul__(self, dense: Tensor) -> Tensor:
        """Matrix @ dense [n, k], float32 [m, k], differentiable in `dense`."""
        product: Tensor = _Product.apply(dense, self)  # type: ignore[no-untyped-call]
        return product


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: FixedSparse) -> Tensor:
        ctx.matrix = matrix
        return matrix.product(dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.matrix.transposed_product(gradients[0].contiguous()), None

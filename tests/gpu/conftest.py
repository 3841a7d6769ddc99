"""A GPU where there is one; without, the CPU carries out a GPU's kernels, so that each line is known to work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from flykd_console.model.kernels import gpu_kernels

# "cuda" for the first GPU.
DEVICE = torch.device(os.environ.get("FLYKD_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))


def pytest_report_header() -> str:
    name = torch.cuda.get_device_name(DEVICE) if DEVICE.type == "cuda" else "the CPU, with a GPU's kernels"
    return f"gpu tests on {name}, torch {torch.__version__}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture
def device() -> Iterator[torch.device]:
    """Where the tested side computes."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    with gpu_kernels() if DEVICE.type == "cpu" else nullcontext():
        yield DEVICE
    torch.backends.cuda.matmul.allow_tf32 = before

"""A seed for each test."""

import numpy as np
import pytest
import torch

from jaxinit._initializers import orthogonal
from jaxinit._recipes.operations import arithmetic
from tests import seeds


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return seeds.fresh(request.node.nodeid)


@pytest.fixture
def torch_seed(seed: int) -> None:
    """torch's global generator, seeded afresh."""
    torch.manual_seed(seed)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def torchs_qr(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's QR in place of NumPy's, with which orthogonal matrices are torch's to the bit.

    Two QRs of one matrix differ by its condition number times their rounding, which no tolerance bounds.
    """

    def qr(matrix: np.ndarray) -> np.ndarray:
        q, r = torch.linalg.qr(torch.from_numpy(matrix))
        found: np.ndarray = (q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]).numpy()
        return found

    for module in (orthogonal, arithmetic):
        monkeypatch.setattr(module, "qr", qr)

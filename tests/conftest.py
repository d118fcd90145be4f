"""A seed for each test."""

import numpy as np
import pytest
import torch

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

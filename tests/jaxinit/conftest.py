"""Seeds that no one chose."""

import os

import pytest
import torch


@pytest.fixture
def seed() -> int:
    """A fresh seed for every test; pytest shows it when the test fails."""
    value = int(os.environ.get("JAXINIT_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"reproduce with JAXINIT_TEST_SEED={value}")
    return value


@pytest.fixture
def torch_seed(seed: int) -> None:
    """torch's global generator, seeded afresh."""
    torch.manual_seed(seed)

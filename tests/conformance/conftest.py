import secrets

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh seed each time, shown when a test fails: any seed must pass."""
    seed = secrets.randbits(64)
    print(f"numpy seed {seed}")
    return np.random.default_rng(seed)

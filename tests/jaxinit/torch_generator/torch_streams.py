"""torch's generator and ours, side by side."""

import numpy as np
import pytest
import torch

from jaxinit import TorchGenerator
from jaxinit_conformance.replay.calls import SAME_BITS

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

# The bits of torch where it was built for AVX2 and runs with it. Elsewhere torch's own differ.
as_on_avx2 = pytest.mark.skipif(not SAME_BITS, reason="torch runs without AVX2 here")
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def torch_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values_of(tensor: torch.Tensor) -> np.ndarray:
    values: np.ndarray = tensor.to(torch.float64).numpy()
    return values


def assert_same_bits(ours: np.ndarray, theirs: torch.Tensor) -> None:
    assert DTYPES[ours.dtype.name] == theirs.dtype
    np.testing.assert_array_equal(ours.astype(np.float64), values_of(theirs), strict=True)
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(values_of(theirs)))


def assert_same_state(ours: TorchGenerator, theirs: torch.Generator) -> None:
    np.testing.assert_array_equal(ours.get_state(), theirs.get_state().numpy())

"""Pairs by NumPy's own functions are so near to those by torch's that scaling cannot part them by 2**-20 std."""

import numpy as np
import pytest

from jaxinit._torch_generator import polar

# A prime, so that angles and radii take all kinds of last bits.
_STRIDE = 67


def pairs(first: np.ndarray, last: np.ndarray, exact: bool) -> np.ndarray:
    transform = polar.select(np.dtype(np.float32), exact, first.size)
    return transform(first.astype(np.int32), last.astype(np.int32)).astype(np.float64)


def apart(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    error: np.ndarray = np.abs(pairs(first, last, exact=False) - pairs(first, last, exact=True))
    return error


def test_radii_are_close_and_the_greatest_torchs(seed: int) -> None:
    first = np.arange(seed % _STRIDE, 2**24, _STRIDE)
    first[-6000:] = np.arange(2**24 - 6000, 2**24)
    radii = pairs(first, np.zeros_like(first), exact=True)[0]
    error = apart(first, np.zeros_like(first))[0]
    assert error.max() <= 2.0**-22
    assert error[radii >= 4].max() == 0
    assert (radii >= 4).sum() == 5628


# The greatest radii of all and below 4, and smaller ones.
@pytest.mark.parametrize("below", [1, 2, 5628, 5629, 20_000, 700_000, 2**21, 2**23])
def test_pairs_of_every_angle_are_close(below: int, seed: int) -> None:
    last = np.arange(seed % _STRIDE, 2**24, _STRIDE)
    assert apart(np.full_like(last, 2**24 - below), last).max() <= 2.0**-21

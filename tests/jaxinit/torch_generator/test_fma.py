"""A product and a sum with one rounding, against exact fractions."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from jaxinit._torch_generator import fma


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_multiply_add_rounds_once(real: type[np.floating[Any]], seed: int) -> None:
    dice = np.random.default_rng(seed)
    x = dice.uniform(-1, 1, 500).astype(real)
    for scale, offset in [*dice.uniform(-2, 2, (4, 2)), (0.7, 3e-9), (1e-9, 0.3), (1.0, -0.5), (0.3, 0.0)]:
        scale, offset = float(real(scale)), float(real(offset))
        exact = [Fraction(float(number)) * Fraction(scale) + Fraction(offset) for number in x]
        result = x.copy()
        fma.MultiplyAdd(x.dtype, scale, offset, x.size)(result)
        assert result.tolist() == [nearest(number, real) for number in exact]


def nearest(number: Fraction, real: type[np.floating[Any]]) -> float:
    """The value of `real` nearest to an exact number, the even one of two, by comparing neighbours."""
    start = real(float(number))
    around = [np.nextafter(start, real(-np.inf)), start, np.nextafter(start, real(np.inf))]
    return float(min(around, key=lambda value: (abs(Fraction(float(value)) - number), value.tobytes()[0] & 1)))


def test_multiply_add_halfway_between_two_float32() -> None:
    # 1 + 2**-24 lies halfway. What pulls it off is too small for float64 to keep.
    x = np.array([2.0**-60, -(2.0**-60)], np.float32)
    fuse = fma.MultiplyAdd(x.dtype, 1.0, 1.0, x.size)
    fuse._offset = 1 + 2.0**-23 + 2.0**-24
    fuse(x)
    assert x.tolist() == [1 + 2.0**-22, 1 + 2.0**-23]

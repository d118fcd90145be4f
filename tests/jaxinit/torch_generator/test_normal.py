"""float64 pairs are those of the C library, which torch calls number by number."""

import math

import numpy as np

from jaxinit._torch_generator import normal


def test_float64_pairs_are_the_c_librarys(seed: int) -> None:
    first, last = np.random.default_rng(seed).integers(0, 2**53, (2, 100_000))
    first[:3], last[:3] = (0, 1, 2**53 - 1), (0, 1, 2**53 - 1)
    cosines, sines = normal._float64_pairs(first, last)
    for u, v, cosine, sine in zip(first.tolist(), last.tolist(), cosines.tolist(), sines.tolist(), strict=True):
        radius, angle = math.sqrt(-2 * math.log(1 - u * 2.0**-53)), 2 * math.pi * (v * 2.0**-53)
        assert (cosine, sine) == (radius * math.cos(angle), radius * math.sin(angle))

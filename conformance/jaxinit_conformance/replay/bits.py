"""Comparing two streams of numbers: bit by bit, or up to rounding."""

import dataclasses
from typing import NamedTuple

import ml_dtypes
import numpy as np

from ..checks.check import Result


class Tolerance(NamedTuple):
    """Represent how far numbers may be apart, and how a report says so."""

    size: float
    text: str


TO_THE_BIT = Tolerance(0.0, "all equal to the bit")


@dataclasses.dataclass
class BitComparison:
    """Represent the share of numbers with equal bits, and how far the others are apart in units of the tolerance."""

    size: int = 0
    equal: int = 0
    farthest: float = 0.0
    differing_states: int = 0

    def add(self, drawn: np.ndarray, in_torch: np.ndarray, tolerance: Tolerance) -> None:
        """Compare numbers one by one, in order.

        Raises:
            ValueError: the arrays differ in dtype or size.
        """
        drawn, in_torch = drawn.reshape(-1), in_torch.reshape(-1)
        if (drawn.dtype, drawn.size) != (in_torch.dtype, in_torch.size):
            raise ValueError(f"got {drawn.size} {drawn.dtype}, expected {in_torch.size} {in_torch.dtype} as in torch")
        different = _bits(drawn) != _bits(in_torch)
        self.size, self.equal = self.size + drawn.size, self.equal + drawn.size - int(different.sum())
        if different.any():
            apart = _apart(drawn[different], in_torch[different])
            self.farthest = float(np.maximum(self.farthest, apart / tolerance.size if tolerance.size else np.inf))

    def add_states(self, state: np.ndarray, in_torch: np.ndarray) -> None:
        """Compare the states of two generators."""
        self.differing_states += not np.array_equal(state, in_torch)

    def result(self, tolerance: Tolerance) -> Result:
        """Return whether all numbers are within their tolerance, and all states equal."""
        share = self.equal / self.size if self.size else 1.0
        seen = f"{share:.3%} equal to the bit"
        if self.farthest and tolerance.size:
            seen += f", the other ones at most {self.farthest:.2f} of the tolerance apart"
        seen += f", {self.differing_states} states differ" * bool(self.differing_states)
        passed = self.farthest <= 1.0 and not self.differing_states  # False if `farthest` is NaN
        return Result(passed, seen, f"{tolerance.text}, states equal", samples=self.size)


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _apart(drawn: np.ndarray, in_torch: np.ndarray) -> float:
    """Return the largest distance. One ulp of a 16-bit dtype does not count, since it may be one rounding."""
    first, second = drawn.astype(np.float64), in_torch.astype(np.float64)
    distance = np.abs(first - second)
    if drawn.dtype.itemsize == 2:
        finfo = ml_dtypes.finfo(drawn.dtype)
        ulp = np.maximum(np.maximum(abs(first), abs(second)) * float(finfo.eps), float(finfo.smallest_subnormal))
        distance[distance <= ulp] = 0.0
    return float(distance.max())

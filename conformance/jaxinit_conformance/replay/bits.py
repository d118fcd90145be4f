"""How alike two streams of numbers are: to the bit, or within what rounding explains."""

import dataclasses
from typing import NamedTuple

import ml_dtypes
import numpy as np

from ..checks.check import Result


class Tolerance(NamedTuple):
    """How far numbers may be apart, and how a report says it."""

    size: float
    words: str


TO_THE_BIT = Tolerance(0.0, "all equal to the bit")


@dataclasses.dataclass
class BitComparison:
    """Of so many numbers, how many have equal bits, and how far the others are apart, in units of what is allowed."""

    size: int = 0
    equal: int = 0
    farthest: float = 0.0
    differing_states: int = 0

    def add(self, ours: np.ndarray, theirs: np.ndarray, tolerance: Tolerance) -> None:
        """Compares numbers one by one, in order.

        Raises:
            ValueError: they are not of one dtype and number.
        """
        ours, theirs = ours.reshape(-1), theirs.reshape(-1)
        if (ours.dtype, ours.size) != (theirs.dtype, theirs.size):
            raise ValueError(f"{ours.size} {ours.dtype} beside torch's {theirs.size} {theirs.dtype}")
        different = _bits(ours) != _bits(theirs)
        self.size, self.equal = self.size + ours.size, self.equal + ours.size - int(different.sum())
        if different.any():
            apart = _apart(ours[different], theirs[different])
            self.farthest = float(np.maximum(self.farthest, apart / tolerance.size if tolerance.size else np.inf))

    def add_states(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Compares what two generators hold."""
        self.differing_states += not np.array_equal(ours, theirs)

    def result(self, tolerance: Tolerance) -> Result:
        """Whether all numbers are as near as allowed, and all states equal."""
        share = self.equal / self.size if self.size else 1.0
        seen = f"{share:.3%} equal to the bit"
        if self.farthest and tolerance.size:
            seen += f", the others {self.farthest:.2f} of what is allowed apart"
        seen += f", {self.differing_states} states differ" * bool(self.differing_states)
        passed = self.farthest <= 1.0 and not self.differing_states  # NaN is farther than any
        return Result(passed, seen, f"{tolerance.words}, states equal", samples=self.size)


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest distance; of two neighbours in 16 bits none, for they may come of one rounding."""
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    distance = np.abs(first - second)
    if ours.dtype.itemsize == 2:
        finfo = ml_dtypes.finfo(ours.dtype)
        spacing = np.maximum(np.maximum(abs(first), abs(second)) * float(finfo.eps), float(finfo.smallest_subnormal))
        distance[distance <= spacing] = 0.0
    return float(distance.max())
